"""The checks of a batch on disk find exactly what is wrong with its packages and lists, and say where."""

import csv
import json

import pytest
import yaml

from ferry.core.batch import read_batch
from ferry.core.errors import BadInput
from ferry.vendors.microstrategy.checks import check_members
from ferry.vendors.microstrategy.content import Findings
from ferry.vendors.microstrategy.manifest import MicroStrategySection

A, B = "A1" * 16, "B2" * 16
RULES = {"default_action": "use_existing"}
HEAD = b"id,type,action,include_dependents,name\n"
GOOD = f"{A},12,replace,true,Region\n".encode()
SERVER = {"type": "configuration", "rules": RULES, "objects": [{"id": B, "type": "user"}]}


def thing(key=A, kind="attribute", **more):
    return {"id": key, "type": kind, **more}


def package(*objects, project="Sales", **more):
    return {"project": project, "rules": RULES, "objects": list(objects) or [thing()]} | more


@pytest.fixture
def batch(tmp_path):
    """A batch on disk, read as Ferry reads it."""

    def made(section, files=None, top=None):
        folder = tmp_path / "microstrategy" / "b"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        told = {"vendor": "microstrategy", "microstrategy": section} | (top or {})
        (folder / "manifest.yaml").write_text("due: 2026-01-01\n" + yaml.safe_dump(told, sort_keys=False))
        return read_batch(tmp_path, "microstrategy", "b", MicroStrategySection)

    return made


@pytest.fixture
def check(batch):
    """The findings of a batch, and its members."""

    def checked(*told, **more):
        findings = Findings()
        return findings, check_members(batch(*told, **more), findings)

    return checked


@pytest.fixture
def check_list(check):
    """The same for a batch of one package with one CSV list."""
    return lambda content: check({"packages": [package() | {"objects": "o.csv"}]}, {"o.csv": content})


def found(findings):
    return [(f.level, f.code, f.row, f.line, f.column) for f in findings.kept]


def only(findings):
    (one,) = findings.kept
    return one


# Lists


def test_a_good_list_becomes_objects_in_its_order(check_list):
    rows = GOOD + f"{B.lower()},metric,,,\n\n{'C3' * 16},Report, force_replace ,NO,\n".encode()
    findings, (member,) = check_list(HEAD + rows)
    assert found(findings) == []
    assert findings.records == {"Sales": 3}
    assert [(one.id[:2], one.type, one.action, one.include_dependents, one.name) for one in member.objects] == [
        ("A1", 12, "replace", True, "Region"),
        ("B2", 4, "use_existing", False, ""),
        ("C3", 3, "force_replace", False, ""),
    ]


def test_a_list_in_the_manifest_means_the_same(check):
    objects = [thing(include_dependents=True, action="replace", name="Region"), thing(B.lower(), 4)]
    findings, (member,) = check({"packages": [package(*objects)]})
    assert found(findings) == []
    assert [one.to_wire() for one in member.objects] == [
        {"id": A, "type": 12, "action": "replace", "includeDependents": True, "name": "Region"},
        {"id": B, "type": 4, "action": "use_existing", "includeDependents": False},
    ]


@pytest.mark.parametrize("content", [HEAD + GOOD, b"\xef\xbb\xbf" + HEAD + GOOD, (HEAD + GOOD).replace(b"\n", b"\r\n")])
def test_a_list_may_come_from_a_spreadsheet(check_list, content):
    findings, (member,) = check_list(content)
    assert (found(findings), len(member.objects)) == ([], 1)


def test_only_id_and_type_are_needed(check_list):
    findings, (member,) = check_list(f"type,id\n12,{A}\n".encode())
    assert (found(findings), member.objects[0].action) == ([], "use_existing")


