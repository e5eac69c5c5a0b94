"""One task for each datasource, a worker that is killed in the middle of a call, and a person who clears what is red."""

import os
import signal

import pytest

from ferry.ledger.entries import Kind, Verdict

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]
MIGRATE, REVERSE = "migrate_domo", "reverse_domo"
ORDERS, LINES, CUSTOMERS = (
    "dad9f31d-2629-5c93-857d-20d566a2243a",
    "a3e6938d-ce9f-5038-a922-582f0e3b2d29",
    "F0c1afb48-6198-5f5f-bdbf-f92c0df161be",
)
MANIFEST = f"""vendor: domo
due: 2020-01-01
domo:
  type: mysql-federated
  account_id: "41"
  at_once: 1
  datasources:
    - {{id: {ORDERS}, catalog: sales_db, schema: "NULL", table: Orders}}
    - {{id: {LINES}, catalog: sales_db, schema: "NULL", table: order_lines}}
    - {{id: {CUSTOMERS}, catalog: sales_db, schema: "NULL", table: Customers}}
"""


def ask(ferry, method, path, **how):
    return ferry.boxes["default"].ask(method, path, **how)


def posts(ferry, path):
    return ask(ferry, "GET", "/requests", params={"vendor": "domo", "method": "POST", "path": path})


def last(ferry):
    found = ferry.ledger.standing("domo", ferry.boxes["default"].url.removeprefix("http://"), "struck").last
    assert found is not None
    return found


@pytest.fixture(scope="module")
def struck(ferry):
    """A DAG run whose first worker dies while Domo works on its call, and of which Domo aborts the second datasource."""
    folder = ferry.stack.batches / "domo" / "struck"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    ask(ferry, "PUT", "/domo/switches", json={"migrate_seconds": 10.0, "outcomes": f"{LINES}:ABORTED,COMPLETE"})
    run = ferry.trigger("struck", dag_id=MIGRATE)
    ferry.stack.wait_for(lambda: posts(ferry, f"*/{ORDERS}/accounts/*"), "the call to be sent", 240, every=0.2)
    victim = run.tasks["start_run0"]
    os.kill(victim["pid"], signal.SIGKILL)
    ask(ferry, "PUT", "/domo/switches", json={"migrate_seconds": 0.2})
    watching = run.until("start_run0", "deferred")
    return {"run": run, "holders": ferry.holders_at_rest(watching), "end": run.end()}


def test_a_call_whose_worker_was_killed_is_never_sent_again_and_the_list_proves_it(ferry, struck):
    assert len(posts(ferry, f"*/{ORDERS}/accounts/*")) == 1
    known = [entry for entry in last(ferry).entries if entry.key == ORDERS and entry.step == "start_run"]
    assert [entry.kind for entry in known] == [Kind.INTENT, Kind.ADOPTED]
    assert struck["run"].tasks["start_run0"]["try_number"] == 2
    assert struck["holders"] == []


def test_each_datasource_has_a_task_of_its_own_with_its_name(struck):
    tasks = struck["run"].tasks
    assert [tasks[f"start_run{index}"]["rendered_map_index"] for index in range(3)] == [ORDERS, LINES, CUSTOMERS]


def test_what_domo_aborted_is_red_at_once_and_nothing_else_is(ferry, struck):
    assert struck["end"] == "failed"
    states = struck["run"].states
    assert {name: states[name] for name in states if name.startswith("start_run")} == {
        "start_run0": "success",
        "start_run1": "failed",
        "start_run2": "success",
    }
    assert (states["confirm_start"], states["fetch_errors"], states["settle_batch"]) == ("success", "success", "failed")
    assert (struck["run"].tasks["start_run1"]["try_number"], states["decide_mend"], states["mend_run"]) == (
        1,
        "success",
        "skipped",
    )
    assert "Nothing about it was changed" in struck["run"].log("start_run", map_index=1)


def test_clearing_what_is_red_sends_that_and_nothing_else(ferry, struck):
    run = struck["run"]
    run.clear(only_failed=True)
    run.until("start_run1", "success")
    ferry.stack.wait_for(lambda: run.state in ("success", "failed"), "the DAG run to end again", 240, every=1.0)
    run.clear()  # a green task that is not red is cleared with the whole run: the ledger knows what is done
    assert run.end() == "success"
    assert last(ferry).verdict is Verdict.BALANCED
    assert [len(posts(ferry, f"*/{one}/accounts/*")) for one in (ORDERS, LINES, CUSTOMERS)] == [1, 2, 1]
    assert ask(ferry, "GET", "/domo/state")["most_at_once"] == 1
    assert [one["starts"] for one in ask(ferry, "GET", "/domo/state")["posts"]] == [1, 1, 1]


def test_a_reversal_waits_for_a_person(ferry, struck):
    run = ferry.trigger("struck", "struck.reverse", dag_id=REVERSE)
    parked = run.until("approve_undo", "awaiting_input")
    (question,) = ferry.stack.api("GET", f"{run.path}/hitlDetails", response_received=False)["hitl_details"]
    assert "3 datasources" in question["body"]
    assert ferry.holders_at_rest(parked) == []
    ferry.answer(parked, "Approve")
    assert run.end() == "success"
    assert last(ferry).verdict is Verdict.UNDONE
    assert ask(ferry, "GET", "/domo/state")["v2"] == []
