from __future__ import annotations

import sqlite3
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from ferry.core.errors import LedgerConflict, LedgerError
from ferry.core.model import Attempt, RunState
from ferry.ledger import database, schema
from ferry.ledger.entries import Draft, Kind, LedgerFull, NotHolder, Origin, Verdict
from ferry.ledger.store import LedgerStore

BATCH = ("fenergo", "api.example.com", "clients-1")
FIRST = Attempt(*BATCH, 1)
ANNA = Origin("migrate_fenergo", "clients-1.1", "start_run", 2, "anna")


def look(word: str = "Processing", **facts: Any) -> Draft:
    return Draft(attempt=FIRST, step="await_run", kind=Kind.LOOK, origin=ANNA, word=word, **facts)


@pytest.fixture
def opened(store: LedgerStore) -> LedgerStore:
    store.admit(*BATCH, "a" * 64, ANNA, is_live=lambda _: True)
    return store


def test_an_entry_comes_back_as_it_was_written(opened):
    written = opened.append(
        look(state=RunState.RUNNING, counts={"done": 3}, ref="r-1", key="clients", data={"a": [1, 2.5, None]}, note="ü – 好")
    )
    assert opened.of_batch(*BATCH)[-1] == written
    assert (written.seq, written.input_hash, written.prev_hash) == (2, "a" * 64, opened.of_batch(*BATCH)[0].entry_hash)


def test_who_has_a_ref_is_told_by_step_and_environment(opened):
    opened.append(Draft(attempt=FIRST, step="start_run", kind=Kind.RESULT, origin=ANNA, ref="r-1", state=RunState.QUEUED))
    opened.append(look(ref="r-2"))
    assert opened.who_has(*BATCH[:2], "start_run", "r-1") == [FIRST]
    assert opened.who_has(*BATCH[:2], "start_run", "r-2") == []
    assert opened.who_has("fenergo", "elsewhere", "start_run", "r-1") == []


def test_what_a_database_or_json_cannot_hold_never_loses_an_entry(opened):
    odd = look("Fa\0il\ud800ed", data={"nan": float("nan"), 1: {2}, "path": Path("/x")}, counts={"n": True})
    written = opened.append(odd)
    assert opened.of_batch(*BATCH)[-1] == written
    assert written.word == "Fa\ufffdil?ed"
    assert written.data == {"nan": "nan", "1": [2], "path": "/x"}


def test_secrets_are_hidden_before_they_are_stored(opened):
    note = "see https://blob.example/f.csv?X-Amz-Signature=abc123 with Bearer abcdefghijkl"
    entry = opened.append(look(note, note=note, data={"otp": "123456", "deep": [{"access_token": "zzz"}]}))
    stored = str(entry.to_json())
    assert all(secret not in stored for secret in ("abc123", "abcdefghijkl", "123456", "zzz"))


def test_whoever_expects_an_older_ledger_is_told(opened):
    opened.append(look())
    with pytest.raises(LedgerConflict, match="expected entry 1 to be the newest and found 2"):
        opened.append(look(), after=1)


def test_an_attempt_that_nobody_opened_takes_no_entries(store):
    with pytest.raises(LedgerError, match="never opened"):
        store.append(look())
    with pytest.raises(LedgerError, match="never opened"):
        store.attempt(FIRST)


def test_an_entry_about_another_input_is_refused(opened):
    with pytest.raises(LedgerError, match="the files changed on the way"):
        opened.append(look(input_hash="b" * 64))


def test_the_database_itself_refuses_to_change_or_delete(opened):
    truncate = ["TRUNCATE ferry_ledger"] if opened.database.is_postgres else []
    for statement in ["UPDATE ferry_ledger SET word = 'x'", "DELETE FROM ferry_ledger", *truncate]:
        with pytest.raises(LedgerConflict, match="append-only"), opened.database.writing() as connection:
            connection.execute(text(statement))


