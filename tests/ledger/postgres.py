"""Fresh databases of a throw-away PostgreSQL server, one for each test that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from ferry.ledger.store import LedgerStore
from scripts import postgres
from scripts.postgres import Postgres

MISSING = f"NO POSTGRESQL, so the ledger was NOT tested on PostgreSQL: {postgres.MISSING}"
binaries = postgres.binaries


class Server:
    """Hands out one fresh database after another."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count(1)
        self.run("CREATE DATABASE ferry_template")
        template = LedgerStore(self.url("ferry_template"))
        template.migrate()
        template.database.engine.dispose()

    def url(self, name: str) -> str:
        return f"postgresql://{postgres.USER}@/{name}?host={self._folder}"

    def empty(self) -> str:
        return self._new("")

    def migrated(self) -> str:
        return self._new("TEMPLATE ferry_template")

    def _new(self, template: str) -> str:
        name = f"ledger_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} {template}")
        return self.url(name)

    def run(self, statement: str) -> None:
        url = f"postgresql+psycopg2://{postgres.USER}@/postgres?host={self._folder}"
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def server(programs: Path) -> Iterator[Server]:
    """A running server on a Unix socket."""
    with Postgres(programs) as running:
        yield Server(running.folder)
