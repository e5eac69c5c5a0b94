"""The one polling loop: what is stored of it, when it looks, when it gives up, and that it asks no more than it must."""

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from tests.loopback import answer
from tests.steps.conftest import ORIGIN
from tests.steps.six import SixApi, SixProofTrigger, SixTrigger, word

from ferry.core.api import json_of
from ferry.core.model import RunState
from ferry.ledger.entries import Kind, Verdict
from ferry.steps import triggers as subject
from ferry.steps.hook import _lines
from ferry.steps.triggers import LivePlaceTrigger, since_when

QUICK = {"first_look": 0.01, "longest_pause": 0.02}
FINAL = [state for state in RunState if state.is_final]
AWAY = answer(503)


def trigger(ledger, kind=SixTrigger, **kwargs):
    return kind(attempt=ledger.attempt.key, **(QUICK | kwargs))


async def _events(wait):
    return [event async for event in wait.run()]


def event_of(wait):
    """Run a trigger to its end; it must yield exactly one event."""
    (event,) = asyncio.run(_events(wait))
    return event


@pytest.fixture
def started(ledger):
    ledger.open_run()
    ledger.start_run()
    return ledger


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now, self.on_tick = time.time(), lambda _: None

    def time(self):
        return self.now

    async def sleep(self, seconds):
        self.now += max(0.0, seconds)
        self.on_tick(self.now)
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch):
    simulated = Clock()
    monkeypatch.setattr(subject, "time", simulated)
    monkeypatch.setattr(subject, "asyncio", SimpleNamespace(sleep=simulated.sleep, to_thread=asyncio.to_thread))
    return simulated


# What is stored


def test_what_is_stored_of_a_waiting_run():
    wait = SixTrigger(attempt="six://six.example/b-1/1", verb="look_prepared", step="await_prepared", patience=7200.0)
    assert wait.serialize() == (
        "tests.steps.six.SixTrigger",
        {
            "attempt": "six://six.example/b-1/1",
            "step": "await_prepared",
            "verb": "look_prepared",
            "ref_of": ["", ""],
            "at": "",
            "patience": 7200.0,
            "first_look": 5.0,
            "longest_pause": 60.0,
            "tolerance": 600.0,
        },
    )


def test_what_is_stored_of_a_start_that_waits_for_room():
    assert LivePlaceTrigger("six://six.example/b-1/1", 4).serialize() == (
        "ferry.steps.triggers.LivePlaceTrigger",
        {
            "attempt": "six://six.example/b-1/1",
            "max_live": 4,
            "max_parts": 0,
            "first_look": 0.0,
            "part_seconds": None,
            "pause": 10.0,
            "tolerance": 600.0,
        },
    )


@pytest.mark.parametrize(
    "wait",
    [
        SixTrigger(attempt="six://h/b/1", step="await_ingestion", verb="look_ingestion", ref_of=("ingest", "file"), patience=1.5),
        SixProofTrigger(attempt="six://h/b/1", first_look=2.0, longest_pause=15.0, tolerance=3.0),
        LivePlaceTrigger(attempt="six://h/b/1", max_live=2, pause=3.0, tolerance=4.0),
    ],
)
def test_a_trigger_made_from_its_stored_form_is_the_same(wait):
    path, kwargs = wait.serialize()
    assert type(wait)(**kwargs).serialize() == (path, kwargs)
    assert type(wait)(**kwargs, invented_by_a_newer_ferry=1).serialize() == (path, kwargs)


# How it ends


@pytest.mark.parametrize("state", FINAL)
def test_any_end_of_the_run_ends_the_wait_and_is_in_the_ledger_first(started, six, state):
    six.will(word("running"), word(state.value, "The End", entityCount=3))
    assert isinstance(event_of(trigger(started)), TaskSuccessEvent)
    last = started.standing.entries[-1]
    assert (last.step, last.kind, last.ref) == ("await_run", Kind.RESULT, "r-1")
    assert (last.state, last.word, last.counts, last.data["looks"]) == (state, "The End", {"entityCount": 3}, 2)


def test_every_new_word_is_noted_once(started, six):
    six.will(*[word("running", said) for said in ("One", "One", "Two", "Two", "Two")], word("succeeded", "Done"))
    event_of(trigger(started))
    looks = [(entry.kind, entry.word) for entry in started.standing.entries if entry.step == "await_run"]
    assert looks == [(Kind.LOOK, "One"), (Kind.LOOK, "Two"), (Kind.RESULT, "Done")]


