"""One execution: what was asked for, and how far it has come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ferry.vendors.dmm.sandbox.tables import is_system

if TYPE_CHECKING:
    from ferry.vendors.dmm.sandbox.unpacking import Staged
    from ferry.vendors.dmm.sandbox.uploads import Upload
    from ferry.vendors.dmm.sandbox.works import Work

QUEUED, RUNNING, COMPLETE, IN_ERROR, STOPPED = "Queued", "InProgress", "Complete", "InError", "Stopped"  # [D2], the last is none
NOT_FOUND = "NotFound"
TYPES = ("Migration", "Export", "Import", "Delete", "Scramble")  # [D2]


@dataclass(slots=True)
class Part:
    """The records of one entity, worked on in chunks."""

    entity: str
    total: int
    volume: int = 0
    taken: int = 0
    completed: int = 0
    chunks: int = 0
    chunks_begun: int = 0
    chunks_completed: int = 0
    begun: bool = False

    def cut(self, size: int) -> None:
        """Decide on the number of chunks."""
        self.chunks = math.ceil(self.total / size)


@dataclass(slots=True)
class Trouble:
    """An error of an entity, with the number of its chunks that met it."""

    error: str
    tip: str
    trace: str
    moment: float
    count: int = 0


@dataclass(slots=True, eq=False)
class Order:
    """What StartExecution asked for; the zip, if any, was looked into already."""

    type: str
    configuration: Mapping[str, Any]
    upload: Upload | None = None
    staged: Staged | None = None
    fatal_errors: str = ""
    """Rules of its own beside those of the switch: a script's ends as the script says, whatever is set meanwhile."""


@dataclass(slots=True, eq=False)
class Execution:
    """An execution, advanced by the engine alone."""

    key: str
    environment: str
    order: Order
    accepted: float
    begins: float
    status: str = QUEUED
    began: float | None = None
    ended: float | None = None
    due: float = math.inf
    size: int = 1
    place: int = 0
    parts: list[Part] = field(default_factory=list)
    work: Work | None = None
    stopped_by: str = ""
    message: tuple[str, str] = ("The execution is queued.", "Info")
    log: list[str] = field(default_factory=list)
    troubles: dict[tuple[str, str], Trouble] = field(default_factory=dict)

    def note(self, at: float, text: str, level: str = "INFO") -> None:
        """Add a line to the log."""
        self.log.append(f"{local_time(at)} {level:<5} {text}")

    def trouble(self, at: float, entity: str, told: tuple[str, str]) -> None:
        """Count a chunk that met an error."""
        error, tip = told
        trace = f"   at DMM.Run.{entity}.Chunk(Int32 n)\n   at DMM.Run.Entity()"
        entry = self.troubles.setdefault((entity, error), Trouble(error, tip, trace, at))
        entry.count += 1
        self.note(at, f"{entity}: {error}", "ERROR")

    def counted(self, *, system: bool = True) -> list[Part]:
        """The parts whose records count: those of ossys_* tables only if asked for."""
        return [part for part in self.parts if system or not is_system(part.entity)]

    def document(self) -> dict[str, Any]:
        """What a person sees on the environment's page of executions."""
        upload = self.order.upload
        return {
            "id": self.key,
            "environment": self.environment,
            "type": self.order.type,
            "status": self.status,
            "accepted": local_time(self.accepted),
            "started": None if self.began is None else local_time(self.began),
            "ended": None if self.ended is None else local_time(self.ended),
            "records": sum(part.completed for part in self.parts),
            "total": sum(part.total for part in self.parts),
            "stopped_by": self.stopped_by,
            "zip": None if upload is None else {"size": upload.size, "sha256": upload.sha256},
        }


def local_time(seconds: float) -> str:
    """A moment as the vendor writes it: no zone [D2]; this environment's local time is UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
