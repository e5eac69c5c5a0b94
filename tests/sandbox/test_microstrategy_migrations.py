"""One migration between the made-up Libraries: created, edited, approved, imported, undone, deleted."""

import pytest
from tests.sandbox.library import (
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
    toc,
)

UNKNOWN = "/migrations/" + "A" * 32 + ":" + "B" * 32


def edit(library, key, **changes):
    told = library.look(key)["packageInfo"]
    return library.call("PUT", f"/migrations/{key}/packageInfo", json=told | changes)


def words(record):
    importing = record["importInfo"]
    return record["packageInfo"]["status"], importing["importRequestStatus"], importing["status"]


# Creating


def test_a_new_migration_is_answered_briefly(both):
    both.switch(package_seconds=3.0)
    answer = both.source.create()
    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == {"id", "packageInfo", "importInfo"}
    assert body["id"] == f"{body['packageInfo']['id']}:{body['importInfo']['id']}"
    assert words(body) == ("creating", "pending", "pending")


def test_a_package_is_created_in_its_time(both):
    both.stop_clock()
    both.switch(package_seconds=3.0)
    key = both.source.made()
    both.advance(2)
    assert words(both.source.look(key))[0] == "creating"
    both.advance(1)
    assert words(both.source.look(key))[0] == "created"


def test_progress_grows_with_time(both):
    both.stop_clock()
    both.switch(package_seconds=4.0)
    key = both.source.made()
    both.advance(1)
    assert both.source.look(key)["packageInfo"]["progress"] == 25.0


@pytest.mark.parametrize(("how", "kind"), [("int", int), ("float", float)])
def test_progress_may_be_a_whole_number(both, how, kind):
    both.switch(progress=how)
    assert type(both.source.look(both.source.made())["packageInfo"]["progress"]) is kind


def test_more_looks_may_see_the_old_status(both):
    both.switch(status_looks=2)
    key = both.source.made()
    assert [words(both.source.look(key))[0] for _ in range(4)] == ["creating", "creating", "created", "created"]


def test_a_package_has_no_file_until_it_is_built(both):
    both.stop_clock()
    both.switch(package_seconds=3.0)
    key = both.source.made()
    assert both.source.look(key)["packageInfo"]["storage"] == {}
    both.advance(3)
    assert both.source.look(key)["packageInfo"]["storage"]["path"].endswith(".mmp")


def test_a_colon_in_an_id_may_be_escaped(both):
    key = both.source.made()
    assert both.source.call("GET", f"/migrations/{key.replace(':', '%3A')}").json()["id"] == key


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("default", set()), ("tocview", {"tocView"}), ("treeview", {"treeView"}), ("all", {"tocView", "treeView"})],
)
def test_content_is_shown_when_asked_for(both, asked, shown):
    seen = both.source.look(both.source.made(), content=asked)["packageInfo"]
    assert {"tocView", "treeView"} & set(seen) == shown


@pytest.mark.parametrize("tree", [{"treeViewType": "project"}, '{"treeViewType": "project"}'])
def test_a_tree_is_sent_as_an_object_or_a_text_and_comes_back_as_a_text(both, tree):
    key = both.source.made(told=package(treeView=tree))
    assert both.source.look(key)["packageInfo"]["treeView"] == '{"treeViewType": "project"}'


def test_a_tree_that_was_encoded_twice_is_refused(both):
    assert refused(both.source.create(told=package(treeView='"{}"')))[:2] == (400, "ERR006")


@pytest.mark.parametrize(
    ("told", "project", "code"),
    [
        (package(), None, "ERR005"),
        (package(), HR[::-1], "ERR006"),
        (package(thing(USER, 34), kind="configuration"), SALES, "ERR006"),
        (package(kind="report"), SALES, "ERR006"),
        ({"tocView": toc()}, SALES, "ERR007"),
        ({"type": "project"}, SALES, "ERR007"),
        (package(purpose="migration_group"), SALES, "ERR006"),
        (package(thing(action="destroy")), SALES, "ERR006"),
        (package(thing(USER, 34)), SALES, "ERR006"),
        (package(thing("Region")), SALES, "ERR006"),
        (package() | {"tocView": toc(aclOnNewObjects="inherit_acl_as_dest_folder")}, SALES, "ERR006"),
    ],
    ids=["no header", "no project", "header", "type", "no type", "no toc", "purpose", "action", "level", "id", "no list"],
)
def test_a_body_that_breaks_a_rule_is_a_400(both, told, project, code):
    assert refused(both.source.create(told=told, project=project))[:2] == (400, code)


