from __future__ import annotations

import pytest

from ferry.core.errors import LedgerConflict
from ferry.core.model import Attempt, RunState
from ferry.ledger.entries import START, Draft, InputChanged, Kind, Origin, Verdict

BATCH = ("fenergo", "api.example.com", "clients-1")
INPUT, OTHER_INPUT = "a" * 64, "b" * 64


@pytest.fixture
def first(store, actor):
    return actor(store, "run-1")


@pytest.fixture
def second(store, actor):
    return actor(store, "run-2")


def number(admission):
    return admission.kind, admission.attempt.number


def test_a_batch_nobody_tried_is_opened(first, store):
    admission = first.admit()
    assert number(admission) == ("opened", 1)
    assert admission.may_work
    entry = store.of_batch(*BATCH)[0]
    assert (entry.step, entry.kind, entry.input_hash, entry.origin.who) == ("admit_batch", Kind.INTENT, INPUT, "anna")


def test_the_same_dag_run_goes_on_with_its_attempt_and_writes_nothing_new(first, store):
    first.admit()
    assert number(first.admit(live=("run-1",))) == ("resumed", 1)
    assert len(store.of_batch(*BATCH)) == 1


def test_another_dag_run_is_told_who_holds_the_batch(first, second):
    first.admit()
    held = second.admit(live=("run-1",))
    assert (number(held), held.may_work, held.holder.run_id) == (("held", 1), False, "run-1")
    assert "DAG run run-1 of migrate_fenergo" in held.reason


def test_another_dag_run_takes_over_from_one_that_no_longer_runs(first, second, store):
    first.admit()
    assert number(second.admit()) == ("resumed", 1)
    assert store.attempt(Attempt(*BATCH, 1)).holder.run_id == "run-2"
    assert store.of_batch(*BATCH)[-1].kind is Kind.ADOPTED
    assert number(first.admit(live=("run-2",))) == ("held", 1)


@pytest.mark.parametrize("verdict", [Verdict.UNBALANCED, Verdict.UNKNOWN])
def test_an_attempt_that_was_judged_but_not_closed_goes_on(first, store, verdict):
    store.settle(first.admit().attempt, verdict, first.origin)
    assert number(first.admit()) == ("resumed", 1)


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.ABANDONED, Verdict.SUPERSEDED])
def test_after_a_closed_attempt_comes_the_next(first, store, verdict):
    store.settle(first.admit().attempt, verdict, first.origin)
    assert number(first.admit()) == ("opened", 2)


def test_a_balanced_batch_is_left_alone(first, second, store):
    store.settle(first.admit().attempt, Verdict.BALANCED, first.origin)
    before = store.of_batch(*BATCH)
    assert number(second.admit(live=("run-1",))) == ("balanced", 1)
    assert store.of_batch(*BATCH) == before


def test_a_balanced_batch_with_new_files_is_a_new_attempt(first, store):
    store.settle(first.admit().attempt, Verdict.BALANCED, first.origin)
    assert number(first.admit(OTHER_INPUT)) == ("opened", 2)
    assert store.attempt(Attempt(*BATCH, 2)).input_hash == OTHER_INPUT


def test_new_files_before_the_start_supersede_the_attempt(first, store):
    first.admit()
    assert number(first.admit(OTHER_INPUT)) == ("opened", 2)
    old = store.attempt(Attempt(*BATCH, 1))
    assert (old.verdict, old.is_open, old.entries[-1].input_hash) == (Verdict.SUPERSEDED, False, INPUT)


@pytest.mark.parametrize("seen", [None, RunState.RUNNING, RunState.WAITING_FOR_PERSON])
def test_new_files_while_the_vendor_may_be_at_work_are_refused_in_words(first, store, seen):
    attempt = first.admit().attempt
    store.intend(attempt, START, origin=first.origin)
    if seen:
        first.write(attempt, START, Kind.RESULT, ref="r-9", state=seen)
    with pytest.raises(InputChanged, match="started with other files than the batch has now") as refused:
        first.admit(OTHER_INPUT)
    assert not refused.value.retry_later
    assert ("r-9" if seen else "ref not known") in str(refused.value)
    assert store.attempt(attempt).is_open


