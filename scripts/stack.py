"""A whole Ferry on this machine: sandbox and Airflow as processes on free loopback ports, with all state in one folder."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.client import Client, StackError
from scripts.environment import (
    ROOT,
    USER,
    airflow_environment,
    api_server_environment,
    ferry_environment,
    free_ports,
    outer_environment,
    write_exports,
    write_private,
)
from scripts.processes import MARK, Service, marked, sweep

SANDBOX = "sandbox"
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
START_SECONDS = 180
"""A cold start takes about 25 seconds on two free cores; machines under load get more."""


class Stack(Client):
    """Start, ask, disturb and end a local Ferry. Use it as a context manager: nothing runs after the block."""

    def __init__(
        self,
        home: Path,
        *,
        dags: Path = ROOT / "dags",
        batches: Path = ROOT / "include" / "batches",
        port: int = 0,
        speed: float = 1.0,
        settings: Mapping[str, str] | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Lay out a fresh home. `settings` (environment variables) and `connections` win over what the stack would choose."""
        self.home = home.resolve()
        if self.home.exists():
            shutil.rmtree(self.home)
        self.home.mkdir(parents=True, mode=0o700)
        self.batches = batches.resolve()
        self.evidence = self.home / "evidence"
        self.ledger = self.home / "ledger.db"
        self.mark = secrets.token_hex(8)
        api, box = free_ports(2)
        super().__init__(f"http://127.0.0.1:{port or api}", f"http://127.0.0.1:{box}", secrets.token_urlsafe(12))
        self.login = f"{self.base_url}  user [bold]{USER}[/]  password [bold]{self.password}[/]  (until it ends)"
        self.env = {
            **outer_environment(),
            **airflow_environment(self.home, dags, self.base_url, self.password),
            **ferry_environment(self.home, self.batches, self.sandbox_url, connections),
            **(settings or {}),
        }
        self.services = {SANDBOX: self.service(SANDBOX, "sandbox", *self._sandbox_options(box, speed))}
        for name in AIRFLOW:
            self.services[name] = self.service(name, "airflow", name, *self._options(name))
        server = self.services["api-server"]
        server.env = {**server.env, **api_server_environment(self.env)}
        write_exports(self.home / "env.sh", self.env)
        write_private(self.home / "stack.json", {"mark": self.mark, "url": self.base_url, "sandbox": self.sandbox_url})

    # Life

    def __enter__(self) -> Self:
        """Start everything and wait until Airflow says that it is healthy."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """End everything."""
        self.close()

    def start(self) -> None:
        """Sandbox, database, Airflow; returns when all of them answer."""
        self.services[SANDBOX].start()
        self.airflow("db", "migrate")
        self._use_wal()
        for name in AIRFLOW:
            self.services[name].start()
        self.wait_for(lambda: self.sandbox_answers() and self.healthy(), "the sandbox and Airflow to answer", START_SECONDS)

    def close(self) -> None:
        """End every process of this stack, whatever became of its parents."""
        super().close()
        for service in self.services.values():
            service.ask_to_end()
        for service in self.services.values():
            service.stop()
        sweep(self.mark)

    def start_service(self, name: str) -> None:
        """Start one process that was stopped or killed."""
        self.services[name].start()

    def stop(self, name: str) -> None:
        """End one process politely."""
        self.services[name].stop()

    def kill(self, name: str) -> None:
        """End one process and its children as a power cut would."""
        self.services[name].kill()

    def restart(self, name: str) -> None:
        """Kill one process and start it again; does not wait until it is healthy."""
        self.kill(name)
        self.start_service(name)

    def running(self) -> int:
        """How many processes of this stack live, tasks included."""
        return len(list(marked(self.mark)))

    # Asking

    def airflow(self, *command: str) -> str:
        """What `airflow ...` prints; StackError with its last lines if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = "\n".join((done.stderr or done.stdout).splitlines()[-15:])
            raise StackError(f"`airflow {' '.join(command)}` failed with exit code {done.returncode}:\n{last}")
        return done.stdout

    # Making

    def service(self, name: str, module: str, *options: str) -> Service:
        """A Python module as one more process of this stack, not started yet; put it into `services` to have it ended, too."""
        # Airflow's workers write their titles over their command line, which has to be long enough for a task's whole id, and
        # would write over their environment as well and lose the mark.
        command = [sys.executable, "-X", f"{MARK.lower()}={self.mark}", "-m", module, *options]
        env = {**self.env, MARK: self.mark, "SPT_NOENV": "1"}
        return Service(name, command, env, self.home / "logs" / f"{name}.log", ROOT)

    def _sandbox_options(self, port: int, speed: float) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(port), "--data", str(self.home / "sandbox"), "--speed", f"{speed:g}"]

    def _options(self, name: str) -> list[str]:
        # Logs are read from this disk; serving them would open ports beyond loopback.
        host, port = self.base_url.removeprefix("http://").split(":")
        known = {
            "api-server": ["--host", host, "--port", port, "--workers", "1"],
            "scheduler": ["--skip-serve-logs"],
            "triggerer": ["--skip-serve-logs"],
        }
        return known.get(name, [])

    def _use_wal(self) -> None:
        """Readers and writers of Airflow's SQLite file stop blocking each other; the mode is kept in the file."""
        with sqlite3.connect(self.home / "airflow.db") as database:
            database.execute("PRAGMA journal_mode=WAL")

    # Watching

    def log_of(self, task: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The file with the log of a task instance's last try, and its entries; it can be read when nothing runs any more."""
        names = {"dag_id": "dag_id", "run_id": "dag_run_id", "task_id": "task_id"}
        parts = [f"{name}={task[key]}" for name, key in names.items()]
        parts += [f"map_index={task['map_index']}"] if task["map_index"] >= 0 else []
        log = Path(self.env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]).joinpath(*parts, f"attempt={task['try_number']}.log")
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return str(log), text.splitlines()

    def where_logs_are(self) -> str:
        """Where whoever has to find out why looks."""
        return f"The logs are in {self.home / 'logs'}."

    def complain(self, what: str) -> None:
        """Raise StackError if a process has died."""
        for service in self.services.values():
            if service.exit_code is not None:
                last = "\n".join(f"    {line}" for line in service.last_lines())
                raise StackError(
                    f"{service.name} ended with exit code {service.exit_code} while waiting for {what}. "
                    f"The end of {service.log}:\n{last}"
                )


def leftovers(home: Path) -> str:
    """The mark of a stack that was started in this home and still has processes; empty if there is none."""
    try:
        mark = str(json.loads((home / "stack.json").read_text(encoding="utf-8"))["mark"])
    except (OSError, ValueError, KeyError):
        return ""
    return mark if any(marked(mark)) else ""
