"""The projects of a batch are found on both sides, by name or id, before anything is sent."""

import pytest

from ferry.core.findings import Level
from ferry.vendors.microstrategy.bodies import Member
from ferry.vendors.microstrategy.checks import check_one_library, place, project_named
from ferry.vendors.microstrategy.content import Findings
from ferry.vendors.microstrategy.specs import PackageSpec

SOURCE = {"Sales": "A1" * 16, "Marketing": "C3" * 16, "HR": "E5" * 16}
TARGET = {"Sales": "A1" * 16, "Marketing": "D4" * 16, "Finance": "F6" * 16}


def spec(**told):
    return PackageSpec.model_validate({"rules": {"default_action": "replace"}} | told)


def placed(*told):
    findings = Findings()
    return findings, place([Member(spec(**one), []) for one in told], SOURCE, TARGET, findings)


def only(findings):
    (one,) = findings.kept
    return one


@pytest.mark.parametrize(
    ("told", "ids"),
    [
        ({"project": "Sales"}, ("A1", "A1")),
        ({"project": "a1" * 16}, ("A1", "A1")),
        ({"project": "Marketing"}, ("C3", "D4")),
        ({"project": "C3" * 16}, ("C3", "D4")),
        ({"project": "HR", "target_project": "Finance"}, ("E5", "F6")),
        ({"project": "HR", "target_project": "f6" * 16}, ("E5", "F6")),
    ],
)
def test_a_project_is_found_on_each_side_by_name_or_id(told, ids):
    findings, (member,) = placed(told)
    assert (member.source.id[:2], member.target.id[:2]) == ids
    assert findings.kept == []


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"project": "HR"}, "The target shows this user no project 'HR'; it shows Finance, Marketing, Sales."),
        ({"project": "Finance"}, "The source shows this user no project 'Finance'; it shows HR, Marketing, Sales."),
        ({"project": "Sales", "target_project": "X"}, "The target shows this user no project 'X'; it shows Finance, Marketing"),
    ],
)
def test_a_project_that_a_side_does_not_have_is_told_with_those_it_has(told, message):
    findings, _ = placed(told)
    assert (only(findings).level, only(findings).code) == ("error", "NO_PROJECT")
    assert only(findings).message.startswith(message)


def test_of_many_projects_ten_are_listed():
    findings = Findings()
    project_named("Z", {f"P{n:02}": f"{n:032}" for n in range(12)}, "source", findings)
    assert only(findings).message.endswith("it shows P00, P01, P02, P03, P04, P05, P06, P07, P08, P09 ....")


def test_a_user_who_sees_no_project_is_told_so():
    findings = Findings()
    assert project_named("Z", {}, "source", findings) is None
    assert only(findings).message.endswith("it shows none.")


def test_two_ways_of_naming_one_project_are_found_out():
    findings, _ = placed({"project": "A1" * 16}, {"project": "Sales"})
    assert {(f.level, f.code) for f in findings.kept} == {(Level.ERROR, "PROJECT_TWICE")}


def test_two_packages_cannot_go_into_one_project_of_the_target():
    findings, _ = placed({"project": "Sales"}, {"project": "HR", "target_project": "Sales"})
    assert [(f.level, f.code, f.table) for f in findings.kept] == [
        (Level.ERROR, "PROJECT_TWICE", "Sales"),
        (Level.ERROR, "PROJECT_TWICE", "HR"),
    ]
    assert findings.kept[0].message == (
        "Two packages of the group lead to project Sales on the target. Join them, or make two batches."
    )


def test_two_projects_that_are_missing_are_not_taken_for_one():
    findings, _ = placed({"project": "Sales", "target_project": "X"}, {"project": "HR", "target_project": "Y"})
    assert {f.code for f in findings.kept} == {"NO_PROJECT"}


def in_one_library(*told):
    findings = Findings()
    check_one_library(place([Member(spec(**one), []) for one in told], SOURCE, SOURCE, findings), findings)
    return [(f.level, f.code, f.table) for f in findings.kept]


def test_a_project_is_not_imported_into_itself():
    assert in_one_library({"project": "Sales"}) == [(Level.ERROR, "SAME_PLACE", "Sales")]
    assert in_one_library({"project": "Sales", "target_project": "a1" * 16}) == [(Level.ERROR, "SAME_PLACE", "Sales")]
    assert in_one_library({"type": "configuration"}) == [(Level.ERROR, "SAME_PLACE", "configuration")]


def test_a_project_may_go_into_another_of_the_same_library():
    assert in_one_library({"project": "Sales", "target_project": "HR"}) == []


def test_a_project_that_is_missing_is_not_called_the_same_place():
    assert in_one_library({"project": "X"}) == [(Level.ERROR, "NO_PROJECT", "X")] * 2


def test_a_configuration_package_needs_no_project():
    findings, (member,) = placed({"type": "configuration"})
    assert (findings.kept, member.source, member.target) == ([], None, None)
