"""Where to look when a batch did not end as it should: its failed tasks, their logs, and the last error lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ferry.vendors import all_vendors
from scripts.rehearsal import DemoBatch
from scripts.stack import ApiError, Stack

LINES = 6


def last_errors(stack: Stack, batch: DemoBatch, attempts: int) -> list[str]:
    """For each failed task of each attempt: its log's path and the last errors in it."""
    found = []
    for run_id in (f"{batch.batch_id}.{number}" for number in range(1, max(attempts, 1) + 1)):
        for task in _failed(stack, all_vendors()[batch.vendor].dag_id, run_id):
            log = _log(stack, task)
            found.append(f"  {task['task_id']} of DAG run {run_id} is {task['state']}; its log: {log}")
            found += [f"    {line}" for line in errors_in(log)]
    return found or [f"  No task of it failed; the scheduler's log is {stack.services['scheduler'].log}"]


def errors_in(log: Path) -> list[str]:
    """The last errors of a task's log, one line each; Airflow writes its logs as JSON lines."""
    if not log.exists():
        return []
    lines = [_line(text) for text in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [line for line in lines if line][-LINES:]


def _line(text: str) -> str:
    try:
        entry = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(entry, dict) or str(entry.get("level", "")).lower() not in {"error", "critical"}:
        return ""
    details = [f"{cause.get('exc_type')}: {cause.get('exc_value')}" for cause in entry.get("error_detail") or []]
    return " | ".join([str(entry.get("event", "")), *details])


def _failed(stack: Stack, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    try:
        answer = stack.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", state=["failed", "up_for_retry"])
    except ApiError:
        return []  # the attempt never became a DAG run
    return list(answer["task_instances"])


def _log(stack: Stack, task: dict[str, Any]) -> Path:
    parts = [f"{name}={task[key]}" for name, key in (("dag_id", "dag_id"), ("run_id", "dag_run_id"), ("task_id", "task_id"))]
    parts += [f"map_index={task['map_index']}"] if task["map_index"] >= 0 else []
    return Path(stack.env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]).joinpath(*parts, f"attempt={task['try_number']}.log")
