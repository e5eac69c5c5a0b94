"""Workers that die at any line of every step that sends, answers, keeps or judges; the next try, or a person, goes on.

However it goes: no start is sent twice for one intent, nobody is asked about what is known, and the batch ends settled. Of the
lines before which ledger, evidence, batches and vendor stand alike, one death stands for all: the next try finds nothing else.
"""

import inspect
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from environments import EXPORT, MIGRATE, RUNTIME, START, STOP, STOPPING

from ferry.ledger.entries import Verdict
from ferry.steps.people import NOT_STARTED, STARTED
from ferry.vendors.dmm.operators import NOT_FOUND, ONE_TIME_PASSWORD, START_IT, TRACKER_ID

HERE, STEPS_OF = "ferry.vendors.dmm.", "ferry.steps."
ONCE = STEPS_OF + "work:Work.once"
FETCHING = [HERE + f"ending:{name}" for name in ("fetch_outputs", "_file", "_record")]
STEPS = {
    "start_run": (
        MIGRATE,
        "start_run",
        [
            HERE + "operators:DmmStartRunOperator.execute_complete",
            HERE + "operators:DmmStartRunOperator._answered",
            HERE + "starting:start_run",
            ONCE,
        ],
    ),
    "confirm_start": (
        MIGRATE,
        "confirm_start",
        [
            HERE + "operators:DmmConfirmStartOperator.execute_complete",
            HERE + "starting:adopt_started",
            HERE + "starting:leave_unknown",
        ],
    ),
    "fetch_outputs": (MIGRATE, "fetch_outputs", FETCHING),
    "fetch_export": (EXPORT, "fetch_outputs", FETCHING),
    "make_batch": (EXPORT, "make_batch", [HERE + "exporting:make_batch", HERE + "exporting:_put"]),
    "reconcile": (MIGRATE, "reconcile", [HERE + "ending:reconcile"]),
    "settle_batch": (
        MIGRATE,
        "settle_batch",
        [HERE + "stopping:settle_batch", STEPS_OF + "settling:settle", STEPS_OF + "settling:_judged"],
    ),
    "stop_run": (STOP, "stop_run", [HERE + "stopping:stop_run"]),
    "settle_stop": (
        STOP,
        "settle_batch",
        [HERE + "stopping:settle_stop", HERE + "stopping:settle_batch", STEPS_OF + "settling:settle"],
    ),
}
"""The steps: their DAG and task, and the functions in which their worker may die."""
SENDING = {"start_run", "confirm_start", "stop_run"}
WHOLE = {"DBConnection": "Runtime Connection"}
IMPORTED = {"batch_id": "in", "connection": "dmm_default", "configuration": RUNTIME}
ANSWERS = {"started": STARTED, "not started": NOT_STARTED, "not to be found": NOT_FOUND}


@dataclass(frozen=True)
class Weather:
    """What goes on while the worker dies."""

    switches: dict[str, Any] = field(default_factory=dict)
    fault: str = ""
    """What befalls the step's call; gone afterwards."""
    answer: str = ""
    """A person's, to the question whether it was started."""
    password: str = ""
    """The wrong one that a person types in."""
    killed: bool = False
    """A person has ended the task that waits."""
    too_late: bool = False
    """The execution ends just before it is to be stopped."""
    verdict: Verdict = Verdict.BALANCED


FINE = Weather()
IN_ERROR = Weather({"entity_errors": "Invoice:1"}, verdict=Verdict.UNBALANCED)
STOPPED = Weather(verdict=Verdict.UNBALANCED)
WEATHER = {
    "start_run": {
        "fine": FINE,
        "lost": Weather(fault="drop_after"),
        "never": Weather(fault="drop_before"),
        "refused": Weather(password="00000000"),
    },
    "confirm_start": {
        "started": Weather(fault="drop_after", answer="started"),
        "not started": Weather(fault="drop_before", answer="not started"),
        "not to be found": Weather(fault="drop_after", answer="not to be found"),
    },
    "fetch_outputs": {"in error": IN_ERROR},
    "fetch_export": {"fine": FINE},
    "make_batch": {"fine": FINE},
    "reconcile": {"fine": FINE},
    "settle_batch": {"fine": FINE, "killed": Weather(killed=True, verdict=Verdict.UNBALANCED)},
    "stop_run": {
        "fine": STOPPED,
        "lost": Weather(fault="drop_after", verdict=Verdict.UNBALANCED),
        "too late": Weather(too_late=True),  # it is settled when the batch is triggered again
    },
    "settle_stop": {"fine": STOPPED},
}
"""How it can go while each step's worker dies."""


