"""Migrations of Anon's through the real DAGs: what people do, what a migration lead sees of it, and what it comes to.

A person's story goes along with the driver's clock: whoever waits lets it go on, and nothing else does.
"""

import json
import os

import pytest
from organisation import CONNECTION, DISCOVER, FILES, LIST, PARTS, TASKS, WATCH, settle

from ferry.ledger.entries import Kind, Verdict
from ferry.steps import dispatching
from ferry.vendors.anon import discovering

BY_DAY = {"poll_seconds": 86400}


@pytest.fixture
def organisation(organisation, driver, monkeypatch):
    organisation.switch(story_scale=30.0)
    organisation.house.control("POST", "/clock", json={"speed": 0})
    settle(monkeypatch, poll_seconds=10, read_timeout=10)  # a slow machine is no fault of Anon's
    driver.clock.beside = organisation.advance
    return organisation


def waited(driver, patience_of="await_run"):
    """What the DAG's task waits for, in seconds."""
    task = driver.dags[WATCH].get_task(patience_of)
    return task.start_trigger_args.trigger_kwargs["patience"] if patience_of == "await_run" else task.patience.total_seconds()


# How migrations end


@pytest.mark.parametrize(
    ("story", "seen"),
    [
        ("completes", ["NOT_STARTED", "WORKING", "COMPLETE"]),
        ("stalls", ["NOT_STARTED", "WORKING", "PENDING_USER_INPUT", "WORKING", "COMPLETE"]),
        ("strange", ["NOT_STARTED", "WORKING", "VERIFYING", "COMPLETE"]),
        ("service", ["NOT_READY", "WORKING", "COMPLETE"]),
    ],
)
def test_a_migration_that_ends_well_is_watched_through_all_its_words_and_balances(organisation, driver, story, seen):
    run = organisation.watched(driver, story)
    assert run.state == "success", run.messages
    assert organisation.words() == seen
    assert organisation.last().verdict is Verdict.BALANCED
    assert organisation.counts() == {"sent": 4, "accepted": 4}
    assert run.states["fetch_errors"] == "skipped"
    organisation.holds()


def test_the_files_are_kept_as_they_are_with_a_list_of_what_they_are(organisation, driver):
    assert organisation.watched(driver).state == "success"
    first, second = organisation.rows("collect_files", "files.csv")
    assert (first["type"], second["type"]) == ("EmployeeDetails", "EmployeeRoster-CSV")
    assert second["evidence"].endswith(".csv")
    content = organisation.house.evidence.joinpath(second["evidence"]).read_text("utf-8")
    assert content.startswith("employee_id,name,started_on\n")
    assert int(second["bytes"]) == len(content.encode())
    assert {row["key"] for row in organisation.rows("reconcile", "tasks.csv")} != set()
    organisation.holds()


def test_a_partial_success_is_red_and_names_what_failed(organisation, driver):
    run = organisation.watched(driver, "partly")
    last = organisation.last()
    assert (run.state, last.verdict, last.is_open) == ("failed", Verdict.UNBALANCED, True)
    assert organisation.counts() == {"sent": 4, "accepted": 3, "rejected": 1}
    (failed,) = organisation.rows("fetch_errors", "failed.csv")
    assert (failed["type"], failed["category"], failed["status"]) == ("EmployeeW2Previews", "TAX", "FAILED")
    assert "COMPLETED_WITH_FAILURES" in run.message
    assert "3 are done, 1 rejected" in run.message
    organisation.holds()


def test_a_failed_migration_is_red_with_counts_and_files_of_what_was_done_before(organisation, driver):
    run = organisation.watched(driver, "fails")
    last = organisation.last()
    assert (run.state, last.verdict, last.is_open, last.run_state) == ("failed", Verdict.UNBALANCED, True, "failed_dirty")
    assert organisation.counts() == {"sent": 4, "accepted": 1, "rejected": 1, "unprocessed": 2}
    assert "a person does so in the modal, as another migration" in run.message
    assert len(organisation.rows("fetch_errors", "failed.csv")) == 3
    organisation.holds()


