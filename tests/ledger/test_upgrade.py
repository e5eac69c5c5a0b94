"""Ledgers that earlier versions of Ferry wrote, and entries that a later one did: nothing is lost, and nothing swallowed."""

import json
import shutil
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from tests.upgrade.recordings import RECORDINGS

from ferry.__main__ import main as command
from ferry.core.errors import LedgerError
from ferry.core.model import Attempt, Counts, RunState
from ferry.ledger import database, schema
from ferry.ledger.chain import canonical, digest
from ferry.ledger.entries import Draft, Kind, Origin
from ferry.ledger.schema import LEDGER
from ferry.ledger.store import LedgerStore

ANNA = Origin("migrate_fenergo", "run-1")
BATCH = ("fenergo", "api.example.com", "clients-1")
ATTEMPT = Attempt(*BATCH, 1)


@pytest.fixture(params=RECORDINGS, ids=lambda recording: recording.version)
def recording(request):
    return request.param


@pytest.fixture
def old(empty_url, recording, tmp_path):
    """A ledger as that version left it, which this version has not seen yet."""
    (tmp_path / "ledger").mkdir()
    store = LedgerStore(empty_url)
    recording.restore(store)
    yield store
    store.database.engine.dispose()


def rows_of(store):
    names = ("vendor", "environment", "batch_id", "seq")
    with store.database.reading() as connection:
        found = connection.execute(LEDGER.select().order_by(*(LEDGER.c[name] for name in names))).mappings()
        return sorted((dict(row) for row in found), key=lambda row: tuple(row[name] for name in names))


def shape_of(store):
    """Everything in the database but its rows, as the database itself tells it."""
    with store.database.reading() as connection:
        if not store.database.is_postgres:
            told = connection.execute(text("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'ferry_ledger'"))
            return sorted((kind, name, " ".join((sql or "").split())) for kind, name, sql in told)
        queries = (
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'ferry_ledger'",
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'ferry_ledger'::regclass AND NOT tgisinternal",
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ferry_ledger'::regclass",
            "SELECT prosrc FROM pg_proc WHERE proname LIKE 'ferry_ledger%'",
        )
        columns = [
            str((one["name"], str(one["type"]), one["nullable"], one["default"]))
            for one in inspect(connection).get_columns("ferry_ledger")
        ]
        return sorted(columns + [row[0] for query in queries for row in connection.execute(text(query))])


def test_every_chain_of_an_old_ledger_holds_and_no_row_of_it_changes(old, recording):
    old.migrate()
    assert old.verify() == []
    kept = {name: [row[name] for row in recording.ledger] for name in recording.ledger[0]}
    found = sorted(rows_of(old), key=lambda row: (row["batch_id"], row["seq"]))
    assert {name: [row[name] for row in found] for name in kept} == kept


def test_every_batch_stands_as_the_version_that_wrote_it_said(old, recording):
    old.migrate()
    for told in recording.lines("standings"):
        standing = old.standing(told["vendor"], told["environment"], told["batch_id"])
        assert (standing.balanced, standing.head) == (told["balanced"], told["head"])
        assert standing.last.attempt.number == told["last"]
        for attempt, said in zip(standing.attempts, told["attempts"], strict=True):
            found = {name: getattr(attempt, name) for name in said}
            assert json.loads(json.dumps(found, default=_plain)) == said, attempt.attempt
    assert [one.attempt.key for one in old.live("fenergo", told["environment"])] == recording.lines("live")


def _plain(value):
    return value.to_json() if isinstance(value, Counts) else str(value)


def test_an_old_ledger_ends_with_the_shape_of_a_new_one(old, empty_url, request, tmp_path):
    old.migrate()
    url = request.getfixturevalue("postgres_server").empty() if old.database.is_postgres else str(tmp_path / "new.db")
    new = LedgerStore(url)
    new.migrate()
    assert shape_of(old) == shape_of(new)
    new.database.engine.dispose()


@pytest.mark.parametrize("statement", ["UPDATE ferry_ledger SET word = 'x'", "DELETE FROM ferry_ledger"])
def test_an_old_ledger_stays_append_only(old, statement):
    old.migrate()
    with pytest.raises(LedgerError, match="append-only"), old.database.writing() as connection:
        connection.execute(text(statement))


def test_an_old_ledger_is_written_on(old, recording):
    """Who had it in hand goes on, and nobody gets a second start."""
    old.migrate()
    for told in recording.lines("live"):
        attempt = Attempt.parse(told)
        standing = old.attempt(attempt)
        intent = old.intend(attempt, "start_run", origin=standing.holder)
        assert not intent.fresh
        old.append(Draft(attempt=attempt, step="await_run", kind=Kind.LOOK, origin=standing.holder, state=RunState.RUNNING))
    assert old.verify() == []


def test_admissions_follow_what_an_old_ledger_says(old, recording):
    old.migrate()
    said = {}
    for told in recording.lines("standings"):
        key = told["vendor"], told["environment"], told["batch_id"]
        admission = old.admit(*key, told["attempts"][-1]["input_hash"], ANNA, is_live=lambda _: False)
        said[told["batch_id"]] = admission.kind, admission.attempt.number
    assert said["balanced"] == said["waived"] == ("balanced", 1)
    assert said["denied"] == ("balanced", 2)
    assert said["refused"] == ("opened", 2)
    assert {said[name] for name in ("waiting", "lost", "asked", "dead-before", "dead-after", "partly")} == {("resumed", 1)}


def test_many_processes_prepare_an_old_ledger_at_once(old, empty_url, crew, recording):
    assert crew.all_do("migrate", members=4, url=empty_url) == ["migrated"] * 4
    old.migrate()
    assert old.verify() == []
    assert len(rows_of(old)) == len(recording.ledger)


