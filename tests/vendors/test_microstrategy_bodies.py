"""What is sent for new migrations and groups, for edits and for validations, literally."""

import json

import pytest
from tests.vendors.records import OTHER, SALES, SOURCE, TARGET, A, B, changed, group, record

from ferry.vendors.microstrategy.bodies import (
    Member,
    Project,
    group_body,
    group_edit,
    import_info,
    migration_body,
    migration_edit,
    validation_body,
)
from ferry.vendors.microstrategy.content import MetadataObject
from ferry.vendors.microstrategy.shapes import replicated
from ferry.vendors.microstrategy.specs import PackageSpec


def spec(**told):
    return PackageSpec.model_validate({"project": "Sales", "rules": {"default_action": "use_existing"}} | told)


REGION = MetadataObject(A, 12, "replace", include_dependents=True, name="Region")
PLAIN = MetadataObject(B, 34, "use_newer", include_dependents=False, name="")
HERE, THERE = Project("S1", "Sales"), Project("O9", "Sales")
SETTINGS = {
    "updateSchema": [],
    "aclOnReplacingObjects": "use_existing",
    "aclOnNewObjects": ["inherit_acl_as_dest_folder"],
    "defaultAction": "use_existing",
}
OBJECT = {"id": A, "type": 12, "action": "replace", "includeDependents": True, "name": "Region"}
USER = {"id": B, "type": 34, "action": "use_newer", "includeDependents": False}


def configuration():
    return Member(PackageSpec.model_validate({"type": "configuration", "rules": {"default_action": "replace"}}), [PLAIN])


def test_a_new_migration():
    assert migration_body(Member(spec(), [REGION], HERE, THERE), "spring", SOURCE, TARGET) == {
        "packageInfo": {
            "type": "project",
            "name": "spring",
            "purpose": "object_migration",
            "environment": SOURCE,
            "tocView": {"settings": SETTINGS, "content": [OBJECT]},
            "treeView": {},
        },
        "importInfo": {"environment": TARGET, "project": {"id": "O9", "name": "Sales"}},
    }


def test_a_new_configuration_migration_names_no_project():
    body = migration_body(configuration(), "users", SOURCE, TARGET)
    assert body["importInfo"] == {"environment": TARGET} == import_info(TARGET, None)
    assert body["packageInfo"]["tocView"] == {"settings": SETTINGS | {"defaultAction": "replace"}, "content": [USER]}


def test_settings_of_the_manifest_are_sent_in_the_vendors_words():
    rules = {
        "default_action": "force_replace",
        "update_schema": ["recal_table_logical_size", "update_schema_logical_info"],
        "acl_on_replacing_objects": "replace",
        "acl_on_new_objects": "keep_acl_as_source_object",
    }
    assert Member(spec(rules=rules), [], HERE, THERE).contents()["settings"] == {
        "updateSchema": ["recal_table_logical_size", "update_schema_logical_info"],
        "aclOnReplacingObjects": "replace",
        "aclOnNewObjects": ["keep_acl_as_source_object"],
        "defaultAction": "force_replace",
    }


def test_a_setting_that_is_emptied_is_not_sent_as_an_empty_word():
    rules = {"default_action": "replace", "acl_on_replacing_objects": "", "acl_on_new_objects": ""}
    assert Member(spec(rules=rules), []).contents()["settings"] == {"updateSchema": [], "defaultAction": "replace"}


def test_a_project_merge_has_rules_and_no_content():
    merge = {
        "validate_dependencies": True,
        "folders": {A: "replace"},
        "objects": {B.lower(): "use_newer"},
        "types": [{"type": 3, "subtype": 768, "action": "use_older"}],
        "translations": "not_merged",
    }
    body = migration_body(Member(spec(merge=merge), [], HERE, THERE), "merge", SOURCE, TARGET)
    assert body["packageInfo"]["purpose"] == "project_merge"
    assert body["packageInfo"]["tocView"] == {
        "settings": SETTINGS
        | {
            "validateDependencies": True,
            "folderActions": [{"id": A, "action": "replace"}],
            "objectTypeActions": [{"type": 3, "subtype": 768, "action": "use_older"}],
            "objectActions": [{"id": B, "action": "use_newer"}],
            "translationAction": "not_merged",
        }
    }


