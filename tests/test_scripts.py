"""The workbench: processes that never outlive their stack, the demo's judgement, and messages that help."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ferry.core.model import Attempt, Counts, RunState
from ferry.ledger.entries import Draft, Kind, Origin, Verdict
from ferry.ledger.store import LedgerStore
from scripts.add_vendor import BadName, add, checked, tidy
from scripts.docs import deeper
from scripts.environment import ferry_environment, free_ports, write_private
from scripts.outcome import NUMBERS, outcome_of, problems, standing_of, table_of, write_json
from scripts.people import deeds
from scripts.processes import MARK, Service, marked, sweep
from scripts.progress import Progress, Row, row_of, steps_of
from scripts.rehearsal import (
    DemoBatch,
    DemoError,
    Expectation,
    Holding,
    Rehearsal,
    copy_to,
    demo_batches,
    differences,
    started_twice,
)
from scripts.trouble import errors_in

ROOT = Path(__file__).resolve().parent.parent
PARENT_AND_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
sys.stdin.read() or child.wait()
"""


def wait_until(condition, seconds=20):
    """Waiting for another process's output; there is no event to wait on."""
    deadline = datetime.now(UTC).timestamp() + seconds
    while not (value := condition()):
        assert datetime.now(UTC).timestamp() < deadline, "it never happened"
        os.sched_yield()
    return value


@pytest.fixture
def family(tmp_path):
    """A service with a child in a session of its own, as a task of Airflow's is."""
    mark = f"test-{tmp_path.name}-{os.getpid()}"
    service = Service("family", [sys.executable, "-c", PARENT_AND_CHILD], {**os.environ, MARK: mark}, tmp_path / "log", tmp_path)
    service.start()
    try:
        told = wait_until(lambda: [line for line in service.last_lines() if line.startswith("child ")])
        yield service, int(told[-1].removeprefix("child ")), mark
    finally:
        service.kill()
        sweep(mark)


# Processes


def test_a_killed_service_takes_its_children_along(family):
    service, child, mark = family
    service.kill()
    assert not service.alive
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert list(marked(mark)) == []


def test_a_stopped_service_ends_and_can_be_started_again(family):
    service, _, mark = family
    first = service.pid
    service.stop()
    assert list(marked(mark)) == []
    service.start()
    assert service.alive
    assert service.pid != first


def test_the_sweep_finds_children_whose_parent_is_gone(family):
    service, child, mark = family
    os.kill(service.pid, signal.SIGKILL)
    wait_until(lambda: not service.alive)
    assert [process.pid for process in marked(mark)] == [child]
    sweep(mark)
    assert list(marked(mark)) == []


def test_a_frozen_service_runs_again_when_it_is_thawed(family):
    service, child, _ = family
    service.freeze()
    wait_until(lambda: psutil.Process(child).status() == psutil.STATUS_STOPPED)
    service.thaw()
    wait_until(lambda: psutil.Process(child).status() != psutil.STATUS_STOPPED)
    assert service.alive


# Environment


def test_ports_are_free_and_different():
    ports = free_ports(5)
    assert len(set(ports)) == 5


def test_a_vendor_brings_its_sandbox_connections_and_the_caller_may_replace_them(tmp_path):
    own = {"conn_type": "postgres", "host": "db"}
    told = ferry_environment(tmp_path, tmp_path / "batches", "http://127.0.0.1:1", {"ferry_ledger": own})
    assert json.loads(told["AIRFLOW_CONN_FENERGO_DEFAULT"])["host"].startswith("http://127.0.0.1:1/")
    assert json.loads(told["AIRFLOW_CONN_FERRY_LEDGER"]) == own


def test_passwords_are_readable_by_their_owner_only(tmp_path):
    write_private(tmp_path / "passwords.json", {"admin": "x"})
    assert (tmp_path / "passwords.json").stat().st_mode & 0o077 == 0


# Demo batches


@pytest.fixture
def demo_batch(tmp_path):
    folder = tmp_path / "fenergo" / "made-up"
    folder.mkdir(parents=True)
    with (folder / "company.csv").open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([["alternateId", "name", "town"], ["A1", 'Ørsted "Wind", A/S', ""], ["A2", "-Beta", "Łódź"]])
    expected = Expectation(about="x", verdict=Verdict.BALANCED)
    return DemoBatch("fenergo", "made-up", date(2026, 1, 1), "migrate_fenergo", folder, expected)


