"""Records what a version of Ferry leaves behind for the next one: ledger, evidence, batches, DAG runs and triggers in mid-wait.

    git worktree add /somewhere/old <the commit of the version>
    python tests/upgrade/record.py /somewhere/old tests/upgrade/<version>

Everything is written by that version's own code, in a sandbox of its own: nothing here is made up. It is done once for each
version that is released, and what came of it is never changed afterwards: those rows stand in somebody's database.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PORT = 18765
"""The sandbox's, always the same: it is the environment's name in the ledger."""
FOLDERS = ("plugins", "include", "tests/dags", ".")
ATTEMPT = (
    *("verdict", "reason", "counts", "is_open", "ref", "word", "run_state", "counters", "input_hash", "holder"),
    *("started", "start_known", "run_is_over", "holds_place"),
)
"""What of an attempt's standing is told, as the version that wrote it reads it."""
COMPANY = '"alternateId","legalEntityName","countryOfIncorporation"\n'
KEYS = '"alternateId","sourceAlternateId","targetAlternateId","associationType","ownershipPercentage"\n'


class StoppedError(BaseException):
    """The upgrade comes here: the task has put itself aside, and nobody goes on with it."""


class Recorder:
    """The old version's house and driver, and what is written down of them."""

    def __init__(self, house: Any, driver: Any) -> None:
        self.house, self.driver = house, driver
        self.stop_at, self.row = "", dict[str, Any]()
        self.runs: list[dict[str, Any]] = []

    def story(self, batch_id: str, stop_at: str = "", before: dict[str, Callable[[], object]] | None = None) -> Any:
        """One DAG run, to its end or to the task at which it is left standing."""
        self.stop_at, self.row = stop_at, {}
        conf = {"batch_id": batch_id}
        try:
            run = self.driver.play("migrate_fenergo", run_id=f"{batch_id}.1", before=before, **conf)
        except StoppedError:
            run = self.driver.runs["migrate_fenergo", f"{batch_id}.1"]
        self.keep(run, conf)
        return run

    def keep(self, run: Any, conf: dict[str, Any]) -> None:
        """How far a DAG run has come, as Airflow knows it, and the row of the trigger that it waits for."""
        told = {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "conf": conf,
            "states": dict(run.states),
            "mapped": {},
            "xcoms": [[task, key, value] for (task, key), value in run.xcoms.items()],
            "waits": self.row,
        }
        self.runs = [one for one in self.runs if (one["dag_id"], one["run_id"]) != (run.dag_id, run.run_id)] + [told]

    def deferred(self, task: Any, path: str, kwargs: Any, method: str, more: Any) -> None:
        """The row that Airflow stores of a trigger, and with its task what comes next."""
        if task.task_id == self.stop_at:
            told = {"classpath": path, "kwargs": json.loads(json.dumps(kwargs)), "next_method": method, "next_kwargs": more or {}}
            self.row = {"task_id": task.task_id} | told
            raise StoppedError

    def listen(self, driver_module: Any) -> None:
        """Hear of each task that puts itself aside."""
        from airflow.sdk import BaseOperator

        begin, defer = driver_module._Task._started_in_triggerer, BaseOperator.defer

        def begins(task: Any) -> Any:
            told = task.task.start_trigger_args
            self.deferred(task.task, told.trigger_cls, told.trigger_kwargs, told.next_method, told.next_kwargs)
            return begin(task)

        def defers(task: Any, *, trigger: Any, method_name: str, kwargs: Any = None, **how: Any) -> Any:
            self.deferred(task, *trigger.serialize(), method_name, kwargs)
            return defer(task, trigger=trigger, method_name=method_name, kwargs=kwargs, **how)

        driver_module._Task._started_in_triggerer = begins
        BaseOperator.defer = defers  # type: ignore[method-assign,assignment]

    def batch(self, batch_id: str, section: str = "jurisdiction: Migration", owner: str = "") -> None:
        """A batch of two companies with keys of its own; with an `owner` whom only the vendor may know."""
        text = COMPANY + f'"{batch_id}-1","First","PL"\n"{batch_id}-2","Second","IE"\n'
        files = {"company.csv": ("Company", text)}
        if owner:
            files["association.csv"] = ("Associations", KEYS + f'"{batch_id}-3","{owner}","{batch_id}-1","Shareholder","24"\n')
        self.house.batch(batch_id, files, section)


