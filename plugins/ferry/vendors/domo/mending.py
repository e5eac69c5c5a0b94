"""What was left half-done: whether it is repeated or put back, as the manifest says or a person decides."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ferry.core.errors import LedgerError
from ferry.core.model import RunState
from ferry.ledger.entries import Entry, Kind
from ferry.vendors.domo.fates import FORWARD_STEPS, Fate, fates
from ferry.vendors.domo.moving import Mover, Pause
from ferry.vendors.domo.planning import kept, plan_of, portions
from ferry.vendors.domo.vocabulary import Direction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferry.steps.work import Work

DECIDE = "decide_mend"
REPEAT, REVERSE, LEAVE = "repeat", "reverse", "leave"
ACTION, MATTER = "action", "matter"
_SHOWN = 40


def half_done(work: Work) -> dict[str, Fate]:
    """The datasources that Domo began to change and did not finish, in this attempt or an earlier one, by id."""
    unfinished = {item.id for item in kept(work) if item.unfinished}
    return {
        one: fate
        for one, fate in fates(work.standing).items()
        if fate.is_half_done or (one in unfinished and not (fate.has_moved or fate.is_back or fate.is_lost))
    }


def matter_of(broken: dict[str, Fate]) -> str:
    """What exactly is decided on, as a hash: these datasources, and what was said of each last."""
    text = "\n".join(f"{one} {fate.answer.seq if fate.answer else 0}" for one, fate in sorted(broken.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def decided(work: Work, broken: dict[str, Fate]) -> str:
    """The action that is decided on already: by a person, or by the manifest; empty where a person must be asked."""
    known = work.result()
    if known and known.data.get(MATTER) == matter_of(broken):
        return str(known.data[ACTION])
    wanted = plan_of(work).on_incomplete
    if wanted == "ask":
        return ""
    action = REVERSE if wanted == "reverse" else LEAVE
    note = "The manifest says on_incomplete: " + ("reverse." if wanted == "reverse" else "retry, and the repeats are used up.")
    decide(work, broken, action, note)
    return action


def decide(work: Work, broken: dict[str, Fate], action: str, note: str) -> Entry:
    """Write down what is to become of them."""
    return work.record(
        Kind.RESULT,
        state=RunState.SUCCEEDED,
        note=note,
        data={ACTION: action, MATTER: matter_of(broken), "half_done": len(broken)},
    )


def to_mend(broken: dict[str, Fate], action: str) -> list[list[str]]:
    """The portions for Airflow's tasks; none if they are left."""
    return [] if action == LEAVE else portions(sorted(broken))


def question(broken: dict[str, Fate]) -> str:
    """What a person must know to decide, in Markdown: ids, Domo's words, the ids of the requests."""
    shown = sorted(broken.items())[:_SHOWN]
    rows = [f"| `{one}` | {fate.word} | {fate.answer.ref if fate.answer else ''} |" for one, fate in shown]
    more = [f"\n... and {len(broken) - _SHOWN:,} more."] if len(broken) > _SHOWN else []
    return "\n".join(
        [
            f"Domo has begun to change {len(broken):,} datasources and did not finish. What is built on them may be",
            "unavailable or broken until the same migration is repeated and completes. That a reversal rescues a half-done",
            "migration is **not documented**.",
            "",
            "| Datasource | Domo says | toe |",
            "|---|---|---|",
            *rows,
            *more,
            "",
            "What Domo gave as reasons stands in `errors.csv` of *fetch_errors* in the evidence.",
        ]
    )


def mend(work: Work, datasources: Sequence[str], *, rested: bool = False, watched: Sequence[str] = ()) -> Pause | dict[str, int]:
    """Repeat or reverse, as was decided."""
    said = work.standing.results.get((DECIDE, ""))
    if said is None or said.data.get(ACTION) not in {REPEAT, REVERSE}:
        raise LedgerError(f"The ledger does not know what was decided for {work.attempt}; clear {DECIDE}. Nothing was sent.")
    direction = Direction.FORWARD if said.data[ACTION] == REPEAT else Direction.BACK
    mover = Mover(work, direction, plan_of(work).repeats, FORWARD_STEPS)
    mover.rested = rested
    mover.weigh(watched)
    return mover.all_of(datasources)
