"""Every way in which one call can go wrong, and tables of what must become of the batch then."""

from __future__ import annotations

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
    """The cells of a table: call, action, and how it must end."""
    head, *rows = [line.split() for line in table.strip().splitlines()]
    return [
        pytest.param(row[0], action, end, id=f"{row[0]}-{action}")
        for row in rows
        for action, end in zip(head, row[1:], strict=True)
    ]


def together(name: str, *values: Any) -> Any:
    """A case that one process plays with all others of the name, because they build on what each of them finds out."""
    return pytest.param(*values, marks=pytest.mark.xdist_group(name))


def first_red(run: Any) -> str:
    """The first task that failed."""
    return next(str(task) for task, state in run.states.items() if state == "failed")
