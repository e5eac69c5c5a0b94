"""Bodies of StartExecution: spooled to disk while they are read, and taken apart there without ever being whole in memory."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

ZIP = "ZipFile"
LONG = 64 * 1024
"""A longer text is left on disk."""
PIECE = 4 * 256 * 1024
FIRST_PIECE = 1024
BACKSLASH = ord("\\")
ESCAPES = (
    (rb"\/", b"/"),
    (rb"\u002B", b"+"),
    (rb"\u002b", b"+"),
    (rb"\u002F", b"/"),
    (rb"\u002f", b"/"),
    (rb"\n", b""),
    (rb"\r", b""),
)
"""What JSON writers make of base64, and line breaks, which do not belong to it."""
LONGEST_ESCAPE = 6
BLANKS = b" \t\r\n"


class UnreadableBodyError(ValueError):
    """A body that is no JSON object, or a ZipFile that is not base64; the text names which."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A zip on disk, as it was sent."""

    path: Path
    size: int
    sha256: str


def taken_apart(body: Path, folder: Path) -> tuple[dict[str, Any], Upload | None]:
    """The parameters in a spooled body, and its zip as a file of its own. A body of hundreds of megabytes takes seconds."""
    if not body.stat().st_size:
        raise UnreadableBodyError("The request body is empty.")
    with body.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        told, long = _skeleton(content)
        encoded = told.pop(ZIP, None)
        for name, value in told.items():
            told[name] = _filled_in(value, content, long)
        if encoded is None or encoded == "":
            return told, None
        if not isinstance(encoded, str):
            raise UnreadableBodyError(ZIP)
        start, end = long.get(encoded, (0, 0))
        source = memoryview(content)[start:end] if end else memoryview(encoded.encode())
        with source:
            return told, upload_of(_decoded(source), folder / f"{uuid4().hex}.zip")


def _skeleton(content: mmap.mmap) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """The body with its long texts replaced by marks, and where they lie."""
    pieces, long, before, start = [], {}, 0, _quote(content, 0)
    while start >= 0 and (end := _end(content, start + 1)) >= 0:
        if end - start > LONG:
            mark = uuid4().hex
            long[mark] = (start + 1, end)
            pieces += [content[before:start], f'"{mark}"'.encode()]
            before = end + 1
        start = _quote(content, end + 1)
    try:
        told = json.loads(b"".join([*pieces, content[before:]]))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise UnreadableBodyError("The request body is not a JSON object.")
    return told, long


def _end(content: mmap.mmap, start: int) -> int:
    """The quote that ends a text: one with an even number of backslashes before it."""
    end = _quote(content, start)
    while end >= 0:
        before = end
        while content[before - 1] == BACKSLASH:
            before -= 1
        if (end - before) % 2 == 0:
            return end
        end = _quote(content, end + 1)
    return end


def _quote(content: mmap.mmap, start: int) -> int:
    """The next quote. In pieces, so that other threads have their turn meanwhile; small ones first, as most texts are short."""
    length = FIRST_PIECE
    while piece := content[start : start + length]:
        if (found := piece.find(b'"')) >= 0:
            return start + found
        start, length = start + len(piece), min(2 * length, PIECE)
    return -1


def _filled_in(value: Any, content: mmap.mmap, long: Mapping[str, tuple[int, int]]) -> Any:
    if isinstance(value, str) and value in long:
        start, end = long[value]
        return json.loads(content[start - 1 : end + 1])
    if isinstance(value, dict):
        return {name: _filled_in(inner, content, long) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled_in(inner, content, long) for inner in value]
    return value


def upload_of(pieces: Iterable[bytes], target: Path) -> Upload:
    """The pieces as a file, weighed and measured; no file if they end in an error."""
    digest, size = hashlib.sha256(), 0
    try:
        with target.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
    except UnreadableBodyError:
        target.unlink()
        raise
    return Upload(target, size, digest.hexdigest())


def _decoded(source: memoryview) -> Iterator[bytes]:
    left = b""
    for start in range(0, len(source), PIECE):
        text = left + bytes(source[start : start + PIECE]).translate(None, BLANKS)
        for escape, plain in ESCAPES if b"\\" in text else ():
            text = text.replace(escape, plain)
        # What is left of an escape lies across the end of the piece; at the very end it is an error.
        torn = text.rfind(b"\\", -LONGEST_ESCAPE)
        ends = start + PIECE >= len(source)
        usable = torn if torn >= 0 and not ends else len(text)
        whole = usable if ends else usable - usable % 4
        left = text[whole:]
        try:
            yield base64.b64decode(text[:whole], validate=True)
        except binascii.Error as error:
            raise UnreadableBodyError(ZIP) from error
