"""A vendor run's states as a list of transitions, advanced at once, by looks, or by the simulated clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.clock import Clock


@dataclass(frozen=True, slots=True)
class Transition:
    """`source` becomes `target` once all conditions hold: so many seconds passed, so many looks taken, `when()` is true.

    Without a condition the change happens at once.
    """

    source: str
    target: str
    seconds: float = 0.0
    looks: int = 0
    when: Callable[[], bool] | None = None


class Machine:
    """Where one run stands. Nothing happens in the background: time is caught up with whenever somebody asks.

    `on_change(state, at)` is told of every change with the simulated time at which it fell due, not the time of the look.
    """

    def __init__(
        self,
        clock: Clock,
        state: str,
        transitions: Sequence[Transition] = (),
        on_change: Callable[[str, float], None] | None = None,
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._transitions = tuple(transitions)
        self.state = state
        self.since = clock.now()
        self.looks = 0

    def look(self) -> str:
        """The state now; counts as a look, so that `looks=3` means three looks still see the old state."""
        state = self.advance()
        self.looks += 1
        return state

    def advance(self) -> str:
        """The state now, after everything that is due; does not count as a look."""
        while (due := self._due()) is not None:
            transition, at = due
            self._enter(transition.target, at)
        return self.state

    def go(self, state: str, transitions: Sequence[Transition] | None = None) -> None:
        """Enter a state because somebody asked for it, with new transitions if given."""
        if transitions is not None:
            self._transitions = tuple(transitions)
        self._enter(state, self._clock.now())

    def _due(self) -> tuple[Transition, float] | None:
        now = self._clock.now()
        for step in self._transitions:
            if step.source != self.state or self.looks < step.looks or self.since + step.seconds > now:
                continue
            if step.when is None or step.when():
                waits_for_time_only = step.when is None and not step.looks
                return step, self.since + step.seconds if waits_for_time_only else now
        return None

    def _enter(self, state: str, at: float) -> None:
        self.state, self.since, self.looks = state, at, 0
        if self._on_change is not None:
            self._on_change(state, at)