def test_a_known_end_is_not_asked_for_again(started, six):
    started.write("await_run", ref="r-1", state=RunState.FAILED_CLEAN, word="Failed")
    before = started.standing.entries
    assert isinstance(event_of(trigger(started)), TaskSuccessEvent)
    assert six.asked == []
    assert started.standing.entries == before


def test_a_trigger_started_elsewhere_goes_on_where_the_first_one_stopped(started, six):
    six.will(word("running", "One"))
    first = trigger(started)

    async def killed_after_a_word():
        waiting = asyncio.create_task(_events(first))
        while started.standing.word != "One":  # noqa: ASYNC110 (another thread writes it)
            await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(killed_after_a_word())
    six.will(word("running", "One"), word("succeeded"))
    _, stored = first.serialize()
    assert isinstance(event_of(SixTrigger(**stored)), TaskSuccessEvent)
    assert [entry.word for entry in started.standing.entries if entry.step == "await_run"] == ["One", "Succeeded"]


def test_another_ref_than_the_runs_can_be_watched(started, six):
    six.will(word("succeeded"))
    started.write("ingest", key="file", ref="i-9")
    event_of(trigger(started, step="await_ingestion", ref_of=("ingest", "file")))
    assert [asked.target for asked in six.asked] == ["/run/i-9"]
    assert started.standing.run_state is RunState.QUEUED  # the run itself was not seen


def test_without_a_run_there_is_nothing_to_wait_for(ledger, six, said):
    assert isinstance(event_of(trigger(ledger)), TaskFailedEvent)
    assert "The ledger knows no run of six batch b-1, attempt 1" in said()
    assert six.asked == []


def test_a_bug_stays_a_traceback(started, six):
    six.will(answer(200, b'{"state": "running"}'))
    with pytest.raises(KeyError):
        event_of(trigger(started))


# Patience


def test_the_deadline_is_a_moment_not_a_duration(started, six, clock, said):
    """A triggerer that was down for two days must not begin to count anew: one last look, then the end."""
    clock.now += 2 * 86400
    six.will(word("running", "Processing"))
    assert isinstance(event_of(trigger(started, patience=86400.0)), TaskFailedEvent)
    assert len(six.asked) == 1
    assert "run r-1 did not end within 24.0 h; its last word was 'Processing'" in said()
    assert "clear await_run to wait on. Nothing is started again." in said()
    assert started.standing.is_open
    assert not started.standing.run_is_over


def test_a_wait_that_was_given_up_and_cleared_waits_as_long_again(started, six, clock):
    sent = since_when(started.standing, "await_run")
    clock.now += 2 * 86400
    six.will(word("running", "Processing"))
    event_of(trigger(started, patience=86400.0))
    given_up = started.standing.entries[-1]
    assert since_when(started.standing, "await_run") == given_up.at.timestamp() > sent
    assert since_when(started.standing, "await_records") == sent


def test_a_run_that_ended_meanwhile_is_seen_by_that_last_look(started, six, clock):
    clock.now += 2 * 86400
    six.will(word("succeeded"))
    assert isinstance(event_of(trigger(started, patience=86400.0)), TaskSuccessEvent)


def test_patience_ends_on_time(started, six, clock):
    six.will(word("running"))
    begin = clock.now
    event_of(trigger(started, patience=3600.0, first_look=5.0, longest_pause=60.0))
    assert clock.now - begin == pytest.approx(3600.0, abs=10.0)


def test_an_outage_is_waited_out(started, six, clock):
    six.will(*[AWAY] * 12, None, answer(429), word("succeeded"))
    begin = clock.now
    assert isinstance(event_of(trigger(started)), TaskSuccessEvent)
    assert clock.now - begin < 43200


def test_an_outage_that_outlasts_the_patience_says_what_was_wrong(started, six, clock, said):
    six.will(AWAY)
    assert isinstance(event_of(trigger(started, patience=7200.0)), TaskFailedEvent)
    assert "it has said nothing yet. The last trouble: six answered look with HTTP 503" in said()


def test_a_no_is_tolerated_for_a_while_and_not_for_ever(started, six, clock, said):
    six.will(answer(403))
    begin = clock.now
    assert isinstance(event_of(trigger(started, tolerance=600.0)), TaskFailedEvent)
    assert 600 <= clock.now - begin <= 1300
    assert "six answered look with HTTP 403" in said()


