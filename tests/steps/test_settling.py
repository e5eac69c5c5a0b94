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
from ferry.steps.settling import judge, settle, settle_undo
from ferry.steps.work import Work

ALL_IN = asdict(Counts(5, accepted=5))
SOME_OUT = asdict(Counts(5, accepted=3, rejected=2))
LOST = asdict(Counts(5, accepted=4))
WAIVED = asdict(Counts(5, accepted=4, waived=1))
GONE = asdict(Counts(5, unprocessed=5))
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
OPEN, START, START_LOST, EDIT = "open", "start", "start lost", "edit"
BALANCED = ("reconcile", {"counts": ALL_IN, "data": {"balanced": True}, "note": "All there."})
FETCHED = ("fetch_errors", {"counts": REFUSED, "note": "2 of 5."})
UNDO, UNDO_AGAIN = "undo", "undo again"
UNDO_BEGAN = ("undo_run", {"state": RunState.RUNNING, **ENDED})
UNDO_REFUSED = ("undo_run", {"state": RunState.FAILED_CLEAN, "ref": "r-1", "note": "The vendor said no."})
UNDO_FOUND = ("undo_run", {"kind": Kind.ADOPTED, "key": "14", "state": RunState.RUNNING, **ENDED})
LOOKED = ("confirm_undo", {"counts": GONE, "note": "Somebody looked at the target."})
IMPORTED = [OPEN, START, ended(RunState.SUCCEEDED), BALANCED]
FAILED_RUN = [OPEN, START, ended(RunState.FAILED_DIRTY), FETCHED]

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
    "nothing to reconcile": (
        [OPEN, START, ended(RunState.SUCCEEDED), ("reconcile", {"counts": asdict(Counts()), "data": {"balanced": True}})],
        Verdict.UNBALANCED,
    ),
    "a check after the start closes nothing": ([CHECKED_GOOD, OPEN, START, PACKAGE_BAD], Verdict.UNKNOWN),
    "a check after the end closes nothing": ([OPEN, START, ended(RunState.SUCCEEDED), PACKAGE_BAD], Verdict.UNKNOWN),
    "a check after the end leaves it balanced": (
        [OPEN, START, ended(RunState.SUCCEEDED), BALANCED, CHECKED_BAD],
        Verdict.BALANCED,
    ),
    "a check of one part closes nothing": ([("check_batch", CHECKED_BAD[1] | {"key": "orders"})], Verdict.UNKNOWN),
    "an edit that was meant": ([OPEN, EDIT], Verdict.UNKNOWN),
    "a check after an edit was meant closes nothing": ([OPEN, EDIT, CHECKED_BAD], Verdict.UNKNOWN),
    "a no after an edit was meant closes nothing": ([OPEN, EDIT, REJECTED], Verdict.UNKNOWN),
    "an edit that could not be prepared": ([OPEN, EDIT, UNPREPARED], Verdict.REFUSED),
    "an edit that holds what was asked for": ([OPEN, EDIT, PREPARED, BALANCED], Verdict.BALANCED),
    "an undo that was meant": ([*IMPORTED, UNDO], Verdict.UNKNOWN),
    "an undo that began": ([*IMPORTED, UNDO, UNDO_BEGAN], Verdict.UNKNOWN),
    "undone, and nobody has looked": ([*IMPORTED, UNDO, UNDO_BEGAN, UNDONE], Verdict.UNKNOWN),
    "imported and taken back": ([*IMPORTED, UNDO, UNDO_BEGAN, UNDONE, LOOKED], Verdict.UNDONE),
    "imported, never reconciled, and taken back": (
        [OPEN, START, ended(RunState.SUCCEEDED), UNDO, UNDO_BEGAN, UNDONE, LOOKED],
        Verdict.UNDONE,
    ),
    "imported and not taken back": ([*IMPORTED, UNDO, UNDO_BEGAN, NOT_UNDONE, LOOKED], Verdict.UNBALANCED),
    "an undo that was refused leaves it as it was": ([*IMPORTED, UNDO, UNDO_REFUSED], Verdict.BALANCED),
    "found taken back by others": ([*IMPORTED, UNDO_FOUND, UNDONE, LOOKED], Verdict.UNDONE),
    "found taken back by others, not looked at": ([*IMPORTED, UNDO_FOUND], Verdict.UNKNOWN),
    "failed and an undo was meant": ([*FAILED_RUN, UNDO], Verdict.UNKNOWN),
    "failed, and its undo was refused": ([*FAILED_RUN, UNDO, UNDO_REFUSED], Verdict.UNBALANCED),
    "failed, taken back and looked at": ([*FAILED_RUN, UNDO, UNDO_BEGAN, UNDONE, LOOKED], Verdict.REFUSED),
    "failed, not taken back, looked at": ([*FAILED_RUN, UNDO, UNDO_BEGAN, NOT_UNDONE, LOOKED], Verdict.UNBALANCED),
    "another undo was meant after one that failed": (
        [*FAILED_RUN, UNDO, UNDO_BEGAN, NOT_UNDONE, LOOKED, UNDO_AGAIN],
        Verdict.UNKNOWN,
    ),
    "another undo began after one that failed": (
        [*FAILED_RUN, UNDO, UNDO_BEGAN, NOT_UNDONE, LOOKED, UNDO_AGAIN, ("undo_run", UNDO_BEGAN[1] | {"key": "30"})],
        Verdict.UNKNOWN,
    ),
    "another undo was refused after one that failed": (
        [*FAILED_RUN, UNDO, UNDO_BEGAN, NOT_UNDONE, LOOKED, UNDO_AGAIN, ("undo_run", UNDO_REFUSED[1] | {"key": "30"})],
        Verdict.UNBALANCED,
    ),
    "another undo after one that failed": (
        [*FAILED_RUN, UNDO, UNDO_BEGAN, NOT_UNDONE, LOOKED, UNDO_AGAIN, ("undo_run", {"key": "30"}), UNDONE, LOOKED],
        Verdict.REFUSED,
    ),
    "a reconciliation that does not say": (
        [OPEN, START, ended(RunState.SUCCEEDED), ("reconcile", {"counts": ALL_IN})],
        Verdict.UNBALANCED,
    ),
}


