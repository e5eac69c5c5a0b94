"""The vendor's rules for edits, one by one: each is refused before anything is sent, in the vendor's words."""

import pytest
from libraries import ATTRIBUTE, FINANCE, METRIC, RULES, SALES

from ferry.ledger.entries import Verdict

EDIT = "edit_microstrategy"
PROJECTS = {"Sales": "A" + "1" * 31, "Finance": "B" + "2" * 31}
OBJECT = {"id": ATTRIBUTE, "type": 12, "action": "replace", "includeDependents": False}


def member(project="Sales"):
    named = {"id": PROJECTS[project], "name": project}
    return {
        "packageInfo": {"type": "project", "project": named, "tocView": {"settings": {}, "content": [OBJECT]}},
        "importInfo": {},
    }


def single(libraries, **more):
    return libraries.made_by_hand(kind="migration", name="by hand", body=member(), **more)


def group(libraries, **more):
    body = {"migrations": [member("Finance"), member("Sales")]}
    return libraries.made_by_hand(kind="group", name="by hand", body=body, **more)


def edit(libraries, driver, ref, which="migration", batch_id="b", **section):
    told = {"edit": {which: ref}} | (section or {"packages": [SALES]})
    libraries.batch(batch_id, told, dag=EDIT, connection="microstrategy_source")
    return driver.play(EDIT, batch_id=batch_id)


def is_refused(libraries, run, rule, batch_id="b"):
    assert (run.state, run.states["edit_run"]) == ("failed", "upstream_failed"), run.messages
    assert rule in run.errors["check_batch"][-1], run.errors["check_batch"][-1]
    assert run.errors["check_batch"][-1].endswith("Nothing was sent.")
    assert libraries.sent() == []
    assert libraries.last(batch_id).verdict is Verdict.REFUSED


@pytest.mark.parametrize("request_word", ["requested", "approved"])
def test_no_edit_once_the_import_is_asked_for(libraries, driver, request_word):
    run = edit(libraries, driver, single(libraries, importRequestStatus=request_word))
    rule = "locked" if request_word == "approved" else "its import is requested, and only one that is pending or rejected"
    is_refused(libraries, run, rule)


def test_an_edit_after_a_rejection_is_allowed_and_takes_the_request_back(libraries, driver):
    ref = single(libraries, importRequestStatus="rejected")
    run = edit(libraries, driver, ref)
    assert run.state == "success", run.messages
    assert libraries.record(ref, "source")["importInfo"]["importRequestStatus"] == "pending"


def test_no_edit_while_the_package_is_being_made(libraries, driver):
    libraries.switch(package_seconds=3600.0)
    run = edit(libraries, driver, single(libraries, created=False))
    is_refused(libraries, run, "its package is creating, and only one that is created or create_failed can be edited.")


def test_a_package_that_could_not_be_made_can_be_edited(libraries, driver):
    libraries.switch(missing_objects=ATTRIBUTE)
    ref = single(libraries, created=False)
    assert libraries.record(ref, "source")["packageInfo"]["status"] == "create_failed"
    libraries.switch(missing_objects="")
    assert edit(libraries, driver, ref).state == "success"


def test_a_group_with_one_package_that_could_not_be_made_can_be_edited_though_the_next_is_empty(libraries, driver):
    libraries.switch(missing_objects=ATTRIBUTE)
    ref = group(libraries, created=False)
    words = {one["packageInfo"]["status"] for one in libraries.record(f"migrationGroups/{ref}", "source")["migrations"]}
    assert words == {"create_failed", "empty"}
    libraries.switch(missing_objects="")
    run = edit(libraries, driver, ref, "group", packages=[FINANCE, SALES])
    assert run.state == "success", run.messages


def test_a_group_that_is_locked_cannot_be_edited_at_all(libraries, driver):
    run = edit(libraries, driver, group(libraries, importRequestStatus="approved"), "group", packages=[FINANCE, SALES])
    is_refused(libraries, run, "A group with one member that cannot be edited cannot be edited at all.")


def test_a_group_with_one_locked_member_cannot_be_edited_at_all(libraries, driver):
    ref = group(libraries, locked=["Sales"])
    words = [one["packageInfo"]["status"] for one in libraries.record(f"migrationGroups/{ref}", "source")["migrations"]]
    assert words == ["created", "locked"]
    run = edit(libraries, driver, ref, "group", packages=[FINANCE])
    is_refused(libraries, run, "the package of Sales is locked, and only one that is created or create_failed can be edited.")
    assert "A group with one member that cannot be edited cannot be edited at all." in run.errors["check_batch"][-1]