class ThisFarError(BaseException):
    """The DAG run has come to the task in which a worker is to die."""


def this_far():
    raise ThisFarError


@dataclass
class Deaths:
    """The batch `b`, and workers that die over it."""

    environments: Any
    driver: Any
    dying: Any
    monkeypatch: Any
    known: dict[tuple[str, str], list[str]]
    """The lines that each step comes to in each weather, each with a mark of the world then, once somebody has found out."""

    @property
    def house(self):
        return self.environments.house

    def prepared(self, step, name):
        """The DAG run as it stands before the step."""
        weather, (dag, task, _) = WEATHER[step][name], STEPS[step]
        self.environments.begin_anew()
        self.driver.runs.clear()
        self.driver.clock.beside = lambda seconds: seconds
        shutil.rmtree(self.house.home / "batches" / "dmm", ignore_errors=True)
        slow = {"chunk_seconds": 1000.0} if dag == STOP or weather.killed else {}
        self.environments.switch(**weather.switches, **slow)
        if dag == EXPORT:
            wanted = {"type": "Export", "dag": EXPORT, "connection": "dmm_source"}
            self.environments.batch(**wanted, configuration=WHOLE, import_as=IMPORTED)
        else:
            self.environments.batch()
        run = self.play(EXPORT if dag == EXPORT else MIGRATE, "r1", self.until(step))
        if step == "confirm_start":
            self.environments.fault("POST", START, weather.fault)
        if step == "start_run":
            return run
        self.give(run, before={**self.until(step), **({"await_run": this_far} if dag == STOP or weather.killed else {})})
        if weather.killed:
            self.kill(run)
        return self.stopping(task, weather, run) if dag == STOP else run

    def until(self, step):
        return {} if step in {"start_run", "confirm_start"} else {STEPS[step][1]: this_far}

    def give(self, run, before):
        """A person types the password in, and the DAG run goes on until the step."""
        self.driver.form = {ONE_TIME_PASSWORD: self.environments.password("source" if run.dag_id == EXPORT else "target")}
        self.go(run, before, START_IT)

    def play(self, dag, run_id, before):
        with suppress(ThisFarError):
            self.driver.play(dag, run_id=run_id, before=before, batch_id="b")
        return self.driver.runs[dag, run_id]

    def go(self, run, before, answer=None):
        with suppress(ThisFarError):
            self.driver.go_on(run, {"batch_id": "b"}, before, answer)

    def kill(self, run):
        """A person ends the task that waits, which stops the execution."""
        self.driver.clock.beside = self.advance
        self.environments.ended_by_hand(self.driver, self.monkeypatch)
        run.states["await_run"] = "failed"
        self.go(run, {"settle_batch": this_far})

    def advance(self, seconds):
        self.house.control("POST", "/clock", json={"advance": seconds})

    def stopping(self, task, weather, run):
        """The DAG run that stops what another one has started, which is no more."""
        run.state = "failed"
        self.advance(10_000 if weather.too_late else 1_500)
        stop = self.play(STOP, "r2", {task: this_far, "await_run": lambda: self.advance(1_000)})
        if task == "stop_run" and weather.fault:
            self.environments.fault("POST", STOPPING, weather.fault)
        return stop

    def die(self, step, name, line="nowhere", run=None, **more):
        """The DAG run, of which another process has played the step until its worker died; and the lines it came to.

        With `run`, it is the next try of the same.
        """
        weather, (dag, task, functions) = WEATHER[step][name], STEPS[step]
        run = run or self.prepared(step, name)
        answer, form = None, {}
        if step == "start_run":
            answer, form = START_IT, {ONE_TIME_PASSWORD: weather.password or self.environments.password()}
            if weather.fault:
                self.environments.fault("POST", START, weather.fault)
        if step == "confirm_start":
            there = self.environments.executions()
            answer, form = ANSWERS[weather.answer], {TRACKER_ID: there[0]["id"] if there else ""}
        lines = self.dying(
            dag=dag,
            task=task,
            functions=functions,
            line=line,
            run_id=run.run_id,
            batch_id="b",
            answer=answer,
            form=form,
            so_far={"states": run.states, "xcoms": [[*key, value] for key, value in run.xcoms.items()]},
            **more,
        )
        return run, lines

    def lines(self, step, name):
        if (step, name) not in self.known:
            control = f"{self.house.sandbox}/_sandbox"
            asked = {"requests": f"{control}/requests?vendor=dmm", "state": f"{control}/dmm/state"}
            batches = self.house.home / "batches" / "dmm"
            mine = {"ledger": self.house.home / "ledger.db", "evidence": self.house.evidence, "batches": batches}
            mine |= {"manifest": batches / "b" / "manifest.yaml"}
            self.known[step, name] = self.die(step, name, world=asked | {what: str(path) for what, path in mine.items()})[1]
        return self.known[step, name]

    def of(self, step, name):
        """One death for each world that the step leads through: the line before which it is so, and the how manieth time."""
        names = list(WEATHER[step])
        worlds = {seen.partition("@")[2] for one in names[: names.index(name)] for seen in self.lines(step, one)}
        found, times = [], dict[str, int]()
        for seen in self.lines(step, name):
            line, _, world = seen.partition("@")
            times[line] = times.get(line, 0) + 1
            if world not in worlds:
                worlds.add(world)
                found.append((line, times[line]))
        return found

    def goes_on(self, run, line):
        """The next tries, after a death at a line; a person answers, clears and triggers again until all is settled."""
        self.house.control("DELETE", "/dmm/faults")
        self.driver.clock.beside = self.advance
        task = next(task for _, task, _ in STEPS.values() if run.states.get(task) in {None, "awaiting_input"})
        run.states.pop(task, None)
        self.go(run, {})
        for _ in range(6):
            self.nothing_is_sent_twice(line)
            if run.state == "running":
                self.answered(run, line)
            elif not self.is_settled():
                run = self.driver.play(EXPORT if run.dag_id == EXPORT else MIGRATE, batch_id="b")
        return run

    def nothing_is_sent_twice(self, line):
        meant = [one for attempt in self.environments.standing().attempts for one in attempt.starts]
        assert len(self.environments.requests("POST", START)) <= len(meant), line

    def is_settled(self):
        last = self.environments.last()
        return last.verdict is Verdict.BALANCED or (last.verdict is Verdict.UNBALANCED and bool(last.ref))

    def answered(self, run, line):
        """A person answers what only a person can know."""
        there = self.environments.executions("source" if run.dag_id == EXPORT else "target")
        if run.states["start_run"] == "awaiting_input":
            assert there == [], (line, "no password is asked for where something runs")
            self.environments.give(self.driver, run, environment="source" if run.dag_id == EXPORT else "target")
            return
        assert run.states["confirm_start"] == "awaiting_input", line
        assert self.environments.last().ref == "", (line, "nobody is asked about what is known")
        form = {TRACKER_ID: there[0]["id"] if there else ""}
        self.driver.answer(run, STARTED if there else NOT_STARTED, form, batch_id="b")


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def deaths(environments, driver, dying, known, monkeypatch):
    return Deaths(environments, driver, dying, monkeypatch, known)


