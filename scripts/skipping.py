"""Time that is skipped while nothing happens: ten minutes of waiting take a second, and every request its real time.

The clocks of this process (`time.time`, `time.monotonic`, and `datetime.now` in Ferry's own modules) show real time plus what
was skipped, so event loop, timeouts, connection pools and Ferry agree on what time it is. Other processes know nothing of it: a
server that is to be measured runs in one. A clock that somebody took hold of earlier, as a default argument, stays real:
Fenergo's tokens age in real time, which ten minutes do not show, as a token lives fifteen.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
GRACE = 0.05
"""Real seconds for which sockets may still become ready before idle time is skipped; a loopback server answers in a few ms."""
_real_time, _real_monotonic = time.time, time.monotonic


class Clock:
    """Real time plus what was skipped."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def time(self) -> float:
        """What `time.time` says."""
        return _real_time() + self.skipped

    def monotonic(self) -> float:
        """What `time.monotonic` says."""
        return _real_monotonic() + self.skipped

    def datetime(self) -> type[datetime]:
        """What `datetime` is in Ferry's modules."""
        clock = self

        class Shown(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + timedelta(seconds=clock.skipped)

        return Shown


class Loop(asyncio.SelectorEventLoop):
    """Skips the time until its next timer when no socket stirs and no thread works for it; counts the connections it makes."""

    def __init__(self, clock: Clock, grace: float = GRACE) -> None:
        self.connections, self.in_threads = 0, 0
        super().__init__(_Selector(clock, grace, lambda: self.in_threads > 0))

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Every asynchronous client connects by this method of its loop."""
        self.connections += 1
        await super().sock_connect(sock, address)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """A thread's work takes the time it takes."""
        work = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        work.add_done_callback(self._come_back)
        return work

    def _come_back(self, _work: Any) -> None:
        self.in_threads -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, clock: Clock, grace: float, is_busy: Callable[[], bool]) -> None:
        super().__init__()
        self._clock, self._grace, self._is_busy = clock, grace, is_busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= self._grace or self._is_busy():
            return super().select(timeout)
        begun = _real_monotonic()
        if ready := super().select(self._grace):
            return ready
        self._clock.skipped += max(0.0, timeout - (_real_monotonic() - begun))
        return super().select(0)


def run(main: Callable[[Loop], Coroutine[Any, Any, T]], grace: float = GRACE) -> T:
    """What the coroutine returns, in a loop that skips idle time."""
    clock = Clock()
    with _shown(clock), asyncio.Runner(loop_factory=lambda: Loop(clock, grace)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Loop)
        return runner.run(main(loop))


@contextmanager
def _shown(clock: Clock) -> Iterator[None]:
    """Everybody in this process sees that clock."""
    ours = [module for name, module in sys.modules.items() if name.startswith("ferry.")]
    places: list[tuple[Any, str, Any]] = [(time, "time", clock.time), (time, "monotonic", clock.monotonic)]
    shown = clock.datetime()
    places += [(module, "datetime", shown) for module in ours if getattr(module, "datetime", None) is datetime]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    try:
        for owner, name, value in places:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
