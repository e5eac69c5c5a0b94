"""Zips written in pieces: their size is known beforehand, and nothing of them need be whole in memory."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MIB = 1024 * 1024
SMALLEST = 256 * 1024
STORED, DEFLATED, BZIP2 = 0, 8, 12
DAY = (21 << 9) | (1 << 5) | 1
"""The first of January 2001, as a zip writes days: the same input gives the same zip."""
MOST_IN_PLAIN = 0xFFFF


class Blob(Protocol):
    """Bytes that are read in pieces."""

    @property
    def size(self) -> int:
        """How many there are."""

    def pieces(self) -> Iterator[bytes]:
        """All of them."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes in memory."""

    content: bytes

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.content)

    def pieces(self) -> Iterator[bytes]:
        """All at once."""
        yield self.content


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A file."""

    path: Path

    @property
    def size(self) -> int:
        """Its size."""
        return self.path.stat().st_size

    def pieces(self) -> Iterator[bytes]:
        """A megabyte at a time."""
        with self.path.open("rb") as file:
            while piece := file.read(MIB):
                yield piece


@dataclass(frozen=True, slots=True)
class Noise:
    """So many megabytes that cannot be compressed; always the same ones."""

    megabytes: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.megabytes * MIB

    def pieces(self) -> Iterator[bytes]:
        """A megabyte at a time."""
        for number in range(self.megabytes):
            yield random.Random(number).randbytes(MIB)  # noqa: S311  # noise, and no secret


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a zip, packed already."""

    name: str
    packed: Blob
    crc: int
    inflated: int
    method: int = STORED

    def header(self) -> bytes:
        """What stands before its bytes."""
        name = self.name.encode()
        return struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0x800, *self._told(), len(name), 0) + name

    def entry(self, offset: int) -> bytes:
        """What stands in the directory."""
        name = self.name.encode()
        told = struct.pack("<4s6H3I", b"PK\x01\x02", 0x314, 20, 0x800, *self._told())
        return told + struct.pack("<5H2I", len(name), 0, 0, 0, 0, 0o100644 << 16, offset) + name

    def _told(self) -> tuple[int, ...]:
        return self.method, 0, DAY, self.crc, self.packed.size, self.inflated


def deflated(name: str, content: bytes) -> Member:
    """A small file, compressed."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = Bytes(packer.compress(content) + packer.flush())
    return Member(name, packed, zlib.crc32(content), len(content), DEFLATED)


def stored(name: str, content: Blob) -> Member:
    """A large file as it is; it is read once for its checksum."""
    crc = 0
    for piece in content.pieces():
        crc = zlib.crc32(piece, crc)
    return Member(name, content, crc, content.size)


@dataclass(frozen=True, slots=True)
class Zip:
    """Members, written one after the other."""

    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Known without writing it."""
        members = sum(len(one.header()) + one.packed.size + len(one.entry(0)) for one in self.members)
        return members + len(ending(len(self.members), 0, 0))

    def pieces(self) -> Iterator[bytes]:
        """Files, directory, end."""
        offset, entries = 0, []
        for member in self.members:
            header = member.header()
            entries.append(member.entry(offset))
            offset += len(header) + member.packed.size
            yield header
            yield from member.packed.pieces()
        directory = b"".join(entries)
        yield directory
        yield ending(len(self.members), len(directory), offset)


def ending(count: int, size: int, offset: int) -> bytes:
    """What ends a zip of so many members, whose directory has this size and stands at this place."""
    plain = min(count, MOST_IN_PLAIN)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, plain, plain, size, offset, 0)
    if count < MOST_IN_PLAIN:
        return end
    large = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    return large + struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + size, 1) + end


def base64_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same in base64; small pieces are put together, since each costs a turn of the event loop."""
    left = bytearray()
    for piece in pieces:
        left += piece
        if len(left) >= SMALLEST:
            whole = len(left) - len(left) % 3
            yield base64.b64encode(left[:whole])
            del left[:whole]
    yield base64.b64encode(left)


def base64_size(size: int) -> int:
    """How long that is."""
    return (size + 2) // 3 * 4
