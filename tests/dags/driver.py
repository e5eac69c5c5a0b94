"""Plays DAG runs in this process, ten times as fast as `dag.test()`: real DAGs and operators, real triggers, simulated waiting.

What is Airflow's work is imitated here, as little of it as our DAGs need: order of tasks, trigger rules, skips, retries by the
task's own policy, deferrals, tasks that start in the triggerer, streams that triggers share, tasks that wait for a person, and
triggered DAG runs. Whatever the driver does not know it refuses. `test_driver.py` compares it with `dag.test()`, so that it
cannot lie.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import TriggerRule
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.definitions._internal.expandinput import ListOfDictsExpandInput
from airflow.sdk.definitions.param import process_params
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.definitions.xcom_arg import MapXComArg
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRuntimeError,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
    ErrorType,
    TaskAwaitingInput,
    TaskDeferred,
)
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    CreateHITLDetailPayload,
    DagRunStateResult,
    ErrorResponse,
    GetConnection,
    GetDagRunState,
)
from airflow.triggers.base import BaseEventTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

DONE = {"success", "failed", "skipped", "upstream_failed"}
RED = {"failed", "upstream_failed"}


class TriggerLog:
    """What a trigger tells people: its log is all they see of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *args: Any) -> None:
        self.lines.append(text % args)

    warning = error = info


class EndedInTriggererError(Exception):
    """A trigger has failed the task that was put aside; no worker hears of it, and it is not tried again."""


class WorkerDied(BaseException):
    """The worker is gone in the middle of a task; Airflow notices and tries the task again."""


class Clock:
    """Simulated time for whoever waits: it jumps. `pace` real seconds pass for each wait, so that the sandbox gets on.

    `beside` hears of each wait: somebody else's clock may have to go along.
    """

    def __init__(self, pace: float = 0.001) -> None:
        self.pace, self.ahead = pace, 0.0
        self.beside: Callable[[float], object] = lambda seconds: seconds

    def time(self) -> float:
        return time.time() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds
        self.beside(seconds)
        time.sleep(min(seconds, self.pace))

    async def asleep(self, seconds: float) -> None:
        self.ahead += seconds
        self.beside(seconds)
        await asyncio.sleep(min(seconds, self.pace))


@dataclass
class TaskInstance:
    """As much of a task instance as operators and triggers look at."""

    task: Any
    run_id: str
    xcoms: dict[tuple[str, str], Any]
    try_number: int = 1
    map_index: int = -1
    id: Any = field(default_factory=uuid4)

    @property
    def task_id(self) -> str:
        return str(self.task.task_id)

    @property
    def dag_id(self) -> str:
        return str(self.task.dag_id)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[self.task_id, key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str = "return_value", **_: Any) -> Any:
        return self.xcoms.get((task_ids, key))


@dataclass
class Played:
    """How a DAG run went: its state, its tasks' states, and the message of every try that failed."""

    dag_id: str
    run_id: str
    states: dict[str, str] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)
    mapped: dict[str, dict[int, str]] = field(default_factory=dict)
    """States of the instances of mapped tasks, by map index."""
    stored: dict[str, Any] = field(default_factory=dict)
    """What Airflow's database holds of a task that waits: the row of its trigger, and what comes after it."""
    state: str = "running"

    @property
    def message(self) -> str:
        """What a person reads who opens the last red task."""
        red = [task for task, state in self.states.items() if state == "failed"]
        return self.errors[red[-1]][-1] if red else ""

    @property
    def messages(self) -> str:
        """Every message of every failed try, one a line."""
        return "\n".join(f"{task}: {text}" for task, texts in self.errors.items() for text in texts)


Hook = Callable[[], object]


