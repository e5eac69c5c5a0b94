"""Who may read the made-up Anon organisation, and how it refuses."""

import time

import pytest
from tests.sandbox.anon_client import BASE, KEY, refused

NO_KEY = (401, "unauthorized")
UNKNOWN = "7f1c0b52-93a4-4ad1-9a5e-c04a52cf0f11"


# Keys


@pytest.mark.parametrize("key", ["", "guess", KEY[:-1], f"{KEY}x"])
def test_a_missing_or_wrong_key_is_401_everywhere(anon, key):
    made = anon.one()
    paths = ["", f"/{made}", f"/{made}/files", f"/{made}/tasks", f"/{UNKNOWN}"]
    assert [refused(anon.call(path, key=key)) for path in paths] == [NO_KEY] * 5
    assert anon.call(f"/{made}").status_code == 200


@pytest.mark.parametrize("header", [KEY, f"Basic {KEY}", f"Token {KEY}", "Bearer"])
def test_the_key_is_a_bearer_token(anon, header):
    assert refused(anon.call(key=None, headers={"Authorization": header})) == NO_KEY


def test_the_word_bearer_may_be_written_anyhow(anon):
    assert anon.call(key=None, headers={"Authorization": f"bearer {KEY}"}).status_code == 200


def test_the_key_is_a_switch(anon):
    anon.switch(api_key="anon_rotated")
    assert [anon.call(key=key).status_code for key in (KEY, "anon_rotated")] == [401, 200]


def test_a_revoked_key_opens_nothing_and_neither_does_none(anon):
    anon.switch(api_key="")
    assert [anon.call(key=key).status_code for key in (KEY, None)] == [401, 401]
    assert anon.call(key=None, headers={"Authorization": "Bearer"}).status_code == 401


# What is not there


@pytest.mark.parametrize("path", [f"/{UNKNOWN}", f"/{UNKNOWN}/files", f"/{UNKNOWN}/tasks"])
def test_an_unknown_migration_is_a_404_with_code_and_message(anon, path):
    answer = anon.call(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": {"code": "not_found", "message": f"The migration {UNKNOWN} was not found."}}


def test_another_organisation_sees_nothing_and_is_not_told_why(anon):
    key = anon.one()
    anon.switch(wrong_organisation=True)
    assert (anon.page()["data"], anon.page()["total"]) == ([], 0)
    assert [refused(anon.call(f"/{key}{path}")) for path in ("", "/files", "/tasks")] == [(404, "not_found")] * 3
    assert anon.call(f"/{key}").json()["error"]["message"] == f"The migration {key} was not found."
    anon.switch(wrong_organisation=False)
    assert anon.ids() == [key]


@pytest.mark.parametrize("tail", ["/", "/ID/", "/ID/logs", "/ID/files/1", "s"])
def test_other_paths_are_not_there(anon, tail):
    key = anon.one()
    assert refused(anon.call(tail.replace("ID", key))) == (404, "not_found")


@pytest.mark.parametrize("path", ["/anon/", "/anon/api/v1/migration-modal", "/anon/api/v2/workflows"])
def test_neither_are_the_vendors_other_calls(anon, path):
    answer = anon.http.get(path, headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 404


def test_an_id_is_opaque(anon):
    key = anon.one(id="mig_1/2 %ż?")
    assert anon.get(key)["id"] == key
    assert anon.act(key, "login").json() == {"id": key, "status": "WORKING"}


def test_a_late_migration_is_listed_before_it_is_found_by_its_id(anon):
    anon.switch(late_get_seconds=30.0)
    key = anon.one()
    assert anon.ids() == [key]
    assert [refused(anon.call(f"/{key}{path}")) for path in ("", "/files", "/tasks")] == [(404, "not_found")] * 3
    anon.advance(29)
    assert anon.call(f"/{key}").status_code == 404
    anon.advance(1)
    assert [anon.call(f"/{key}{path}").status_code for path in ("", "/files", "/tasks")] == [200] * 3


# Only reading


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "/start", f"/{UNKNOWN}"])
def test_whatever_is_no_get_is_405_and_counted(anon, method, path):
    for key in (KEY, None):
        answer = anon.call(path, method, key)
        assert refused(answer) == (405, "method_not_allowed")
        assert answer.headers["allow"] == "GET"
    assert anon.counters()["other_methods"] == 2
    assert anon.page()["data"] == []


def test_a_head_is_no_get(anon):
    assert anon.call("", "HEAD").status_code == 405
    assert anon.counters()["other_methods"] == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_modal_link_is_never_made(anon, method):
    anon.http.request(method, "/anon/api/v1/migration-modal", headers={"Authorization": f"Bearer {KEY}"})
    assert anon.state()["migrations"] == []


# Limits and faults


def test_too_many_calls_in_a_second_are_429_and_say_when(anon):
    anon.switch(requests_per_second=2)
    deadline = time.monotonic() + 10
    while (answer := anon.call()).status_code == 200:
        assert time.monotonic() < deadline, "no limit"
    assert refused(answer) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "1"
    anon.until(lambda: anon.call().status_code == 200)


def test_the_second_is_a_real_one(anon):
    anon.switch(requests_per_second=1)
    codes = []
    for _ in range(10):
        codes.append(anon.call().status_code)
        anon.advance(3600)
    assert 429 in codes


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_scripted_error_is_the_vendors_and_passes(anon, status):
    rule = {"path": "/api/v1/migrations*", "action": "status", "status": status}
    anon.control.post("/anon/faults", json=rule).raise_for_status()
    assert [anon.call().status_code for _ in range(2)] == [status, 200]
    assert anon.counters()["list_calls"] == 1


def test_the_log_tells_the_path(anon):
    anon.call("/abc")
    logged = anon.control.get("/requests", params={"vendor": "anon", "path": f"{BASE}/abc"}).json()
    assert [one["status"] for one in logged] == [404]
