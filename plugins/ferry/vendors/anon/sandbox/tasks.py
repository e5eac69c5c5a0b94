"""The tasks of a migration [D2]: one kind of data each. What they are at a moment follows from the migration's history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5

from ferry.vendors.anon.sandbox import stories

PENDING, IN_PROGRESS, COMPLETE = "PENDING", "IN_PROGRESS", "COMPLETE"  # [D2]
FAILED, AWAITING_USER_INPUT, NO_DATA = "FAILED", "AWAITING_USER_INPUT", "NO_DATA"  # [D2]
DONE = frozenset({COMPLETE, FAILED, NO_DATA})
NAMESPACE = UUID("3b0a5f0e-6c4f-4d53-9d2e-0f7c6a1be942")

CATEGORIES = {
    "CompanyProfile": "COMPANY",
    "DirectDeposit": "COMPENSATION",
    "EmployeeDirectDeposit": "COMPENSATION",
    "ContractorPayments": "COMPENSATION",
    "EmployeeW2Previews": "TAX",
    "DeductionSetup": "DEDUCTION_SETUP",
}
"""[D2] the words of both sides, [A] which belongs to which; every other type of data is one of employees."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A kind of data, and how its task is when the migration has ended, without and with failures."""

    data_type: str
    end: str
    end_with_failures: str
    told: bool = False
    """Told by a control request: such an end is taken at its word, also when the migration fails."""

    @property
    def gives_files(self) -> bool:
        """Whether there is something to fetch in the end."""
        return self.end == self.end_with_failures == COMPLETE


DEFAULT_PLANS = (
    Plan("EmployeeRoster", COMPLETE, COMPLETE),
    Plan("EmployeeDetails", COMPLETE, COMPLETE),
    Plan("ContractorRoster", NO_DATA, NO_DATA),
    Plan("EmployeeW2Previews", COMPLETE, FAILED),
)


@dataclass(frozen=True, slots=True)
class Task:
    """A task at a moment; `done_at` is None while it is not over."""

    number: int
    plan: Plan
    status: str
    done_at: float | None


def tasks_of(plans: tuple[Plan, ...], history: list[tuple[float, str]]) -> list[Task]:
    """All tasks of a migration with this history."""
    states = _states(plans, history)
    return [
        Task(number, plan, status, at if status in DONE else None)
        for number, (plan, (status, at)) in enumerate(zip(plans, states, strict=True))
    ]


def _states(plans: tuple[Plan, ...], history: list[tuple[float, str]]) -> Iterator[tuple[str, float]]:
    """Each stretch of work that is over has brought a task to its end; the next one is what the migration is at now [A]."""
    now, word = history[-1]
    stretches = [following[0] for (_, earlier), following in pairwise(history) if stories.works(earlier)]
    ended = stretches[: max(len(plans) - 1, 0)]  # the last task is not over before the migration is
    for number, plan in enumerate(plans):
        at = stretches[number] if number < len(stretches) else now
        if word == stories.COMPLETED_WITH_FAILURES:
            yield plan.end_with_failures, at
        elif word == stories.COMPLETE or (word == stories.FAILED and plan.told) or number < len(ended):
            yield plan.end, at
        else:
            yield _unfinished(word, worked=bool(stretches), current=number == len(ended)), at


def _unfinished(word: str, *, worked: bool, current: bool) -> str:
    if not current:
        return PENDING
    if word == stories.PENDING_USER_INPUT:
        return AWAITING_USER_INPUT
    if word == stories.FAILED and worked:
        return FAILED
    return IN_PROGRESS if stories.works(word) else PENDING


def task_id(migration: str, task: Task) -> str:
    """The id of a task: the same at every look."""
    return str(uuid5(NAMESPACE, f"{migration}/task/{task.number}"))


def document(migration: str, task: Task, created: str, completed_at: str | None) -> dict[str, Any]:
    """The task as its list tells it [D2]."""
    return {
        "object": "migration_task",
        "id": task_id(migration, task),
        "created": created,
        "status": task.status,
        "migration_id": migration,
        "data_category": CATEGORIES.get(task.plan.data_type, "EMPLOYEE"),
        "data_type": task.plan.data_type,
        "completed_at": completed_at,
    }