def holding(batch, **kind):
    expected = batch.expected.model_copy(update=kind)
    return replace(batch, expected=expected)


HELD = Holding(file="company.csv", at="records.Company")
THERE = [
    {"alternateId": "A1", "fenxId": "f1", "name": 'Ørsted "Wind", A/S'},
    {"alternateId": "A2", "name": "-Beta", "town": "Łódź"},
]


def test_a_vendor_that_holds_every_value_has_no_differences(demo_batch):
    assert list(differences(holding(demo_batch, holds=(HELD,)), {"records": {"Company": THERE}})) == []


@pytest.mark.parametrize("there", [THERE[:1], [THERE[0], THERE[1] | {"town": "Lodz"}], []])
def test_a_missing_or_different_record_is_named_by_key_and_not_by_value(demo_batch, there):
    found = list(differences(holding(demo_batch, holds=(HELD,)), {"records": {"Company": there}}))
    assert len(found) == 1
    assert "company.csv" in found[0]
    assert "dź" not in found[0]


def test_records_of_a_refused_batch_must_not_be_at_the_vendor(demo_batch):
    refused = holding(demo_batch, lacks=(HELD,))
    assert list(differences(refused, {"records": {}})) == []
    assert "2 records of company.csv are there" in next(differences(refused, {"records": {"Company": THERE}}))


def test_a_run_that_was_started_twice_is_named():
    told = Rehearsal(runs="migrations")
    assert started_twice(told, {"migrations": [{"id": "m1", "starts": 1}, {"id": "m2", "starts": 2}]}) == ["m2"]
    assert started_twice(Rehearsal(), {"migrations": []}) == []


def test_the_demo_batches_of_the_repository_are_well_formed(tmp_path):
    batches = demo_batches()
    assert {batch.expected.verdict for batch in batches} >= {Verdict.BALANCED, Verdict.REFUSED}
    for batch in batches:
        assert all((batch.folder / held.file).exists() for held in (*batch.expected.holds, *batch.expected.lacks)), batch.name
    copy_to(batches, tmp_path)
    assert len(demo_batches(tmp_path)) == len(batches)


def test_what_people_do_in_the_demo_is_read_from_the_batches():
    done = {(deed.dag_id, deed.run_id): deed for deed in deeds(demo_batches())}
    stop = done["stop_dmm", "orders-stopped.stop_dmm"]
    assert (stop.seen_dag, stop.seen_run, stop.waits) == ("migrate_dmm", "orders-stopped.1", True)
    made = done["migrate_dmm", "customers-imported.1"]
    assert (made.seen_dag, made.seen_run, made.batch_id) == ("export_dmm", "customers-export.1", "customers-imported")
    undone = done["reverse_domo", "shipments-reversed.reverse_domo"]
    assert (undone.seen_run, undone.waits) == ("shipments-reversed.1", False)


def test_a_demo_yaml_with_an_unknown_key_is_refused_by_name(tmp_path):
    folder = tmp_path / "fenergo" / "b"
    folder.mkdir(parents=True)
    (folder / "demo.yaml").write_text("about: x\nverdict: balanced\nverdikt: no\n")
    with pytest.raises(DemoError, match=r"fenergo/b/demo\.yaml.*\n?.*verdikt"):
        demo_batches(tmp_path)


# Outcome and progress, from a real ledger


@pytest.fixture
def ledger(tmp_path):
    store = LedgerStore(str(tmp_path / "ledger.db"))
    store.migrate()
    return store


COUNTERS = {"entityCount": 1200, "failedEntityCount": 0}


def settle(ledger, batch, verdict, counts):
    origin = Origin("migrate_fenergo", f"{batch.batch_id}.1", "settle_batch", 1)
    ledger.admit("fenergo", "example.com", batch.batch_id, "0" * 64, origin, is_live=lambda _: False)
    attempt = Attempt("fenergo", "example.com", batch.batch_id, 1)
    ledger.intend(attempt, "start_run", ref="run-7", origin=origin)
    seen = {"ref": "run-7", "word": "Processing", "state": RunState.RUNNING, "counts": COUNTERS}
    filed = {"evidence_path": "fenergo/example.com/made-up/1/fetch_errors/errors.csv", "evidence_hash": "0" * 64}
    for step, facts in {"start_run": seen, "fetch_errors": filed}.items():
        ledger.append(Draft(attempt=attempt, step=step, kind=Kind.RESULT, origin=origin, **facts))
    if verdict:
        ledger.settle(attempt, verdict, origin, counts=counts.to_json())


