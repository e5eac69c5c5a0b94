"""The demo's progress: a live table on a terminal, one line per change elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ferry.ledger.entries import Standing
from ferry.ledger.store import LedgerStore
from scripts.client import Client
from scripts.outcome import standing_of
from scripts.rehearsal import DemoBatch

AT_WORK = ("running", "deferred", "awaiting_input", "up_for_retry", "queued", "restarting")
COMING = ("scheduled",)
BUSY = (*AT_WORK, *COMING)
"""Task states worth showing, the most telling first."""
OFTEN = 10.0
"""Seconds between two lines on one step of a run of parts: a batch of a thousand would tell a thousand."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is shown of one batch."""

    batch: str
    attempt: str = ""
    step: str = ""
    word: str = ""
    counters: str = ""
    verdict: str = ""
    parts: bool = False
    """Whether the run has parts, whose words and numbers change with every one of them."""

    @property
    def task(self) -> str:
        """The task's name, whatever its state: of many that are mapped, each has its own."""
        return self.step.partition(" ")[0]

    @property
    def is_between_tasks(self) -> bool:
        """True for the moments in which Airflow has ended one task and not yet begun the next."""
        return bool(self.attempt) and not self.step and not self.verdict

    def told(self) -> str:
        """The row as one line for a log."""
        parts = [self.attempt and f"attempt {self.attempt}", self.step, self.word and f"vendor says {self.word!r}", self.counters]
        said = ", ".join(part for part in (*parts, self.verdict) if part)
        return f"{self.batch}: {said or 'waiting for its dispatch'}"


class Progress:
    """Shows the rows as they change, for as long as the block runs."""

    def __init__(self, console: Console, stack: Client, ledger: LedgerStore, batches: list[DemoBatch]) -> None:
        self.console, self.stack, self.ledger, self.batches = console, stack, ledger, batches
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._shown: dict[str, Row] = {}
        self._told_at: dict[str, float] = {}
        self.slots_held = 0
        """How many waiting tasks were ever seen on a worker."""

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the last table standing."""
        if self._live:
            self._live.stop()

    def show(self) -> bool:
        """Look once at Airflow and the ledger, and show what is new; true once no task is at work or about to be."""
        steps = self._steps()
        rows = [row_of(batch, standing_of(self.ledger, batch), steps) for batch in self.batches]
        for row in rows:
            self._time(row)
        if self._live:
            self._live.update(self._table(rows), refresh=True)
        else:
            self._tell([row for row in rows if self._is_new(row) and not row.is_between_tasks])
        return not steps

    def _is_new(self, row: Row) -> bool:
        """Whether a row is worth a line: it differs in more than how many parts are how far, or nothing was told for a while."""
        shown, at = self._shown.get(row.batch), self._told_at.get(row.batch, 0.0)
        if shown is None or row == shown:
            return shown is None
        by_parts = row.parts and replace(shown, counters=row.counters, step=row.step) == row and row.task == shown.task
        return not by_parts or time.monotonic() - at > OFTEN

    def _tell(self, rows: list[Row]) -> None:
        for row in rows:
            self.console.print(
                f"{time.strftime('%H:%M:%SZ', time.gmtime())} {row.told()}", highlight=False, markup=False, soft_wrap=True
            )
            self._shown[row.batch], self._told_at[row.batch] = row, time.monotonic()

    def _steps(self) -> dict[str, str]:
        """By DAG run id: the step it is at, with the task's state."""
        tasks = [task for states in (AT_WORK, COMING) for task in self._tasks(states)]
        self.slots_held += sum(task["task_id"].startswith("await_") and task["state"] == "running" for task in tasks)
        return steps_of(tasks)

    def _tasks(self, states: tuple[str, ...]) -> list[dict[str, Any]]:
        """As many tasks as Airflow tells at once; those about to be may be a thousand, and must not hide those at work."""
        return list(self.stack.api("GET", "/dags/~/dagRuns/~/taskInstances", state=list(states), limit=100)["task_instances"])

    def _time(self, row: Row) -> None:
        if row.attempt:
            self._begun.setdefault(row.batch, time.monotonic())
        if row.verdict and not row.step:
            self._ended.setdefault(row.batch, time.monotonic())
        else:
            self._ended.pop(row.batch, None)

    def _elapsed(self, name: str) -> str:
        if name not in self._begun:
            return ""
        return f"{self._ended.get(name, time.monotonic()) - self._begun[name]:.0f} s"

    def _table(self, rows: list[Row]) -> Table:
        table = Table(expand=False)
        for name in ("batch", "attempt", "step", "vendor's word", "vendor's counters", "verdict"):
            table.add_column(name)
        table.add_column("elapsed", justify="right")
        for row in rows:
            colour = {"balanced": "green", "": "white"}.get(row.verdict, "yellow")
            verdict = f"[{colour}]{row.verdict}[/]"
            table.add_row(row.batch, row.attempt, row.step, row.word, row.counters, verdict, self._elapsed(row.batch))
        return table


def steps_of(task_instances: list[dict[str, Any]]) -> dict[str, str]:
    """The most telling task of each DAG run, as `task (state)`."""
    ranked = sorted(task_instances, key=lambda task: BUSY.index(task["state"]), reverse=True)
    return {task["dag_run_id"]: f"{task['task_id']} ({task['state']})" for task in ranked}


def row_of(batch: DemoBatch, standing: Standing | None, steps: dict[str, str]) -> Row:
    """What is to be shown of a batch now."""
    if standing is None or standing.last is None:
        return Row(batch.name, step=steps.get(f"{batch.batch_id}.1", ""))
    last = standing.last
    number = last.attempt.number
    step = steps.get(f"{batch.batch_id}.{number}") or steps.get(batch.later_run, "")
    counters = last.parts_told or last.counters
    told = " ".join(f"{name.removesuffix('Count')} {value:,}" for name, value in counters.items() if value)
    word = "" if last.parts_told else last.word
    return Row(batch.name, str(number), step, word, told, str(last.verdict or ""), parts=bool(last.parts_told))