ROWS = {
    "bad id": (f"{A[:-1]},12,,,\n", "BAD_ID", "id"),
    "no hex": (f"{A[:-1]}G,12,,,\n", "BAD_ID", "id"),
    "unknown type": (f"{B},region,,,\n", "BAD_TYPE", "type"),
    "no type": (f"{B},,,,\n", "BAD_TYPE", "type"),
    "negative type": (f"{B},-1,,,\n", "BAD_TYPE", "type"),
    "a folder": (f"{B},8,,,\n", "BAD_TYPE", "type"),
    "a project": (f"{B}, 32 ,,,\n", "BAD_TYPE", "type"),
    "a type that no number has": (f"{B},123456,,,\n", "BAD_TYPE", "type"),
    "digits that are no ASCII": (f"{B},\u0661\u0662,,,\n", "BAD_TYPE", "type"),
    "type of the server": (f"{B},34,,,\n", "BAD_TYPE", "type"),
    "bad action": (f"{B},12,merge,,\n", "BAD_ACTION", "action"),
    "bad flag": (f"{B},12,,perhaps,\n", "BAD_FLAG", "include_dependents"),
    "twice": (f"{A.lower()},12,,,\n", "TWICE", "id"),
    "not UTF-8": (f"{B},12,,,caf\udce9\n", "BAD_FILE", ""),
    "too few": (f"{B},12\n", "RAGGED", ""),
    "too many": (f"{B},12,,,Sales, Region\n", "RAGGED", ""),
}


@pytest.mark.parametrize(("row", "code", "column"), ROWS.values(), ids=ROWS)
def test_a_wrong_row_is_found_with_its_row_and_line(check_list, row, code, column):
    """The first object's name is two lines long, and a blank line stands between."""
    before = f'{A},12,replace,true,"Re\ngion"\n\n'.encode()
    after = f"{'C3' * 16},4,,,\n".encode()
    findings, _ = check_list(HEAD + before + row.encode(errors="surrogateescape") + after)
    assert found(findings) == [("error", code, 2, 5, column)]
    assert (only(findings).file, only(findings).table) == ("o.csv", "Sales")


FILES = {
    "no type column": (b"id,kind\n", "BAD_COLUMN", "The list lacks the column type; it has id, kind."),
    "an empty file": (b"", "BAD_COLUMN", "The list lacks the column id and type; it has none."),
    "an unknown column": (b"id,type,owner\n" + f"{A},12,me\n".encode(), "BAD_COLUMN", "No such column is known: owner."),
    "a column twice": (b"id,type,action,action\n" + f"{A},12,,delete\n".encode(), "BAD_COLUMN", "twice: action"),
    "a header that is not UTF-8": (b"id,type,nam\xe9\n" + f"{A},12,x\n".encode(), "BAD_FILE", "not UTF-8"),
    "UTF-16": ((HEAD + GOOD).decode().encode("utf-16"), "BAD_FILE", "not UTF-8"),
    "a quote in the middle": (HEAD + f'{A},12,"re"place,,\n'.encode(), "BAD_FILE", "The list cannot be read from here: "),
    "a quote that stays open": (HEAD + f'{A},12,"replace,,\n'.encode(), "BAD_FILE", "The list cannot be read from here: "),
    "no rows": (HEAD, "NO_OBJECTS", "The package has no objects."),
    "blank rows": (HEAD + b"\n\n", "NO_OBJECTS", "The package has no objects."),
}


@pytest.mark.parametrize(("content", "code", "message"), FILES.values(), ids=FILES)
def test_a_list_that_cannot_be_used_is_one_error(check_list, content, code, message):
    findings, _ = check_list(content)
    assert (only(findings).level, only(findings).code, only(findings).file) == ("error", code, "o.csv")
    assert message in only(findings).message


def test_a_package_without_objects_is_an_error_in_the_manifest(check):
    findings, _ = check({"packages": [{"project": "Sales", "rules": RULES}]})
    assert (only(findings).code, only(findings).file, only(findings).table) == ("NO_OBJECTS", "manifest.yaml", "Sales")


def test_objects_in_the_manifest_are_counted_from_one(check):
    findings, _ = check({"packages": [package(thing(), thing("x"), thing(B, "nothing"), thing())]})
    assert [(f.code, f.row, f.file) for f in findings.kept] == [
        ("BAD_ID", 2, "manifest.yaml"),
        ("BAD_TYPE", 3, "manifest.yaml"),
        ("TWICE", 4, "manifest.yaml"),
    ]
    assert findings.kept[2].message == "The same object stands in row 1 already."


def test_one_object_may_stand_in_two_packages(check):
    assert found(check({"packages": [package(project="Finance"), package()]})[0]) == []


@pytest.mark.parametrize(
    ("told", "kinds"),
    [
        (package(thing(kind="user")), ("user or user group", "configuration", "project")),
        (SERVER | {"objects": [thing()]}, ("attribute", "project", "configuration")),
    ],
)
def test_each_kind_of_package_takes_its_own_level_only(check, told, kinds):
    message = "An object of type {} belongs into a {} package, not into a {} package."
    assert only(check({"packages": [told]})[0]).message == message.format(*kinds)


