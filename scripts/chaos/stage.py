"""The Airflow that is going to be disturbed: on PostgreSQL, so that it may have two schedulers; the ledger on another server."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ferry.ledger.store import LedgerStore
from ferry.vendors import all_vendors
from scripts.chaos.cargo import Cargo
from scripts.chaos.supervisor import DONE, ORDERS, STRUCK, TAKEN, TICKETS
from scripts.client import ApiError
from scripts.environment import ROOT, free_ports, write_exports
from scripts.postgres import MISSING, USER, Postgres, PostgresError, binaries
from scripts.stack import Stack

HERE = Path(__file__).resolve().parent
METADATA, LEDGER = "airflow", "ledger"
NOTICED = 40
"""Seconds without a sign of life after which Airflow takes a task for dead (300 by default)."""
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": 5,
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 300,
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": NOTICED,
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 5,
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": 4,
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 15,
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 15,
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 3,
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 15,
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": 15,
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": 5,
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": 20,
}
"""Airflow notices deaths sooner than by default, so that a run takes an hour and not a night."""
CONFIRMS = {"fenergo": "fenergo.FenergoConfirmStartOperator", "microstrategy": "mstr.MicroStrategyConfirmStartOperator"}
"""The steps that look for proof of a start before they ask a person."""
GRACE = 15
"""Seconds for which they look."""
AT_ONCE = 16
"""Active runs of one DAG: some end while others begin, so that every disturbance meets batches of every sort."""
AWAY = 180.0
"""Seconds for which an api-server that was killed may be away."""


@dataclass
class Stage:
    """The running stack, its databases, and the folder of tickets."""

    stack: Stack
    ledger_server: Postgres
    folder: Path

    def api(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Airflow's API, again where it is down. A POST that was heard, and whose answer was lost, ends as a conflict."""
        until = time.monotonic() + AWAY
        while True:
            try:
                return self.stack.api(method, path, body, **params)
            except ApiError as error:
                if error.status < HTTPStatus.INTERNAL_SERVER_ERROR or time.monotonic() > until:
                    raise
            except KeyError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.5)

    def every(self, path: str, name: str, **params: Any) -> list[dict[str, Any]]:
        """All of a list that comes in pages of a hundred."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.api("GET", path, limit=100, offset=len(found), **params)[name]
            found += page
            if len(page) < 100:
                return found

    @cached_property
    def ledger(self) -> LedgerStore:
        """Ferry's ledger, for comparison."""
        return LedgerStore(ledger_url(self.ledger_server))


@contextmanager
def stage(home: Path, cargo: list[Cargo]) -> Iterator[Stage]:
    """Everything running, and nothing begun."""
    programs = binaries()
    if programs is None:
        raise PostgresError(f"Chaos needs PostgreSQL: {MISSING}")
    mine, ledgers = free_ports(2)
    with Postgres(programs, port=mine) as database, Postgres(programs, port=ledgers) as ledger_server:
        _create(database, METADATA)
        _create(ledger_server, LEDGER)
        LedgerStore(ledger_url(ledger_server)).migrate()
        folder = home.with_name(f"{home.name}-points")
        _lay_out(folder)
        stack = Stack(home, dags=folder / "dags", batches=folder / "batches", settings=settings(folder, database))
        _connect(stack, cargo, ledger_server)
        with stack:
            yield Stage(stack, ledger_server, folder)


def settings(folder: Path, database: Postgres) -> dict[str, str]:
    """What this Airflow has otherwise than the demo's."""
    path = os.pathsep.join(filter(None, [str(HERE / "inside"), os.environ.get("PYTHONPATH", "")]))
    url = f"postgresql+psycopg2://{USER}@127.0.0.1:{database.port}/{METADATA}"
    chosen = {
        "PYTHONPATH": path,
        "FERRY_CHAOS": str(folder),
        "FERRY_CHAOS_PAUSE": str(NOTICED + 20),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
    }
    return chosen | {name: str(value) for name, value in SETTINGS.items()}


def ledger_url(server: Postgres) -> str:
    """Where the ledger is."""
    return f"postgresql+psycopg2://{USER}@127.0.0.1:{server.port}/{LEDGER}"


def _connect(stack: Stack, cargo: list[Cargo], ledger_server: Postgres) -> None:
    """The ledger's connection, and the vendors' with settings for the impatient; where the sandbox is, only the stack knows."""
    known: dict[str, Mapping[str, Any]] = {
        "ferry_ledger": {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": ledger_server.port,
            "login": USER,
            "schema": LEDGER,
        }
    }
    for one in cargo:
        for name, told in all_vendors()[one.vendor].sandbox_connections(stack.sandbox_url).items():
            known[name] = {**told, "extra": {**told["extra"], **one.settings}}
    told = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in known.items()}
    stack.env |= told
    for service in stack.services.values():
        service.env = {**service.env, **told}
    write_exports(stack.home / "env.sh", stack.env)


def _create(server: Postgres, name: str) -> None:
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        f"postgresql+psycopg2://{USER}@127.0.0.1:{server.port}/postgres", poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))


def _lay_out(folder: Path) -> None:
    """Folders for tickets and batches, and the DAGs with the control's: as they are, but for a limit and two waits."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in (TICKETS, TAKEN, STRUCK, ORDERS, DONE, "batches"):
        (folder / name).mkdir(parents=True)
    dags = folder / "dags"
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    shutil.copy(HERE / "naive" / "naive_fenergo.py", dags)
    for file in dags.glob("migrate_*.py"):
        _change(file, "max_active_runs=MANY_RUNS", f"max_active_runs={AT_ONCE}")
    for vendor, confirm in CONFIRMS.items():
        _change(dags / f"migrate_{vendor}.py", f"{confirm}()", f"{confirm}(grace=timedelta(seconds={GRACE}))")


def _change(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    if before not in text:
        raise PostgresError(f"{file.name} no longer says {before}; correct scripts/chaos/stage.py.")
    file.write_text(text.replace(before, after), encoding="utf-8")