INTENTS = {EDIT: ("edit_run", ""), UNDO: ("undo_run", ""), UNDO_AGAIN: ("undo_run", "30")}


def tell(ledger, *situation):
    for fact in situation:
        if fact == OPEN:
            ledger.open_run()
        elif fact in (START, START_LOST):
            ledger.start_run(answered=fact == START)
        elif isinstance(fact, str):
            step, key = INTENTS[fact]
            ledger.store.intend(ledger.attempt, step, origin=ORIGIN, key=key)
        else:
            step, facts = fact
            ledger.write(step, **({"kind": Kind.RESULT} | facts))


@pytest.mark.parametrize(("situation", "verdict"), TABLE.values(), ids=TABLE)
def test_a_situation_has_one_verdict(ledger, situation, verdict):
    tell(ledger, *situation)
    found, counts, why = judge(ledger.standing)
    assert found is verdict
    assert why.strip() or situation[-1][0] == "reconcile"
    if LOOKED in situation and verdict is not Verdict.UNKNOWN:
        assert (asdict(counts), why) == (GONE, "Somebody looked at the target.")
    elif verdict is Verdict.REFUSED and FETCHED in situation:
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


# Undo


def undo_settled(ledger):
    return settle_undo(Work(ledger.attempt, "settle_batch", ORIGIN, SixHook))


def not_undone(ledger):
    with pytest.raises(NotBalanced) as caught:
        undo_settled(ledger)
    return caught.value.message


@pytest.fixture
def taken_up(ledger):
    """An attempt that balanced, and was taken up again to be undone."""
    tell(ledger, *IMPORTED)
    settle(Work(ledger.attempt, "settle_batch", ORIGIN, SixHook))
    ledger.store.take_up(ledger.attempt, ORIGIN, is_live=lambda _: False)
    return ledger


