"""An attempt that was started is taken up again, to undo it: by whom, when, and what the ledger says of it from then on."""

from __future__ import annotations

import pytest

from ferry.core.errors import LedgerConflict
from ferry.core.model import Attempt, RunState
from ferry.ledger.entries import ADMIT, START, UNDO, InputChanged, Kind, NotHolder, Origin, Verdict

BATCH = ("fenergo", "api.example.com", "clients-1")
FIRST, SECOND, THIRD = (Attempt(*BATCH, number) for number in (1, 2, 3))
INPUT, OTHER_INPUT = "a" * 64, "b" * 64
UNDOER = Origin("undo_fenergo", "undo-1", "admit_batch", 1, "ben")


@pytest.fixture
def first(store, actor):
    """A DAG run that has imported: the attempt's run is over, and nobody has judged it."""
    first = actor(store, "run-1")
    imported(first)
    return first


@pytest.fixture
def second(store, actor):
    return actor(store, "run-2")


def imported(who, input_hash=INPUT, state=RunState.SUCCEEDED):
    attempt = who.admit(input_hash).attempt
    who.store.intend(attempt, START, origin=who.origin)
    who.write(attempt, START, Kind.RESULT, ref="r-1", state=RunState.QUEUED)
    who.write(attempt, "await_run", Kind.RESULT, ref="r-1", state=state, word="Said")
    return attempt


def take_up(store, attempt=FIRST, origin=UNDOER, live=()):
    return store.take_up(attempt, origin, is_live=lambda holder: holder.run_id in live, data={"why": "undo"})


def written(store, after):
    return [(e.attempt.number, e.step, e.kind, e.verdict) for e in store.of_batch(*BATCH)[after:]]


ADOPTED, OPEN_AGAIN = (1, ADMIT, Kind.ADOPTED, None), (1, "settle_batch", Kind.VERDICT, Verdict.UNKNOWN)


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict.closes])
def test_a_closed_attempt_is_open_again_and_belongs_to_who_took_it_up(first, store, verdict):
    store.settle(FIRST, verdict, first.origin, counts={"sent": 2, "accepted": 2})
    before = len(store.of_batch(*BATCH))
    admission = take_up(store)
    assert (admission.kind, admission.attempt, admission.holder, admission.may_work) == ("resumed", FIRST, UNDOER, True)
    assert admission.reason == f"{FIRST} is taken up by ben to be undone"
    assert written(store, before) == [ADOPTED, OPEN_AGAIN]
    standing = store.attempt(FIRST)
    assert (standing.is_open, standing.verdict, standing.holder, standing.input_hash) == (True, Verdict.UNKNOWN, UNDOER, INPUT)
    assert [entry.data for entry in standing.entries[-2:]] == [{"why": "undo"}, {}]
    assert store.verify() == []


@pytest.mark.parametrize("verdict", [None, Verdict.UNBALANCED, Verdict.UNKNOWN])
def test_an_open_attempt_of_a_dag_run_that_no_longer_runs_is_taken_over(first, store, verdict):
    if verdict:
        store.settle(FIRST, verdict, first.origin)
    before = len(store.of_batch(*BATCH))
    assert take_up(store).kind == "resumed"
    assert written(store, before) == [ADOPTED]
    assert (store.attempt(FIRST).verdict, store.attempt(FIRST).holder) == (verdict, UNDOER)


def test_an_open_attempt_of_a_dag_run_that_still_runs_is_held(first, store):
    before = store.of_batch(*BATCH)
    held = take_up(store, live=("run-1",))
    assert (held.kind, held.may_work, held.holder.run_id) == ("held", False, "run-1")
    assert held.reason == f"{FIRST} is held by DAG run run-1 of migrate_fenergo, which still runs"
    assert store.of_batch(*BATCH) == before


