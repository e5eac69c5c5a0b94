"""A JSON object with texts too long for memory: the long ones are written to files while the answer is read, the rest is parsed.

For answers that carry files as base64. The standard parser, and every streaming one we know, holds a text whole, several times.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ferry.core.errors import VendorNonsense

CHUNK = 1024 * 1024
MOST_REST = 16 * 1024 * 1024
"""Bytes of everything that is not written to a file; more is not an answer anybody documented."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]*")
_ESCAPES = {b"\\/": b"/", b"\\r": b"", b"\\n": b"", b"\\t": b""}
"""How JSON may write the signs of base64, and white space in it, beside the numbers that it has for every sign."""
_BACKSLASH = ord("\\")
_ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|.)")


def unfold(source: Path, sinks: Mapping[str, Path], what: str) -> dict[str, Any]:
    """The object in a file; texts under the keys of `sinks` are decoded from base64 into those files and left out of it.

    Only keys of the outermost object count. A sink whose text is absent, null or empty makes no file. VendorNonsense where it
    is no such JSON, without quoting it: it may hold data.
    """
    with source.open("rb") as file:
        scan = _Scan(file, sinks, what)
        rest = scan.run()
    try:
        value = json.loads(rest)
    except (ValueError, RecursionError):
        raise _odd(what, "is not JSON") from None
    if not isinstance(value, dict):
        raise _odd(what, "is not a JSON object")
    return value


class _Scan:
    """Walks through the bytes once: what is structure is kept, what is a long text goes to its file."""

    def __init__(self, file: IO[bytes], sinks: Mapping[str, Path], what: str) -> None:
        self.file, self.sinks, self.what = file, sinks, what
        self.rest, self.depth = bytearray(), 0
        self.buffer, self.at = b"", 0
        self.key: str | None = None
        """The key of the outermost object whose value comes next."""

    def run(self) -> bytes:
        while (piece := self._until(rb'["{}\[\],:]')) is not None:
            mark = piece[-1:]
            if mark == b'"':
                self._text()
                continue
            self.depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(mark, 0)
            if mark in {b",", b"{", b"}", b"[", b"]"}:
                self.key = None
        return bytes(self.rest)

    def _until(self, pattern: bytes) -> bytes | None:
        """Take what comes up to the first byte that matches, and keep it; None at the end."""
        taken = b""
        while True:
            found = re.compile(pattern).search(self.buffer, self.at)
            if found:
                taken += self.buffer[self.at : found.end()]
                self.at = found.end()
                self._keep(taken)
                return taken
            taken += self.buffer[self.at :]
            if not self._read():
                self._keep(taken)
                return None
            if len(taken) > MOST_REST:
                raise _odd(self.what, "is too large outside its files")

    def _text(self) -> None:
        """A text whose opening quote was just kept: a value for a file, or anything else."""
        sink = self.sinks.get(self.key) if self.key is not None and self.depth == 1 else None
        if sink is not None:
            self._to_file(sink)
            return
        begun = len(self.rest) - 1
        for piece, done in self._pieces():
            self._keep(piece + (b'"' if done else b""))
        if self.depth == 1 and self.key is None:
            try:
                self.key = str(json.loads(bytes(self.rest[begun:])))
            except ValueError:
                raise _odd(self.what, "is not JSON") from None

    def _to_file(self, sink: Path) -> None:
        decoder = _Base64(self.what)
        with sink.open("wb") as file:
            for piece, _ in self._pieces():
                file.write(decoder.feed(piece))
            file.write(decoder.end())
        self.rest += b'"'
        if not sink.stat().st_size:
            sink.unlink()

    def _pieces(self) -> Iterator[tuple[bytes, bool]]:
        """The text up to its closing quote, in pieces that never cut an escape in two; the last is marked."""
        while True:
            end = self._closing()
            if end is not None:
                piece, self.at = self.buffer[self.at : end], end + 1
                yield piece, True
                return
            safe = len(self.buffer) - _tail_of_escape(self.buffer[self.at :])
            piece, self.buffer, self.at = self.buffer[self.at : safe], self.buffer[safe:], 0
            yield piece, False
            more = self.file.read(CHUNK)
            if not more:
                raise _odd(self.what, "ends in the middle")
            self.buffer += more

    def _closing(self) -> int | None:
        """Where the closing quote stands in the buffer: the first that no backslash escapes."""
        at = self.at
        while (at := self.buffer.find(b'"', at)) >= 0:
            first = at
            while first > self.at and self.buffer[first - 1] == _BACKSLASH:
                first -= 1
            if (at - first) % 2 == 0:
                return at
            at += 1
        return None

    def _read(self) -> bool:
        self.buffer, self.at = self.file.read(CHUNK), 0
        return bool(self.buffer)

    def _keep(self, piece: bytes) -> None:
        self.rest += piece
        if len(self.rest) > MOST_REST:
            raise _odd(self.what, "is too large outside its files")


class _Base64:
    """Decodes base64 that comes in pieces of any length."""

    def __init__(self, what: str) -> None:
        self.what, self.left, self.ended = what, b"", False

    def feed(self, piece: bytes) -> bytes:
        if b"\\" in piece:
            piece = _ESCAPE.sub(_unescaped, piece)
        whole = self.left + b"".join(piece.split())
        if not _BASE64.fullmatch(whole):
            raise _odd(self.what, "holds a file that is not base64")
        cut = len(whole) - len(whole) % 4
        self.left = whole[cut:]
        if self.ended and whole:
            raise _odd(self.what, "holds a file that is not base64")
        self.ended = self.ended or whole[:cut].endswith(b"=")
        return self._decoded(whole[:cut])

    def end(self) -> bytes:
        return self._decoded(self.left + b"=" * (-len(self.left) % 4)) if self.left else b""

    def _decoded(self, text: bytes) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise _odd(self.what, "holds a file that is not base64") from None


def _unescaped(found: re.Match[bytes]) -> bytes:
    number = int(found[1], 16) if found[1] else 128
    return bytes([number]) if number < 128 else _ESCAPES.get(found[0], found[0])


def _tail_of_escape(text: bytes) -> int:
    """How many bytes at the end of a text may be the beginning of an escape, such as a backslash, and must wait for the rest."""
    found = re.search(rb"\\(?:u[0-9A-Fa-f]{0,3})?$", text[-6:])
    if not found:
        return 0
    length = len(text[-6:]) - found.start()
    before = len(text) - length
    backslashes = before - len(text[:before].rstrip(b"\\"))
    return length if backslashes % 2 == 0 else 0


def _odd(what: str, why: str) -> VendorNonsense:
    return VendorNonsense(f"The answer to {what} {why}, which is outside the contract. Nothing of it was used.")
