"""The body of a start: JSON with the whole zip in it as base64 [A], made while it is sent, so that no copy of it is in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferry.vendors.dmm.vocabulary import CONFIGURATION, TYPE, ZIP_FILE

_PIECE = 3 * 256 * 1024
"""Bytes read at a time: a multiple of 3, so that the pieces' base64 joins without padding."""


@dataclass(frozen=True, slots=True)
class StartBody:
    """What is sent to start an execution; it can be sent again from the beginning, which httpx asks of a body."""

    kind: str
    configuration: Mapping[str, Any] = field(repr=False)
    zip_path: Path | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole body."""
        zipped = 0 if self.zip_path is None else 4 * -(-self.zip_path.stat().st_size // 3)
        return sum(map(len, self._frame())) + zipped

    def __iter__(self) -> Iterator[bytes]:
        before, after = self._frame()
        yield before
        if self.zip_path is not None:
            with self.zip_path.open("rb") as file:
                while piece := file.read(_PIECE):
                    yield base64.b64encode(piece)
        yield after

    def _frame(self) -> tuple[bytes, bytes]:
        """What stands before and after the zip's base64."""
        text = json.dumps({TYPE: self.kind, CONFIGURATION: dict(self.configuration)}, ensure_ascii=True, allow_nan=False)
        if self.zip_path is None:
            return text.encode(), b""
        return f'{text[:-1]}, "{ZIP_FILE}": "'.encode(), b'"}'
