"""A ledger that was dumped and restored is the same ledger: every row, every chain, every guard. By the commands of the page."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import literal_column, make_url, select
from sqlalchemy.exc import DBAPIError

import ferry.ledger.command
from ferry.core.errors import LedgerConflict
from ferry.core.model import Attempt, RunState
from ferry.ledger.entries import START, Draft, Kind, Origin, Verdict
from ferry.ledger.evidence import EvidenceStore
from ferry.ledger.schema import LEDGER
from ferry.ledger.store import LedgerStore
from scripts import postgres

PAGE = Path(__file__).resolve().parents[2] / "docs" / "running.md"
ANNA = Origin("migrate_fenergo", "clients.1", "task", 1, "anna")
PLACE = ("fenergo", "api.example.com")
ENTRIES = 400
GUARDED = (
    "UPDATE ferry_ledger SET word = 'x' WHERE seq = 1",
    "DELETE FROM ferry_ledger WHERE seq = 1",
    "TRUNCATE ferry_ledger",
)


def commands(program):
    """The lines of the page that begin with that program, as people are to type them."""
    lines = [line.strip() for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    return [line for line in lines if line.startswith(f"{program} ")]


def statements(name):
    """What the page has under that name: the role which may read and nothing else, the query for the heads."""
    block = PAGE.read_text(encoding="utf-8").partition(f"```sql\n-- {name}\n")[2].partition("```")[0]
    return [statement.strip() for statement in block.split(";") if statement.strip()]


class Servers:
    """The programs that dump and restore, pointed at the throw-away server instead of a real one."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.programs = postgres.binaries()

    def run(self, line, names, user):
        words = [names.get(word, word) for word in shlex.split(line)]
        words = [
            option + "=" + names.get(value, value) if value else option for option, _, value in (w.partition("=") for w in words)
        ]
        program = self.programs / words[0] if self.programs and (self.programs / words[0]).exists() else shutil.which(words[0])
        host = make_url(self.server.url("postgres")).query["host"]
        # An empty service file and password file: nobody's own settings may decide what this test talks to.
        env = {
            "PATH": os.environ["PATH"],
            "PGHOST": host,
            "PGUSER": user,
            "PGPASSFILE": "/dev/null",
            "PGSERVICEFILE": "/dev/null",
        }
        done = subprocess.run([str(program), *words[1:]], env=env, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.fixture(scope="module")
def servers(postgres_server, tmp_path_factory):
    found = Servers(postgres_server, tmp_path_factory.mktemp("dump"))
    if not (found.programs / "pg_dump").exists() and not shutil.which("pg_dump"):
        missing = "pg_dump is neither beside the server's programs nor on PATH."
        (pytest.fail if os.environ.get("FERRY_REQUIRE_POSTGRES") else pytest.skip)(missing)
    return found


def write(store):
    """A ledger with every kind of entry, every verdict, every state, and text that is hard to quote."""
    store.migrate()
    for number, verdict in enumerate(Verdict):
        attempt = store.admit(*PLACE, f"clients-{number}", "a" * 64, ANNA, is_live=bool, data={"title": "Łódź 'x'; --"}).attempt
        store.intend(attempt, START, origin=ANNA, key=f"part-{number}")
        for kind in (Kind.RESULT, Kind.LOOK, Kind.ADOPTED, Kind.ASKED, Kind.WAIVED):
            facts = {"word": "In\nprogress", "counts": {"done": 10**12}, "note": 'a "quoted"\ttab, \\N and \\. at the end'}
            store.append(Draft(attempt=attempt, step="await_run", kind=kind, origin=ANNA, key=kind, **facts))
        for state in RunState:
            store.append(Draft(attempt=attempt, step="await_run", kind=Kind.LOOK, origin=ANNA, state=state))
        store.append(Draft(attempt=attempt, step="settle_batch", kind=Kind.VERDICT, origin=ANNA, verdict=verdict))
    while True:
        many = store.admit(*PLACE, f"many-{len(rows(store))}", "b" * 64, ANNA, is_live=bool).attempt
        if len(rows(store)) >= ENTRIES:
            return many
        for _ in range(50):
            store.append(Draft(attempt=many, step="await_run", kind=Kind.LOOK, origin=ANNA, word="Processing", data={"looks": 1}))


def rows(store):
    with store.database.reading() as connection:
        return [tuple(row) for row in connection.execute(LEDGER.select().order_by(LEDGER.c.batch_id, LEDGER.c.seq))]


@pytest.fixture(scope="module")
def restored(servers):
    """The ledger, the one that was restored from its dump, and the heads that were remembered after the dump."""
    source = LedgerStore(servers.server.empty())
    newest = write(source)
    name, copy = make_url(source.database.url).database, f"{make_url(source.database.url).database}_restored"
    for statement in statements("ledger_backup"):
        _in(source, statement.replace("DATABASE ledger", f"DATABASE {name}"))
    names = {"ledger": name, "ledger_restored": copy, "ledger.dump": str(servers.folder / "ledger.dump")}
    (dump,), (create,), (restore,) = commands("pg_dump"), commands("createdb"), commands("pg_restore")
    servers.run(dump, names, "ledger_backup")
    source.append(Draft(attempt=newest, step="await_run", kind=Kind.LOOK, origin=ANNA, word="after the dump"))
    heads = servers.folder / "heads.json"
    (query,) = statements("ledger_heads")
    with source.database.reading() as connection:
        heads.write_text(json.dumps(connection.exec_driver_sql(query).scalar_one()), encoding="utf-8")
    assert verify(source, servers.folder, "--heads", str(heads)) == 0
    servers.run(create, names, postgres.USER)
    servers.run(restore, names, postgres.USER)
    return source, LedgerStore(servers.server.url(copy)), heads


def _in(store, statement):
    with store.database.writing() as connection:
        connection.exec_driver_sql(statement)


def verify(store, folder, *options):
    url = store.database.url.render_as_string(hide_password=False)
    evidence = EvidenceStore(str(folder / "evidence"))
    return ferry.ledger.command.verify(["--ledger", url, *options], lambda: (store, evidence))


def test_every_row_comes_back_as_it_was(restored):
    source, copy, _ = restored
    before = [row for row in rows(source) if "after the dump" not in row]
    assert len(before) >= ENTRIES
    assert rows(copy) == before
    assert copy.verify() == []


def test_the_restored_ledger_is_still_append_only(restored):
    _, copy, _ = restored
    for statement in GUARDED:
        with pytest.raises(DBAPIError, match="append-only"), copy.database.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    names = [column.name for column in LEDGER.c]
    wrong = {"seq": "seq + 1000", "entry_hash": "repeat('f', 64)"}
    out_of_turn = select(*(literal_column(wrong.get(name, name)) for name in names)).select_from(LEDGER).limit(1)
    with pytest.raises(DBAPIError, match="chain"), copy.database.engine.begin() as connection:
        connection.execute(LEDGER.insert().from_select(names, out_of_turn))


def test_what_was_intended_before_the_dump_cannot_be_intended_again(restored):
    _, copy, _ = restored
    attempt = Attempt(*PLACE, "clients-3", 1)  # unknown: left open
    assert not copy.intend(attempt, START, origin=ANNA, key="part-3").fresh
    again = "INSERT INTO ferry_ledger SELECT * FROM ferry_ledger WHERE batch_id = 'clients-3' AND seq = 2"
    with pytest.raises(LedgerConflict), copy.database.writing() as connection:
        connection.exec_driver_sql(again)


def test_the_restored_ledger_goes_on(restored):
    _, copy, _ = restored
    attempt = copy.admit(*PLACE, "new", "c" * 64, ANNA, is_live=bool).attempt
    assert copy.intend(attempt, START, origin=ANNA).fresh
    assert copy.verify() == []


def test_remembered_heads_name_what_is_missing_since_the_dump(restored, servers, capsys):
    """This is how a migration lead learns which batches moved on after the backup: only they are in danger."""
    source, copy, heads = restored
    moved = next(row for row in rows(source) if "after the dump" in row)
    capsys.readouterr()
    assert verify(copy, servers.folder, "--heads", str(heads)) == 1
    faults = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAULT")]
    assert len(faults) == 1
    assert f"batch {moved[2]} " in faults[0]
    assert "is gone or another" in faults[0]


def test_what_began_after_the_dump_is_known_to_the_evidence_store_alone(restored, tmp_path):
    """The ledger itself would let it be sent again; the word that every step leaves before it sends keeps it from that."""
    source, copy, _ = restored
    later = source.admit(*PLACE, "later", "d" * 64, ANNA, is_live=bool).attempt
    sent = source.intend(later, START, origin=ANNA)
    EvidenceStore(tmp_path / "evidence").file_intent(sent.entry)
    assert copy.admit(*PLACE, "later", "d" * 64, ANNA, is_live=bool).kind == "opened"
    assert copy.intend(later, START, origin=ANNA).fresh
    (word,) = copy.forgotten(EvidenceStore(tmp_path / "evidence"), *PLACE, "later")
    assert word.entry_hash == sent.entry.entry_hash
