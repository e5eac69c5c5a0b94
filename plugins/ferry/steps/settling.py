"""The verdict on an attempt, from nothing but what the ledger holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ferry.core.errors import NotBalanced
from ferry.core.model import Counts, RunState
from ferry.ledger.entries import ADMIT, START, UNDO, AttemptStanding, Verdict, part_of
from ferry.steps.undoing import LEFT, undo_part
from ferry.steps.work import Work

CHECK = "check_"
"""How the steps begin that may end an attempt before anything is started, by saying that it did not pass."""
APPROVE, CONFIRM = "approve", "confirm_start"
"""Steps at which a person may end an attempt; an approval only before anything was started."""
CHANGES = frozenset({"edit_run"})
"""Steps other than a start whose intent means that the vendor may have changed something."""
NOTHING_TO_DO = "nothing_to_do"
"""Key in the data of a reconciliation: the vendor itself says that there was no record to move."""
UNDO_STEPS = frozenset({"check_undo", "approve_undo", UNDO, "await_undo", "confirm_undo"})
FAILED = {
    RunState.FAILED_CLEAN: Verdict.REFUSED,
    RunState.CANCELLED: Verdict.REFUSED,
    RunState.FAILED_DIRTY: Verdict.UNBALANCED,  # something may be there: it stays open until a person has decided
}
"""What a run that failed comes to, once its errors are fetched."""


def settle(work: Work) -> dict[str, Any]:
    """Write the verdict of the attempt; raise unless the batch balances, here or in a later attempt of this same DAG run."""
    standing = _judged(work)
    last = work.ledger.standing(work.attempt.vendor, work.attempt.environment, work.attempt.batch_id).last or standing
    if last.verdict is Verdict.BALANCED:
        return _told(last)
    raise NotBalanced(f"{_said(last)}: {last.reason}")


def settle_undo(work: Work) -> dict[str, Any]:
    """Write the verdict of an attempt that was to be undone; raise unless nothing of it is left."""
    standing = _judged(work)
    looked = standing.results.get(("confirm_undo", ""))
    mine = looked is not None and looked.seq > int(undo_part(work) or 0)  # and not what an earlier undo came to
    left = looked.data.get(LEFT) if looked else 0
    if mine and not left and standing.undoing and not standing.is_open and standing.run_state is RunState.CANCELLED:
        return _told(standing)
    asked = [
        entry.note
        for entry in standing.entries
        if entry.step in UNDO_STEPS and entry.note and entry.seq > standing.openings[-1].seq
    ]
    raise NotBalanced(f"{standing.attempt} was not undone: {asked[-1] if asked else 'nothing was sent.'} {_said(standing)}.")


def _judged(work: Work) -> AttemptStanding:
    standing = work.standing
    if not standing.is_open:
        return standing
    verdict, counts, why = judge(standing)
    work.judge(verdict, asdict(counts), why)
    return work.standing


def _told(standing: AttemptStanding) -> dict[str, Any]:
    return {"attempt": standing.attempt.key, "verdict": str(standing.verdict), **asdict(standing.counts)}


def _said(standing: AttemptStanding) -> str:
    numbers = ", ".join(f"{name} {number}" for name, number in asdict(standing.counts).items())
    return f"{standing.attempt} is {standing.verdict} ({numbers})"


def judge(standing: AttemptStanding) -> tuple[Verdict, Counts, str]:
    """Verdict, counts and the sentence for people. What is not known stays open; it is never rounded to refused."""
    if standing.undoing:
        return _taken_back(standing)
    if not (standing.acted or _changed(standing)) and (found := _stopped(standing)):
        return found
    results = standing.results
    if (said := results.get((CONFIRM, ""))) and said.state is RunState.CANCELLED:
        return Verdict.ABANDONED, Counts(), f"{said.note} Trigger again: that is a new attempt."
    if reconciled := results.get(("reconcile", "")):
        counts = Counts.from_json(reconciled.counts)
        something = counts.sent > 0 or bool(reconciled.data.get(NOTHING_TO_DO))
        balanced = counts.all_arrived and something and bool(reconciled.data.get("balanced"))
        return (Verdict.BALANCED if balanced else Verdict.UNBALANCED), counts, reconciled.note
    if not (standing.started or standing.watched):
        return _before_start(standing)
    fetched = None if _of_parts(standing) else results.get(("fetch_errors", ""))
    verdict = _of_failed(standing) if fetched else None
    return (verdict, Counts.from_json(fetched.counts), fetched.note) if fetched and verdict else _unfinished(standing)


def _of_failed(standing: AttemptStanding) -> Verdict | None:
    """What a run that failed comes to; one that its person gave up is abandoned, because nobody refused anything."""
    if standing.watched and standing.run_state is RunState.CANCELLED:
        return Verdict.ABANDONED
    return FAILED.get(standing.run_state) if standing.run_state else None


def _of_parts(standing: AttemptStanding) -> bool:
    """Whether the run has parts: what went wrong with some of them says nothing of the rest."""
    return any(part_of(start.key) for start in standing.starts)


def _changed(standing: AttemptStanding) -> bool:
    """Whether something was meant at the vendor that changes it, though no run is started by it."""
    return any(step in CHANGES for step, _ in standing.intents)


def _stopped(standing: AttemptStanding) -> tuple[Verdict, Counts, str] | None:
    """What a check or a person ended before anything was done."""
    for (step, key), check in standing.results.items():
        if step.startswith(CHECK) and not key and check.data.get("passed") is False:
            return Verdict.REFUSED, Counts(), f"{check.note} Correct the files and trigger again."
    said = standing.results.get((APPROVE, ""))
    if said and said.state is RunState.CANCELLED:
        return Verdict.ABANDONED, Counts(), f"{said.note} Trigger again: that is a new attempt."
    return None


def _taken_back(standing: AttemptStanding) -> tuple[Verdict, Counts, str]:
    """An attempt whose run was to be undone: it is only over when somebody has looked at what is left."""
    looked, seen = standing.results.get(("confirm_undo", "")), standing.seen
    over = standing.undo_known and seen is not None and seen.state is not None and seen.state.is_final
    if looked is None or seen is None or not over or looked.seq < seen.seq:
        why = "An undo was asked for and it is not known what came of it. Look at the first red task and clear it."
        return Verdict.UNKNOWN, Counts(), f"{why} It is not sent twice."
    counts = Counts.from_json(looked.counts)
    if seen.state is not RunState.CANCELLED:
        return Verdict.UNBALANCED, counts, looked.note
    failed = ("fetch_errors", "") in standing.results and ("reconcile", "") not in standing.results and not _of_parts(standing)
    return (Verdict.REFUSED if failed else Verdict.UNDONE), counts, looked.note


def _unfinished(standing: AttemptStanding) -> tuple[Verdict, Counts, str]:
    seen, state = standing.seen, standing.run_state
    if seen and (seen.step, part_of(seen.key), seen.state) == (START, "", RunState.FAILED_CLEAN):
        which = f"run {standing.ref}" if standing.ref else "the run"
        return Verdict.UNKNOWN, Counts(), f"The vendor did not start {which}: {seen.note} Then clear start_run."
    ended = f"ended {state} ('{standing.word}')" if state and state.is_final else "is not known to have ended"
    why = (
        f"The vendor's run {standing.ref or '(its id is not known)'} {ended}, and not every step after it was done. Look at the "
        "first red task, correct what it names and clear it: the attempt goes on where it stopped and nothing is started twice."
    )
    return Verdict.UNKNOWN, Counts(), why


def _before_start(standing: AttemptStanding) -> tuple[Verdict, Counts, str]:
    prepared = standing.results.get(("await_prepared", ""))
    if prepared and prepared.state is RunState.FAILED_CLEAN:
        why = f"The vendor could not prepare the run: {prepared.note} Correct the manifest and trigger again."
        return Verdict.REFUSED, Counts(), why
    asked = sorted({step for step, _ in standing.intents} - {ADMIT})
    begun = f"Something was asked of the vendor ({', '.join(asked)})" if asked else "Nothing was sent"
    why = f"{begun} and no run was started. Look at the first red task, correct what it names and clear it, or trigger again."
    return Verdict.UNKNOWN, Counts(), why
