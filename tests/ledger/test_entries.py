from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ferry.core.model import Attempt, Counts, RunState
from ferry.ledger.entries import ADMIT, GENESIS, START, UNDO, AttemptStanding, Draft, Entry, Kind, Origin, Standing, Verdict, fold

WHEN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ORIGIN = Origin("migrate_domo", "b.1", "task", 1)


def chain(*facts: dict[str, Any]) -> list[Entry]:
    """A chain of entries about one batch; the first attempt is opened unless a fact says otherwise."""
    entries: list[Entry] = []
    for fact in ({"step": ADMIT, "kind": Kind.INTENT}, *facts):
        attempt = Attempt("domo", "d.example.com", "b", fact.get("attempt", 1))
        draft = Draft(**({"attempt": attempt, "origin": ORIGIN, "input_hash": "a" * 64} | fact | {"attempt": attempt}))
        head = entries[-1].entry_hash if entries else GENESIS
        entries.append(Entry.seal(draft, seq=len(entries) + 1, at=WHEN, prev_hash=head))
    return entries


def intent(step: str = START, **facts: Any) -> dict[str, Any]:
    return {"step": step, "kind": Kind.INTENT} | facts


def result(step: str = START, **facts: Any) -> dict[str, Any]:
    return {"step": step, "kind": Kind.RESULT} | facts


def look(state: RunState, **facts: Any) -> dict[str, Any]:
    return {"step": "await_run", "kind": Kind.LOOK, "state": state} | facts


def verdict(word: Verdict, **facts: Any) -> dict[str, Any]:
    return {"step": "settle_batch", "kind": Kind.VERDICT, "verdict": word} | facts


def standing(*facts: dict[str, Any]) -> AttemptStanding:
    return fold(chain(*facts)).attempts[-1]


def test_parts_are_told_by_the_vendors_word_until_somebody_has_seen_the_whole():
    parts = [intent(key="a"), result(key="a", word="COMPLETE", state=RunState.SUCCEEDED), intent(key="b"), intent(key="c")]
    parts += [result(key="c", word="INCOMPLETE", state=RunState.FAILED_DIRTY), intent(key="c~2")]
    assert standing(*parts).parts_told == {"COMPLETE": 1, "under way": 2}
    parts += [result(key="b", state=RunState.FAILED_CLEAN)]
    assert standing(*parts).parts_told == {"COMPLETE": 1, "failed_clean": 1, "under way": 1}
    assert standing(*parts, look(RunState.FAILED_DIRTY, word="1 COMPLETE")).parts_told == {}
    assert standing().parts_told == {}


@pytest.mark.parametrize("step", [START, UNDO, "mend_run"])
def test_a_part_without_an_answer_is_not_over_whatever_was_said_of_it_before(step):
    judged = [intent(key="a"), result(key="a", word="ABORTED", state=RunState.FAILED_CLEAN), verdict(Verdict.UNBALANCED)]
    assert standing(*judged).run_is_over
    again = [*judged, look(RunState.FAILED_DIRTY), intent(step, key="a~2")]
    assert not standing(*again).run_is_over
    assert standing(*again).holds_place
    assert standing(*again, result(step, key="a~2", state=RunState.FAILED_CLEAN), look(RunState.FAILED_DIRTY)).run_is_over


def test_the_part_of_an_undo_is_no_word_on_the_whole_but_a_number_is():
    begun = [intent(key="a"), result(key="a", state=RunState.SUCCEEDED), look(RunState.SUCCEEDED)]
    assert standing(*begun, result(UNDO, key="a-datasource", state=RunState.CANCELLED)).run_state is RunState.SUCCEEDED
    assert standing(*begun, result(UNDO, key="13", state=RunState.CANCELLED)).run_state is RunState.CANCELLED


def test_an_entry_survives_its_json():
    entry = chain(look(RunState.RUNNING, counts={"n": 1}, data={"x": [1]}), verdict(Verdict.UNKNOWN))[1]
    assert Entry.from_json(entry.to_json()) == entry
    assert entry.computed_hash() == entry.entry_hash


@pytest.mark.parametrize(
    "change", [{"word": "x"}, {"seq": 9}, {"prev_hash": "f" * 64}, {"at": WHEN.replace(year=2025)}, {"counts": {"n": 1}}]
)
def test_everything_an_entry_says_is_in_its_hash(change):
    entry = chain()[0]
    assert replace(entry, **change).computed_hash() != entry.entry_hash