def test_the_command_prepares_an_old_ledger_and_refuses_a_newer_one(old, empty_url, capsys):
    assert command(["migrate", "--ledger", empty_url]) == 0
    assert f"is at version {schema.HEAD}" in capsys.readouterr().out
    assert old.verify() == []
    with old.database.writing() as connection:
        connection.execute(text("UPDATE ferry_alembic_version SET version_num = '9999'"))
    assert command(["migrate", "--ledger", empty_url]) == 2
    assert "a newer Ferry has used it. Upgrade this installation" in capsys.readouterr().err


def test_compose_prepares_both_databases_before_anything_else_runs():
    init = (Path(__file__).parents[2] / "scripts/compose/init.py").read_text("utf-8")
    steps = [line.strip() for line in init[init.index("def main()") :].splitlines()[2:4]]
    assert steps == ['run("airflow", "db", "migrate")', 'run("ferry", "migrate")']


def test_a_next_version_finds_all_of_it(old, recording, tmp_path, monkeypatch):
    """What a migration of tomorrow does, two at once: a column more, with a default for what is there."""
    shutil.copytree(Path(database.__file__).with_name("migrations"), tmp_path / "migrations")
    (tmp_path / "migrations/versions/v9999_more.py").write_text(
        f'from alembic import op\nrevision, down_revision = "9999", "{schema.HEAD}"\n'
        "def upgrade():\n    op.get_bind().exec_driver_sql("
        "\"ALTER TABLE ferry_ledger ADD COLUMN more TEXT NOT NULL DEFAULT ''\")\n"
    )
    old.migrate()
    monkeypatch.setattr(database, "HEAD", "9999")
    monkeypatch.setattr(database, "__file__", str(tmp_path / "database.py"))
    errors = []

    def migrate():
        try:
            old.migrate()
        except Exception as error:  # noqa: BLE001 (the test tells)
            errors.append(error)

    both = [threading.Thread(target=migrate) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert errors == []
    assert old.verify() == []
    assert len(rows_of(old)) == len(recording.ledger)
    monkeypatch.undo()
    with pytest.raises(LedgerError, match=r"a newer Ferry has used it\. Upgrade this installation"):
        old.migrate()


# What a newer Ferry may have written


def write_newer(store, **changed):
    """Append an entry in which a newer Ferry has used words of its own, with the hash that it gives it."""
    store.admit(*BATCH, "a" * 64, ANNA, is_live=lambda _: True)
    store.intend(ATTEMPT, "start_run", origin=ANNA)
    written = store.append(Draft(attempt=ATTEMPT, step="await_run", kind=Kind.LOOK, origin=ANNA, state=RunState.RUNNING))
    flat = written.to_json() | {"seq": written.seq + 1, "prev_hash": written.entry_hash} | changed
    flat["entry_hash"] = digest(flat)
    with store.database.writing() as connection:
        connection.execute(LEDGER.insert(), flat | {name: canonical(flat[name]) for name in ("counts", "data")})


NEWER = [
    ({"kind": "verdict", "verdict": "merged", "state": None}, "verdict 'merged'"),
    ({"state": "paused"}, "state 'paused'"),
]


@pytest.mark.parametrize(("changed", "words"), NEWER)
@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.standing(*BATCH),
        lambda store: store.attempt(ATTEMPT),
        lambda store: store.live(*BATCH[:2]),
        lambda store: store.admit(*BATCH, "a" * 64, ANNA, is_live=lambda _: True),
        lambda store: store.intend(ATTEMPT, "undo_run", origin=ANNA, max_live=1),
    ],
    ids=["standing", "attempt", "live", "admit", "intend"],
)
def test_a_word_of_a_newer_ferry_stops_everything_and_says_to_upgrade(store, changed, words, ask):
    write_newer(store, **changed)
    with pytest.raises(LedgerError, match="a newer Ferry") as told:
        ask(store)
    assert words in told.value.message
    assert "Upgrade this installation" in told.value.message
    assert "fenergo batch clients-1" in told.value.message
    assert "by hand" not in told.value.message


def test_the_list_of_batches_says_so_too(store):
    write_newer(store, **NEWER[0][0])
    with pytest.raises(LedgerError, match=r"verdict 'merged'.*a newer Ferry.*Upgrade this installation"):
        store.batches()


@pytest.mark.parametrize(("changed", "words"), NEWER)
def test_verify_does_not_call_a_word_of_a_newer_ferry_an_alteration(store, changed, words):
    write_newer(store, **changed)
    (fault,) = store.verify()
    assert words in fault.what
    assert "a newer Ferry" in fault.what
    assert "altered" not in fault.what


def test_an_unknown_word_with_another_hash_is_an_alteration(store):
    write_newer(store)
    with store.database.writing() as connection:
        for statement in (
            ["ALTER TABLE ferry_ledger DISABLE TRIGGER USER"]
            if store.database.is_postgres
            else ["DROP TRIGGER ferry_ledger_no_update"]
        ):
            connection.exec_driver_sql(statement)
        connection.execute(text("UPDATE ferry_ledger SET state = 'paused' WHERE seq = 3"))
    assert "altered" in store.verify()[0].what
    with pytest.raises(LedgerError, match="changed it by hand"):
        store.standing(*BATCH)


def test_a_new_kind_of_entry_needs_a_migration_and_so_a_version_that_older_ones_refuse(store):
    with pytest.raises(LedgerError, match=r"CHECK|check constraint"):
        write_newer(store, kind="rumour")