def test_a_closed_attempt_is_held_by_nobody(first, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    assert take_up(store, live=("run-1",)).kind == "resumed"


@pytest.mark.parametrize("verdict", [None, Verdict.BALANCED])
def test_the_same_dag_run_goes_on_and_writes_nothing_new(first, store, verdict):
    if verdict:
        store.settle(FIRST, verdict, first.origin)
    take_up(store)
    before = store.of_batch(*BATCH)
    again = take_up(store, live=("undo-1",))
    assert (again.kind, again.reason) == ("resumed", f"{FIRST} is this DAG run's already")
    assert store.of_batch(*BATCH) == before


def test_the_dag_run_that_imported_may_itself_take_up_what_it_closed(first, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    before = len(store.of_batch(*BATCH))
    assert take_up(store, origin=first.origin).kind == "resumed"
    assert written(store, before) == [ADOPTED, OPEN_AGAIN]


def test_another_undo_waits_for_the_first_and_takes_over_when_it_is_dead(first, store):
    take_up(store)
    other = Origin("undo_fenergo", "undo-2")
    assert take_up(store, origin=other, live=("undo-1",)).kind == "held"
    assert take_up(store, origin=other).reason.endswith("is taken up by DAG run undo-2 of undo_fenergo to be undone")
    assert store.attempt(FIRST).holder == other


def test_the_dag_run_that_lost_the_attempt_sends_nothing_and_the_one_that_took_it_up_does(first, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    take_up(store)
    with pytest.raises(NotHolder, match="held by DAG run undo-1"):
        store.intend(FIRST, UNDO, origin=first.origin)
    assert store.intend(FIRST, UNDO, origin=UNDOER).fresh
    assert first.admit(live=("undo-1",)).kind == "held"


# Later attempts


def test_an_attempt_after_which_another_was_started_is_not_undone(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    imported(second, OTHER_INPUT)
    before = store.of_batch(*BATCH)
    with pytest.raises(LedgerConflict, match=r"attempt 1 is no longer the newest that was started\. Nothing was sent; look"):
        take_up(store)
    assert store.of_batch(*BATCH) == before
    assert take_up(store, SECOND).kind == "resumed"


def test_an_attempt_after_which_another_may_have_been_started_is_not_undone(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    store.intend(second.admit(OTHER_INPUT).attempt, START, origin=second.origin)
    with pytest.raises(LedgerConflict, match="no longer the newest"):
        take_up(store)


def test_a_later_start_that_came_to_a_certain_no_did_nothing(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    later = second.admit(OTHER_INPUT).attempt
    store.intend(later, START, origin=second.origin)
    second.write(later, START, Kind.RESULT, state=RunState.FAILED_CLEAN)
    assert take_up(store).attempt == FIRST
    assert store.attempt(SECOND).verdict is Verdict.SUPERSEDED


def test_a_later_attempt_that_was_never_started_is_superseded(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    second.admit(OTHER_INPUT)
    before = len(store.of_batch(*BATCH))
    assert take_up(store).attempt == FIRST
    assert written(store, before) == [(2, ADMIT, Kind.VERDICT, Verdict.SUPERSEDED), ADOPTED, OPEN_AGAIN]
    assert store.attempt(SECOND).entries[-1].input_hash == OTHER_INPUT
    assert second.admit(OTHER_INPUT, live=("undo-1",)).kind == "held"
    assert store.verify() == []


def test_a_later_attempt_that_is_at_work_holds_the_batch(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    second.admit(OTHER_INPUT)
    held = take_up(store, live=("run-2",))
    assert (held.kind, held.attempt, held.holder.run_id) == ("held", SECOND, "run-2")


def test_a_later_attempt_that_is_closed_is_left_as_it_is(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    store.settle(second.admit(OTHER_INPUT).attempt, Verdict.REFUSED, second.origin)
    before = len(store.of_batch(*BATCH))
    take_up(store)
    assert written(store, before) == [ADOPTED, OPEN_AGAIN]
    assert store.attempt(SECOND).verdict is Verdict.REFUSED


@pytest.mark.parametrize("attempt", [SECOND, Attempt("fenergo", "api.example.com", "other", 1)])
def test_what_was_never_opened_cannot_be_taken_up(first, store, attempt):
    with pytest.raises(LedgerConflict, match="no longer the newest"):
        take_up(store, attempt)


def test_what_was_decided_on_an_older_ledger_is_decided_again(first, second, store):
    """While it is asked whether the holder lives, another DAG run starts a later attempt: that must be seen."""

    def meanwhile(_):
        if len(store.standing(*BATCH).attempts) == 1:
            imported(second, OTHER_INPUT)
        return False

    with pytest.raises(LedgerConflict, match="no longer the newest"):
        store.take_up(FIRST, UNDOER, is_live=meanwhile)


def test_one_of_sixteen_dag_runs_takes_an_attempt_up(first, store, crew):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    url = store.database.url.render_as_string(hide_password=False)
    assert sorted(crew.all_do("take_up", url=url, attempt=FIRST.key)) == ["held"] * 15 + ["resumed"]
    assert store.verify() == []


# What comes after


def undone(store):
    take_up(store)
    store.settle(FIRST, Verdict.UNDONE, UNDOER, counts={"sent": 2, "unprocessed": 2}, note="It was taken back.")


def test_what_was_undone_is_not_sent_again_unasked(first, second, store):
    undone(store)
    before = store.of_batch(*BATCH)
    with pytest.raises(InputChanged) as refused:
        second.admit()
    assert refused.value.message.startswith(f"{FIRST} was undone: It was taken back. Nothing was sent. Correct the batch, or")
    assert "force_new_attempt" in refused.value.message
    assert not refused.value.retry_later
    assert store.of_batch(*BATCH) == before


def test_what_was_undone_is_sent_again_by_force(first, second, store):
    undone(store)
    forced = second.admit(force=True)
    assert (forced.kind, forced.attempt) == ("opened", SECOND)
    assert "forced by anna; fenergo batch clients-1, attempt 1 was undone" in forced.reason


def test_another_input_after_an_undo_is_a_new_attempt(first, second, store):
    undone(store)
    opened = second.admit(OTHER_INPUT)
    assert (opened.kind, opened.attempt) == ("opened", SECOND)
    assert opened.reason == f"{FIRST} was undone, and the input has changed since"


@pytest.mark.parametrize("force", [False, True])
def test_numbers_never_collide_after_a_take_up(first, second, store, actor, force):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    second.admit(OTHER_INPUT)
    undone(store)
    assert (store.standing(*BATCH).last.attempt, store.standing(*BATCH).next_number) == (FIRST, 3)
    assert actor(store, "run-3").admit(INPUT if force else "c" * 64, force=force).attempt == THIRD
    assert [one.attempt for one in store.standing(*BATCH).attempts] == [FIRST, SECOND, THIRD]
    assert store.standing(*BATCH).last.attempt == THIRD
    assert store.verify() == []


def test_an_attempt_that_was_taken_up_and_left_as_it_was_is_what_the_batch_stands_by(first, second, store):
    """The later attempt was superseded by the undo; a no to the undo leaves the batch balanced, with the older input."""
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    second.admit(OTHER_INPUT)
    take_up(store)
    store.settle(FIRST, Verdict.BALANCED, UNDOER)
    assert store.standing(*BATCH).balanced
    assert second.admit().kind == "balanced"
    assert second.admit(OTHER_INPUT).attempt == THIRD


def test_the_list_shows_the_attempt_that_was_taken_up_last(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    second.admit(OTHER_INPUT)
    undone(store)
    (row,) = store.batches()
    assert (row.attempts, row.verdict, row.is_open, row.run_id, row.input_hash) == (
        1,
        Verdict.UNDONE,
        False,
        UNDOER.run_id,
        INPUT,
    )
    assert row.counts.unprocessed == 2
    assert store.batches(verdict=Verdict.UNDONE) == [row]
    assert store.batches(verdict=Verdict.SUPERSEDED) == []


def test_the_list_is_filtered_by_batch(first, store):
    for environment, batch_id in (("test.example.com", BATCH[2]), (BATCH[1], "clients-2"), (BATCH[1], "clients-2")):
        store.admit(BATCH[0], environment, batch_id, INPUT, first.origin, is_live=lambda _: True)
    found = store.batches("fenergo", batch_id="clients-1")
    assert {(row.environment, row.batch_id) for row in found} == {BATCH[1:], ("test.example.com", "clients-1")}
    assert [row.environment for row in store.batches("fenergo", BATCH[1], "clients-2")] == [BATCH[1]]
    assert store.batches("domo", batch_id="clients-1") == []


# Places


def live(store):
    return [standing.attempt for standing in store.live(*BATCH[:2])]


def test_an_undo_holds_a_place_from_its_intent_until_it_has_ended(first, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    key = str(len(store.of_batch(*BATCH)) + 1)
    take_up(store)
    assert live(store) == []
    store.intend(FIRST, UNDO, key=key, origin=UNDOER, max_live=1)
    assert live(store) == [FIRST], "it was sent, and nobody knows yet what came of it"
    first.write(FIRST, UNDO, Kind.RESULT, key=key, ref="r-1", state=RunState.RUNNING)
    assert live(store) == [FIRST]
    first.write(FIRST, "await_undo", Kind.RESULT, ref="r-1", state=RunState.CANCELLED)
    assert live(store) == []


def test_an_undo_that_was_refused_holds_no_place(first, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    take_up(store)
    store.intend(FIRST, UNDO, key="9", origin=UNDOER, max_live=1)
    first.write(FIRST, UNDO, Kind.RESULT, key="9", state=RunState.FAILED_CLEAN)
    assert live(store) == []


@pytest.mark.parametrize("verdict", [Verdict.UNDONE, Verdict.REFUSED, Verdict.ABANDONED])
def test_an_attempt_that_was_closed_again_holds_no_place(first, store, verdict):
    take_up(store)
    store.intend(FIRST, UNDO, origin=UNDOER)
    assert live(store) == [FIRST]
    store.settle(FIRST, verdict, UNDOER)
    assert live(store) == []


def test_other_files_are_not_sent_while_an_undo_may_be_under_way(first, second, store):
    store.settle(FIRST, Verdict.BALANCED, first.origin)
    take_up(store)
    store.intend(FIRST, UNDO, key="9", origin=UNDOER)
    with pytest.raises(InputChanged, match="is not known to be over"):
        second.admit(OTHER_INPUT)
