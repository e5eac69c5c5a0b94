"""One real Ferry for the whole folder: Airflow's four processes, and sandboxes as processes of their own, one for each temper."""

import json
import shutil
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx  # noqa: TID251  # the sandbox's control endpoints are no vendor: no client of ours knows them
import psutil
import pytest

from ferry.core.wire import trusted
from ferry.ledger.entries import AttemptStanding, Standing
from ferry.ledger.store import LedgerStore
from ferry.vendors.anon import sandbox_connections as anon_connections
from ferry.vendors.fenergo import sandbox_connections
from scripts.client import ApiError, StackError
from scripts.environment import ROOT, free_ports
from scripts.processes import Service, marked
from scripts.setting import make_pools, wait_for_dags
from scripts.stack import Stack

AT_ONCE = {"prepare_seconds": 0, "process_seconds": 0, "ingestion_seconds": 0}
FOREVER = 3600
BOXES: dict[str, dict[str, Any]] = {
    "quick": AT_ONCE,
    "slow": AT_ONCE | {"process_seconds": FOREVER},
    "narrow": AT_ONCE | {"process_seconds": 8},
    "vague": AT_ONCE | {"unstarted_word": "Processing"},
    "lossy": AT_ONCE,
    "deadly": AT_ONCE,
    "people": {},
    "herd": AT_ONCE | {"process_seconds": FOREVER},
    "plain": AT_ONCE,
    "doubt": AT_ONCE | {"process_seconds": FOREVER, "unstarted_word": "Processing"},
}
"""Sandboxes, each an environment of its own in the ledger, and how they are switched. Connection `fenergo_<name>` leads there."""
BATCHES = {
    "struck": "deadly",
    "asked": "vague",
    "proved": "lossy",
    "narrow-a": "narrow",
    "narrow-b": "narrow",
    "twins": "quick",
    "waits": "slow",
}
"""The batches of these tests and the sandbox each goes to."""
HERD_RATE = 50
"""Requests a second that the herd's connection allows: 500 waits take turns for ten seconds."""
EXTRAS: dict[str, dict[str, Any]] = {"narrow": {"max_live_runs": 1}, "herd": {"requests_per_second": HERD_RATE}}
SETTINGS = {
    # Airflow reads each DAG file anew every 30 seconds, which is half a core's work; ours do not change here.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
    # Half a minute without a heartbeat before another triggerer takes over is much where tests wait for it.
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}
PATIENCE = 240.0
"""Seconds anything may take; a free machine needs a fraction."""
ENDED = ("success", "failed")
IDLE = "airflow worker -- LocalExecutor: <idle>"
"""LocalExecutor keeps its forks; at work they, and the tasks they fork, carry the task instance's id in their title."""
COMPANIES = '"alternateId","legalEntityName","countryOfIncorporation","dateOfIncorporation"\n'


