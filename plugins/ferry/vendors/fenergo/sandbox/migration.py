"""One migration: what it holds, the state machine it runs through (contract §4.3), and the status document the vendor shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ferry.vendors.fenergo.sandbox.answers import encoded, wrapped
from ferry.vendors.fenergo.sandbox.attempt import KINDS, Counts
from ferry.vendors.fenergo.sandbox.policy import Table, tables_for
from sandbox.clock import Clock, iso
from sandbox.machine import Machine, Transition
from sandbox.switches import Switches

BUCKET = "fenx-sandbox-datamigration"
RECORDS_TASK = "generate-migration-records-file"
VIEWS_KEPT = 200
FINAL = frozenset({"completed", "failed"})
UNSTARTED = frozenset({"preparing", "prepared"})


@dataclass(slots=True)
class Slot:
    """One registered file; uploaded once `size` is known."""

    table: str
    file_name: str
    key: str
    size: int | None = None
    uploaded_at: float = 0.0


@dataclass(slots=True)
class Verdict:
    """How the work of a start ended; the machine shows it when its time has come."""

    ok: bool
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a migration was created for."""

    jurisdictions: tuple[str, ...]
    product_jurisdiction: str | None = None


@dataclass(slots=True)
class Tally:
    """The counters of the status document, and the rows of the two result files."""

    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    migrated: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    failed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    records: int = 0
    errors: int | None = None


class Migration:
    """A migration as the command service knows it; `view` is what the query service shows, possibly a little later."""

    def __init__(self, asked: Asked, clock: Clock, switches: Switches) -> None:
        self.id = str(uuid4())
        self.asked = asked
        self._clock = clock
        self._switches = switches
        known = tables_for(asked.jurisdictions, asked.product_jurisdiction)
        self.tables: dict[str, Table] = known or {}
        self.slots: dict[str, Slot] = {}
        self.tasks = {"build-schema": "Running"}
        self.tally = Tally()
        self.verdict: Verdict | None = None
        self.message: str | None = None
        self.created_at = clock.now()
        self.completed_at: float | None = None
        self.prepared_at: float | None = None
        self.cleaned = False
        self.starts = 0
        self.record_calls = 0
        self._views: deque[tuple[float, bytes]] = deque(maxlen=VIEWS_KEPT)
        seconds = switches.number("prepare_seconds")
        self.machine = Machine(
            clock,
            "preparing",
            [Transition("preparing", "prepared" if known else "failed", seconds=seconds)],
            self._entered,
        )
        self.changed()

    @property
    def state(self) -> str:
        """preparing, prepared, processing, settling, completed or failed: our names, the vendor shows `word`."""
        return self.machine.advance()

    @property
    def word(self) -> str:
        """The status as the vendor would write it."""
        state = self.machine.state
        if state in UNSTARTED:
            return self._switches.text("unstarted_word")
        return (
            self._switches.text("extra_word") if state == "settling" else {"processing": "Processing"}.get(state, state.title())
        )

    def uploaded(self) -> list[Slot]:
        """The files whose bytes are there."""
        return [slot for slot in self.slots.values() if slot.size is not None]

    def begin(self) -> None:
        """Go into processing; a later verdict ends it, once enough looks have seen it."""
        self.starts += 1
        self.verdict, self.message, self.completed_at, self.tally = None, None, None, Tally()
        looks = self._switches.integer("process_looks")
        steps = []
        if self._switches.text("extra_word"):
            steps.append(Transition("processing", "settling", looks=looks, when=lambda: self.verdict is not None))
            looks = self._switches.integer("extra_word_looks")
        for source in ("settling",) if steps else ("processing",):
            steps.append(Transition(source, "completed", looks=looks, when=lambda: self._ended(ok=True)))
            steps.append(Transition(source, "failed", looks=looks, when=lambda: self._ended(ok=False)))
        self.machine.go("processing", steps)

    def end(self, verdict: Verdict) -> None:
        """Say how the work ended; when that shows is up to the switches."""
        self.verdict = verdict
        self.machine.advance()

    def counted(self, counts: Counts) -> None:
        """Show how many rows the files have."""
        self.tally.total = {kind: counts.total[kind] for kind in KINDS}
        self.changed()

    def key(self, *names: str) -> str:
        """The storage key of a file of this migration, laid out as in the vendor's samples [D]."""
        return "/".join(("datamigration", self.id, *names))

    def changed(self, at: float | None = None) -> None:
        """Note the status document as it is from now (or from `at`) on."""
        body = encoded(wrapped(self.document()))
        self._views.append((self._clock.now() if at is None else at, body))

    def view(self) -> bytes | None:
        """The newest status document the query service has caught up with; None while it knows nothing. Counts as a look."""
        self.machine.look()
        until = self._clock.now() - self._switches.number("read_lag_seconds")
        return next((body for at, body in reversed(self._views) if at <= until), None)

    def visible(self, at: float | None) -> bool:
        """Whether the query service has caught up with something that happened then."""
        return at is not None and at <= self._clock.now() - self._switches.number("read_lag_seconds")

    def document(self) -> dict[str, Any]:
        """The status document, every field of the specification [D]."""
        tally = self.tally
        counters: dict[str, int] = {}
        for kind in KINDS:
            counters[f"{kind}Count"] = tally.total[kind]
            counters[f"migrated{kind.title()}Count"] = tally.migrated[kind]
            counters[f"failed{kind.title()}Count"] = tally.failed[kind]
        folder = f"/{self._switches.text('tenant')}/{self.id}/"
        files = [
            {"folderPath": f"{folder}{slot.table}/", "fileName": slot.file_name, "uploadedDate": iso(slot.uploaded_at)}
            for slot in self.uploaded()
        ]
        return {
            "id": self.id,
            "createdDate": iso(self.created_at),
            "completedDate": None if self.completed_at is None else iso(self.completed_at),
            "status": self.word,
            **counters,
            "inputFilesCleanedUp": self.cleaned,
            "dataMigrationFilesDto": files,
            "tasks": [{"taskName": name, "taskStatus": status} for name, status in self.tasks.items()],
            "errorMessage": self.message,
        }

    def to_json(self) -> dict[str, Any]:
        """The migration for the control endpoint: the document, and what the vendor would not show."""
        jurisdiction = {"jurisdictions": list(self.asked.jurisdictions), "productJurisdiction": self.asked.product_jurisdiction}
        return self.document() | jurisdiction | {"state": self.state, "starts": self.starts, "errors": self.tally.errors}

    def _ended(self, *, ok: bool) -> bool:
        return self.verdict is not None and self.verdict.ok is ok

    def _entered(self, state: str, at: float) -> None:
        if state == "prepared":
            self.prepared_at = at
            self.tasks["build-schema"] = "Completed"
        elif state == "failed" and self.verdict is None:
            self.tasks["build-schema"] = "Failed"
            self.message = "No policy was found for the requested jurisdiction"
        elif state == "failed" and self.verdict is not None:
            self.message = self.verdict.message
        elif state == "completed":
            self.completed_at = at
        if state == "failed" and self._switches.text("failed_counters") == "zero":
            self.tally = Tally(errors=self.tally.errors)  # [D] the documented sample shows zeros
        self.changed(at)