def test_a_no_that_passes_does_no_harm(started, six, clock):
    six.will(answer(403), answer(403), answer(200, b"<html>"), word("succeeded"))
    assert isinstance(event_of(trigger(started)), TaskSuccessEvent)


def test_nos_with_answers_between_them_are_not_added_up(started, six, clock):
    no_and_yes = [answer(403), word("running")] * 40
    six.will(*no_and_yes, word("succeeded"))
    assert isinstance(event_of(trigger(started, tolerance=60.0, first_look=30.0, longest_pause=60.0)), TaskSuccessEvent)


def test_a_run_that_was_just_opened_may_be_unknown_at_first(started, six, clock):
    six.will(answer(404), answer(404), word("succeeded"))
    assert isinstance(event_of(trigger(started, tolerance=0.0)), TaskSuccessEvent)


def test_a_run_that_stays_unknown_is_red(started, six, clock):
    six.will(answer(404))
    sent = since_when(started.standing, "await_run")
    assert isinstance(event_of(trigger(started)), TaskFailedEvent)
    assert subject.GRACE <= clock.now - sent <= subject.GRACE + subject.OUTAGE_PAUSE


def test_the_same_trouble_is_logged_once(started, six, clock, said):
    six.will(*[AWAY] * 10, word("succeeded"))
    event_of(trigger(started))
    assert said().count("HTTP 503") == 1


# The ledger's own outages


def test_a_ledger_that_is_away_for_a_while_ends_no_wait(started, six, clock):
    """Away before the first look, as when both are restarted at once, and back after a minute."""
    started.take_away()
    begin = clock.now
    clock.on_tick = lambda now: now > begin + 60 and started.bring_back()
    six.will(word("succeeded"))
    assert isinstance(event_of(trigger(started)), TaskSuccessEvent)
    assert started.standing.run_state is RunState.SUCCEEDED


def test_a_ledger_that_goes_away_before_the_end_is_written_gets_it_later(started, six, clock):
    def end_without_a_ledger(connection):
        started.take_away()
        connection.sendall(word("succeeded"))

    six.will(word("running"), end_without_a_ledger)
    begin = clock.now
    clock.on_tick = lambda now: now > begin + 90 and started.bring_back()
    assert isinstance(event_of(trigger(started)), TaskSuccessEvent)
    assert started.standing.run_state is RunState.SUCCEEDED
    assert len(six.asked) == 2


def test_a_ledger_that_stays_away_is_red(started, six, clock, said):
    started.take_away()
    assert isinstance(event_of(trigger(started)), TaskFailedEvent)
    assert "the ledger" in said()
    assert six.asked == []


# The budget


def requests_in_ten_minutes(started, six, clock, reply):
    six.will(reply)
    event_of(trigger(started, patience=600.0, first_look=5.0, longest_pause=60.0))
    return len(six.asked)


@pytest.mark.parametrize(
    "reply",
    [answer(429), answer(429, b"", "Retry-After: 1"), answer(429, b"", "Retry-After: 45"), answer(500), None],
    ids=["429", "429 come back in 1 s", "429 come back in 45 s", "500", "dropped"],
)
def test_ten_minutes_of_no_cost_at_most_sixty_requests(started, six, clock, reply):
    assert requests_in_ten_minutes(started, six, clock, reply) <= 60


def test_ten_minutes_of_working_cost_at_most_sixty_requests(started, six, clock):
    assert 5 <= requests_in_ten_minutes(started, six, clock, word("running")) <= 60


def test_the_vendors_wish_to_be_left_alone_is_obeyed(started, six, clock, monkeypatch):
    monkeypatch.setattr(subject.random, "uniform", min)  # the luck by which a waiter comes soonest
    times = []
    six.will(*[lambda connection: (times.append(clock.now), connection.sendall(answer(429, b"", "Retry-After: 240")))] * 2)
    six.answers.append(word("succeeded"))
    event_of(trigger(started))
    assert times[1] - times[0] >= 240


def test_pauses_grow_up_to_the_cap(started, six, clock):
    times = []
    six.will(lambda connection: (times.append(clock.now), connection.sendall(word("running"))))
    event_of(trigger(started, patience=3600.0, first_look=5.0, longest_pause=60.0))
    pauses = [later - sooner for sooner, later in pairwise(times)][:-1]
    assert pauses[0] < 12
    assert all(40 <= pause <= 75 for pause in pauses[10:])


