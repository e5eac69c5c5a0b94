"""Five hundred runs are waited for when the triggerer dies: all are looked at again, in turn, and nothing else is asked.

Five hundred whole DAG runs would take an hour, so a DAG of this test's own maps one wait over attempts that stand in the ledger
as admission and start would have left them. Their migrations are real: made, uploaded to and started in a sandbox of their own.
"""

import hashlib
import json
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from airflow.sdk import Connection
from sqlalchemy import event
from tests.real.conftest import COMPANIES, HERD_RATE, RUNNING, DagRun

from ferry.core.model import Receipt, RunState
from ferry.ledger.entries import Draft, Kind, Origin
from ferry.vendors.fenergo import sandbox_connections
from ferry.vendors.fenergo.hook import FenergoHook
from scripts.client import ApiError

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]
MANY = 500
SECONDS = 240
POOL_SIZE = 100
"""Connections that the client opens at most."""
ME = Origin("wait_for_herd", "herd.1")
DAG = """
from datetime import timedelta

from airflow.sdk import dag

from ferry.vendors.fenergo.operators import FenergoAwaitRunOperator

ATTEMPT = "fenergo://{environment}/herd-{{{{ ti.map_index }}}}/1"


class Herd(FenergoAwaitRunOperator):
    # Of a mapped task Airflow reads them from the class.
    start_trigger_args = FenergoAwaitRunOperator(attempt=ATTEMPT, longest_pause=timedelta(seconds=15)).start_trigger_args

    def __init__(self, *, number=0, **kwargs):
        super().__init__(**kwargs)


@dag(schedule=None)
def wait_for_herd():
    Herd.partial(task_id="await_run", pool="herd").expand(number=list(range({many})))


wait_for_herd()
"""


class Herd:
    """The waits, the vendor they wait for, and the triggerer that waits."""

    def __init__(self, ferry):
        self.ferry, self.stack, self.box, self.ledger = ferry, ferry.stack, ferry.boxes["herd"], ferry.ledger
        self.environment = self.box.url.removeprefix("http://")
        self.file = Path(self.stack.env["AIRFLOW__CORE__DAGS_FOLDER"]) / "wait_for_herd.py"
        told = sandbox_connections(self.box.url)["fenergo_default"]
        told["extra"] = json.dumps(told["extra"] | {"requests_per_second": 0})
        self.hook = FenergoHook("herd", Connection(conn_id="herd", **told))
        self.run, self.most_connections = DagRun(ferry, ME.run_id, ME.dag_id), 0
        self.ledger.migrate()
        event.listen(self.ledger.database.engine, "connect", _in_a_hurry)

    def begin(self, folder):
        """A DAG run that waits for all of them. Airflow finds the new file while the migrations are made."""
        self.file.write_text(DAG.format(environment=self.environment, many=MANY), encoding="utf-8")
        self.ferry.press("POST", "/pools", {"name": "herd", "slots": 1, "include_deferred": False, "description": "one place"})
        with ThreadPoolExecutor(4) as pool:
            for number, ref in enumerate(pool.map(self._migrate, range(MANY), [folder] * MANY)):
                self._write(number, ref)
        self.hook.close()
        self.stack.wait_for(self._is_known, "Airflow to know the herd's DAG", SECONDS)
        self.ferry.press("PATCH", f"/dags/{ME.dag_id}", {"is_paused": False})
        self.ferry.press("POST", f"/dags/{ME.dag_id}/dagRuns", {"dag_run_id": ME.run_id, "logical_date": None})

    def end(self):
        """Leave nothing behind that would be looked at, whatever became of the tests."""
        self.file.unlink(missing_ok=True)
        if not RUNNING:  # these were the last tests, and the stack is gone
            return
        with suppress(ApiError):  # it was never found
            self.ferry.press("DELETE", self.run.path, None)
        self.ferry.press("DELETE", "/pools/herd", None)

    def count(self, state):
        """How many tasks are in that state."""
        return self._page(state=state, limit=1)["total_entries"]

    @property
    def tasks(self):
        pages = [self._page(limit=100, offset=start) for start in range(0, MANY, 100)]
        return [task for page in pages for task in page["task_instances"]]

    @property
    def worker_logs(self):
        """Log files that a worker wrote; the triggerer's are called `attempt=N.log.trigger.M.log`."""
        folder = self.stack.home / "logs" / "tasks" / f"dag_id={ME.dag_id}"
        return [path for path in folder.rglob("attempt=*.log") if ".trigger." not in path.name]

    def asked(self, since=0):
        """What the vendor was asked after its request number `since`."""
        return self.box.ask("GET", "/requests", params={"vendor": "fenergo", "since": since})

    def all_were_looked_at(self, since):
        """Whether each was looked at since; how many connections there are is counted on the way."""
        self._count_connections()
        return len({one["path"] for one in self.asked(since) if one["method"] == "GET"}) == MANY

    def attempts(self):
        standing = (self.ledger.standing("fenergo", self.environment, f"herd-{number}") for number in range(MANY))
        return [found.last for found in standing]

    def _page(self, **which):
        return self.stack.api("GET", f"{self.run.path}/taskInstances", **which)

    def _is_known(self):
        try:
            return self.stack.api("GET", f"/dags/{ME.dag_id}")
        except ApiError:
            return None

    def _count_connections(self):
        port = int(self.box.url.rpartition(":")[2])
        leader = psutil.Process(self.stack.services["triggerer"].pid)
        family = [leader, *leader.children(recursive=True)]
        open_ones = [one for process in family for one in process.net_connections("tcp") if one.raddr and one.raddr.port == port]
        self.most_connections = max(self.most_connections, len(open_ones))

    def _migrate(self, number, folder):
        file = folder / f"{number}.csv"
        file.write_text(f'{COMPANIES}"herd-{number}","Łódź {number} S.A.","PL","1998-03-17"\n', encoding="utf-8")
        content = file.read_bytes()
        receipt = Receipt("Company", file.name, len(content), hashlib.sha256(content).hexdigest(), 1)
        run = self.hook.call(lambda api: api.create("Migration"))
        self.hook.call(lambda api: api.upload(run, file, file.name, receipt))
        return self.hook.call(lambda api: api.start(run)).ref

    def _write(self, number, ref):
        data = {"connection": "fenergo_herd"}
        batch = ("fenergo", self.environment, f"herd-{number}")
        attempt = self.ledger.admit(*batch, "0" * 64, ME, is_live=lambda _: True, data=data).attempt
        self.ledger.intend(attempt, "start_run", origin=ME, ref=ref)
        facts = {"ref": ref, "state": RunState.QUEUED}
        self.ledger.append(Draft(attempt=attempt, step="start_run", kind=Kind.RESULT, origin=ME, **facts))


