"""What became of each datasource, folded from the ledger's entries: what was sent last, what Domo said, what nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ferry.core.model import RunState
from ferry.ledger.entries import ANSWERS, START, UNDO, AttemptStanding, Entry, Kind, part_of
from ferry.vendors.domo.vocabulary import INCOMPLETE, Direction

MEND = "mend_run"
"""The step that repeats or reverses what a migration left half-done."""
FORWARD_STEPS = (START, MEND)
EVERY_STEP = (START, MEND, UNDO)
MOVED = (RunState.SUCCEEDED, RunState.CANCELLED)
"""The states of a call that completed, there or back."""
TOLD = "told"
"""Key in the data of the entry with which a task ended red over a datasource: whoever runs it again after that may send again."""
DIRECTION, BEFORE = "direction", "before"
"""Keys in the data of an intent: which way, and how the list showed the datasource before it."""


@dataclass(slots=True)
class Fate:
    """One datasource's story so far, in the steps that were looked at."""

    step: str = ""
    """The step that dealt with it last."""
    intent: Entry | None = None
    """The newest wish to send."""
    answer: Entry | None = None
    """What is known of it; None while its answer is lost."""
    asked: bool = False
    """Whether it was watched in vain, so that a person is asked."""
    told: bool = False
    """Whether a task has ended red over what is known now."""
    incomplete: int = 0
    """How often Domo said INCOMPLETE in a row, since a task last ended red over it."""
    is_half_done: bool = False
    """Whether Domo said that it changed something and did not finish, and has finished nothing since. A word that nobody
    documents counts as that [A]."""

    in_doubt: bool = False
    """Whether an earlier call may yet turn out to have moved it: its answer was lost for good, or came too late."""

    @property
    def is_lost(self) -> bool:
        """True if something was sent and nobody knows what came of it."""
        return self.intent is not None and self.answer is None

    @property
    def state(self) -> RunState | None:
        """The state of the newest call; None if there was none, or its answer is lost."""
        return self.answer.state if self.answer else None

    @property
    def word(self) -> str:
        """Domo's own word for it."""
        return self.answer.word if self.answer else ""

    @property
    def has_moved(self) -> bool:
        """True if it is known to be on V2."""
        return self.state is RunState.SUCCEEDED

    @property
    def is_back(self) -> bool:
        """True if it is known to have been put back on V1."""
        return self.state is RunState.CANCELLED

    @property
    def was_turned_away(self) -> bool:
        """True if the newest call came to a certain no that was no state of Domo's: an HTTP error, or no connection."""
        return self.state is RunState.FAILED_CLEAN and not self.word

    @property
    def direction(self) -> Direction:
        """Which way the newest call goes."""
        if self.step == UNDO:
            return Direction.BACK
        return Direction(self.intent.data.get(DIRECTION, Direction.FORWARD)) if self.intent else Direction.FORWARD

    @property
    def before(self) -> dict[str, Any]:
        """How the list showed it before the newest call."""
        return dict(self.intent.data.get(BEFORE) or {}) if self.intent else {}

    @property
    def sent_at(self) -> float:
        """When the newest call was sent, in epoch seconds."""
        return self.intent.at.timestamp() if self.intent else 0.0

    def is_of(self, step: str) -> bool:
        """Whether that step dealt with it last."""
        return self.step == step

    def hear(self, entry: Entry) -> None:
        """Take in the next entry about this datasource."""
        if entry.kind is Kind.INTENT:
            self.step, self.intent, self.answer, self.asked, self.told = entry.step, entry, None, False, False
        elif entry.kind in ANSWERS and self._is_late(entry):
            self.in_doubt = True
        elif entry.kind in ANSWERS:
            self.step, self.answer, self.told = entry.step, entry, False
            self.incomplete = self.incomplete + 1 if entry.word == INCOMPLETE else 0
            if entry.state in MOVED:
                self.is_half_done = self.in_doubt = False
            elif entry.state is RunState.FAILED_DIRTY:
                self.is_half_done, self.in_doubt = self.is_half_done or bool(entry.word), self.in_doubt or not entry.word
        elif entry.kind is Kind.ASKED:
            self.asked = True
        elif entry.data.get(TOLD):
            self.told, self.incomplete = True, 0

    def _is_late(self, entry: Entry) -> bool:
        """Whether it answers an earlier call than the newest: a worker that was thought dead had it after all."""
        return self.intent is not None and entry.step == self.intent.step and entry.key != self.intent.key


def fates(standing: AttemptStanding, steps: Iterable[str] = FORWARD_STEPS) -> dict[str, Fate]:
    """The fate of every datasource that one of the steps has dealt with, by id."""
    wanted, found = frozenset(steps), dict[str, Fate]()
    for entry in standing.entries:
        if entry.step in wanted and (datasource := part_of(entry.key)):
            found.setdefault(datasource, Fate()).hear(entry)
    return found


def undone(standing: AttemptStanding) -> dict[str, Fate]:
    """The fate of those that somebody had reversed afterwards."""
    every = fates(standing, EVERY_STEP)
    return {one: fate for one, fate in every.items() if fate.is_of(UNDO)}
