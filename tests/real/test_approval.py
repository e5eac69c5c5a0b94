"""A person approves an import under *Required Actions*, through Airflow's own API: what they see and what an answer does."""

import pytest

from ferry.ledger.entries import Kind, Verdict

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]
MIGRATE, UNDO = "migrate_microstrategy", "undo_microstrategy"
OBJECTS = "".join(f'"{n:032X}","{kind}","replace"\n' for n, kind in enumerate(["attribute", "attribute", "metric"], 1))
MANIFEST = """vendor: microstrategy
title: A release that somebody has to approve
due: 2020-01-01
connection: microstrategy_target
microstrategy:
  validation: true
  packages: [{project: Sales, rules: {default_action: use_existing}, objects: objects.csv}]
"""


@pytest.fixture(scope="module")
def approved(ferry):
    """A batch that was imported after a person's yes, with what they were shown."""
    folder = ferry.stack.batches / "microstrategy" / "release"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    (folder / "objects.csv").write_text('"id","type","action"\n' + OBJECTS, encoding="utf-8")
    run = ferry.trigger("release", dag_id=MIGRATE)
    parked = run.until("approve", "awaiting_input")
    imports = ferry.boxes["default"].ask("GET", "/microstrategy/state")["counters"]["imports"]
    (question,) = ferry.stack.api("GET", f"{run.path}/hitlDetails", response_received=False)["hitl_details"]
    holders, pools = ferry.holders_at_rest(parked), ferry.stack.api("GET", "/pools/microstrategy_api")
    ferry.answer(parked, "Approve", {"comment": "agreed on Tuesday"})
    return {"run": run, "question": question, "imports": imports, "holders": holders, "pool": pools, "end": run.end()}


def standing(ferry):
    return ferry.ledger.standing("microstrategy", ferry.boxes["default"].url.removeprefix("http://"), "release")


def test_the_question_has_enough_to_decide(approved):
    question = approved["question"]
    assert question["subject"] == "Import batch release into the target?"
    assert question["options"] == ["Approve", "Reject"]
    for told in (
        "A release that somebody has to approve",
        "From **source**",
        "To **target**",
        "Asked for by admin",
        "Validation on the target: validated",
        "Can be undone afterwards: yes",
        "| Sales | attribute | replace | 2 |",
        "| Sales | metric | replace | 1 |",
    ):
        assert told in question["body"], told
    assert "comment" in question["params"]


def test_nothing_is_imported_and_nothing_is_held_while_a_person_is_asked(approved):
    assert approved["imports"] == 0
    assert approved["holders"] == []
    assert (approved["pool"]["occupied_slots"], approved["pool"]["slots"]) == (0, 1)


def test_the_answer_goes_into_the_ledger_and_the_import_follows(ferry, approved):
    assert approved["end"] == "success"
    last = standing(ferry).last
    (said,) = [entry for entry in last.entries if entry.step == "approve" and entry.kind is Kind.RESULT]
    assert (said.note, said.origin.who) == ("admin said approve: agreed on Tuesday.", "admin")
    assert (last.verdict, last.counts.accepted) == (Verdict.BALANCED, 3)
    assert ferry.boxes["default"].ask("GET", "/microstrategy/state")["counters"]["imports"] == 1


def test_every_wait_began_and_ended_in_the_triggerer(ferry, approved):
    folder = ferry.stack.home / "logs" / "tasks" / f"dag_id={MIGRATE}" / f"run_id={approved['run'].run_id}"
    for task in ("await_prepared", "await_validation", "await_run"):
        names = [path.name for path in (folder / f"task_id={task}").glob("attempt=*.log")]
        assert names, task
        assert all(".trigger." in name for name in names), task


def test_a_person_says_no_to_an_undo_and_then_yes(ferry, approved):
    first = ferry.trigger("release", "release.undo", dag_id=UNDO)
    ferry.answer(first.until("approve_undo", "awaiting_input"), "Reject", {"comment": "wait for the quarter's end"})
    assert first.end() == "failed"
    assert standing(ferry).last.verdict is Verdict.BALANCED
    second = ferry.trigger("release", "release.undo-again", dag_id=UNDO)
    ferry.answer(second.until("approve_undo", "awaiting_input"), "Approve")
    assert second.end() == "success"
    assert standing(ferry).last.verdict is Verdict.UNDONE
    state = ferry.boxes["default"].ask("GET", "/microstrategy/state")
    assert (state["counters"]["undos"], state["target"]["objects"]["Sales"]) == (1, [])
