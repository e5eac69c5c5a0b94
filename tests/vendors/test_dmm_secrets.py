"""DMM's key and one-time password, and a database's password: each goes to one place, and none is ever said."""

import json
import logging

import pytest
from tests.loopback import answer, loopback
from tests.vendors.test_dmm_connection import BASE_PATH, COLOURS, HTML, JSON, OTP, SECRET, play

from ferry.core.api import ONE_TRY
from ferry.core.errors import FerryError
from ferry.core.exchange import Ask, drive
from ferry.core.wire import httpx
from ferry.vendors.dmm.body import StartBody
from ferry.vendors.dmm.hook import ApiKey
from ferry.vendors.dmm.vocabulary import KEY, PASSWORD

pytest_plugins = ["tests.vendors.test_dmm_connection"]
STARTS = StartBody("Delete", {"DestinationDBConnection": "eu"})
CALLS = {
    "StartExecution": lambda api: api.start(STARTS, OTP),
    "GetExecutionStatus": lambda api: api.status("90417", 1),
    "StopExecution": lambda api: api.stop("90417"),
    "CreateConnection": lambda api: api.create_connection({"Name": "eu", "Password": "made-up-canary"}, ("made-up-canary",)),
}
GOOD = answer(200, json.dumps({"MainExecutionTrackerId": 90417, "Success": True, "Status": "Queued"}).encode(), JSON)


# Key and password go where they belong


def heard(server):
    """Everything of the requests but the two headers that are their places."""
    own = {KEY.lower(), PASSWORD.lower()}
    return [(a.target, a.body, [header for header in a.headers if header[0].lower() not in own]) for a in server.asked]


@pytest.mark.parametrize(
    ("colour", "name"), [("worker", name) for name in CALLS] + [("triggerer", name) for name in [*CALLS][1:3]]
)
def test_the_key_is_sent_in_its_own_header_and_nowhere_else(hook_of, colour, name):
    with loopback() as server:
        play(hook_of(host=server.will(GOOD).url, password=SECRET), colour, CALLS[name])
    (asked,) = server.asked
    assert asked.target.partition("?")[0] == f"{BASE_PATH}/{name}"
    assert [asked.header(KEY), asked.header(PASSWORD)] == [SECRET, OTP if name == "StartExecution" else None]
    assert asked.header("Authorization") is None
    assert SECRET not in str(heard(server))
    assert OTP not in str(heard(server))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", CALLS)
def test_a_redirect_is_not_followed_by_anything(hook_of, name, status):
    with loopback() as first, loopback() as second:
        second.will(GOOD)
        first.will(answer(status, b"", f"Location: {second.url}/elsewhere"))
        with pytest.raises(FerryError):
            play(hook_of(host=first.url, password=SECRET), "worker", CALLS[name])
    assert (len(first.asked), second.asked) == (1, [])


@COLOURS
def test_a_request_that_goes_astray_carries_no_key(hook_of, colour):
    with loopback() as home, loopback() as elsewhere:
        elsewhere.will(GOOD)

        def astray(api):
            return (yield Ask(httpx.Request("GET", f"{elsewhere.url}/x")))

        play(hook_of(host=home.url, password=SECRET), colour, astray)
    assert SECRET not in str(elsewhere.asked)


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://acme.example/x", True),
        ("https://acme.example:443/x", True),
        ("https://ACME.example/x", True),
        ("https://elsewhere.example/x", False),
        ("https://acme.example.elsewhere.example/x", False),
        ("https://acme.example@elsewhere.example/x", False),
        ("https://sub.acme.example/x", False),
        ("https://acme.example:8443/x", False),
        ("http://acme.example/x", False),
        ("http://acme.example:443/x", False),
    ],
)
def test_only_requests_to_the_connections_own_host_port_and_scheme_are_signed(url, signed):
    for base_url in ("https://acme.example", "https://Acme.example:443"):
        request = next(ApiKey(base_url, SECRET).auth_flow(httpx.Request("GET", url)))
        assert request.headers.get(KEY) == (SECRET if signed else None)


# What nobody may see


@pytest.fixture
def everything_said(capfd, caplog):
    """Everything anybody logs, at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


def keep_silent(conn):
    conn.recv(1)  # until the client has lost patience


def no(status, echo, **more):
    return answer(status, json.dumps({"Success": False, "ErrorMessage": echo, "Errors": [echo, echo]} | more).encode(), JSON)


def reason(echo, status=400, body=b""):
    return answer(status, body).replace(b"Said", echo.encode())


TROUBLES = {
    "none": lambda _: GOOD,
    "a no": lambda echo: no(200, echo),
    "a no about a password": lambda echo: no(200, f"The one-time password: {echo}"),
    "a no about the key": lambda echo: no(200, f"The REST API key: {echo}"),
    "a no with escapes": lambda echo: answer(
        200, json.dumps({"ErrorMessage": echo, "Success": False}).replace("/", "\\/").replace("-", "\\u002d").encode(), JSON
    ),
    "an id and a no": lambda echo: no(200, echo, MainExecutionTrackerId=7),
    "a no of the platform": lambda echo: no(400, echo, StatusCode=400),
    "a no of the platform to the key": lambda echo: no(401, echo, StatusCode=401),
    "a broken platform": lambda echo: no(500, echo, StatusCode=500),
    "another object": lambda echo: answer(400, json.dumps({"ErrorMessage": echo}).encode(), JSON),
    "a page": lambda echo: answer(409, f"<html>{echo}</html>".encode(), HTML),
    "a reason that echoes it": reason,
    "a reason of a broken server": lambda echo: reason(echo, 503),
    "a reason beside a list": lambda echo: reason(echo, 400, b"[]"),
    "headers that echo it": lambda echo: answer(400, b"{}", JSON, f"X-Echo: {echo}", f"Set-Cookie: t={echo}"),
    "a redirect that echoes it": lambda echo: answer(302, b"", f"Location: https://sso.example/?token={echo.split()[-1]}"),
    "garbage": lambda echo: answer(200, b"\x00\xff" + echo.encode()),
    "no answer": lambda _: None,
    "half an answer": lambda echo: answer(200, json.dumps({"ErrorMessage": echo}).encode(), JSON, length=999),
    "no answer in time": lambda _: keep_silent,
}
SENT = {"StartExecution": (SECRET, OTP), "CreateConnection": (SECRET, "made-up-canary")}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("name", CALLS)
def test_no_secret_that_was_sent_is_ever_said(hook_of, everything_said, trouble, name):
    sent = SENT.get(name, (SECRET,))
    with loopback() as server:
        server.will(trouble(f"What is {' and '.join(sent)}"))
        silent = trouble is TROUBLES["no answer in time"]
        hook = hook_of(dict.fromkeys(("read_timeout", "start_timeout"), 0.3 if silent else 20), host=server.url, password=SECRET)
        api = hook.api(ONE_TRY)
        try:
            said = repr(drive(hook._line, CALLS[name](api)))
        except FerryError as error:
            said = f"{error!r} {error} {error.to_json()} {error.__cause__!r} {error.__context__}"
        auth = hook._line.client.auth
        hook.close()
    assert silent or len(server.asked) == 1
    said += f" {hook!r} {hook} {api!r} {auth!r} {auth} {hook.settings!r} {hook.settings} {STARTS!r}{everything_said()}"
    assert [secret for secret in sent if secret in said] == []