@pytest.mark.parametrize(("half", "status"), [({"importInfo": {}}, 201), ({}, 400)])
def test_the_import_half_may_be_empty_but_not_absent(both, half, status):
    body = {"packageInfo": package(name="x"), **half}
    assert both.source.call("POST", "/migrations", SALES, json=body).status_code == status


def test_the_project_header_may_be_of_no_interest(both):
    both.switch(project_header="lenient")
    assert both.source.create(told=package(project={"id": SALES}), project=None).status_code == 201


def test_a_project_merge_has_settings_and_no_content(both):
    merge = package(purpose="project_merge") | {"tocView": {"settings": {"defaultAction": "replace"}}}
    key = both.source.made(told=merge)
    assert both.source.look(key)["packageInfo"]["tocView"] == {"settings": {"defaultAction": "replace"}}


# Listing


def test_a_list_shows_object_migrations_unless_asked_for_others(both):
    merge = package(purpose="project_merge") | {"tocView": {"settings": {}}}
    kinds = [both.source.made(), both.source.made(told=merge)]
    asked = [{}, {"packageInfo.purpose": "project_merge"}, {"packageInfo.purpose": "project_merge,object_migration"}]
    seen = [both.source.call("GET", "/migrations", params=query).json() for query in asked]
    assert [[one["id"] for one in page["data"]] for page in seen] == [kinds[:1], kinds[1:], kinds]


def test_a_list_comes_in_pages(both):
    keys = [both.source.made() for _ in range(3)]
    page = both.source.call("GET", "/migrations", params={"offset": 1, "limit": 1}).json()
    assert (page["total"], [one["id"] for one in page["data"]]) == (3, keys[1:2])


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"limit": "many"}])
def test_a_page_that_cannot_be_is_a_400(both, query):
    assert refused(both.source.call("GET", "/migrations", params=query))[0] == 400


# Requests


def test_approval_needs_a_request_first(both):
    key = both.source.made()
    assert refused(both.source.request(key, "approved"))[:2] == (400, "ERR006")


def test_approval_locks_the_package(both):
    assert words(both.source.look(both.source.locked())) == ("locked", "approved", "pending")


def test_a_package_that_is_not_built_cannot_be_approved(both):
    both.switch(package_seconds=3.0)
    key = both.source.made()
    both.source.request(key, "requested")
    assert refused(both.source.request(key, "approved"))[0] == 400


@pytest.mark.parametrize("word", ["approved", "rejected"])
def test_only_administrators_decide(both, word):
    key = both.architect.made()
    assert both.architect.request(key, "requested").status_code == 200
    assert refused(both.architect.request(key, word))[:2] == (403, "ERR014")


def test_a_rejected_request_can_be_made_again(both):
    key = both.source.made()
    said = [both.source.request(key, word).status_code for word in ("requested", "rejected", "requested", "pending")]
    assert said == [200] * 4


def test_a_rejected_request_is_pending_again_only_by_an_edit(both):
    key = both.source.made()
    said = [both.source.request(key, word).status_code for word in ("requested", "rejected", "pending")]
    assert said == [200, 200, 400]


def test_what_was_approved_stays_so(both):
    key = both.source.locked()
    assert refused(both.source.request(key, "pending"))[0] == 400


def test_a_whole_record_may_be_sent_back_unchanged(both):
    key = both.source.locked()
    assert both.source.call("PATCH", f"/migrations/{key}", json=both.source.look(key)).status_code == 200
    assert words(both.source.look(key)) == ("locked", "approved", "pending")


def test_the_target_can_be_named_later(both):
    key = both.source.made()
    half = {"environment": {"id": "there"}, "project": {"id": MARKETING_ON_TARGET}, "importRequestStatus": "requested"}
    both.source.call("PATCH", f"/migrations/{key}", json={"importInfo": half})
    seen = both.source.look(key)["importInfo"]
    assert {name: seen[name] for name in half} == half


def test_a_status_nobody_knows_is_refused(both):
    assert refused(both.source.request(both.source.made(), ["requested"]))[0] == 400


# Editing


def test_an_edit_is_202_with_the_package_id_and_keeps_the_migration(both):
    key = both.architect.made()
    answer = edit(both.architect, key, name="summer release", tocView=toc(thing(PROFIT, 4)))
    assert (answer.status_code, answer.json()) == (202, {"id": key.split(":")[0], "status": "creating", "progress": 0.0})
    seen = both.source.look(key)["packageInfo"]
    assert (seen["name"], [one["id"] for one in seen["tocView"]["content"]]) == ("summer release", [PROFIT])


