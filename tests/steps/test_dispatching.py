"""What a scheduled window sends by itself: what is open, and never what balances or was taken back."""

import pytest
from tests.steps.conftest import ORIGIN

from ferry.core.errors import BadInput
from ferry.ledger.entries import Verdict
from ferry.steps.dispatching import check_balanced, due_batches, survey


@pytest.fixture
def batch(ledger, connect, tmp_path):
    """The ledger's batch as it lies in its folder."""
    connect("six_default", conn_type="http", host="https://six.example/base")
    folder = tmp_path / "batches" / "six" / "b-1"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text("vendor: six\ndue: 2026-01-01\nsix: {}\n")
    return ledger


def due():
    return [(batch["batch_id"], batch["attempt"], batch["stands"]) for batch in due_batches(["six"], None, None)]


@pytest.mark.parametrize(
    ("verdict", "found"),
    [
        (Verdict.BALANCED, []),
        (Verdict.UNDONE, []),
        (Verdict.UNKNOWN, [("b-1", 1, "unknown")]),
        (Verdict.UNBALANCED, [("b-1", 1, "unbalanced")]),
        (Verdict.REFUSED, [("b-1", 2, "refused")]),
        (Verdict.ABANDONED, [("b-1", 2, "abandoned")]),
    ],
)
def test_what_rests_is_left_alone(batch, verdict, found):
    batch.store.settle(batch.attempt, verdict, ORIGIN)
    assert due() == found


def test_the_attempt_that_was_taken_up_last_says_how_the_batch_stands(batch):
    """The second attempt was superseded by the undo of the first; its number is taken all the same."""
    batch.start_run()
    batch.store.settle(batch.attempt, Verdict.BALANCED, ORIGIN)
    batch.store.admit("six", "six.example", "b-1", "b" * 64, ORIGIN, is_live=lambda _: False)
    batch.store.take_up(batch.attempt, ORIGIN, is_live=lambda _: False)
    assert due() == [("b-1", 1, "unknown")]
    batch.store.settle(batch.attempt, Verdict.UNDONE, ORIGIN)
    assert due() == []
    batch.store.take_up(batch.attempt, ORIGIN, is_live=lambda _: False)
    batch.store.settle(batch.attempt, Verdict.REFUSED, ORIGIN)
    assert due() == [("b-1", 3, "refused")]


def test_a_batch_that_was_undone_since_it_was_sent_is_not_called_balanced(batch):
    dispatched = due_batches(["six"], None, None)
    batch.store.settle(batch.attempt, Verdict.UNDONE, ORIGIN)
    assert survey(["six"], None, None) == ([], [])
    with pytest.raises(BadInput, match=r"1 of 1 batches are not balanced: six/b-1"):
        check_balanced(dispatched, ["six"])