@pytest.mark.parametrize("told", [package(thing(kind=77)), SERVER | {"objects": [thing(kind="content group")]}])
def test_a_content_group_fits_both_kinds(check, told):
    assert found(check({"packages": [told]})[0]) == []


@pytest.mark.parametrize("kind", [8, "8", 32])
@pytest.mark.parametrize("told", [package(), SERVER])
def test_folders_and_projects_are_not_put_into_packages(check, told, kind):
    findings, (member,) = check({"packages": [told | {"objects": [thing(kind=kind)]}]})
    assert only(findings).message == "Folders and projects are not put into packages; list what is in them."
    assert list(member.objects) == []


def test_a_type_that_nobody_lists_is_the_vendors_to_judge(check):
    findings, (member,) = check({"packages": [package(thing(kind=999))]})
    assert found(findings) == [("warning", "UNLISTED_TYPE", 1, 0, "type")]
    assert member.objects[0].type == 999


def test_no_value_is_in_a_message_and_the_findings_file_has_it(check_list, tmp_path):
    findings, _ = check_list(HEAD + b"SECRET,SECRET,SECRET,SECRET,SECRET\n")
    assert "SECRET" not in json.dumps([f.message for f in findings.kept] + findings.summary()) + repr(findings)
    with findings.write(tmp_path / "findings.csv").open(newline="") as file:
        assert {row["value"] for row in csv.DictReader(file)} == {"SECRET", "secret"}


# Settings

