"""Who may ask the made-up OutSystems environments for what: keys, the platform's errors, one-time passwords."""

import pytest
from tests.sandbox.dmm_client import BASE, zipped

pytest_plugins = ["tests.sandbox.dmm_client"]

USED, EXPIRED = "The one-time password was already used.", "The one-time password has expired."
WRONG, MISSING = "The one-time password is not valid.", "The one-time password is missing."


def platform(answer):
    """Status and sentence of the platform's error."""
    told = answer.json()
    assert told["StatusCode"] == answer.status_code
    (sentence,) = told["Errors"]
    return answer.status_code, sentence


def refused(answer):
    """The sentence of a start that DMM refused."""
    told = answer.json()
    assert (answer.status_code, told["Success"]) == (200, False)
    assert not told.get("MainExecutionTrackerId")
    return told["ErrorMessage"]


# Keys


@pytest.mark.parametrize("key", ["", "wrong", "ferry-demo-dmm-source"])
@pytest.mark.parametrize("operation", ["GetExecutionStatus", "GetExecutionOutputs"])
def test_without_the_environments_own_key_nothing_is_told(target, operation, key):
    answer = target.call("GET", operation, key=key, params={"MainExecutionTrackerId": 1})
    assert platform(answer) == (401, "The REST API key is missing or not valid.")


def test_a_request_without_the_header_is_refused_too(dmm):
    assert platform(dmm.http.post(f"/dmm/target{BASE}/StopExecution", json={}))[0] == 401


def test_a_key_is_a_switch(dmm):
    dmm.switch(target_key="another")
    assert dmm.target.call("GET", "GetExecutionStatus", params={"MainExecutionTrackerId": 1}).status_code == 401
    assert dmm.target.call("GET", "GetExecutionStatus", "another", params={"MainExecutionTrackerId": 1}).status_code == 200


def test_a_key_that_is_not_set_opens_nothing(dmm):
    dmm.switch(target_key="")
    assert dmm.target.call("GET", "GetExecutionStatus", "", params={"MainExecutionTrackerId": 1}).status_code == 401


def test_a_bad_key_may_be_told_with_success_false(dmm):
    dmm.switch(bad_token="success_false")
    told = {"Success": False, "ErrorMessage": "The REST API key is missing or not valid."}
    answer = dmm.target.call("POST", "StopExecution", "wrong", json={})
    assert (answer.status_code, answer.json()) == (200, told)


def test_a_bad_key_may_be_told_with_a_page(dmm):
    dmm.switch(bad_token="html")
    answer = dmm.target.call("POST", "StopExecution", "wrong", json={})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_the_key_is_looked_at_before_the_parameters(target):
    assert target.call("POST", "StartExecution", "wrong", content=b"nonsense").status_code == 401
    assert target.call("GET", "GetExecutionStatus", "wrong").status_code == 401


# The platform


@pytest.mark.parametrize(
    ("method", "operation", "status"),
    [
        ("GET", "Nothing", 404),
        ("GET", "getexecutionstatus", 404),
        ("GET", "StartExecution", 405),
        ("PUT", "StartExecution", 405),
        ("GET", "StopExecution", 405),
        ("GET", "CreateConnection", 405),
        ("DELETE", "GetExecutionStatus", 405),
        ("PUT", "GetExecutionOutputs", 405),
    ],
)
def test_a_wrong_path_or_verb_is_refused_before_the_key(target, method, operation, status):
    assert platform(target.call(method, operation, key="wrong"))[0] == status


def test_the_base_path_is_a_switch(dmm):
    dmm.switch(base_path="/Other/rest/v2")
    assert dmm.target.call("GET", "GetExecutionStatus").status_code == 404
    assert dmm.target.call("GET", "GetExecutionStatus", base="/Other/rest/v2").status_code == 400


def test_there_are_two_environments(dmm):
    assert dmm.http.get(f"/dmm/test{BASE}/GetExecutionStatus").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"MainExecutionTrackerId": ""},
        {"MainExecutionTrackerId": 1, "IncludeLogs": "maybe"},
        {"MainExecutionTrackerId": 1, "LogRecords": "many"},
        {"MainExecutionTrackerId": 1, "LogPage": -1},
    ],
)
def test_a_parameter_that_is_missing_or_of_the_wrong_type_is_a_400(target, query):
    assert platform(target.call("GET", "GetExecutionStatus", params=query))[0] == 400


@pytest.mark.parametrize("told", [{}, {"MainExecutionTrackerId": True}, {"MainExecutionTrackerId": 1, "IncludeLogs": 7}, []])
def test_the_same_holds_for_a_body(target, told):
    assert platform(target.call("POST", "GetExecutionOutputs", json=told))[0] == 400


