"""A MicroStrategy manifest says one thing, whole and without contradiction; what is wrong is told with file, line and key."""

import pytest

from ferry.core.batch import parse_manifest
from ferry.core.errors import BadInput
from ferry.vendors.microstrategy.manifest import MicroStrategySection

ID, RECORD = "a1" * 16, f"{'A1' * 16}:{'B2' * 16}"
RULES = "rules: {default_action: replace}"
SALES = f"{{project: Sales, {RULES}, objects: [{{id: {ID}, type: 12}}]}}"
SERVER = f"{{type: configuration, {RULES}, objects: [{{id: {ID}, type: 34}}]}}"
FILE = "package_file: {file: p.mmp, target_project: Sales}"


def read(*lines):
    text = "\n".join(["vendor: microstrategy", "due: 2026-01-01", "microstrategy:", *(f"  {line}" for line in lines)])
    return parse_manifest(text, "microstrategy", "b", MicroStrategySection)[1]


BROKEN = {
    "nothing": (["source: x"], "name one of `packages`, `package_file`, `reuse`, `edit` and `certification`"),
    "two things": ([f"packages: [{SALES}]", FILE], "name one of `packages`, `package_file`, `reuse`"),
    "certification and more": (
        [f"packages: [{SALES}]", f"certification: {{migration: '{RECORD}', action: approve}}"],
        "a certification stands alone: no packages, package_file, reuse or edit beside it",
    ),
    "edit and a file": ([f"edit: {{migration: '{RECORD}'}}", "name: n", FILE], "an edit changes `name`, `packages` or both"),
    "edit of nothing": ([f"edit: {{migration: '{RECORD}'}}"], "an edit changes `name`, `packages` or both, and nothing else"),
    "group by file": (
        [f"packages: [{SALES}, {SERVER}]", "transport: file"],
        "a group cannot travel as a file: the vendor uploads single packages only",
    ),
    "group of a file": (["kind: group", FILE], "a group cannot travel as a file"),
    "migration of two": (
        [f"packages: [{SERVER}, {SALES}]", "kind: migration"],
        "a migration has one package; several make a group",
    ),
    "group of a reuse": (["kind: group", f"reuse: {{package: {ID}}}"], "a package that is used once more makes a migration"),
    "reuse by file": (
        ["transport: file", f"reuse: {{package: {ID}}}"],
        "a package that is used once more cannot travel as a file",
    ),
    "validation by file": ([FILE, "validation: true"], "validation is for single packages that do not travel as a file [D]"),
    "validation of a group": ([f"packages: [{SERVER}, {SALES}]", "validation: true"], "validation is for single packages"),
    "undo without": (
        [f"packages: [{SALES}]", "on_import_failed: undo", "keep_undo: false"],
        "on_import_failed: undo needs keep_undo: true",
    ),
    "certify a file": ([FILE, "certify: true"], "certify is for packages that do not travel as a file"),
    "certify by file": (
        [f"packages: [{SALES}]", "transport: file", "certify: true"],
        "certify is for packages that do not travel",
    ),
    "group of merges": (
        [f"packages: [{{project: Sales, {RULES}, merge: {{}}}}, {SERVER}]"],
        "a project merge is a migration of its own: groups of them are not documented",
    ),
    "validation of a reuse": (
        [f"reuse: {{package: {ID}}}", "validation: true"],
        "a package that is used once more is locked: it can be neither validated nor certified [A8, D]",
    ),
    "certification of a reuse": (
        [f"reuse: {{package: {ID}}}", "certify: true"],
        "a package that is used once more is locked: it can be neither validated nor certified",
    ),
    "deleting a reuse": (
        [f"reuse: {{package: {ID}}}", "clean_up: true"],
        "clean_up would delete the package of another batch: leave it out where a package is used once more",
    ),
    "a file without undo": (
        [FILE, "keep_undo: false"],
        "keep_undo: false cannot be said of a package that travels as a file",
    ),
    "settings of an edit": (
        [f"edit: {{migration: '{RECORD}'}}", "name: n", "validation: true", "approval: auto"],
        "approval, validation: has no meaning for an edit or a certification",
    ),
    "a source of an edit": (
        [f"edit: {{migration: '{RECORD}'}}", "name: n", "source: x"],
        "source: has no meaning for an edit or a certification",
    ),
    "settings of a certification": (
        [f"certification: {{migration: '{RECORD}', action: approve}}", "keep_undo: true"],
        "keep_undo: has no meaning for an edit or a certification",
    ),
}


@pytest.mark.parametrize(("lines", "message"), BROKEN.values(), ids=BROKEN)
def test_a_contradiction_is_told_with_its_file_and_line(lines, message):
    with pytest.raises(BadInput) as caught:
        read(*lines)
    assert caught.value.message.startswith("microstrategy/b/manifest.yaml, line 3: microstrategy: " + message)
    assert caught.value.message.endswith("Correct the manifest and trigger again.")