@pytest.fixture(scope="module")
def herd(ferry, tmp_path_factory):
    found = Herd(ferry)
    try:
        found.begin(tmp_path_factory.mktemp("herd"))
        yield found
    finally:
        found.end()


@pytest.fixture(scope="module")
def restarted(herd):
    """The triggerer was killed while all were waited for, and every one has been looked at since; what was asked since."""
    sent, last = herd.box.sent(), herd.asked()[-1]["n"]
    herd.stack.kill("triggerer")
    herd.stack.start_service("triggerer")
    herd.stack.wait_for(lambda: herd.all_were_looked_at(last), "every run to be looked at again", SECONDS)
    return {"sent": sent, "asked": herd.asked(last)}


def busiest(asked, seconds):
    """The most requests that came within so many seconds."""
    times = sorted(datetime.fromisoformat(one["real_at"]).timestamp() for one in asked)
    return max(bisect_left(times, begin + seconds) - at for at, begin in enumerate(times))


def _in_a_hurry(connection, _record):
    """The fifteen hundred entries of the attempts need not outlive a power cut, and the disk is slow."""
    connection.execute("PRAGMA synchronous = OFF")


def test_five_hundred_waits_hold_no_worker_and_no_slot(herd):
    herd.stack.wait_for(lambda: herd.count("deferred") == MANY, "all to be waited for", SECONDS)
    herd.stack.wait_for(lambda: herd.all_were_looked_at(0), "every run to be looked at", SECONDS)
    tasks = herd.tasks
    assert {(task["state"], task["pid"], task["hostname"]) for task in tasks} == {("deferred", None, "")}
    titles = " ".join(herd.ferry.titles())
    assert [task["id"] for task in tasks if task["id"] in titles] == []
    assert herd.worker_logs == []
    pool = herd.stack.api("GET", "/pools/herd")
    assert (pool["slots"], pool["occupied_slots"], pool["deferred_slots"]) == (1, 0, MANY)


def test_after_a_restart_all_are_looked_at_again_in_turn_and_nothing_is_sent(herd, restarted):
    assert herd.count("deferred") == MANY
    assert herd.box.sent() == restarted["sent"]
    others = [f"{one['method']} {one['path']}" for one in restarted["asked"] if one["method"] != "GET"]
    assert others == ["POST /fenergo/connect/token"]
    assert busiest(restarted["asked"], 5) <= 5 * HERD_RATE * 1.2  # a busy machine may let the vendor hear some late
    assert 0 < herd.most_connections <= POOL_SIZE


def test_all_end_when_the_vendor_is_done_and_each_end_stands_once_in_the_ledger(herd, restarted):
    herd.box.ask("POST", "/clock", json={"advance": 4000})
    assert herd.run.end() == "success"
    assert herd.count("success") == MANY
    ends = [[entry for entry in attempt.entries if entry.step == "await_run"] for attempt in herd.attempts()]
    assert {len([entry for entry in mine if entry.kind is Kind.RESULT]) for mine in ends} == {1}
    assert {mine[-1].state for mine in ends} == {RunState.SUCCEEDED}
    assert herd.box.sent() == restarted["sent"]
    assert {migration["starts"] for migration in herd.box.migrations} == {1}
    assert herd.ledger.verify("fenergo") == []
