"""The storage area that both Libraries share [A16]: package and undo files, and the notes they leave each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferry.vendors.microstrategy.sandbox.answers import RefusedError
from ferry.vendors.microstrategy.sandbox.asking import Asked, asked_toc

FORMAT = "ferry sandbox package"
PIECE = 256 * 1024


@dataclass(slots=True)
class Verdict:
    """How a validation on the target stands; the source takes it over once [D: through shared files]."""

    status: str = "validating"
    message: str = ""
    taken: bool = False


@dataclass(frozen=True, slots=True)
class PackageFile:
    """What was read from a package file."""

    id: str
    asked: Asked


class Storage:
    """Files by their path as the records tell it. An index in memory spares the disk when a record is looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.certifications: dict[str, dict[str, Any]] = {}

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._sizes

    def size(self, path: str) -> int:
        """Bytes of a file that is there."""
        return self._sizes[path]

    def write(self, path: str, content: bytes) -> int:
        """Keep a file; answers its bytes."""
        place = self.place(path)
        place.write_bytes(content)
        return self.arrived(path, len(content))

    def place(self, path: str) -> Path:
        """Where on disk a file will lie; paths are made by the sandbox only, never by a client."""
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def arrived(self, path: str, size: int) -> int:
        """Note that a file is complete."""
        self._sizes[path] = size
        return size

    def delete(self, path: str) -> None:
        """Remove a file, if it is there."""
        if self._sizes.pop(path, None) is not None:
            (self._folder / path).unlink(missing_ok=True)

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file's bytes, a piece at a time."""
        with (self._folder / path).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def package(self, path: str) -> PackageFile | None:
        """What a package file says is in it; None if it is no package of this sandbox."""
        try:
            told = json.loads((self._folder / path).read_bytes())
            if told["format"] != FORMAT:
                return None
            return PackageFile(str(told["id"]), asked_toc(told["type"], told["purpose"], told))
        except (OSError, ValueError, KeyError, TypeError, RefusedError):
            return None  # people upload all sorts of files
