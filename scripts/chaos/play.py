"""The story: batches are begun in every way there is, everything is killed in between, and people go on working."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from random import Random
from typing import Any

from rich.console import Console

from ferry.core.errors import LedgerError
from ferry.ledger.listing import BatchRow
from scripts.chaos.cargo import DAYS, FIRST_DAY, Cargo, Load, Seen
from scripts.chaos.people import People
from scripts.chaos.plan import AT_RANDOM, drawn_from
from scripts.chaos.stage import Stage
from scripts.chaos.supervisor import Supervisor
from scripts.client import ApiError
from scripts.setting import DISPATCH

FULL = "disk-is-full"
SECOND = "scheduler-2"
ALIVE = ("queued", "running")
MENDS = 6
"""How often a person comes back to a batch that is red."""
PAUSE = 1.0
AT_EASE, UNSEEN = 12.0, 900.0
"""Seconds for which a batch must have been red before somebody clears it; or must have been waited for in vain."""
BY_HAND = timedelta(days=10)
"""How much later than the dispatched ones those are due that people trigger."""


@dataclass
class Story:
    """Everybody's doings, one tick after the other, until every batch is settled or waits for a person."""

    console: Console
    stage: Stage
    supervisor: Supervisor
    cargo: list[Cargo]
    loads: dict[str, Load]
    random: Random
    left_open: frozenset[str]
    patience: float
    ledger_away: float = 60.0
    """Seconds for which the ledger's database is away, once."""
    done: set[str] = field(default_factory=set)
    mends: dict[str, int] = field(default_factory=dict)
    red_since: dict[str, float] = field(default_factory=dict)
    deeds: list[str] = field(default_factory=list)
    twins: int = 0
    cleared: int = 0

    def __post_init__(self) -> None:
        self.people = People(self.stage.api, self.stage.stack.sandbox, self.loads, self.left_open)
        self.waiting: set[str] = set()
        self.were_asked: frozenset[str] = frozenset()
        self.until = time.monotonic() + self.patience

    # The whole

    def play(self) -> bool:
        """True once all is settled; False if patience ran out before."""
        plans = list(self.disturbances())
        self.begin()

        def through() -> bool:
            share = len(self.done | self.waiting) / len(self.loads)
            while plans and plans[0][0] <= share:
                self._do(*plans.pop(0)[1:])
            return share >= 1.0 and not plans

        return self._until(through) and self.answer_the_rest() and self.come_to_rest()

    def answer_the_rest(self) -> bool:
        """What was left open is on the page still; then somebody comes back to it, and those batches end, too."""
        self.were_asked = frozenset(self.waiting)
        self.say(f"{len(self.were_asked)} batches wait for a person, who answers now")
        self.people.left_open = frozenset()
        return self._until(lambda: len(self.done) == len(self.loads))

    def come_to_rest(self) -> bool:
        """One more backfill over everything, which must find nothing to start."""
        self.say("a last backfill over everything")
        return self._until(self.backfill) and self._until(self._is_quiet)

    def _is_quiet(self) -> bool:
        dispatches = self.stage.every(f"/dags/{DISPATCH}/dagRuns", "dag_runs", state=list(ALIVE))
        return not dispatches and not self.alive() & set(self.loads)

    def _until(self, condition: Callable[[], bool]) -> bool:
        while time.monotonic() < self.until:
            self.tick()
            if condition():
                return True
            time.sleep(PAUSE)
        return False

    def tick(self) -> None:
        """Look at everything once, answer, and mend what is red."""
        questions = self.people.questions()
        self.waiting = self.people.waiting(questions)
        if questions:
            self.people.answer(questions, self.witness())
        rows, alive = self.rows(), self.alive()
        if rows is None:
            return
        for load in self.loads.values():
            row = rows.get(load.batch_id)
            if row is not None and str(row.verdict) == load.verdict:
                if load.batch_id not in alive:
                    self.done.add(load.batch_id)
            elif load.batch_id not in alive and load.batch_id not in self.waiting:
                self._mend(load, AT_EASE if row else UNSEEN)
            else:
                self.red_since.pop(load.batch_id, None)

    def rows(self) -> dict[str, BatchRow] | None:
        """How the ledger's batches stand; None while its database is away."""
        with suppress(LedgerError):
            return {row.batch_id: row for row in self.stage.ledger.batches(limit=len(self.loads) + 500)}
        return None

    def alive(self) -> set[str]:
        """Batches of which a DAG run is queued or running."""
        runs = self.stage.every("/dags/~/dagRuns", "dag_runs", state=list(ALIVE))
        return {str((run["conf"] or {}).get("batch_id") or run["dag_run_id"].partition(".")[0]) for run in runs}

    def witness(self) -> dict[str, Seen]:
        """What the vendors have seen."""
        seen: dict[str, Seen] = {}
        for one in self.cargo:
            mine = [load for load in self.loads.values() if load.vendor == one.vendor]
            seen |= one.witness(self.stage.stack.sandbox("GET", f"/{one.vendor}/state"), mine)
        return seen

    # How batches begin

    def begin(self) -> None:
        """A backfill dispatches some, people trigger others, some twice in the same second, and begin some at the vendor."""
        self.backfill()
        for load in self.loads.values():
            if load.due is None:
                body = {"id": load.batch_id, **load.begins}
                self.stage.stack.sandbox("POST", f"/{load.vendor}/records", body)
            elif load.due >= FIRST_DAY + BY_HAND:
                runs = [f"{load.batch_id}.1"] + [f"{load.batch_id}.twin"] * (self.random.random() < 0.3)
                self.twins += len(runs) - 1
                with ThreadPoolExecutor(len(runs)) as together:
                    list(together.map(lambda run, load=load: self.trigger(load, run), runs))

    def trigger(self, load: Load, run_id: str) -> None:
        """What a person does with the trigger form; a run of that name is no surprise to anybody."""
        asked = {"dag_run_id": run_id, "logical_date": None, "conf": {"batch_id": load.batch_id}}
        try:
            self.stage.api("POST", f"/dags/{load.dag_id}/dagRuns", asked)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

    def backfill(self) -> bool:
        """Dispatch everything that is due, as a person types it; False if Airflow does not take it now."""
        days = [FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1)]
        if self.done:  # later on: over everything
            days[1] += BY_HAND
        told: dict[str, Any] = {"dag_id": DISPATCH, "from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[1]}T00:00:00Z"}
        told |= {"reprocess_behavior": "failed", "run_backwards": False, "max_active_runs": 4}
        try:
            self.stage.api("POST", "/backfills", told)
        except ApiError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}:
                raise
            return False
        return True

    # What is done to them

    def disturbances(self) -> Iterator[tuple[float, str, Callable[[], None]]]:
        """By the share of batches that are through: what happens then."""
        plans: list[tuple[float, str, Callable[[], None]]] = [
            (0.2, "the ledger's database goes away", self.lose_ledger),
            (0.3, "a second scheduler comes", self.second_scheduler),
            (0.4, "the disk of the evidence is full", self.fill_disk),
            (0.5, "a backfill over everything", lambda: self._noted(self.backfill())),
            (0.6, "green tasks are cleared", self.clear_green),
            (0.7, "the second scheduler dies for good", self.end_second),
            (0.8, "green tasks are cleared again", self.clear_green),
        ]
        number = max(2, len(self.loads) // 20)
        for n in range(number):
            victim = drawn_from(AT_RANDOM, self.random)
            plans.append((0.05 + 0.9 * n / number, f"{victim} is killed", lambda victim=victim: self.supervisor.kill(victim)))  # type: ignore[misc]
        yield from sorted(plans, key=lambda plan: plan[0])

    def _do(self, what: str, deed: Callable[[], None]) -> None:
        self.say(what)
        deed()

    def say(self, what: str) -> None:
        """Tell what is happening."""
        self.deeds.append(what)
        at, through = time.strftime("%H:%M:%SZ", time.gmtime()), len(self.done)
        self.console.print(f"{at} {through:4} of {len(self.loads)} batches are through: {what}", highlight=False, markup=False)

    def lose_ledger(self) -> None:
        """Its database is killed, and comes back."""
        self.stage.ledger_server.kill()
        time.sleep(self.ledger_away)
        self.stage.ledger_server.start()

    def second_scheduler(self) -> None:
        """One more scheduler beside the first; PostgreSQL allows it."""
        stack = self.stage.stack
        service = stack.service(SECOND, "airflow", "scheduler", "--skip-serve-logs")
        stack.services[SECOND] = service
        service.start()

    def end_second(self) -> None:
        """It is killed with its workers and not started again."""
        if SECOND in self.stage.stack.services:
            self.supervisor.retire(SECOND)

    def fill_disk(self) -> None:
        """Nothing more can be written to the evidence store for a while."""
        flag = self.stage.folder / FULL
        flag.touch()
        time.sleep(min(20.0, self.ledger_away))
        flag.unlink()

    def clear_green(self) -> None:
        """What people do by mistake: whole green DAG runs, and single green tasks."""
        green = [load for load in self.loads.values() if load.batch_id in self.done and load.verdict == "balanced"]
        for load in self.random.sample(green, min(len(green), max(2, len(self.loads) // 25))):
            path = f"/dags/{load.dag_id}/dagRuns/{load.batch_id}.1"
            with suppress(ApiError):
                if self.random.random() < 0.5:
                    self.stage.api("POST", f"{path}/clear", {"dry_run": False, "only_failed": False})
                else:
                    one = {"dag_run_id": f"{load.batch_id}.1", "task_ids": ["start_run", "await_run", "settle_batch"]}
                    told = one | {"dry_run": False, "only_failed": False, "reset_dag_runs": True}
                    self.stage.api("POST", f"/dags/{load.dag_id}/clearTaskInstances", told)
                self.cleared += 1
                self.done.discard(load.batch_id)

    def _noted(self, taken: object) -> None:
        if not taken:
            self.say("Airflow does not take the backfill: the last one is not over")

    def _mend(self, load: Load, patience: float) -> None:
        """What a migration lead does about a red batch: clear what failed, clear everything, or trigger it again."""
        now = time.monotonic()
        since = self.red_since.setdefault(load.batch_id, now)
        number = self.mends.get(load.batch_id, 0)
        if now - since < patience or number >= MENDS:
            return
        del self.red_since[load.batch_id]
        runs = [
            run for run in self.stage.every(f"/dags/{load.dag_id}/dagRuns", "dag_runs", state=["failed"]) if _is_of(run, load)
        ]
        if not runs and load.due is None and not number:
            return  # nobody has found it yet
        self.mends[load.batch_id] = number + 1
        if runs and number % 3 < 2:
            run = runs[-1]["dag_run_id"]
            body = {"dry_run": False, "only_failed": number % 3 == 0}
            with suppress(ApiError):
                self.stage.api("POST", f"/dags/{load.dag_id}/dagRuns/{run}/clear", body)
        else:
            self.trigger(load, f"{load.batch_id}.again{number}")


def _is_of(run: Mapping[str, Any], load: Load) -> bool:
    return str((run["conf"] or {}).get("batch_id")) == load.batch_id