def test_the_hash_of_an_entry_never_changes_between_versions():
    assert chain()[0].entry_hash == "a01fd3cab2d1dc761e085a826571ecfee7f6dc37996b0d2041dd47ccdf815e1d"


def test_a_new_attempt_is_open_and_nothing_is_known():
    one = standing()
    assert (one.is_open, one.started, one.start_known, one.run_state, one.ref, one.word) == (True, False, False, None, "", "")
    assert (one.verdict, one.counts, one.counters, one.holds_place, one.holder) == (None, Counts(), {}, False, ORIGIN)


def test_the_newest_ref_of_a_step_that_names_the_run_is_the_run():
    one = standing(
        result("open_run", ref="p-1"), intent(), result(ref="r-2"), result("fetch_errors", ref="not a run"), result(ref="")
    )
    assert (one.ref, one.ref_of("open_run"), one.ref_of("find_run")) == ("r-2", "p-1", "")


def test_state_word_and_counters_are_the_last_look_at_the_whole_run():
    seen = look(RunState.RUNNING, word="Processing", counts={"done": 4})
    one = standing(intent(), result(state=RunState.QUEUED), seen, look(RunState.SUCCEEDED, key="part"))
    assert (one.run_state, one.word, one.counters) == (RunState.RUNNING, "Processing", {"done": 4})


def test_an_intent_is_known_once_there_is_a_result_or_an_adoption():
    assert standing(intent(), look(RunState.RUNNING)).start_known is False
    assert standing(intent(), {"step": START, "kind": Kind.ADOPTED}).start_known is True
    assert standing(intent(key="a"), intent(key="b"), result(key="a")).start_known is False


@pytest.mark.parametrize(
    ("facts", "over"),
    [
        ([], False),
        ([result("open_run", state=RunState.FAILED_CLEAN)], False),
        ([result("open_run", state=RunState.SUCCEEDED), intent()], False),
        ([intent()], False),
        ([intent(), result(state=RunState.QUEUED)], False),
        ([intent(), result(state=RunState.FAILED_CLEAN)], True),
        ([intent(), look(RunState.CANCELLED)], True),
        ([intent(), look(RunState.SUCCEEDED), look(RunState.RUNNING)], False),
        ([intent(key="a"), result(key="a", state=RunState.SUCCEEDED)], False),
        ([intent(key="a"), result(key="a", state=RunState.SUCCEEDED), verdict(Verdict.UNBALANCED)], True),
        ([intent(key="a"), intent(key="b"), result(key="a", state=RunState.SUCCEEDED), verdict(Verdict.UNBALANCED)], False),
        ([intent(key="a"), look(RunState.SUCCEEDED), intent(key="b")], False),
    ],
)
def test_a_run_is_over_only_when_the_vendor_said_so_of_all_that_was_started(facts, over):
    assert standing(*facts).run_is_over is over


def test_counts_are_the_verdicts_before_reconciliations():
    counted = {"sent": 3, "accepted": 2, "rejected": 1}
    assert standing(result("reconcile", counts=counted)).counts == Counts(sent=3, accepted=2, rejected=1)
    assert standing(result("reconcile", counts=counted), verdict(Verdict.REFUSED, counts={"sent": 4})).counts == Counts(sent=4)


def test_the_last_attempt_speaks_for_the_batch():
    balanced = chain(verdict(Verdict.BALANCED))
    assert fold(balanced).balanced
    again = fold(chain(verdict(Verdict.BALANCED), {"step": ADMIT, "kind": Kind.INTENT, "attempt": 2}))
    assert (again.balanced, again.seq, len(again.attempts)) == (False, 3, 2)


# Undo


def undo(**facts: Any) -> list[dict[str, Any]]:
    """An import that is over, and an undo that was meant."""
    return [intent(), look(RunState.SUCCEEDED, word="imported"), intent(UNDO, **facts)]


def adopted(step: str, **facts: Any) -> dict[str, Any]:
    return {"step": step, "kind": Kind.ADOPTED} | facts


