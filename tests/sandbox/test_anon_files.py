"""Tasks and files of the made-up migrations, at paths that the vendor does not tell."""

import csv
import io
import json
import re
from datetime import datetime

import pytest
from tests.sandbox.anon_client import KEY

DEFAULT = ["EmployeeRoster", "EmployeeDetails", "ContractorRoster", "EmployeeW2Previews"]
ENDED = {"COMPLETE", "NO_DATA"}


def statuses(anon, key):
    found = anon.tasks(key)
    return [found[name] for name in DEFAULT]


def moment(text):
    return datetime.fromisoformat(text).timestamp()


# Tasks


def test_a_task_has_eight_fields(anon):
    key = anon.one("completes")
    anon.advance(6)
    tasks = anon.page(f"/{key}/tasks")["data"]
    assert all(list(one)[:5] == ["object", "id", "created", "status", "migration_id"] for one in tasks)
    assert all(list(one)[5:] == ["data_category", "data_type", "completed_at"] for one in tasks)
    assert {(one["object"], one["migration_id"], one["created"]) for one in tasks} == {
        ("migration_task", key, anon.get(key)["created"])
    }
    assert {one["data_type"]: one["data_category"] for one in tasks} == {
        "EmployeeRoster": "EMPLOYEE",
        "EmployeeDetails": "EMPLOYEE",
        "ContractorRoster": "EMPLOYEE",
        "EmployeeW2Previews": "TAX",
    }
    assert len({one["id"] for one in tasks}) == 4
    assert anon.page(f"/{key}/tasks")["data"] == tasks


def test_tasks_of_two_migrations_have_different_ids(anon):
    keys = anon.make(count=2)
    assert set(anon.ids(f"/{keys[0]}/tasks")).isdisjoint(anon.ids(f"/{keys[1]}/tasks"))


@pytest.mark.parametrize("zone", ["none", "Z"])
def test_a_task_that_is_over_tells_when_with_an_offset(anon, zone):
    anon.switch(zone=zone)
    key = anon.one("completes")
    anon.advance(5)
    assert [one["completed_at"] for one in anon.page(f"/{key}/tasks")["data"]] == [None] * 4
    anon.advance(60)
    for one in anon.page(f"/{key}/tasks")["data"]:
        assert re.fullmatch(r".*\.\d{6}\+00:00", one["completed_at"])
        assert moment(one["completed_at"]) == pytest.approx(anon.now() - 59, abs=0.001)


def test_tasks_follow_the_migration(anon):
    key = anon.one("stalls")
    assert statuses(anon, key) == ["PENDING"] * 4
    anon.advance(2)
    assert statuses(anon, key) == ["IN_PROGRESS", "PENDING", "PENDING", "PENDING"]
    anon.advance(2)
    assert statuses(anon, key) == ["COMPLETE", "AWAITING_USER_INPUT", "PENDING", "PENDING"]
    anon.advance(5)
    assert statuses(anon, key) == ["COMPLETE", "IN_PROGRESS", "PENDING", "PENDING"]
    anon.advance(2)
    assert statuses(anon, key) == ["COMPLETE", "COMPLETE", "NO_DATA", "COMPLETE"]


def test_a_partial_success_has_a_failed_task_and_the_others_are_done(anon):
    key = anon.one("partly")
    anon.advance(6)
    found = statuses(anon, key)
    assert found.count("FAILED") == 1
    assert {word for word in found if word != "FAILED"} == ENDED


def test_a_failure_keeps_what_was_done_before(anon):
    key = anon.one("fails")
    anon.advance(6)
    assert statuses(anon, key) == ["COMPLETE", "FAILED", "PENDING", "PENDING"]
    assert [one["type"] for one in anon.files(key)] == ["EmployeeRoster-CSV"]


@pytest.mark.parametrize("act", ["fail", "abandon"])
def test_what_ended_before_any_work_has_done_nothing(anon, act):
    key = anon.one()
    anon.acts(key, act)
    assert statuses(anon, key) == ["PENDING"] * 4
    assert anon.files(key) == []


def test_an_undocumented_status_is_one_of_work(anon):
    assert statuses(anon, anon.one([[0, "ON_HOLD"]])) == ["IN_PROGRESS", "PENDING", "PENDING", "PENDING"]


def test_a_demand_before_any_work_is_one_of_the_first_task(anon):
    key = anon.one()
    anon.acts(key, "ask")
    assert statuses(anon, key) == ["AWAITING_USER_INPUT", "PENDING", "PENDING", "PENDING"]


@pytest.mark.parametrize(("act", "last"), [("finish", "COMPLETE"), ("finish_with_failures", "FAILED")])
def test_the_last_task_waits_for_the_end_however_often_people_are_asked(anon, act, last):
    key = anon.one()
    anon.acts(key, "login", *("ask", "supply") * 6)
    assert statuses(anon, key) == ["COMPLETE", "COMPLETE", "NO_DATA", "IN_PROGRESS"]
    anon.acts(key, act)
    assert statuses(anon, key) == ["COMPLETE", "COMPLETE", "NO_DATA", last]


@pytest.mark.parametrize("end", ["COMPLETE", "COMPLETED_WITH_FAILURES", "FAILED"])
def test_tasks_that_were_told_end_as_told(anon, end):
    told = {"PTOData": "FAILED", "CompanyProfile": "COMPLETE", "DirectDeposit": "NO_DATA", "Rumours": "LOST"}
    key = anon.one([[0, "NOT_STARTED"], [5, end]], tasks=[list(pair) for pair in told.items()])
    assert set(anon.tasks(key).values()) == {"PENDING"}
    anon.advance(5)
    assert anon.tasks(key) == told
    seen = {one["data_type"]: one for one in anon.page(f"/{key}/tasks")["data"]}
    assert [seen[name]["completed_at"] is None for name in told] == [False, False, False, True]
    assert [seen[name]["data_category"] for name in told] == ["EMPLOYEE", "COMPANY", "COMPENSATION", "EMPLOYEE"]
    assert {one["type"].removesuffix("-CSV") for one in anon.files(key)} == {"CompanyProfile"}


