"""The check of a whole batch against both Libraries, with a real ledger: what it finds, keeps and remembers for later steps."""

import csv
import json
import os

import pytest

from ferry.core.errors import BatchRefused
from ferry.ledger.entries import Verdict
from ferry.steps.settling import judge
from ferry.steps.work import Work
from ferry.vendors.microstrategy import SOURCE, TARGET, planning
from ferry.vendors.microstrategy.after_import import sync_certification
from ferry.vendors.microstrategy.hook import MicroStrategyHook
from ferry.vendors.microstrategy.making import open_run
from ferry.vendors.microstrategy.planning import aim, check_batch, header, planned, settings

A = "A1" * 16
SALES = {"project": "Sales", "rules": {"default_action": "replace"}, "objects": [{"id": A.lower(), "type": 12}]}
MERGE = {"project": "Sales", "rules": {"default_action": "replace"}, "merge": {"folders": {A: "replace"}}}
SERVER = {"type": "configuration", "rules": {"default_action": "replace"}, "objects": [{"id": A, "type": "user"}]}
PACKAGE_FILE = {"file": "p.mmp", "target_project": "Sales"}


def findings(work):
    """The findings file that a refused check left in the evidence: code and message of each."""
    with pytest.raises(BatchRefused, match="Nothing was sent"):
        check_batch(work)
    entry = work.standing.results["check_batch", ""]
    with work.desk() as desk, work.evidence.fetch(entry.evidence_path, desk / "f.csv").open(newline="") as file:
        return [(row["code"], row["message"]) for row in csv.DictReader(file)]


def test_a_good_batch_passes_and_nothing_is_sent_for_it(admitted, libraries):
    check_batch(admitted({"packages": [SALES]}))
    assert {one["method"] for one in libraries.seen("*/api/[!a]*")} == {"GET"}


def test_later_steps_get_the_projects_that_were_found(admitted):
    work = admitted({"packages": [SALES | {"project": "Marketing"}]})
    check_batch(work)
    (member,) = planned(work)
    assert (member.source.id[:2], member.target.id[:2], member.objects[0].id) == ("C3", "D4", A)
    assert (header(work)[:2], aim(work)["project"]["name"]) == ("D4", "Marketing")


@pytest.mark.parametrize("section", [{"packages": [SERVER]}, {"packages": [SERVER, SALES]}], ids=["configuration", "group"])
def test_there_is_no_project_header_for_the_configuration_nor_for_groups(admitted, section):
    work = admitted(section)
    check_batch(work)
    assert (header(work), "project" in aim(work)) == ("", False)


def test_what_is_missing_on_either_side_is_found_in_one_go_with_what_is_there(admitted):
    found = findings(admitted({"packages": [SALES | {"project": "HR"}, SALES | {"project": "Xyz"}]}))
    assert found == [
        ("NO_PROJECT", "The target shows this user no project 'HR'; it shows Finance, Marketing, Sales."),
        ("NO_PROJECT", "The source shows this user no project 'Xyz'; it shows Finance, HR, Marketing, Sales."),
        ("NO_PROJECT", "The target shows this user no project 'Xyz'; it shows Finance, Marketing, Sales."),
    ]


def test_a_check_that_was_refused_keeps_nothing_as_sent(admitted):
    work = admitted({"packages": [SALES | {"project": "HR"}]})
    findings(work)
    assert [key for step, key in work.standing.results if key] == []


def test_what_is_sent_is_kept_object_by_object(admitted):
    work = admitted({"packages": [SALES]})
    check_batch(work)
    entry = work.standing.results["check_batch", "package-1"]
    with work.desk() as desk:
        rows = work.evidence.fetch(entry.evidence_path, desk / "sent.csv").read_text()
    assert rows.splitlines() == ['"key","type","action","include_dependents"', f'"{A}","12","replace","false"']