@pytest.mark.parametrize(
    ("facts", "undoing", "known"),
    [
        ([], False, True),
        ([intent()], False, True),
        (undo(), True, False),
        (undo(key="14"), True, False),
        ([*undo(), result(UNDO, state=RunState.RUNNING)], True, True),
        ([*undo(key="14"), result(UNDO, state=RunState.RUNNING)], True, False),
        ([*undo(), result(UNDO, state=RunState.FAILED_CLEAN)], False, True),
        ([*undo(), result(UNDO, state=RunState.FAILED_CLEAN), intent(UNDO, key="~2")], True, False),
        ([*undo(), result(UNDO, state=RunState.RUNNING), intent(UNDO, key="14")], True, False),
        ([intent(), adopted(UNDO, key="14", state=RunState.RUNNING)], True, True),
        ([intent(), look(RunState.CANCELLED, step="await_undo")], False, True),
    ],
)
def test_an_attempt_is_being_undone_once_that_was_meant_and_not_certainly_refused(facts, undoing, known):
    assert (standing(*facts).undoing, standing(*facts).undo_known) == (undoing, known)


@pytest.mark.parametrize("key", ["", "14", "14~2"])
def test_an_undo_is_seen_of_the_whole_run_whichever_time_it_was_tried(key):
    began = [*undo(key=key), result(UNDO, key=key, state=RunState.RUNNING, word="undoing")]
    assert (standing(*began).run_state, standing(*began).word, standing(*began).run_is_over) == (
        RunState.RUNNING,
        "undoing",
        False,
    )
    over = standing(*began, look(RunState.CANCELLED, step="await_undo", word="undo_success"))
    assert (over.run_state, over.run_is_over) == (RunState.CANCELLED, True)


def test_an_undo_that_was_refused_says_nothing_of_the_run():
    refused = standing(*undo(), result(UNDO, state=RunState.FAILED_CLEAN, word="no"))
    assert (refused.run_state, refused.word, refused.run_is_over) == (RunState.SUCCEEDED, "imported", True)


def test_a_run_is_not_over_while_an_undo_may_be_under_way():
    assert not standing(*undo()).run_is_over
    assert standing(*undo()).holds_place


@pytest.mark.parametrize(
    ("facts", "acted"),
    [
        ([], False),
        ([intent()], True),
        ([intent(), result(state=RunState.QUEUED)], True),
        ([intent(), result(state=RunState.FAILED_CLEAN)], False),
        ([intent(), result(state=RunState.FAILED_CLEAN), intent(key="~2")], True),
        ([intent(key="a"), intent(key="b"), result(key="a", state=RunState.FAILED_CLEAN)], True),
        ([intent(), result(state=RunState.FAILED_CLEAN), adopted(START, state=RunState.QUEUED)], True),
    ],
)
def test_an_attempt_acted_unless_every_start_came_to_a_certain_no(facts, acted):
    assert standing(*facts).acted is acted


def test_the_attempt_that_was_taken_up_last_speaks_for_the_batch():
    second = {"step": ADMIT, "kind": Kind.INTENT, "attempt": 2}
    taken_up = fold(chain(verdict(Verdict.BALANCED), second, adopted(ADMIT)))
    assert (taken_up.last.attempt.number, taken_up.attempts[-1].attempt.number, taken_up.next_number) == (1, 2, 3)
    assert taken_up.balanced


def test_the_first_attempt_has_number_one():
    empty = Standing("domo", "d.example.com", "b")
    assert (empty.last, empty.next_number, empty.balanced, empty.rests) == (None, 1, False, False)


@pytest.mark.parametrize("word", Verdict)
def test_a_batch_rests_once_it_balances_or_was_undone(word):
    assert fold(chain(verdict(word))).rests is (word in {Verdict.BALANCED, Verdict.UNDONE})
    again = fold(chain(verdict(word), {"step": ADMIT, "kind": Kind.INTENT, "attempt": 2}))
    assert not again.rests


@pytest.mark.parametrize("word", Verdict)
def test_a_verdict_closes_unless_something_is_still_to_be_found_out(word):
    assert word.closes is (word not in {Verdict.UNBALANCED, Verdict.UNKNOWN})
    assert standing(verdict(word)).is_open is not word.closes


def test_nothing_cannot_be_folded():
    with pytest.raises(ValueError, match="nothing to fold"):
        fold([])
