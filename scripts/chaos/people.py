"""The people of a chaos run: they type in passwords, answer what was asked about lost starts, and look at the vendor first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from scripts.chaos.cargo import Load, Seen

READING = 8.0
"""Seconds before a question is answered: Airflow 3.3.2 fails a task whose answer comes just when its worker lets go of it."""
TAKEN = 25.0
"""Seconds after which a password that is still on its page was not used: the task that it was for has died."""
START, CONFIRM = "start_run", "confirm_start"
PASSWORD, EXECUTION = "one_time_password", "execution_id"
YES, NO = 0, 1
"""Every question offers first that it happened (so: wait for it, or look again), and then that it did not."""

Ask = Callable[..., Any]


class People:
    """Answers questions through Airflow's API as people do by its page, except those that are to stay open."""

    def __init__(self, api: Ask, sandbox: Ask, loads: Mapping[str, Load], left_open: frozenset[str]) -> None:
        self._api, self._sandbox, self._loads, self.left_open = api, sandbox, loads, left_open
        self._given: dict[str, float] = {}
        self.answered = 0

    def questions(self) -> list[dict[str, Any]]:
        """What Airflow shows under Required Actions and nobody has answered."""
        wanted = {"response_received": "false", "state": "awaiting_input", "limit": 100}
        return list(self._api("GET", "/dags/~/dagRuns/~/hitlDetails", **wanted)["hitl_details"])

    def waiting(self, questions: list[dict[str, Any]]) -> set[str]:
        """Batches about whose start a person is asked, and whose question stays open."""
        asked = {batch_of(one) for one in questions if one["task_instance"]["task_id"] == CONFIRM}
        return asked & self.left_open

    def answer(self, questions: list[dict[str, Any]], seen: Mapping[str, Seen]) -> None:
        """Answer what has stood for a while."""
        for question in questions:
            task, batch = question["task_instance"]["task_id"], batch_of(question)
            if batch not in self._loads or _age(question) < READING:
                continue
            if task == START:
                self._give_password(question)
            elif task == CONFIRM and batch not in self.left_open:
                self._tell_the_truth(question, self._loads[batch], seen[batch])

    def _give_password(self, question: dict[str, Any]) -> None:
        password = str(self._sandbox("GET", "/dmm/otp?environment=target")["value"])
        if time.monotonic() - self._given.get(password, -TAKEN) < TAKEN:
            return  # it stays on its page until it is used, and somebody else has just read it
        self._given[password] = time.monotonic()
        self._say(question, YES, {PASSWORD: password})

    def _tell_the_truth(self, question: dict[str, Any], load: Load, seen: Seen) -> None:
        """What a person sees on the vendor's pages."""
        happened = seen.held == load.records if load.vendor == "domo" else seen.newest_started
        execution = seen.refs[-1] if seen.refs else ""
        self._say(question, YES if happened else NO, {EXECUTION: execution})

    def _say(self, question: dict[str, Any], option: int, form: Mapping[str, str]) -> None:
        ti = question["task_instance"]
        path = f"/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/{ti['map_index']}/hitlDetails"
        known = {name: form.get(name, "") for name in question["params"]}
        self._api("PATCH", path, {"chosen_options": [question["options"][option]], "params_input": known})
        self.answered += 1


def batch_of(question: dict[str, Any]) -> str:
    """The batch that a question is about: DAG run ids of these runs begin with it."""
    return str(question["task_instance"]["dag_run_id"]).partition(".")[0]


def _age(question: dict[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(question["created_at"])).total_seconds()
