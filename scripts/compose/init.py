"""What the services need once, before they start: both databases' tables, a login, and the vendors' pools. Safe to repeat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ferry.vendors import all_vendors
from scripts.environment import USER


def main() -> None:
    """Everything in turn; the first that fails ends it."""
    run("airflow", "db", "migrate")
    run("ferry", "migrate")
    log_in(os.environ["ADMIN_PASSWORD"])
    make_pools()


def run(*command: str, typed: str = "") -> None:
    """One of Airflow's or Ferry's own commands; what is secret is typed in, because a command line can be read by others."""
    subprocess.run([sys.executable, "-m", *command], input=typed, text=True, check=True)


def log_in(password: str) -> None:
    """The first person who may log in. Their password is set anew each time: changing it in .env changes it here."""
    person = {"username": USER, "firstname": "Ferry", "lastname": "Admin", "role": "Admin", "email": f"{USER}@example.com"}
    options = [part for name, value in person.items() for part in (f"--{name}", value)]
    run("airflow", "users", "create", *options, typed=f"{password}\n{password}\n")
    run("airflow", "users", "reset-password", "--username", USER, typed=f"{password}\n{password}\n")


def make_pools() -> None:
    """One pool for each vendor, of the size its card asks for. One that is there keeps the size that somebody gave it."""
    with TemporaryDirectory() as folder:
        known, wanted = Path(folder) / "known.json", Path(folder) / "wanted.json"
        run("airflow", "pools", "export", str(known))
        there = json.loads(known.read_text(encoding="utf-8"))
        new = {
            vendor.pool: {"slots": vendor.pool_slots, "description": f"Calls to {vendor.title}", "include_deferred": False}
            for vendor in all_vendors().values()
            if vendor.pool not in there
        }
        if new:
            wanted.write_text(json.dumps(new), encoding="utf-8")
            run("airflow", "pools", "import", str(wanted))


if __name__ == "__main__":
    main()
