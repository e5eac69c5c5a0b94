"""DMM's verbs that do something: what is sent, what is believed, and that a start is sent once whatever becomes of its answer."""

import base64
import hashlib
import json
import random
import tracemalloc
from contextlib import suppress

import pytest
from tests.loopback import answer, loopback
from tests.vendors.test_dmm_connection import BASE_PATH, COLOURS, JSON, OTP, RUNTIME

from ferry.core.api import Patience
from ferry.core.errors import (
    AnswerLost,
    BadCredentials,
    NotFound,
    VendorRefused,
    VendorUnavailable,
)
from ferry.core.exchange import drive
from ferry.core.model import Run, RunState
from ferry.vendors.dmm.body import _PIECE, StartBody
from ferry.vendors.dmm.vocabulary import PASSWORD

pytest_plugins = ["tests.vendors.test_dmm_connection"]
START, STOP, CREATE = "*/StartExecution", "*/StopExecution", "*/CreateConnection"


# The start, as it is sent


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, _PIECE - 1, _PIECE, _PIECE + 1, 2 * _PIECE + 5])
def test_the_body_is_json_of_type_configuration_and_the_zip_however_large(tmp_path, size):
    path, told = tmp_path / "z.zip", {"Größe": 'a"\\\n', "DataAppendMode": True, "Deep": [{"n": None}]}
    path.write_bytes(random.Random(size).randbytes(size))
    body = StartBody("Import", told, path)
    sent = b"".join(body)
    expected = {"Type": "Import", "Configuration": told, "ZipFile": base64.b64encode(path.read_bytes()).decode()}
    assert sent == json.dumps(expected).encode()
    assert (body.size, b"".join(body)) == (len(sent), sent)


def test_a_zip_is_never_whole_in_memory(tmp_path):
    path = tmp_path / "z.zip"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    body = StartBody("Import", RUNTIME, path)
    tracemalloc.start()
    try:
        assert sum(map(len, body)) == body.size
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


STARTED = answer(200, b'{"MainExecutionTrackerId": 90417, "Success": true, "ErrorMessage": ""}', JSON)


def test_an_import_is_sent_byte_for_byte_with_its_length(call, tmp_path):
    path = tmp_path / "z.zip"
    path.write_bytes(b"made up zip")
    with loopback() as server:
        run = call(lambda api: api.start(StartBody("Import", RUNTIME, path), OTP), host=server.will(STARTED).url)
    (asked,) = server.asked
    assert asked.body == (
        b'{"Type": "Import", "Configuration": {"DestinationDBConnection": "Runtime Connection", "DataAppendMode": true}, '
        b'"ZipFile": "bWFkZSB1cCB6aXA="}'
    )
    assert (asked.method, asked.target, asked.size) == ("POST", f"{BASE_PATH}/StartExecution", len(asked.body))
    assert (asked.header("Content-Length"), asked.header("Transfer-Encoding")) == (str(asked.size), None)
    assert (asked.header("Content-Type"), asked.header(PASSWORD)) == ("application/json", OTP)
    assert run == Run("90417", RunState.QUEUED)


def test_another_execution_sends_no_zip(call):
    with loopback() as server:
        call(lambda api: api.start(StartBody("Scramble", {"DBConnection": "eu"}), OTP), host=server.will(STARTED).url)
    assert server.asked[0].body == b'{"Type": "Scramble", "Configuration": {"DBConnection": "eu"}}'