def test_many_waiters_share_one_client_and_one_gate(started, six):
    six.will(word("succeeded"))
    lines = []

    async def wait_for_many():
        await asyncio.gather(*[_events(trigger(started, step=f"await_{number}")) for number in range(30)])
        lines.extend(_lines[asyncio.get_running_loop()])

    asyncio.run(wait_for_many())
    assert len(lines) == 1
    assert len(six.asked) == 30


# Kills


class Cancelling(SixTrigger):
    cancelled = False

    async def cancel(self):
        self.cancelled = True


@pytest.mark.parametrize(
    ("state", "cancelled"),
    [
        ("failed", True),
        (SimpleNamespace(value="failed"), True),
        ("skipped", True),
        ("deferred", False),  # a triggerer that stalled is told to kill what another one has taken over by then
        ("scheduled", False),  # cleared, to wait anew
        ("None", False),
        (None, False),  # gone
        ("success", False),  # a person has what they wanted
    ],
)
def test_a_run_is_cancelled_only_if_a_person_has_ended_its_task(started, monkeypatch, state, cancelled):
    states = {"b-1.1": {"await_run": state} if state else {}}
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(lambda **_: states))
    wait = trigger(started, Cancelling)
    wait.task_instance = SimpleNamespace(dag_id="migrate_six", run_id="b-1.1", task_id="await_run", map_index=-1, try_number=1)
    asyncio.run(wait.on_kill())
    assert wait.cancelled is cancelled


def test_what_a_kill_has_begun_goes_on_though_airflow_cancels_the_trigger_again(started, monkeypatch):
    """Airflow 3.3.2 does so a second after the first time, whatever on_kill is at."""
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(lambda **_: {"b-1.1": {"await_run": "failed"}}))

    class Slowly(Cancelling):
        async def cancel(self):
            begun.set()
            await asyncio.sleep(0.05)
            self.cancelled = True

    async def killed_twice():
        killing = asyncio.ensure_future(wait.on_kill())
        await begun.wait()
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        assert not wait.cancelled
        await asyncio.sleep(0.2)

    wait, begun = trigger(started, Slowly), asyncio.Event()
    wait.task_instance = SimpleNamespace(dag_id="migrate_six", run_id="b-1.1", task_id="await_run", map_index=-1, try_number=1)
    asyncio.run(killed_twice())
    assert wait.cancelled


def test_a_trigger_that_belongs_to_no_task_cancels_nothing(started):
    wait = trigger(started, Cancelling)
    asyncio.run(wait.on_kill())
    assert not wait.cancelled


def test_a_vendor_that_cannot_cancel_says_that_its_run_goes_on(started, said):
    asyncio.run(trigger(started).cancel())
    assert "its run goes on" in said()


# Proof of a start


def proved(ledger, six, *words, patience=0.05):
    six.will(*words)
    return event_of(trigger(ledger, SixProofTrigger, step="confirm_start", verb="look", patience=patience)).payload


@pytest.fixture
def lost(ledger):
    ledger.open_run(word="Created")
    ledger.start_run(answered=False)
    return ledger


def test_anything_but_queued_is_proof(lost, six):
    assert proved(lost, six, word("queued", "Created"), word("running", "Processing"), patience=60.0) == {
        "proved": True,
        "word": "Processing",
        "ref": "r-1",
    }
    assert lost.standing.entries[-1].kind is Kind.LOOK


def test_no_proof_is_no_failure_but_a_question(lost, six):
    assert proved(lost, six, word("queued", "Created")) == {"proved": False, "word": ""}


def test_a_vendor_that_is_away_proves_nothing(lost, six):
    assert proved(lost, six, AWAY) == {"proved": False, "word": ""}


def test_the_proof_names_the_run_that_was_found(lost, six, monkeypatch):
    """The answer that was lost may have been the first to name the run."""

    def named(self, run):
        found = yield from self._call("look", "GET", f"/run/{run.ref}", repeatable=True)
        return replace(run, ref="r-77", state=RunState.RUNNING, word=json_of(found, "look")["word"])

    monkeypatch.setattr(SixApi, "look_named", named, raising=False)
    six.will(word("running", "Importing"))
    event = event_of(trigger(lost, SixProofTrigger, step="confirm_start", verb="look_named", patience=60.0))
    assert event.payload == {"proved": True, "word": "Importing", "ref": "r-77"}


# An end that is older than what was begun


