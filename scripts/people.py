"""The people of the demo: they answer what Airflow asks, and trigger what comes afterwards, as each batch's demo.yaml says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from rich.console import Console

from scripts.client import ApiError, Client
from scripts.rehearsal import DemoBatch

READING = 8.0
"""Seconds before a question is answered: Airflow 3.3.2 fails a task whose answer comes just when its worker lets go of it, which
is about five seconds after the question."""
WHO = "answered in the demo"
WAIT = "await_run"
ENDED = ("success", "failed")
"""States of a DAG run that is over."""


@dataclass(frozen=True, slots=True)
class Deed:
    """A DAG run that a person triggers, and what they see before they do: another DAG run that ended, or waits."""

    dag_id: str
    run_id: str
    batch_id: str
    seen_dag: str
    seen_run: str
    waits: bool = False


class People:
    """Whoever sits before the screen."""

    def __init__(self, console: Console, stack: Client, batches: list[DemoBatch]) -> None:
        self._console, self._stack = console, stack
        self._expected = {batch.batch_id: batch.expected for batch in batches}
        self._deeds = list(deeds(batches))
        self._begun = [batch for batch in batches if batch.expected.begins]
        self._given: set[str] = set()

    def begin(self) -> None:
        """Begin at the vendors what people begin there; Ferry has to find it by itself."""
        for batch in self._begun:
            self._stack.sandbox("POST", f"/{batch.vendor}/records", {"id": batch.batch_id, **batch.expected.begins})

    def answer(self) -> None:
        """Answer every question that has stood for a while and that a demo.yaml has an answer to."""
        wanted = {"response_received": "false", "state": "awaiting_input", "limit": 100}
        asked = self._stack.api("GET", "/dags/~/dagRuns/~/hitlDetails", **wanted)["hitl_details"]
        for question in asked:
            ti = question["task_instance"]
            expected = self._expected.get(ti["dag_run_id"].rpartition(".")[0])
            option = expected.answers.get(ti["task_id"]) if expected else None
            if expected and option and _age(question) > READING:
                self._say(question, option, expected.reads.get(ti["task_id"], {}))

    def trigger(self) -> bool:
        """Trigger what comes after, or beside, other DAG runs; true once all of that has ended, and what was begun elsewhere."""
        ended = [self._done(deed) for deed in self._deeds]
        found = (self._state(batch.dag, batch.first_run) in ENDED for batch in self._begun)
        return all(ended) and all(found)

    def _done(self, deed: Deed) -> bool:
        """Whether the DAG run has ended; it is triggered as soon as there is a reason to."""
        state = self._state(deed.dag_id, deed.run_id)
        if not state and self._is_time(deed):
            run = {"dag_run_id": deed.run_id, "logical_date": None, "conf": {"batch_id": deed.batch_id}}
            try:
                self._stack.api("POST", f"/dags/{deed.dag_id}/dagRuns", run)
            except ApiError as error:
                if not error.is_passing:  # people look again, and press again where it is still wanted
                    raise
                return False
            told = f"A person triggers {deed.dag_id} with batch {deed.batch_id}."
            self._console.print(told, highlight=False, markup=False, soft_wrap=True)
        return state in ENDED

    def _is_time(self, deed: Deed) -> bool:
        if deed.waits:
            return self._asked(f"/dags/{deed.seen_dag}/dagRuns/{deed.seen_run}/taskInstances/{WAIT}") == "deferred"
        return self._state(deed.seen_dag, deed.seen_run) in ENDED

    def _state(self, dag_id: str, run_id: str) -> str:
        """The state of a DAG run; empty if there is none."""
        return self._asked(f"/dags/{dag_id}/dagRuns/{run_id}")

    def _asked(self, path: str) -> str:
        try:
            return str(self._stack.api("GET", path)["state"])
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return ""

    def _say(self, question: dict[str, Any], option: str, reads: Mapping[str, str]) -> None:
        ti = question["task_instance"]
        path = f"/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/{ti['map_index']}/hitlDetails"
        looked_up = {field: str(self._stack.sandbox("GET", where)["value"]) for field, where in reads.items()}
        if self._given & set(looked_up.values()):
            return  # a one-time password stays on its page until it is used; somebody else has just read this one
        form = {field: looked_up.get(field, WHO if field == "comment" else "") for field in question["params"]}
        try:
            self._stack.api("PATCH", path, {"chosen_options": [option], "params_input": form})
        except ApiError as error:
            if not error.is_passing:  # people look again, and press again where it is still wanted
                raise
            return
        self._given |= set(looked_up.values())
        told = f"A person is asked: {question['subject']}  They answer: {option}"
        self._console.print(told, highlight=False, markup=False, soft_wrap=True)


def deeds(batches: list[DemoBatch]) -> Iterator[Deed]:
    """What people trigger, as the demo.yaml files say."""
    known = {batch.batch_id: batch for batch in batches}
    for batch in batches:
        if batch.expected.then:
            yield Deed(batch.expected.then, batch.later_run, batch.batch_id, batch.dag, batch.first_run)
        if batch.expected.meanwhile:
            yield Deed(batch.expected.meanwhile, batch.later_run, batch.batch_id, batch.dag, batch.first_run, waits=True)
        if batch.expected.after:
            maker = known[batch.expected.after]
            yield Deed(batch.dag, batch.first_run, batch.batch_id, maker.dag, maker.first_run)


def _age(question: dict[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(question["created_at"])).total_seconds()
