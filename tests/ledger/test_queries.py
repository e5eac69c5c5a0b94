"""The queries of docs/running.md run as they stand there, on both databases, and find what they are for and nothing else."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from ferry.core.model import RunState
from ferry.ledger.entries import START, Draft, Kind, Origin, Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "running.md"
QUERIES = dict(re.findall(r"```sql\n-- (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
NOT_QUERIES = {"ledger_backup"}
ONLY_POSTGRESQL = {"ledger_size", "ledger_heads"}
ANNA = Origin("migrate_fenergo", "run-1", "task", 1, "anna")
FENERGO, ANON = ("fenergo", "api.example.com"), ("anon", "app.example.com")


class Made:
    """A ledger in which every way to stand is found once."""

    def __init__(self, store):
        self.store = store
        self.opened("never-started")
        self.balanced("done")
        self.judged("refused", Verdict.REFUSED)
        self.judged("unbalanced", Verdict.UNBALANCED)
        self.judged("undone", Verdict.UNDONE)
        self.intended("no-answer")
        self.intended("no-answer-but-closed", Verdict.ABANDONED)
        self.started("running")
        attempt = self.intended("asked")
        self.write(attempt, "confirm_start", Kind.ASKED)
        answered = self.started("answered")
        self.write(answered, "approve", Kind.ASKED)
        self.write(answered, "approve", Kind.RESULT)
        seen = self.opened("m-1", ANON)
        self.write(seen, "find_run", Kind.ADOPTED, state=RunState.WAITING_FOR_PERSON, ref="m-1")
        self.write(seen, "await_run", Kind.LOOK, note="told")
        back = self.opened("m-2", ANON)
        self.write(back, "find_run", Kind.ADOPTED, state=RunState.WAITING_FOR_PERSON, ref="m-2")
        self.write(back, "await_run", Kind.LOOK, state=RunState.RUNNING, ref="m-2")
        parts = self.opened("parts")
        self.store.intend(parts, START, origin=ANNA, key="a")
        self.store.intend(parts, START, origin=ANNA, key="b")
        self.write(parts, START, Kind.RESULT, key="a", state=RunState.SUCCEEDED)
        second = self.judged("second-try", Verdict.REFUSED)
        self.store.admit(*FENERGO, "second-try", "b" * 64, ANNA, is_live=bool)
        assert second.number == 1

    def opened(self, batch_id, place=FENERGO):
        return self.store.admit(*place, batch_id, "a" * 64, ANNA, is_live=bool).attempt

    def intended(self, batch_id, verdict=None):
        attempt = self.opened(batch_id)
        self.store.intend(attempt, START, origin=ANNA, ref=f"r-{batch_id}")
        if verdict:
            self.write(attempt, "settle_batch", Kind.VERDICT, verdict=verdict)
        return attempt

    def started(self, batch_id):
        attempt = self.intended(batch_id)
        self.write(attempt, START, Kind.RESULT, state=RunState.QUEUED, ref=f"r-{batch_id}")
        return attempt

    def balanced(self, batch_id):
        return self.judged(batch_id, Verdict.BALANCED)

    def judged(self, batch_id, verdict):
        attempt = self.started(batch_id)
        self.write(attempt, "await_run", Kind.RESULT, state=RunState.SUCCEEDED, ref=f"r-{batch_id}")
        self.write(attempt, "settle_batch", Kind.VERDICT, verdict=verdict)
        return attempt

    def write(self, attempt, step, kind, **facts):
        return self.store.append(Draft(attempt=attempt, step=step, kind=kind, origin=ANNA, **facts))

    def ask(self, name, before=None):
        """What the query of that name answers, as dictionaries."""
        moment = (before or datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="microseconds")
        values = {"before": moment} if ":before" in QUERIES[name] else {}
        with self.store.database.reading() as connection:
            return [dict(row) for row in connection.execute(text(QUERIES[name].strip().removesuffix(";")), values).mappings()]


@pytest.fixture
def made(store):
    return Made(store)


def test_the_page_has_the_queries_that_are_tested_here():
    tested = {"open_batches", "starts_without_an_answer", "waiting_for_a_person", "last_entry", "live_runs", "verdicts_by_day"}
    assert set(QUERIES) == tested | ONLY_POSTGRESQL | NOT_QUERIES


def test_open_batches_are_those_that_the_ledger_calls_open(made):
    found = {(row["vendor"], row["batch_id"]): row["verdict"] for row in made.ask("open_batches")}
    expected = {(row.vendor, row.batch_id): row.verdict for row in made.store.batches(limit=1000) if row.is_open}
    assert found == expected
    assert ("fenergo", "done") not in found
    assert ("fenergo", "undone") not in found
    assert found["fenergo", "second-try"] is None


def test_a_start_without_an_answer_is_found_until_somebody_has_closed_it(made):
    found = [(row["batch_id"], row["key"]) for row in made.ask("starts_without_an_answer")]
    assert sorted(found) == [("asked", ""), ("no-answer", ""), ("parts", "b")]
    assert made.ask("starts_without_an_answer", before=datetime.now(UTC) - timedelta(hours=1)) == []


def test_questions_without_an_answer_and_migrations_that_wait_for_their_person_are_found(made):
    found = [(row["vendor"], row["batch_id"]) for row in made.ask("waiting_for_a_person")]
    assert sorted(found) == [("anon", "m-1"), ("fenergo", "asked")]
    assert made.ask("waiting_for_a_person", before=datetime.now(UTC) - timedelta(hours=1)) == []


def test_the_last_entry_of_each_vendor_tells_when_it_last_moved(made):
    found = {row["vendor"]: row for row in made.ask("last_entry")}
    assert set(found) == {"anon", "fenergo"}
    now = datetime.now(UTC)
    assert all(now - timedelta(minutes=5) < datetime.fromisoformat(row["last_at"]) <= now for row in found.values())
    with made.store.database.reading() as connection:
        assert sum(row["entries"] for row in found.values()) == connection.scalar(text("SELECT count(*) FROM ferry_ledger"))


def test_live_runs_are_those_that_hold_a_place(made):
    found = {row["batch_id"] for row in made.ask("live_runs")}
    held = {one.attempt.batch_id for one in made.store.live(*FENERGO)}
    assert held <= found, "the query may name a run too many, whose end the ledger knows and which nobody has settled"
    assert found - held <= {"unbalanced"}
    assert {"done", "refused", "undone", "never-started", "no-answer-but-closed"}.isdisjoint(found)


def test_verdicts_are_counted_by_day(made):
    found = made.ask("verdicts_by_day")
    assert {row["verdict"]: row["batches"] for row in found if row["vendor"] == "fenergo"} == {
        "balanced": 1,
        "refused": 2,
        "unbalanced": 1,
        "undone": 1,
        "abandoned": 1,
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["day"]) for row in found)


def test_the_size_of_the_ledger_is_told_where_it_is_postgresql(made):
    if not made.store.database.is_postgres:
        assert QUERIES["ledger_size"].count("pg_") == 1
        return
    (row,) = made.ask("ledger_size")
    assert row["entries"] > 0
    assert 200 < row["bytes_per_entry"] < 100_000