INSIDE = {
    "no project": (f"packages: [{{{RULES}}}]", "packages.0", "a project package needs `project`"),
    "configuration with a project": (
        f"packages: [{{type: configuration, project: Sales, {RULES}}}]",
        "packages.0",
        "a configuration package is about the server: it has no project and no merge",
    ),
    "configuration with a merge": (f"packages: [{{type: configuration, {RULES}, merge: {{}}}}]", "packages.0", "no merge"),
    "merge with objects": (
        f"packages: [{{project: Sales, {RULES}, merge: {{}}, objects: o.csv}}]",
        "packages.0",
        "a project merge has rules and no objects",
    ),
    "no default action": ("packages: [{project: Sales, rules: {}}]", "packages.0.rules.default_action", "is missing"),
    "an object's misspelt key": (
        f"packages: [{{project: S, {RULES}, objects: [{{id: x, type: 1}}, {{id: y, typ: 1}}]}}]",
        "packages.0.objects.1.typ",
        "no such key is known here",
    ),
    "an object's number for an id": (
        f"packages: [{{project: S, {RULES}, objects: [{{id: 11, type: 1}}]}}]",
        "packages.0.objects.0.id",
        "valid string",
    ),
    "objects of another kind": (f"packages: [{{project: S, {RULES}, objects: 5}}]", "packages.0.objects", "valid tuple"),
    "a list outside": (
        f"packages: [{{project: S, {RULES}, objects: ../o.csv}}]",
        "packages.0.objects",
        "inside the batch's folder",
    ),
    "security by list": (f"packages: [{{type: project_security, {RULES}}}]", "packages.0.type", "'project' or 'configuration'"),
    "file without a project": ("package_file: {file: p.mmp}", "package_file", "every other one needs it"),
    "configuration file with one": (
        "package_file: {file: p.mmp, type: configuration, target_project: S}",
        "package_file",
        "a configuration package has no target_project",
    ),
    "half an id": ("reuse: {package: A1}", "reuse.package", "must be the id of a package: 32 hex digits"),
    "a whole id": (f"reuse: {{package: '{RECORD}'}}", "reuse.package", "the first half of its migration's id"),
    "a half for a whole": (f"edit: {{migration: {ID}}}", "edit.migration", "two ids joined by a colon"),
    "no record": ("edit: {}", "edit", "name one of `migration`, `group` and `batch`"),
    "two records": (f"edit: {{migration: '{RECORD}', batch: b}}", "edit", "name one of `migration`, `group` and `batch`"),
    "certification of none": (
        "certification: {action: approve}",
        "certification",
        "name one of `migration`, `group` and `batch`",
    ),
    "unknown action": ("certification: {batch: b, action: bless}", "certification.action", "'request', 'revert', 'approve'"),
    "sync to nowhere": (
        "certification: {batch: b, action: approve, auto_sync: true}",
        "certification",
        "auto_sync is about the copy on a target: name its connection as replay_on",
    ),
    "misspelt": ("packagess: []", "packagess", "no such key is known here"),
    "other approval": (f"packages: [{SALES}]\n  approval: maybe", "approval", "'ask' or 'auto'"),
    "no name": (f"packages: [{SALES}]\n  name: ''", "name", "at least 1 character"),
    "blank name": (f"packages: [{SALES}]\n  name: '   '", "name", "should match pattern"),
    "name on two lines": (f'packages: [{SALES}]\n  name: "a\\nb"', "name", "should match pattern"),
    "name with a line's end": (f'packages: [{SALES}]\n  name: "a\\n"', "name", "should match pattern"),
    "a truth for a type": (
        f"packages: [{{project: S, {RULES}, objects: [{{id: {ID}, type: yes}}]}}]",
        "packages.0.objects.0.type",
        "must be the number or the name of an object type",
    ),
    "a list for a type": (
        f"packages: [{{project: S, {RULES}, objects: [{{id: {ID}, type: [12]}}]}}]",
        "packages.0.objects.0.type",
        "valid",
    ),
    "a truth for a merge's type": (
        f"packages: [{{project: S, {RULES}, merge: {{types: [{{type: no, action: replace}}]}}}}]",
        "packages.0.merge.types.0.type",
        "must be the number or the name of an object type",
    ),
    "a misspelt rule of a merge": (
        f"packages: [{{project: S, {RULES}, merge: {{types: [{{type: 3, action: replace, sub_type: 4}}]}}}}]",
        "packages.0.merge.types.0.sub_type",
        "no such key is known here",
    ),
    "a rule of a merge without action": (
        f"packages: [{{project: S, {RULES}, merge: {{types: [{{type: 3}}]}}}}]",
        "packages.0.merge.types.0.action",
        "is missing",
    ),
    "an unknown translation": (
        f"packages: [{{project: S, {RULES}, merge: {{translations: all}}}}]",
        "packages.0.merge.translations",
        "'not_merged'",
    ),
    "long name": (f"packages: [{SALES}]\n  name: {'n' * 201}", "name", "at most 200 characters"),
}


