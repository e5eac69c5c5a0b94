"""A gate that a person opens or shuts: who, when and why stand in the ledger, and a no is final for the attempt."""

from dataclasses import replace

import pytest
from airflow.sdk import DAG
from tests.dags.driver import Clock, Driver, simulate
from tests.steps.conftest import ORIGIN
from tests.steps.six import SixApi, SixHook, SixProofTrigger

from ferry.core.model import RunState
from ferry.ledger.entries import Kind, Verdict
from ferry.steps.operators import SettleBatchOperator
from ferry.steps.people import APPROVE, REJECT, STARTED, ApproveOperator, ConfirmStartOperator
from ferry.steps.policy import DEFAULT_ARGS, batch_params

SIX = f"{SixHook.__module__}.{SixHook.__qualname__}"


class SixApproveOperator(ApproveOperator):
    hook_path = SIX

    def facts(self, work):
        return f"{work.attempt} wants to go on with run {work.standing.ref}."


class SixHurryOperator(SixApproveOperator):
    def unattended(self, work):
        return f"{work.attempt.batch_id} needs nobody."


class SixMatterOperator(SixApproveOperator):
    """What is decided on is what the check last saw; a new DAG run that takes the attempt up asks anew."""

    def matter(self, work):
        checked = work.standing.results.get(("check_package", ""))
        return checked.data["fingerprint"] if checked else ""

    def part(self, work):
        return work.standing.openings[-1].data.get("time", "")


class SixHurriedMatterOperator(SixMatterOperator):
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


# What an answer is for


def answers(ledger):
    return [
        (str(e.kind), e.key, e.data.get("matter"), e.state) for e in ledger.standing.entries if e.step == "approve" and e.data
    ]


def checked(ledger, fingerprint):
    ledger.write("check_package", data={"passed": True, "fingerprint": fingerprint})


def test_an_answer_holds_for_what_was_shown(ledger, played):
    checked(ledger, "m-1")
    driver, run = played(SixMatterOperator)
    driver.answer(run, APPROVE)
    driver.clear(run, "approve")
    assert (run.states["approve"], len(driver.asked)) == ("success", 1)
    assert answers(ledger) == [("asked", "", "m-1", None), ("result", "", "m-1", RunState.SUCCEEDED)]


@pytest.mark.parametrize("said", [APPROVE, REJECT])
def test_anything_else_is_asked_by_another_dag_run_because_a_page_keeps_its_first_question(ledger, played, said):
    checked(ledger, "m-1")
    driver, run = played(SixMatterOperator)
    driver.answer(run, said)
    checked(ledger, "m-2")
    driver.clear(run, "approve")
    assert (run.states["approve"], len(driver.asked)) == ("failed", 1)
    assert "a new DAG run asks anew" in run.errors["approve"][-1]
    other = driver.play(run.dag_id)
    assert (other.states["approve"], len(driver.asked)) == ("awaiting_input", 2)
    driver.answer(other, APPROVE)
    assert other.states["approve"] == "success"
    assert [answer[1:3] for answer in answers(ledger)[2:]] == [("", "m-2"), ("", "m-2")]


def test_an_answer_is_for_what_was_asked_even_if_it_changed_since(ledger, played):
    checked(ledger, "m-1")
    driver, run = played(SixMatterOperator)
    checked(ledger, "m-2")
    driver.answer(run, APPROVE)
    assert answers(ledger) == [("asked", "", "m-1", None), ("result", "", "m-1", RunState.SUCCEEDED)]
    driver.clear(run, "approve")
    assert run.states["approve"] == "failed", "it is no answer to what is there now"


def test_an_answer_from_before_there_was_anything_to_tell_apart_is_no_answer_now(ledger, played):
    driver, run = played(SixMatterOperator)
    driver.answer(run, APPROVE)
    checked(ledger, "m-1")
    driver.clear(run, "approve")
    assert run.states["approve"] == "failed"
    assert driver.play(run.dag_id).states["approve"] == "awaiting_input"


def test_where_nobody_is_asked_the_ledger_says_what_it_is_for(ledger, played):
    checked(ledger, "m-1")
    driver, run = played(SixHurriedMatterOperator)
    checked(ledger, "m-2")
    driver.clear(run, "approve")
    succeeded = RunState.SUCCEEDED
    assert answers(ledger) == [("result", "", "m-1", succeeded), ("result", "", "m-2", succeeded)]
    assert driver.asked == []


def test_whoever_takes_the_attempt_up_anew_is_asked_anew(ledger, played):
    checked(ledger, "m-1")
    driver, run = played(SixMatterOperator)
    driver.answer(run, REJECT)
    ledger.write("admit_batch", Kind.ADOPTED, data={"time": "9"})
    driver.clear(run, "approve")
    assert (run.states["approve"], len(driver.asked)) == ("awaiting_input", 2)
    driver.answer(run, APPROVE)
    assert [answer[1] for answer in answers(ledger)] == ["", "", "9", "9"]
    assert ledger.standing.results["approve", "9"].state is RunState.SUCCEEDED
    assert ledger.standing.results["approve", ""].state is RunState.CANCELLED


# Was it started?


class SixConfirmStartOperator(ConfirmStartOperator):
    hook_path = SIX
    trigger_path = f"{SixProofTrigger.__module__}.{SixProofTrigger.__qualname__}"


@pytest.fixture
def confirmed(ledger, six, played):
    def confirmed(look):
        SixApi.look_started = look
        return played(SixConfirmStartOperator)

    yield confirmed
    if hasattr(SixApi, "look_started"):
        del SixApi.look_started


def seen(run, ref="r-77"):
    return replace(run, ref=ref, state=RunState.RUNNING, word="Importing")
    yield


def unseen(run):
    return replace(run, state=RunState.QUEUED)
    yield


def test_a_start_that_is_proved_brings_the_ref_that_the_lost_answer_would_have_named(ledger, confirmed):
    ledger.start_run(answered=False)
    _, run = confirmed(lambda _api, run: seen(run))
    assert run.states["confirm_start"] == "success", run.messages
    assert (ledger.standing.ref, ledger.standing.start_known) == ("r-77", True)


@pytest.mark.parametrize("found", [seen, unseen])
def test_what_is_adopted_answers_the_start_that_was_lost_and_not_one_before(ledger, confirmed, found):
    """The first start came to a certain no, and the answer to the second was lost."""
    ledger.start_run(answered=False)
    ledger.write("start_run", state=RunState.FAILED_CLEAN)
    ledger.store.intend(ledger.attempt, "start_run", origin=ORIGIN, key="~2", ref="r-1")
    driver, run = confirmed(lambda _api, run: found(run))
    if found is unseen:
        driver.answer(run, STARTED)
    assert ledger.standing.start_known
    driver.clear(run, "confirm_start")
    assert run.states["confirm_start"] == "success"
    assert len(driver.asked) == (found is unseen)