def test_files_that_a_failed_migration_left_are_kept(organisation, driver):
    run = organisation.watched(driver, "fails")
    assert (run.state, run.states["collect_files"]) == ("failed", "success")
    (kept,) = organisation.rows("collect_files", "files.csv")
    assert kept["type"] == "EmployeeRoster-CSV"
    organisation.holds()


def test_a_person_who_gave_up_at_the_login_leaves_an_abandoned_batch_that_is_closed(organisation, driver):
    run = organisation.watched(driver, "abandons")
    last = organisation.last()
    assert (run.state, last.verdict, last.is_open) == ("failed", Verdict.ABANDONED, False)
    assert run.states["reconcile"] == "skipped"
    assert "gave up at the login" in run.message
    assert "nothing was moved" in run.message
    organisation.holds()


@pytest.mark.parametrize(("story", "word"), [("forgets", "NOT_STARTED"), ("stuck", "PENDING_USER_INPUT")])
def test_what_nobody_ends_is_given_up_after_two_weeks_and_goes_on_when_cleared(organisation, driver, monkeypatch, story, word):
    settle(monkeypatch, **BY_DAY)
    run = organisation.watched(driver, story)
    last = organisation.last()
    assert (run.state, run.states["await_run"], last.is_open) == ("failed", "failed", True)
    assert f"did not end within 336.0 h; its last word was '{word}'" in run.errors["await_run"][-1]
    assert "clear await_run to wait on" in run.errors["await_run"][-1]
    assert last.verdict is Verdict.UNKNOWN
    organisation.act(last.ref, *(["login"] if story == "forgets" else ["supply"]), "finish")
    driver.clear(run, "await_run", batch_id="b")
    assert (run.state, organisation.last().verdict) == ("success", Verdict.BALANCED), run.messages
    assert organisation.last().attempt.number == 1
    organisation.holds()


def test_a_word_that_nobody_documented_is_watched_to_the_end_of_patience(organisation, driver, monkeypatch):
    settle(monkeypatch, **BY_DAY)
    run = organisation.watched(driver, [[0, "VERIFYING"]])
    assert "its last word was 'VERIFYING'" in run.errors["await_run"][-1]
    assert organisation.last().run_state == "running"
    organisation.holds()


def test_two_weeks_are_what_the_dag_waits_for(driver):
    assert waited(driver) == waited(driver, "find_run") == 14 * 86400


# What the manifest and the connection say


def test_a_partial_success_may_be_accepted_beforehand_and_is_listed_all_the_same(organisation, driver):
    run = organisation.watched(driver, "partly", accept_partial=True)
    assert (run.state, organisation.last().verdict) == ("success", Verdict.BALANCED), run.messages
    assert organisation.counts() == {"sent": 4, "accepted": 3, "waived": 1}
    (failed,) = organisation.rows("fetch_errors", "failed.csv")
    assert failed["type"] == "EmployeeW2Previews"
    assert "1 waived" in organisation.last().reason
    organisation.holds()


def test_a_partial_success_may_be_accepted_afterwards_by_the_manifest(organisation, driver):
    first = organisation.watched(driver, "partly")
    ref = organisation.last().ref
    assert first.state == "failed"
    organisation.batch(migration=ref, accept_partial=True)
    again = driver.play(WATCH, batch_id="b")
    last = organisation.last()
    assert (again.state, last.verdict, last.attempt.number, last.ref) == ("success", Verdict.BALANCED, 2, ref), again.messages
    assert organisation.standing().attempts[0].verdict is Verdict.SUPERSEDED
    organisation.holds()


def test_what_is_accepted_as_partial_balances_also_where_all_of_its_parts_are_done(organisation, driver):
    done = {"tasks": [[part, "COMPLETE"] for part in PARTS]}
    run = organisation.watched(driver, "partly", wish=done)
    assert (run.state, organisation.last().verdict) == ("failed", Verdict.UNBALANCED)
    assert "yet Anon calls the migration 'COMPLETED_WITH_FAILURES'" in run.message
    organisation.batch(migration=organisation.last().ref, accept_partial=True)
    again = driver.play(WATCH, batch_id="b")
    assert (again.state, organisation.counts()) == ("success", {"sent": 4, "accepted": 4}), again.messages
    organisation.holds()


