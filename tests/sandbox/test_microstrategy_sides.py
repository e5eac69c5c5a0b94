"""What goes on beside migrating: validation, certification, reuse, and packages carried as files."""

import json
import re

import pytest
from tests.sandbox.library import (
    FINANCE,
    HR,
    PROFIT,
    REGION,
    SALES,
    STORE,
    member,
    package,
    refused,
    thing,
    toc,
)

UPLOADED = "migration_from_shared_file_store"


def validate(both, key):
    """The target's half: the source's record, as it is."""
    return both.target.call("PUT", f"/migrations/{key}/validation", SALES, json=both.source.look(key))


def wait(both, key):
    """The source's half."""
    return both.source.call("PATCH", f"/migrations/{key}", json={"validation": {"status": "validating"}})


def verdict(both, key):
    return both.source.look(key).get("validation", {}).get("status")


def certify(library, key, word, *, nested=True, **more):
    told = {"status": word, **more}
    body = {"packageInfo": {"certification": told}} if nested else told
    return library.call("PATCH", f"/migrations/{key}/packageInfo/certification", json=body)


def certification(library, key):
    return library.look(key)["packageInfo"].get("certification", {}).get("status")


def reuse(library, key, body=None):
    return library.call("POST", "/migrations", params={"packageId": key.split(":")[0]}, json=body or {"importInfo": {}})


def download(library, key):
    return library.call("GET", f"/migrations/packages/{key.split(':')[0]}/binary")


def carry(both, content, kind="project", project=SALES, half="files"):
    """Upload a file to the target and import it there."""
    file = both.target.upload(content, kind).json()["id"]
    assert both.target.send(file, content).status_code == 200
    told = {"storage": {"sharedFileStore": {half: {"id": file}}}, "purpose": UPLOADED}
    return both.target.call("POST", "/migrations", project, json={"packageInfo": told, "importInfo": {}})


# Validation


def test_a_validation_is_202_without_a_body_and_makes_no_record(both):
    key = both.source.made()
    answer = validate(both, key)
    assert (answer.status_code, answer.content) == (202, b"")
    assert both.target.call("GET", f"/migrations/{key}").status_code == 404


def test_the_source_learns_the_result_of_the_target(both):
    both.stop_clock()
    both.switch(validate_seconds=2.0)
    key = both.source.made()
    validate(both, key)
    assert wait(both, key).json()["validation"]["status"] == "validating"
    both.advance(1)
    assert verdict(both, key) == "validating"
    both.advance(1)
    assert verdict(both, key) == "validated"


def test_the_source_may_begin_to_wait_after_the_target_has_ended(both):
    key = both.source.made()
    validate(both, key)
    assert wait(both, key).json()["validation"]["status"] == "validating"
    assert verdict(both, key) == "validated"


def test_an_old_result_is_not_told_twice(both):
    key = both.source.made()
    for _ in range(2):
        validate(both, key)
        wait(both, key)
        assert verdict(both, key) == "validated"
    wait(both, key)
    assert verdict(both, key) == "validating"


def test_a_package_that_fails_validation_fails_to_import(both):
    both.switch(fail_validation="spring*")
    key = both.source.made()
    validate(both, key)
    wait(both, key)
    assert verdict(both, key) == "validation_failed"
    for word in ("requested", "approved"):
        both.source.request(key, word)
    both.bring(key)
    assert both.target.look(key)["importInfo"]["status"] == "import_failed"


def test_clocks_that_are_apart_are_refused_in_the_documented_words(both):
    both.switch(clock_skew_seconds=301.0)
    status, _, message = refused(validate(both, both.source.made()))
    assert status == 400
    assert message.startswith("The time difference between the source and target environments should be five minutes or less.")


def test_clocks_that_are_apart_may_be_told_by_the_result(both):
    both.switch(clock_skew_seconds=301.0, clock_skew_answer="validation_failed")
    key = both.source.made()
    validate(both, key)
    wait(both, key)
    assert "five minutes or less" in both.source.look(key)["validation"]["message"]


def test_five_minutes_are_still_good(both):
    both.switch(clock_skew_seconds=300.0)
    assert validate(both, both.source.made()).status_code == 202


def test_a_locked_package_is_not_validated(both):
    key = both.source.locked()
    assert [refused(answer)[0] for answer in (validate(both, key), wait(both, key))] == [400, 400]


def test_only_administrators_validate(both):
    key = both.architect.made()
    body = {"validation": {"status": "validating"}}
    assert refused(both.architect.call("PATCH", f"/migrations/{key}", json=body))[:2] == (403, "ERR014")


def test_an_edit_removes_the_result(both):
    key = both.source.made()
    validate(both, key)
    wait(both, key)
    both.source.call("PUT", f"/migrations/{key}/packageInfo", SALES, json={"type": "project", "name": "x", "tocView": toc()})
    assert verdict(both, key) is None


