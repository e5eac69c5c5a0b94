"""The people of the demo: they answer what Airflow asks, and trigger what comes afterwards, as each batch's demo.yaml says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from rich.console import Console

from ferry.ledger.entries import Standing
from ferry.ledger.store import LedgerStore
from scripts.client import ApiError, Client
from scripts.outcome import standing_of
from scripts.rehearsal import DemoBatch, rehearsal, started

READING = 8.0
"""Seconds before a question is answered: Airflow 3.3.2 fails a task whose answer comes just when its worker lets go of it, which
is about five seconds after the question."""
WHO = "answered in the demo"
WAIT, LOST = "await_run", "confirm_start"
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

    def __init__(self, console: Console, stack: Client, ledger: LedgerStore, batches: list[DemoBatch]) -> None:
        self._console, self._stack, self._ledger = console, stack, ledger
        self._batches = {batch.batch_id: batch for batch in batches}
        self._deeds = list(deeds(batches))
        self._begun = [batch for batch in batches if batch.expected.begins]
        self._given: set[str] = set()

    def begin(self) -> None:
        """Begin at the vendors what people begin there; Ferry has to find it by itself."""
        for batch in self._begun:
            self._stack.sandbox("POST", f"/{batch.vendor}/records", {"id": batch.batch_id, **batch.expected.begins})

    def answer(self) -> None:
        """Answer what has stood for a while: what a demo.yaml has an answer to, and whether a lost start was heard."""
        wanted = {"response_received": "false", "state": "awaiting_input", "limit": 100}
        asked = self._stack.api("GET", "/dags/~/dagRuns/~/hitlDetails", **wanted)["hitl_details"]
        for question in asked:
            ti = question["task_instance"]
            batch = self._batches.get(ti["dag_run_id"].rpartition(".")[0])
            if batch is None or _age(question) < READING:
                continue
            if option := batch.expected.answers.get(ti["task_id"]):
                self._say(question, option, self._looked_up(batch.expected.reads.get(ti["task_id"], {})))
            elif ti["task_id"] == LOST and (found := self._found(batch)):
                self._say(question, question["options"][0], dict.fromkeys(question["params"], found))

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

    def _looked_up(self, reads: Mapping[str, str]) -> dict[str, str]:
        return {field: str(self._stack.sandbox("GET", where)["value"]) for field, where in reads.items()}

    def _found(self, batch: DemoBatch) -> str:
        """The run that a start has begun without Ferry's hearing of it; only if something was killed in that very moment."""
        told = rehearsal(batch.vendor)
        runs = started(told, self._stack.sandbox("GET", f"/{batch.vendor}/state"))
        mine = standing_of(self._ledger, batch)
        last = mine.last if mine else None
        known = {one.ref for other in self._others(batch) for one in other.attempts}
        return next((ref for ref in reversed(runs) if ref not in known and last and last.ref in {"", ref}), "")

    def _others(self, batch: DemoBatch) -> list[Standing]:
        others = [one for one in self._batches.values() if one is not batch and one.vendor == batch.vendor]
        return [found for one in others if (found := standing_of(self._ledger, one))]

    def _say(self, question: dict[str, Any], option: str, looked_up: Mapping[str, str]) -> None:
        ti = question["task_instance"]
        path = f"/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/{ti['map_index']}/hitlDetails"
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