class Driver:
    """Plays DAG runs one after the other, in one Airflow that knows what it has played."""

    def __init__(self, dags: Mapping[str, Any], clock: Clock) -> None:
        self.dags, self.clock = dags, clock
        self.runs: dict[tuple[str, str], Played] = {}
        self.asked: list[Any] = []
        self.queued: list[tuple[Played, dict[str, Any]]] = []
        """DAG runs that were triggered and are not waited for: they are played when the one that is being played is over."""
        self.form: dict[str, Any] = {}
        self.loop = asyncio.new_event_loop()

    def play(
        self,
        dag_id: str,
        *,
        run_id: str = "",
        before: Mapping[str, Hook] | None = None,
        answer: str | None = None,
        **conf: Any,
    ) -> Played:
        """One DAG run, to its end, or until a person is asked and there is no `answer`.

        `before` is done just before a task, or just before one instance of a mapped task, named as `start_run[0]`.
        """
        run = Played(dag_id, run_id or f"manual-{len(self.runs) + 1}")
        self.runs[dag_id, run.run_id] = run
        self.go_on(run, conf, before or {}, answer)
        self.play_queued()
        return run

    def play_queued(self) -> None:
        """Play what was triggered meanwhile."""
        while self.queued:
            run, conf = self.queued.pop(0)
            self.go_on(run, conf, {}, None)

    def trigger(self, wanted: DagRunTriggerException) -> None:
        """A DAG run that goes its own way. One that is there already begins anew, which must not befall one that is at work."""
        key = wanted.trigger_dag_id, wanted.dag_run_id
        known = self.runs.get(key)
        if known is not None and (known.state in {"queued", "running"} or not wanted.reset_dag_run):
            raise AssertionError(f"DAG run {key} is there already, and is {known.state}")
        self.runs[key] = Played(*key, state="queued")
        self.queued.append((self.runs[key], dict(wanted.conf or {})))

    def go_on(self, run: Played, conf: dict[str, Any], before: Mapping[str, Hook], answer: str | None) -> None:
        dag = self.dags[run.dag_id]
        run.state = "running"
        for task in dag.topological_sort():
            if run.states.get(task.task_id) in DONE:
                continue
            if verdict := _blocked(task, run.states):
                run.states[task.task_id] = verdict
                continue
            if task.task_id in before:
                before[task.task_id]()
            if task.is_mapped:
                self._play_mapped(run, task, conf, before)
            else:
                run.states[task.task_id] = _Task(self, run, task, conf, answer).play()
            if run.states[task.task_id] == "awaiting_input":
                return
        leaves = {run.states[task.task_id] for task in dag.leaves}
        run.state = "failed" if leaves & RED else "success"

    def _play_mapped(self, run: Played, mapped: Any, conf: dict[str, Any], before: Mapping[str, Hook]) -> None:
        """One instance after the other, those that are not done; red if any is, skipped if there is none."""
        values = _expanded(run, mapped)
        states = run.mapped.setdefault(mapped.task_id, {})
        for index, arguments in enumerate(values):
            if states.get(index) not in DONE:
                before.get(f"{mapped.task_id}[{index}]", bool)()
                task = mapped.unmap(arguments)
                states[index] = _Task(self, run, task, conf, None, map_index=index).play()
        ends = {states[index] for index in range(len(values))}
        run.states[mapped.task_id] = "failed" if ends & RED else "success" if ends else "skipped"

    def play_on(self, dag_id: str, run_id: str, kept: Mapping[str, Any], answer: str | None = None, **conf: Any) -> Played:
        """Play on a DAG run that another process played so far; its task that died is tried again.

        With `waits`, a task of it waits, and goes on from the stored row of its trigger.
        """
        run = Played(dag_id, run_id, states=dict(kept["states"]), stored=dict(kept.get("waits") or {}))
        run.mapped = {task: {int(index): state for index, state in states.items()} for task, states in kept["mapped"].items()}
        run.xcoms = {(task, key): value for task, key, value in kept["xcoms"]}
        self.runs[dag_id, run_id] = run
        self.go_on(run, conf, {}, answer)
        return run

    def answer(self, run: Played, option: str, form: Mapping[str, Any] | None = None, **conf: Any) -> Played:
        """A person answers the task that waits for one, and fills in its form."""
        assert "awaiting_input" in run.states.values()
        self.form = dict(form or {})
        self.go_on(run, conf, {}, option)
        return run

    def clear(self, run: Played, *tasks: str, answer: str | None = None, **conf: Any) -> Played:
        """Clear tasks and everything after them, as a person would, and play the DAG run on."""
        dag = self.dags[run.dag_id]
        for name in tasks:
            for again in {name, *dag.get_task(name).get_flat_relative_ids(upstream=False)}:
                run.states.pop(again, None)
                run.errors.pop(again, None)
                run.mapped.pop(again, None)
        self.go_on(run, conf, {}, answer)
        self.play_queued()
        return run

    # Airflow's side of the wire: what tasks ask their supervisor

    def send(self, msg: Any) -> Any:
        if isinstance(msg, GetDagRunState):
            known = self.runs.get((msg.dag_id, msg.run_id))
            if known is None:
                unknown = {"status_code": 404, "message": "Server returned error", "detail": {"reason": "not_found"}}
                raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=unknown))
            return DagRunStateResult(state=known.state)
        if isinstance(msg, CreateHITLDetailPayload):
            self.asked.append(msg)
            return None
        if isinstance(msg, GetConnection):
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": msg.conn_id})
        raise NotImplementedError(f"the driver does not know what to answer to {type(msg).__name__}")

    async def asend(self, msg: Any) -> Any:
        return self.send(msg)

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


