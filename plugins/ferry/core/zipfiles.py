"""Zips from strangers: looked into before anything is read, and never unpacked to a name they chose.

What a zip claims is read from its directory, whose size is known before it is loaded; what it holds is read a piece at a time.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ferry.core.errors import BadInput

CHUNK = 1024 * 1024
MAX_MEMBERS = 10_000
MAX_DIRECTORY = 4 * 1024 * 1024
"""Bytes of the directory: about 400 for each of the most members there may be."""
MAX_RATIO = 1_000
"""Times that a member may grow when it is inflated: deflate reaches 1,032, real records and logs some 5 to 100."""
SMALL = 1024 * 1024
"""Bytes up to which a member may have any ratio: an empty column is no bomb."""
MAX_INFLATED = 64 * 1024**3
"""Bytes of all members together."""
LONGEST_NAME = 200
KNOWN = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_END, _END64, _WHERE64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)
"""What the library says of a zip that is broken, or packed in a way it does not know."""


class BadZip(BadInput):
    """A zip that is not opened: broken, or made to harm. The message says why, and never quotes an unsafe name whole."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a zip, as the zip describes it."""

    name: str
    size: int
    packed: int


class SafeZip:
    """A zip whose directory was looked through. Members are read as streams; nothing is ever unpacked to their names."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._zip = opened
        self.members = tuple(Member(one.filename, one.file_size, one.compress_size) for one in opened.infolist())

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """The content of a member; BadZip where it is broken, which only its end may tell."""
        try:
            with self._zip.open(name) as file:
                yield file
        except _BROKEN as error:
            raise BadZip(f"{shown(name)} in the zip cannot be read ({type(error).__name__}); it is broken or cut off.") from None

    def check_contents(self) -> int:
        """Read every member to its end, which checks its checksum; how many bytes they are."""
        total = 0
        for member in self.members:
            with self.reading(member.name) as file:
                while piece := file.read(CHUNK):
                    total += len(piece)
        return total


@contextmanager
def open_zip(path: Path) -> Iterator[SafeZip]:
    """The zip, once its directory is found harmless. BadZip names the first thing that is wrong with it."""
    entries = _check_directory(path)
    try:
        opened = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise BadZip(f"it is no readable zip ({type(error).__name__}): broken, or cut off on its way.") from None
    with opened:
        _check_members(opened.infolist(), entries, path.stat().st_size)
        yield SafeZip(opened)


def shown(name: str) -> str:
    """A member's name as it may be shown: short, printable, and nothing a terminal or path would obey."""
    return repr(name[:60] + ("…" if len(name) > 60 else ""))


def _check_directory(path: Path) -> int:
    """How many members there are and how long their list is, before it is loaded: a list of millions is a bomb, too."""
    entries, size = _directory(path)
    if entries > MAX_MEMBERS or size > MAX_DIRECTORY:
        raise BadZip(f"it lists {entries:,} files in {size:,} bytes; more than {MAX_MEMBERS:,} files are not looked at.")
    return entries


def _directory(path: Path) -> tuple[int, int]:
    """Number of entries and bytes of the directory, as the zip's end tells; the larger of both forms where there are two."""
    length = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, length - 66_000))
        tail = file.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) < at + 22:
            raise BadZip("it is no zip, or its end is missing: perhaps it was cut off on its way.")
        ends = [struct.unpack_from("<HI", tail, at + 10)]
        if at >= 20 and tail.startswith(_WHERE64, at - 20):
            # Readers differ in where they look for the large form: where it is said to be, or right before the saying.
            for place in (struct.unpack_from("<Q", tail, at - 12)[0], length - len(tail) + at - 76):
                file.seek(max(0, min(length, place)))
                record = file.read(56)
                if len(record) == 56 and record.startswith(_END64):
                    ends.append(struct.unpack_from("<QQ", record, 32))
    if len(ends) > 1:  # what is all ones in the small form only refers to the large one
        ends[0] = (ends[0][0] % 0xFFFF, ends[0][1] % 0xFFFFFFFF)
    return max(entries for entries, _ in ends), max(size for _, size in ends)


def _check_members(infos: list[zipfile.ZipInfo], entries: int, length: int) -> None:
    if len(infos) != entries:  # whoever believes the list alone may miss a file, or be given a hundred thousand
        raise BadZip(f"it lists {len(infos):,} files and says that they are {entries:,}; it is broken or made up.")
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        if why := _unsafe(info):
            raise BadZip(f"{shown(name)} {why}.")
        if name.casefold() in seen:
            raise BadZip(f"{shown(name)} is in it twice, and nobody can say which is meant.")
        seen.add(name.casefold())
    total = sum(info.file_size for info in infos)
    if total > MAX_INFLATED:
        raise BadZip(f"it would be {total:,} bytes when unpacked; more than {MAX_INFLATED:,} are not looked at.")
    if sum(info.compress_size for info in infos) > length:
        raise BadZip("its files lie one over the other, or are cut off: together they are longer than the zip.")


def _unsafe(info: zipfile.ZipInfo) -> str:
    """What is wrong with a member; empty if nothing is."""
    for name in (info.orig_filename, info.filename):  # a second name in an extra field may replace the first
        if name.startswith(("/", "\\")) or ":" in name or ".." in name.replace("\\", "/").split("/"):
            return "leads out of the folder it would be unpacked in"
        if len(name) > LONGEST_NAME or not name.isprintable() or not name:
            return "is no name for a file"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a symbolic link"
    if info.flag_bits & _ENCRYPTED or info.compress_type not in KNOWN:
        return "is encrypted, or packed in a way that nobody here can read"
    if info.file_size > SMALL and info.file_size > MAX_RATIO * max(1, info.compress_size):
        return f"would grow {info.file_size // max(1, info.compress_size):,} times when it is unpacked, which no real file does"
    return ""
