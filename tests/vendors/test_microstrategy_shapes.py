"""What is read from a record: where it is kept, what its import would do, and whether it may be edited; the target's copy."""

import pytest
from tests.vendors.records import OTHER, SALES, SOURCE, TARGET, THING, A, B, changed, group, record

from ferry.core.errors import VendorNonsense
from ferry.vendors.microstrategy.editing import broken_rule
from ferry.vendors.microstrategy.shapes import (
    Ref,
    can_be_undone,
    certification,
    decoded_tree,
    fingerprint,
    project_of,
    replicated,
)

# Refs


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        (f"{A}:{B}", "migration", f"/api/migrations/{A}:{B}"),
        (f"migrationGroups/{A}:{B}", "group", f"/api/migrationGroups/{A}:{B}"),
        ("x/../y:z", "migration", "/api/migrations/x%2F..%2Fy:z"),
    ],
)
def test_a_ref_says_what_it_names_and_where_it_is_read(text, kind, path):
    ref = Ref.parse(text)
    assert (ref.kind, ref.path, str(ref)) == (kind, path, text)


def test_the_package_half_of_an_id_is_the_first():
    assert Ref.parse(f"migrationGroups/{A}:{B}").package_id == A


# Fingerprints

SAME = {
    "order of the objects": changed(record(), packageInfo__tocView__content=[THING | {"id": B}, THING]),
    "order of the settings": changed(record(), packageInfo__tocView__settings={"updateSchema": [], "defaultAction": "replace"}),
    "a date": changed(record(), packageInfo__lastUpdatedDate="2026-12-24T00:00:00.000+0000"),
    "the names of both ends": changed(
        record(),
        packageInfo__environment=SOURCE | {"name": "renamed"},
        importInfo__environment=TARGET | {"name": "renamed"},
        importInfo__project=OTHER | {"name": "renamed"},
    ),
    "the package file's size": changed(record(), packageInfo__storage__size=10),
    "an object's name": changed(record(), packageInfo__tocView__content__0=THING | {"name": "Region"}),
    "an object's date": changed(record(), packageInfo__tocView__content__0=THING | {"dateModified": "2026-12-24"}),
    "the lock": changed(record(), packageInfo__status="locked", importInfo__importRequestStatus="approved"),
    "the certification": changed(record(), packageInfo__certification={"status": "certified"}),
    "the copy": replicated(record()),
}
OTHERS = {
    "an action": changed(record(), packageInfo__tocView__content__1__action="delete"),
    "a type": changed(record(), packageInfo__tocView__content__1__type=13),
    "another object": changed(record(), packageInfo__tocView__content__1__id="C3" * 16),
    "one object less": changed(record(), packageInfo__tocView__content=[THING]),
    "one object more": changed(record(), packageInfo__tocView__content=[THING, THING | {"id": B}, THING | {"id": "C3" * 16}]),
    "the default action": changed(record(), packageInfo__tocView__settings__defaultAction="keep_both"),
    "a setting": changed(record(), packageInfo__tocView__settings__updateSchema=["recal_table_logical_size"]),
    "the source's project": changed(record(), packageInfo__project={"id": "F2", "name": "Finance"}),
    "the target's project": changed(record(), importInfo__project={"id": "F2", "name": "Sales"}),
    "an object's version": changed(record(), packageInfo__tocView__content__1__version="C3" * 16),
    "an object's dependents": changed(record(), packageInfo__tocView__content__1__includeDependents=False),
    "the package's file": changed(record(), packageInfo__storage__path="mstr/y.mmp"),
    "the package's type": changed(record(), packageInfo__type="configuration"),
    "the package's purpose": changed(record(), packageInfo__purpose="project_merge"),
    "the source": changed(record(), packageInfo__environment={"id": "https://other/L/", "name": "src"}),
    "the target": changed(record(), importInfo__environment={"id": "https://other/L/", "name": "tgt"}),
    "a rule of a merge": changed(record(), packageInfo__tocView__settings__folderActions=[{"id": A, "action": "replace"}]),
}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME)
def test_what_changes_nothing_of_an_import_keeps_the_fingerprint(other):
    assert fingerprint(other) == fingerprint(record())


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_changes_an_import_changes_the_fingerprint(other):
    assert fingerprint(other) != fingerprint(record())


def test_every_member_of_a_group_counts_for_its_fingerprint():
    second = changed(group(), migrations__0__packageInfo__project={"id": "F2", "name": "Finance"})["migrations"][0]
    deleting = changed(group(second), migrations__1__packageInfo__tocView__content__0__action="delete")
    assert len({fingerprint(group()), fingerprint(group(second)), fingerprint(deleting)}) == 3


@pytest.mark.parametrize("end", ["sourceEnvironment", "targetEnvironment"])
def test_both_ends_of_a_group_count_for_its_fingerprint(end):
    there = group() | {"sourceEnvironment": SOURCE, "targetEnvironment": TARGET}
    assert fingerprint(there) == fingerprint(there | {end: there[end] | {"name": "renamed"}})
    assert fingerprint(there) != fingerprint(there | {end: {"id": "https://other/L/", "name": there[end]["name"]}})