def test_a_large_zip_arrives_whole(dmm, call, zip_at):
    path = zip_at(padding=random.Random(1).randbytes(9_000_001))
    run = call(lambda api: api.start(StartBody("Import", RUNTIME, path), dmm.otp()))
    (seen,) = dmm.state["executions"]
    assert (seen["id"], seen["type"], seen["zip"]["size"]) == (run.ref, "Import", path.stat().st_size)
    assert seen["zip"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [one["starts"] for one in dmm.state["inputs"]] == [1]


def test_the_records_are_in_the_environment_in_the_end(dmm, call, import_one):
    ref = import_one(120)
    seen = call(lambda api: api.look(Run(ref)))
    assert (seen.state, seen.counters["completed"], seen.counters["total"]) == (RunState.SUCCEEDED, 120, 120)
    assert dmm.state["target"]["records"]["Customer"][-1]["Name"] == "Größe 120"


# The start, as it is answered

ID = "MainExecutionTrackerId"
GOOD_IDS = {"number": (90417, "90417"), "text": ("a-7f", "a-7f"), "zeros": ("007", "007"), "large": (10**30, str(10**30))}


@pytest.mark.parametrize(("told", "ref"), GOOD_IDS.values(), ids=GOOD_IDS)
def test_an_id_may_be_a_number_or_a_text(call, told, ref):
    with loopback() as server:
        server.will(answer(200, json.dumps({ID: told, "Success": True}).encode(), JSON))
        assert call(lambda api: api.start(StartBody("Delete", {}), OTP), host=server.url).ref == ref


NO_ID = [{"Success": True}, *({ID: odd, "Success": True} for odd in ("", " ", None, 0, "0", False, True, [], {}, ["90417"]))]


@pytest.mark.parametrize("told", [*NO_ID, {}, {"Success": None}, {ID: 90417, "Success": False, "ErrorMessage": "Odd."}])
def test_an_answer_without_an_id_leaves_the_start_unknown(call, told):
    with loopback() as server:
        server.will(answer(200, json.dumps(told).encode(), JSON))
        with pytest.raises(AnswerLost, match="Whether an execution runs is unknown, so nothing is sent again: a person is asked"):
            call(lambda api: api.start(StartBody("Delete", {}), OTP), host=server.url)


@pytest.mark.parametrize(("way", "runs"), [("missing", 0), ("missing_started", 1)])
@pytest.mark.parametrize("kind", ["number", "string"])
def test_a_start_whose_id_dmm_keeps_to_itself_is_unknown_whether_it_runs_or_not(dmm, call, way, runs, kind):
    dmm.switch(start_id=way, id_type=kind)
    with pytest.raises(AnswerLost, match="has no `MainExecutionTrackerId`"):
        call(lambda api: api.start(StartBody("Delete", RUNTIME), dmm.otp()))
    assert len(dmm.state["executions"]) == runs


def used(dmm, call):
    otp = dmm.otp()
    call(lambda api: api.start(StartBody("Delete", RUNTIME), otp))
    return otp


def expired(dmm, _):
    otp = dmm.otp()
    dmm.advance(301)
    return otp


BAD_OTP = {
    "wrong": (lambda *_: "CANARY-OTP", "The one-time password is not valid"),
    "used": (used, "The one-time password was already used"),
    "expired": (expired, "The one-time password has expired"),
    "of the other environment": (lambda dmm, _: dmm.otp("source"), "The one-time password is not valid"),
}
NEW_ONE = (
    "Nothing was started, and nothing but the one-time password is used up. Read a new one on the environment's Authentication "
    "Token page, then clear start_run: it asks for it."
)


@pytest.mark.parametrize("kind", ["number", "string"])
@pytest.mark.parametrize(("bad", "said"), BAD_OTP.values(), ids=BAD_OTP)
def test_a_password_that_is_not_good_is_told_with_its_reason_and_never_shown(dmm, call, bad, said, kind):
    dmm.switch(id_type=kind)
    otp = bad(dmm, call)
    before = len(dmm.state["executions"])
    with pytest.raises(BadCredentials) as caught:
        call(lambda api: api.start(StartBody("Delete", RUNTIME), otp))
    assert f"{said}. {NEW_ONE}" in caught.value.message
    assert otp not in f"{caught.value!r} {caught.value.to_json()}"
    assert len(dmm.state["executions"]) == before


def test_what_is_no_matter_of_the_password_is_no_matter_of_credentials(dmm, call):
    dmm.switch(activated=False)
    with pytest.raises(
        VendorRefused, match=r"with a no: DMM is not activated in this environment\. Correct what it names"
    ) as caught:
        call(lambda api: api.start(StartBody("Delete", RUNTIME), dmm.otp()))
    assert not isinstance(caught.value, BadCredentials)


def test_a_key_that_is_refused_in_words_is_a_matter_of_credentials(dmm, call):
    dmm.switch(bad_token="success_false")
    with pytest.raises(BadCredentials, match="Check the connection's REST API key"):
        call(lambda api: api.start(StartBody("Delete", RUNTIME), dmm.otp()), password="other")


PAGE, PLATFORM = b"<html>No</html>", b'{"Errors": ["Wrong parameter."], "StatusCode": 0}'
ANSWERS = {
    "the platform's 400": (400, PLATFORM, VendorRefused),
    "the platform's 409": (409, PLATFORM, VendorRefused),
    "a page with 400": (400, PAGE, AnswerLost),
    "a page with 409": (409, PAGE, AnswerLost),
    "an object with 400": (400, b'{"error": "no"}', AnswerLost),
    "401": (401, PLATFORM, BadCredentials),
    "a page with 401": (401, PAGE, BadCredentials),
    "403": (403, PAGE, BadCredentials),
    "404": (404, PLATFORM, NotFound),
    "a page with 404": (404, PAGE, NotFound),
    "405": (405, PAGE, VendorRefused),
    "408": (408, PAGE, AnswerLost),
    "a page with 410": (410, PAGE, AnswerLost),
    "413": (413, PAGE, VendorRefused),
    "415": (415, PLATFORM, VendorRefused),
    "429": (429, PAGE, VendorRefused),
    "500": (500, PLATFORM, AnswerLost),
    "502": (502, PAGE, AnswerLost),
    "503": (503, PAGE, AnswerLost),
    "504": (504, PAGE, AnswerLost),
    "a redirect": (302, b"", AnswerLost),
    "a page": (200, PAGE, AnswerLost),
    "a list": (200, b"[]", AnswerLost),
    "nothing": (204, b"", AnswerLost),
}


@pytest.mark.parametrize(("status", "body", "kind"), ANSWERS.values(), ids=ANSWERS)
def test_only_who_was_not_let_in_or_refused_by_the_platform_has_certainly_started_nothing(call, status, body, kind):
    with loopback() as server:
        server.will(answer(status, body, JSON))
        with pytest.raises(kind) as caught:
            call(lambda api: api.start(StartBody("Delete", {}), OTP), host=server.url)
    assert type(caught.value) is kind
    assert len(server.asked) == 1


@pytest.mark.parametrize("action", [{"action": "drop_before"}, {"action": "drop_after"}, {"action": "truncate", "bytes": 20}])
def test_a_start_whose_answer_was_lost_is_never_sent_again(dmm, hook_of, action):
    dmm.fault("POST", START, **action)
    otp, hook = dmm.otp(), hook_of()
    with pytest.raises(AnswerLost, match=r"(so it|so nothing) is (not )?sent again"):
        hook.call(lambda api: api.start(StartBody("Delete", RUNTIME), otp))
    assert [one["path"].rpartition("/")[2] for one in dmm.requests()] == ["StartExecution"]


def test_a_start_waits_longer_than_any_other_call(dmm, call):
    dmm.fault("*", "*", "delay", times=None, seconds=0.5)
    otp, hurried = dmm.otp(), {"read_timeout": 0.1, "start_timeout": 30}
    with pytest.raises(VendorUnavailable, match="ReadTimeout"):
        call(lambda api: api.status("0"), extra=hurried)
    assert call(lambda api: api.start(StartBody("Delete", RUNTIME), otp), extra=hurried).ref
    with pytest.raises(AnswerLost, match="ReadTimeout"):
        call(lambda api: api.start(StartBody("Delete", RUNTIME), otp), extra={"read_timeout": 30, "start_timeout": 0.1})


def test_a_start_that_was_turned_away_unhandled_is_not_sent_again_with_a_password_that_may_be_used_up(hook_of):
    with loopback() as server:
        server.will(answer(429, b""), STARTED)
        with pytest.raises(VendorRefused, match=r"HTTP 429"):
            hook_of(host=server.url).call(lambda api: api.start(StartBody("Delete", {}), OTP))
    assert len(server.asked) == 1


def test_a_look_that_was_turned_away_unhandled_is_taken_again(hook_of):
    with loopback() as server:
        server.will(answer(429, b""), answer(200, json.dumps({ID: 7, "Status": "Queued"}).encode(), JSON))
        hook = hook_of(host=server.url)
        drive(hook._line, hook.api(Patience(tries=2, first=0.01)).status("7"))
    assert len(server.asked) == 2


# The stop


@pytest.mark.parametrize(
    ("ref", "sent"), [("90417", 90417), ("0", 0), ("007", "007"), ("a-7f", "a-7f"), ("-7", "-7"), ("٣", "٣")]
)
def test_a_stop_sends_the_id_as_it_came(call, ref, sent):
    with loopback() as server:
        call(lambda api: api.stop(ref), host=server.will(answer(200, b'{"Success": true}', JSON)).url)
    (asked,) = server.asked
    assert (asked.method, asked.target, json.loads(asked.body)) == ("POST", f"{BASE_PATH}/StopExecution", {ID: sent})


@COLOURS
def test_a_stop_of_what_has_ended_is_refused_with_the_reason_or_accepted(dmm, call, import_one, colour):
    ref = import_one()
    with pytest.raises(VendorRefused, match=f"with a no: The execution {ref} has ended already. "):
        call(lambda api: api.stop(ref), colour)
    dmm.switch(stop_ended="accepted")
    assert call(lambda api: api.stop(ref), colour) == ""


def test_a_stop_of_nothing_is_refused(dmm, call):
    with pytest.raises(VendorRefused, match="There is no execution 4711"):
        call(lambda api: api.stop("4711"))


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
def test_a_stop_whose_answer_was_lost_is_for_the_caller_to_repeat(dmm, hook_of, import_one, action):
    dmm.switch(chunk_seconds=60.0)
    ref, hook = import_one(), hook_of()
    assert hook.call(lambda api: api.look(Run(ref))).word == "InProgress"
    dmm.fault("POST", STOP, action)
    with pytest.raises(VendorUnavailable):
        drive(hook._line, hook.api(Patience(tries=2, first=0.01)).stop(ref))
    assert len(dmm.requests(STOP)) == 1
    with suppress(VendorRefused):  # the first may have been heard
        hook.call(lambda api: api.stop(ref))
    dmm.advance(61)
    assert "was stopped by the API" in hook.call(lambda api: api.look(Run(ref))).detail


# A connection

SECRET = "canary  of'a/\\password"
DATABASE = {
    "Name": "eu-target",
    "Usage": "Destination",
    "ConnectionType": "SQLServer",
    "Server": "db.example.test",
    "Port": 1433,
    "Database": "OSDB",
    "Username": "dmm",
    "Password": SECRET,
}


def registering(**told):
    return lambda api: api.create_connection(DATABASE | told, (SECRET,))


def test_a_connection_is_registered_with_all_it_needs(dmm, call):
    assert call(registering()) == ""
    (known,) = [one for one in dmm.state["target"]["connections"] if one["Name"] == "eu-target"]
    assert known == {key: value for key, value in DATABASE.items() if key != "Password"}


def test_a_connection_that_does_not_work_is_registered_all_the_same_and_dmm_says_so(dmm, call):
    dmm.switch(connectivity="failed_saved")
    assert "was saved, but the connectivity test failed" in call(registering())


REFUSED = {
    "a name twice": ({"Name": "reporting-db"}, "There is a connection 'reporting-db' already"),
    "mysql as destination": ({"ConnectionType": "MySQL"}, "MySQL can only be a source"),
    "a kind nobody knows": ({"ConnectionType": "DB2"}, "ConnectionType is one of"),
}


@pytest.mark.parametrize(("told", "said"), REFUSED.values(), ids=REFUSED)
def test_a_connection_that_dmm_refuses_is_told_with_its_reason(dmm, call, told, said):
    with pytest.raises(VendorRefused) as caught:
        call(registering(**told))
    assert f"DMM answered CreateConnection with a no: {said}" in caught.value.message


@pytest.mark.parametrize("told", [{}, {"Name": "reporting-db"}], ids=["saved", "refused"])
def test_a_password_that_dmm_repeats_is_not_passed_on(dmm, call, told):
    dmm.switch(echo_secrets=True, connectivity="failed_saved")
    try:
        said = call(registering(**told))
    except VendorRefused as no:
        said = f"{no!r} {no.to_json()}"
    assert "***" in said
    assert "canary" not in said


@pytest.mark.parametrize("action", [{"action": "drop_after"}, {"action": "status", "status": 500}, {"action": "drop_before"}])
def test_a_connection_is_never_registered_twice_where_the_answer_was_lost(dmm, hook_of, action):
    dmm.fault("POST", CREATE, **action)
    with pytest.raises(AnswerLost, match=r"so it (is not|will not be) sent again"):
        hook_of().call(registering())
    assert len(dmm.requests(CREATE)) == 1