def test_the_database_itself_refuses_an_entry_out_of_its_place(opened):
    row = schema.to_row(opened.append(look()))
    for wrong in ({"seq": 9}, {"seq": 3, "prev_hash": "f" * 64}, {"seq": 0}):
        with pytest.raises(LedgerConflict), opened.database.writing() as connection:
            connection.execute(schema.LEDGER.insert().values(row | {"entry_hash": "e" * 64} | wrong))


@pytest.mark.parametrize("index", ["one_opening", "one_intent"])
def test_the_database_itself_refuses_a_second_opening_and_a_second_intent(opened, index):
    entry = opened.intend(FIRST, "start_run", origin=ANNA).entry if index == "one_intent" else opened.of_batch(*BATCH)[0]
    newest = opened.of_batch(*BATCH)[-1]
    row = schema.to_row(entry) | {"seq": newest.seq + 1, "prev_hash": newest.entry_hash, "entry_hash": "e" * 64}
    with pytest.raises(LedgerConflict), opened.database.writing() as connection:
        connection.execute(schema.LEDGER.insert().values(row))
    with pytest.raises(LedgerConflict):
        opened.append(Draft(attempt=FIRST, step=entry.step, kind=Kind.INTENT, origin=ANNA))


def test_only_the_first_intent_is_fresh(opened):
    first = opened.intend(FIRST, "start_run", origin=ANNA, ref="r-1", data={"files": 2})
    again = opened.intend(FIRST, "start_run", origin=ANNA)
    assert (first.fresh, first.is_ambiguous, first.entry.data) == (True, False, {"files": 2})
    assert (again.fresh, again.is_ambiguous, again.entry) == (False, True, first.entry)
    other_part = opened.intend(FIRST, "start_run", origin=ANNA, key="products")
    assert other_part.fresh


def test_a_task_that_died_after_sending_finds_its_intent_and_later_the_result(opened):
    opened.intend(FIRST, "start_run", origin=ANNA)
    reborn = LedgerStore(opened.database.url.render_as_string(hide_password=False))
    assert reborn.intend(FIRST, "start_run", origin=ANNA).is_ambiguous
    assert reborn.attempt(FIRST).started
    assert not reborn.attempt(FIRST).start_known
    found = reborn.append(
        Draft(attempt=FIRST, step="start_run", kind=Kind.ADOPTED, origin=ANNA, ref="r-7", state=RunState.RUNNING)
    )
    assert reborn.intend(FIRST, "start_run", origin=ANNA).result == found
    assert (reborn.attempt(FIRST).start_known, reborn.attempt(FIRST).ref) == (True, "r-7")


def test_a_dag_run_that_lost_the_attempt_can_send_nothing_any_more(opened):
    opened.admit(*BATCH, "a" * 64, Origin("migrate_fenergo", "second"), is_live=lambda _: False)
    with pytest.raises(NotHolder, match="held by DAG run second"):
        opened.intend(FIRST, "start_run", origin=ANNA)
    opened.settle(FIRST, Verdict.ABANDONED, ANNA)
    with pytest.raises(NotHolder, match="it is abandoned"):
        opened.intend(FIRST, "start_run", origin=Origin("migrate_fenergo", "second"))


def start(store: LedgerStore, batch_id: str, max_live: int = 1) -> Attempt:
    origin = Origin("migrate_fenergo", batch_id)
    attempt = store.admit("fenergo", "api.example.com", batch_id, "a" * 64, origin, is_live=lambda _: True).attempt
    assert store.intend(attempt, "start_run", origin=origin, max_live=max_live).fresh
    return attempt


def test_a_full_environment_makes_the_next_one_wait_and_names_who_is_live(store):
    first = start(store, "one")
    with pytest.raises(LedgerFull, match=r"1 of at most 1 vendor runs are live at api\.example\.com: one attempt 1") as full:
        start(store, "two")
    assert full.value.retry_later
    assert full.value.facts["holders"] == [first.key]
    store.append(Draft(attempt=first, step="await_run", kind=Kind.LOOK, origin=ANNA, state=RunState.FAILED_CLEAN))
    start(store, "two")


