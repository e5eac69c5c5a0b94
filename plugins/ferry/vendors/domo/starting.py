"""The migrations of a batch: sent datasource by datasource, and what to do about answers that were lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ferry.core.model import RunState
from ferry.ledger.entries import UNDO, Kind
from ferry.vendors.domo.fates import EVERY_STEP, FORWARD_STEPS, Fate, fates
from ferry.vendors.domo.moving import Mover, Pause
from ferry.vendors.domo.planning import plan_of
from ferry.vendors.domo.vocabulary import Direction

if TYPE_CHECKING:
    from ferry.steps.work import Work

_SHOWN = 40
IDS = "ids"
"""Key in the data of a question: the datasources it is about."""


def start(work: Work, datasources: Sequence[str], *, rested: bool = False, watched: Sequence[str] = ()) -> Pause | dict[str, int]:
    """Migrate these, once each; an INCOMPLETE one is repeated as often as the manifest allows."""
    work.must_hold()
    mover = start_mover(work)
    mover.rested = rested
    mover.weigh(watched)
    return mover.all_of(datasources)


def start_mover(work: Work) -> Mover:
    """What migrates the datasources of an attempt."""
    plan = plan_of(work)
    return Mover(work, Direction.FORWARD, plan.repeats if plan.on_incomplete == "retry" else 0, FORWARD_STEPS)


def lost(work: Work, step: str) -> dict[str, Fate]:
    """The datasources whose newest call is that step's and whose answer nobody has, by id."""
    return {one: fate for one, fate in fates(work.standing, EVERY_STEP).items() if fate.is_lost and fate.is_of(step)}


def delay_of(work: Work) -> float:
    """How late Domo's list may be, in seconds, as the connection says."""
    settings: Any = work.hook.settings
    return float(settings.visible_delay)


def deadline_of(work: Work, unknown: Mapping[str, Fate], *, anew: bool = False) -> float:
    """Until when the list is watched for proof, in epoch seconds: the newest call and Domo's visible delay; or from now on."""
    begun = [] if anew else [fate.sent_at for fate in unknown.values()]
    return max(begun, default=datetime.now(UTC).timestamp()) + delay_of(work)


def mover_of(work: Work, step: str) -> Mover:
    """What moves the datasources of that step, for looking at those that were sent."""
    return Mover(work, Direction.BACK if step == UNDO else Direction.FORWARD, 0, EVERY_STEP)


def question(unknown: Mapping[str, Fate]) -> str:
    """What a person must know to find out, in Markdown."""
    direction = next(iter(unknown.values())).direction
    rows = [
        f"| `{one}` | {fate.intent.at:%Y-%m-%d %H:%M:%S} UTC |" for one, fate in sorted(unknown.items())[:_SHOWN] if fate.intent
    ]
    more = [f"\n... and {len(unknown) - _SHOWN:,} more."] if len(unknown) > _SHOWN else []
    return "\n".join(
        [
            f"The answer to the {direction.noun} of {len(unknown):,} datasources was lost, and Domo's list does not show them",
            f"{direction.done}, though its visible delay has passed. Nothing is sent a second time while nobody knows.",
            "",
            "| Datasource | Sent |",
            "|---|---|",
            *rows,
            *more,
            "",
            "Look at them in Domo. **Look again** watches the list once more. The other answer leaves them open and the batch",
            "red: whoever triggers the batch (or its reversal) again sends them again.",
        ]
    )


def shown(work: Work, unknown: Mapping[str, Fate]) -> dict[str, Fate]:
    """Those that the answer is about: Airflow 3.3.2 goes on showing a task's first question, whatever it asks later."""
    asked = [e for e in work.standing.entries if e.step == work.step and e.kind is Kind.ASKED and e.origin.same_run(work.origin)]
    first = set(asked[0].data.get(IDS) or []) if asked else set()
    return {one: fate for one, fate in unknown.items() if one in first}


def leave_open(work: Work, unknown: Mapping[str, Fate], who: str) -> None:
    """A person says that they were not moved: that is not rounded up to *nothing changed*, but they may be sent again."""
    for fate in unknown.values():
        if fate.intent is not None:
            note = f"{who} says that it was not moved."
            step, key = fate.intent.step, fate.intent.key
            work.record(Kind.RESULT, step=step, key=key, state=RunState.FAILED_DIRTY, note=note)