@dataclass(frozen=True)
class Box:
    """A sandbox, asked through its control endpoints."""

    url: str

    def ask(self, method: str, path: str, **how: Any) -> Any:
        answer = httpx.request(method, f"{self.url}/_sandbox{path}", timeout=60, trust_env=False, verify=trusted(), **how)
        answer.raise_for_status()
        return answer.json()

    def fault(self, method: str, path: str, action: str, **rule: Any) -> None:
        self.ask("POST", "/fenergo/faults", json={"method": method, "path": path, "action": action, **rule})

    def requests(self, method: str, path: str) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/requests", params={"vendor": "fenergo", "method": method, "path": path}))

    def sent(self) -> list[str]:
        """What was asked for that changes something, in order; tokens aside."""
        log = self.ask("GET", "/requests", params={"vendor": "fenergo", "path": "*/migration*"})
        return [f"{asked['method']} {asked['path'].rpartition('/')[2]}" for asked in log if asked["method"] != "GET"]

    def starts(self, ref: str) -> int:
        """How often anyone asked to start a migration, heard or not."""
        return len(self.requests("PUT", f"*/migration/{ref}/start"))

    @property
    def migrations(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/fenergo/state", params={"records": "none"})["migrations"])


@dataclass(frozen=True)
class DagRun:
    """One DAG run, as the public API shows it."""

    ferry: "Ferry"
    run_id: str
    dag_id: str = "migrate_fenergo"

    @property
    def path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{self.run_id}"

    @property
    def state(self) -> str:
        return str(self.ferry.stack.api("GET", self.path)["state"])

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        found = self.ferry.stack.api("GET", f"{self.path}/taskInstances", limit=100)["task_instances"]
        return {f"{ti['task_id']}{'' if ti['map_index'] < 0 else ti['map_index']}": ti for ti in found}

    @property
    def states(self) -> dict[str, str]:
        return {name: str(ti["state"]) for name, ti in self.tasks.items()}

    def until(self, task: str, *states: str) -> dict[str, Any]:
        """The task instance once it is in one of the states; a DAG run that ended on the way is shown."""

        def there() -> dict[str, Any] | None:
            ti = self.tasks[task]
            if ti["state"] not in states and self.state in ENDED:
                pytest.fail(f"{self.run_id} ended, and {task} is {ti['state']}: {self.states}")
            return ti if ti["state"] in states else None

        return dict(self.ferry.stack.wait_for(there, f"{task} of {self.run_id} to be {' or '.join(states)}", PATIENCE, every=1.0))

    def end(self) -> str:
        """The state it ends in."""
        self.ferry.stack.wait_for(lambda: self.state in ENDED, f"{self.run_id} to end", PATIENCE, every=1.0)
        return self.state

    def log(self, task: str, attempt: int = 1, *, map_index: int = -1) -> str:
        """What the task said on one try, or what was said about it."""
        path = f"{self.path}/taskInstances/{task}/logs/{attempt}"
        told = self.ferry.stack.api("GET", path, full_content="true", map_index=map_index)
        return "\n".join(str(line.get("event", line)) for line in told["content"])

    def clear(self, *tasks: str, only_failed: bool = False) -> None:
        """Clear tasks and nothing after them, or the whole DAG run with its green tasks."""
        if not tasks:
            self.ferry.press("POST", f"{self.path}/clear", {"dry_run": False, "only_failed": only_failed})
            return
        wanted = {"dag_run_id": self.run_id, "task_ids": list(tasks), "dry_run": False, "only_failed": False}
        self.ferry.press("POST", f"/dags/{self.dag_id}/clearTaskInstances", wanted | {"reset_dag_runs": True})

    def mark(self, task: str, state: str) -> None:
        """What a person does with the buttons *mark as*."""
        self.ferry.press("PATCH", f"{self.path}/taskInstances/{task}", {"new_state": state})


class Notices:
    """What Ferry tells people, on a socket: Airflow's own HTTP notifier posts it here."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        heard = self.heard

        class Listener(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.append((told["id"], told["status"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_said: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def connection(self) -> dict[str, Any]:
        return {"conn_type": "http", "host": f"http://127.0.0.1:{self.server.server_port}"}


NOTIFIER = {
    "notifier": "airflow.providers.http.notifications.HttpNotifier",
    "notifier_arguments": json.dumps(
        {"http_conn_id": "notices", "endpoint": "told", "json": {"id": "{{ migration.id }}", "status": "{{ migration.status }}"}}
    ),
}


@dataclass(frozen=True)
class Ferry:
    """The running stack and its sandboxes."""

    stack: Stack
    boxes: dict[str, Box]
    notices: Notices

    @property
    def ledger(self) -> LedgerStore:
        return LedgerStore(str(self.stack.ledger))

    def batch(self, batch_id: str, box: str = "quick", *, due: str = "2020-01-01", date: str = "1998-03-17") -> Path:
        """A batch of three companies of its own; the vendor refuses it if the date is none."""
        folder = self.stack.batches / "fenergo" / batch_id
        folder.mkdir(parents=True, exist_ok=True)
        rows = "".join(f'"{batch_id}-{n}","Łódź ""{n}"" Holdings, S.A.","PL","{date}"\n' for n in range(3))
        (folder / f"{batch_id}.csv").write_text(COMPANIES + rows, encoding="utf-8")
        manifest = [
            "vendor: fenergo",
            f"due: {due}",
            f"connection: fenergo_{box}",
            "fenergo: {jurisdiction: Migration, checks: report}",
            f"files: [{{path: {batch_id}.csv, table: Company}}]",
        ]
        (folder / "manifest.yaml").write_text("\n".join(manifest) + "\n", encoding="utf-8")
        return folder

    def press(self, method: str, path: str, json: Any) -> Any:
        """Ask Airflow to change something, again where SQLite was locked by another of its processes and nothing was changed."""

        def pressed() -> list[Any]:
            try:
                return [self.stack.api(method, path, json)]
            except ApiError as error:
                if error.status != 500 or "Database error" not in str(error):
                    raise
                return []

        return self.stack.wait_for(pressed, f"Airflow to take {method} {path}", 60)[0]

    def trigger(self, batch_id: str, run_id: str = "", dag_id: str = "migrate_fenergo") -> DagRun:
        """What a person does with the trigger form."""
        asked = {"dag_run_id": run_id or f"{batch_id}.1", "logical_date": None, "conf": {"batch_id": batch_id}}
        self.press("POST", f"/dags/{dag_id}/dagRuns", asked)
        return DagRun(self, asked["dag_run_id"], dag_id)

    def found(self, run_id: str, dag_id: str) -> DagRun:
        """A DAG run that nobody triggered by hand, once it is there."""

        def there() -> bool:
            runs = self.stack.api("GET", f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
            return run_id in {run["dag_run_id"] for run in runs}

        self.stack.wait_for(there, f"{run_id} of {dag_id} to be there", PATIENCE, every=1.0)
        return DagRun(self, run_id, dag_id)

    def backfill(self, first: str, last: str, *, dag_id: str = "dispatch_batches", behaviour: str = "failed") -> None:
        """What a person types. Airflow refuses it while it has not yet called the last one complete, about half a minute."""
        days = ["--from-date", first, "--to-date", last, "--reprocess-behavior", behaviour]

        def taken() -> bool:
            try:
                self.stack.airflow("backfill", "create", "--dag-id", dag_id, *days)
            except StackError as error:
                if "AlreadyRunningBackfill" not in str(error) and "locked" not in str(error):
                    raise
                return False
            return True

        self.stack.wait_for(taken, "Airflow to take a backfill", PATIENCE, every=3.0)

    def dispatches(self, day: str) -> DagRun:
        """The dispatch that owns a day."""
        runs = self.stack.api("GET", "/dags/dispatch_batches/dagRuns", limit=100)["dag_runs"]
        mine = [run["dag_run_id"] for run in runs if str(run["data_interval_start"]).startswith(day)]
        assert len(mine) == 1
        return DagRun(self, mine[0], "dispatch_batches")

    def holders(self, task: dict[str, Any]) -> list[str]:
        """Titles of processes that work for one task instance: Airflow's supervisors and runners carry its id."""
        return [title for title in self.titles() if task["id"] in title]

    def holders_at_rest(self, task: dict[str, Any]) -> list[str]:
        """The same a moment after the task said that it waits, when its worker's process has ended; StackError if one stays."""
        self.stack.wait_for(lambda: not self.holders(task), "the worker to let go of the task", 60)
        return self.holders(task)

    def titles(self) -> list[str]:
        """Of every process of the stack, what it calls itself."""
        return [_title(process) for process in marked(self.stack.mark)]

    def at_rest(self) -> bool:
        """True while no task of any DAG run is at work or about to be, and the executor has noticed."""
        wanted = {"state": ["running", "queued", "scheduled", "restarting"], "limit": 1}
        tasks = self.stack.api("GET", "/dags/~/dagRuns/~/taskInstances", **wanted)["task_instances"]
        return not tasks and set(self.workers()) <= {IDLE}

    def workers(self) -> list[str]:
        """What the executor's processes and those of tasks call themselves."""
        return [title for title in self.titles() if title.startswith("airflow worker")]

    def answer(self, task: dict[str, Any], option: str, form: dict[str, Any] | None = None) -> None:
        """What a person does under *Required Actions*, who takes a moment to read what is asked.

        Airflow 3.3.2 fails a task whose answer comes between the end of its worker and the scheduler's next look at that.
        """
        self.holders_at_rest(task)
        read = time.monotonic() + 4
        self.stack.wait_for(lambda: time.monotonic() > read, "the scheduler to notice", 30)
        path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/-1/hitlDetails"
        self.press("PATCH", path, {"chosen_options": [option], "params_input": form or {}})

    def standing(self, batch_id: str, box: str = "quick") -> Standing:
        return self.ledger.standing("fenergo", self.boxes[box].url.removeprefix("http://"), batch_id)

    def last(self, batch_id: str, box: str = "quick") -> AttemptStanding:
        last = self.standing(batch_id, box).last
        assert last is not None
        return last


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""  # ended meanwhile


RUNNING: list[Stack] = []


def pytest_runtest_teardown(item, nextitem):
    """The stack ends with the last of these tests: idle, it would take a quarter of a core from all that come after them."""
    if nextitem is None or "real" not in nextitem.keywords:
        while RUNNING:
            RUNNING.pop().close()


@pytest.fixture(scope="session")
def ferry(tmp_path_factory):
    home = tmp_path_factory.mktemp("real")
    urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(BOXES, free_ports(len(BOXES)), strict=True)}
    connections = {}
    for name, url in urls.items():
        told = sandbox_connections(url)["fenergo_default"]
        connections[f"fenergo_{name}"] = told | {"extra": told["extra"] | {"max_live_runs": 50} | EXTRAS.get(name, {})}
    notices, anon = Notices(), anon_connections(urls["people"])["anon_default"]
    connections |= {"notices": notices.connection, "anon_default": anon | {"extra": anon["extra"] | NOTIFIER}}
    dags, batches = _dags(home / "dags"), home / "batches"
    stack = Stack(home / "stack", dags=dags, batches=batches, connections=connections, settings=SETTINGS)
    for name, url in urls.items():
        stack.services[name] = _sandbox(stack, name, url.rpartition(":")[2])
        stack.services[name].start()
    RUNNING.append(stack)
    with stack:
        make_pools(stack)
        wait_for_dags(
            stack,
            {
                "dispatch_batches",
                "migrate_fenergo",
                "migrate_microstrategy",
                "undo_microstrategy",
                "migrate_domo",
                "reverse_domo",
                "migrate_dmm",
                "stop_dmm",
                "watch_anon",
                "discover_anon",
            },
        )
        stack.api("PATCH", "/dags", {"is_paused": False}, dag_id_pattern="%")
        (dags / "discover_anon.py").touch()  # its watcher begins when the file of an unpaused DAG is read
        boxes = {name: Box(url) for name, url in urls.items()} | {"default": Box(stack.sandbox_url)}
        boxes["default"].ask("PUT", "/fenergo/switches", json=AT_ONCE)
        quick = {"package_seconds": 0, "validate_seconds": 0, "import_seconds": 0, "undo_seconds": 0}
        boxes["default"].ask("PUT", "/microstrategy/switches", json=quick)
        yield Ferry(stack, boxes, notices)
    notices.server.shutdown()
    notices.server.server_close()


