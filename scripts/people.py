"""The people of the demo: they answer what Airflow shows under Required Actions, as each batch's demo.yaml says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from scripts.rehearsal import DemoBatch
from scripts.stack import Stack

READING = 8.0
"""Seconds before a question is answered: Airflow 3.3.2 fails a task whose answer comes just when its worker lets go of it, which
is about five seconds after the question."""
WHO = "answered in the demo"


class People:
    """Whoever sits before the screen."""

    def __init__(self, console: Console, stack: Stack, batches: list[DemoBatch]) -> None:
        self._console, self._stack = console, stack
        self._answers = {batch.batch_id: batch.expected.answers for batch in batches}

    def answer(self) -> None:
        """Answer every question that has stood for a while and that a demo.yaml has an answer to."""
        asked = self._stack.api("GET", "/dags/~/dagRuns/~/hitlDetails", response_received="false", limit=100)["hitl_details"]
        for question in asked:
            ti = question["task_instance"]
            option = self._answers.get(ti["dag_run_id"].rpartition(".")[0], {}).get(ti["task_id"])
            if option and _age(question) > READING:
                self._say(ti, question["subject"], option)

    def _say(self, ti: dict[str, Any], subject: str, option: str) -> None:
        path = f"/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/{ti['map_index']}/hitlDetails"
        self._stack.api("PATCH", path, {"chosen_options": [option], "params_input": {"comment": WHO}})
        self._console.print(f"A person is asked: {subject}  They answer: {option}", highlight=False, markup=False, soft_wrap=True)


def _age(question: dict[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(question["created_at"])).total_seconds()