def cases(*, sending):
    return [(step, name) for step, names in WEATHER.items() for name in names if (step in SENDING) is sending]


@pytest.mark.parametrize(("step", "name"), cases(sending=True))
def test_a_worker_dies_at_any_line_and_the_next_try_does_nothing_twice(deaths, step, name):
    found = deaths.of(step, name)
    assert found, "this weather leads through worlds of its own"
    for line, time in found:
        run, lines = deaths.die(step, name, line, time=time)
        assert lines[-1] == line
        ends_settled(deaths, deaths.goes_on(run, (line, time)), WEATHER[step][name], line)


@pytest.mark.parametrize(("step", "name"), cases(sending=False))
def test_one_worker_after_another_dies_each_a_little_later_and_nothing_is_lost_or_counted_twice(deaths, step, name):
    """Where nothing is sent: what the one has kept the next one finds, or keeps once more."""
    (first, time), *later = deaths.of(step, name)
    run, lines = deaths.die(step, name, first, time=time)
    assert lines[-1] == first
    for line, time in later:
        deaths.die(step, name, line, run, time=time)
    ends_settled(deaths, deaths.goes_on(run, first), WEATHER[step][name], first)


def ends_settled(deaths, run, weather, line):
    environments, last = deaths.environments, deaths.environments.last()
    assert last.verdict is weather.verdict, (line, run.messages)
    assert run.state == ("success" if run.dag_id == STOP or weather.verdict is Verdict.BALANCED else "failed"), line
    (execution,) = environments.state["executions"]
    assert last.ref == execution["id"], line
    assert last.counts.accepted == execution["records"], line
    environments.holds()


def test_the_functions_are_where_the_table_says():
    for _, _, functions in STEPS.values():
        for name in functions:
            module, _, path = name.partition(":")
            found = import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
            assert inspect.isfunction(found), name
