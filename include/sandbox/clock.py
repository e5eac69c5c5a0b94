"""The one clock of a sandbox: simulated seconds that can be sped up, stopped or jumped over."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Simulated time. Starts at the real time and runs `speed` times as fast; jumps only forward."""

    def __init__(self, speed: float = 1.0) -> None:
        self._start_speed = speed
        self._changed = asyncio.Event()
        self.reset()

    def reset(self) -> None:
        """Go back to real time and the speed the sandbox was started with."""
        self.speed = self._start_speed
        self._real = time.monotonic()
        self._simulated = time.time()
        self._wake()

    def now(self) -> float:
        """Simulated seconds since the epoch."""
        return self._simulated + (time.monotonic() - self._real) * self.speed

    def moment(self) -> datetime:
        """The simulated time as a UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def run_at(self, speed: float) -> None:
        """Let time run `speed` times as fast from now on; 0 stops it."""
        self._rebase(self.now())
        self.speed = speed
        self._wake()

    def advance(self, seconds: float) -> None:
        """Jump forward at once; everything that falls due on the way happens."""
        self._rebase(self.now() + seconds)
        self._wake()

    async def sleep_until(self, when: float) -> None:
        """Wait for a simulated moment, however the clock is changed meanwhile."""
        while (missing := when - self.now()) > 0:
            changed = self._changed
            patience = missing / self.speed if self.speed else None
            try:
                await asyncio.wait_for(changed.wait(), patience)
            except TimeoutError:
                continue

    def _rebase(self, simulated: float) -> None:
        self._simulated, self._real = simulated, time.monotonic()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def iso(seconds: float) -> str:
    """A moment as the vendors of this sandbox write it: milliseconds and an offset."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