@pytest.mark.parametrize(("line", "key", "message"), INSIDE.values(), ids=INSIDE)
def test_a_wrong_part_is_told_with_its_key(line, key, message):
    with pytest.raises(BadInput) as caught:
        read("source: here", line)
    place = f"microstrategy/b/manifest.yaml, line {5 + line.count(chr(10))}: microstrategy.{key}: "
    assert place in caught.value.message
    assert message in caught.value.message.partition(place)[2].partition(" microstrategy/b/")[0]


# What it means


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([f"packages: [{SALES}]"], "migration"),
        ([f"packages: [{SERVER}, {SALES}]"], "group"),
        ([f"packages: [{SALES}]", "kind: group"], "group"),
        ([FILE], "migration"),
        ([f"reuse: {{package: {ID}}}"], "migration"),
    ],
)
def test_several_packages_make_a_group_and_one_makes_one_if_it_is_said(lines, kind):
    assert read(*lines).record_kind == kind


@pytest.mark.parametrize(
    ("lines", "by_file"), [([FILE], True), ([f"packages: [{SALES}]"], False), ([f"packages: [{SALES}]", "transport: file"], True)]
)
def test_a_package_travels_as_a_file_if_it_is_one_or_is_to_be(lines, by_file):
    assert read(*lines).travels_as_file is by_file


@pytest.mark.parametrize(
    ("lines", "roles"),
    [
        ([f"packages: [{SALES}]"], {"source": "microstrategy_source"}),
        ([f"packages: [{SALES}]", "source: old"], {"source": "old"}),
        ([f"reuse: {{package: {ID}}}"], {"source": "microstrategy_source"}),
        ([FILE], {}),
        ([f"edit: {{migration: '{RECORD}'}}", "name: n"], {}),
        ([f"certification: {{migration: '{RECORD}', action: approve}}"], {}),
        ([f"certification: {{migration: '{RECORD}', action: approve, replay_on: new}}"], {"target": "new"}),
    ],
)
def test_the_other_ends_go_by_the_role_they_play(lines, roles):
    assert read(*lines).connections() == roles


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("request", "requested"),
        ("revert", "uncertified"),
        ("approve", "certified"),
        ("reject", "rejected"),
        ("decertify", "uncertified"),
    ],
)
def test_what_a_person_asks_of_a_certification_is_the_vendors_status(action, status):
    assert read(f"certification: {{batch: b, action: {action}}}").certification.status == status


@pytest.mark.parametrize(
    ("lines", "dag"),
    [
        ([f"packages: [{SALES}]"], "migrate_microstrategy"),
        ([FILE], "migrate_microstrategy"),
        ([f"reuse: {{package: {ID}}}"], "migrate_microstrategy"),
        ([f"edit: {{migration: '{RECORD}'}}", f"packages: [{SALES}]"], "edit_microstrategy"),
        ([f"certification: {{migration: '{RECORD}', action: approve}}"], "certify_microstrategy"),
    ],
)
def test_a_section_says_which_dag_it_is_for(lines, dag):
    assert read(*lines).dags() == (dag,)


@pytest.mark.parametrize(
    ("lines", "changed"),
    [
        ([f"packages: [{SALES}]"], {}),
        ([f"packages: [{SALES}]", "transport: file", "approval: auto"], {"by_file": True, "approval": "auto"}),
        ([f"packages: [{SALES}]", "keep_undo: false", "clean_up: true"], {"keep_undo": False, "clean_up": True}),
        ([f"reuse: {{package: {ID}}}", "on_import_failed: undo"], {"reuse": True, "on_import_failed": "undo"}),
    ],
)
def test_what_later_steps_go_by_is_one_flat_fact(lines, changed):
    careful = {"approval": "ask", "keep_undo": True, "on_import_failed": "settle"}
    idle = dict.fromkeys(("certify", "clean_up", "validation", "by_file", "reuse"), False)
    assert read(*lines).settings() == careful | idle | changed


def test_a_name_may_have_spaces_and_any_letters():
    assert read(f"packages: [{SALES}]", "name: ' Frühling 好 | 2026 '").name == " Frühling 好 | 2026 "


def test_an_edit_may_say_how_its_packages_make_a_group():
    assert read(f"edit: {{group: '{RECORD}'}}", f"packages: [{SALES}]", "kind: group").record_kind == "group"


def test_object_lists_and_the_package_file_belong_to_the_input():
    lists = f"packages: [{{project: A, {RULES}, objects: a.csv}}, {{project: B, {RULES}, objects: b.csv}}, {SALES}]"
    assert read(lists).extra_files() == ["a.csv", "b.csv"]
    assert read("package_file: {file: p.mmp, target_project: S, objects: o.csv}").extra_files() == ["o.csv", "p.mmp"]


def test_a_reused_package_is_named_as_the_vendor_writes_it():
    assert read(f"reuse: {{package: {ID}}}").reuse.package == "A1" * 16


def test_what_is_not_said_is_the_careful_choice():
    section = read(f"packages: [{SALES}]")
    assert (section.approval, section.keep_undo, section.on_import_failed, section.clean_up) == ("ask", True, "settle", False)
    assert section.packages[0].rules.acl_on_replacing_objects == "use_existing"
