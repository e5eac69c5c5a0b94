"""The control: a naive operator in Ferry's place, killed and judged alike. It has to be caught, or nothing is proved."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from scripts.chaos.cargo import FenergoCargo, Load
from scripts.chaos.plan import ACCEPTED, TASK, Ticket
from scripts.chaos.stage import Stage
from scripts.chaos.supervisor import TICKETS
from scripts.client import ApiError

DAG = "naive_fenergo"
FIRST = 9000
"""Its batches have numbers that Ferry's have not."""


class NaiveCargo(FenergoCargo):
    """Three companies each, all of them good."""

    refused_every = 10**9


class Control:
    """Batches that a naive operator moves; each loses its worker right after the vendor accepted, once."""

    def __init__(self, stage: Stage, number: int) -> None:
        self._stage, self._cargo = stage, NaiveCargo()
        folder = stage.folder / "batches"
        self.loads: list[Load] = [self._cargo.load(folder, FIRST + n, None) for n in range(number)]
        for load in self.loads:
            (folder / load.vendor / load.batch_id / "manifest.yaml").unlink()  # Ferry must not see them
            ticket = Ticket(load.batch_id, "migrate", ACCEPTED, TASK)
            (stage.folder / TICKETS / ticket.name).write_text(ticket.victim, encoding="utf-8")
        self.duplicates = self.batches = 0

    def begin(self) -> None:
        """Trigger them."""
        for load in self.loads:
            asked = {"dag_run_id": f"{load.batch_id}.1", "logical_date": None, "conf": {"batch_id": load.batch_id}}
            with suppress(ApiError):
                self._stage.api("POST", f"/dags/{DAG}/dagRuns", asked)

    def end(self, patience: float = 120.0) -> None:
        """Wait until they are over, and count what the vendor has seen."""
        until = time.monotonic() + patience
        while time.monotonic() < until and self._stage.every(f"/dags/{DAG}/dagRuns", "dag_runs", state=["queued", "running"]):
            time.sleep(1)
        seen = self._cargo.witness(self._stage.stack.sandbox("GET", "/fenergo/state"), self.loads)
        self.duplicates = sum(one.twice for one in seen.values())
        self.batches = sum(one.twice > 0 for one in seen.values())

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "operator": "ResumableJobMixin",
            "batches": len(self.loads),
            "started_twice": self.batches,
            "duplicates": self.duplicates,
        }
