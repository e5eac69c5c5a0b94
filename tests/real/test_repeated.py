"""Asking again for what is done or being done: clear, a second trigger, twins, and the places of an environment."""

import httpx  # noqa: TID251  # the ledger page as a browser asks for it
import pytest

from ferry.ledger.entries import Verdict
from scripts.client import ApiError

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]


@pytest.fixture
def twins(ferry, runs):
    """Two DAG runs for one batch, triggered together: the one that worked, and the one that had nothing to do."""
    both = [runs["twins"], runs["twins by hand"]]
    assert [run.end() for run in both] == ["success", "success"]
    return sorted(both, key=lambda run: run.run_id != ferry.last("twins").holder.run_id)


@pytest.fixture
def balanced(ferry, runs):
    """A DAG run whose batch balances."""
    assert runs["proved"].end() == "success"
    assert ferry.last("proved", "lossy").verdict is Verdict.BALANCED
    return runs["proved"]


def rest_of(states):
    return {state for name, state in states.items() if name != "admit_batch"}


def test_of_twins_one_works_and_the_other_names_it(ferry, twins):
    working, idle = twins
    assert working.states["settle_batch"] == "success"
    assert idle.states["admit_batch"] == "success"
    assert rest_of(idle.states) == {"skipped"}
    assert f"is held by DAG run {working.run_id} of migrate_fenergo, which still runs" in idle.log("admit_batch")
    assert ferry.last("twins").verdict is Verdict.BALANCED
    assert [migration["starts"] for migration in ferry.boxes["quick"].migrations] == [1]
    assert len(ferry.standing("twins").attempts) == 1


def test_airflow_itself_refuses_a_twin_of_the_same_name(ferry, runs):
    with pytest.raises(ApiError) as refused:
        ferry.trigger("twins")
    assert refused.value.status == 409


def test_clearing_a_whole_balanced_run_sends_nothing_and_ends_green(ferry, twins):
    run, before = twins[0], ferry.standing("twins")
    run.clear()
    assert run.end() == "success"
    assert run.states["admit_batch"] == "success"
    assert rest_of(run.states) == {"skipped"}
    assert "balances; nothing is left to do" in run.log("admit_batch", 2)
    assert ferry.standing("twins").head == before.head
    assert [migration["starts"] for migration in ferry.boxes["quick"].migrations] == [1]


def test_a_second_trigger_of_a_balanced_batch_is_skipped_and_says_why(ferry, balanced):
    second = ferry.trigger("proved", "proved.by-hand")
    assert second.end() == "success"
    assert second.states["admit_batch"] == "success"
    assert rest_of(second.states) == {"skipped"}
    assert "Nothing is sent: " in second.log("admit_batch")
    assert "balances; nothing is left to do" in second.log("admit_batch")
    assert [migration["starts"] for migration in ferry.boxes["lossy"].migrations] == [1]


def test_clearing_single_green_tasks_sends_nothing_and_they_go_green_again(ferry, balanced):
    box, ref = ferry.boxes["lossy"], ferry.last("proved", "lossy").ref
    cleared = ["open_run", "upload_batch", "start_run", "await_run", "settle_batch"]
    tries = {name: ti["try_number"] for name, ti in balanced.tasks.items()}
    balanced.clear(*cleared)
    assert balanced.end() == "success"
    again = {name: ti["state"] for name, ti in balanced.tasks.items() if ti["try_number"] > tries[name]}
    assert again == dict.fromkeys(cleared, "success")
    assert box.starts(ref) == 1
    assert len(box.requests("PUT", "*/s3/*")) == 1
    assert [migration["starts"] for migration in box.migrations] == [1]
    assert ferry.last("proved", "lossy").verdict is Verdict.BALANCED


def test_no_more_runs_are_live_than_the_connection_allows(ferry, runs):
    both = [runs["narrow-a"], runs["narrow-b"]]
    assert [run.end() for run in both] == ["success", "success"]
    waited = [run for run in both if "must wait: 1 of at most 1 vendor runs are live" in run.log("start_run")]
    assert len(waited) == 1
    box = ferry.boxes["narrow"]
    first, second = sorted(box.migrations, key=lambda migration: migration["completedDate"])
    started = {ref: box.requests("PUT", f"*/{ref}/start") for ref in (first["id"], second["id"])}
    assert [len(asked) for asked in started.values()] == [1, 1]
    assert started[second["id"]][0]["at"] > first["completedDate"]


def test_the_ledger_page_wants_a_login_and_tasks_lead_to_it(ferry, balanced):
    stack, batch = ferry.stack, ferry.last("proved", "lossy").attempt
    with httpx.Client(base_url=stack.base_url, follow_redirects=True, trust_env=False) as browser:
        assert browser.get("/ferry/").status_code == 401
        user = {"username": "admin", "password": stack.password}
        token = browser.post("/auth/token", json=user).json()["access_token"]
        browser.headers["Authorization"] = f"Bearer {token}"
        listed = browser.get("/ferry/", params={"verdict": "balanced"})  # the herd's five hundred have none
        assert (listed.status_code, batch.environment in listed.text) == (200, True)

        opened = browser.get("/ferry/open")
        assert (opened.status_code, "Cannot be read" in opened.text) == (200, False)
        assert "migrate_fenergo</a>" in opened.text or "Nothing is open." in opened.text

        links = stack.api("GET", f"{balanced.path}/taskInstances/upload_batch/links")["extra_links"]
        assert not links["Vendor"]  # the connection names no address of the vendor's pages
        page = browser.get(links["Ledger"])
        assert page.status_code == 200
        assert all(word in page.text for word in (batch.batch_id, batch.environment, "start_run"))


def test_after_a_no_another_trigger_makes_a_new_attempt_with_a_new_run(ferry, asked):
    assert asked["again"].end() == "success"
    first, second = ferry.standing("asked", "vague").attempts
    assert (second.attempt.number, second.verdict) == (2, Verdict.BALANCED)
    starts = {migration["id"]: migration["starts"] for migration in ferry.boxes["vague"].migrations}
    assert starts == {first.ref: 0, second.ref: 1}
