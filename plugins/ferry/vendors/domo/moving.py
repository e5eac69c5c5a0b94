"""One datasource, one way: sent once, repeated only where Domo says that this is the cure, watched where the answer is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ferry.core.errors import LedgerError, StorageError, VendorRefused
from ferry.core.model import Run, RunState
from ferry.ledger.entries import UNDO, Kind, LedgerFull
from ferry.vendors.domo.api import moved
from ferry.vendors.domo.fates import BEFORE, DIRECTION, MEND, TOLD, Fate, fates
from ferry.vendors.domo.planning import Plan, kept, plan_of
from ferry.vendors.domo.vocabulary import INCOMPLETE, Direction

if TYPE_CHECKING:
    from ferry.core.exchange import Exchange
    from ferry.ledger.evidence import Filed
    from ferry.steps.work import Work
    from ferry.vendors.domo.api import DomoApi
    from ferry.vendors.domo.mapping import Item
    from ferry.vendors.domo.shapes import Answer, Candidate

log = logging.getLogger(__name__)
FIRST_REST, REST_GROWS, LONGEST_REST = 10.0, 3.0, 300.0
"""Seconds before an INCOMPLETE call is repeated: the first time, by how much more each time, and at most [A]."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a task lets go of its worker for a while: no room, a rest before a repeat, or an answer that was lost."""

    why: Literal["room", "rest", "proof"]
    datasource: str = ""
    seconds: float = 0.0
    """How long a rest takes."""


