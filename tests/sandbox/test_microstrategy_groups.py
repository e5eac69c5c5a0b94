"""Groups of migrations between the made-up Libraries."""

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
    member,
    refused,
    replicated,
    thing,
)

CONFIGURATION = member(None, thing(USER, 34), kind="configuration")
GROUPS = "migrationGroups"


def packages(group):
    return [one["packageInfo"]["status"] for one in group["migrations"]]


def imports(group):
    return [one["importInfo"]["status"] for one in group["migrations"]]


def made(both, *members):
    answer = both.source.group(*(members or (member(FINANCE), member(SALES))))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def moved(both, *members):
    key = both.source.locked_group(*(members or (member(FINANCE), member(SALES))))
    assert both.bring_group(key).status_code == 202
    return key


def edit(both, key, *members, **changes):
    body = {"name": "quarter", "treeView": {}, "migrations": list(members), **changes}
    return both.source.call("PUT", f"/{GROUPS}/{key}", json=body)


def undo(both, key):
    for word in ("requested", "approved"):
        answer = both.target.request_group(key, word, "undoRequestStatus")
    return answer


# Creating


def test_members_are_built_one_after_the_other(both):
    both.stop_clock()
    both.switch(package_seconds=3.0)
    key = made(both)
    seen = [packages(both.source.look(key, GROUPS))]
    for _ in range(2):
        both.advance(3)
        seen.append(packages(both.source.look(key, GROUPS)))
    assert seen == [["creating", "empty"], ["created", "creating"], ["created", "created"]]


def test_one_jump_of_the_clock_builds_them_all(both):
    both.switch(package_seconds=3.0)
    key = made(both)
    both.advance(60)
    assert packages(both.source.look(key, GROUPS)) == ["created", "created"]


def test_one_failed_package_stops_the_group(both):
    both.switch(fail_package="first:quarter")
    assert packages(both.source.look(made(both), GROUPS)) == ["create_failed", "empty"]


def test_a_failure_strikes_the_last_member_if_nothing_is_said(both):
    both.switch(fail_package="quarter")
    assert packages(both.source.look(made(both), GROUPS)) == ["created", "create_failed"]


def test_a_group_is_answered_briefly(both):
    body = both.source.group(member(SALES)).json()
    assert set(body) == {"id", "name", "importRequestStatus", "undoRequestStatus", "migrations"}
    assert set(body["migrations"][0]["packageInfo"]) == {"id", "groupId", "status", "progress"}
    assert [body["migrations"][0][half]["groupId"] for half in ("packageInfo", "importInfo")] == body["id"].split(":")


def test_a_look_sorts_members_by_project_name_with_the_configuration_first(both):
    key = made(both, CONFIGURATION, member(SALES), member(FINANCE))
    names = [one["packageInfo"]["project"].get("name") for one in both.source.look(key, GROUPS)["migrations"]]
    assert names == [None, "Finance", "Sales"]


def test_members_have_neither_requests_nor_environments_nor_trees(both):
    one = both.source.look(made(both), GROUPS)["migrations"][0]
    absent = {"environment", "treeView", "importRequestStatus", "undoRequestStatus", "version"}
    assert not absent & (set(one) | set(one["packageInfo"]) | set(one["importInfo"]))


def test_the_first_member_has_a_purpose_of_its_own(both):
    group = both.source.look(made(both), GROUPS)
    assert [one["packageInfo"]["purpose"] for one in group["migrations"]] == ["migration_group", "migration_group_child"]


@pytest.mark.parametrize(("content", "tree"), [("default", False), ("all", True)])
def test_a_look_always_shows_the_toc_of_members_and_the_tree_when_asked(both, content, tree):
    group = both.source.look(made(both), GROUPS, content)
    assert ("treeView" in group, "tocView" in group["migrations"][0]["packageInfo"]) == (tree, True)


@pytest.mark.parametrize(
    "members",
    [
        [],
        [member(SALES), member(SALES)],
        [member(SALES), CONFIGURATION],
        [CONFIGURATION, CONFIGURATION],
        [member("F" * 32)],
        [{"packageInfo": {"type": "project", "tocView": {"content": []}}}],
        [{"packageInfo": {"type": "project", "purpose": "project_merge", "project": {"id": SALES}, "tocView": {"settings": {}}}}],
    ],
    ids=["none", "same project", "configuration last", "two configurations", "no such project", "no project", "a merge"],
)
def test_a_group_that_breaks_a_rule_is_a_400(both, members):
    assert refused(both.source.group(*members))[0] == 400