SETTINGS = {
    "default_action": ("merge", "default_action: 'merge' is not possible. There are use_existing, replace, keep_both"),
    "update_schema": (["all"], "update_schema: 'all' is not possible. There are recal_table_logical_size"),
    "acl_on_replacing_objects": ("inherit", "acl_on_replacing_objects: 'inherit' is not possible. There are use_existing"),
    "acl_on_new_objects": ("replace", "acl_on_new_objects: 'replace' is not possible. There are keep_acl_as_source_object"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_the_vendor_does_not_know_is_an_error(check, name):
    value, message = SETTINGS[name]
    findings, _ = check({"packages": [package(thing(action="replace"), rules=RULES | {name: value})]})
    assert (only(findings).code, only(findings).column, only(findings).file) == ("BAD_SETTING", name, "manifest.yaml")
    assert only(findings).message.startswith(message)


def test_a_configuration_package_has_no_schema_to_update(check):
    findings, _ = check({"packages": [SERVER | {"rules": RULES | {"update_schema": ["recal_table_logical_size"]}}]})
    assert only(findings).message.endswith("A configuration package has no such setting.")


# What cannot be undone

MERGE = {"folders": {A: "keep_both"}}
BOTH = {
    "an object": package(thing(action="keep_both")),
    "the default": package(rules={"default_action": "keep_both"}),
    "access rights": package(rules=RULES | {"acl_on_replacing_objects": "keep_both"}),
    "a folder of a merge": {"project": "Sales", "rules": RULES, "merge": MERGE},
    "a type of a merge": {"project": "Sales", "rules": RULES, "merge": {"types": [{"type": 3, "action": "keep_both"}]}},
}


@pytest.mark.parametrize("told", BOTH.values(), ids=BOTH)
@pytest.mark.parametrize(("way", "level"), [("settle", "warning"), ("undo", "error")])
def test_keep_both_anywhere_means_no_undo(check, told, way, level):
    findings, _ = check({"packages": [told], "on_import_failed": way})
    assert [(f.level, f.code) for f in findings.kept] == [(level, "NO_UNDO")]


def test_keep_both_in_one_member_of_a_group_is_enough(check):
    findings, _ = check({"packages": [package(thing(action="keep_both"), project="Finance"), package()]})
    assert only(findings).code == "NO_UNDO"


# Merges


@pytest.mark.parametrize("action", ["force_replace", "delete", "merge"])
@pytest.mark.parametrize("where", ["folders", "objects", "types"])
def test_a_merge_knows_five_actions(check, where, action):
    rules = [{"type": 3, "action": action}] if where == "types" else {A: action}
    findings, _ = check({"packages": [{"project": "Sales", "rules": RULES, "merge": {where: rules}}]})
    assert (only(findings).code, only(findings).column) == ("BAD_ACTION", "merge")
    assert f"{action!r} is no action of a project merge. There are use_existing, replace, keep_both" in only(findings).message


def test_a_merge_cannot_force_by_default_either(check):
    findings, _ = check({"packages": [{"project": "Sales", "rules": {"default_action": "force_replace"}, "merge": {}}]})
    assert only(findings).code == "BAD_SETTING"


@pytest.mark.parametrize("where", ["folders", "objects"])
def test_a_merge_names_folders_and_objects_by_their_ids(check, where):
    findings, _ = check({"packages": [{"project": "Sales", "rules": RULES, "merge": {where: {"Reports": "replace"}}}]})
    assert (only(findings).level, only(findings).code, only(findings).column) == ("error", "BAD_ID", "merge")


@pytest.mark.parametrize("kind", ["report", 3, "3", " Report "])
def test_a_merge_names_types_by_number_or_name(check, kind):
    findings, (member,) = check(
        {"packages": [{"project": "Sales", "rules": RULES, "merge": {"types": [{"type": kind, "action": "replace"}]}}]}
    )
    assert found(findings) == []
    assert member.contents()["settings"]["objectTypeActions"] == [{"type": 3, "action": "replace"}]


@pytest.mark.parametrize("kind", ["reports", -3, "123456"])
def test_a_merge_of_a_type_that_is_none_is_an_error(check, kind):
    rules = [{"type": kind, "subtype": 768, "action": "replace"}]
    findings, _ = check({"packages": [{"project": "Sales", "rules": RULES, "merge": {"types": rules}}]})
    assert (only(findings).level, only(findings).code, only(findings).column) == ("error", "BAD_TYPE", "merge")
    assert only(findings).message == f"merge: {kind!r} is neither the number nor the name of an object type."


def test_a_good_merge_counts_as_one_record(check):
    merge = {"folders": {A: "replace"}, "objects": {B.lower(): "use_newer"}, "types": [{"type": 3, "action": "use_older"}]}
    findings, _ = check({"packages": [{"project": "Sales", "rules": RULES, "merge": merge}]})
    assert (found(findings), findings.records) == ([], {"Sales": 1})


# Groups


def many(number):
    return {"packages": [package(project=f"P{n:03}") for n in range(number)]}


@pytest.mark.parametrize(("number", "codes"), [(100, []), (101, ["TOO_MANY"])])
def test_a_group_has_at_most_a_hundred_members(check, number, codes):
    assert [f.code for f in check(many(number))[0].kept] == codes


@pytest.mark.parametrize("second", ["Sales", "SALES"])
def test_a_project_stands_in_a_group_once(check, second):
    findings, _ = check({"packages": [package(project=second), package()]})
    assert [(f.level, f.code) for f in findings.kept] == [("error", "PROJECT_TWICE")]


def test_the_configuration_stands_in_a_group_once(check):
    findings, _ = check({"packages": [SERVER, SERVER, package()]})
    assert {f.code for f in findings.kept} == {"PROJECT_TWICE", "CONFIGURATION_NOT_FIRST"}


def test_the_configuration_comes_first(check):
    findings, _ = check({"packages": [package(), SERVER]})
    assert found(findings) == [("error", "CONFIGURATION_NOT_FIRST", 0, 0, "")]


def test_another_order_than_by_name_is_noted(check):
    findings, _ = check({"packages": [SERVER, package(), package(project="Finance")]})
    assert found(findings) == [("note", "ORDER", 0, 0, "")]


def test_one_package_is_no_group_to_be_judged(check):
    assert found(check({"packages": [SERVER]})[0]) == []


# The batch


def test_files_are_not_used_here(check):
    files = [{"path": "o.csv", "table": "Sales"}]
    findings, _ = check({"packages": [package()]}, {"o.csv": HEAD + GOOD}, top={"files": files})
    assert (only(findings).level, only(findings).code) == ("error", "FILES_UNUSED")


def test_a_list_that_is_not_there_is_told_before_anything_is_checked(batch):
    with pytest.raises(BadInput, match=r"names o\.csv, which is not in the batch's folder"):
        batch({"packages": [package() | {"objects": "o.csv"}]})


def test_a_changed_list_is_another_input(batch):
    hashes = {
        batch({"packages": [package() | {"objects": "o.csv"}]}, {"o.csv": content}).input_hash for content in (HEAD, HEAD + GOOD)
    }
    assert len(hashes) == 2
