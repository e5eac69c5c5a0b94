"""Starts whose answer nobody has: lost on the way, or known only to a worker that died. Never a second one; a person decides."""

import inspect

import httpx  # noqa: TID251  # the person at the vendor's own pages is no client of ours
import pytest

from ferry.ledger.entries import Kind, Verdict
from ferry.steps.people import NOT_STARTED, STARTED
from ferry.steps.work import Work

SOURCE, FIRST = inspect.getsourcelines(Work.once)
# The line that hands on what an earlier try came to is reached by the second try only: every test here ends with one.
ON_RETRY = "return intent.result"
LINES = sorted(
    line
    for line in {line for *_, line in Work.once.__code__.co_lines() if line} - {FIRST}
    if ON_RETRY not in SOURCE[line - FIRST]
)
# What the vendor must do for each line to be reached: answer, lose its answer, refuse, answer nonsense.
WEATHER = [
    None,
    {"action": "drop_after"},
    {"action": "status", "status": 403},
    {"action": "status", "status": 302},
]


def lose_the_start(house, driver, batch_id="b"):
    """A start that never arrives, at a vendor whose word proves nothing; the DAG run waits for a person."""
    house.switch(unstarted_word="Processing")
    house.batch(batch_id)
    house.fault("PUT", "*/start", "drop_before")
    run = driver.play("migrate_fenergo", batch_id=batch_id)
    assert (run.state, run.states["confirm_start"]) == ("running", "awaiting_input")
    (asked,) = driver.asked
    assert asked.options == [STARTED, NOT_STARTED]
    assert "will not be started a second time" in asked.body
    assert house.last(batch_id).attempt.key in asked.body
    assert len(house.starts()) == 1
    return run


def start_by_hand(house):
    """What a person does in FenX."""
    form = {"grant_type": "client_credentials", "client_id": "ferry-demo", "client_secret": "ferry-demo-secret"}
    token = httpx.post(f"{house.sandbox}/fenergo/connect/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "X-TENANT-ID": "11111111-2222-3333-4444-555555555555"}
    path = house.starts()[0]["path"]
    httpx.put(f"{house.sandbox}{path}", headers=headers).raise_for_status()


def test_a_person_says_it_was_started_and_the_journey_goes_on(house, driver):
    run = lose_the_start(house, driver)
    start_by_hand(house)
    driver.answer(run, STARTED, batch_id="b")
    assert run.state == "success", run
    last = house.last("b")
    (adopted,) = [entry for entry in last.entries if entry.kind is Kind.ADOPTED]
    assert adopted.note == "Petra says that the run was started."
    assert last.verdict is Verdict.BALANCED
    assert [start["status"] for start in house.starts()] == [None, 202]  # the lost one, and the person's own


def test_a_person_says_it_was_not_started_and_a_second_trigger_makes_a_second_attempt(house, driver):
    run = lose_the_start(house, driver)
    driver.answer(run, NOT_STARTED, batch_id="b")
    assert run.state == "failed"
    assert run.errors["confirm_start"] == [
        "Petra says that the run was not started. The attempt is closed; trigger the batch again for a new one."
    ]
    assert house.last("b").verdict is Verdict.ABANDONED
    assert len(house.starts()) == 1

    driver.clear(run, "confirm_start", batch_id="b")  # or the worker died just after it wrote the answer down
    assert run.states["confirm_start"] == "failed", "a no stays a no"
    assert run.states["await_run"] == "upstream_failed", "nobody waits for what was not started"
    assert len(driver.asked) == 1

    again = driver.play("migrate_fenergo", batch_id="b")
    assert again.state == "success", again
    first, second = house.standing("b").attempts
    assert (second.attempt.number, second.verdict) == (2, Verdict.BALANCED)
    assert first.ref != second.ref
    assert [second.ref in start["path"] for start in house.starts()] == [False, True]
    house.holds("b")


def test_clearing_the_start_or_triggering_again_while_a_person_is_asked_sends_nothing(house, driver):
    run = lose_the_start(house, driver)
    twin = driver.play("migrate_fenergo", batch_id="b")
    assert (twin.state, twin.states["check_batch"]) == ("success", "skipped")
    run.states["confirm_start"] = "failed"
    driver.clear(run, "start_run", batch_id="b")
    assert run.states["confirm_start"] == "awaiting_input"
    assert len(house.starts()) == 1


@pytest.fixture(scope="module")
def weather(dying):
    """For each line, what the vendor must do for it to be reached; learnt from one journey each."""
    known = {}

    def at(line, house):
        for number, fault in enumerate(WEATHER):
            if line in known:
                break
            for reached in play_and_die(house, dying, fault, line=-1, batch_id=f"learn{number}"):
                known.setdefault(reached, fault)
            house.control("POST", "/reset")
        return known[line]

    return at


def play_and_die(house, dying, fault, line, batch_id):
    house.batch(batch_id)
    if fault:
        house.control("POST", "/fenergo/faults", json={"method": "PUT", "path": "*/start", **fault})
    where = {"dag": "migrate_fenergo", "task": "start_run", "functions": ["ferry.steps.work:Work.once"]}
    return [int(reached.partition(":")[2]) for reached in dying(line=f"0:{line}", run_id="r1", batch_id=batch_id, **where)]


@pytest.mark.xdist_group("lost starts")  # one process finds out what the weather must be for each line
@pytest.mark.parametrize("line", [*LINES, 0], ids=[SOURCE[line - FIRST].strip()[:60] for line in LINES] + ["after its return"])
def test_a_worker_dies_at_any_line_and_the_next_try_starts_nothing_twice(house, driver, dying, weather, line):
    fault = weather(line, house)
    assert play_and_die(house, dying, fault, line, "b")[-1] == line
    house.control("DELETE", "/fenergo/faults")
    run = driver.play("migrate_fenergo", run_id="r1", batch_id="b")
    heard = [start for start in house.starts() if start["status"] is None or start["status"] == 202]
    assert len(heard) <= 1
    if run.state == "running":  # nobody can know: the intent is there, and no trace of a start
        assert heard == []
        driver.answer(run, NOT_STARTED, batch_id="b")
        run = driver.play("migrate_fenergo", batch_id="b")
    assert run.state == "success", run
    house.holds("b")