def test_accepting_a_partial_success_accepts_no_failure(organisation, driver):
    run = organisation.watched(driver, "fails", accept_partial=True)
    assert (run.state, organisation.last().verdict) == ("failed", Verdict.UNBALANCED)
    assert "waived" not in organisation.counts()
    organisation.holds()


def test_the_parts_of_a_failure_may_be_waived_by_a_person_and_then_it_balances(organisation, driver):
    run = organisation.watched(driver, "partly")
    (row,) = [row for row in organisation.rows("reconcile", "tasks.csv") if row["counted as"] == "rejected"]
    record = f"{row['table']},{row['key']}"
    waived = driver.play("waive_records", vendor="anon", batch_id="b", records=[record], reason="typed in by hand meanwhile")
    assert waived.state == "success", waived.messages
    driver.clear(run, "reconcile", batch_id="b")
    assert (run.state, organisation.last().verdict) == ("success", Verdict.BALANCED), run.messages
    assert organisation.counts() == {"sent": 4, "accepted": 3, "waived": 1}
    organisation.holds()


def test_what_is_waived_and_is_no_part_of_the_migration_counts_for_nothing(organisation, driver):
    run = organisation.watched(driver, "partly")
    driver.play("waive_records", vendor="anon", batch_id="b", records=["TAX,nobody"], reason="typed in by hand meanwhile")
    driver.clear(run, "reconcile", batch_id="b")
    assert (run.state, organisation.counts()) == ("failed", {"sent": 4, "accepted": 3, "rejected": 1})
    organisation.holds()


@pytest.mark.parametrize(
    ("story", "counts"),
    [
        ("completes", {"sent": 1, "accepted": 1}),
        ("partly", {"sent": 1, "rejected": 1}),
        ("fails", {"sent": 1, "rejected": 1}),
    ],
)
def test_without_a_path_of_tasks_the_migration_counts_as_one(organisation, driver, monkeypatch, story, counts):
    settle(monkeypatch, tasks_path=None)
    run = organisation.watched(driver, story)
    assert run.state == ("success" if story == "completes" else "failed"), run.messages
    assert organisation.counts() == counts
    assert organisation.requests(path=TASKS) == []
    if story != "completes":
        (entry,) = [one for one in organisation.last().entries if one.step == "fetch_errors"]
        assert "the connection has no path of tasks: look at Anon's dashboard" in entry.note
    organisation.holds()


def test_a_partial_success_without_a_path_of_tasks_may_be_accepted_or_waived(organisation, driver, monkeypatch):
    settle(monkeypatch, tasks_path=None)
    assert organisation.watched(driver, "partly", accept_partial=True).state == "success"
    assert organisation.counts() == {"sent": 1, "waived": 1}
    ref = organisation.begin("partly")
    organisation.batch("c", migration=ref)
    run = driver.play(WATCH, batch_id="c")
    record = f"migration,{ref}"
    driver.play("waive_records", vendor="anon", batch_id="c", records=[record], reason="typed in by hand meanwhile")
    driver.clear(run, "reconcile", batch_id="c")
    assert (run.state, organisation.counts("c")) == ("success", {"sent": 1, "waived": 1})
    organisation.holds("b", "c")


def test_without_a_path_of_files_none_are_asked_for_and_the_ledger_says_so(organisation, driver, monkeypatch):
    settle(monkeypatch, files_path=None)
    run = organisation.watched(driver)
    assert run.state == "success", run.messages
    assert organisation.requests(path=FILES) == []
    (entry,) = [one for one in organisation.last().entries if one.step == "collect_files"]
    assert "has no path of files" in entry.note
    organisation.holds()


def test_a_migration_without_files_is_no_failure(organisation, driver):
    organisation.switch(files_per_migration=0)
    assert organisation.watched(driver).state == "success"
    assert organisation.rows("collect_files", "files.csv") == []
    organisation.holds()


def test_a_migration_that_is_listed_before_it_can_be_looked_at_is_adopted_none_the_less(organisation, driver):
    organisation.switch(late_get_seconds=50)
    ref = organisation.begin()
    run = driver.play(DISCOVER)
    assert run.state == "success"
    assert organisation.last(ref).verdict is Verdict.BALANCED, driver.runs[WATCH, f"{ref}.1"].messages
    organisation.holds(ref)