def test_there_may_be_no_tasks_and_then_no_files(anon):
    key = anon.one([[0, "COMPLETE"]], tasks=[])
    assert (anon.tasks(key), anon.files(key)) == ({}, [])


# Files


def test_a_file_has_nine_fields(anon):
    key = anon.one("completes")
    anon.advance(6)
    raw, clean = sorted(anon.files(key), key=lambda one: one["name"], reverse=True)
    fields = ["object", "id", "created", "name", "type", "content_type", "url", "size", "migration_id"]
    assert [list(raw), list(clean)] == [fields, fields]
    assert (raw["object"], raw["migration_id"]) == ("file", key)
    assert (raw["name"], raw["type"], raw["content_type"]) == ("employee_roster_1.csv", "EmployeeRoster-CSV", "text/csv")
    assert (clean["name"], clean["type"], clean["content_type"]) == (
        "employee_details_2.json",
        "EmployeeDetails",
        "application/json",
    )
    assert moment(raw["created"] + "+00:00") == pytest.approx(anon.now(), abs=0.001)


def test_files_keep_their_ids_and_come_with_their_tasks(anon):
    anon.switch(files_per_migration=5)
    key = anon.one("stalls")
    counts = []
    early = []
    for seconds in (3, 3, 6):
        anon.advance(seconds)
        counts.append(len(anon.files(key)))
        early = early or anon.ids(f"/{key}/files")
    assert counts == [0, 3, 5]
    assert len(early) == 3
    assert set(early) < set(anon.ids(f"/{key}/files"))


@pytest.mark.parametrize("story", ["completes", "partly"])
@pytest.mark.parametrize("count", [0, 1, 2, 25])
def test_there_are_as_many_files_as_the_switch_says(anon, story, count):
    anon.switch(files_per_migration=count)
    key = anon.one(story)
    anon.advance(6)
    found = anon.files(key)
    assert len({one["id"] for one in found}) == len({one["name"] for one in found}) == len(found) == count
    assert len(anon.ids(f"/{key}/files")) == min(count, 10)


def test_a_file_can_be_downloaded_without_the_key_and_has_its_size(anon, plain):
    anon.switch(files_per_migration=6)
    key = anon.one([[0, "COMPLETE"]])
    for one in anon.files(key):
        answer = plain.get(one["url"])
        assert (answer.status_code, len(answer.content)) == (200, one["size"])
        assert f'filename="{one["name"]}"' in answer.headers["content-disposition"]
        if one["content_type"] == "text/csv":
            rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
        else:
            rows = json.loads(answer.content)["records"]
        assert len(rows) >= 3
        assert all(list(row) == ["employee_id", "name", "started_on"] for row in rows)


def test_content_is_not_plain_ascii_and_needs_quoting(anon, plain):
    anon.switch(files_per_migration=5)
    key = anon.one([[0, "COMPLETE"]])
    text = plain.get(next(one["url"] for one in anon.files(key) if one["name"].endswith("_3.csv"))).content.decode()
    assert "Piotr Wiśniewski" in text
    assert '"Ana ""Nan"" O\'Neill, Jr."' in text


def test_a_link_expires_and_a_new_one_works(anon, plain):
    anon.switch(file_url_seconds=10)
    key = anon.one([[0, "COMPLETE"]])
    url = anon.files(key)[0]["url"]
    anon.advance(9)
    assert plain.get(url).status_code == 200
    anon.advance(3)
    answer = plain.get(url)
    assert (answer.status_code, "Request has expired" in answer.text) == (403, True)
    assert plain.get(anon.files(key)[0]["url"]).status_code == 200


def test_a_link_is_signed(anon, plain):
    url = anon.files(anon.one([[0, "COMPLETE"]]))[0]["url"]
    assert plain.get(url.partition("?")[0]).status_code == 403
    assert plain.get(url.replace("employee", "employer")).status_code == 403


def test_a_key_that_is_sent_to_the_storage_is_found_out(anon, plain):
    url = anon.files(anon.one([[0, "COMPLETE"]]))[0]["url"]
    answer = plain.get(url, headers={"Authorization": f"Bearer {KEY}"})
    assert (answer.status_code, "InvalidArgument" in answer.text) == (400, True)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD"])
def test_nothing_can_be_put_into_the_storage(anon, plain, method):
    url = anon.files(anon.one([[0, "COMPLETE"]]))[0]["url"]
    before = plain.get(url).content
    assert plain.request(method, url).status_code in {403, 405}
    assert plain.get(url).content == before


def test_a_reset_takes_the_files_away(anon, plain):
    url = anon.files(anon.one([[0, "COMPLETE"]]))[0]["url"]
    anon.control.post("/reset", params={"vendor": "anon"}).raise_for_status()
    assert plain.get(url).status_code == 404


def test_odd_types_of_data_make_decent_names(anon, plain):
    key = anon.one([[0, "COMPLETE"]], tasks=[['../W2 "x"\r\nSet-Cookie: a=b', "COMPLETE"]])
    raw, clean = sorted(anon.files(key), key=lambda one: one["name"])
    assert [raw["name"], clean["name"]] == ["w2_x_set_cookie_a_b_1.csv", "w2_x_set_cookie_a_b_2.json"]
    assert plain.get(raw["url"]).status_code == plain.get(clean["url"]).status_code == 200
