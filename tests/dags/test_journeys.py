"""Whole batches through the real DAG against the sandbox."""

from ferry.ledger.entries import Verdict


def test_a_good_batch_is_migrated_and_balances(house):
    house.batch("good")
    ended = house.play("migrate_fenergo", batch_id="good")
    assert str(ended.state) == "success"
    assert house.last("good").verdict is Verdict.BALANCED
    assert len(house.starts()) == 1


def test_a_refused_batch_is_red_and_its_report_says_what_to_correct(house):
    house.demo_batch("clients-refused")
    ended = house.play("migrate_fenergo", batch_id="clients-refused")
    last = house.last("clients-refused")
    assert str(ended.state) == "failed"
    assert last.verdict is Verdict.REFUSED
    assert last.counts.accepted == 0
    assert last.counts.rejected > 0
    assert last.counts.adds_up