def test_an_id_that_is_nobodys_is_red_and_says_so(organisation, driver):
    organisation.batch(migration="nobody")
    run = driver.play(WATCH, batch_id="b")
    assert (run.state, run.states["find_run"]) == ("failed", "failed")
    assert "404" in run.errors["find_run"][-1]
    organisation.holds()


# A migration that is known by something else than its id


@pytest.mark.parametrize("by", ["company_id", "user_id", "migration_id", "status"])
def test_what_is_looked_for_is_adopted_when_it_is_there_already(organisation, driver, by):
    organisation.begin("forgets", company_id="other", created_by_user_id="other")
    ref = organisation.begin("service", company_id="acme", created_by_user_id="ann")
    wanted = {"company_id": "acme", "user_id": "ann", "migration_id": ref, "status": ["NOT_READY", "WORKING"]}
    organisation.batch(find={by: wanted[by]})
    run = driver.play(WATCH, batch_id="b")
    assert (run.state, organisation.last().ref) == ("success", ref), run.messages
    organisation.holds()


def test_it_is_waited_for_until_somebody_begins_what_is_looked_for(organisation, driver):
    organisation.batch(find={"company_id": "acme", "user_id": "ann"})
    organisation.begin("forgets", company_id="acme", created_by_user_id="ben")
    begun = []

    def somebody_begins(seconds):
        organisation.advance(seconds)
        if not begun and len(organisation.requests(path=LIST)) > 20:
            begun.append(organisation.begin(company_id="acme", created_by_user_id="ann"))

    driver.clock.beside = somebody_begins
    run = driver.play(WATCH, batch_id="b")
    assert (run.state, [organisation.last().ref]) == ("success", begun), run.messages
    organisation.holds()


def test_only_what_was_made_since_then_is_adopted(organisation, driver):
    organisation.begin("forgets", created_ago=86400 * 400)
    ref = organisation.begin()
    organisation.batch(find={"created_after": "2026-01-01T00:00:00Z"})
    run = driver.play(WATCH, batch_id="b")
    assert (run.state, organisation.last().ref) == ("success", ref), run.messages
    organisation.holds()


def test_a_moment_that_is_still_to_come_is_refused_at_once(organisation, driver):
    organisation.batch(find={"created_after": "2999-01-01T00:00:00Z"})
    run = driver.play(WATCH, batch_id="b")
    assert "which is still to come. Correct the manifest" in run.errors["find_run"][-1]
    assert organisation.requests() == []


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_if_several_fit_all_are_named_and_a_person_chooses(organisation, driver, when):
    organisation.batch(find={"company_id": "acme"})
    refs = []

    def begin(seconds=0.0):
        organisation.advance(seconds)
        while len(refs) < 2:
            refs.append(organisation.begin(company_id="acme"))

    if when == "before":
        begin()
    driver.clock.beside = begin
    run = driver.play(WATCH, batch_id="b")
    assert (run.state, run.states["find_run"]) == ("failed", "failed")
    said = run.errors["find_run"][-1]
    assert said.startswith("2 migrations fit")
    assert all(ref in said for ref in refs)
    assert organisation.last().ref == ""
    organisation.batch(migration=refs[1])
    again = driver.play(WATCH, batch_id="b")
    assert (again.state, organisation.last().ref) == ("success", refs[1]), again.messages
    organisation.holds()


def test_if_nobody_begins_it_the_batch_is_red_and_goes_on_when_somebody_has(organisation, driver, monkeypatch):
    settle(monkeypatch, **BY_DAY)
    organisation.batch(find={"company_id": "acme"})
    run = driver.play(WATCH, batch_id="b")
    assert (run.state, run.states["find_run"]) == ("failed", "failed")
    assert "No migration that fits b was there within 14 days" in run.errors["find_run"][-1]
    ref = organisation.begin(company_id="acme")
    again = driver.play(WATCH, batch_id="b")
    assert (again.state, organisation.last().ref, organisation.last().attempt.number) == ("success", ref, 1), again.messages
    organisation.holds()