def test_new_files_after_the_run_has_ended_supersede_the_attempt(first, store):
    attempt = first.admit().attempt
    store.intend(attempt, START, origin=first.origin)
    first.write(attempt, "await_run", Kind.LOOK, state=RunState.FAILED_DIRTY)
    assert number(first.admit(OTHER_INPUT)) == ("opened", 2)


def test_force_opens_a_new_attempt_and_says_who_asked(first, second, store):
    store.settle(first.admit().attempt, Verdict.BALANCED, first.origin)
    assert number(second.admit(force=True)) == ("opened", 2)
    assert "new attempt forced by anna; fenergo batch clients-1, attempt 1 was balanced" in store.of_batch(*BATCH)[-1].note


def test_a_first_attempt_is_forced_once_as_well(first, store):
    assert number(first.admit(force=True)) == ("opened", 1)
    assert store.of_batch(*BATCH)[-1].data["forced"]
    assert number(first.admit(force=True)) == ("resumed", 1)


def test_force_closes_an_open_attempt_and_names_a_run_that_may_still_go_on(first, second, store):
    attempt = first.admit().attempt
    store.intend(attempt, START, origin=first.origin)
    assert number(second.admit(OTHER_INPUT, force=True)) == ("opened", 2)
    assert store.attempt(attempt).verdict is Verdict.SUPERSEDED
    assert "not known to be over" in store.of_batch(*BATCH)[-1].note


def test_force_does_not_push_aside_a_live_dag_run(first, second, store):
    first.admit()
    assert number(second.admit(live=("run-1",), force=True)) == ("held", 1)
    assert len(store.of_batch(*BATCH)) == 1


@pytest.mark.parametrize("verdict", [None, Verdict.BALANCED])
def test_one_dag_run_forces_one_attempt_however_often_it_is_retried_or_cleared(first, second, store, verdict):
    store.settle(first.admit().attempt, Verdict.REFUSED, first.origin)
    forced = second.admit(force=True)
    if verdict:
        store.settle(forced.attempt, verdict, second.origin)
    assert number(second.admit(force=True)) == ("balanced" if verdict else "resumed", 2)


def test_what_was_decided_on_an_older_ledger_is_decided_again(first, second, store):
    """While the first asks whether the holder lives, the second takes the batch over: the first must see that."""
    store.admit(*BATCH, INPUT, Origin("migrate_fenergo", "gone"), is_live=lambda _: True)
    asked: list[str] = []

    def meanwhile(holder: Origin) -> bool:
        asked.append(holder.run_id)
        if len(asked) == 1:
            second.admit()
        return holder.run_id == "run-2"

    admission = store.admit(*BATCH, INPUT, first.origin, is_live=meanwhile)
    assert asked == ["gone", "run-2"]
    assert (admission.kind, admission.holder.run_id) == ("held", "run-2")


def test_a_ledger_that_never_stands_still_is_given_up_in_words(first, store):
    attempt = store.admit(*BATCH, INPUT, Origin("migrate_fenergo", "gone"), is_live=lambda _: True).attempt

    def busy(_: Origin) -> bool:
        first.write(attempt, "await_run", Kind.LOOK)
        return False

    with pytest.raises(LedgerConflict, match="another writer was first"):
        store.admit(*BATCH, INPUT, first.origin, is_live=busy)


def test_batches_of_the_same_name_elsewhere_are_other_batches(first, store):
    first.admit()
    for vendor, environment in (("domo", BATCH[1]), (BATCH[0], "test.example.com")):
        other = store.admit(vendor, environment, BATCH[2], INPUT, first.origin, is_live=lambda _: True)
        assert number(other) == ("opened", 1)


def test_a_draft_of_a_verdict_carries_one_and_no_other_does():
    attempt, origin = Attempt(*BATCH, 1), Origin("d", "r")
    with pytest.raises(ValueError, match="go together"):
        Draft(attempt=attempt, step="settle_batch", kind=Kind.VERDICT, origin=origin)
    with pytest.raises(ValueError, match="go together"):
        Draft(attempt=attempt, step="settle_batch", kind=Kind.RESULT, origin=origin, verdict=Verdict.BALANCED)
