"""Back to V1: a batch, or some of its datasources, reversed after a person has agreed."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BadInput, BatchRefused
from ferry.core.model import Counts, RunState
from ferry.ledger.entries import UNDO, Kind
from ferry.steps.people import MATTER
from ferry.steps.undoing import LEFT, reopen, undo_part
from ferry.vendors.domo.fates import EVERY_STEP, Fate, fates
from ferry.vendors.domo.moving import Mover, Pause
from ferry.vendors.domo.planning import kept, plan_of, portions, write_csv
from ferry.vendors.domo.vocabulary import Direction

if TYPE_CHECKING:
    from ferry.steps.work import Work
    from ferry.vendors.domo.mapping import Item
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
    again = {one for one, fate in every.items() if fate.is_back and one in listed and listed[one].migrated}
    if strangers := [one for one in named if one in again]:
        raise BadInput(
            f"{', '.join(strangers[:10])} was put back on V1, and has been migrated again since, not by this attempt. Nothing "
            "was sent; whoever migrated it must reverse it."
        )
    wanted = list(dict.fromkeys(named)) or [one for one in items if _is_ours(every.get(one), items[one])]
    due = [one for one in wanted if _can_be_reversed(items[one], every.get(one), listed)]
    _adopt_what_is_back(work, {one: every[one] for one in wanted if one in every and one not in due}, listed)
    half = sum(_is_broken(items[one], every.get(one)) for one in due)
    with work.desk() as desk:
        path = write_csv(desk / "reversal.csv", ("datasource",), ([one] for one in due))
        filed = work.evidence.file_from(work.attempt, work.step, path.name, path)
    note = f"{len(due):,} of {len(items):,} datasources are to be reversed; {len(wanted) - len(due):,} are on V1 already."
    data = {"due": len(due), "half_done": half, MATTER: _matter(due), "ids": due[:_SHOWN]}
    work.record(Kind.RESULT, filed, key=part, note=note, data=data)
    log.info("%s", note)
    if not due and not work.standing.undoing:
        raise BatchRefused(f"{note} Nothing was sent.")
    return portions(due)


def _is_ours(fate: Fate | None, item: Item) -> bool:
    """Whether Ferry has moved it, or may have, in this attempt or an earlier one, or left it half-done."""
    if fate is None or fate.intent is None:
        return item.already.startswith("attempt") or bool(item.unfinished)
    may_be_there = fate.has_moved or fate.is_lost or fate.in_doubt or fate.direction is Direction.BACK
    return not fate.is_back and (may_be_there or _is_broken(item, fate))


def _can_be_reversed(item: Item, fate: Fate | None, listed: Candidates) -> bool:
    return _is_broken(item, fate) or (item.id in listed and listed[item.id].migrated)


def _is_broken(item: Item, fate: Fate | None) -> bool:
    """Whether it is half-done, by this attempt or by an earlier one of whose cure nobody knows."""
    if fate is None or fate.intent is None:
        return bool(item.unfinished)
    return fate.is_half_done or (bool(item.unfinished) and not (fate.has_moved or fate.is_back))


def _adopt_what_is_back(work: Work, others: Mapping[str, Fate], listed: Candidates) -> None:
    """What was moved and stands on V1 again needs no call: somebody reversed it, or a call whose answer was lost did."""
    for datasource, fate in others.items():
        there = listed.get(datasource)
        if fate.is_back or there is None or there.migrated or not (fate.has_moved or fate.is_of(UNDO)):
            continue
        key = fate.intent.key if fate.intent and fate.is_of(UNDO) and fate.is_lost else datasource
        facts: dict[str, Any] = {"word": Direction.BACK.done, "state": RunState.CANCELLED}
        note = "Domo's list shows the datasource on V1 again; nothing was sent."
        work.record(Kind.ADOPTED, step=UNDO, key=key, ref=datasource, note=note, **facts)


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
    return str(_checked(work).get(MATTER, ""))


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
    agreed = said is not None and said.state is RunState.SUCCEEDED and said.data.get(MATTER) == undo_matter(work)
    if not agreed:
        raise BatchRefused(
            f"Nobody has approved this very reversal of {work.attempt}, so nothing is reversed. Trigger reverse_domo again."
        )


def is_approved(work: Work) -> bool:
    """Whether this DAG run was allowed to reverse anything; otherwise there is nothing to confirm."""
    said = work.standing.results.get(("approve_undo", undo_part(work)))
    return said is not None and said.state is RunState.SUCCEEDED


def confirm_undo(work: Work) -> dict[str, int]:
    """How the reversal ended as a whole, and the counts of the identity: what is back on V1 has not arrived."""
    items, every, listed = kept(work), fates(work.standing, EVERY_STEP), _listed(work)
    dealt_with = {one: fate for one, fate in every.items() if fate.is_of(UNDO)}
    sent = dealt_with | {one: every.get(one) or Fate() for one in _due(work)}
    back = [one for one, fate in sent.items() if fate.is_back]
    left = {one: fate for one, fate in sent.items() if not fate.is_back}
    broken = {item.id for item in items if _is_broken(item, every.get(item.id))}
    on_v2 = sum(item.id in listed and listed[item.id].migrated and item.id not in broken for item in items)
    rejected = len(broken)
    counts = asdict(Counts(len(items), accepted=on_v2, rejected=rejected, unprocessed=len(items) - on_v2 - rejected))
    word = ", ".join(f"{number:,} {name}" for name, number in sorted(Counter(_word(fate) for fate in sent.values()).items()))
    note = f"{len(back):,} of {len(items):,} datasources were put back on V1; {on_v2:,} are on V2."
    if left:
        told = " ".join(f"{one}: {_word(fate)}." for one, fate in list(left.items())[:3])
        note += f" Not reversed: {told} Correct the cause, then trigger reverse_domo again."
    elif broken:
        named = f"{', '.join(sorted(broken)[:3])}{' ...' if len(broken) > 3 else ''}"  # as many as a person reads
        note += f" Half-done: {named}. Repeat the migration, or reverse it."
    since = int(undo_part(work) or 0)
    moved_now = any(fate.answer is not None and fate.answer.seq > since for fate in dealt_with.values())
    if moved_now or broken or any(fate.is_lost for fate in left.values()):
        state = RunState.FAILED_DIRTY if left or broken else RunState.CANCELLED
        work.record(Kind.RESULT, step="await_undo", word=word, state=state, note=note)
    work.record(Kind.RESULT, note=note, counts=counts, data={LEFT: len(left)})
    log.info("%s", note)
    return counts


def _word(fate: Fate) -> str:
    if fate.is_back:
        return "reversed"
    if not fate.is_of(UNDO):
        return "not sent"
    if fate.was_turned_away:
        return "refused"
    return "answer lost" if fate.is_lost else fate.word or "answer lost"
