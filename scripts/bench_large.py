"""The large case in a real Airflow: 40,000 companies reconciled, 35,000 errors fetched, and the peak memory of every process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # no types are published with it

from ferry.ledger.entries import Verdict
from ferry.ledger.store import LedgerStore
from scripts.environment import ROOT
from scripts.setting import prepare
from scripts.stack import Stack

LIMIT = 400
"""MiB that no process may reach."""
BATCHES = {"large": ("40000", Verdict.BALANCED), "faulty": ("12000", Verdict.REFUSED)}
ERRORS = "35000"


class Peaks:
    """Samples the resident memory of every process of a stack, and remembers the largest by what the process is."""

    def __init__(self, stack: Stack) -> None:
        self.by_name: dict[str, float] = {}
        self._stack, self._over = stack, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more samples."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            for name, service in self._stack.services.items():
                with contextlib.suppress(psutil.Error):  # it ended while we looked
                    parent = psutil.Process(service.pid)
                    self._note(name, parent)
                    for child in parent.children(recursive=True):
                        self._note(f"a child of {name}", child)

    def _note(self, name: str, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error):
            self.by_name[name] = max(self.by_name.get(name, 0.0), process.memory_info().rss / 2**20)


def make_batches(folder: Path) -> None:
    """One large batch that arrives, and one with more errors than the vendor hands out directly."""
    for batch_id, (rows, verdict) in BATCHES.items():
        command = [sys.executable, "scripts/make_batch.py", rows, "--id", batch_id, "--folder", str(folder)]
        if verdict is Verdict.REFUSED:
            command += ["--errors", ERRORS]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    manifest = folder / "fenergo" / "faulty" / "manifest.yaml"
    if "checks: report" not in (text := manifest.read_text(encoding="utf-8")):
        manifest.write_text(text.replace("fenergo:\n", "fenergo:\n  checks: report\n"), encoding="utf-8")


def main() -> int:
    """0 if both batches ended as they should and no process reached the limit."""
    with tempfile.TemporaryDirectory(prefix="ferry-large-") as folder:
        make_batches(Path(folder) / "batches")
        with Stack(Path(folder) / "home", batches=Path(folder) / "batches") as stack:
            prepare(stack, [])
            peaks, ledger = Peaks(stack), LedgerStore(str(stack.ledger))
            for batch_id in BATCHES:
                run = {"dag_run_id": f"{batch_id}.1", "logical_date": None, "conf": {"batch_id": batch_id}}
                stack.api("POST", "/dags/migrate_fenergo/dagRuns", run)
            stack.wait_for(lambda: ended(stack), "both batches to end", 600, every=1.0)
            peaks.stop()
            return report(ledger, stack, peaks)


def ended(stack: Stack) -> bool:
    """True once both DAG runs have ended."""
    runs = stack.api("GET", "/dags/migrate_fenergo/dagRuns", limit=10)["dag_runs"]
    return len(runs) == len(BATCHES) and all(run["state"] in {"success", "failed"} for run in runs)


def report(ledger: LedgerStore, stack: Stack, peaks: Peaks) -> int:
    """Print verdicts, counts and peaks."""
    good = True
    for batch_id, (_, wanted) in BATCHES.items():
        last = ledger.standing("fenergo", stack.sandbox_url.removeprefix("http://"), batch_id).last
        good &= last is not None and last.verdict is wanted and last.counts.adds_up
        print(f"{batch_id}: {last.verdict if last else 'never tried'} {last.counts if last else ''}")
        triaged = last.results.get(("triage_errors", "")) if last else None
        if triaged:
            print(f"{batch_id}: {triaged.data['errors']:,} errors were fetched")
            good &= triaged.data["errors"] == int(ERRORS)
    for name, size in sorted(peaks.by_name.items(), key=lambda item: -item[1]):
        print(f"peak of {name}: {size:,.0f} MiB resident, {size / LIMIT:.0%} of the limit")
        good &= size < LIMIT
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
