from __future__ import annotations

import pytest

from ferry.core.errors import LedgerError
from ferry.core.model import Attempt
from ferry.ledger.entries import Draft, Entry, Kind, Origin
from ferry.ledger.schema import LEDGER, to_row

BATCH = ("fenergo", "api.example.com", "clients-1")
FIRST = Attempt(*BATCH, 1)
ANNA = Origin("migrate_fenergo", "run-1")

ALTER = "UPDATE ferry_ledger SET CHANGE WHERE batch_id = 'clients-1' AND seq = 3"
DROP = {
    "sqlite": [f"DROP TRIGGER ferry_ledger_{name}" for name in ("no_update", "no_delete", "chained")],
    "postgresql": ["ALTER TABLE ferry_ledger DISABLE TRIGGER USER"],
}


@pytest.fixture
def written(store):
    """Two batches; the first has four entries."""
    for batch_id in ("clients-1", "other"):
        store.admit(*BATCH[:2], batch_id, "a" * 64, ANNA, is_live=lambda _: True)
    store.intend(FIRST, "start_run", origin=ANNA)
    for word in ("Processing", "Finished"):
        store.append(Draft(attempt=FIRST, step="await_run", kind=Kind.LOOK, origin=ANNA, word=word, counts={"done": 1}))
    return store


def tamper(store, *statements: str) -> None:
    """What somebody with the database's password can do: switch the guards off and write."""
    with store.database.writing() as connection:
        for statement in (*DROP["postgresql" if store.database.is_postgres else "sqlite"], *statements):
            connection.exec_driver_sql(statement)


def found(store) -> list[tuple[int, str]]:
    return [(fault.seq, fault.what) for fault in store.verify()]


def test_a_ledger_nobody_touched_has_no_faults(written):
    assert written.verify() == []
    assert written.verify(*BATCH) == []


@pytest.mark.parametrize(
    "change",
    [
        "word = 'Failed'",
        "counts = '{\"done\":2}'",
        "who = 'somebody else'",
        "at = '2020-01-01T00:00:00.000000+00:00'",
        "ref = 'r-2'",
        "verdict = NULL, note = 'x'",
    ],
)
def test_an_altered_entry_is_named(written, change):
    tamper(written, ALTER.replace("CHANGE", change))
    assert found(written) == [(3, "its content does not give its hash: it was altered after it was written")]
    fault = written.verify()[0]
    assert str(fault).startswith("fenergo batch clients-1 at api.example.com, entry 3: its content")


@pytest.mark.parametrize("change", ["counts = '{'", "at = 'yesterday'", "state = 'wonderful'", "data = '[]x'"])
def test_a_row_that_is_no_entry_any_more_is_named_and_blocks_its_batch_only(written, change):
    tamper(written, ALTER.replace("CHANGE", change))
    assert [(seq, what[:29]) for seq, what in found(written)] == [(3, "the row is no entry any more ")]
    with pytest.raises(LedgerError, match="somebody changed it by hand"):
        written.standing(*BATCH)
    assert written.standing(*BATCH[:2], "other").attempts


def test_a_removed_entry_leaves_a_gap(written):
    tamper(written, "DELETE FROM ferry_ledger WHERE batch_id = 'clients-1' AND seq = 3")
    assert found(written) == [
        (4, "entry 3 should stand here: entries are missing"),
        (4, "it does not follow the entry before it: one was altered, removed or put in"),
    ]


def test_an_altered_entry_with_a_new_hash_breaks_the_next_one(written):
    entry = written.of_batch(*BATCH)[2]
    forged = Entry.seal(
        Draft(attempt=FIRST, step="await_run", kind=Kind.LOOK, origin=ANNA, word="Failed", input_hash="a" * 64),
        seq=3,
        at=entry.at,
        prev_hash=entry.prev_hash,
    )
    tamper(written, "DELETE FROM ferry_ledger WHERE batch_id = 'clients-1' AND seq = 3")
    with written.database.writing() as connection:
        connection.execute(LEDGER.insert().values(to_row(forged)))
    assert found(written) == [(4, "it does not follow the entry before it: one was altered, removed or put in")]


def test_a_second_opening_and_a_second_intent_are_named(written):
    last = written.of_batch(*BATCH)[-1]
    tamper(written, "DROP INDEX ferry_ledger_one_opening", "DROP INDEX ferry_ledger_one_intent")
    head, seq = last.entry_hash, last.seq
    for step, number, input_hash in (
        ("admit_batch", 1, "a"),
        ("start_run", 1, "a"),
        ("admit_batch", 3, "a"),
        ("look", 1, "b"),
        ("x", 7, "a"),
    ):
        attempt = Attempt(*BATCH, number)
        kind = Kind.LOOK if step in {"look", "x"} else Kind.INTENT
        draft = Draft(attempt=attempt, step=step, kind=kind, origin=ANNA, input_hash=input_hash * 64)
        seq += 1
        entry = Entry.seal(draft, seq=seq, at=last.at, prev_hash=head)
        head = entry.entry_hash
        with written.database.writing() as connection:
            connection.execute(LEDGER.insert().values(to_row(entry)))
    assert found(written) == [
        (5, "attempt 1 intends `admit_batch` a second time"),
        (6, "attempt 1 intends `start_run` a second time"),
        (7, "attempt 3 is opened where attempt 2 is due"),
        (8, "it speaks of another input than the one attempt 1 was opened for"),
        (9, "attempt 7 was never opened"),
    ]


def test_evidence_is_checked_where_entries_name_it(written):
    written.append(
        Draft(attempt=FIRST, step="reconcile", kind=Kind.RESULT, origin=ANNA, evidence_path="a/b.json", evidence_hash="c" * 64)
    )
    assert written.verify() == []
    assert [fault.what for fault in written.verify(evidence=lambda entry: f"{entry.evidence_path} is gone")] == [
        "a/b.json is gone"
    ]