def test_the_types_of_a_merge_are_sent_as_numbers_and_without_what_is_not_told():
    rules = [{"type": "report", "action": "replace"}, {"type": "4", "subtype": 0, "action": "use_newer"}]
    body = migration_body(Member(spec(merge={"types": rules}), [], HERE, THERE), "merge", SOURCE, TARGET)
    assert body["packageInfo"]["tocView"]["settings"]["objectTypeActions"] == [
        {"type": 3, "action": "replace"},
        {"type": 4, "subtype": 0, "action": "use_newer"},
    ]


def test_a_new_group_has_the_configuration_first_and_then_the_projects_by_name():
    finance = Member(spec(project="Finance"), [REGION], Project("F2", "Finance"), Project("F2", "Finance"))
    body = group_body([Member(spec(), [REGION], HERE, THERE), finance, configuration()], "quarter", SOURCE, TARGET)
    content = {"settings": SETTINGS, "content": [OBJECT]}
    users = {"settings": SETTINGS | {"defaultAction": "replace"}, "content": [USER]}
    money = {"id": "F2", "name": "Finance"}
    assert body == {
        "name": "quarter",
        "sourceEnvironment": SOURCE,
        "targetEnvironment": TARGET,
        "treeView": {},
        "migrations": [
            {"packageInfo": {"type": "configuration", "tocView": users}, "importInfo": {}},
            {"packageInfo": {"type": "project", "project": money, "tocView": content}, "importInfo": {"project": money}},
            {"packageInfo": {"type": "project", "project": SALES, "tocView": content}, "importInfo": {"project": OTHER}},
        ],
    }


def test_an_edit_sends_the_saved_package_with_its_changes_and_its_tree_as_an_object():
    saved = record()["packageInfo"]
    assert migration_edit(record(), Member(spec(), [REGION], HERE, THERE), "autumn") == saved | {
        "name": "autumn",
        "treeView": {"treeViewType": "project"},
        "tocView": {"settings": SETTINGS, "content": [OBJECT]},
    }


def test_an_edit_of_the_name_alone_keeps_the_content():
    saved = record()["packageInfo"]
    assert migration_edit(record(), None, "autumn") == saved | {"name": "autumn", "treeView": {"treeViewType": "project"}}


def test_an_edit_of_the_content_alone_keeps_the_name():
    assert migration_edit(record(), Member(spec(), [REGION]), "")["name"] == "spring"


def test_an_edit_of_a_group_replaces_its_members():
    assert group_edit(group(), [Member(spec(), [REGION], HERE, THERE), configuration()], "") == {
        "name": "quarter",
        "treeView": {},
        "migrations": [
            {
                "packageInfo": {
                    "type": "configuration",
                    "purpose": "migration_group",
                    "tocView": {"settings": SETTINGS | {"defaultAction": "replace"}, "content": [USER]},
                },
                "importInfo": {},
            },
            {
                "packageInfo": {
                    "type": "project",
                    "purpose": "migration_group",
                    "project": SALES,
                    "tocView": {"settings": SETTINGS, "content": [OBJECT]},
                },
                "importInfo": {"project": OTHER},
            },
        ],
    }


def test_an_edit_of_a_groups_name_keeps_its_members():
    toc = group()["migrations"][0]["packageInfo"]["tocView"]
    kept = {"type": "project", "purpose": "migration_group", "project": SALES, "tocView": toc}
    assert group_edit(group(), [], "autumn") == {
        "name": "autumn",
        "treeView": {},
        "migrations": [{"packageInfo": kept, "importInfo": {"project": OTHER}}],
    }


@pytest.mark.parametrize("every", [[], [Member(spec(), [REGION], HERE, THERE)]], ids=["kept", "replaced"])
def test_an_edit_of_a_group_never_says_replicated_for_that_would_be_an_import(every):
    assert "replicated" not in json.dumps(group_edit(replicated(group()), every, "autumn"))


def test_a_validation_carries_what_the_target_needs_and_nothing_else():
    assert validation_body(record()) == {
        "id": f"{A}:{B}",
        "packageInfo": {
            "id": A,
            "type": "project",
            "environment": SOURCE,
            "storage": {"size": 9, "path": "mstr/x.mmp"},
            "status": "created",
            "project": SALES,
        },
        "importInfo": {"id": B, "environment": TARGET, "project": OTHER},
    }


def test_the_validation_of_a_configuration_package_names_no_project():
    body = validation_body(changed(record(), packageInfo__type="configuration", packageInfo__project={}, importInfo__project={}))
    assert not {"project"} & (set(body["packageInfo"]) | set(body["importInfo"]))