def _dags(folder: Path) -> Path:
    """The DAGs as they are, but for one number: nobody waits five minutes here before a person is asked."""
    shutil.copytree(ROOT / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "migrate_fenergo.py"
    text, patient = file.read_text(encoding="utf-8"), "fenergo.FenergoConfirmStartOperator()"
    assert text.count(patient) == 1
    file.write_text(text.replace(patient, "fenergo.FenergoConfirmStartOperator(grace=timedelta(seconds=6))"), encoding="utf-8")
    return folder


def _sandbox(stack: Stack, name: str, port: str) -> Service:
    switches = [f"--switch=fenergo.{switch}={value}" for switch, value in BOXES[name].items()]
    return stack.service(name, "sandbox", "--port", port, "--data", str(stack.home / "boxes" / name), *switches)


@pytest.fixture(scope="session")
def runs(ferry):
    """Every DAG run that needs nobody's attention at first, begun together: waiting for many costs no more than for one."""
    ferry.boxes["vague"].fault("PUT", "*/start", "drop_before")
    ferry.boxes["lossy"].fault("PUT", "*/start", "drop_after")
    ferry.boxes["deadly"].fault("PUT", "*/s3/*", "delay", seconds=50)
    ferry.boxes["deadly"].fault("PUT", "*/start", "delay", seconds=10)
    begun = {}
    for batch_id, box in BATCHES.items():
        ferry.batch(batch_id, box)
        begun[batch_id] = ferry.trigger(batch_id)
    begun["twins by hand"] = ferry.trigger("twins", "twins.by-hand")
    return begun | _dispatched(ferry)


def _dispatched(ferry: Ferry) -> dict[str, DagRun]:
    """Three batches due on one day, of which the vendor refuses one, and one that recovers due on the next: dispatched once."""
    for batch_id, date in {"day-good": "1998-03-17", "day-other": "2007-11-30", "day-refused": "17.03.98"}.items():
        ferry.batch(batch_id, "default", due="2026-01-02", date=date)
    remedy = shutil.copytree(
        ROOT / "include/batches/fenergo/clients-alternate", ferry.stack.batches / "fenergo/clients-alternate"
    )
    for record in json.loads((remedy / "hand_made.json").read_text(encoding="utf-8")):
        ferry.boxes["default"].ask("POST", "/fenergo/records", json=record)
    ferry.backfill("2026-01-02", "2026-01-03")
    return {"dispatch": ferry.dispatches("2026-01-02"), "remedy dispatch": ferry.dispatches("2026-01-03")}


@pytest.fixture(scope="session")
def asked(ferry, runs):
    """A question that was answered with no, and the DAG run that was triggered after it."""
    run = runs["asked"]
    parked = run.until("confirm_start", "awaiting_input")
    told = {"parked": parked, "holders": ferry.holders_at_rest(parked)}
    told["asked"] = ferry.stack.api("GET", f"{run.path}/hitlDetails", response_received=False)["hitl_details"]
    ferry.answer(parked, "It was not started: close this attempt")
    told["end"] = run.end()
    return told | {"again": ferry.trigger("asked", "asked.2")}