def test_a_group_has_a_limit(both):
    both.switch(max_members=1)
    assert [both.source.group(*members).status_code for members in ([member(SALES)], [member(SALES), member(HR)])] == [201, 400]


def test_groups_are_listed(both):
    keys = [made(both), made(both)]
    page = both.source.call("GET", f"/{GROUPS}").json()
    assert (page["total"], [group["id"] for group in page["data"]]) == (2, keys)


# Requests and edits


def test_approval_locks_every_package(both):
    group = both.source.look(both.source.locked_group(member(FINANCE), member(SALES)), GROUPS)
    assert (group["importRequestStatus"], packages(group)) == ("approved", ["locked", "locked"])


def test_approval_needs_a_request_first(both):
    assert refused(both.source.request_group(made(both), "approved"))[0] == 400


def test_approval_needs_every_package(both):
    both.switch(fail_package="quarter")
    key = made(both)
    both.source.request_group(key, "requested")
    assert refused(both.source.request_group(key, "approved"))[0] == 400


def test_an_edit_replaces_the_list_and_keeps_the_ids_of_known_members(both):
    key = made(both)
    before = {one["packageInfo"]["project"]["name"]: one["id"] for one in both.source.look(key, GROUPS)["migrations"]}
    assert edit(both, key, member(SALES, thing(PROFIT, 4)), member(HR)).status_code == 202
    after = {one["packageInfo"]["project"]["name"]: one["id"] for one in both.source.look(key, GROUPS)["migrations"]}
    assert set(after) == {"Sales", "HR"}
    assert (after["Sales"] == before["Sales"], after["HR"] in before.values()) == (True, False)


def test_an_edit_may_give_every_member_new_ids(both):
    both.switch(edit_keeps_ids=False)
    key = made(both, member(SALES))
    before = both.source.look(key, GROUPS)["migrations"][0]["id"]
    edit(both, key, member(SALES))
    assert both.source.look(key, GROUPS)["migrations"][0]["id"] != before


def test_an_edit_repairs_a_failed_group(both):
    both.switch(missing_objects=REGION)
    key = made(both)
    edit(both, key, member(SALES, thing(PROFIT, 4)))
    assert packages(both.source.look(key, GROUPS)) == ["created"]


def test_an_edit_of_a_group_with_one_locked_member_is_refused(both):
    body = {"migrations": [member(FINANCE), member(SALES)]}
    key = both.by_hand(kind="group", name="by hand", body=body, locked=["Sales"]).json()["id"]
    assert packages(both.source.look(key, GROUPS)) == ["created", "locked"]
    assert refused(edit(both, key, member(FINANCE)))[0] == 400


def test_an_edit_of_a_locked_group_is_refused(both):
    assert refused(edit(both, both.source.locked_group(member(SALES)), member(SALES)))[0] == 400


def test_an_edit_on_the_target_is_refused(both):
    key = moved(both)
    body = {"name": "quarter", "treeView": {}, "migrations": [member(SALES)]}
    assert refused(both.target.call("PUT", f"/{GROUPS}/{key}", json=body))[0] == 400


def test_an_edit_of_a_group_the_server_does_not_know_is_404(both):
    assert refused(edit(both, "AB:CD", member(SALES)))[:2] == (404, "ERR004")


# Importing


def test_members_are_imported_one_after_the_other(both):
    both.stop_clock()
    both.switch(import_seconds=5.0)
    key = moved(both)
    seen = [imports(both.target.look(key, GROUPS))]
    for _ in range(2):
        both.advance(5)
        seen.append(imports(both.target.look(key, GROUPS)))
    assert seen == [["importing", "pending"], ["imported", "importing"], ["imported", "imported"]]


