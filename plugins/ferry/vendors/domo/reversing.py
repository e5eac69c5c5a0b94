"""Back to V1: a batch, or some of its datasources, reversed after a person has agreed."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BadInput, BatchRefused
from ferry.core.model import Counts, RunState
from ferry.ledger.entries import UNDO, AttemptStanding, Kind
from ferry.steps.undoing import LEFT, reopen, undo_part
from ferry.vendors.domo.fates import EVERY_STEP, Fate, fates
from ferry.vendors.domo.moving import Mover, Pause
from ferry.vendors.domo.planning import kept, plan_of, portions, write_csv
from ferry.vendors.domo.vocabulary import Direction

if TYPE_CHECKING:
    from ferry.steps.work import Work
    from ferry.vendors.domo.shapes import Candidates

log = logging.getLogger(__name__)
AUTO = "The manifest says reversal: auto, so nobody was asked."
_SHOWN = 40


def check_undo(work: Work, named: Sequence[str]) -> list[list[str]]:
    """The datasources that are to be reversed, in portions: those that are named, else all that the batch has moved.

    BadInput for a name that is not in the batch; BatchRefused if there is nothing to reverse.
    """
    part = undo_part(work)
    items, every = {item.id: item for item in kept(work)}, fates(work.standing, EVERY_STEP)
    if strangers := [one for one in named if one not in items]:
        raise BadInput(
            f"{', '.join(strangers[:10])}{' ...' if len(strangers) > 10 else ''} is not in batch {work.attempt.batch_id}. "
            "Nothing was sent; correct the list and trigger again."
        )
    listed = _listed(work)
    wanted = list(dict.fromkeys(named)) or [one for one in items if _is_ours(every.get(one), items[one].already)]
    due = [one for one in wanted if _can_be_reversed(one, every.get(one), listed)]
    half = sum(every[one].is_half_done for one in due if one in every)
    with work.desk() as desk:
        path = write_csv(desk / "reversal.csv", ("datasource",), ([one] for one in due))
        filed = work.evidence.file_from(work.attempt, work.step, path.name, path)
    note = f"{len(due):,} of {len(items):,} datasources are to be reversed; {len(wanted) - len(due):,} are on V1 already."
    data = {"due": len(due), "half_done": half, "matter": _matter(due), "ids": due[:_SHOWN]}
    work.record(Kind.RESULT, filed, key=part, note=note, data=data)
    log.info("%s", note)
    if not due and not work.standing.undoing:
        raise BatchRefused(f"{note} Nothing was sent.")
    return portions(due)


def _is_ours(fate: Fate | None, already: str) -> bool:
    """Whether Ferry has moved it, in this attempt or an earlier one, or left it half-done."""
    return already.startswith("attempt") if fate is None or fate.intent is None else not fate.is_back


def _can_be_reversed(datasource: str, fate: Fate | None, listed: Candidates) -> bool:
    half = fate is not None and fate.is_half_done
    return half or (datasource in listed and listed[datasource].migrated)


def _listed(work: Work) -> Candidates:
    account_id = plan_of(work).account_id
    found: Candidates = work.call(lambda api: api.candidates(account_id))
    return found


def _matter(due: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(due)).encode()).hexdigest()


def _due(work: Work) -> list[str]:
    """The datasources that this DAG run was to reverse, whatever became of them."""
    found = work.standing.results.get(("check_undo", undo_part(work)))
    if found is None:
        return []
    with work.desk() as desk:
        path = work.evidence.fetch(found.evidence_path, desk / "reversal.csv")
        with path.open(encoding="utf-8", newline="") as lines:
            return [row["datasource"] for row in csv.DictReader(lines)]


def undo_matter(work: Work) -> str:
    """The hash of what an approval is given for: exactly these datasources."""
    return str(_checked(work).get("matter", ""))


def undo_facts(work: Work) -> str:
    """What a person must know to decide, in Markdown."""
    checked = _checked(work)
    shown = [f"* `{one}`" for one in checked["ids"]]
    more = [f"* ... and {checked['due'] - len(shown):,} more"] if checked["due"] > len(shown) else []
    first = work.standing.openings[-1].origin
    half = int(checked["half_done"])
    warning = [
        f"* **{half:,}** of them are half-done migrations: that a reversal rescues these is **not documented**.",
    ]
    return "\n".join(
        [
            f"**{checked['due']:,} datasources** of {work.attempt} go back to V1.",
            "",
            f"* Asked for by {first.who or first}",
            f"* Instance {work.attempt.environment}, account {plan_of(work).account_id}",
            *(warning if half else []),
            "",
            *shown,
            *more,
            "",
            "While a datasource is being reversed, what is built on it may be unavailable. **Approve** reverses them at once.",
            "**Reject** sends nothing.",
        ]
    )


def undo_unattended(work: Work) -> str:
    """Why nobody needs to be asked; empty to ask."""
    if not _checked(work)["due"]:
        return "There is nothing left to reverse, so nobody was asked."
    return AUTO if plan_of(work).reversal == "auto" else ""


def _checked(work: Work) -> dict[str, Any]:
    found = work.standing.results.get(("check_undo", undo_part(work)))
    if found is None:
        raise BatchRefused(f"The ledger does not know what of {work.attempt} is to be reversed; clear check_undo.")
    return dict(found.data)


def undo(work: Work, datasources: Sequence[str], *, rested: bool = False, watched: Sequence[str] = ()) -> Pause | dict[str, int]:
    """Reverse these, once each; an INCOMPLETE reversal is repeated a few times, as a migration is."""
    work.must_hold()
    _must_be_approved(work)
    reopen(work)
    mover = undo_mover(work)
    mover.rested = rested
    mover.weigh(watched)
    return mover.all_of(datasources)


def undo_mover(work: Work) -> Mover:
    """What reverses the datasources of an attempt that was taken up for it."""
    return Mover(work, Direction.BACK, plan_of(work).repeats, EVERY_STEP)


def _must_be_approved(work: Work) -> None:
    said = work.standing.results.get(("approve_undo", undo_part(work)))
    if said is None or said.state is not RunState.SUCCEEDED:
        raise BatchRefused(
            f"Nobody has approved the reversal of {work.attempt}, so nothing is reversed. Clear approve_undo to ask again."
        )


def was_sent(standing: AttemptStanding) -> bool:
    """Whether the DAG run that holds the attempt, or an earlier one, has sent a reversal or found one done."""
    return any(entry.step == UNDO for entry in standing.entries)


def confirm_undo(work: Work) -> dict[str, int]:
    """How the reversal ended as a whole, and the counts of the identity: what is back on V1 has not arrived."""
    items, every, listed = kept(work), fates(work.standing, EVERY_STEP), _listed(work)
    sent = {one: every.get(one) or Fate() for one in _due(work)}
    back = [one for one, fate in sent.items() if fate.is_back]
    left = {one: fate for one, fate in sent.items() if not fate.is_back}
    on_v2 = sum(item.id in listed and listed[item.id].migrated and not _is_broken(every.get(item.id)) for item in items)
    rejected = sum(_is_broken(every.get(item.id)) for item in items)
    counts = asdict(Counts(len(items), accepted=on_v2, rejected=rejected, unprocessed=len(items) - on_v2 - rejected))
    word = ", ".join(f"{number:,} {name}" for name, number in sorted(Counter(_word(fate) for fate in sent.values()).items()))
    note = f"{len(back):,} of {len(items):,} datasources were put back on V1; {on_v2:,} are on V2."
    if left:
        told = " ".join(f"{one}: {_word(fate)}." for one, fate in list(left.items())[:3])
        note += f" Not reversed: {told} Correct the cause, then trigger reverse_domo again."
    if back or any(fate.is_half_done or fate.is_lost for fate in left.values()):
        state = RunState.FAILED_DIRTY if left else RunState.CANCELLED
        work.record(Kind.RESULT, step="await_undo", word=word, state=state, note=note)
    work.record(Kind.RESULT, note=note, counts=counts, data={LEFT: len(left)})
    log.info("%s", note)
    return counts


def _is_broken(fate: Fate | None) -> bool:
    return fate is not None and fate.is_half_done


def _word(fate: Fate) -> str:
    if fate.is_back:
        return "reversed"
    if not fate.is_of(UNDO):
        return "not sent"
    if fate.was_turned_away:
        return "refused"
    return "answer lost" if fate.is_lost else fate.word or "answer lost"