def stories(recorder: Recorder) -> None:
    """Every state of the first vendor in which an upgrade may find an attempt."""
    house, tell = recorder.house, recorder.story
    for batch_id in ("balanced", "waiting", "preparing", "listing", "dead-before", "dead-after", "no-room"):
        recorder.batch(batch_id)
    tell("balanced")
    tell("preparing", "await_prepared")
    tell("waiting", "await_run")
    tell("listing", "await_records")
    for batch_id, sent in (("dead-before", False), ("dead-after", True)):
        with dying(sent=sent):
            tell(batch_id, before={"start_run": lambda: setattr(recorder, "stop_at", "start_run")})
    recorder.batch("refused", "jurisdiction: Migration, checks: report", owner="nobody")
    tell("refused")
    lost_starts(recorder)
    recorder.batch("partly", owner="balanced-1")
    house.switch(completed_with_failed=1)
    tell("partly")
    recorder.batch("waived")
    tell("waived")
    waive(recorder, "waived")
    house.switch(completed_with_failed=0)
    made = house.control("POST", "/fenergo/records", json={"tableName": "Company", "name": "Made by hand"})["fenxId"]
    recorder.batch("ingesting", "jurisdiction: Migration, checks: report, alternate_ids: ids.csv", owner="HAND-1")
    ids = f'"tableName","alternateId","fenxId"\n"Company","HAND-1","{made}"\n'
    (house.home / "batches/fenergo/ingesting/ids.csv").write_text(ids, "utf-8")
    tell("ingesting", "await_ingestion")
    impatient(max_live_runs=1)
    tell("no-room", "start_run")


def lost_starts(recorder: Recorder) -> None:
    """Starts whose answer nobody has: looked after, asked about, and denied."""
    house = recorder.house
    house.switch(unstarted_word="Processing")
    for batch_id, stop_at in (("lost", "confirm_start"), ("asked", ""), ("denied", "")):
        recorder.batch(batch_id)
        house.fault("PUT", "*/start", "drop_before", times=1)
        run = recorder.story(batch_id, stop_at)
        if batch_id == "asked":
            recorder.runs[-1]["asked"] = recorder.driver.asked[-1].model_dump(mode="json", exclude={"ti_id"})
        if batch_id == "denied":
            recorder.driver.answer(run, "It was not started: close this attempt", batch_id=batch_id)
            recorder.keep(run, {"batch_id": batch_id})
            recorder.driver.play("migrate_fenergo", run_id="denied.2", batch_id=batch_id)
    house.switch(unstarted_word="Created")


def waive(recorder: Recorder, batch_id: str) -> None:
    """A person accepts what did not arrive, and the batch is settled again."""
    key = next(key for key in (f"{batch_id}-1", f"{batch_id}-2") if key not in arrived(recorder.house))
    told = {"vendor": "fenergo", "batch_id": batch_id, "records": [f"Company,{key}"], "reason": "sold last year, not needed"}
    recorder.driver.play("waive_records", run_id="waive-1", **told)
    recorder.driver.play("migrate_fenergo", run_id=f"{batch_id}.again", batch_id=batch_id)


def arrived(house: Any) -> set[str]:
    """The keys of companies that the vendor holds."""
    return {row["alternateId"] for row in house.control("GET", "/fenergo/state")["records"].get("Company", [])}


def dying(*, sent: bool) -> ExitStack:
    """A worker that is gone just before its start was sent, or just after, for as long as a block lasts."""
    from ferry.steps.work import Work

    call = Work.call

    def dies(work: Any, *args: Any, **kwargs: Any) -> Any:
        if work.step != "start_run":
            return call(work, *args, **kwargs)
        if sent:
            call(work, *args, **kwargs)
        raise StoppedError

    Work.call = dies  # type: ignore[method-assign]
    stack = ExitStack()
    stack.callback(setattr, Work, "call", call)
    return stack


def impatient(**more: Any) -> None:
    """Short timeouts, and as much room as a story needs."""
    told = json.loads(os.environ["AIRFLOW_CONN_FENERGO_DEFAULT"])
    told["extra"] |= {"read_timeout": 0.4, "requests_per_second": 0, "max_live_runs": 50} | more
    os.environ["AIRFLOW_CONN_FENERGO_DEFAULT"] = json.dumps(told)


def standings(store: Any) -> list[dict[str, Any]]:
    """Every batch as the version that wrote it reads it."""
    found = []
    for row in sorted(store.batches(limit=1000), key=lambda row: row.batch_id):
        standing = store.standing(row.vendor, row.environment, row.batch_id)
        attempts = [{name: plain(getattr(one, name)) for name in ATTEMPT} for one in standing.attempts]
        told = {"vendor": row.vendor, "environment": row.environment, "batch_id": row.batch_id, "balanced": standing.balanced}
        found.append(told | {"last": standing.last.attempt.number, "head": standing.head, "attempts": attempts})
    return found


