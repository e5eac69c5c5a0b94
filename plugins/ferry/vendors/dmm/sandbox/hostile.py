"""Zips that no client may trust: each is small on disk and quickly made, and is really what its name says."""

from __future__ import annotations

import bz2
import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from ferry.vendors.dmm.sandbox.packing import BZIP2, MIB, Blob, Bytes, Member, Zip, ending

MANY = 200_000
BOMB_MEMBERS, BOMB_MB = 256, 16
TEXT = b"made-up\n"


def hostile(kind: str, suffix: str, good: Callable[[], bytes]) -> Blob:
    """A zip of the kind; `suffix` ends the names of its files, `good` makes the harmless zip that some of them spoil."""
    if kind == "bomb":
        return _bomb(suffix)
    if kind == "many":
        return Many(suffix)
    if kind == "truncated":
        content = good()
        return Bytes(content[: len(content) * 2 // 3])
    if kind == "not_zip":
        return Bytes(b"<html><body>The file could not be produced.</body></html>\n")
    return Bytes(_misplaced(kind, suffix))


@dataclass(frozen=True, slots=True)
class Many:
    """Empty files in masses. They differ in nothing but number and place, so they are stamped, not packed."""

    suffix: str

    @property
    def size(self) -> int:
        """Known without writing it."""
        one = self._example()
        return MANY * (len(one.header()) + len(one.entry(0))) + len(ending(MANY, 0, 0))

    def pieces(self) -> Iterator[bytes]:
        """Files, directory, end."""
        one, suffix = self._example(), self.suffix.encode()
        header, length = one.header().removesuffix(one.name.encode()), len(one.header())
        entry = one.entry(0).removesuffix(bytes(4) + one.name.encode())
        yield b"".join(b"%b%06d%b" % (header, number, suffix) for number in range(MANY))
        places = ((number, (number * length).to_bytes(4, "little")) for number in range(MANY))
        directory = b"".join(b"%b%b%06d%b" % (entry, place, number, suffix) for number, place in places)
        yield directory
        yield ending(MANY, len(directory), MANY * length)

    def _example(self) -> Member:
        return Member(f"{0:06}{self.suffix}", Bytes(b""), 0, 0)


def _bomb(suffix: str) -> Blob:
    """Four gigabytes of zeros. Deflate shrinks to a thousandth at best, so this is bzip2."""
    packed, crc = _zeros()
    content = Bytes(packed)
    return Zip(tuple(Member(f"bomb{n:03}{suffix}", content, crc, BOMB_MB * MIB, BZIP2) for n in range(BOMB_MEMBERS)))


@cache
def _zeros() -> tuple[bytes, int]:
    packer, zeros, crc, packed = bz2.BZ2Compressor(), bytes(MIB), 0, b""
    for _ in range(BOMB_MB):
        packed += packer.compress(zeros)
        crc = zlib.crc32(zeros, crc)
    return packed + packer.flush(), crc


def _misplaced(kind: str, suffix: str) -> bytes:
    """A harmless file beside one with a name that leads elsewhere."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"harmless{suffix}"), TEXT)
        if kind == "symlink":
            link = zipfile.ZipInfo(f"link{suffix}")
            link.create_system = 3
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/hostname")
        else:
            names = {"slip": f"../../escaped{suffix}", "absolute": f"/tmp/escaped{suffix}", "nested": f"folder/inner{suffix}"}  # noqa: S108  # on purpose
            archive.writestr(zipfile.ZipInfo(names[kind]), TEXT)
    return target.getvalue()
