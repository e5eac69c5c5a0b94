"""Processes that can be started, stopped, killed and frozen by name, and never outlive their stack."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # no types are published with it

MARK = "FERRY_STACK"
GRACE = 10.0
"""Seconds a process may take to end by itself before it is killed."""


@dataclass
class Service:
    """One long-running program in a process group of its own, writing to one log file."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _asked: bool = field(default=False, repr=False)

    def start(self) -> None:
        """Start it, unless it runs; the log is appended to, so a restart keeps what led to it."""
        if self.alive:
            return
        self._asked = False
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=dict(self.env),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """True while the program itself (not only a child of it) runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The program's process id, which is also its group's; 0 if it was never started."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll() if self._process else None

    def ask_to_end(self) -> None:
        """Ask it to end (SIGTERM), once: Airflow takes a second request for impatience and drops what it is doing."""
        if self.alive and not self._asked:
            self._asked = True
            self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, then insist; its whole group is gone afterwards."""
        family = self._family()
        self.ask_to_end()
        end(family[:1])
        ask(family[1:])
        end(family[1:], grace=3)
        self._bury()

    def kill(self) -> None:
        """End it and every process it started, as a power cut would, also those it has started while it was being ended."""
        family = self._family()  # some of them may have sessions of their own
        self.behead()
        end(family, grace=0)
        while orphans := list(self._session()):
            end(orphans, grace=0)

    def behead(self) -> None:
        """End the program itself and none of the processes it started, as a machine short of memory would."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        self._bury()

    def freeze(self) -> None:
        """Stop it from running without ending it (SIGSTOP), its children included."""
        for process in self._family():
            process.suspend()

    def thaw(self) -> None:
        """Let a frozen service run on."""
        for process in self._family():
            process.resume()

    def last_lines(self, count: int = 15) -> list[str]:
        """The end of its log."""
        if not self.log.exists():
            return []
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip() for line in deque(lines, count)]

    def _bury(self) -> None:
        if self._process is not None:
            self._process.wait(GRACE)

    def _signal(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def _session(self) -> Iterator[psutil.Process]:
        """Whoever descends from it, whatever groups they are in and whoever their parents are by now."""
        for process in psutil.process_iter():
            try:
                if self.pid and os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    yield process
            except (psutil.Error, OSError):
                continue

    def _family(self) -> list[psutil.Process]:
        try:
            leader = psutil.Process(self.pid) if self.alive else None
            return [leader, *leader.children(recursive=True)] if leader else []
        except psutil.NoSuchProcess:
            return []


def marked(mark: str) -> Iterator[psutil.Process]:
    """Every living process that inherited the mark of a stack in its environment, wherever it hangs in the process tree."""
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                yield process
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's


def ask(processes: Sequence[psutil.Process]) -> None:
    """Send SIGTERM to each that still lives."""
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue


def end(processes: Sequence[psutil.Process], grace: float = GRACE) -> None:
    """Wait for the processes to end and kill those that do not."""
    _, stubborn = psutil.wait_procs(processes, timeout=grace) if grace else ([], list(processes))
    for process in stubborn:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(stubborn, timeout=GRACE)


def sweep(mark: str) -> None:
    """End every process of a stack, also those whose parents are long gone: first asked, then killed."""
    remaining = list(marked(mark))
    ask(remaining)
    end(remaining, grace=3)
    deadline = time.monotonic() + GRACE
    while (remaining := list(marked(mark))) and time.monotonic() < deadline:
        end(remaining, grace=0)
