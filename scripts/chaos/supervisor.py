"""What a supervisor does on every machine that runs Airflow: whoever died is started again. Here it is also who kills."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.chaos.plan import API_SERVER, HOST, SCHEDULER, TRIGGERER
from scripts.stack import Stack

LOOKS = 0.05
"""Seconds between two looks for orders and for the dead."""
DOWN = 1.0
"""Seconds for which a process is down before it is started again."""
ORPHANED = 5.0
"""Seconds for which a scheduler's workers outlive it."""
SERVICE = {TRIGGERER: "triggerer", SCHEDULER: "scheduler", HOST: "scheduler", API_SERVER: "api-server"}
ORDERS, DONE, TICKETS, TAKEN, STRUCK = "orders", "done", "tickets", "taken", "struck"


@dataclass(frozen=True, slots=True)
class Kill:
    """One process that was killed, or that died by itself."""

    victim: str
    why: str
    """The ticket's name; `random`; or `by itself`."""
    at: float
    back_at: float
    """When it was started again, in epoch seconds."""


class Supervisor:
    """Kills what tickets and others want killed, and starts again what is dead, in a thread of its own while the block runs."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.kills: list[Kill] = []
        self._wished: list[str] = []
        self._resting: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While the block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    def kill(self, victim: str) -> None:
        """Have somebody die soon, whatever they do."""
        self._wished.append(victim)

    def retire(self, service: str) -> None:
        """A service that is not to be started again."""
        self._resting.add(service)
        self.stack.kill(service)

    def _run(self) -> None:
        while not self._over.wait(LOOKS):
            for order in sorted(self.folder.glob(f"{ORDERS}/[!.]*")):
                victim = order.read_text(encoding="utf-8")
                order.unlink()
                self._strike(victim, order.name)
            while self._wished:
                self._strike(self._wished.pop(0), "random")
            for name, service in list(self.stack.services.items()):
                if service.exit_code is not None and name not in self._resting:
                    self._bring_back(name, "by itself", time.time())

    def _strike(self, victim: str, why: str) -> None:
        service = SERVICE[victim]
        at = time.time()
        if victim == SCHEDULER:
            # Its workers, and the tasks they run, go on without it for a moment; then the supervisor clears up after it, as it
            # does on a real machine: what is left holds the dead one's connection, and its locks, and nobody could schedule.
            self.stack.services[service].behead()
            (self.folder / DONE / why).touch()
            self._over.wait(ORPHANED)
        self.stack.kill(service)
        (self.folder / DONE / why).touch()  # whoever stands still at that point goes on, if it lives
        self._bring_back(service, why, at, victim)

    def _bring_back(self, service: str, why: str, at: float, victim: str = "") -> None:
        self._over.wait(DOWN)
        self.stack.start_service(service)
        self.kills.append(Kill(victim or service, why, at, time.time()))