def test_an_outcome_is_what_the_ledger_says(demo_batch, ledger, tmp_path):
    settle(ledger, demo_batch, Verdict.BALANCED, Counts(sent=5, accepted=4, waived=1))
    (tmp_path / "evidence" / "fenergo" / "example.com" / "made-up").mkdir(parents=True)
    outcome = outcome_of(standing_of(ledger, demo_batch), demo_batch, tmp_path / "evidence")
    write_json([outcome], tmp_path / "demo.json")
    assert json.loads((tmp_path / "demo.json").read_text()) == [
        {
            "vendor": "fenergo",
            "batch_id": "made-up",
            "verdict": "balanced",
            "attempts": 1,
            "sent": 5,
            "accepted": 4,
            "rejected": 0,
            "unprocessed": 0,
            "waived": 1,
            "vendor_refs": ["run-7"],
            "evidence": str(tmp_path / "evidence" / "fenergo" / "example.com" / "made-up"),
        }
    ]
    assert problems(outcome, demo_batch) == []


def test_an_outcome_that_was_not_announced_is_a_problem(demo_batch, ledger, tmp_path):
    settle(ledger, demo_batch, Verdict.REFUSED, Counts(sent=5, accepted=1, rejected=2))
    told = " / ".join(problems(outcome_of(standing_of(ledger, demo_batch), demo_batch, tmp_path), demo_batch))
    assert "ended refused, not balanced" in told
    assert "do not add up" in told


def test_a_batch_that_nobody_admitted_is_a_problem(demo_batch, ledger, tmp_path):
    outcome = outcome_of(standing_of(ledger, demo_batch), demo_batch, tmp_path)
    assert "ended never admitted, not balanced" in problems(outcome, demo_batch)


def test_the_totals_of_the_table_add_up(demo_batch, ledger, tmp_path):
    settle(ledger, demo_batch, Verdict.BALANCED, Counts(sent=1500, accepted=1500))
    outcome = outcome_of(standing_of(ledger, demo_batch), demo_batch, tmp_path)
    columns = {column.header: list(column.cells) for column in table_of([outcome, outcome]).columns}
    assert columns["sent"] == ["1,500", "1,500", "3,000"]
    assert set(NUMBERS) < set(columns)


def test_progress_shows_the_vendors_word_and_the_busiest_task(demo_batch, ledger):
    settle(ledger, demo_batch, None, Counts())
    tasks = [
        {"dag_run_id": "made-up.1", "task_id": "settle_batch", "state": "scheduled"},
        {"dag_run_id": "made-up.1", "task_id": "await_run", "state": "deferred"},
    ]
    row = row_of(demo_batch, standing_of(ledger, demo_batch), steps_of(tasks))
    assert (row.attempt, row.step, row.word, row.counters) == ("1", "await_run (deferred)", "Processing", "entity 1,200")
    assert "await_run (deferred), vendor says 'Processing'" in row.told()


def test_a_run_of_parts_is_shown_by_counts_of_the_vendors_words(demo_batch, ledger):
    origin = Origin("migrate_fenergo", "made-up.1", "start_run", 1)
    attempt = ledger.admit("fenergo", "example.com", "made-up", "0" * 64, origin, is_live=lambda _: False).attempt
    for number in range(3):
        facts = {"attempt": attempt, "step": "start_run", "key": f"part-{number}", "origin": origin}
        ledger.append(Draft(kind=Kind.INTENT, **facts))
        if number:
            ledger.append(Draft(kind=Kind.RESULT, word="COMPLETE", state=RunState.SUCCEEDED, **facts))
    row = row_of(demo_batch, standing_of(ledger, demo_batch), {})
    assert (row.word, row.counters, row.parts) == ("", "COMPLETE 2 under way 1", True)


def progress(rows_by_look):
    """A progress that shows prepared rows, and what it told; a new look takes a second."""
    console = Console(file=io.StringIO(), width=200)
    shown = Progress(console, None, None, [])
    for rows in rows_by_look:
        shown._tell([row for row in rows if shown._is_new(row)])
    return console.file.getvalue().splitlines()