@pytest.mark.parametrize(
    ("section", "table"), [({"packages": [MERGE]}, "Sales"), ({"package_file": PACKAGE_FILE}, "Sales")], ids=["merge", "file"]
)
def test_what_has_no_list_is_kept_as_a_whole(admitted, section, table):
    work = admitted(section, {"p.mmp": b"four"})
    check_batch(work)
    data = work.standing.results["check_batch", "package-1"].data
    assert (data["table"], data["records"], data["whole"]) == (table, 1, True)


# Packages that come as files


@pytest.mark.parametrize(
    ("size", "wrong", "said"), [(0, "EMPTY_FILE", "has 0 bytes"), (11, "TOO_LARGE", "has 11 bytes")], ids=["empty", "large"]
)
def test_a_package_file_is_neither_empty_nor_larger_than_the_vendor_takes(admitted, monkeypatch, size, wrong, said):
    monkeypatch.setattr(planning, "MOST_BYTES", 10)  # two gigabytes would be hashed twice
    ((code, message),) = findings(admitted({"package_file": PACKAGE_FILE}, {"p.mmp": b"x" * size}))
    assert code == wrong
    assert message == f"The package file {said}; the vendor takes 1 to 10."


def test_the_vendors_limit_is_two_gigabytes():
    assert planning.MOST_BYTES == 2 * 1024**3


@pytest.mark.parametrize(
    "section",
    [{"package_file": {"file": "p.mmp", "target_project": "HR"}}, {"reuse": {"package": A, "target_project": "HR"}}],
    ids=["file", "reuse"],
)
def test_the_target_project_of_what_is_made_already_must_be_there(admitted, section):
    assert findings(admitted(section, {"p.mmp": b"four"})) == [
        ("NO_PROJECT", "The target shows this user no project 'HR'; it shows Finance, Marketing, Sales.")
    ]


def test_the_expected_objects_of_a_package_file_are_checked_like_any_list(admitted):
    told = PACKAGE_FILE | {"objects": [{"id": A, "type": 12, "action": "replace"}, {"id": "x", "type": 12, "action": "replace"}]}
    assert [code for code, _ in findings(admitted({"package_file": told}, {"p.mmp": b"four"}))] == ["BAD_ID"]


def test_an_expected_object_says_its_action_for_there_is_no_default(admitted):
    told = PACKAGE_FILE | {"objects": [{"id": A, "type": 12}]}
    assert [code for code, _ in findings(admitted({"package_file": told}, {"p.mmp": b"four"}))] == ["BAD_ACTION"]


def test_a_security_package_takes_what_the_vendor_takes(admitted):
    told = PACKAGE_FILE | {"type": "project_security", "objects": [{"id": A, "type": 34, "action": "replace"}]}
    work = admitted({"package_file": told}, {"p.mmp": b"four"})
    check_batch(work)
    assert work.standing.results["check_batch", "package-1"].data["records"] == 1


def test_a_package_file_asks_the_source_nothing(admitted, libraries):
    check_batch(admitted({"package_file": PACKAGE_FILE}, {"p.mmp": b"four"}))
    assert libraries.logins("source") == 0


def test_both_ends_are_asked_with_the_connections_the_batch_was_admitted_with(admitted, libraries):
    check_batch(admitted({"packages": [SALES], "source": SOURCE}))
    assert (libraries.logins("source"), libraries.logins("target")) == (1, 1)


# Settings


def test_a_check_keeps_the_settings_and_returns_only_a_headline_and_counts(admitted):
    work = admitted({"packages": [SALES], "approval": "auto", "clean_up": True})
    assert check_batch(work) == {"findings": "0 errors and 0 warnings", "records": {"Sales": 1}}
    kept = work.standing.results["check_batch", ""].data
    assert kept["settings"] == work.batch.section.settings() == settings(work)
    assert (kept["settings"]["approval"], kept["settings"]["clean_up"], kept["passed"]) == ("auto", True, True)


