"""Waiting holds no worker, survives the triggerer, and is ended by a person without touching the vendor's run.

The migration goes on for hours in a sandbox of its own; only the last test lets its clock run on.
"""

import psutil
import pytest

from ferry.ledger.entries import Verdict
from ferry.vendors import all_vendors
from scripts.processes import marked

IDLE = "airflow worker -- LocalExecutor: <idle>"
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def waiting(ferry, runs):
    """A DAG run that waits for the slow sandbox."""
    runs["waits"].until("await_run", "deferred")
    return runs["waits"]


@pytest.fixture
def ref(ferry, waiting):
    return ferry.last("waits", "slow").ref


def looks_at(ferry, ref):
    return len(ferry.boxes["slow"].requests("GET", f"*/migration/{ref}"))


def worker_logs(ferry, run, task):
    """Log files that a worker wrote; the triggerer's are called `attempt=N.log.trigger.M.log`."""
    folder = ferry.stack.home / "logs" / "tasks" / f"dag_id={run.dag_id}" / f"run_id={run.run_id}" / f"task_id={task}"
    return sorted(path.name for path in folder.glob("attempt=*.log") if ".trigger." not in path.name)


def test_while_a_run_is_waited_for_no_worker_process_exists_and_no_slot_is_taken(ferry, waiting):
    ferry.stack.wait_for(ferry.at_rest, "all tasks to end or wait", 240, every=1.0)
    task = waiting.tasks["await_run"]
    assert (task["state"], task["pid"], task["hostname"]) == ("deferred", None, "")
    assert task["triggerer_job"]["state"] == "running"

    workers = ferry.workers()
    assert workers
    assert set(workers) == {IDLE}
    assert ferry.holders(task) == []

    pools = ferry.stack.api("GET", "/pools")["pools"]
    assert {pool["name"]: (pool["occupied_slots"], pool["running_slots"], pool["queued_slots"]) for pool in pools} == {
        "default_pool": (0, 0, 0),
        **{vendor.pool: (0, 0, 0) for vendor in all_vendors().values()},
    }
    assert worker_logs(ferry, waiting, "await_run") == []


def test_the_stack_finds_every_process_of_its_own_whatever_it_calls_itself(ferry, waiting):
    leaders = [psutil.Process(service.pid) for service in ferry.stack.services.values()]
    family = [*leaders, *(child for leader in leaders for child in leader.children(recursive=True))]
    known = set(marked(ferry.stack.mark))
    lost = [process for process in family if process not in known and process.is_running()]
    assert [process.pid for process in lost if process.status() != psutil.STATUS_ZOMBIE] == []
    assert len(family) > len(leaders)


def test_a_wait_goes_on_when_its_triggerer_is_killed(ferry, waiting, ref):
    stack, box = ferry.stack, ferry.boxes["slow"]
    entries, sent = ferry.last("waits", "slow").entries, box.sent()
    stack.kill("triggerer")
    looked = looks_at(ferry, ref)
    stack.start_service("triggerer")
    stack.wait_for(lambda: looks_at(ferry, ref) > looked, "looks to go on", 120)
    task = waiting.tasks["await_run"]
    assert (task["state"], task["try_number"]) == ("deferred", 1)
    assert ferry.last("waits", "slow").entries == entries
    assert box.sent() == sent
    assert len([asked for asked in sent if asked.endswith("start")]) == 1
    assert ferry.ledger.verify("fenergo") == []


def test_marking_a_wait_as_failed_leaves_the_vendors_run_alone_and_clearing_goes_on(ferry, waiting, ref):
    box = ferry.boxes["slow"]
    waiting.mark("await_run", "failed")
    assert waiting.end() == "failed"
    assert ferry.last("waits", "slow").verdict is Verdict.UNKNOWN
    ferry.stack.wait_for(lambda: "no way to cancel: its run goes on" in waiting.log("await_run"), "the log to say so", 60)
    assert [migration["status"] for migration in box.migrations] == ["Processing"]

    looked = looks_at(ferry, ref)
    waiting.clear(only_failed=True)
    waiting.until("await_run", "deferred")
    ferry.stack.wait_for(lambda: looks_at(ferry, ref) > looked, "the vendor to be looked at again", 120)
    assert box.starts(ref) == 1


def test_the_wait_ends_when_the_vendor_is_done_and_no_worker_ever_ran_it(ferry, waiting, ref):
    box = ferry.boxes["slow"]
    box.ask("POST", "/clock", json={"advance": 4000})
    assert waiting.end() == "success"
    assert ferry.last("waits", "slow").verdict is Verdict.BALANCED
    assert box.starts(ref) == 1
    tasks = waiting.tasks
    for name in ("await_prepared", "await_run", "await_records"):
        assert (tasks[name]["state"], tasks[name]["pid"], tasks[name]["hostname"]) == ("success", None, ""), name
        assert worker_logs(ferry, waiting, name) == [], name
    assert worker_logs(ferry, waiting, "start_run") == ["attempt=1.log"]  # so that this test would see one
