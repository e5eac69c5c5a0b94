"""Dispatch and backfill: what is open is sent, what is balanced is left alone."""

import pytest

from ferry.ledger.entries import Verdict

DAY, REMEDY_DAY = "2026-01-02", "2026-01-03"
DAY_BATCHES = ("day-good", "day-other", "day-refused")
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]


@pytest.fixture
def day(ferry, runs):
    """The first dispatch: three batches due on one day, of which the vendor refuses one."""
    return runs["dispatch"]


@pytest.fixture
def remedy_day(ferry, runs):
    """The second: a batch that its alternate ids remedy."""
    return runs["remedy dispatch"]


def test_a_dispatch_sends_every_batch_of_its_day_and_is_red_if_one_is(ferry, day):
    assert day.end() == "failed"
    assert {name: state for name, state in day.states.items() if name != "find_due"} == {
        "migrate0": "success",
        "migrate1": "success",
        "migrate2": "failed",
        "check_balanced": "failed",
    }
    assert all("Pausing task as DEFERRED" in day.log("migrate", map_index=index) for index in range(3))
    last = {batch_id: ferry.last(batch_id, "default") for batch_id in DAY_BATCHES}
    assert {batch_id: attempt.verdict for batch_id, attempt in last.items()} == {
        "day-good": Verdict.BALANCED,
        "day-other": Verdict.BALANCED,
        "day-refused": Verdict.REFUSED,
    }
    assert {attempt.holder.run_id for attempt in last.values()} == {f"{batch_id}.1" for batch_id in DAY_BATCHES}
    assert {len(ferry.standing(batch_id, "default").attempts) for batch_id in DAY_BATCHES} == {1}


def test_a_batch_that_its_alternate_ids_remedy_is_green_with_its_second_attempt(ferry, remedy_day):
    assert remedy_day.end() == "success"
    standing = ferry.standing("clients-alternate", "default")
    assert [attempt.verdict for attempt in standing.attempts] == [Verdict.REFUSED, Verdict.BALANCED]
    assert [attempt.holder.run_id for attempt in standing.attempts] == ["clients-alternate.1", "clients-alternate.2"]
    assert [ferry.boxes["default"].starts(attempt.ref) for attempt in standing.attempts] == [1, 1]


def test_a_backfill_of_what_failed_sends_only_the_corrected_batch_again(ferry, day, remedy_day):
    assert (day.end(), remedy_day.end()) == ("failed", "success")
    box = ferry.boxes["default"]
    before = {migration["id"]: migration["starts"] for migration in box.migrations}

    ferry.batch("day-refused", "default", due=DAY)
    ferry.backfill(DAY, REMEDY_DAY)
    assert day.end() == "success"
    assert remedy_day.tasks["find_due"]["try_number"] == 1  # not cleared: it was green

    second = ferry.last("day-refused", "default")
    assert (second.attempt.number, second.verdict, second.holder.run_id) == (2, Verdict.BALANCED, "day-refused.2")
    after = {migration["id"]: migration["starts"] for migration in box.migrations}
    assert after == before | {second.ref: 1}
    assert all(box.starts(ref) <= 1 for ref in after)
    assert sorted(state for name, state in day.states.items() if name.startswith("migrate")) == ["removed", "removed", "success"]