def test_each_member_goes_into_the_project_that_the_body_names(both):
    moved(both, CONFIGURATION, member(FINANCE), member(MARKETING, target=MARKETING_ON_TARGET))
    assert [set(both.held(place)) for place in ("configuration", "Finance", "Marketing", "Sales")] == [
        {USER},
        {REGION},
        {REGION},
        set(),
    ]


def test_a_project_that_the_target_lacks_is_refused(both):
    assert refused(both.bring_group(both.source.locked_group(member(HR))))[0] == 400


def test_one_failed_import_stops_the_group(both):
    both.switch(fail_import="first:quarter")
    assert imports(both.target.look(moved(both), GROUPS)) == ["import_failed", "pending"]


def test_every_member_must_be_replicated(both):
    key = both.source.locked_group(member(FINANCE), member(SALES))
    body = replicated(both.source.look(key, GROUPS))
    body["migrations"][1]["packageInfo"]["replicated"] = False
    assert refused(both.target.call("PUT", f"/{GROUPS}/{key}", json=body))[0] == 400


def test_a_group_that_was_not_approved_is_refused(both):
    assert refused(both.bring_group(made(both)))[0] == 400


def test_a_repeated_import_is_counted_and_harmless(both):
    both.switch(import_seconds=5.0)
    key = moved(both)
    assert both.bring_group(key).status_code == 202
    told = {"id": f"{GROUPS}/{key}", "environment": "target", "starts": 1, "repeats": 1, "undos": 0}
    assert both.state()["runs"] == [told]


def test_an_import_that_ended_is_not_done_again(both):
    assert refused(both.bring_group(moved(both)))[0] == 400


@pytest.mark.parametrize("how", [{"params": {"generateUndo": "False"}}, {"headers": {"generateUndo": "false"}}])
def test_an_undo_package_is_declined_in_the_query_or_in_a_header(both, how):
    key = both.source.locked_group(member(SALES))
    both.target.call("PUT", f"/{GROUPS}/{key}", json=replicated(both.source.look(key, GROUPS)), **how)
    assert both.target.look(key, GROUPS)["migrations"][0]["importInfo"]["undoStorage"] == {}


def test_one_server_can_be_both_sides(both):
    key = both.source.locked_group(member(SALES))
    both.source.call("PUT", f"/{GROUPS}/{key}", json=replicated(both.source.look(key, GROUPS)))
    one = both.source.look(key, GROUPS)["migrations"][0]
    assert (one["packageInfo"]["replicated"], one["importInfo"]["status"]) == (False, "imported")


@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_answer_to_an_import_has_the_status_of_a_switch(both, status):
    both.switch(group_status=str(status))
    assert both.bring_group(both.source.locked_group(member(SALES))).status_code == status


# Undoing and deleting


def test_an_undo_goes_on_after_one_member_failed(both):
    key = moved(both)
    both.switch(fail_undo="first:quarter")
    undo(both, key)
    assert imports(both.target.look(key, GROUPS)) == ["undo_failed", "undo_success"]


def test_members_are_undone_one_by_one(both):
    both.stop_clock()
    key = moved(both)
    both.switch(undo_seconds=3.0)
    undo(both, key)
    both.advance(3)
    assert imports(both.target.look(key, GROUPS)) == ["undo_success", "undoing"]


def test_an_undo_leaves_members_alone_that_were_never_imported(both):
    both.switch(fail_import="first:quarter")
    key = moved(both)
    undo(both, key)
    assert imports(both.target.look(key, GROUPS)) == ["undo_success", "pending"]


def test_a_group_is_not_undone_if_one_member_cannot_be(both):
    key = moved(both, member(FINANCE), member(SALES, thing(action="keep_both")))
    assert refused(undo(both, key))[0] == 400
    assert imports(both.target.look(key, GROUPS)) == ["imported", "imported"]


def test_deleting_takes_the_group_half_of_the_id(both):
    query = {"packageGroupId": made(both).split(":")[0]}
    said = [both.source.call("DELETE", f"/{GROUPS}", params=query).status_code for _ in range(2)]
    assert said == [204, 404]


def test_a_busy_group_is_not_deleted(both):
    both.switch(package_seconds=3.0)
    query = {"packageGroupId": made(both).split(":")[0]}
    assert refused(both.source.call("DELETE", f"/{GROUPS}", params=query))[0] == 400
