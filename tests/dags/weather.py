"""Every way in which one call can go wrong, and tables of what must become of the batch then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Call:
    """A call, the journey that makes it, and the task that does: the fault waits for that task."""

    journey: str
    task: str
    method: str
    path: str
    skip: int = 0


def cases(table: str) -> list[Any]:
    """The cells of a table: call, action, and how it must end. A cell with a dash is shown by another call of its kind."""
    head, *rows = [line.split() for line in table.strip().splitlines()]
    return [
        pytest.param(row[0], action, end, id=f"{row[0]}-{action}")
        for row in rows
        for action, end in zip(head, row[1:], strict=True)
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