@pytest.mark.parametrize("content", [b"", b"{", b'{"Type": "Imp', b"\xff\xfe{}"])
def test_a_body_that_is_no_json_is_a_400(target, content):
    json = {"content-type": "application/json"}
    assert platform(target.call("POST", "StartExecution", content=content, headers=json))[0] == 400


def test_a_body_of_another_kind_is_a_415(target):
    assert platform(target.call("POST", "StartExecution", content=b"{}"))[0] == 415


@pytest.mark.parametrize("operation", ["GetExecutionStatus", "GetExecutionOutputs"])
def test_what_is_asked_by_query_may_be_asked_by_a_body(target, operation):
    key = target.started(zipped(Invoice=1))
    told = {"MainExecutionTrackerId": key, "IncludeReports": True}
    by_body = target.call("POST", operation, json=told)
    assert by_body.json() == target.call("GET", operation, params=told).json()
    assert by_body.json()["Report"]


# One-time passwords


def test_the_page_shows_a_password_until_it_is_used(target):
    shown = target.otp()
    assert target.otp() == shown
    assert target.start(zipped(Invoice=1), otp=shown).json()["Success"]
    assert target.otp() != shown


def test_the_page_shows_another_when_the_old_one_has_expired(paced):
    shown = paced.target.otp()
    paced.advance(299)
    assert paced.target.otp() == shown
    paced.advance(1)
    assert paced.target.otp() != shown


@pytest.mark.parametrize(("otp", "words"), [("", MISSING), ("ABCD1234", WRONG)])
def test_a_password_that_was_never_shown_starts_nothing(dmm, otp, words):
    assert refused(dmm.target.start(zipped(Invoice=1), otp=otp)) == words
    assert dmm.state()["executions"] == []


def test_a_password_is_good_for_one_start(dmm):
    otp = dmm.target.otp()
    dmm.target.started(zipped(Invoice=1), otp=otp)
    assert refused(dmm.target.start(zipped(Invoice=1), otp=otp)) == USED
    assert len(dmm.state()["executions"]) == 1


def test_a_password_expires(paced):
    otp = paced.target.otp()
    paced.advance(300)
    assert refused(paced.target.start(zipped(Invoice=1), otp=otp)) == EXPIRED


def test_how_long_a_password_lives_is_a_switch(paced):
    paced.switch(otp_seconds=10.0)
    otp = paced.target.otp()
    paced.advance(11)
    assert refused(paced.target.start(zipped(Invoice=1), otp=otp)) == EXPIRED


def test_a_password_of_the_other_environment_is_not_good_here(dmm):
    otp = dmm.source.otp()
    assert refused(dmm.target.start(zipped(Invoice=1), otp=otp)) == WRONG
    assert dmm.source.otp() == otp


@pytest.mark.parametrize(("used", "words"), [(True, USED), (False, "")])
def test_a_start_that_is_refused_uses_the_password_up_if_told_so(dmm, used, words):
    dmm.switch(otp_used_by_failure=used)
    otp = dmm.target.otp()
    assert refused(dmm.target.start(kind="Import", otp=otp)) == "ZipFile is required for an import."
    assert dmm.target.start(zipped(Invoice=1), otp=otp).json()["ErrorMessage"] == words


def test_a_wrong_password_does_not_use_the_right_one_up(target):
    otp = target.otp()
    target.start(zipped(Invoice=1), otp="guess")
    assert target.start(zipped(Invoice=1), otp=otp).json()["Success"]


def test_what_the_platform_refuses_leaves_the_password_alone(target):
    otp = target.otp()
    assert target.start(zipped(Invoice=1), configuration="{}", otp=otp).status_code == 400
    assert target.start(zipped(Invoice=1), otp=otp).json()["Success"]


def test_parameters_are_looked_at_before_the_password(target):
    assert target.start(zipped(Invoice=1), configuration=None, otp="wrong").status_code == 400


def test_a_password_is_never_told_elsewhere(dmm):
    otp = dmm.target.otp()
    dmm.target.started(zipped(Invoice=1), otp=otp)
    shown = dmm.target.otp()
    for path in ("/dmm/state", "/requests", "/dmm/executions"):
        told = dmm.control.get(path).text
        assert otp not in told
        assert shown not in told


def test_the_page_of_an_environment_that_is_not_there_shows_nothing(dmm):
    assert dmm.control.get("/dmm/otp", params={"environment": "x"}).status_code == 400
    assert dmm.control.get("/dmm/otp").json()["value"] == dmm.target.otp()
