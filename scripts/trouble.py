"""Where to look when a batch did not end as it should: its failed tasks, their logs, and the last error lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ferry.vendors import all_vendors
from scripts.client import ApiError, Client
from scripts.rehearsal import DemoBatch

LINES = 6


def last_errors(stack: Client, batch: DemoBatch, attempts: int) -> list[str]:
    """For each failed task of each attempt: where its log is and the last errors in it."""
    found = []
    for run_id in (f"{batch.batch_id}.{number}" for number in range(1, max(attempts, 1) + 1)):
        for task in _failed(stack, all_vendors()[batch.vendor].dag_id, run_id):
            log, entries = stack.log_of(task)
            found.append(f"  {task['task_id']} of DAG run {run_id} is {task['state']}; its log: {log}")
            found += [f"    {line}" for line in errors_in(entries)]
    return found or [f"  No task of it failed. {stack.where_logs_are()}"]


def errors_in(entries: Iterable[Any]) -> list[str]:
    """The last errors of a task's log, one line each. Airflow writes JSON lines, and its API tells them as objects."""
    lines = [_line(entry) for entry in entries]
    return [line for line in lines if line][-LINES:]


def _line(entry: Any) -> str:
    if isinstance(entry, str):
        try:
            entry = json.loads(entry)
        except ValueError:
            return ""
    if not isinstance(entry, dict) or str(entry.get("level", "")).lower() not in {"error", "critical"}:
        return ""
    details = [f"{cause.get('exc_type')}: {cause.get('exc_value')}" for cause in entry.get("error_detail") or []]
    return " | ".join([str(entry.get("event", "")), *details])


def _failed(stack: Client, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    try:
        answer = stack.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", state=["failed", "up_for_retry"])
    except ApiError:
        return []  # the attempt never became a DAG run
    return list(answer["task_instances"])