@pytest.mark.parametrize("verdict", Verdict)
def test_a_place_is_free_again_once_its_attempt_is_closed(store, verdict):
    store.settle(start(store, "one"), verdict, ANNA)
    if verdict.closes:
        start(store, "two")
    else:
        with pytest.raises(LedgerFull):
            start(store, "two")


def test_the_parts_of_one_attempt_take_one_place(store):
    attempt = start(store, "one")
    origin = Origin("migrate_fenergo", "one")
    assert store.intend(attempt, "start_run", key="part-2", origin=origin, max_live=1).fresh
    for key in ("", "part-2"):
        store.append(Draft(attempt=attempt, step="start_run", kind=Kind.RESULT, key=key, origin=origin))
    with pytest.raises(LedgerFull):
        start(store, "two")


def parts_of(store, *keys):
    """An attempt of whose start these parts were sent."""
    origin = Origin("migrate_fenergo", "one")
    attempt = store.admit("fenergo", "api.example.com", "one", "a" * 64, origin, is_live=lambda _: True).attempt
    for key in keys:
        assert store.intend(attempt, "start_run", key=key, origin=origin, max_parts=len(keys)).fresh
    return attempt, origin


def test_so_many_parts_of_an_attempt_may_be_unanswered_at_once(store):
    attempt, origin = parts_of(store, "a", "b")
    assert store.live_parts(attempt) == 2
    with pytest.raises(LedgerFull, match=r"must wait with c: 2 of at most 2 of its parts are under way") as full:
        store.intend(attempt, "mend_run", key="c", origin=origin, max_parts=2)
    assert full.value.retry_later
    assert not store.intend(attempt, "start_run", key="a", origin=origin, max_parts=2).fresh, "who was sent asks for no room"


@pytest.mark.parametrize("kind", [Kind.RESULT, Kind.ADOPTED, Kind.ASKED])
def test_a_part_that_is_answered_or_left_to_a_person_makes_room(store, kind):
    attempt, origin = parts_of(store, "a", "b")
    store.append(Draft(attempt=attempt, step="start_run", kind=kind, key="b", origin=origin))
    assert store.live_parts(attempt) == 1
    assert store.intend(attempt, "start_run", key="c", origin=origin, max_parts=2).fresh


def test_an_attempt_may_be_read_for_some_of_its_parts(store):
    attempt, origin = parts_of(store, "a", "a2", "b%", "c_d")
    for key in ("a", "a2", "b%", "c_d"):
        store.append(
            Draft(attempt=attempt, step="start_run", kind=Kind.RESULT, key=key, origin=origin, state=RunState.FAILED_CLEAN)
        )
    store.intend(attempt, "start_run", key="a~2", origin=origin)
    store.append(Draft(attempt=attempt, step="check_batch", kind=Kind.RESULT, key="mapping", origin=origin))
    store.append(Draft(attempt=attempt, step="await_run", kind=Kind.RESULT, origin=origin))
    read = lambda *parts: [(e.step, e.key) for e in store.attempt(attempt, parts).entries]  # noqa: E731
    rest = [("check_batch", "mapping"), ("await_run", "")]
    opening = ("admit_batch", "")
    assert read("a") == [opening, ("start_run", "a"), ("start_run", "a"), ("start_run", "a~2"), *rest]
    assert read("b%", "a2") == [opening, *[("start_run", key) for key in ("a2", "b%", "a2", "b%")], *rest]
    assert read("nobody") == [opening, *rest]
    assert len(read()) == 12


def test_a_look_at_a_part_and_the_answer_to_another_make_no_room(store):
    attempt, origin = parts_of(store, "a")
    store.append(Draft(attempt=attempt, step="start_run", kind=Kind.LOOK, key="a", origin=origin))
    store.append(Draft(attempt=attempt, step="undo_run", kind=Kind.RESULT, key="a", origin=origin))
    with pytest.raises(LedgerFull):
        store.intend(attempt, "start_run", key="b", origin=origin, max_parts=1)