def test_what_another_batch_watches_is_not_watched_twice(organisation, driver):
    assert organisation.watched(driver).state == "success"
    organisation.batch("c", migration=organisation.last().ref)
    run = driver.play(WATCH, batch_id="c")
    assert (run.state, run.states["find_run"]) == ("failed", "failed")
    assert "is watched as batch b already" in run.errors["find_run"][-1]
    assert "take c away" in run.errors["find_run"][-1]
    organisation.holds("b", "c")


# What becomes of a batch that is settled and triggered again


def test_a_balanced_batch_is_left_alone(organisation, driver):
    assert organisation.watched(driver).state == "success"
    asked = len(organisation.requests())
    again = driver.play(WATCH, batch_id="b")
    assert (again.state, again.states["find_run"]) == ("success", "skipped")
    assert len(organisation.requests()) == asked


def test_an_abandoned_batch_that_is_triggered_again_is_another_attempt_with_the_same_end(organisation, driver):
    organisation.watched(driver, "abandons")
    again = driver.play(WATCH, batch_id="b")
    first, second = organisation.standing().attempts
    assert (again.state, first.verdict, second.verdict) == ("failed", Verdict.ABANDONED, Verdict.ABANDONED)
    assert first.ref == second.ref
    organisation.holds()


def test_a_failed_batch_that_is_triggered_again_is_the_same_attempt_and_its_files_are_kept_once(organisation, driver):
    organisation.watched(driver, "partly")
    loaded = len(organisation.requests(path="*/s3/*"))
    again = driver.play(WATCH, batch_id="b")
    last = organisation.last()
    assert (again.state, last.verdict, last.attempt.number) == ("failed", Verdict.UNBALANCED, 1)
    assert loaded == len(organisation.requests(path="*/s3/*")) == 2
    organisation.holds()


def test_of_two_dag_runs_at_once_the_second_does_nothing(organisation, driver):
    organisation.batch(migration=organisation.begin())
    twins = []
    before = {"collect_files": lambda: twins.append(driver.play(WATCH, batch_id="b"))}
    run = driver.play(WATCH, batch_id="b", before=before)
    assert (run.state, twins[0].states["find_run"]) == ("success", "skipped")
    organisation.holds()


# Discovery


def watches(driver):
    """The run ids of the DAG runs that watch."""
    return sorted(run_id for dag_id, run_id in driver.runs if dag_id == WATCH)


def test_each_new_migration_becomes_a_batch_that_is_watched_to_its_end(organisation, driver):
    refs = [organisation.begin(), organisation.begin("stalls"), organisation.begin("partly")]
    run = driver.play(DISCOVER)
    assert (run.state, run.mapped["watch"]) == ("success", {0: "success", 1: "success", 2: "success"}), run.messages
    assert watches(driver) == sorted(f"{ref}.1" for ref in refs)
    verdicts = [organisation.last(ref).verdict for ref in refs]
    assert verdicts == [Verdict.BALANCED, Verdict.BALANCED, Verdict.UNBALANCED]
    assert organisation.manifest(refs[0])["anon"] == {"migration": refs[0], "accept_partial": False}
    organisation.holds(*refs)


def test_nothing_new_is_green_and_triggers_nothing(organisation, driver):
    run = driver.play(DISCOVER)
    assert (run.state, run.states["watch"], watches(driver)) == ("success", "skipped", [])
    organisation.holds()


def test_discovering_again_makes_nothing_twice(organisation, driver):
    ref = organisation.begin()
    driver.play(DISCOVER)
    manifest = (organisation.folder(ref) / "manifest.yaml").read_bytes()
    entries = len(organisation.standing(ref).entries)
    again = driver.play(DISCOVER)
    assert (again.state, again.states["watch"]) == ("success", "skipped")
    assert (organisation.folder(ref) / "manifest.yaml").read_bytes() == manifest
    assert len(organisation.standing(ref).entries) == entries
    organisation.holds(ref)


def test_discovering_while_what_was_found_is_not_yet_watched_triggers_no_twin(organisation, driver):
    refs = [organisation.begin(), organisation.begin()]
    nested = []
    run = driver.play(DISCOVER, before={"watch[1]": lambda: nested.append(driver.play(DISCOVER, run_id="nested"))})
    assert (run.state, nested[0].state) == ("success", "success")
    for ref in refs:
        assert (organisation.last(ref).verdict, organisation.last(ref).attempt.number) == (Verdict.BALANCED, 1)
        assert len(organisation.last(ref).openings) == 1
    organisation.holds(*refs)


