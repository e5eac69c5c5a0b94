"""The request log: what reached a vendor, in order, kept small enough to be always on."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.clock import iso

KEPT = 200_000  # requests; older ones are forgotten, their numbers are not used again
BATCH = 500  # entries per piece of an answer


@dataclass(slots=True)
class LogEntry:
    """One request. `status` stays None when the client never got an answer; the query string is never kept (it signs URLs)."""

    n: int
    at: float
    real_at: float
    vendor: str
    method: str
    path: str
    headers: tuple[str, ...]
    status: int | None = None
    received: int = 0
    sent: int = 0
    fault: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry for people and tests."""
        return {
            "n": self.n,
            "at": iso(self.at),
            "real_at": iso(self.real_at),
            "vendor": self.vendor,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "headers": list(self.headers),
            "bytes": self.received,
            "bytes_sent": self.sent,
            "fault": self.fault,
        }


class Journal:
    """The last 200,000 requests to all vendors, in order of arrival."""

    def __init__(self) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=KEPT)
        self._header_sets: dict[tuple[bytes, ...], tuple[str, ...]] = {}
        self._count = 0

    def open(self, times: tuple[float, float], vendor: str, scope: dict[str, Any]) -> LogEntry:
        """Note a request as it arrives; the caller fills in how it ended."""
        self._count += 1
        names = self._names(tuple(name for name, _ in scope["headers"]))
        entry = LogEntry(self._count, *times, vendor, scope["method"], sys.intern(scope["path"]), names)
        self._entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forget everything and count from one again."""
        self._entries.clear()
        self._count = 0

    def select(self, vendor: str = "", method: str = "", path: str = "", since: int = 0) -> list[LogEntry]:
        """Entries of a vendor, with a method, a path glob, or a number above `since`; empty means any."""
        return [
            entry
            for entry in self._entries
            if entry.n > since
            and vendor in ("", entry.vendor)
            and method in ("", entry.method)
            and (not path or fnmatchcase(entry.path, path))
        ]

    def _names(self, raw: tuple[bytes, ...]) -> tuple[str, ...]:
        known = self._header_sets.get(raw)
        if known is None:
            known = tuple(name.decode("latin-1") for name in raw)
            if len(self._header_sets) < BATCH:
                self._header_sets[raw] = known
        return known


def as_json_array(entries: list[LogEntry]) -> Iterator[bytes]:
    """The entries as one JSON array, in pieces, so that a long log never stands in memory as text."""
    yield b"["
    for start in range(0, len(entries), BATCH):
        piece = ",".join(json.dumps(entry.to_json()) for entry in entries[start : start + BATCH])
        yield (b"," if start else b"") + piece.encode()
    yield b"]"