@pytest.mark.parametrize("path", [("packageInfo", "storage"), ("packageInfo", "environment"), ("importInfo", "environment")])
def test_a_validation_needs_its_fields(both, path):
    key = both.source.made()
    body = both.source.look(key)
    del body[path[0]][path[1]]
    answer = both.target.call("PUT", f"/migrations/{key}/validation", SALES, json=body)
    assert refused(answer)[:2] == (400, "ERR007")


# Certification


@pytest.mark.parametrize("nested", [True, False])
def test_a_certification_is_204_nested_or_flat(both, nested):
    key = both.source.made()
    answer = certify(both.source, key, "certified", nested=nested)
    assert (answer.status_code, answer.content, certification(both.source, key)) == (204, b"", "certified")


def test_architects_ask_and_administrators_decide(both):
    key = both.architect.made()
    assert certify(both.architect, key, "requested").status_code == 204
    assert refused(certify(both.architect, key, "certified"))[:2] == (403, "ERR014")
    assert certify(both.source, key, "rejected").status_code == 204


def test_architects_take_their_request_back_but_no_certification(both):
    key = both.architect.made()
    assert [certify(both.architect, key, word).status_code for word in ("requested", "uncertified")] == [204, 204]
    certify(both.source, key, "certified")
    assert refused(certify(both.architect, key, "uncertified"))[0] == 403


@pytest.mark.parametrize("steps", [["rejected"], ["certified", "requested"], ["certified", "certified"], ["excellent"]])
def test_a_certification_cannot_become_anything(both, steps):
    key = both.source.made()
    assert refused([certify(both.source, key, word) for word in steps][-1])[0] == 400


def test_a_locked_package_is_not_certified(both):
    assert refused(certify(both.source, both.source.locked(), "certified"))[0] == 400


def test_a_replay_on_the_target_keeps_who_did_it_and_when(both):
    key = both.moved()
    who = {"id": "1", "name": "ada", "fullName": "Ada"}
    when = "2024-05-06T08:00:00.000+0000"
    assert certify(both.target, key, "certified", operator=who, lastUpdatedDate=when).status_code == 204
    told = {"status": "certified", "operator": who, "lastUpdatedDate": when}
    assert both.target.look(key)["packageInfo"]["certification"] == told


def test_a_plain_certification_on_the_target_is_refused(both):
    assert refused(certify(both.target, both.moved(), "certified"))[0] == 400


@pytest.mark.parametrize("spelling", ["autoSync", "autosync", "AUTOSYNC"])
def test_the_servers_synchronise_by_themselves_when_asked(both, spelling):
    key = both.source.made()
    certify(both.source, key, "certified")
    for word in ("requested", "approved"):
        both.source.request(key, word)
    body = both.source.look(key)
    body["packageInfo"] |= {"replicated": True, "certification": None}
    both.target.call("PUT", f"/migrations/{key}", SALES, json=body)
    path = f"/migrations/{key}/packageInfo/certification"
    assert both.target.call("PATCH", path, params={spelling: "True"}, json={}).status_code == 204
    assert certification(both.target, key) == "certified"


@pytest.mark.parametrize("nested", [True, False])
def test_a_group_is_certified_at_its_top(both, nested):
    key = both.source.group(member(SALES)).json()["id"]
    body = {"certification": {"status": "certified"}} if nested else {"status": "certified"}
    assert both.source.call("PATCH", f"/migrationGroups/{key}/certification", json=body).status_code == 204
    assert both.source.look(key, "migrationGroups")["certification"]["status"] == "certified"


@pytest.mark.parametrize(("born", "shown"), [("absent", None), ("uncertified", "uncertified")])
def test_a_new_record_may_say_that_it_is_uncertified(both, born, shown):
    both.switch(certification_born=born)
    assert certification(both.source, both.source.made()) == shown


@pytest.mark.parametrize(("resets", "shown"), [(False, "certified"), (True, None)])
def test_an_edit_may_take_a_certification_back(both, resets, shown):
    both.switch(edit_resets_certification=resets)
    key = both.source.made()
    certify(both.source, key, "certified")
    both.source.call("PUT", f"/migrations/{key}/packageInfo", SALES, json={"type": "project", "name": "x", "tocView": toc()})
    assert certification(both.source, key) == shown


# Reuse


def test_a_reused_package_has_its_id_and_can_be_imported_at_once(both):
    first = both.moved()
    again = reuse(both.source, first).json()["id"]
    assert [one == two for one, two in zip(first.split(":"), again.split(":"), strict=True)] == [True, False]
    assert both.bring(again).status_code == 201


def test_a_reused_package_may_need_an_approval(both):
    both.switch(reused_born="created")
    again = reuse(both.source, both.source.locked()).json()["id"]
    assert refused(both.bring(again))[0] == 400
    assert [both.source.request(again, word).status_code for word in ("requested", "approved")] == [200, 200]


def test_an_unknown_package_is_not_reused(both):
    assert refused(reuse(both.source, "F" * 32))[:2] == (404, "ERR004")


