"""Where things are: the batches, the evidence and the ledger, read from the environment and from Airflow's connections."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, Connection, ObjectStoragePath
from sqlalchemy.engine import URL

from ferry.core.errors import LedgerError
from ferry.ledger.evidence import EvidenceStore
from ferry.ledger.store import LedgerStore
from ferry.steps.connections import aconnection

if TYPE_CHECKING:
    from upath import UPath

    from ferry.core.batch import Folder

LEDGER_CONNECTION = "ferry_ledger"
_PROJECT = Path(__file__).resolve().parents[3]
_DRIVERS = {"postgres": "postgresql+psycopg2", "sqlite": "sqlite"}


def batches() -> Folder:
    """The folder of all batches: `FERRY_BATCHES`, a path or a URL such as `s3://conn_id@bucket/batches`."""
    return _storage("FERRY_BATCHES", _PROJECT / "include" / "batches")


def evidence() -> EvidenceStore:
    """The evidence store at `FERRY_EVIDENCE`; a local folder by default."""
    return EvidenceStore(_storage("FERRY_EVIDENCE", _PROJECT / "var" / "evidence"))


def ledger() -> LedgerStore:
    """The ledger that connection `ferry_ledger` leads to, its tables up to date."""
    try:
        connection = BaseHook.get_connection(LEDGER_CONNECTION)
    except Exception as error:  # Airflow has several "not found" classes, and a backend may raise its own
        raise _no_connection(error) from error
    return ledger_at(_ledger_url(connection))


async def aledger_url() -> str:
    """Where the ledger is, for the triggerer, where a connection must be awaited and a database must not block the others."""
    try:
        connection = await aconnection(LEDGER_CONNECTION)
    except Exception as error:
        raise _no_connection(error) from error
    return _ledger_url(connection)


def _no_connection(error: Exception) -> LedgerError:
    return LedgerError(
        f"Airflow has no usable connection {LEDGER_CONNECTION!r} ({type(error).__name__}). Without the ledger nothing is "
        "sent: create the connection (type sqlite with the file as host, or postgres) and run the task again."
    )


def _ledger_url(connection: Connection) -> str:
    driver = _DRIVERS.get(str(connection.conn_type))
    if driver is None:
        raise LedgerError(
            f"Connection {LEDGER_CONNECTION!r} is of type {connection.conn_type!r}; it must be sqlite or postgres. Without the "
            "ledger nothing is sent: correct it under Admin > Connections and run the task again."
        )
    if driver == "sqlite":
        return URL.create(driver, database=str(connection.host)).render_as_string()
    url = URL.create(
        driver,
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema or "ledger",
        query={key: str(value) for key, value in connection.extra_dejson.items()},  # sslmode and the like
    )
    return url.render_as_string(hide_password=False)


@cache
def ledger_at(url: str) -> LedgerStore:
    """The ledger at a URL, its tables up to date; they are looked at once per process."""
    store = LedgerStore(url)
    store.migrate()
    return store


def _storage(variable: str, default: Path) -> Folder:
    told = os.environ.get(variable) or str(default)
    if told.startswith("s3://"):
        from ferry.steps.storage import s3_path

        return s3_path(told, variable)
    path: UPath = ObjectStoragePath(told if "://" in told else f"file://{Path(told).resolve()}")  # type: ignore[assignment]
    return path
