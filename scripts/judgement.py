"""The demo's end: what is shown, and whether all of it is as it should be."""

from __future__ import annotations

from pathlib import Path

from scripts.environment import ROOT
from scripts.outcome import Outcome, outcome_of, problems, standing_of, table_of, write_json
from scripts.progress import Progress
from scripts.rehearsal import differences, rehearsal, started_twice
from scripts.trouble import last_errors


def judge(progress: Progress, result: Path | None = None) -> bool:
    """Show how it ended; true if that is what was announced, what the vendor holds, and what the ledger's hashes vouch for."""
    console, stack = progress.console, progress.stack
    outcomes = [outcome_of(standing_of(progress.ledger, batch), batch, stack.evidence) for batch in progress.batches]
    if result:
        write_json(outcomes, result)
    console.print(table_of(outcomes))
    for outcome in outcomes:
        where = f"evidence of {outcome.vendor}/{outcome.batch_id}: {_shown(outcome.evidence) or 'none'}"
        console.print(where, highlight=False, soft_wrap=True)
    written = f"   for programs: {_shown(result)}" if result else ""
    console.print(f"ledger: {_shown(stack.ledger)}{written}", highlight=False, soft_wrap=True)
    states = {vendor: stack.sandbox("GET", f"/{vendor}/state") for vendor in {outcome.vendor for outcome in outcomes}}
    twice = [ref for vendor, state in states.items() for ref in started_twice(rehearsal(vendor), state)]
    lost = sum(outcome.unaccounted for outcome in outcomes)
    numbers = {
        "starts sent twice": len(twice),
        "worker slots held while waiting": progress.slots_held,
        "rows unaccounted for": lost,
    }
    console.print("   ".join(f"{name}: {number}" for name, number in numbers.items()))
    wrong = [f"{ref} was started more than once" for ref in twice]
    wrong += [f"ledger: {fault}" for fault in progress.ledger.verify()]
    wrong += _wrong_with(progress, outcomes, states)
    for line in wrong:
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    if not wrong:
        console.print("Every batch ended as announced, the vendor holds what was sent, the ledger's chains hold.", style="green")
    return not wrong and not any(numbers.values())


def _wrong_with(progress: Progress, outcomes: list[Outcome], states: dict[str, object]) -> list[str]:
    lines = []
    for outcome, batch in zip(outcomes, progress.batches, strict=True):
        mine = [*problems(outcome, batch), *differences(batch, states[batch.vendor])]
        lines += [f"{batch.name}: {problem}" for problem in mine]
        lines += last_errors(progress.stack, batch, outcome.attempts) if mine else []
    return lines


def _shown(path: str | Path) -> str:
    return str(path).replace(f"{ROOT}/", "")
