"""What a journey costs and no journey is about: connections and databases made anew, and waiting for the disk.

The code under test is the same; `tests/ledger` tries it with its own settings. Nobody pulls the plug in the middle of a journey:
a worker that dies leaves what it wrote to the operating system, on disk or not.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from itertools import count
from typing import Any

import duckdb  # noqa: TID253  # no DAG file imports this
from sqlalchemy.pool import QueuePool

from ferry.ledger import database

_connect, _create_engine, _prepare_sqlite, _numbers = duckdb.connect, database.create_engine, database._prepare_sqlite, count(1)


def make_haste(patch: Any) -> None:
    """Let the ledger's connections stay open and nobody wait for the disk, and let all joins share one DuckDB."""
    # SQLite takes longer to open and leave its file than for most transactions.
    patch.setattr(database, "NullPool", QueuePool)
    patch.setattr(database, "_engines", {})
    patch.setattr(database, "create_engine", _alike)
    patch.setattr(database, "_prepare_sqlite", _without_waiting)
    patch.setattr("ferry.ledger.evidence.os.fsync", int)
    patch.setattr(duckdb, "connect", Workbench)


def let_go() -> None:
    """Close what is held open of all ledgers."""
    for engine in database._engines.values():
        engine.dispose()


@cache
def _first() -> Any:
    """An engine whose dialect has met SQLite, and which keeps what all others have compiled."""
    engine = _create_engine("sqlite+pysqlite://")
    engine.connect().close()
    return engine


def _alike(url: Any, **how: Any) -> Any:
    """An engine that does not compile again what another one has."""
    engine = _create_engine(url, **how)
    if engine.dialect.name == "sqlite":
        engine.dialect, engine._compiled_cache = _first().dialect, _first()._compiled_cache
    return engine


def _without_waiting(connection: sqlite3.Connection, record: Any) -> None:
    _prepare_sqlite(connection, record)
    connection.execute("PRAGMA synchronous = OFF")


@cache
def shared(memory: str) -> Any:
    """The DuckDB of this process: to make one costs as much as a third of a reconciliation.

    It has one thread, the caller's, so that a forked child can use it as well.
    """
    told = {"memory_limit": memory, "threads": 1, "preserve_insertion_order": False}
    return _connect(":memory:", config=told | {"autoinstall_known_extensions": False, "autoload_known_extensions": False})


class Workbench:
    """A database of its own in the shared DuckDB, as `duckdb.connect` would have made it."""

    def __init__(self, where: str, config: dict[str, Any]) -> None:
        assert where == ":memory:"
        self.name, self.root = f"bench_{next(_numbers)}", shared(config["memory_limit"])
        self.con = self.root.cursor()
        self.con.execute(f"attach ':memory:' as {self.name}")
        self.con.execute(f"use {self.name}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.con, name)

    def close(self) -> None:
        self.con.close()
        with self.root.cursor() as con:
            con.execute(f"detach {self.name}")
