"""What is on the screen at the end."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from scripts.chaos.control import Control
from scripts.chaos.oracle import Findings
from scripts.chaos.plan import POINTS
from scripts.chaos.play import Story

SHOWN = 20


def tell(console: Console, findings: Findings, story: Story, control: Control, *, over: bool) -> bool:
    """Show what was found; true if the promise held and the control was caught."""
    console.print(_vendors(findings))
    console.print(_kills(findings))
    console.print(_recovery(findings))
    resolved = ", ".join(f"{way}: {number}" for way, number in sorted(findings.resolved.items())) or "none"
    counted = {
        "twin DAG runs in one second": story.twins,
        "cleared though green": story.cleared,
        "mended by a person": sum(story.mends.values()),
        "questions answered": story.people.answered,
        "left open till the end": len(story.were_asked),
    }
    caught = f"{control.duplicates} starts sent twice, in {control.batches} of {len(control.loads)} batches"
    lines = [f"starts whose answer was lost: {resolved}", _in_one(counted)]
    lines.append(f"the naive operator (ResumableJobMixin) under the same kills: {caught}")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    wrong = [*findings.unsettled, *findings.ledger]
    wrong += [] if over else ["patience ran out before everything was settled"]
    wrong += [] if control.duplicates else ["the control was not caught: the oracle sees nothing"]
    for line in wrong[:SHOWN]:
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    if findings.by_themselves:
        console.print(f"died by themselves, and were started again: {', '.join(findings.by_themselves)}", highlight=False)
    numbers = {"starts sent twice": findings.duplicates, "rows unaccounted for": findings.unaccounted}
    console.print(_in_one(numbers))
    return not wrong and not any(numbers.values())


def _in_one(numbers: Mapping[str, int]) -> str:
    return "   ".join(f"{name}: {number}" for name, number in numbers.items())


def _vendors(findings: Findings) -> Table:
    table = Table(title="Batches, as their vendors have seen them", title_justify="left")
    for name in (
        "vendor",
        "batches",
        "settled as they should",
        "attempts",
        "starts",
        "starts sent twice",
        "rows unaccounted for",
    ):
        table.add_column(name, justify="left" if name == "vendor" else "right")
    for vendor in dict.fromkeys(one.vendor for one in findings.batches):
        mine = [one for one in findings.batches if one.vendor == vendor]
        numbers = [len(mine), sum(one.is_settled for one in mine), sum(one.attempts for one in mine)]
        numbers += [sum(getattr(one, name) for one in mine) for name in ("starts", "twice", "unaccounted")]
        table.add_row(vendor, *map(str, numbers))
    return table


def _kills(findings: Findings) -> Table:
    victims = sorted({victim for one in findings.kills.values() for victim in one})
    table = Table(title="Killed with -9, by point and process", title_justify="left")
    for name in ("point", *victims):
        table.add_column(name, justify="left" if name == "point" else "right")
    for point in (*POINTS, "random"):
        if told := findings.kills.get(point):
            table.add_row(point, *(str(told.get(victim, "")) for victim in victims))
    return table


def _recovery(findings: Findings) -> Table:
    table = Table(
        title="Seconds to go on, beyond Airflow's own: from the next try of the task, or the restart of the process",
        title_justify="left",
    )
    for name in ("killed", "times", "median", "most"):
        table.add_column(name, justify="left" if name == "killed" else "right")
    for victim, told in sorted(findings.recovery.items()):
        table.add_row(victim, str(told["times"]), str(told["median"]), str(told["most"]))
    return table
