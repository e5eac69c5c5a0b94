"""Work that ends at a simulated moment. Nothing runs in the background: before every call, what is due is caught up with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.clock import Clock

Finish = Callable[[float], None]


@dataclass(slots=True, eq=False)
class Work:
    """One piece of work: whose status it is, when it ends, and how many looks are still shown the old status after that."""

    subject: object
    ends: float
    looks: int
    held: bool
    finish: Finish


class Agenda:
    """All work of both environments, on one clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._works: list[Work] = []

    def begin(self, subject: object, ends: float, looks: int, finish: Finish) -> None:
        """Call `finish` with the moment at which the work ended, once that has come and so many looks were taken after it."""
        self._works.append(Work(subject, ends, looks, looks > 0, finish))

    def catch_up(self) -> None:
        """Let everything happen that is due, the earliest first; what it begins may be due as well."""
        while self._works and (due := self._due()) is not None:
            self._works.remove(due)
            due.finish(self._clock.now() if due.held else due.ends)

    def looked(self, subject: object) -> None:
        """Somebody was shown the status of the subject."""
        for work in self._works:
            if work.subject is subject and work.looks and work.ends <= self._clock.now():
                work.looks -= 1

    def _due(self) -> Work | None:
        now = self._clock.now()
        due = [work for work in self._works if work.ends <= now and not work.looks]
        return min(due, key=lambda work: work.ends, default=None)