def test_the_versions_of_two_objects_cannot_be_swapped_unseen():
    """What is sorted for the hash is each object with all its facts, not each fact."""
    mine = [THING | {"version": "1"}, THING | {"id": B, "version": "2"}]
    swapped = [THING | {"version": "2"}, THING | {"id": B, "version": "1"}]
    assert len({fingerprint(changed(record(), packageInfo__tocView__content=one)) for one in (mine, swapped)}) == 2


def test_content_that_is_no_list_is_nonsense():
    with pytest.raises(VendorNonsense, match="content as something that is no list"):
        fingerprint(changed(record(), packageInfo__tocView__content={"0": THING}))


# The target's copy


def test_the_target_gets_the_whole_record_with_one_flag_changed():
    assert replicated(record()) == changed(record(), packageInfo__replicated=True)


def test_the_target_gets_a_group_with_the_flag_on_every_member():
    sent = replicated(group(group()["migrations"][0]))
    assert [one["packageInfo"]["replicated"] for one in sent["migrations"]] == [True, True]
    assert changed(sent, migrations__0__packageInfo__replicated=False, migrations__1__packageInfo__replicated=False) == group(
        group()["migrations"][0]
    )


def test_the_record_itself_stays_as_it_was():
    mine = record()
    replicated(mine)
    assert mine == record()


# What a record says


@pytest.mark.parametrize(
    ("halves", "name"),
    [
        ({"packageInfo": {"project": SALES}}, "Sales"),
        ({"importInfo": {"project": {"name": "Finance"}}}, "Finance"),
        ({"packageInfo": {"type": "configuration", "project": {}}}, "configuration"),
        ({"packageInfo": {"type": "project"}}, "project"),
    ],
)
def test_a_member_is_called_by_its_project(halves, name):
    assert project_of(halves) == name


@pytest.mark.parametrize(
    ("storage", "can"), [({"size": 9, "path": "p"}, True), ({"size": 9}, False), ({}, False), (None, False), ("p", False)]
)
def test_an_import_without_the_path_of_an_undo_package_cannot_be_undone(storage, can):
    assert can_be_undone({"importInfo": {"status": "imported", "undoStorage": storage}}) is can


def test_the_certification_of_a_group_is_at_its_top_and_that_of_a_migration_in_its_package():
    told = {"status": "certified"}
    assert certification(changed(record(), packageInfo__certification=told)) == told
    assert certification(group() | {"certification": told}) == told
    assert certification(record()) == {}


@pytest.mark.parametrize(("told", "tree"), [('{"a": [1]}', {"a": [1]}), ("{}", {}), ({"a": 1}, {"a": 1}), (None, {}), ("", {})])
def test_a_tree_that_comes_as_text_becomes_an_object(told, tree):
    assert decoded_tree({"treeView": told}) == tree


def test_a_tree_that_is_not_json_is_nonsense():
    with pytest.raises(VendorNonsense, match="treeView that is not JSON; nothing was edited"):
        decoded_tree({"treeView": "{broken"})


# What may be edited

EDITABLE = {
    "created": {},
    "failed": {"packageInfo__status": "create_failed"},
    "failed in the other spelling": {"packageInfo__status": "created_failed"},
    "rejected": {"importInfo__importRequestStatus": "rejected"},
}
NOT_EDITABLE = {
    "in the making": (
        {"packageInfo__status": "creating"},
        "its package is creating, and only one that is created or create_failed",
    ),
    "locked": ({"packageInfo__status": "locked"}, "its package is locked"),
    "requested": ({"importInfo__importRequestStatus": "requested"}, "its import is requested, and only one that is pending"),
    "approved": ({"importInfo__importRequestStatus": "approved"}, "its import is approved"),
    "uploaded": ({"packageInfo__purpose": "migration_from_shared_file_store"}, "it was uploaded as a file"),
    "the copy": ({"packageInfo__replicated": True}, "this is the target's copy; edits are for the source only"),
}


@pytest.mark.parametrize("changes", EDITABLE.values(), ids=EDITABLE)
def test_a_migration_may_be_edited_before_its_import_is_requested(changes):
    assert broken_rule(changed(record(), **changes)) == ""


@pytest.mark.parametrize(("changes", "rule"), NOT_EDITABLE.values(), ids=NOT_EDITABLE)
def test_the_rule_that_forbids_an_edit_is_told(changes, rule):
    assert broken_rule(changed(record(), **changes)).startswith(rule)


@pytest.mark.parametrize(
    ("words", "may"), [(["created", "locked"], False), (["create_failed", "empty"], True), (["created", "empty"], False)]
)
def test_a_group_may_be_edited_if_every_member_may_or_waits_behind_a_failed_one(words, may):
    two = group(group()["migrations"][0])
    told = broken_rule(changed(two, **{f"migrations__{n}__packageInfo__status": word for n, word in enumerate(words)}))
    assert bool(told) is not may
