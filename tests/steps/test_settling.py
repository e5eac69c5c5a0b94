"""The verdict, from what the ledger holds: a table of situations, and one rule that no situation may break."""

from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.steps.conftest import ORIGIN
from tests.steps.six import SixHook

from ferry.core.errors import NotBalanced
from ferry.core.model import Counts, RunState
from ferry.ledger.entries import Kind, Verdict
from ferry.steps.settling import judge, settle
from ferry.steps.work import Work

ALL_IN = asdict(Counts(5, accepted=5))
SOME_OUT = asdict(Counts(5, accepted=3, rejected=2))
LOST = asdict(Counts(5, accepted=4))
WAIVED = asdict(Counts(5, accepted=4, waived=1))
REFUSED = asdict(Counts(5, rejected=2, unprocessed=3))
ENDED = {"ref": "r-1", "word": "Said"}


def ended(state):
    return ("await_run", {"state": state, **ENDED})


CHECKED_BAD = ("check_batch", {"data": {"passed": False}, "note": "2 errors."})
CHECKED_GOOD = ("check_batch", {"data": {"passed": True}})
TEMPLATES_BAD = ("check_templates", {"data": {"passed": False}, "note": "1 error."})
PACKAGE_BAD = ("check_package", {"data": {"passed": False}, "note": "It lacks an object."})
UNDONE = ("await_undo", {"state": RunState.CANCELLED, **ENDED})
NOT_UNDONE = ("await_undo", {"state": RunState.FAILED_DIRTY, **ENDED})
UNPREPARED = ("await_prepared", {"state": RunState.FAILED_CLEAN, "note": "No policy."})
PREPARED = ("await_prepared", {"state": RunState.SUCCEEDED})
NOT_STARTED = ("confirm_start", {"state": RunState.CANCELLED, "note": "Ann says so."})
REJECTED = ("approve", {"state": RunState.CANCELLED, "note": "Ann said reject: too early."})
APPROVED = ("approve", {"state": RunState.SUCCEEDED, "note": "Ann said approve."})
OPEN, START, START_LOST = "open", "start", "start lost"
BALANCED = ("reconcile", {"counts": ALL_IN, "data": {"balanced": True}, "note": "All there."})
FETCHED = ("fetch_errors", {"counts": REFUSED, "note": "2 of 5."})

TABLE = {
    "nothing but the admission": ([], Verdict.UNKNOWN),
    "checks found faults": ([CHECKED_BAD], Verdict.REFUSED),
    "checks passed, then something broke": ([CHECKED_GOOD], Verdict.UNKNOWN),
    "the vendor could not prepare": ([CHECKED_GOOD, OPEN, UNPREPARED], Verdict.REFUSED),
    "prepared, then something broke": ([CHECKED_GOOD, OPEN, PREPARED], Verdict.UNKNOWN),
    "a check of the vendor's own found faults": ([CHECKED_GOOD, OPEN, PREPARED, PACKAGE_BAD], Verdict.REFUSED),
    "templates do not fit": ([CHECKED_GOOD, OPEN, PREPARED, TEMPLATES_BAD], Verdict.REFUSED),
    "start refused for certain": ([OPEN, START, ("start_run", {"state": RunState.FAILED_CLEAN, "ref": "r-1"})], Verdict.UNKNOWN),
    "start's answer lost": ([OPEN, START_LOST], Verdict.UNKNOWN),
    "a person says it was not started": ([OPEN, START_LOST, NOT_STARTED], Verdict.ABANDONED),
    "a person says that it may not go on": ([CHECKED_GOOD, OPEN, REJECTED], Verdict.ABANDONED),
    "a person says that it may go on": ([CHECKED_GOOD, OPEN, APPROVED], Verdict.UNKNOWN),
    "a no after the start closes nothing": ([OPEN, START, REJECTED], Verdict.UNKNOWN),
    "started, end not known": ([OPEN, START], Verdict.UNKNOWN),
    "ended well, not reconciled": ([OPEN, START, ended(RunState.SUCCEEDED)], Verdict.UNKNOWN),
    "ended in part, not reconciled": ([OPEN, START, ended(RunState.PARTIALLY_SUCCEEDED)], Verdict.UNKNOWN),
    "refused, errors not fetched": ([OPEN, START, ended(RunState.FAILED_CLEAN)], Verdict.UNKNOWN),
    "refused, errors fetched": ([OPEN, START, ended(RunState.FAILED_CLEAN), FETCHED], Verdict.REFUSED),
    "cancelled, errors fetched": ([OPEN, START, ended(RunState.CANCELLED), FETCHED], Verdict.REFUSED),
    "failed and perhaps half done": ([OPEN, START, ended(RunState.FAILED_DIRTY), FETCHED], Verdict.UNBALANCED),
    "failed and taken back": ([OPEN, START, ended(RunState.FAILED_DIRTY), FETCHED, UNDONE], Verdict.REFUSED),
    "failed and not taken back": ([OPEN, START, ended(RunState.FAILED_DIRTY), FETCHED, NOT_UNDONE], Verdict.UNBALANCED),
    "half done, errors not fetched": ([OPEN, START, ended(RunState.FAILED_DIRTY)], Verdict.UNKNOWN),
    "errors fetched, end not known": ([OPEN, START, FETCHED], Verdict.UNKNOWN),
    "all accounted for": ([OPEN, START, ended(RunState.SUCCEEDED), BALANCED], Verdict.BALANCED),
    "all but what a person waived": (
        [OPEN, START, ended(RunState.SUCCEEDED), ("reconcile", {"counts": WAIVED, "data": {"balanced": True}})],
        Verdict.BALANCED,
    ),
    "some rejected": (
        [OPEN, START, ended(RunState.SUCCEEDED), ("reconcile", {"counts": SOME_OUT, "data": {"balanced": True}})],
        Verdict.UNBALANCED,
    ),
    "numbers that do not add up": (
        [OPEN, START, ended(RunState.SUCCEEDED), ("reconcile", {"counts": LOST, "data": {"balanced": True}})],
        Verdict.UNBALANCED,
    ),
    "records that were not ours": (
        [OPEN, START, ended(RunState.SUCCEEDED), ("reconcile", {"counts": ALL_IN, "data": {"balanced": False}})],
        Verdict.UNBALANCED,
    ),
    "a reconciliation that does not say": (
        [OPEN, START, ended(RunState.SUCCEEDED), ("reconcile", {"counts": ALL_IN})],
        Verdict.UNBALANCED,
    ),
}