class Mover:
    """Moves datasources of one attempt one way, in one step. Every word on how far it has come is in the ledger.

    `repeats` is how often an INCOMPLETE call is sent again without anybody asking for it.
    """

    def __init__(self, work: Work, direction: Direction, repeats: int, steps: Sequence[str]) -> None:
        self.work, self.direction, self.repeats, self.steps = work, direction, repeats, steps
        self.rested = False

    def all_of(self, datasources: Sequence[str]) -> Pause | dict[str, int]:
        """Move them one after the other: the first thing to wait for, or counts by what is known of them when all are through.

        VendorRefused, once all were tried, if Domo said no to any.
        """
        bad, known = dict[str, Fate](), dict[str, int]()
        for datasource in datasources:
            pause = self._advance(datasource)
            if pause is not None:
                return pause
            fate = self._fate(datasource)
            said = "unknown" if fate.is_lost else fate.word
            known[said] = known.get(said, 0) + 1
            left_to_a_person = fate.is_lost and not fate.is_of(MEND)
            if not left_to_a_person and not self._is_there(fate):
                bad[datasource] = fate
        if bad:  # told only when all are through: what was told may be sent again
            raise VendorRefused(" ".join([self._tell(datasource, fate) for datasource, fate in bad.items()]))
        return known

    def weigh(self, datasources: Sequence[str]) -> None:
        """After a watch: what the list proves is adopted; what it does not is left to a person."""
        every = self._fates()
        lost = {one: every[one] for one in datasources if one in every and every[one].is_lost}
        proved = self.proved(lost)
        for datasource, fate in lost.items():
            if datasource not in proved and not fate.asked and fate.intent is not None:
                note = f"The answer was lost, and Domo's list has shown no {self.direction.noun} since."
                self.work.record(Kind.ASKED, step=fate.step, key=fate.intent.key, ref=datasource, note=note)

    def proved(self, lost: Mapping[str, Fate]) -> set[str]:
        """Those whose move the candidates list proves; their fate is known from here on."""
        if not lost:
            return set()
        listed = self.work.call(lambda api: api.candidates(self.plan.account_id))
        found = moved(listed, {one: fate.before for one, fate in lost.items()}, self.direction)
        for datasource in sorted(found):
            note = f"The answer was lost; Domo's candidates list shows the datasource {self.direction.done}."
            self._adopt(datasource, lost[datasource], note)
        return found

    @cached_property
    def plan(self) -> Plan:
        """What was found when the batch was checked."""
        return plan_of(self.work)

    @cached_property
    def _items(self) -> dict[str, Item]:
        return {item.id: item for item in kept(self.work)}

    def _fates(self) -> dict[str, Fate]:
        return fates(self.work.standing, self.steps)

    def _fate(self, datasource: str) -> Fate:
        return self._fates().get(datasource) or Fate()

    def _is_there(self, fate: Fate) -> bool:
        return fate.has_moved if self.direction is Direction.FORWARD else fate.is_back

    def _advance(self, datasource: str) -> Pause | None:
        """As far as it goes without waiting: what to wait for, or None once nothing more is to be done now."""
        while True:
            fate = self._fate(datasource)
            if self._is_there(fate):
                return None
            if fate.is_lost and not fate.asked:
                return Pause("proof", datasource)
            if fate.is_lost and not self._may_repeat_lost(fate):
                return None
            if self._has_a_no(fate):
                if (fate.in_doubt and self._was_moved_before(datasource, fate)) or not self._may_repeat(fate):
                    return None
                if not self.rested:
                    rest = min(LONGEST_REST, FIRST_REST * REST_GROWS ** (fate.incomplete - 1))
                    return Pause("rest", datasource, rest)
            self.rested = False
            try:
                self._send(datasource, fate)
            except LedgerFull as full:
                log.info("%s", full.message)
                return Pause("room", datasource)

    def _has_a_no(self, fate: Fate) -> bool:
        """Whether Domo's own word stands against it and nobody was told yet. Once told, whoever runs the task again may send."""
        return fate.direction is self.direction and bool(fate.word) and not (fate.told or fate.is_lost)

    def _may_repeat(self, fate: Fate) -> bool:
        """Whether the same call is sent again without anybody asking: only INCOMPLETE is cured by that [D]."""
        return fate.word == INCOMPLETE and fate.incomplete <= self.repeats

    def _was_moved_before(self, datasource: str, fate: Fate) -> bool:
        """Whether Domo refused because an earlier call, of which nobody knew, has moved it; then that is what counts."""
        there = self.work.call(lambda api: api.candidates(self.plan.account_id)).get(datasource)
        if fate.is_half_done or there is None or not there.stands(self.direction):
            return False
        note = f"Domo's list shows the datasource {self.direction.done}: an earlier call, whose answer was lost, was heard."
        self._adopt(datasource, fate, note)
        return True

    def _may_repeat_lost(self, fate: Fate) -> bool:
        """A mending call whose answer was lost may be sent again by whoever runs the red task again: that is the cure [D]."""
        if not (fate.is_of(MEND) and fate.told) or fate.intent is None:
            return False
        note = "The answer was lost for good; the same call is sent again, which mends whatever it left behind."
        self.work.record(Kind.RESULT, step=MEND, key=fate.intent.key, state=RunState.FAILED_DIRTY, note=note)
        return True

    def _send(self, datasource: str, fate: Fate) -> None:
        listed = self.work.call(lambda api: api.candidates(self.plan.account_id))
        there = listed.get(datasource)
        if there is None:
            raise VendorRefused(
                f"Domo no longer lists datasource {datasource} for account {self.plan.account_id}, so nothing was sent for it. "
                "Was it deleted, or have the rights of the token's user changed? Correct that, then clear this task."
            )
        if there.stands(self.direction) and not (fate.is_half_done or self._items[datasource].unfinished):
            self._stands_already(datasource, there, fate)
            return
        filed: list[Filed] = []
        self.work.once(
            self._verb(datasource, filed),
            part=datasource,
            ref=datasource,
            data={DIRECTION: str(self.direction), BEFORE: there.to_json()},
            weighed=fate.answer.seq if fate.answer else 0,
            evidence=lambda: filed[-1] if filed else None,
            max_parts=self.plan.at_once,
            part_seconds=part_seconds(self.work),
            max_live=self.work.hook.settings.max_live_runs if self.direction is Direction.FORWARD else None,
        )

    def _verb(self, datasource: str, filed: list[Filed]) -> Callable[[DomoApi], Exchange[Run]]:
        # Before the intent is written: read after it, a store that is away would leave an intent of which nothing was sent.
        item = self._items[datasource] if self.direction is Direction.FORWARD else None

        def verb(api: DomoApi) -> Exchange[Run]:
            if item is not None:
                answer = yield from api.migrate(datasource, self.plan.account_id, item.coordinates)
            else:
                answer = yield from api.reverse(datasource)
            self._file(datasource, answer, filed)  # before the result is in the ledger, which never names what is not there
            return answer.run(datasource, self.direction)

        return verb

    def _file(self, datasource: str, answer: Answer, filed: list[Filed]) -> None:
        """Keep the answer as it came. A full disk, or a store that is away, must not lose what it says: the ledger takes it."""
        work = self.work
        try:
            filed.append(work.evidence.file_json(work.attempt, work.step, f"{datasource}.json", answer.raw))
        except (OSError, LedgerError, StorageError) as error:
            log.error("Domo's answer for %s (toe %s) could not be kept as a file: %s", datasource, answer.toe, error)  # noqa: TRY400 (the disk's word is all there is)

    def _stands_already(self, datasource: str, there: Candidate, fate: Fate) -> None:
        """The list shows it where it is to go, and nothing was sent that could have done that: Domo is not asked again."""
        ours = fate.state is RunState.FAILED_DIRTY or fate.in_doubt  # a call that nobody could prove was heard after all
        if self.direction is Direction.FORWARD and not ours and self.plan.already_migrated == "refuse":
            raise VendorRefused(
                f"Somebody has migrated datasource {datasource} since the batch was checked"
                f"{f' ({there.date})' if there.date else ''}, and Domo does not tell to which table. Nothing was sent for it. "
                "Reverse it in Domo and clear this task, or write `already_migrated: accept` into the manifest and trigger again."
            )
        self._adopt(datasource, fate, f"Domo's list shows the datasource {self.direction.done}; nothing was sent.")

    def _adopt(self, datasource: str, fate: Fate, note: str) -> None:
        """What the list shows becomes known of the call that was sent, or of this step where it sent none."""
        step, key = (
            (fate.step, fate.intent.key) if fate.is_lost and fate.intent else (self.work.step, self._key(datasource, fate))
        )
        facts: dict[str, Any] = {"word": self.direction.done, "state": _done(self.direction), "note": note}
        self.work.record(Kind.ADOPTED, step=step, key=key, ref=datasource, **facts)

    def _key(self, datasource: str, fate: Fate) -> str:
        return fate.intent.key if fate.intent and fate.intent.step == self.work.step else datasource

    def _tell(self, datasource: str, fate: Fate) -> str:
        """Note that a person is told of it, which allows whoever runs the task again to send again."""
        way_on = "trigger reverse_domo again" if self.work.step == UNDO else "clear this task"
        told = sentence(datasource, fate, self.direction, way_on)
        ref = fate.answer.ref if fate.answer else datasource
        self.work.record(Kind.LOOK, key=self._key(datasource, fate), ref=ref, note=told, data={TOLD: True})
        return told


def sentence(datasource: str, fate: Fate, direction: Direction, way_on: str) -> str:
    """What Domo said of a datasource, what that means, and what to do."""
    answer = fate.answer
    toe = f"toe {answer.ref}" if answer and answer.ref != datasource else "no toe"
    because = f": {answer.note.rstrip('.')}" if answer and answer.note else ", without a reason"
    said = f"Datasource {datasource}: the {direction.noun} is {fate.word or 'not known'}{because} ({toe})."
    if fate.state is RunState.FAILED_CLEAN and not fate.is_half_done:
        return f"{said} Nothing about it was changed. Correct the cause, then {way_on}."
    return f"{said} What is built on it may be broken until the same call completes: {way_on} to send it again."


def part_seconds(work: Work) -> int:
    """How long a call can be under way at most: after that its place is free, whatever became of who watched it."""
    settings: Any = work.hook.settings
    return int(settings.answer_timeout + settings.visible_delay) + 60


def _done(direction: Direction) -> RunState:
    return RunState.SUCCEEDED if direction is Direction.FORWARD else RunState.CANCELLED
