"""From a connection to a vendor: settings, one token for many callers, and nothing secret in what anyone may read."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from airflow.sdk import Connection
from tests.loopback import answer
from tests.steps.six import SixHook

from ferry.core.errors import BadInput, VendorUnavailable
from ferry.steps import hook as subject
from ferry.steps.hook import Settings, environment_of, read_settings
from ferry.vendors.fenergo.hook import FenergoHook, FenergoSettings

SECRET = "canary-of-a-client-secret"
GOOD = {"tenant_id": "t-1", "token_url": "https://identity.example/connect/token"}


def settings(kind=FenergoSettings, extra=GOOD, **told):
    told = {"conn_type": "fenergo", "host": "https://api.example.com", "login": "me", "password": SECRET} | told
    return read_settings(Connection(conn_id="fenergo_default", extra=json.dumps(extra), **told), kind)


# Settings


def test_a_form_with_empty_fields_gets_defaults():
    form = dict.fromkeys(["scope", "command_api_version", "link_hosts", "success_words", "read_timeout"], "") | {"ui_url": None}
    found = settings(extra=GOOD | form)
    assert (found.command_api_version, found.link_hosts, found.read_timeout, found.ui_url) == (
        "v2",
        ("*.amazonaws.com",),
        60.0,
        "",
    )
    assert found.max_live_runs == 4
    assert not found.sandbox


def test_a_form_with_texts_is_understood():
    told = {
        "max_live_runs": "2",
        "requests_per_second": "0.5",
        "link_hosts": " a.example , *.b.example,",
        "success_words": "Done, Finalised ",
        "sandbox": "true",
        "command_api_version": "v1",
        "upload_content_type": "none",
    }
    found = settings(extra=GOOD | told)
    assert (found.max_live_runs, found.requests_per_second, found.sandbox) == (2, 0.5, True)
    assert found.link_hosts == ("a.example", "*.b.example")
    assert {"done", "finalised", "completed"} <= found.words.success
    assert found.uploads.content_type is None


def test_an_environment_variable_in_json_is_understood(connect):
    connect("fen_json", conn_type="fenergo", host="https://api.example.com/", login="me", password=SECRET, extra=GOOD)
    found = FenergoHook("fen_json").settings
    assert (found.base_url, found.login, found.password, found.tenant_id) == ("https://api.example.com", "me", SECRET, "t-1")


def test_an_environment_variable_as_a_uri_is_understood(monkeypatch):
    uri = f"fenergo://me:{SECRET}@api.example.com:8443/?tenant_id=t-1&token_url=https%3A%2F%2Fidentity.example%2Fconnect%2Ftoken"
    monkeypatch.setenv("AIRFLOW_CONN_FEN_URI", uri)
    found = FenergoHook("fen_uri").settings
    assert (found.base_url, found.environment) == ("https://api.example.com:8443", "api.example.com:8443")
    assert (found.password, found.token_url) == (SECRET, "https://identity.example/connect/token")


@pytest.mark.parametrize(
    ("told", "environment"),
    [
        ({"host": "https://API.Example.com/base/"}, "api.example.com"),
        ({"host": "api.example.com"}, "api.example.com"),
        ({"host": "http://127.0.0.1:8765/fenergo"}, "127.0.0.1:8765"),
        ({"host": "http://[::1]:8765/fenergo"}, "[::1]:8765"),
        ({"host": "api.example.com", "port": 8443}, "api.example.com:8443"),
    ],
)
def test_the_environment_is_the_host_whoever_asks(told, environment):
    assert settings(**told).environment == environment
    assert environment_of(Connection(conn_id="c", conn_type="fenergo", **told)) == environment


@pytest.mark.parametrize(
    ("told", "extra", "fields"),
    [
        ({"host": ""}, GOOD, ["base_url: "]),
        ({"host": "ftp://x"}, GOOD, ["base_url: ", "must be a URL such as https://api.example.com"]),
        (
            {"host": "https://canary:canary@api.example.com"},
            GOOD,
            ["base_url: ", "must not hold a user or a password; both have fields"],
        ),
        ({"host": "canary@api.example.com"}, GOOD, ["base_url: ", "must not hold a user or a password"]),
        ({"host": "https://@api.example.com/base"}, GOOD, ["base_url: ", "must not hold a user or a password"]),
        ({}, {}, ["tenant_id: Field required", "token_url: Field required"]),
        ({}, GOOD | {"token_url": "canary/connect"}, ["token_url: ", "must be a URL"]),
        ({}, GOOD | {"command_api_version": "canary"}, ["command_api_version: Input should be 'v1' or 'v2'"]),
        ({}, GOOD | {"max_live_runs": "canary"}, ["max_live_runs: "]),
        ({}, GOOD | {"max_live_runs": 0}, ["max_live_runs: "]),
        ({}, GOOD | {"read_timeout": 0}, ["read_timeout: "]),
        ({}, GOOD | {"requests_per_second": -1}, ["requests_per_second: "]),
        ({}, GOOD | {"sandbox": "canary"}, ["sandbox: "]),
    ],
)
def test_a_wrong_connection_names_its_fields_and_never_a_value(told, extra, fields):
    with pytest.raises(BadInput) as caught:
        settings(extra=extra, **told)
    assert caught.value.message.startswith("Connection 'fenergo_default' is not usable: ")
    assert caught.value.message.endswith("Correct it under Admin > Connections.")
    assert all(field in caught.value.message for field in fields), caught.value.message
    assert caught.value.__suppress_context__
    assert "canary" not in f"{caught.value} {caught.value.__cause__!r}"


def test_unknown_extras_are_left_to_airflow():
    assert settings(extra=GOOD | {"added_by_airflow": 1}).tenant_id == "t-1"


def test_a_secret_is_in_no_text_of_settings_or_hook(connect):
    connect("fenergo_default", conn_type="fenergo", host="https://a.example", password=SECRET, extra=GOOD)
    hook = FenergoHook("fenergo_default")
    for thing in (settings(), Settings(base_url="https://a.example", password=SECRET), hook, hook.settings, hook.auth()):
        assert SECRET not in f"{thing!r} {thing}"


def test_a_user_in_the_address_is_no_part_of_the_environment():
    """Who only names the environment, as the dispatcher does, never shows what the address holds."""
    told = Connection(conn_id="c", conn_type="fenergo", host="https://user:pw@api.example.com:8443/base")
    assert environment_of(told) == "api.example.com:8443"


def test_an_address_may_have_an_at_sign_in_its_path():
    assert settings(host="https://api.example.com/@base").environment == "api.example.com"


# What the vendor announces


def test_the_end_of_an_endpoint_is_announced_once(six, said, monkeypatch):
    monkeypatch.setattr(subject, "_warned", set())
    six.will(answer(200, b"", "Sunset: Sat, 31 Dec 2033 23:59:59 GMT", "Deprecation: true"))
    hook = SixHook("six_default")
    for _ in range(3):
        hook.call(hook.probe)
    asyncio.run(hook.acall(hook.probe))
    told = said()
    assert told.count("sunset Sat, 31 Dec 2033") == 1
    assert told.count("deprecation true") == 1
    assert "six announces in its answer to /probe" in told


# Connections and retries


def test_a_worker_tries_again_and_the_triggerer_leaves_that_to_its_loop(six, monkeypatch):
    monkeypatch.setattr("ferry.core.exchange.time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))
    six.will(answer(503), answer(200, b'"up"'))
    hook = SixHook("six_default")
    assert hook.call(hook.probe) == "six is there"
    six.will(answer(503))
    with pytest.raises(VendorUnavailable):
        asyncio.run(hook.acall(hook.probe))
    assert len(six.asked) == 3


def test_a_redirect_is_not_followed_with_credentials(six):
    six.will(answer(302, b"", "Location: http://127.0.0.1:1/login"))
    ok, said = SixHook("six_default").test_connection()
    assert not ok
    assert "HTTP 302" in said
    assert "Check the connection's base URL" in said


def test_connections_are_closed_with_the_hook(six):
    six.will(answer())
    hook = SixHook("six_default")
    hook.call(hook.probe)
    line = hook._line
    del hook
    assert line.client.is_closed
    assert line.bare.is_closed


class PoliteHook(SixHook):
    """A vendor with sessions, which says goodbye."""

    def leave(self, api):
        return api._call("goodbye", "POST", "/goodbye", repeatable=False)


def test_a_session_is_ended_when_the_hook_is_closed_and_only_if_it_was_begun(six):
    hook = PoliteHook("six_default")
    hook.close()
    assert six.asked == []
    six.will(answer(200), answer(204), answer(200), answer(204))
    for _ in range(2):  # a closed hook may be used again
        hook.call(hook.probe)
        hook.close()
        hook.close()
    assert [asked.target for asked in six.asked] == ["/probe", "/goodbye"] * 2


@pytest.mark.parametrize("reply", [None, answer(401), answer(500)])
def test_a_goodbye_that_fails_spoils_nothing(six, said, reply):
    hook = PoliteHook("six_default")
    six.will(answer(200), reply)
    hook.call(hook.probe)
    client = hook._line.client
    hook.close()
    assert client.is_closed
    assert "The session at six was not ended" in said()


def test_connections_are_closed_with_the_event_loop(six):
    six.will(answer())

    async def played():
        hook = await SixHook.aopen("six_default")
        await hook.acall(hook.probe)
        ((line, _),) = subject._lines[asyncio.get_running_loop()].values()
        return line

    assert asyncio.run(played()).client.is_closed