def test_the_short_form_of_an_edit_needs_the_header(both):
    key = both.source.made()
    body = {"type": "project", "name": "new", "tocView": toc(), "treeView": {}}
    path = f"/migrations/{key}/packageInfo"
    assert [both.source.call("PUT", path, header, json=body).status_code for header in (None, SALES)] == [400, 202]


@pytest.mark.parametrize("change", [{"type": "configuration"}, {"purpose": "project_merge"}, {"project": {"id": HR}}])
def test_type_purpose_and_project_cannot_be_edited(both, change):
    assert refused(edit(both.source, both.source.made(), **change))[0] == 400


def test_an_edit_while_it_is_being_built_is_refused(both):
    both.switch(package_seconds=3.0)
    assert refused(edit(both.source, both.source.made()))[0] == 400


@pytest.mark.parametrize("asked", [["requested"], ["requested", "approved"]])
def test_an_edit_after_the_request_is_refused(both, asked):
    key = both.source.made()
    for word in asked:
        both.source.request(key, word)
    assert refused(edit(both.source, key))[0] == 400


def test_an_edit_brings_a_rejected_request_back_to_pending(both):
    key = both.source.made()
    for word in ("requested", "rejected"):
        both.source.request(key, word)
    edit(both.source, key)
    assert words(both.source.look(key)) == ("created", "pending", "pending")


def test_a_failed_package_can_be_edited(both):
    both.switch(missing_objects=REGION)
    key = both.source.made()
    assert words(both.source.look(key))[0] == "create_failed"
    edit(both.source, key, tocView=toc(thing(PROFIT, 4)))
    assert words(both.source.look(key))[0] == "created"


def test_an_edit_on_the_target_is_refused(both):
    key = both.moved()
    told = both.target.look(key)["packageInfo"]
    assert refused(both.target.call("PUT", f"/migrations/{key}/packageInfo", json=told))[0] == 400


def test_an_edit_may_give_another_package_id(both):
    both.switch(edit_keeps_ids=False)
    key = both.source.made()
    answer = edit(both.source, key).json()
    assert answer["id"] != key.split(":")[0]
    assert both.source.look(f"{answer['id']}:{key.split(':')[1]}")["packageInfo"]["status"] == "created"


def test_an_edit_may_need_its_header(both):
    both.switch(prefer_header="required")
    assert refused(edit(both.source, both.source.made()))[:2] == (400, "ERR005")


# Deleting


def test_deleting_takes_the_package_id_and_the_second_time_says_it_is_gone(both):
    key = both.source.made()
    query = {"packageId": key.split(":")[0]}
    assert both.source.call("DELETE", "/migrations", params=query).status_code == 204
    assert refused(both.source.call("DELETE", "/migrations", params=query))[:2] == (404, "ERR006")


def test_a_busy_migration_is_not_deleted(both):
    both.switch(package_seconds=3.0)
    query = {"packageId": both.source.made().split(":")[0]}
    assert refused(both.source.call("DELETE", "/migrations", params=query))[0] == 400


def test_the_other_side_keeps_its_record(both):
    key = both.moved()
    both.source.call("DELETE", "/migrations", params={"packageId": key.split(":")[0]})
    seen = both.target.look(key)
    assert (seen["importInfo"]["status"], seen["packageInfo"]["existing"]) == ("imported", False)


def test_a_delete_without_an_id_deletes_nothing(both):
    both.source.made()
    assert refused(both.source.call("DELETE", "/migrations"))[:2] == (400, "ERR007")


# Who may


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", UNKNOWN),
        ("PUT", f"{UNKNOWN}/validation"),
        ("DELETE", "/migrations"),
        ("GET", "/migrations/packages/AB/binary"),
        ("GET", "/migrations/imports/AB/binary"),
        ("GET", "/mstrServices/library/storage/sharedFileStore/files"),
        ("DELETE", "/migrationGroups"),
    ],
)
def test_architects_build_and_do_not_migrate(both, method, path):
    assert refused(both.architect_there.call(method, path))[:2] == (403, "ERR014")


def test_marketing_is_found_on_the_source_by_its_own_id(both):
    key = both.source.made(project=MARKETING)
    assert both.source.look(key)["packageInfo"]["project"] == {"id": MARKETING, "name": "Marketing"}