def undo_begun(ledger, key):
    ledger.store.intend(ledger.attempt, "undo_run", origin=ORIGIN, key=key, ref="r-1")
    ledger.write("undo_run", key=key, ref="r-1", state=RunState.RUNNING)


def test_the_end_of_an_earlier_undo_is_not_taken_for_that_of_a_later_one(started, six):
    undo_begun(started, "")
    started.write("await_undo", ref="r-1", state=RunState.FAILED_DIRTY, word="undo_failed")
    undo_begun(started, "30")
    six.will(word("cancelled", "undo_success"))
    assert isinstance(event_of(trigger(started, step="await_undo")), TaskSuccessEvent)
    assert (len(six.asked), started.standing.word) == (1, "undo_success")


def test_the_end_of_an_earlier_undo_is_not_taken_for_one_that_others_brought_about(started, six):
    undo_begun(started, "")
    started.write("await_undo", ref="r-1", state=RunState.FAILED_DIRTY, word="undo_failed")
    started.write("undo_run", Kind.ADOPTED, key="30", ref="r-1", state=RunState.RUNNING)
    six.will(word("cancelled", "undo_success"))
    event_of(trigger(started, step="await_undo"))
    assert (len(six.asked), started.standing.run_state) == (1, RunState.CANCELLED)


def test_the_end_of_a_run_before_it_was_started_again_is_not_taken_for_its_end(started, six):
    started.write("await_run", ref="r-1", state=RunState.FAILED_CLEAN, word="Refused")
    started.store.intend(started.attempt, "start_run", origin=ORIGIN, key="~2", ref="r-1")
    six.will(word("succeeded"))
    event_of(trigger(started))
    assert (len(six.asked), started.standing.run_state) == (1, RunState.SUCCEEDED)


@pytest.mark.parametrize("step", ["await_run", "await_undo"])
def test_an_end_that_is_newer_than_all_that_was_begun_is_not_asked_for_again(started, six, step):
    undo_begun(started, "")
    started.write(step, ref="r-1", state=RunState.SUCCEEDED)
    assert isinstance(event_of(trigger(started, step=step)), TaskSuccessEvent)
    assert six.asked == []


def test_an_undo_that_is_begun_makes_no_wait_for_the_import_anew(started, six):
    started.write("await_run", ref="r-1", state=RunState.SUCCEEDED)
    undo_begun(started, "")
    event_of(trigger(started))
    assert six.asked == []


# Room


def test_a_start_waits_until_there_is_room(started, clock, said):
    wait = LivePlaceTrigger(started.attempt.key, max_live=1, pause=10.0)
    begin = clock.now
    done = []

    def end_after_a_minute(now):
        if now > begin + 60 and not done:
            done.append(started.store.settle(started.attempt, Verdict.REFUSED, ORIGIN))

    clock.on_tick = end_after_a_minute
    event = event_of(wait)
    assert isinstance(event, TriggerEvent)
    assert event.payload == {"room": True}
    assert 60 <= clock.now - begin < 90


def test_a_part_waits_until_another_is_answered_though_its_attempt_has_its_place(started, clock, said):
    started.store.intend(started.attempt, "start_run", origin=ORIGIN, key="a")
    begin, done = clock.now, []

    def answer_after_a_minute(now):
        if now > begin + 60 and not done:
            done.append(started.write("start_run", key="a", state=RunState.SUCCEEDED))

    clock.on_tick = answer_after_a_minute
    before = started.store.live_parts(started.attempt)
    wait = LivePlaceTrigger(started.attempt.key, max_live=1, max_parts=before, first_look=7.0, pause=3.0)
    assert event_of(wait).payload == {"room": True}
    assert 60 <= clock.now - begin < 80


def test_the_first_look_for_room_is_as_late_as_it_is_told(started, clock):
    begin = clock.now
    assert event_of(LivePlaceTrigger(started.attempt.key, max_live=2, first_look=7.0)).payload == {"room": True}
    assert 5 <= clock.now - begin < 10


def test_where_there_is_room_nobody_waits(started, clock):
    begin = clock.now
    assert event_of(LivePlaceTrigger(started.attempt.key, max_live=2)).payload == {"room": True}
    assert clock.now == begin


def test_without_a_ledger_there_is_no_wait(started, connect, six, said):
    connect("ferry_ledger", conn_type="mysql", host="db")
    assert isinstance(event_of(trigger(started)), TaskFailedEvent)
    assert "Connection 'ferry_ledger' is of type 'mysql'; it must be sqlite or postgres." in said()
