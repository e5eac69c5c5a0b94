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


def test_alternate_ids_are_assigned_once_and_never_overwritten(house):
    made = house.control("POST", "/fenergo/records", json={"tableName": "Company", "name": "Made by hand"})
    folder = house.home / "batches/fenergo/ids"
    folder.mkdir(parents=True)
    manifest = (
        "vendor: fenergo\ndue: 2026-01-01\ndag: assign_fenergo_alternate_ids\n"
        "fenergo: {jurisdiction: Migration, alternate_ids: ids.csv}\n"
    )
    (folder / "manifest.yaml").write_text(manifest)
    (folder / "ids.csv").write_text(f'"tableName","alternateId","fenxId"\n"Company","HAND-1","{made["fenxId"]}"\n')
    assert str(house.play("assign_fenergo_alternate_ids", batch_id="ids").state) == "success"
    assert house.last("ids").verdict is Verdict.BALANCED
    assert house.last("ids").counts.accepted == 1

    again = house.home / "batches/fenergo/ids-again"
    again.mkdir()
    (again / "manifest.yaml").write_text(manifest)
    (again / "ids.csv").write_text(f'"tableName","alternateId","fenxId"\n"Company","HAND-2","{made["fenxId"]}"\n')
    assert str(house.play("assign_fenergo_alternate_ids", batch_id="ids-again").state) == "failed"
    assert house.control("GET", "/fenergo/state")["overwrites"] == []


def test_what_a_person_waives_counts_as_waived_and_lets_the_batch_balance(house):
    house.batch("some-missing")
    house.switch(completed_with_failed=1)
    assert str(house.play("migrate_fenergo", batch_id="some-missing").state) == "failed"
    assert house.last("some-missing").verdict is Verdict.UNBALANCED
    waived = house.play(
        "waive_records", vendor="fenergo", batch_id="some-missing", records=["Company,C-2"], reason="sold last year, not needed"
    )
    assert str(waived.state) == "success"
    again = house.play("migrate_fenergo", batch_id="some-missing")
    last = house.last("some-missing")
    assert str(again.state) == "success", last.reason
    assert (last.attempt.number, last.counts.waived, last.counts.accepted) == (1, 1, 2)
    assert len(house.starts()) == 1