def _blocked(task: Any, states: Mapping[str, str]) -> str:
    """The state of a task that is not to run, by its trigger rule; empty if it is to run."""
    if states.get(task.task_id) == "skipped":
        return "skipped"
    above = {states[name] for name in task.upstream_task_ids}
    if task.trigger_rule == TriggerRule.ALL_DONE:
        return ""
    if task.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
        return "upstream_failed" if above & RED else "" if "success" in above else "skipped"
    if task.trigger_rule != TriggerRule.ALL_SUCCESS:
        raise NotImplementedError(f"the driver does not know trigger rule {task.trigger_rule}")
    if above & RED:
        return "upstream_failed"
    return "skipped" if "skipped" in above else ""


def _expanded(run: Played, mapped: Any) -> list[dict[str, Any]]:
    """The arguments of each instance of a mapped task: one that varies, or all that a function makes of an element."""
    wanted = mapped._get_specified_expand_input()
    if isinstance(wanted, ListOfDictsExpandInput):
        if not isinstance(wanted.value, MapXComArg):
            raise NotImplementedError("the driver knows `expand_kwargs` over a mapped result only")
        values = run.xcoms[wanted.value.arg.operator.task_id, "return_value"]
        for change in wanted.value.callables:
            values = [change(value) for value in values]
        return list(values)
    (name, source), *more = wanted.value.items()
    if more:
        raise NotImplementedError("the driver maps over one argument only")
    return [{**mapped.partial_kwargs, name: value} for value in run.xcoms[source.operator.task_id, "return_value"]]


def _over_the_wire(event: TriggerEvent) -> Any:
    return json.loads(json.dumps(event.payload, default=str))


async def _events_of(trigger: Any) -> AsyncIterator[Any]:
    """A trigger's events. One that shares a stream with others reads that, as in the triggerer; here it is alone with it."""
    if not isinstance(trigger, BaseEventTrigger) or trigger.shared_stream_key() is None:
        async for event in trigger.run():
            yield event
        return
    async with aclosing(type(trigger).open_shared_stream(trigger.serialize()[1])) as stream:  # type: ignore[type-var]
        async for event in trigger.filter_shared_stream(stream):
            yield event


_environments: dict[int, tuple[Any, Any]] = {}
"""By the identity of the DAG, which is kept lest another take its place."""


def _templates(renders: Any) -> Any:
    """Where a task of a DAG, or a trigger, renders its fields: Airflow's environment, but nothing is compiled twice."""
    dag = getattr(renders, "dag", None)
    if id(dag) not in _environments:
        made = renders.get_template_env()
        made.from_string = cache(made.from_string)
        _environments[id(dag)] = dag, made
    return _environments[id(dag)][1]


_known: dict[str, str] = {}
"""What parameters and conf come to, by all that decides on it: to check a schema costs more than many a task."""


def _params(task: Any, conf: Mapping[str, Any]) -> Any:
    told = [{name: one.params.get_param(name).serialize() for name in one.params} for one in (task.dag, task)]
    key = json.dumps([told, conf], default=str)
    if key not in _known:
        # Airflow writes the values into the parameters it is given, which is harmless where each task is a process of its own.
        dag, own = (SimpleNamespace(params=copy.deepcopy(one.params)) for one in (task.dag, task))
        _known[key] = json.dumps(process_params(dag, own, dict(conf), suppress_exception=False))  # type: ignore[arg-type]
    return json.loads(_known[key])