def plain(value: Any) -> Any:
    """JSON of what a standing says."""
    return json.loads(json.dumps(value.to_json() if hasattr(value, "to_json") else value, default=str))


def write(target: Path, name: str, rows: Iterator[Any] | list[Any]) -> None:
    """JSON, one thing a line: small, and easy to look through."""
    lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows]
    (target / name).write_text("\n".join(lines) + "\n", "utf-8")


def ledger(url: str) -> Iterator[dict[str, Any]]:
    """The rows of the ledger as they stand in the table."""
    from sqlalchemy import create_engine, text

    with create_engine(url).connect() as connection:
        query = text("SELECT * FROM ferry_ledger ORDER BY vendor, environment, batch_id, seq")
        yield from (dict(row) for row in connection.execute(query).mappings())


def files(home: Path) -> Iterator[dict[str, str]]:
    """Batches and evidence. The templates of a migration are left out: nothing reads them again, and they are large."""
    for path in sorted(path for folder in ("batches", "evidence") for path in (home / folder).rglob("*") if path.is_file()):
        if path.parent.name != "check_templates":
            yield {"path": str(path.relative_to(home)), "text": path.read_bytes().decode("utf-8")}


def due_batches() -> list[dict[str, Any]]:
    """What a dispatch hands from task to task: one line for each open batch."""
    from ferry.steps import dispatching

    return dispatching.due_batches(["fenergo"], None, None)


def schema(target: Path) -> None:
    """What the version's migrations make of an empty database, statement by statement, for both databases."""
    from ferry.ledger.migrations.versions import v0001_ledger as first
    from ferry.ledger.schema import HEAD

    if HEAD != "0001":
        sys.exit("There are more migrations than this program knows: write down their statements in schema(), too.")
    version = ["CREATE TABLE ferry_alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"]
    version.append(f"INSERT INTO ferry_alembic_version VALUES ('{HEAD}')")  # noqa: S608 (a constant)
    for name, triggers in (("sqlite", first.SQLITE), ("postgresql", first.POSTGRESQL)):
        write(target, f"schema-{name}.jsonl", [first.TABLE, *first.INDEXES, *triggers, *version])


def main(checkout: Path, target: Path) -> None:
    """Live through the stories and write down what they leave."""
    sys.path[:0] = [str(checkout / folder) for folder in FOLDERS]
    runpy.run_path(str(checkout / "tests/conftest.py"))  # an Airflow home of its own
    import driver as driver_module
    import pytest

    import conftest
    from ferry.vendors import all_vendors
    from sandbox import server

    bound = server.bound
    server.bound = lambda host, _port: bound(host, PORT)
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(str(checkout / "dags"), bundle_path=checkout / "dags", bundle_name="dags-folder")
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        switches = {"fenergo": {"prepare_seconds": 0.0, "process_seconds": 0.0, "ingestion_seconds": 0.0}}
        url = stack.enter_context(server.running(home / "sandbox", switches=switches))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        connections = {"ferry_ledger": {"conn_type": "sqlite", "host": str(home / "ledger.db")}}
        connections |= all_vendors()["fenergo"].sandbox_connections(url)
        os.environ |= {f"AIRFLOW_CONN_{name.upper()}": json.dumps(told) for name, told in connections.items()}
        os.environ |= {"FERRY_BATCHES": str(home / "batches"), "FERRY_EVIDENCE": str(home / "evidence")}
        house = conftest.House(home, url, bag, stack.enter_context(conftest.httpx.Client(timeout=30)))
        played = driver_module.Driver(bag.dags, driver_module.Clock())
        driver_module.simulate(played, patch)
        recorder = Recorder(house, played)
        recorder.listen(driver_module)
        impatient()
        stories(recorder)
        faults = house.ledger.verify()
        assert faults == [], faults
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        write(target, "ledger.jsonl", ledger(f"sqlite:///{home / 'ledger.db'}"))
        write(target, "standings.jsonl", standings(house.ledger))
        write(target, "dag_runs.jsonl", recorder.runs)
        live = house.ledger.live("fenergo", house.environment)
        write(target, "live.jsonl", [one.attempt.key for one in live])
        schema(target)
        write(target, "due.jsonl", due_batches())
        write(target, "files.jsonl", files(home))
        played.close()


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:]))