def test_a_part_that_nobody_watches_any_more_takes_no_place_for_ever(store):
    attempt, origin = parts_of(store, "a")
    assert store.live_parts(attempt, part_seconds=600) == 1
    assert store.live_parts(attempt, part_seconds=0) == 0
    assert store.intend(attempt, "start_run", key="b", origin=origin, max_parts=1, part_seconds=0).fresh


def test_the_parts_of_other_attempts_do_not_count(store):
    parts_of(store, "a", "b")
    other = start(store, "two", max_live=9)
    assert store.live_parts(other) == 1


def test_a_start_that_came_to_nothing_gave_its_place_back_and_queues_again(store):
    first, origin = start(store, "one"), Origin("migrate_fenergo", "one")
    no = {"step": "start_run", "kind": Kind.RESULT, "origin": origin, "state": RunState.FAILED_CLEAN}
    store.append(Draft(attempt=first, **no))
    second = start(store, "two")
    with pytest.raises(LedgerFull):
        store.intend(first, "start_run", key="~2", origin=origin, max_live=1)
    store.append(Draft(attempt=second, **no))
    assert store.intend(first, "start_run", key="~2", origin=origin, max_live=1).fresh


def test_another_environment_has_its_own_places(store):
    start(store, "one")
    origin = Origin("migrate_fenergo", "x")
    attempt = store.admit("fenergo", "other.example.com", "one", "a" * 64, origin, is_live=lambda _: True).attempt
    assert store.intend(attempt, "start_run", origin=origin, max_live=1).fresh


def test_batches_are_listed_newest_first_with_the_verdict_of_their_newest_attempt(store):
    for batch_id in ("one", "two", "three"):
        start(store, batch_id, max_live=9)
    store.settle(Attempt("fenergo", "api.example.com", "one", 1), Verdict.BALANCED, ANNA, counts={"sent": 5, "accepted": 5})
    store.settle(Attempt("fenergo", "api.example.com", "two", 1), Verdict.REFUSED, ANNA)
    again = store.admit("fenergo", "api.example.com", "two", "b" * 64, ANNA, is_live=lambda _: False).attempt
    rows = store.batches()
    assert [(row.batch_id, row.attempts, row.verdict) for row in rows] == [
        ("two", 2, None),
        ("one", 1, Verdict.BALANCED),
        ("three", 1, None),
    ]
    assert (rows[0].attempt, rows[0].input_hash, rows[0].entries) == (again, "b" * 64, 4)
    assert (rows[1].counts.sent, rows[1].is_open) == (5, False)
    assert [row.batch_id for row in store.batches(verdict="none")] == ["two", "three"]
    assert [row.batch_id for row in store.batches("fenergo", verdict=Verdict.BALANCED)] == ["one"]
    assert [row.batch_id for row in store.batches(limit=1, offset=1)] == ["one"]
    assert store.batches("domo") == []
    assert store.vendors() == ["fenergo"]


def test_a_new_database_is_prepared_once_and_left_alone_afterwards(empty_url):
    store = LedgerStore(empty_url)
    with pytest.raises(LedgerError, match="could not be read"):
        store.batches()
    store.migrate()
    store.migrate()
    assert store.batches() == []
    with store.database.reading() as connection:
        columns = {column["name"] for column in inspect(connection).get_columns("ferry_ledger")}
    assert columns == set(schema.LEDGER.c.keys())
    store.database.engine.dispose()


