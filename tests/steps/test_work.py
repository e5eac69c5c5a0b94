"""Sending once: whoever finds an intent without a result never sends, and only a certain no frees the step."""

import pytest
from tests.loopback import answer
from tests.steps.conftest import ORIGIN
from tests.steps.six import SixHook

from ferry.core.errors import BadInput, LedgerError, VendorError, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.model import RunState
from ferry.ledger.entries import Kind, LedgerFull, NotHolder, Origin
from ferry.steps.operators import parse_attempt
from ferry.steps.work import Work, connection_of


@pytest.fixture
def work(ledger):
    ledger.open_run()
    return Work(ledger.attempt, "start_run", ORIGIN, SixHook)


def start(work, **how):
    return work.once(lambda api: api.start(work.run), ref="r-1", **how)


def test_what_was_answered_is_known_and_never_sent_again(work, six):
    six.will(answer(202))
    first = start(work)
    assert (first.kind, first.ref) == (Kind.RESULT, "r-1")
    assert start(work) == first
    assert len(six.asked) == 1


def test_the_intent_is_in_the_ledger_before_anything_is_sent(work, six):
    seen = []

    def look_into_the_ledger(connection):
        seen.extend(work.standing.starts)
        connection.sendall(answer(202))

    six.will(look_into_the_ledger)
    start(work)
    assert [(intent.step, intent.ref) for intent in seen] == [("start_run", "r-1")]


@pytest.mark.parametrize("reply", [None, answer(500), answer(504), answer(524), answer(202, b"{}", length=100)])
def test_a_lost_answer_is_unknown_for_ever_and_nothing_is_sent_again(work, six, reply):
    six.will(reply, answer(202))
    assert start(work) is None
    assert start(work) is None
    assert start(Work(work.attempt, "start_run", ORIGIN, SixHook)) is None
    assert len(six.asked) == 1
    assert work.standing.started
    assert not work.standing.start_known


@pytest.mark.parametrize("reply", [answer(302), answer(307)])
def test_nonsense_is_no_certain_no(work, six, reply):
    """A redirect to a login page may come before or after the vendor acted: it is shown, and the start stays unknown."""
    six.will(reply, answer(202))
    with pytest.raises(VendorNonsense):
        start(work)
    assert start(work) is None
    assert len(six.asked) == 1
    assert not work.standing.start_known


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 422])
def test_a_certain_no_frees_the_step_for_another_intent(work, six, status):
    six.will(answer(status), answer(202))
    with pytest.raises(VendorRefused):
        start(work)
    assert not work.standing.holds_place
    assert start(work).state is not RunState.FAILED_CLEAN
    assert [intent.key for intent in work.standing.starts] == ["", "~2"]
    assert len(six.asked) == 2


def test_a_vendor_that_was_never_reached_frees_the_step(work, connect, six, monkeypatch):
    monkeypatch.setattr("ferry.core.exchange.time.sleep", lambda _: None)
    connect("six_default", conn_type="http", host="http://127.0.0.1:1", extra={"connect_timeout": 0.2})
    with pytest.raises(VendorUnavailable, match="nothing was sent"):
        start(work)
    connect("six_default", conn_type="http", host=six.url)
    six.will(answer(202))
    assert start(Work(work.attempt, "start_run", ORIGIN, SixHook)) is not None
    assert len(six.asked) == 1


def test_a_refusal_leaves_what_the_vendor_said(work, six):
    six.will(answer(400))
    with pytest.raises(VendorError) as caught:
        start(work)
    entry = work.standing.entries[-1]
    assert (entry.state, entry.data["trouble"]) == (RunState.FAILED_CLEAN, caught.value.to_json())


def test_parts_are_sent_once_each(work, six):
    six.will(answer(202), None, answer(202))
    assert [start(work, part=part) is not None for part in ("a", "b", "c")] == [True, False, True]
    assert [start(work, part=part) is not None for part in ("a", "b", "c")] == [True, False, True]
    assert len(six.asked) == 3


def test_what_a_contract_calls_harmless_may_be_forgotten_and_sent_again(work, six):
    six.will(None, answer(202))
    assert start(work) is None
    work.forget("An unstarted run does no harm.")
    assert start(work) is not None
    assert len(six.asked) == 2


def test_a_stranger_sends_nothing(work, six):
    stranger = Work(work.attempt, "start_run", Origin("migrate_six", "other.1", "start_run", 1), SixHook)
    with pytest.raises(NotHolder):
        start(stranger)
    assert six.asked == []


def test_without_a_place_nothing_is_sent(work, six):
    with pytest.raises(LedgerFull):
        start(work, max_live=0)
    assert six.asked == []
    assert not work.standing.started


def test_without_a_ledger_nothing_is_sent(work, ledger, six):
    run = work.run
    ledger.take_away()
    with pytest.raises(LedgerError, match="could not be"):
        work.once(lambda api: api.start(run))
    ledger.bring_back()
    assert six.asked == []


def test_the_run_comes_from_the_ledger(ledger):
    work = Work(ledger.attempt, "await_run", ORIGIN, SixHook)
    with pytest.raises(LedgerError, match="knows no run of six batch b-1, attempt 1 yet"):
        _ = work.run
    ledger.open_run()
    ledger.write("await_run", Kind.LOOK, ref="r-1", state=RunState.RUNNING, word="Busy", counts={"n": 2})
    assert (work.run.ref, work.run.state, work.run.word, work.run.counters) == ("r-1", RunState.RUNNING, "Busy", {"n": 2})


def test_the_connection_is_the_one_the_attempt_was_admitted_with(ledger):
    assert connection_of(ledger.standing) == "six_default"


@pytest.mark.parametrize("key", ["", "None", "{{ ti.xcom_pull() }}"])
def test_a_task_without_an_attempt_says_where_to_look(key):
    with pytest.raises(BadInput, match=r"This DAG run has no attempt: admit_batch failed or was skipped\..*clear admit_batch"):
        parse_attempt(key)