def tell(ledger, *situation):
    for fact in situation:
        if fact == OPEN:
            ledger.open_run()
        elif fact in (START, START_LOST):
            ledger.start_run(answered=fact == START)
        else:
            step, facts = fact
            ledger.write(step, Kind.RESULT, **facts)


@pytest.mark.parametrize(("situation", "verdict"), TABLE.values(), ids=TABLE)
def test_a_situation_has_one_verdict(ledger, situation, verdict):
    tell(ledger, *situation)
    found, counts, why = judge(ledger.standing)
    assert found is verdict
    assert why.strip() or situation[-1][0] == "reconcile"
    if verdict is Verdict.REFUSED and FETCHED in situation:
        assert asdict(counts) == REFUSED


def test_an_open_verdict_says_that_nothing_is_started_twice(ledger):
    tell(ledger, OPEN, START)
    _, _, why = judge(ledger.standing)
    assert "Look at the first red task, correct what it names and clear it" in why
    assert "nothing is started twice" in why


FACTS = st.sampled_from(
    [
        CHECKED_GOOD,
        PREPARED,
        FETCHED,
        BALANCED,
        *[ended(state) for state in RunState],
        ("upload_batch", {}),
        ("triage_errors", {}),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.lists(FACTS, max_size=6))
def test_a_started_run_that_is_not_known_to_have_failed_clean_is_never_called_refused(ledger, facts):
    """The ledger grows from example to example, which only makes the situations odder."""
    if not ledger.standing.started:
        tell(ledger, OPEN, START)
    tell(ledger, *facts)
    standing = ledger.standing
    verdict, counts, _ = judge(standing)
    if verdict.closes and verdict is not Verdict.BALANCED:
        assert standing.run_state in {RunState.FAILED_CLEAN, RunState.CANCELLED}
    if verdict is Verdict.BALANCED:
        assert counts.adds_up
        assert counts.accepted + counts.waived == counts.sent


def test_settling_is_green_only_if_the_batch_balances(ledger):
    tell(ledger, OPEN, START, ended(RunState.SUCCEEDED), BALANCED)
    told = settle(Work(ledger.attempt, "settle_batch", ORIGIN, SixHook))
    assert told == {"attempt": ledger.attempt.key, "verdict": "balanced", **ALL_IN}


def test_settling_is_red_otherwise_and_says_the_numbers(ledger):
    tell(ledger, OPEN, START, ended(RunState.FAILED_CLEAN), FETCHED)
    with pytest.raises(NotBalanced) as caught:
        settle(Work(ledger.attempt, "settle_batch", ORIGIN, SixHook))
    assert str(caught.value) == (
        "six batch b-1, attempt 1 is refused (sent 5, accepted 0, rejected 2, unprocessed 3, waived 0): 2 of 5."
    )


def test_settling_again_writes_nothing_new(ledger):
    tell(ledger, OPEN, START)
    for _ in range(3):
        with pytest.raises(NotBalanced):
            settle(Work(ledger.attempt, "settle_batch", ORIGIN, SixHook))
    assert [entry.verdict for entry in ledger.standing.entries if entry.kind is Kind.VERDICT] == [Verdict.UNKNOWN]


def test_an_open_verdict_gives_way_to_a_better_one(ledger):
    tell(ledger, OPEN, START)
    with pytest.raises(NotBalanced):
        settle(Work(ledger.attempt, "settle_batch", ORIGIN, SixHook))
    tell(ledger, ended(RunState.SUCCEEDED), BALANCED)
    assert settle(Work(ledger.attempt, "settle_batch", ORIGIN, SixHook))["verdict"] == "balanced"


def test_a_later_attempt_that_balances_makes_the_earlier_dag_run_green(ledger):
    tell(ledger, OPEN, START, ended(RunState.FAILED_CLEAN), FETCHED)
    first = Work(ledger.attempt, "settle_batch", ORIGIN, SixHook)
    with pytest.raises(NotBalanced):
        settle(first)
    told = {"connection": "six_default"}
    again = ledger.store.admit("six", "six.example", "b-1", "a" * 64, ORIGIN, is_live=lambda _: False, data=told)
    assert again.attempt.number == 2
    second = Work(again.attempt, "reconcile", ORIGIN, SixHook)
    second.record(Kind.RESULT, counts=ALL_IN, data={"balanced": True}, note="All there.")
    assert settle(Work(again.attempt, "settle_batch", ORIGIN, SixHook))["verdict"] == "balanced"
    assert settle(first)["attempt"] == again.attempt.key
