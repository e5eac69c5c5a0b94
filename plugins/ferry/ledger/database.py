"""The way to the ledger's database: which driver, how a transaction begins, how the table comes to be, what errors say."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ferry.core.errors import LedgerConflict, LedgerError
from ferry.ledger.schema import HEAD, VERSION_TABLE

BUSY_SECONDS = 30
"""How long a writer waits for the others before it gives up."""

_POSTGRES = {"postgres", "postgresql", "postgresql+psycopg2"}
_MIGRATION_LOCK = 0x4665727279  # "Ferry": any number will do, if all processes use the same

_engines: dict[tuple[int, str], Engine] = {}
"""By process as well as by URL: a forked child must not talk on its parent's connections."""


def parse(url: str) -> URL:
    """The database a URL, or the plain path of an SQLite file, names; with a driver that is installed."""
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{Path(url).absolute()}")
    except (ArgumentError, ValueError):
        raise LedgerError(
            "the connection ferry_ledger holds no database URL; give it sqlite:////path or postgresql://..."
        ) from None
    if parsed.drivername in _POSTGRES:
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername.startswith("sqlite") and parsed.database not in {None, "", ":memory:"}:
        return parsed.set(drivername="sqlite+pysqlite")
    raise LedgerError(
        f"the ledger cannot live in {parsed.drivername!r} ({named(parsed)}): several processes share it, so it is an SQLite file "
        "or a PostgreSQL database. Correct the connection ferry_ledger."
    )


def named(url: URL) -> str:
    """What a message may call the database: no user, no password, no options."""
    where = (
        f"{url.host or 'local socket'}{f':{url.port}' if url.port else ''}/" if url.host or "postgres" in url.drivername else ""
    )
    return f"{url.get_backend_name()} {where}{url.database}"


class Database:
    """One ledger database: reading and writing transactions whose errors say what to do."""

    def __init__(self, url: str) -> None:
        self.url = parse(url)
        self.is_postgres = self.url.get_backend_name() == "postgresql"

    @property
    def name(self) -> str:
        """The database without its credentials, for messages."""
        return named(self.url)

    @property
    def engine(self) -> Engine:
        """The engine of the calling process."""
        key = (os.getpid(), self.url.render_as_string(hide_password=False))
        found = _engines.get(key)
        return found or _engines.setdefault(key, self._engine())

    def _engine(self) -> Engine:
        if self.is_postgres:
            return create_engine(
                self.url,
                pool_size=2,
                max_overflow=8,
                pool_pre_ping=True,
                pool_recycle=1800,
                hide_parameters=True,
                connect_args={"connect_timeout": 10, "application_name": "ferry"},
            )
        engine = create_engine(self.url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the ledger."""
        with self._explained("read"), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on disk once it ends. On SQLite it has the file for itself."""
        with (
            self._explained("written"),
            self.engine.connect().execution_options(ferry_writes=True) as connection,
            connection.begin(),
        ):
            if self.is_postgres:
                connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"))
                connection.execute(text("SET LOCAL synchronous_commit = on"))
            yield connection

    def migrate(self) -> None:
        """Bring the database to what this code was written for; quick if it is there, safe if many do it at once."""
        with self._explained("prepared"):
            if not self.is_postgres:
                Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
            with self.engine.connect() as connection:
                ready = _at_head(connection)
            if not ready:
                with self._migration_lock() as connection:
                    if not _at_head(connection):  # whoever had the lock before may have done it
                        _upgrade(connection)

    @contextmanager
    def _migration_lock(self) -> Iterator[Connection]:
        if self.is_postgres:
            with self.engine.begin() as connection:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
                yield connection
            return
        with Path(f"{self.url.database}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self.engine.connect() as connection:
                # Kept in the file itself; readers and writers then never wait for each other.
                connection.connection.execute("PRAGMA journal_mode = WAL")
            with self.engine.connect().execution_options(ferry_writes=True) as connection, connection.begin():
                yield connection

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Every error of the driver as a LedgerError in our words; `from None`, because a driver may quote the URL."""
        try:
            yield
        except IntegrityError as error:
            raise LedgerConflict(
                f"the ledger refused an entry ({_cause(error)}): another writer was first. Read it again."
            ) from None
        except SQLAlchemyError as error:
            cause = _cause(error)
            raise LedgerError(f"the ledger ({self.name}) could not be {what}: {cause}. {_advice(cause)}") from None
        except OSError as error:
            raise LedgerError(
                f"the ledger's file ({self.name}) could not be {what}: {error.strerror}. Check the folder and its permissions."
            ) from None


def _cause(error: SQLAlchemyError) -> str:
    """The driver's first line; the ones after it may quote values."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _advice(cause: str) -> str:
    if "no such table" in cause or "does not exist" in cause:
        return "If it is new, run `python -m ferry migrate` once; else check the connection ferry_ledger."
    if "locked" in cause or "lock timeout" in cause:
        return f"Other writers kept it busy for {BUSY_SECONDS} s: try again, and find out who holds it open."
    return "Nothing was sent. Check that the database is up and the connection ferry_ledger names it, then try again."


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    # An intent that a power cut can undo is no intent: WAL's default would not wait for the disk at each commit.
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock before it reads, so that what it decides on cannot change under it.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("ferry_writes") else "BEGIN")


def _at_head(connection: Connection) -> bool:
    if not inspect(connection).has_table(VERSION_TABLE):
        return False
    return bool(connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == HEAD)  # noqa: S608 (a constant)


def _upgrade(connection: Connection) -> None:
    # Imported here: Alembic costs more than the rest of this module, and is needed once in a database's life.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise LedgerError(
            f"the ledger's database is at a version this Ferry does not know ({error}): a newer Ferry has used it. "
            "Upgrade this installation; the ledger is never taken back."
        ) from None
