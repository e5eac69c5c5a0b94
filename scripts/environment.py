"""The environment variables a local Ferry runs with: Airflow's settings, its connections, and where batches and evidence lie."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ferry.vendors import all_vendors

ROOT = Path(__file__).resolve().parent.parent
USER = "admin"
DATABASE = "DATABASE__SQL_ALCHEMY_CONN"
LOCK_SECONDS, API_LOCK_SECONDS = 30, 3
"""How long a process waits for another one's write to SQLite before it gives up."""


def airflow_environment(home: Path, dags: Path, base_url: str, password: str) -> dict[str, str]:
    """Airflow on SQLite with a local executor, all of its state below `home`, and one user who needs the password."""
    passwords = home / "passwords.json"
    write_private(passwords, {USER: password})
    worker_logs, trigger_logs = free_ports(2)
    options = {
        "CORE__DAGS_FOLDER": dags.resolve(),
        "CORE__PLUGINS_FOLDER": ROOT / "plugins",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 8,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords,
        "CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "API__BASE_URL": base_url,
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        DATABASE: f"sqlite:///{home / 'airflow.db'}?timeout={LOCK_SECONDS}",
        "DAG_PROCESSOR__REFRESH_INTERVAL": 10,
        "LOGGING__BASE_LOG_FOLDER": home / "logs" / "tasks",
        "LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
    }
    return {"AIRFLOW_HOME": str(home / "airflow")} | {f"AIRFLOW__{key}": str(value) for key, value in options.items()}


def api_server_environment(env: Mapping[str, str]) -> dict[str, str]:
    """What the api-server must have otherwise on SQLite, so that the scheduler does not die of it.

    It can lock itself out: one request has written and needs the event loop to commit, another writes its audit entry on the
    event loop and waits for the first. Only giving up ends that, and it must happen before the scheduler, waiting too, gives up.
    """
    name = f"AIRFLOW__{DATABASE}"
    return {name: env[name].replace(f"?timeout={LOCK_SECONDS}", f"?timeout={API_LOCK_SECONDS}")}


def ferry_environment(
    home: Path, batches: Path, sandbox_url: str, connections: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, str]:
    """Ferry's places and connections: every vendor's sandbox connections, unless `connections` says otherwise."""
    known: dict[str, Mapping[str, Any]] = {"ferry_ledger": {"conn_type": "sqlite", "host": str(home / "ledger.db")}}
    for vendor in all_vendors().values():
        known.update(vendor.sandbox_connections(sandbox_url))
    known.update(connections or {})
    environment = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in known.items()}
    return environment | {"FERRY_BATCHES": str(batches), "FERRY_EVIDENCE": str(home / "evidence")}


def outer_environment() -> dict[str, str]:
    """The shell's environment without settings for another Airflow or Ferry."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "_AIRFLOW", "FERRY_"))}


def free_ports(count: int) -> list[int]:
    """That many different ports of this machine that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def write_exports(path: Path, environment: Mapping[str, str]) -> None:
    """The settings as a file that a shell can read, so that `airflow ...` on a command line means the same Airflow."""
    mine = {key: value for key, value in environment.items() if key.startswith(("AIRFLOW", "FERRY_"))}
    path.touch(mode=0o600)
    path.write_text("".join(f"export {key}={shlex.quote(value)}\n" for key, value in sorted(mine.items())), encoding="utf-8")


def write_private(path: Path, content: Any) -> None:
    """JSON in a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