def test_the_connections_word_on_partial_successes_goes_into_the_manifest(organisation, driver, monkeypatch):
    settle(monkeypatch, accept_partial=True)
    ref = organisation.begin("partly")
    driver.play(DISCOVER)
    assert organisation.last(ref).verdict is Verdict.BALANCED
    assert organisation.manifest(ref)["anon"]["accept_partial"] is True
    organisation.holds(ref)


def test_what_was_made_before_watch_since_is_left_alone(organisation, driver, monkeypatch):
    settle(monkeypatch, watch_since="2026-06-01T00:00:00Z")
    old, new = organisation.begin(created_ago=86400 * 400), organisation.begin()
    assert driver.play(DISCOVER).state == "success"
    assert watches(driver) == [f"{new}.1"]
    assert not organisation.folder(old).exists()
    organisation.holds(new)


def test_what_ended_while_nobody_watched_is_taken_up_again_as_the_same_attempt(organisation, driver, monkeypatch):
    settle(monkeypatch, **BY_DAY)
    ref = organisation.begin("forgets")
    driver.play(DISCOVER)
    assert driver.runs[WATCH, f"{ref}.1"].states["await_run"] == "failed"
    assert driver.play(DISCOVER).states["watch"] == "skipped", "as long as it has not ended there is nothing new"
    organisation.act(ref, "login", "finish")
    assert driver.play(DISCOVER).states["watch"] == "success"
    last = organisation.last(ref)
    assert (last.verdict, last.attempt.number, watches(driver)) == (Verdict.BALANCED, 1, [f"{ref}.1"])
    assert driver.runs[WATCH, f"{ref}.1"].state == "success"
    assert driver.play(DISCOVER).states["watch"] == "skipped"
    organisation.holds(ref)


def test_a_migration_that_could_not_be_adopted_is_tried_at_the_next_run(organisation, driver):
    ref = organisation.begin()
    organisation.fault(f"*/migrations/{ref}", "status", status=403, times=None)
    driver.play(DISCOVER)
    assert driver.runs[WATCH, f"{ref}.1"].states["find_run"] == "failed"
    organisation.clear_weather()
    driver.play(DISCOVER)
    assert (organisation.last(ref).verdict, organisation.last(ref).attempt.number) == (Verdict.BALANCED, 1)
    organisation.holds(ref)


def test_a_batch_of_the_same_name_about_something_else_is_not_touched_and_stops_no_other(organisation, driver, caplog):
    taken, other = organisation.begin(), organisation.begin()
    organisation.batch(taken, migration="something-else")
    before = (organisation.folder(taken) / "manifest.yaml").read_bytes()
    run = driver.play(DISCOVER)
    assert (run.state, watches(driver)) == ("success", [f"{other}.1"])
    assert (organisation.folder(taken) / "manifest.yaml").read_bytes() == before
    assert f"Batch anon/{taken} is about something else" in caplog.text
    organisation.holds(other)


def test_a_batch_that_a_person_has_written_for_the_same_migration_is_watched_as_it_is(organisation, driver):
    ref = organisation.begin("partly")
    organisation.batch(ref, migration=ref, accept_partial=True)
    driver.play(DISCOVER)
    assert organisation.last(ref).verdict is Verdict.BALANCED
    organisation.holds(ref)


def test_more_than_one_run_can_map_are_left_for_the_next_and_named(organisation, driver, monkeypatch, caplog):
    monkeypatch.setattr(discovering, "MOST", 3)
    refs = [organisation.begin(created_ago=1000 - 100 * number) for number in range(5)]
    first = driver.play(DISCOVER)
    assert (len(first.mapped["watch"]), watches(driver)) == (3, sorted(f"{ref}.1" for ref in refs[:3]))
    assert "5 migrations are more than one run can map" in caplog.text
    assert all(ref in caplog.text for ref in refs[3:])
    driver.play(DISCOVER)
    assert watches(driver) == sorted(f"{ref}.1" for ref in refs)
    assert {organisation.last(ref).verdict for ref in refs} == {Verdict.BALANCED}
    organisation.holds(*refs)


