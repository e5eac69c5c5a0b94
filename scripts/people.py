"""The people of the demo: they answer what Airflow asks, and trigger what comes afterwards, as each batch's demo.yaml says."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from rich.console import Console

from ferry.vendors import all_vendors
from scripts.rehearsal import DemoBatch
from scripts.stack import ApiError, Stack

READING = 8.0
"""Seconds before a question is answered: Airflow 3.3.2 fails a task whose answer comes just when its worker lets go of it, which
is about five seconds after the question."""
WHO = "answered in the demo"
ENDED = ("success", "failed")
"""States of a DAG run that is over."""


class People:
    """Whoever sits before the screen."""

    def __init__(self, console: Console, stack: Stack, batches: list[DemoBatch]) -> None:
        self._console, self._stack = console, stack
        self._answers = {batch.batch_id: batch.expected.answers for batch in batches}
        self._later = [batch for batch in batches if batch.expected.then]

    def answer(self) -> None:
        """Answer every question that has stood for a while and that a demo.yaml has an answer to."""
        asked = self._stack.api("GET", "/dags/~/dagRuns/~/hitlDetails", response_received="false", limit=100)["hitl_details"]
        for question in asked:
            ti = question["task_instance"]
            option = self._answers.get(ti["dag_run_id"].rpartition(".")[0], {}).get(ti["task_id"])
            if option and _age(question) > READING:
                self._say(ti, question["subject"], option)

    def trigger(self) -> bool:
        """Trigger what comes after batches that have ended; true once all of that has ended, too."""
        ended = [self._triggered(batch) for batch in self._later]
        return all(ended)

    def _triggered(self, batch: DemoBatch) -> bool:
        """Whether the DAG run that comes afterwards has ended; it is triggered as soon as the one before has."""
        state = self._state(batch.expected.then, batch.later_run)
        if not state and self._state(all_vendors()[batch.vendor].dag_id, f"{batch.batch_id}.{batch.expected.attempts}") in ENDED:
            conf = {"batch_id": batch.batch_id}
            run = {"dag_run_id": batch.later_run, "logical_date": None, "conf": conf}
            self._stack.api("POST", f"/dags/{batch.expected.then}/dagRuns", run)
            told = f"A person triggers {batch.expected.then} with batch {batch.batch_id}."
            self._console.print(told, highlight=False, markup=False, soft_wrap=True)
        return state in ENDED

    def _state(self, dag_id: str, run_id: str) -> str:
        """The state of a DAG run; empty if there is none."""
        try:
            return str(self._stack.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return ""

    def _say(self, ti: dict[str, Any], subject: str, option: str) -> None:
        path = f"/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/{ti['map_index']}/hitlDetails"
        self._stack.api("PATCH", path, {"chosen_options": [option], "params_input": {"comment": WHO}})
        self._console.print(f"A person is asked: {subject}  They answer: {option}", highlight=False, markup=False, soft_wrap=True)


def _age(question: dict[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(question["created_at"])).total_seconds()
