"""What became of a datasource, folded from the ledger: each word counts for the call it answers; doubt stays until it ends."""

import pytest
from tests.ledger.test_entries import intent, result, standing

from ferry.core.model import RunState
from ferry.ledger.entries import START, UNDO, Kind
from ferry.vendors.domo.fates import EVERY_STEP, MEND, TOLD, fates, undone
from ferry.vendors.domo.vocabulary import Direction

D = "F0c1afb48-6198-5f5f-bdbf-f92c0df161be"
COMPLETE = {"word": "COMPLETE", "state": RunState.SUCCEEDED}
INCOMPLETE = {"word": "INCOMPLETE", "state": RunState.FAILED_DIRTY}
ABORTED = {"word": "ABORTED", "state": RunState.FAILED_CLEAN}
BACK = {"word": "COMPLETE", "state": RunState.CANCELLED}
NOBODY_KNOWS = {"state": RunState.FAILED_DIRTY}
TOLD_ENTRY = {"step": START, "kind": Kind.LOOK, "data": {TOLD: True}}


def fate(*facts, steps=EVERY_STEP):
    return fates(standing(*({"key": D} | fact for fact in facts)), steps)[D]


def test_an_intent_without_an_answer_is_lost():
    assert fate(intent()).is_lost
    assert not fate(intent(), result(**COMPLETE)).is_lost


def test_a_person_is_asked_until_something_is_known():
    assert fate(intent(), {"step": START, "kind": Kind.ASKED}).asked
    assert not fate(intent(), {"step": START, "kind": Kind.ASKED}, intent(key=f"{D}~2")).asked


@pytest.mark.parametrize(
    ("answers", "half_done"),
    [
        ((INCOMPLETE,), True),
        ((INCOMPLETE, ABORTED), True),
        ((INCOMPLETE, COMPLETE), False),
        ((INCOMPLETE, BACK), False),
        ((ABORTED,), False),
        ((NOBODY_KNOWS,), False),
        (({"word": "PAUSED", "state": RunState.FAILED_DIRTY},), True),
    ],
)
def test_half_done_it_stays_until_something_completes(answers, half_done):
    facts = []
    for number, answer in enumerate(answers, 1):
        key = D if number == 1 else f"{D}~{number}"
        facts += [intent(key=key), result(key=key, **answer)]
    assert fate(*facts).is_half_done is half_done


def test_incomplete_answers_are_counted_in_a_row_and_from_anew_once_somebody_was_told():
    twice = [intent(), result(**INCOMPLETE), intent(key=f"{D}~2"), result(key=f"{D}~2", **INCOMPLETE)]
    assert fate(*twice).incomplete == 2
    assert fate(*twice, TOLD_ENTRY).incomplete == 0
    assert fate(*twice, TOLD_ENTRY).told
    assert not fate(*twice, TOLD_ENTRY, intent(key=f"{D}~3")).told


def test_a_late_answer_to_an_earlier_call_is_no_answer_to_the_newest():
    late = fate(intent(), result(**NOBODY_KNOWS), intent(key=f"{D}~2"), result(**COMPLETE))
    assert late.is_lost
    assert late.in_doubt


def test_doubt_about_an_earlier_call_lasts_until_it_is_known_to_have_moved():
    doubtful = [intent(), result(**NOBODY_KNOWS), intent(key=f"{D}~2"), result(key=f"{D}~2", **ABORTED)]
    assert fate(*doubtful).in_doubt
    assert not fate(*doubtful, intent(key=f"{D}~3"), result(key=f"{D}~3", **COMPLETE)).in_doubt


def test_a_reversal_that_mends_goes_back_and_belongs_to_the_migration():
    mended = fate(intent(), result(**INCOMPLETE), intent(MEND, data={"direction": "V2_TO_V1"}), result(MEND, **BACK))
    assert (mended.is_back, mended.has_moved, mended.direction, mended.step) == (True, False, Direction.BACK, MEND)


def test_only_what_somebody_had_reversed_afterwards_counts_as_undone():
    mended = standing({"key": D} | intent(MEND), {"key": D} | result(MEND, **BACK))
    assert undone(mended) == {}
    found_back = standing(
        {"key": D} | intent(), {"key": D} | result(**COMPLETE), {"step": UNDO, "kind": Kind.ADOPTED, "key": D, **BACK}
    )
    assert undone(found_back)[D].is_back


def test_steps_that_were_not_asked_for_are_not_read():
    facts = [intent(), result(**COMPLETE), intent(UNDO), result(UNDO, **BACK)]
    assert fate(*facts, steps=(START,)).has_moved
    assert fate(*facts).is_back
