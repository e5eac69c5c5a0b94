"""What a scheduled window sends by itself: what is open, and never what balances or was taken back."""

from datetime import UTC, datetime, timedelta

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


def due_on(batch, day):
    """The batch as it is planned for a day, and what has to be sent of it without an interval."""
    manifest = batch.folder.parent / "batches/six/b-1/manifest.yaml"
    manifest.write_text(f"vendor: six\ndue: {day}\nsix: {{}}\n")
    return due()


def test_without_an_interval_what_is_due_today_or_was_before_is_sent_and_nothing_that_is_due_later(batch):
    today = datetime.now(UTC).date()
    assert due_on(batch, today)
    assert due_on(batch, today - timedelta(days=400))
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert due_on(batch, tomorrow) == []
    assert [found.batch_id for found in survey(["six"])[0]] == ["b-1"]  # the page of open batches shows it all the same


@pytest.mark.parametrize(("first", "end", "found"), [(1, 2, True), (2, 3, False), (0, 1, False), (0, 3, True), (1, 1, False)])
def test_a_window_owns_what_is_due_from_its_first_day_to_the_day_before_its_end(batch, first, end, found):
    day = datetime(2025, 12, 31, 6, tzinfo=UTC)
    window = day + timedelta(days=first), day + timedelta(days=end)
    assert bool(due_batches(["six"], *window)) is found


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
    assert survey(["six"]) == ([], [])
    with pytest.raises(BadInput, match=r"1 of 1 batches are not balanced: six/b-1"):
        check_balanced(dispatched, ["six"])


def test_what_has_balanced_by_the_time_the_last_one_ends_is_green_whoever_sent_it(batch):
    dispatched = due_batches(["six"], None, None)
    batch.store.settle(batch.attempt, Verdict.REFUSED, ORIGIN)
    told = {"connection": "six_default"}
    again = batch.store.admit("six", "six.example", "b-1", "a" * 64, ORIGIN, is_live=lambda _: False, data=told)
    batch.store.settle(again.attempt, Verdict.BALANCED, ORIGIN)
    assert check_balanced(dispatched, ["six"]) == "All 1 batches are balanced."


def test_a_batch_that_cannot_be_read_stops_no_other_and_makes_every_dispatch_red(batch):
    unread = batch.folder.parent / "batches/six/a-0"
    unread.mkdir()
    (unread / "manifest.yaml").write_text("vendor: six\ndue: whenever\n")
    dispatched = due_batches(["six"], None, None)
    assert [found["batch_id"] for found in dispatched] == ["b-1"]
    batch.store.settle(batch.attempt, Verdict.BALANCED, ORIGIN)
    with pytest.raises(BadInput, match="a-0") as red:
        check_balanced(dispatched, ["six"])
    assert "not balanced" not in red.value.message


def test_a_red_dispatch_says_in_one_line_of_its_log_what_is_open(batch, caplog):
    with pytest.raises(BadInput) as red:
        check_balanced(due_batches(["six"], None, None), ["six"])
    assert red.value.message in [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