class _Task:
    """One task of one DAG run, from its first try to its last."""

    def __init__(
        self, driver: Driver, run: Played, task: Any, conf: dict[str, Any], answer: str | None, *, map_index: int = -1
    ) -> None:
        self.driver, self.run, self.original, self.answer, self.map_index = driver, run, task, answer, map_index
        self.dag_run = SimpleNamespace(run_id=run.run_id, dag_id=run.dag_id, conf=conf, triggering_user_name="Petra")
        self.parked = run.states.get(task.task_id) == "awaiting_input" and answer is not None
        self.params = _params(task, conf)

    def play(self) -> str:
        """The state it ends in, or waits in."""
        for number in range(1, self.original.retries + 2):
            self.driver.clock.ahead = 0.0
            state = self._try(number)
            if state != "up_for_retry":
                break
        return "failed" if state == "up_for_retry" else state

    def _try(self, number: int) -> str:  # noqa: PLR0911 (as many as a task has ends)
        self.task = self.original.prepare_for_execution()
        self.ti = TaskInstance(self.task, self.run.run_id, self.run.xcoms, number, self.map_index)
        self.context = {
            "ti": self.ti,
            "task_instance": self.ti,
            "task": self.task,
            "dag": self.original.dag,
            "dag_run": self.dag_run,
            "run_id": self.run.run_id,
            "params": self.params,
        }
        try:
            if self.run.stored.get("task_id") == self.ti.task_id:
                stored, self.run.stored = self.run.stored, {}
                return self._in_triggerer(stored["classpath"], stored["kwargs"], stored["next_method"], stored["next_kwargs"])
            return self._started_in_triggerer() if self.original.start_from_trigger else self._on_a_worker()
        except DownstreamTasksSkipped as skip:
            for name in skip.tasks:
                self.run.states[name if isinstance(name, str) else name[0]] = "skipped"
            return "success"
        except AirflowSkipException:
            return "skipped"
        except TaskAwaitingInput:
            return "awaiting_input"
        except WorkerDied as death:
            return self._failed(death, may_retry=True)
        except (AirflowFailException, EndedInTriggererError) as error:
            return self._failed(error, may_retry=False)
        except Exception as error:  # noqa: BLE001 (whatever it is, the policy decides)
            decision = self.task.retry_policy.evaluate(error, number, self.task.retries)
            return self._failed(error, may_retry=decision.action is not RetryAction.FAIL)

    def _failed(self, error: BaseException, *, may_retry: bool) -> str:
        self.run.errors.setdefault(self.ti.task_id, []).append(str(error))
        return "up_for_retry" if may_retry else "failed"

    def _started_in_triggerer(self) -> str:
        told = self.task.start_trigger_args
        return self._in_triggerer(told.trigger_cls, told.trigger_kwargs, told.next_method, told.next_kwargs)

    def _in_triggerer(self, path: str, stored: Any, method: str, more: Any) -> str:
        trigger = import_string(path)(**json.loads(json.dumps(stored)))
        trigger._log, trigger.task_instance = TriggerLog(), self.ti
        trigger.render_template_fields(self.context, _templates(trigger))
        event = self._first_event(trigger)
        if isinstance(event, TaskSuccessEvent):
            return "success"
        if isinstance(event, TaskFailedEvent):
            raise EndedInTriggererError(trigger.log.lines[-1])
        kwargs = {**(more or {}), "event": _over_the_wire(event)}
        return self._on_a_worker(lambda: getattr(self.task, method)(self.context, **kwargs))

    def _on_a_worker(self, begin: Callable[[], Any] | None = None) -> str:
        self.task.render_template_fields(self.context, _templates(self.task))
        sentinel = ExecutorSafeguard.tracker.set(self.task)
        try:
            parked, self.parked = self.parked, False  # a retry begins with the task, as Airflow's does
            result = self._resumed(begin or (self._resume if parked else lambda: self.task.execute(self.context)))
        finally:
            ExecutorSafeguard.tracker.reset(sentinel)
        if result is not None and self.task.do_xcom_push and self.map_index < 0:
            self.ti.xcom_push("return_value", result)
        return "success"

    def _resume(self) -> Any:
        return self.task.execute_complete(self.context, event=self._answered())

    def _resumed(self, work: Callable[[], Any]) -> Any:
        """The result of a task, however often it puts itself aside."""
        while True:
            try:
                return work()
            except TaskDeferred as put_aside:
                method, event = put_aside.method_name, self._fired(put_aside.trigger)
                if isinstance(event, TaskSuccessEvent):
                    return None
                kwargs = {**(put_aside.kwargs or {}), "event": _over_the_wire(event)}
            except TaskAwaitingInput as parked:
                if self.answer is None:
                    raise
                method, kwargs = parked.method_name, {"event": self._answered()}
            except DagRunTriggerException as wanted:
                if not wanted.wait_for_completion:
                    return self.driver.trigger(wanted)
                method, kwargs = "execute_complete", {"event": self._triggered(wanted)}
            work = lambda method=method, kwargs=kwargs: getattr(self.task, method)(self.context, **kwargs)  # noqa: E731

    def _fired(self, trigger: Any) -> Any:
        """What the trigger of a task that was put aside says, once Airflow has stored it and made it anew."""
        path, kwargs = trigger.serialize()
        if not isinstance(trigger, DateTimeTrigger):  # Airflow's own, which Airflow's own way of writing moments brings back
            kwargs = json.loads(json.dumps(kwargs))
        again = import_string(path)(**kwargs)
        again._log, again.task_instance = TriggerLog(), self.ti
        event = self._first_event(again)
        if isinstance(event, TaskFailedEvent):
            raise EndedInTriggererError(again.log.lines[-1])
        return event

    def _first_event(self, trigger: Any) -> Any:
        if isinstance(trigger, DateTimeTrigger):  # Airflow's own, which waits in real time
            self.driver.clock.sleep(max(0.0, trigger.moment.timestamp() - time.time()))  # it reckons from the real time
            return TriggerEvent(trigger.moment)

        async def first() -> Any:
            async with aclosing(_events_of(trigger)) as events:
                async for event in events:
                    return event
            raise AssertionError("the trigger ended without an event")

        return self.driver.loop.run_until_complete(first())

    def _answered(self) -> dict[str, Any]:
        answer, self.answer = self.answer, None  # a person answers once; whoever asks again waits again
        return {
            "chosen_options": [answer],
            "params_input": self.driver.form,
            "responded_at": datetime.now(UTC),
            "responded_by_user": {"id": "petra", "name": "Petra"},
        }

    def _triggered(self, wanted: Any) -> tuple[str, dict[str, Any]]:
        other = self.driver.play(wanted.trigger_dag_id, run_id=wanted.dag_run_id, **wanted.conf)
        return "", {"dag_id": other.dag_id, "run_ids": [other.run_id], other.run_id: other.state}


def simulate(driver: Driver, monkeypatch: Any) -> None:
    """Let our code wait by the driver's clock, and ask the driver where it would ask its supervisor."""
    clock = driver.clock
    sleeping = SimpleNamespace(sleep=clock.sleep, monotonic=time.monotonic)
    awaiting = SimpleNamespace(
        sleep=clock.asleep, to_thread=asyncio.to_thread, ensure_future=asyncio.ensure_future, shield=asyncio.shield
    )
    monkeypatch.setattr("ferry.core.exchange.time", sleeping)
    monkeypatch.setattr("ferry.core.exchange.asyncio", awaiting)
    monkeypatch.setattr("ferry.steps.triggers.asyncio", awaiting)
    monkeypatch.setattr("ferry.steps.triggers.time", SimpleNamespace(time=clock.time))
    monkeypatch.setattr("ferry.vendors.anon.walks.asyncio", awaiting)
    monkeypatch.setattr("ferry.vendors.anon.triggers.asyncio", awaiting)
    monkeypatch.setattr("ferry.vendors.anon.triggers.time", SimpleNamespace(time=clock.time))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", driver, raising=False)