def test_the_code_is_written_for_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_a_database_of_a_newer_ferry_is_left_alone(store):
    with store.database.writing() as connection:
        connection.execute(text("UPDATE ferry_alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="a newer Ferry has used it"):
        store.migrate()


def test_an_intent_on_sqlite_survives_a_power_cut(sqlite_store):
    with sqlite_store.database.writing() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == 2
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA busy_timeout")) == 30_000


def test_a_busy_ledger_says_so(sqlite_store, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    other = sqlite3.connect(sqlite_store.database.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match=r"locked.*Other writers kept it busy"):
        sqlite_store.admit(*BATCH, "a" * 64, ANNA, is_live=lambda _: True)
    other.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:hunter2@h/db", "cannot live in 'mysql'"),
        ("sqlite://", "cannot live in 'sqlite'"),
        ("postgresql+asyncpg://u:hunter2@h/db", "cannot live in"),
        ("://hunter2", "no database URL"),
        ("postgresql://u:hunter2@127.0.0.1:1/db", "Check that the database is up"),
        ("sqlite:////proc/nowhere/ledger.db", "Check the folder"),
    ],
)
def test_a_ledger_that_cannot_be_reached_says_what_to_do_and_no_password(url, message):
    with pytest.raises(LedgerError, match=message) as trouble:
        LedgerStore(url).migrate()
    assert "hunter2" not in str(trouble.value)
    assert trouble.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_way_to_say_postgresql_gets_the_installed_driver(scheme):
    assert database.parse(f"{scheme}://u@h/db").drivername == "postgresql+psycopg2"


def test_sixteen_processes_prepare_one_database_together(empty_url, crew):
    assert crew.all_do("migrate", url=empty_url) == ["migrated"] * 16


def test_eight_processes_append_without_losing_or_doubling_one(opened, crew):
    numbers = crew.all_do("append", members=8, url=url_of(opened), attempt=FIRST.key, times=50)
    assert sorted(chain.from_iterable(numbers)) == list(range(2, 402))
    assert len(opened.of_batch(*BATCH)) == 401
    assert opened.verify() == []


def test_one_of_sixteen_dag_runs_is_admitted(store, crew):
    answers = crew.all_do("admit", url=url_of(store), vendor="domo", environment="d.example.com", batch_id="b")
    assert sorted(kind for kind, _ in answers) == ["held"] * 15 + ["opened"]
    assert {number for _, number in answers} == {1}


def test_one_of_sixteen_tries_may_start(opened, crew):
    assert (
        sorted(crew.all_do("intend", url=url_of(opened), attempt=FIRST.key, dag_id=ANNA.dag_id, run_id=ANNA.run_id)) == ONE_OF_16
    )


def test_sixteen_processes_never_have_more_live_runs_than_allowed(store, crew):
    def own(number: int) -> str:
        return Attempt("dmm", "d.example.com", f"batch-{number}", 1).key

    seen = list(chain.from_iterable(crew.all_do("start", url=url_of(store), attempt=own, max_live=3, rounds=40)))
    assert seen
    assert max(seen) <= 3
    assert store.live("dmm", "d.example.com") == []


def test_what_was_acknowledged_before_a_kill_is_there_and_the_chain_is_whole(opened):
    command = [sys.executable, str(Path(__file__).with_name("writers.py")), url_of(opened), FIRST.key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        acknowledged = [int(writer.stdout.readline()) for _ in range(25)]
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert [entry.seq for entry in opened.of_batch(*BATCH)][: len(acknowledged) + 1] == [1, *acknowledged]
    assert opened.verify() == []
    assert opened.append(look()).seq >= acknowledged[-1] + 1


def test_a_forked_child_does_not_talk_on_its_parents_connections(opened):
    program = """
import os, sys
from ferry.core.model import Attempt
from ferry.ledger.store import LedgerStore
store, first = LedgerStore(sys.argv[1]), Attempt.parse(sys.argv[2])
store.attempt(first)
children = [os.fork() for _ in range(1)]
if children == [0]:
    for _ in range(20):
        store.attempt(first)
    os._exit(0)
for _ in range(20):
    store.attempt(first)
assert os.waitpid(children[0], 0)[1] == 0
store.attempt(first)
"""
    done = subprocess.run([sys.executable, "-c", program, url_of(opened), FIRST.key], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


ONE_OF_16 = [False] * 15 + [True]


def url_of(store: LedgerStore) -> str:
    return store.database.url.render_as_string(hide_password=False)
