"""Executions, advanced by the simulated clock: before every call, all that is due happens at its own moment."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from ferry.vendors.dmm.sandbox.execution import COMPLETE, IN_ERROR, QUEUED, RUNNING, Execution, Part
from ferry.vendors.dmm.sandbox.planning import ConfigurationError, Planner
from ferry.vendors.dmm.sandbox.quirks import chunks_of
from ferry.vendors.dmm.sandbox.works import ChunkError
from sandbox.clock import Clock
from sandbox.switches import Switches

MADE_ERROR = ("made-up: the chunk was refused by the database.", "made-up: correct the records and import them again.")
MADE_FATAL = ("made-up: the connection to the database was lost.", "made-up: see the database's own log.")


class Engine:
    """All executions of one environment that have not ended, and the order in which they may run."""

    def __init__(self, clock: Clock, switches: Switches, folder: Path, planner: Callable[[], Planner]) -> None:
        self._clock, self._switches = clock, switches
        self._folder, self._planner = folder, planner
        self._open: list[Execution] = []
        self._free = -math.inf

    def accept(self, execution: Execution) -> None:
        """Put a new execution in the queue."""
        execution.note(execution.accepted, f"{execution.order.type} {execution.key} was accepted.")
        self._open.append(execution)

    def next_due(self) -> float:
        """The moment at which something happens next."""
        return min((self._due(one) for one in self._open), default=math.inf)

    def step(self) -> None:
        """Let the next thing happen."""
        execution = min(self._open, key=self._due)
        at = self._due(execution)
        if execution.status == QUEUED:
            self._begin(execution, at)
        else:
            self._end_chunk(execution, at)

    def stop(self, execution: Execution, who: str) -> None:
        """Stop at the end of the chunk under way; what is only queued, at once."""
        execution.stopped_by = execution.stopped_by or who
        execution.note(self._clock.now(), f"A stop was asked for by {who}.", "WARN")
        if execution.status == QUEUED:
            self._stopped(execution, self._clock.now())

    def _due(self, execution: Execution) -> float:
        if execution.status != QUEUED:
            return execution.due
        if self._switches.flag("parallel"):
            return execution.begins
        return max(execution.begins, self._free) if execution is self._open[0] else math.inf

    def _begin(self, execution: Execution, at: float) -> None:
        execution.status, execution.began = RUNNING, at
        execution.size = self._switches.integer("chunk_records")
        execution.note(at, f"{execution.order.type} {execution.key} has begun.")
        try:
            execution.work = self._planner().work(execution.order, self._folder / execution.key)
        except ConfigurationError as error:
            self._end(execution, at, IN_ERROR, (str(error), "Danger"))
            return
        execution.parts = execution.work.parts
        for part in execution.parts:
            part.cut(execution.size)
        self._begin_chunk(execution, at)

    def _begin_chunk(self, execution: Execution, at: float) -> None:
        if execution.stopped_by:
            self._stopped(execution, at)
            return
        while execution.place < len(execution.parts):
            part = execution.parts[execution.place]
            if not part.begun:
                part.begun = True
                execution.note(at, f"{part.entity}: {part.total} records in {part.chunks} chunks.")
            if part.taken < part.total:
                part.chunks_begun += 1
                execution.message = (f"{execution.order.type}: {part.entity}, chunk {part.chunks_begun} of {part.chunks}", "Info")
                execution.due = at + self._switches.number("chunk_seconds")
                return
            execution.place += 1
        flawed = f" {len(execution.troubles)} entities have errors." if execution.troubles else ""
        self._end(execution, at, COMPLETE, (f"{execution.order.type} is complete.{flawed}", "Success"))

    def _end_chunk(self, execution: Execution, at: float) -> None:
        assert execution.work is not None
        part = execution.parts[execution.place]
        number = min(execution.size, part.total - part.taken)
        rows = execution.work.take(execution.place, number)
        part.taken += number
        fatal = f"{execution.order.fatal_errors} {self._switches.text('fatal_errors')}"
        if part.chunks_begun == chunks_of(fatal, part.entity):
            execution.trouble(at, part.entity, MADE_FATAL)
            self._end(execution, at, IN_ERROR, (f"{part.entity}: {MADE_FATAL[0]}", "Danger"))
            return
        try:
            self._spoil(part)
            execution.work.apply(execution.place, rows)
        except ChunkError as error:
            execution.trouble(at, part.entity, error.told)
        else:
            self._count(execution, part, len(rows), at)
        self._begin_chunk(execution, at)

    def _spoil(self, part: Part) -> None:
        if part.chunks_begun <= chunks_of(self._switches.text("entity_errors"), part.entity):
            raise ChunkError(*MADE_ERROR)

    def _count(self, execution: Execution, part: Part, number: int, at: float) -> None:
        part.completed += number
        part.chunks_completed += 1
        for line in range(1, self._switches.integer("log_lines_per_chunk") + 1):
            execution.note(at, f"{part.entity}: chunk {part.chunks_begun} of {part.chunks}, {number} records, line {line}")

    def _stopped(self, execution: Execution, at: float) -> None:
        words = f"The execution was stopped by {execution.stopped_by}. What was done is not reverted."
        self._end(execution, at, self._switches.text("word_after_stop"), (words, "Danger"))

    def _end(self, execution: Execution, at: float, word: str, message: tuple[str, str]) -> None:
        execution.status, execution.ended, execution.message, execution.due = word, at, message, math.inf
        execution.note(at, f"{word}: {message[0]}", "ERROR" if word == IN_ERROR else "INFO")
        if execution.work is not None:
            execution.work.close()
        elif execution.order.staged is not None:
            execution.order.staged.path.unlink(missing_ok=True)
        if execution.began is not None:
            self._free = max(self._free, at)
        self._open.remove(execution)
