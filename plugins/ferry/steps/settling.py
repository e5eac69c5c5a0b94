"""The verdict on an attempt, from nothing but what the ledger holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ferry.core.errors import NotBalanced
from ferry.core.model import Counts, RunState
from ferry.ledger.entries import ADMIT, START, AttemptStanding, Verdict, part_of
from ferry.steps.work import Work

CHECK = "check_"
"""How the steps begin that may end an attempt before anything is started, by saying that it did not pass."""
PEOPLE = ("confirm_start", "approve")
"""Steps at which a person may end an attempt; an approval only before anything was started."""
FAILED = {
    RunState.FAILED_CLEAN: Verdict.REFUSED,
    RunState.CANCELLED: Verdict.REFUSED,
    RunState.FAILED_DIRTY: Verdict.UNBALANCED,  # something may be there: it stays open until a person has decided
}
"""What a run that failed comes to, once its errors are fetched."""


def settle(work: Work) -> dict[str, Any]:
    """Write the verdict of the attempt; raise unless the batch balances, here or in a later attempt of this same DAG run."""
    standing = work.standing
    if standing.is_open:
        verdict, counts, why = judge(standing)
        work.judge(verdict, asdict(counts), why)
        standing = work.standing
    last = work.ledger.standing(work.attempt.vendor, work.attempt.environment, work.attempt.batch_id).last or standing
    told = {"attempt": last.attempt.key, "verdict": str(last.verdict), **asdict(last.counts)}
    if last.verdict is Verdict.BALANCED:
        return told
    numbers = ", ".join(f"{name} {number}" for name, number in asdict(last.counts).items())
    raise NotBalanced(f"{last.attempt} is {last.verdict} ({numbers}): {last.reason}")


def judge(standing: AttemptStanding) -> tuple[Verdict, Counts, str]:
    """Verdict, counts and the sentence for people. What is not known stays open; it is never rounded to refused."""
    results = standing.results
    for (step, key), check in results.items():
        if step.startswith(CHECK) and not key and check.data.get("passed") is False:
            return Verdict.REFUSED, Counts(), f"{check.note} Correct the files and trigger again."
    for step in PEOPLE if not standing.started else PEOPLE[:1]:
        if (said := results.get((step, ""))) and said.state is RunState.CANCELLED:
            return Verdict.ABANDONED, Counts(), f"{said.note} Trigger again: that is a new attempt."
    if reconciled := results.get(("reconcile", "")):
        counts = Counts.from_json(reconciled.counts)
        balanced = counts.all_arrived and bool(reconciled.data.get("balanced"))
        return (Verdict.BALANCED if balanced else Verdict.UNBALANCED), counts, reconciled.note
    if not standing.started:
        return _before_start(standing)
    fetched = results.get(("fetch_errors", ""))
    verdict = FAILED.get(standing.run_state) if fetched and standing.run_state else None
    return (verdict, Counts.from_json(fetched.counts), fetched.note) if fetched and verdict else _unfinished(standing)


def _unfinished(standing: AttemptStanding) -> tuple[Verdict, Counts, str]:
    seen, state = standing.seen, standing.run_state
    if seen and (seen.step, part_of(seen.key), seen.state) == (START, "", RunState.FAILED_CLEAN):
        return Verdict.UNKNOWN, Counts(), f"The vendor did not start run {standing.ref}: {seen.note} Then clear start_run."
    ended = f"ended {state} ('{standing.word}')" if state and state.is_final else "is not known to have ended"
    why = (
        f"The vendor's run {standing.ref} {ended}, and not every step after it was done. Look at the first red task, "
        "correct what it names and clear it: the attempt goes on where it stopped and nothing is started twice."
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