def test_one_run_maps_no_more_than_airflow_does():
    assert discovering.MOST == dispatching.MOST == 1024


def test_a_folder_that_cannot_be_written_is_told_and_the_next_run_finds_the_migration_again(organisation, driver, caplog):
    ref = organisation.begin()
    in_the_way = organisation.folder(ref).parent
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("a file where a folder is to be", encoding="utf-8")
    run = driver.play(DISCOVER)
    assert (run.state, run.states["watch"]) == ("success", "skipped")
    assert f"Batch anon/{ref} could not be written" in caplog.text
    assert "Let Airflow's workers write" in caplog.text
    in_the_way.unlink()
    driver.play(DISCOVER)
    assert organisation.last(ref).verdict is Verdict.BALANCED
    organisation.holds(ref)


def test_a_manifest_that_a_killed_worker_left_empty_is_written_anew(organisation, driver):
    ref = organisation.begin()
    organisation.folder(ref).mkdir(parents=True)
    (organisation.folder(ref) / "manifest.yaml").touch()
    driver.play(DISCOVER)
    assert organisation.last(ref).verdict is Verdict.BALANCED
    organisation.holds(ref)


@pytest.mark.parametrize("ref", ["mig_MADEUP 01", "Ünïcode/../x", "a" * 150])
def test_an_id_that_makes_no_name_is_watched_under_one_that_does(organisation, driver, ref):
    organisation.begin(id=ref)
    run = driver.play(DISCOVER)
    batch_id = discovering.batch_id_of(ref)
    assert (run.state, watches(driver)) == ("success", [f"{batch_id}.1"])
    assert (organisation.last(batch_id).ref, organisation.last(batch_id).verdict) == (ref, Verdict.BALANCED)
    organisation.holds(batch_id)


def test_only_the_connections_of_the_run_are_read(organisation, driver, monkeypatch):
    told = json.loads(os.environ[CONNECTION])
    monkeypatch.setenv("AIRFLOW_CONN_ANON_TWO", json.dumps(told))
    ref = organisation.begin()
    run = driver.play(DISCOVER, connections=["anon_two"])
    assert run.state == "success"
    assert organisation.manifest(ref)["connection"] == "anon_two"
    (opened,) = organisation.last(ref).openings
    assert opened.data["connection"] == "anon_two"
    organisation.holds(ref)


# Telling people


def test_a_person_is_told_once_for_each_time_the_migration_comes_to_wait(organisation, driver, monkeypatch):
    organisation.notify(monkeypatch)
    run = organisation.watched(driver, "stalls")
    assert run.state == "success", run.messages
    assert organisation.told == ["NOT_STARTED, reminder False", "PENDING_USER_INPUT, reminder False"]
    assert [one.note for one in organisation.tellings()] == [
        "Told by FileNotifier: a person must open the modal, log in and start it.",
        "Told by FileNotifier: it has stopped until the person supplies what it asks for in the modal.",
    ]
    organisation.holds()


def test_a_person_is_told_again_when_it_waits_again(organisation, driver, monkeypatch):
    settle(monkeypatch, poll_seconds=60)
    organisation.notify(monkeypatch)
    pause = [[600, "PENDING_USER_INPUT"], [600, "WORKING"]]
    run = organisation.watched(driver, [[0, "WORKING"], *pause, *pause, [600, "COMPLETE"]])
    assert run.state == "success", run.messages
    assert organisation.told == ["PENDING_USER_INPUT, reminder False"] * 2
    organisation.holds()


def test_whoever_does_nothing_is_reminded_once_and_never_again(organisation, driver, monkeypatch):
    settle(monkeypatch, poll_seconds=21600)
    organisation.notify(monkeypatch, remind_after=36000)
    run = organisation.watched(driver, "forgets")
    assert run.states["await_run"] == "failed"
    assert organisation.told == ["NOT_STARTED, reminder False", "NOT_STARTED, reminder True"]
    told, reminded = organisation.tellings()
    assert (told.key, reminded.key) == (told.key, f"{told.key}.reminder")
    assert reminded.note.startswith("Reminded by FileNotifier")
    driver.clear(run, "await_run", batch_id="b")
    assert len(organisation.told) == 2, "nor when the wait begins anew"
    organisation.holds()