@pytest.mark.parametrize(("situation", "verdict"), [(IMPORTED, "undone"), (FAILED_RUN, "refused")], ids=["imported", "failed"])
def test_settling_an_undo_is_green_only_if_nothing_is_left(ledger, situation, verdict):
    tell(ledger, *situation, UNDO, UNDO_BEGAN, UNDONE, LOOKED)
    told = {"attempt": ledger.attempt.key, "verdict": verdict, **GONE}
    assert undo_settled(ledger) == told
    assert undo_settled(ledger) == told
    assert len([entry for entry in ledger.standing.entries if entry.kind is Kind.VERDICT]) == 1


def test_the_batch_itself_is_red_once_it_was_undone(taken_up):
    tell(taken_up, UNDO, UNDO_BEGAN, UNDONE, LOOKED)
    undo_settled(taken_up)
    with pytest.raises(NotBalanced, match=r"attempt 1 is undone .*: Somebody looked at the target"):
        settle(Work(taken_up.attempt, "settle_batch", ORIGIN, SixHook))


def test_an_undo_that_a_person_refused_is_red_with_their_sentence_and_the_batch_balances_again(taken_up):
    taken_up.write("check_undo", note="It can be taken back.")
    taken_up.write("approve_undo", key="9", state=RunState.CANCELLED, note="Petra said reject: we need it.")
    assert not_undone(taken_up) == (
        "six batch b-1, attempt 1 was not undone: Petra said reject: we need it. six batch b-1, attempt 1 is balanced "
        "(sent 5, accepted 5, rejected 0, unprocessed 0, waived 0)."
    )
    assert taken_up.standing.verdict is Verdict.BALANCED


def test_an_undo_that_the_check_stopped_is_red_with_what_it_said(taken_up):
    taken_up.write("check_undo", note="The target keeps no undo package.")
    assert "was not undone: The target keeps no undo package. six batch b-1, attempt 1 is balanced" in not_undone(taken_up)


def test_an_undo_that_the_vendor_refused_is_red_with_its_words_and_the_batch_balances_again(taken_up):
    tell(taken_up, UNDO, UNDO_REFUSED)
    assert "was not undone: The vendor said no. six batch b-1, attempt 1 is balanced" in not_undone(taken_up)


def test_what_was_said_of_an_earlier_undo_is_not_told_of_this_one(taken_up):
    taken_up.write("approve_undo", key="9", state=RunState.CANCELLED, note="Petra said reject.")
    not_undone(taken_up)
    taken_up.store.take_up(taken_up.attempt, ORIGIN, is_live=lambda _: False)
    assert "was not undone: nothing was sent. six batch b-1" in not_undone(taken_up)


def test_an_undo_whose_end_is_not_known_is_red_and_stays_open(taken_up):
    tell(taken_up, UNDO)
    assert not_undone(taken_up).endswith("is unknown (sent 0, accepted 0, rejected 0, unprocessed 0, waived 0).")
    assert "It is not sent twice" in taken_up.standing.reason
    assert taken_up.standing.is_open


UNDO_FACTS = st.sampled_from([UNDO, UNDO_AGAIN, UNDO_BEGAN, UNDO_REFUSED, UNDO_FOUND, UNDONE, NOT_UNDONE, LOOKED, PACKAGE_BAD])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.lists(UNDO_FACTS, max_size=8))
def test_nothing_is_called_undone_that_was_not_seen_undone(ledger, facts):
    if not ledger.standing.started:
        tell(ledger, *IMPORTED)
    tell(ledger, *facts)
    standing = ledger.standing
    verdict, *_ = judge(standing)
    if verdict in {Verdict.UNDONE, Verdict.REFUSED}:
        assert standing.run_state is RunState.CANCELLED
        assert standing.undo_known
        assert standing.results["confirm_undo", ""].seq > standing.seen.seq
