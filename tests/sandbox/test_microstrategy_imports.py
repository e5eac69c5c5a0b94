"""What an import does to the objects of the made-up target, and how an undo takes it back."""

import pytest
from tests.sandbox.library import (
    FINANCE,
    HR,
    MARKETING,
    MARKETING_ON_TARGET,
    PROFIT,
    REGION,
    SALES,
    USER,
    package,
    refused,
    thing,
)

FOUR = [thing(f"{place:032X}") for place in (1, 2, 3, 4)]


def status(library, key):
    return library.look(key)["importInfo"]["status"]


def change(both, key, half, **values):
    """PUT the record to the target with something changed in one half."""
    body = both.source.look(key)
    body["packageInfo"]["replicated"] = True
    body[half] |= values
    return both.target.call("PUT", f"/migrations/{key}", SALES, json=body)


# Importing


def test_an_import_is_answered_briefly_while_it_runs(both):
    both.switch(import_seconds=5.0)
    body = both.bring(both.source.locked()).json()
    assert set(body) == {"id", "packageInfo", "importInfo"}
    assert (body["packageInfo"]["status"], body["importInfo"]["status"]) == ("locked", "importing")


def test_the_target_keeps_a_replicated_record_of_its_own(both):
    key = both.moved()
    seen = [both.source.look(key), both.target.look(key)]
    assert [one["packageInfo"]["replicated"] for one in seen] == [False, True]
    assert [one["importInfo"]["status"] for one in seen] == ["pending", "imported"]


def test_the_target_holds_what_was_imported(both):
    both.moved(told=package(thing(includeDependents=True, name="Region")))
    held = list(both.held().values())
    assert {
        "id": REGION,
        "type": "12",
        "action": "replace",
        "include_dependents": "true",
        "name": "Region",
        "explicit": "true",
    } in held
    assert [one["explicit"] for one in held if one["id"] != REGION] == ["false"]


def test_nothing_changes_before_the_end(both):
    both.stop_clock()
    both.switch(import_seconds=5.0)
    key = both.moved()
    both.advance(4)
    assert (status(both.target, key), both.held()) == ("importing", {})
    both.advance(1)
    assert (status(both.target, key), set(both.held())) == ("imported", {REGION})


def test_a_configuration_package_goes_into_the_configuration(both):
    key = both.source.locked(told=package(thing(USER, 34, level="project_object"), kind="configuration"), project=None)
    assert both.bring(key, None).status_code == 201
    assert set(both.held("configuration")) == {USER}
    assert both.target.look(key)["packageInfo"]["tocView"]["content"][0]["level"] == "configuration_object"


def test_the_header_names_the_project_of_the_target(both):
    key = both.source.locked(project=MARKETING)
    assert refused(both.bring(key, MARKETING))[0] == 400
    assert both.bring(key, MARKETING_ON_TARGET).status_code == 201
    assert set(both.held("Marketing")) == {REGION}


def test_header_and_body_must_name_the_same_project(both):
    key = both.source.locked(importing={"project": {"id": FINANCE}})
    assert refused(both.bring(key, SALES))[0] == 400


@pytest.mark.parametrize(("project", "code"), [(None, "ERR005"), (HR, "ERR006")])
def test_an_import_needs_a_project_that_the_target_has(both, project, code):
    assert refused(both.bring(both.source.locked(), project))[:2] == (400, code)


def test_a_configuration_import_with_the_header_is_refused(both):
    key = both.source.locked(told=package(thing(USER, 34), kind="configuration"), project=None)
    assert refused(both.bring(key, SALES))[0] == 400


@pytest.mark.parametrize(
    ("half", "values"),
    [
        ("packageInfo", {"replicated": False}),
        ("packageInfo", {"status": "created"}),
        ("packageInfo", {"storage": {}}),
        ("packageInfo", {"type": "configuration"}),
        ("packageInfo", {"id": "F" * 32}),
        ("importInfo", {"importRequestStatus": "requested"}),
    ],
)
def test_the_target_judges_from_the_body(both, half, values):
    assert refused(change(both, both.source.locked(), half, **values))[0] == 400