def test_a_thousand_parts_do_not_tell_a_thousand_lines():
    states = ("running", "deferred", "queued")
    rows = [[Row("domo/big", "1", f"start_run ({states[n % 3]})", counters=f"COMPLETE {n}", parts=True)] for n in range(1000)]
    done = [Row("domo/big", "1", "reconcile (running)", word="1,000 COMPLETE")]
    told = progress([*rows, done, done])
    assert [line.partition(" ")[2] for line in told] == [
        "domo/big: attempt 1, start_run (running), COMPLETE 0",
        "domo/big: attempt 1, reconcile (running), vendor says '1,000 COMPLETE'",
    ]


def test_counters_of_a_run_that_is_seen_as_a_whole_are_told_as_they_change():
    rows = [[Row("fenergo/x", "1", "await_run (deferred)", "Processing", f"entity {n}")] for n in range(3)]
    assert len(progress(rows)) == 3


def test_the_last_errors_of_a_task_log_are_found():
    lines = [
        {"level": "info", "event": "fine"},
        {
            "level": "error",
            "event": "Task failed",
            "error_detail": [{"exc_type": "AirflowFailException", "exc_value": "it is refused"}],
        },
    ]
    told = ["Task failed | AirflowFailException: it is refused"]
    assert errors_in(["not json", *(json.dumps(line) for line in lines)]) == told, "as a file has it"
    assert errors_in(["not json", *lines]) == told, "as Airflow's API tells it"


# Docs and make


def test_headings_of_a_dag_move_below_its_own_and_code_stays_as_it_is():
    assert deeper("# A\n```\n# comment\n```\n## B") == "### A\n```\n# comment\n```\n#### B"


def test_make_lists_its_commands():
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in told.splitlines()} >= {
        "demo",
        "up",
        "down",
        "test",
        "check",
        "sandbox",
        "bench",
        "verify",
        "docs",
    }


def test_a_python_that_is_too_old_is_named_with_what_to_do(tmp_path):
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    fake.chmod(0o755)
    for name in ("python3.11", "python3.12"):
        (tmp_path / "bin" / name).symlink_to(fake)
    (tmp_path / "requirements.txt").touch()
    environment = {"PATH": f"{fake.parent}:/usr/bin:/bin"}
    command = [ROOT / "scripts" / "venv.sh", "requirements.txt", ".venv/stamp"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs Python 3.11 or 3.12; this machine has: Python 3.9.2" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_the_environment_of_the_tests_is_renewed_when_only_requirements_txt_has_changed(tmp_path):
    """A Python of its own that says what it is asked to install."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho asked: $*\n")
    python.chmod(0o755)
    for age, name in enumerate(["requirements.txt", ".venv/stamp", "pyproject.toml", "requirements-dev.txt"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    command = [ROOT / "scripts" / "venv.sh", "requirements-dev.txt", ".venv/stamp"]

    def told() -> str:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "--requirement requirements-dev.txt" in told()
    assert told() == "", "everything is as it should be"


# A new vendor


@pytest.mark.parametrize("name", ["", "Acme", "acme-bank", "1st", "class", "json", "airflow", "fenergo", "a__b"])
def test_a_name_that_no_vendor_may_have_is_refused(name):
    with pytest.raises(BadName):
        checked(name, ROOT)


def test_a_new_vendor_works_at_once_and_edits_nothing(tmp_path):
    written = add(checked("acme_bank", tmp_path), tmp_path)
    tidy(written)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    lint = [sys.executable, "-m", "ruff", "check", "--quiet", "."]
    assert subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False).stdout == ""
    folder, tests = tmp_path / "plugins" / "ferry" / "vendors", tmp_path / "tests" / "vendors" / "test_acme_bank.py"
    options = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tests)]
    play = (
        f"import ferry.vendors, pytest; ferry.vendors.__path__.append({str(folder)!r}); raise SystemExit(pytest.main({options}))"
    )
    done = subprocess.run([sys.executable, "-c", play], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


# An interrupted demo


@pytest.mark.real
def test_a_terminated_demo_leaves_nothing_running(tmp_path):
    log = tmp_path / "demo.log"
    with log.open("w") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "scripts.demo", "--var", tmp_path], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
    stack = tmp_path / "demo" / "stack.json"
    wait_until(lambda: demo.poll() is not None or (tmp_path / "demo" / "logs" / "triggerer.log").exists(), 120)
    assert demo.poll() is None, log.read_text()
    mark = json.loads(stack.read_text())["mark"]
    assert len(list(marked(mark))) >= 4
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(60) == 130
    assert list(marked(mark)) == []
    assert "nothing is left running" in log.read_text()
