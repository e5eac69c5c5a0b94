"""Processes that are killed without a word, and answers that are lost."""

import os
import signal

import pytest

from ferry.ledger.entries import START, Kind, Verdict

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]


def kill_while(ferry, dag_run, task, method, path):
    """SIGKILL the process of a task while the sandbox holds its request back."""
    box = ferry.boxes["deadly"]
    ferry.stack.wait_for(lambda: box.requests(method, path), f"{method} {path}", 240, every=0.2)
    victim = dag_run.tasks[task]
    assert len(ferry.holders(victim)) == 2  # Airflow's supervisor in the executor's fork, and the task itself
    os.kill(victim["pid"], signal.SIGKILL)


def test_a_task_killed_while_it_uploads_or_starts_is_tried_again_and_starts_once(ferry, runs):
    run, box = runs["struck"], ferry.boxes["deadly"]
    kill_while(ferry, run, "upload_batch", "PUT", "*/s3/*")
    kill_while(ferry, run, "start_run", "PUT", "*/start")
    assert run.end() == "success"
    assert {name: run.tasks[name]["try_number"] for name in ("upload_batch", "start_run")} == {"upload_batch": 2, "start_run": 2}
    last = ferry.last("struck", "deadly")
    assert last.verdict is Verdict.BALANCED
    assert [migration["starts"] for migration in box.migrations] == [1]
    assert box.starts(last.ref) == 1
    assert len(last.starts) == 1


def test_a_person_is_asked_where_nothing_proves_the_start_and_asking_holds_nothing(ferry, asked):
    assert (asked["holders"], asked["parked"]["trigger"]) == ([], None)
    question = asked["asked"][0]
    assert question["subject"] == "Was the run of batch asked started?"
    assert question["options"] == ["It was started: wait for it", "It was not started: close this attempt"]
    first = ferry.standing("asked", "vague").attempts[0]
    assert first.attempt.key in question["body"]
    assert asked["end"] == "failed"
    assert first.verdict is Verdict.ABANDONED
    assert "admin says that the run was not started" in first.reason
    assert ferry.boxes["vague"].starts(first.ref) == 1  # the request that was dropped; nobody sent another


def test_a_start_whose_answer_is_lost_is_proved_by_the_vendors_word_and_nobody_is_asked(ferry, runs):
    run, box = runs["proved"], ferry.boxes["lossy"]
    assert run.end() == "success"
    last = ferry.last("proved", "lossy")
    assert last.latest(START, Kind.ADOPTED) is not None
    assert not [entry for entry in last.entries if entry.kind is Kind.ASKED]
    assert box.starts(last.ref) == 1