@pytest.mark.parametrize("path", ["mstr/shared/none.mmp", "../../state"])
def test_a_package_that_is_not_in_the_storage_is_a_fault_of_the_storage(both, path):
    answer = refused(change(both, both.source.locked(), "packageInfo", storage={"path": path, "size": 1}))
    assert answer[:2] == (500, "ERR001")
    assert "shared file cannot be accessed" in answer[2]


def test_what_is_imported_is_the_package_and_not_what_the_body_says(both):
    change(both, both.source.locked(), "packageInfo", tocView={"settings": {}, "content": []})
    assert set(both.held()) == {REGION}


def test_one_server_can_be_both_sides(both):
    key = both.source.locked()
    answer = both.source.call("PUT", f"/migrations/{key}", SALES, json=both.source.look(key))
    assert answer.status_code == 201
    seen = both.source.look(key)
    assert (seen["packageInfo"]["replicated"], seen["importInfo"]["status"]) == (False, "imported")
    assert set(both.held(side="source")) == {REGION}


def test_one_server_does_not_import_what_was_not_approved(both):
    key = both.source.made()
    assert refused(both.source.call("PUT", f"/migrations/{key}", SALES, json=both.source.look(key)))[0] == 400


def test_a_repeated_import_is_harmless_while_it_runs(both):
    both.switch(import_seconds=5.0)
    key = both.moved()
    assert both.bring(key).json()["importInfo"]["status"] == "importing"
    assert both.state()["runs"] == [{"id": key, "environment": "target", "starts": 1, "repeats": 1, "undos": 0}]


def test_a_repeated_import_may_be_refused(both):
    both.switch(import_seconds=5.0, repeat_import="refuse")
    assert refused(both.bring(both.moved()))[0] == 400


def test_an_import_that_ended_is_not_done_again(both):
    assert refused(both.bring(both.moved()))[:2] == (400, "ERR006")


# Actions


@pytest.mark.parametrize(("action", "name"), [("use_existing", "old"), ("replace", "new"), ("use_newer", "new")])
def test_an_object_that_exists_is_kept_or_replaced(both, action, name):
    both.moved(told=package(thing(name="old")))
    both.moved(told=package(thing(action=action, name="new")))
    assert both.held()[REGION]["name"] == name


def test_delete_removes_an_object(both):
    both.moved()
    both.moved(told=package(thing(action="delete")))
    assert both.held() == {}


def test_each_object_with_dependents_brings_the_same_ones_every_time(both):
    both.switch(dependents=2)
    seen = [both.source.look(both.source.made(told=package(thing(includeDependents=True)))) for _ in range(2)]
    contents = [[one["id"] for one in record["packageInfo"]["tocView"]["content"]] for record in seen]
    assert contents[0] == contents[1]
    assert len(set(contents[0])) == 3


def test_the_flag_of_explicit_objects_may_be_missing(both):
    both.switch(explicit_flag=False)
    content = both.source.look(both.source.made())["packageInfo"]["tocView"]["content"]
    assert "explicitIncluded" not in content[0]


def test_objects_may_silently_not_be_in_the_package(both):
    both.switch(drop_objects=1)
    key = both.moved(told=package(*FOUR))
    assert len(both.source.look(key)["packageInfo"]["tocView"]["content"]) == len(both.held()) == 3


def test_an_action_may_silently_be_another(both):
    both.switch(swap_action=PROFIT)
    both.moved(told=package(thing(), thing(PROFIT, 4)))
    assert {key: one["action"] for key, one in both.held().items()} == {REGION: "replace", PROFIT: "use_existing"}


def test_objects_may_silently_not_be_imported(both):
    both.switch(lose_objects=1)
    key = both.moved(told=package(*FOUR))
    content = both.target.look(key)["packageInfo"]["tocView"]["content"]
    assert ([one["id"] for one in content], status(both.target, key)) == ([one["id"] for one in FOUR[:3]], "imported")
    assert set(both.held()) == {one["id"] for one in FOUR[:3]}


# Undoing