def test_settings_are_those_of_the_check_whatever_the_manifest_says_by_now(admitted, tmp_path):
    work = admitted({"packages": [SALES]})
    check_batch(work)
    manifest = tmp_path / "batches" / "microstrategy" / "b" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("  packages:", "  approval: auto\n  packages:"))
    assert work.section.approval == "auto"
    assert settings(work)["approval"] == "ask"


def test_without_a_check_there_are_no_settings(admitted):
    with pytest.raises(BatchRefused, match=r"does not know that .* was checked; clear check_batch"):
        settings(admitted({"packages": [SALES]}))


def refused(work):
    with pytest.raises(BatchRefused) as caught:
        check_batch(work)
    return caught.value.message


def test_up_to_three_errors_are_told_in_the_message_itself(admitted):
    message = refused(admitted({"packages": [SALES | {"project": "HR"}, SALES | {"project": "Xyz"}]}))
    assert message.count("shows this user no project") == 3
    assert "The target shows this user no project 'HR'; it shows Finance, Marketing, Sales. The source shows" in message


def test_more_than_three_errors_are_only_counted_in_the_message(admitted):
    message = refused(admitted({"packages": [SALES | {"project": "HR"}, *(SALES | {"project": name} for name in ("X", "Y"))]}))
    assert "shows this user no project" not in message
    assert "All findings are in " in message


def test_what_passed_with_a_warning_tells_only_the_headline(admitted):
    work = admitted({"packages": [SALES | {"rules": {"default_action": "keep_both"}}]})
    told = check_batch(work)["findings"]
    assert "1 warning" in told
    assert "keep_both" not in work.standing.results["check_batch", ""].note


def test_a_batch_whose_two_ends_are_one_place_is_refused(admitted):
    work = admitted({"packages": [SALES], "source": TARGET})
    assert findings(work) == [
        (
            "SAME_PLACE",
            "Source and target are the same: the package would be imported where it comes from. Check both connections.",
        )
    ]


def test_one_library_under_two_names_is_still_one_place(admitted, monkeypatch):
    """What a connection calls an environment is for people; the vendor knows it by its id."""
    there = json.loads(os.environ[f"AIRFLOW_CONN_{TARGET.upper()}"])
    renamed = there | {"extra": there["extra"] | {"environment_name": "the same"}}
    monkeypatch.setenv("AIRFLOW_CONN_AGAIN", json.dumps(renamed))
    assert [code for code, _ in findings(admitted({"packages": [SALES], "source": "again"}))] == ["SAME_PLACE"]


def test_one_library_may_take_a_project_into_another(admitted):
    check_batch(admitted({"packages": [SALES | {"target_project": "Finance"}], "source": TARGET}))


def test_two_packages_into_one_project_of_the_target_are_refused(admitted):
    found = findings(admitted({"packages": [SALES | {"project": "Finance", "target_project": "Sales"}, SALES]}))
    assert [code for code, _ in found] == ["PROJECT_TWICE"] * 2


# Packages that exist


def test_a_reuse_of_an_unknown_package_is_refused_with_a_sentence(admitted, libraries):
    work = admitted({"reuse": {"package": A, "target_project": "Sales"}})
    check_batch(work)
    sentence = f"The source knows no package {A}. Nothing was sent. Correct `reuse` and trigger the batch again."
    with pytest.raises(BatchRefused) as caught:
        open_run(Work(work.attempt, "open_run", work.origin, MicroStrategyHook))
    assert caught.value.message == sentence
    assert judge(work.standing)[0] is Verdict.REFUSED
    assert sentence in judge(work.standing)[2]


def test_a_certification_is_not_carried_to_a_target_that_got_the_package_as_a_file(admitted, libraries):
    """What is uploaded is locked from birth, and only a package that is created, or a copy of one, can be certified [D]."""
    work = admitted({"packages": [SALES], "transport": "file"})
    check_batch(work)
    before = libraries.logins("target")
    assert sync_certification(work) is False
    assert libraries.logins("target") == before
