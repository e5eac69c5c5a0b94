"""Operations: a POST is worked on until its simulated moment, whoever listens. Before every call all that is due happens."""

from __future__ import annotations

import asyncio
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

from ferry.vendors.domo.sandbox.datasource import Datasource
from ferry.vendors.domo.sandbox.judging import BACK, CONFLICT, DELETED, IN_PROGRESS, Order, Verdict, apply, judged
from ferry.vendors.domo.sandbox.outcomes import ABORTED, Outcomes
from ferry.vendors.domo.sandbox.tally import Tally
from sandbox.clock import Clock, iso
from sandbox.switches import Switches

LETTERS = string.ascii_uppercase + string.digits


@dataclass(slots=True, eq=False)
class Operation:
    """One operation. `verdict` is fixed when the work begins and nobody's to know before `end`."""

    order: Order
    start: float
    seconds: float
    toe: str
    after: Operation | None = None
    """The operation on the same datasource whose end this one waits for."""
    due: float = 0.0
    verdict: Verdict | None = None
    end: float | None = None
    posts: int = 1
    at_once: int = 1
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has ended, and when the whole instance is forgotten."""

    @property
    def wakes(self) -> float:
        """The moment at which there may be news of it."""
        return self.due if self.after is None else self.after.wakes

    def document(self) -> dict[str, Any]:
        """For rehearsals; without state and end while it is under way."""
        return {
            "toe": self.toe,
            "datasourceId": self.order.datasource.id,
            "direction": self.order.direction,
            "state": self.verdict.state if self.verdict and self.end is not None else None,
            "startTime": iso(self.start),
            "endTime": None if self.end is None else iso(self.end),
            "at_once": self.at_once,
        }


class Operations:
    """All operations of the instance, those under way and those that have ended."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock, self._switches = clock, switches
        self._outcomes = Outcomes()
        self._open: list[Operation] = []
        self._all: list[Operation] = []
        self.tally = Tally()

    def under_way(self) -> int:
        """How many POSTs are being worked on now."""
        return sum(operation.posts for operation in self._open)

    def busy(self, datasource: Datasource) -> Operation | None:
        """The last operation under way for a datasource."""
        return next((one for one in reversed(self._open) if one.order.datasource is datasource), None)

    def post(self, order: Order) -> Operation:
        """Begin what a POST asks for, put it behind another one, join it to one, or refuse it, as the switches say."""
        self.tally.count(order)
        other, policy, now = self.busy(order.datasource), self._switches.text("parallel_post"), self._clock.now()
        if other is not None and policy == "joined" and other.order.direction == order.direction:
            other.posts += 1
            self.tally.together(self.under_way())
            return other
        operation = Operation(order, now, self._seconds(order), new_toe())
        self._open.append(operation)
        self._all.append(operation)
        operation.at_once = self.tally.together(self.under_way())
        if other is None:
            self._begin(operation, now)
        elif policy == "queued":
            operation.after = other
        else:
            operation.due, operation.verdict = now, Verdict(ABORTED, IN_PROGRESS, worked=False)  # [A]
        self.catch_up()
        return operation

    def catch_up(self) -> None:
        """Let every operation end that is due, the earliest first; one that waited for it begins at that moment."""
        while (operation := self._due()) is not None:
            self._finish(operation)

    async def ended(self, operation: Operation) -> None:
        """Wait until the operation has ended, or was forgotten: then it has no end."""
        while not operation.over.is_set():
            waits = [
                asyncio.ensure_future(self._clock.sleep_until(operation.wakes)),
                asyncio.ensure_future(operation.over.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            self.catch_up()

    def forget(self) -> None:
        """Let go of everything under way: nobody shall wait for a former life."""
        for operation in self._open:
            operation.over.set()
        self._open.clear()

    def documents(self) -> list[dict[str, Any]]:
        """Every operation for rehearsals, in order of arrival. A POST that got a 409 was none."""
        return [one.document() for one in self._all if one.verdict is None or one.verdict.state != CONFLICT]

    def _seconds(self, order: Order) -> float:
        return self._switches.number("reverse_seconds" if order.direction == BACK else "migrate_seconds")

    def _begin(self, operation: Operation, at: float) -> None:
        operation.after = None
        operation.verdict = judged(operation.order, self._switches, self._outcomes)
        operation.due = at + (operation.seconds if operation.verdict.worked else 0.0)

    def _due(self) -> Operation | None:
        now = self._clock.now()
        due = [one for one in self._open if one.after is None and one.due <= now]
        return min(due, key=lambda one: one.due, default=None)

    def _finish(self, operation: Operation) -> None:
        self._open.remove(operation)
        operation.end, datasource = operation.due, operation.order.datasource
        assert operation.verdict is not None
        if datasource.gone:
            operation.verdict = Verdict(ABORTED, DELETED)
        apply(operation.order, operation.verdict, operation.end, self._switches)
        self.permit(datasource)
        operation.over.set()
        for follower in self._open:
            if follower.after is operation:
                self._begin(follower, operation.end)

    def permit(self, datasource: Datasource) -> None:
        """Note that a migration may be asked for again, if so."""
        if not datasource.migrated and self.busy(datasource) is None:
            self.tally.permit(datasource.id)


def new_toe() -> str:
    """A request's id as the vendor's samples look [D]."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(length)) for length in (10, 5, 5))