def test_architects_do_not_reuse(both):
    assert refused(reuse(both.architect, both.source.locked()))[0] == 403


# Files


def test_a_package_is_downloaded_by_its_package_id_under_its_name(both):
    answer = download(both.source, both.source.made(name="spring release"))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename=spring release.mmp"
    assert answer.json()["name"] == "spring release"


def test_a_package_of_a_group_can_be_downloaded_too(both):
    key = both.source.group(member(FINANCE)).json()["migrations"][0]["id"]
    assert download(both.source, key).json()["project"]["name"] == "Finance"


def test_an_undo_package_is_downloaded_by_the_import_id(both):
    key = both.moved()
    answer = both.target.call("GET", f"/migrations/imports/{key.split(':')[1]}/binary")
    assert answer.json()["before"] == {REGION: None}


def test_a_package_that_is_not_there_is_404(both):
    both.switch(missing_objects=REGION)
    assert refused(download(both.source, both.source.made()))[:2] == (404, "ERR004")


def test_an_uploaded_package_is_imported_by_the_post_itself_with_its_real_content(both):
    content = download(both.source, both.source.made(told=package(thing(PROFIT, 4)))).content
    answer = carry(both, content).json()
    importing = answer["importInfo"]
    assert answer["packageInfo"]["status"] == "locked"
    assert (importing["importRequestStatus"], importing["status"]) == ("approved", "importing")
    assert set(both.held()) == {PROFIT}


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"[]", json.dumps({"format": "ferry sandbox package"}).encode()])
def test_a_file_that_is_no_package_fails_to_import(both, content):
    seen = both.target.look(carry(both, content).json()["id"])["importInfo"]
    assert (seen["status"], seen["message"]) == ("import_failed", "The package file is damaged, or is not a package.")


def test_the_file_may_be_named_in_the_singular(both):
    content = download(both.source, both.source.made()).content
    assert carry(both, content, half="file").status_code == 201


def test_an_uploaded_record_has_no_environment_and_is_listed_by_its_purpose(both):
    key = carry(both, download(both.source, both.source.made()).content).json()["id"]
    listed = both.target.call("GET", "/migrations", params={"packageInfo.purpose": UPLOADED}).json()["data"]
    assert [one["id"] for one in listed] == [key]
    assert "environment" not in both.target.look(key)["packageInfo"]


def test_an_uploaded_package_is_neither_edited_nor_validated(both):
    key = carry(both, download(both.source, both.source.made()).content).json()["id"]
    told = both.target.look(key)
    told["packageInfo"] |= {"environment": {}, "status": "created"}
    said = [
        both.target.call("PUT", f"/migrations/{key}/packageInfo", SALES, json=told["packageInfo"]),
        both.target.call("PUT", f"/migrations/{key}/validation", SALES, json=told),
    ]
    assert [refused(answer)[0] for answer in said] == [400, 400]


@pytest.mark.parametrize("project", [None, HR])
def test_an_uploaded_package_needs_a_project_of_the_target(both, project):
    assert refused(carry(both, b"x", project=project))[0] == 400


def test_a_file_is_announced_sent_read_and_deleted(both):
    told = both.target.upload(b"bytes").json()
    assert told["existing"] is False
    assert re.fullmatch(r"[\w=]+", told["id"])
    assert both.target.send(told["id"], b"bytes").json()["existing"] is True
    assert both.target.call("GET", f"{STORE}/{told['id']}/binary").content == b"bytes"
    said = [both.target.call("DELETE", f"{STORE}/{told['id']}").status_code for _ in range(2)]
    assert said == [204, 404]


@pytest.mark.parametrize("sent", [b"byte", b"bytez"])
def test_a_file_that_is_not_what_was_announced_is_refused(both, sent):
    file = both.target.upload(b"bytes").json()["id"]
    assert refused(both.target.send(file, sent))[0] == 400
    assert both.target.call("GET", f"{STORE}/{file}/binary").status_code == 404


def test_files_are_listed_by_type_in_pages(both):
    for _ in range(3):
        both.target.upload(b"bytes")
    page = both.target.call("GET", STORE, params={"type": "migrations.packages", "limit": 2}).json()
    assert (page["total"], len(page["data"])) == (3, 2)


@pytest.mark.parametrize(
    "wrong", [{"type": "documents"}, {"extension": "zip"}, {"size": "5"}, {"sha256": "ab"}, {"extraInfo": {"packageType": "x"}}]
)
def test_an_announcement_that_breaks_a_rule_is_a_400(both, wrong):
    assert refused(both.target.upload(b"bytes", **wrong))[0] == 400


@pytest.mark.parametrize("limit", [{"max_uploaded": 0}, {"max_package_bytes": 4}])
def test_files_have_limits(both, limit):
    both.switch(**limit)
    assert refused(both.target.upload(b"bytes"))[0] == 400


def test_files_are_of_one_environment(both):
    both.target.upload(b"bytes")
    assert both.source.call("GET", STORE).json()["total"] == 0
