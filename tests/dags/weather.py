"""Every way in which one call can go wrong, tables of what must become of the batch then, and the words that tell it.

`docs/faults.md` is written from these tables by scripts/fault_docs.py, so each word in a table has a sentence here or beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import pytest

ACTIONS: dict[str, dict[str, Any]] = {
    "before": {"action": "drop_before"},
    "after": {"action": "drop_after"},
    "429": {"action": "status", "status": 429},
    "429+": {"action": "status", "status": 429, "headers": {"Retry-After": "7"}},
    "500": {"action": "status", "status": 500},
    "503": {"action": "status", "status": 503},
    "401": {"action": "status", "status": 401},
    "403": {"action": "status", "status": 403},
    "delay": {"action": "delay", "seconds": 0.6},  # beyond the read timeout
    "cut": {"action": "truncate", "bytes": 3},
    "garbage": {"action": "garbage"},
}


class Words(NamedTuple):
    """What the docs say for a table's word: short in the table, and the sentence below it."""

    short: str
    sentence: str


FAULTS = {
    "before": Words("closed before", "the connection is closed before the vendor has handled the request"),
    "after": Words("closed after", "the vendor handles the request, and the connection is closed before it answers"),
    "429+": Words("429, come back", "the vendor turns the call away with HTTP 429 and says in `Retry-After` when to come back"),
    "delay": Words("late", "the vendor handles the request, and its answer comes later than the read timeout"),
    "cut": Words("cut off", "the vendor handles the request, and its answer breaks off after three bytes"),
    "garbage": Words("garbage", "HTTP 200 with bytes that are not what was promised; the vendor never saw the request"),
}
"""Of the actions above; a bare number is an HTTP status, and needs no sentence of its own."""

ENDS = {
    "asks": Words(
        "a person is asked",
        "nobody can know whether the vendor heard it. Nothing is sent again: a person looks at the vendor, and says under "
        "*Required Actions* what is there",
    ),
    "away": Words("red: vendor away", "tried again for a while, in vain; the message says that the step may be tried again"),
    "who": Words("red: not let in", "the message says what to check: credentials and permissions of the connection"),
    "odd": Words("red: not the vendor", "what answered is not JSON; the message says to check where the base URL leads"),
    "late": Words("red: waited in vain", "the wait gave up at its deadline; the message says that nothing is started again"),
}
"""Of the ends that several vendors know. `ok` is told by how the journey ends in good weather."""


@dataclass(frozen=True)
class Call:
    """A call, the journey that makes it, and the task that does: the fault waits for that task."""

    journey: str
    task: str
    method: str
    path: str
    does: str
    """What it is for, in a few words."""
    verb: str
    """The function of the vendor's API that sends it, which knows whether it may be repeated; a login has none."""
    skip: int = 0


Grid: TypeAlias = Mapping[str, Mapping[str, str]]
"""How it must end, by call and action."""


@dataclass(frozen=True)
class Chapter:
    """What a fault table tells of its vendor."""

    vendor: str
    calls: Mapping[str, Call]
    once: Grid
    lasting: Grid
    good: Mapping[str, str]
    """How a batch ends in good weather, by journey, or by call where it differs."""
    ends: Mapping[str, Words]
    faults: Mapping[str, Words] = field(default_factory=dict)


def grid(table: str) -> Grid:
    """A table as it is written: its head are the actions, and each line is a call with its ends."""
    head, *rows = [line.split() for line in table.strip().splitlines()]
    return {name: dict(zip(head, ends, strict=True)) for name, *ends in rows}


def cases(table: str) -> list[Any]:
    """The cells of a table: call, action, and how it must end. A cell with a dash is shown by another call of its kind."""
    return [
        pytest.param(name, action, end, id=f"{name}-{action}")
        for name, ends in grid(table).items()
        for action, end in ends.items()
        if end != "-"
    ]


def in_passing(table: str, calls: Mapping[str, Call]) -> list[Any]:
    """The cells that recover by themselves: an action, and the calls that go wrong so in one DAG run, one for each task.

    What each call's own DAG run would show, one shows of all: every call is retried by itself, and the batch ends well.
    """
    runs: dict[tuple[str, str, int], list[str]] = {}
    for cell in cases(table):
        name, action, end = cell.values
        if end == "ok":
            call = calls[name]
            taken = (runs.get((action, call.journey, lane), []) for lane in range(len(calls)))
            lane = next(n for n, names in enumerate(taken) if call.task not in {calls[one].task for one in names})
            runs.setdefault((action, call.journey, lane), []).append(name)
    return [pytest.param(action, names, id=f"{journey}-{action}-{lane}") for (action, journey, lane), names in runs.items()]


def in_the_end(table: str, lasting: str) -> list[Any]:
    """The cells that do not recover by themselves, but for those that end so too when the fault lasts: they are played there."""
    played = {cell.values for cell in cases(lasting)}
    return [cell for cell in cases(table) if cell.values[2] != "ok" and cell.values not in played]


def together(name: str, *values: Any) -> Any:
    """A case that one process plays with all others of the name, because they build on what each of them finds out."""
    return pytest.param(*values, marks=pytest.mark.xdist_group(name))


def first_red(run: Any) -> str:
    """The first task that failed."""
    return next(str(task) for task, state in run.states.items() if state == "failed")