def test_an_undo_brings_back_exactly_what_was_there(both):
    both.moved(told=package(thing(name="old"), thing(PROFIT, 4)))
    before = both.held()
    key = both.moved(told=package(thing(name="new"), thing(PROFIT, 4, "delete"), FOUR[3]))
    assert both.held() != before
    both.target.undo(key)
    assert (status(both.target, key), both.held()) == ("undo_success", before)


def test_approving_an_undo_answers_that_it_runs(both):
    both.switch(undo_seconds=3.0)
    answer = both.target.undo(both.moved())
    assert (answer.status_code, answer.json()["importInfo"]["status"]) == (202, "undoing")


def test_approving_an_undo_may_be_a_200(both):
    both.switch(undo_status="200")
    assert both.target.undo(both.moved()).status_code == 200


def test_approving_an_undo_needs_the_project(both):
    assert refused(both.target.undo(both.moved(), project=None))[:2] == (400, "ERR005")


@pytest.mark.parametrize(
    ("settings", "content"),
    [
        ({"defaultAction": "keep_both"}, thing()),
        ({"aclOnReplacingObjects": "keep_both"}, thing()),
        ({}, thing(action="keep_both")),
    ],
)
def test_keep_both_anywhere_leaves_no_undo_package(both, settings, content):
    key = both.moved(told=package() | {"tocView": {"settings": settings, "content": [content]}})
    assert both.target.look(key)["importInfo"]["undoStorage"] == {}
    assert refused(both.target.undo(key))[0] == 400


@pytest.mark.parametrize("value", ["false", "False", "FALSE"])
def test_the_caller_may_do_without_an_undo_package(both, value):
    key = both.source.locked()
    both.bring(key, generateUndo=value)
    assert both.target.look(key)["importInfo"]["undoStorage"] == {}


def test_a_switch_may_do_without_undo_packages(both):
    both.switch(undo_package=False)
    assert both.target.look(both.moved())["importInfo"]["undoStorage"] == {}


def test_nothing_is_undone_before_it_was_imported(both):
    assert refused(both.source.undo(both.source.locked()))[0] == 400


def test_an_undo_is_not_started_twice(both):
    key = both.moved()
    both.target.undo(key)
    both.target.request(key, "approved", "undoRequestStatus", SALES)
    assert both.state()["counters"]["undos"] == 1


# Failing


@pytest.mark.parametrize(("word", "shown"), [("create_failed", "create_failed"), ("created_failed", "created_failed")])
def test_a_package_can_fail_and_be_misspelt(both, word, shown):
    both.switch(fail_package="spring*", failed_word=word)
    package_info = both.source.look(both.source.made())["packageInfo"]
    assert (package_info["status"], package_info["message"]) == (shown, "The package could not be created.")


def test_an_object_that_does_not_exist_is_named(both):
    both.switch(missing_objects=f"{USER}, {REGION.lower()}")
    assert REGION in both.source.look(both.source.made())["packageInfo"]["message"]


def test_a_package_can_be_too_large(both):
    both.switch(max_package_bytes=100)
    assert "100 bytes" in both.source.look(both.source.made())["packageInfo"]["message"]


def test_a_failed_import_leaves_half_of_it_and_can_be_undone(both):
    both.switch(fail_import="spring*")
    key = both.moved(told=package(*FOUR))
    assert (status(both.target, key), set(both.held())) == ("import_failed", {one["id"] for one in FOUR[:2]})
    both.target.undo(key)
    assert (status(both.target, key), both.held()) == ("undo_success", {})


def test_a_failed_import_is_not_imported_again(both):
    both.switch(fail_import="spring*")
    assert refused(both.bring(both.moved()))[0] == 400


def test_an_undo_that_failed_half_way_can_be_tried_again(both):
    both.switch(fail_undo="*")
    key = both.moved(told=package(*FOUR))
    both.target.undo(key)
    assert (status(both.target, key), len(both.held())) == ("undo_failed", 2)
    both.switch(fail_undo="")
    both.target.undo(key)
    assert (status(both.target, key), both.held()) == ("undo_success", {})


def test_a_failure_meant_for_another_name_strikes_nobody(both):
    both.switch(fail_package="winter*", fail_import="winter*")
    assert status(both.target, both.moved()) == "imported"