@pytest.mark.parametrize(("remind_after", "times"), [(None, 2), (0, 1)])
def test_a_day_is_how_long_it_takes_unless_told_otherwise_and_nought_is_never(
    organisation, driver, monkeypatch, remind_after, times
):
    settle(monkeypatch, poll_seconds=21600)
    organisation.notify(monkeypatch, remind_after=remind_after)
    waits = []
    driver.clock.beside = lambda seconds: waits.append((seconds, len(organisation.told)))
    organisation.watched(driver, "forgets")
    assert len(organisation.told) == times
    if times == 2:
        assert 86400 < sum(seconds for seconds, told in waits if told < 2) < 86400 + 1.2 * 21600
    organisation.holds()


def test_without_a_notifier_nobody_is_told_and_no_worker_is_troubled(organisation, driver):
    run = organisation.watched(driver, "stalls")
    assert (run.state, organisation.told, organisation.tellings()) == ("success", [], [])
    organisation.holds()


def test_a_notifier_that_fails_does_not_end_the_wait_and_what_it_said_is_nowhere(
    organisation, driver, monkeypatch, caplog, capfd
):
    organisation.notify(monkeypatch, "BrokenNotifier", secret="made-up-secret")
    run = organisation.watched(driver, "completes")
    assert run.state == "success", run.messages
    (entry,) = organisation.tellings()
    assert entry.note == "BrokenNotifier could not tell anybody. It raised ConnectionError. The wait goes on."
    everything = caplog.text + "".join(capfd.readouterr()) + str(organisation.last().entries)
    assert "could not tell anybody" in everything
    assert "no route" not in everything
    assert "made-up-secret" not in everything
    organisation.holds()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere.Notifier", "There is no nowhere.Notifier. Correct `notifier` in the connection."),
        ("pathlib.Path", "pathlib.Path is no notifier of Airflow's. Correct `notifier` in the connection."),
    ],
)
def test_a_notifier_that_is_none_does_not_end_the_wait_and_the_ledger_says_what_to_correct(
    organisation, driver, monkeypatch, path, says
):
    organisation.notify(monkeypatch, path)
    run = organisation.watched(driver)
    assert run.state == "success", run.messages
    (entry,) = organisation.tellings()
    assert says in entry.note
    assert "The wait goes on." in entry.note
    organisation.holds()


def test_arguments_that_the_notifier_does_not_take_are_told_without_being_repeated(organisation, driver, monkeypatch):
    organisation.notify(monkeypatch, webhook="made-up-secret")
    run = organisation.watched(driver)
    assert run.state == "success", run.messages
    (entry,) = organisation.tellings()
    assert "does not take the arguments in the connection's `notifier_arguments`" in entry.note
    assert "made-up-secret" not in entry.note
    organisation.holds()


def test_what_is_said_is_rendered_with_the_migration_and_with_what_airflow_offers(organisation, driver, monkeypatch):
    text = (
        "{{ migration.id }}|{{ migration.why }}|{{ migration.company_id }}|{{ migration.created_by_user_id }}|"
        "{{ migration.batch_id }}|{{ 'again' if reminder else 'first' }}|{{ run_id }}|{{ ti.task_id }}"
    )
    organisation.notify(monkeypatch, text=text)
    run = organisation.watched(driver, wish={"company_id": "acme", "created_by_user_id": "ann"})
    assert run.state == "success", run.messages
    ref, why = organisation.last().ref, "a person must open the modal, log in and start it"
    assert organisation.told == [f"{ref}|{why}|acme|ann|b|first|{run.run_id}|await_run"]
    organisation.holds()


def test_the_wish_to_tell_is_in_the_ledger_before_what_came_of_it(organisation, driver, monkeypatch):
    organisation.notify(monkeypatch)
    organisation.watched(driver)
    kinds = [one.kind for one in organisation.last().entries if one.step == "tell_person"]
    assert kinds == [Kind.INTENT, Kind.RESULT]
