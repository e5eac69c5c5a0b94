"""Looking into an imported zip: its data files are checked and laid out as lines of JSON; nothing else is ever written."""

from __future__ import annotations

import csv
import io
import json
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ferry.vendors.dmm.sandbox.execution import Part

DATA = "_Data.csv"
ENTITY = re.compile(r"\w{1,100}")
MOST_FILES = 10_000
MIB = 1024 * 1024
LONGEST_LINE = 16 * MIB
encode = json.JSONEncoder(ensure_ascii=False).encode
TORN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)
"""All that the libraries say of a zip that is torn, encrypted or packed in a way they do not know."""


class UnreadableZipError(Exception):
    """A zip that is not imported; the text says why."""


@dataclass(slots=True)
class Staged:
    """The rows of a zip in one file, a line of JSON each, entity after entity; or why there are none."""

    path: Path
    parts: list[Part] = field(default_factory=list)
    columns: list[list[str]] = field(default_factory=list)
    fault: str = ""


def staged(source: Path, target: Path, most_mb: int) -> Staged:
    """What a zip brings. Takes seconds for a large one, so not for the event loop."""
    found = Staged(target)
    try:
        with zipfile.ZipFile(source) as archive, target.open("w", encoding="utf-8") as lines:
            budget = Budget(most_mb * MIB)
            for member in _data_files(archive):
                with archive.open(member) as raw:
                    _stage(found, member.filename.removesuffix(DATA), budget.counted(raw), lines)
    except UnreadableZipError as error:
        found.fault = str(error)
    except (csv.Error, UnicodeDecodeError) as error:
        found.fault = f"The zip holds a file that is no CSV in UTF-8: {error}"
    except TORN:
        found.fault = "The zip file is damaged, or is no zip file."
    return found


class Budget:
    """How much may still be inflated: what the zip says of its sizes is not believed."""

    def __init__(self, left: int) -> None:
        self._left = left

    def counted(self, raw: IO[bytes]) -> Iterator[str]:
        """The lines of a member, for as long as there is budget."""
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        while line := text.readline(LONGEST_LINE):
            self._left -= len(line)
            if self._left < 0:
                raise UnreadableZipError("The zip file inflates to more than this environment takes.")
            if len(line) == LONGEST_LINE and not line.endswith("\n"):
                raise UnreadableZipError(f"The zip file holds a line of more than {LONGEST_LINE // MIB} MiB.")
            yield line


def _data_files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MOST_FILES:
        raise UnreadableZipError(f"The zip file holds more than {MOST_FILES} files.")
    names = [member.filename for member in members]
    if any("/" in name or "\\" in name or ":" in name for name in names):
        raise UnreadableZipError("The files of the zip are not directly in its root.")
    if any(stat.S_ISLNK(member.external_attr >> 16) for member in members):
        raise UnreadableZipError("The zip file holds a link.")
    if len(set(names)) < len(names):
        raise UnreadableZipError("The zip file holds two files of one name.")
    data = [member for member in members if member.filename.endswith(DATA)]
    if not data:
        raise UnreadableZipError("The zip file holds no *_Data.csv.")
    if not all(ENTITY.fullmatch(member.filename.removesuffix(DATA)) for member in data):
        raise UnreadableZipError("The zip file holds a *_Data.csv without the name of an entity.")
    return data


def _stage(found: Staged, entity: str, source: Iterator[str], lines: io.TextIOBase) -> None:
    rows = csv.reader(source, strict=True)
    columns = next(rows, [])
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        raise UnreadableZipError(f"The first line of {entity}{DATA} is no header.")
    part = Part(entity, 0)
    for row in filter(None, rows):
        line = encode(row)
        lines.write(line + "\n")
        part.total += 1
        part.volume += len(line)
    found.parts.append(part)
    found.columns.append(columns)