def test_a_group_is_edited_as_a_whole_and_may_lose_and_gain_members(libraries, driver):
    ref = group(libraries)
    marketing = SALES | {"project": "Marketing"}
    run = edit(libraries, driver, ref, "group", name="another", packages=[marketing, SALES])
    assert run.state == "success", run.messages
    there = libraries.record(f"migrationGroups/{ref}", "source")
    assert there["name"] == "another"
    assert [one["packageInfo"]["project"]["name"] for one in there["migrations"]] == ["Marketing", "Sales"]
    assert libraries.last().counts.accepted == 4


def test_an_uploaded_migration_cannot_be_edited(libraries, driver):
    libraries.migration("m", transport="file")
    assert driver.play("migrate_microstrategy", batch_id="m").state == "success"
    sent = libraries.sent()
    ref = libraries.last("m").ref
    libraries.batch("b", {"edit": {"migration": ref}, "packages": [SALES]}, dag=EDIT)
    run = driver.play(EDIT, batch_id="b")
    assert "it was uploaded as a file, and an uploaded migration cannot be edited." in run.errors["check_batch"][-1]
    assert libraries.sent() == sent


def test_the_targets_copy_cannot_be_edited(libraries, driver):
    ref = single(libraries, imported_on="target")
    libraries.batch("b", {"edit": {"migration": ref}, "packages": [SALES]}, dag=EDIT)
    run = driver.play(EDIT, batch_id="b")
    is_refused(libraries, run, "this is the target's copy; edits are for the source only.")


def test_type_and_purpose_stay_as_they_are(libraries, driver):
    configuration = {
        "type": "configuration",
        "rules": RULES,
        "objects": [{"id": METRIC, "type": "schedule", "action": "replace"}],
    }
    run = edit(libraries, driver, single(libraries), packages=[configuration])
    is_refused(libraries, run, "An edit cannot change type from project to configuration: type and purpose of a package stay")
    merge = {"project": "Sales", "rules": RULES, "merge": {}}
    run = edit(libraries, driver, single(libraries), batch_id="c", packages=[merge])
    is_refused(libraries, run, "purpose from object_migration to project_merge", "c")


def test_a_package_cannot_be_moved_to_another_project(libraries, driver):
    run = edit(libraries, driver, single(libraries), packages=[FINANCE])
    is_refused(libraries, run, "The package is of project Sales, and an edit cannot move it to another.")


def test_a_project_that_is_not_there_is_named(libraries, driver):
    run = edit(libraries, driver, single(libraries), packages=[SALES | {"project": "Slaes"}])
    assert (
        "The source shows this user no project 'Slaes'; it shows Finance, HR, Marketing, Sales." in run.errors["check_batch"][-1]
    )
    assert libraries.sent() == []


def test_a_record_that_nobody_knows_is_refused_with_what_to_check(libraries, driver):
    run = edit(libraries, driver, f"{'A' * 32}:{'B' * 32}")
    assert "knows no" in run.errors["find_run"][-1]
    assert "Check the id, and that `connection` leads to the source." in run.errors["find_run"][-1]
    assert libraries.last().verdict is Verdict.REFUSED


def test_a_batch_that_made_nothing_names_nothing(libraries, driver):
    libraries.batch("b", {"edit": {"batch": "nobody"}, "packages": [SALES]}, dag=EDIT, connection="microstrategy_source")
    run = driver.play(EDIT, batch_id="b")
    assert "Batch nobody has made none that the ledger knows of" in run.errors["find_run"][-1]


def test_a_manifest_for_another_dag_is_told_which(libraries, driver):
    libraries.batch("b", {"edit": {"migration": single(libraries)}, "packages": [SALES]}, connection="microstrategy_source")
    run = driver.play("migrate_microstrategy", batch_id="b")
    assert "Write `dag: edit_microstrategy` into the manifest" in run.errors["admit_batch"][-1]


def test_an_architect_may_edit_and_may_not_approve(libraries, driver, monkeypatch):
    libraries.as_user(monkeypatch, "microstrategy_source", "architect")
    assert edit(libraries, driver, single(libraries)).state == "success"
    libraries.migration("m")
    run = driver.play("migrate_microstrategy", batch_id="m")
    assert run.errors["lock_package"][-1].startswith("microstrategy answered set importRequestStatus with HTTP 403: ERR014")
    assert libraries.state["counters"]["imports"] == 0
