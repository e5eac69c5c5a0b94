"""A gate that a person opens or shuts: who, when and why stand in the ledger, and a no is final for the attempt."""

import pytest
from airflow.sdk import DAG
from tests.dags.driver import Clock, Driver, simulate
from tests.steps.six import SixHook

from ferry.core.model import RunState
from ferry.ledger.entries import Kind, Verdict
from ferry.steps.operators import SettleBatchOperator
from ferry.steps.people import APPROVE, REJECT, ApproveOperator
from ferry.steps.policy import DEFAULT_ARGS, batch_params

SIX = f"{SixHook.__module__}.{SixHook.__qualname__}"


class SixApproveOperator(ApproveOperator):
    hook_path = SIX

    def facts(self, work):
        return f"{work.attempt} wants to go on with run {work.standing.ref}."


class SixHurryOperator(SixApproveOperator):
    def unattended(self, work):
        return f"{work.attempt.batch_id} needs nobody."


class SixSettleOperator(SettleBatchOperator):
    hook_path = SIX


@pytest.fixture
def played(ledger, monkeypatch):
    """Plays the gate and the verdict after it. The one who holds the attempt is this DAG run."""
    ledger.open_run()
    drivers = []

    def played(gate=SixApproveOperator):
        with DAG("migrate_six", schedule=None, params=batch_params(), default_args=DEFAULT_ARGS) as dag:
            gate(attempt=ledger.attempt.key) >> SixSettleOperator(attempt=ledger.attempt.key)
        driver = Driver({"migrate_six": dag}, Clock())
        drivers.append(driver)
        simulate(driver, monkeypatch)
        return driver, driver.play("migrate_six", run_id="b-1.1", batch_id="b-1")

    yield played
    for driver in drivers:
        driver.close()


def gate_entries(ledger):
    return [(str(e.kind), e.state, e.note, e.origin.who) for e in ledger.standing.entries if e.step == "approve"]


def test_the_question_shows_what_there_is_to_decide(ledger, played):
    driver, run = played()
    assert run.states["approve"] == "awaiting_input"
    (asked,) = driver.asked
    assert asked.subject == "May batch b-1 go on?"
    assert asked.body == "six batch b-1, attempt 1 wants to go on with run r-1."
    assert asked.options == [APPROVE, REJECT]
    assert asked.params["comment"]["schema"]["title"] == "Comment"
    assert gate_entries(ledger) == [("asked", None, "Asked a person whether it may go on.", "Petra")]


def test_a_yes_goes_on_and_says_who_and_why(ledger, played):
    driver, run = played()
    driver.answer(run, APPROVE, {"comment": " Looked at it with Ann. "})
    assert (run.states["approve"], run.errors.get("approve")) == ("success", None)
    assert gate_entries(ledger)[1:] == [("result", RunState.SUCCEEDED, "Petra said approve: Looked at it with Ann.", "Petra")]


def test_a_yes_is_not_asked_for_again(ledger, played):
    driver, run = played()
    driver.answer(run, APPROVE)
    driver.clear(run, "approve")
    assert run.states["approve"] == "success"
    assert len(driver.asked) == 1
    assert len(gate_entries(ledger)) == 2


def test_a_no_is_red_and_closes_the_attempt(ledger, played):
    driver, run = played()
    driver.answer(run, REJECT, {"comment": "Not on a Friday"})
    assert (run.states["approve"], run.states["settle_batch"]) == ("failed", "failed")
    assert ledger.standing.verdict is Verdict.ABANDONED
    assert run.errors["approve"] == [
        "Petra said reject: Not on a Friday. Nothing more is sent for this attempt; trigger the batch again for a new one."
    ]
    assert run.message.endswith("Petra said reject: Not on a Friday. Trigger again: that is a new attempt.")


def test_a_no_stays_a_no(ledger, played):
    driver, run = played()
    driver.answer(run, REJECT)
    driver.clear(run, "approve")
    assert run.states["approve"] == "failed"
    assert len(driver.asked) == 1
    assert [kind for kind, *_ in gate_entries(ledger)] == [Kind.ASKED, Kind.RESULT]


def test_where_nobody_needs_to_be_asked_the_ledger_says_why(ledger, played):
    driver, run = played(SixHurryOperator)
    assert (run.states["approve"], driver.asked) == ("success", [])
    assert gate_entries(ledger) == [("result", RunState.SUCCEEDED, "b-1 needs nobody.", "Petra")]
