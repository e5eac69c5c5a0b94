"""Anon's connection: its settings, the Test button, and the key, which goes to one place and is never said."""

import asyncio
import json
import logging
import re

import pytest
from airflow.sdk import Connection
from tests.loopback import answer, loopback

from ferry.core.api import ONE_TRY
from ferry.core.errors import BadInput, FerryError
from ferry.core.exchange import Ask, drive
from ferry.core.model import Run
from ferry.core.wire import httpx
from ferry.vendors.anon import CARD, FIELDS
from ferry.vendors.anon.hook import AnonHook, AnonSettings, ApiKey

COLOURS = pytest.mark.parametrize("colour", ["worker", "triggerer"])
SECRET = "anon_canary-of-a-key"
JSON = "Content-Type: application/json"


# Settings


def settings(host="worker.anon.com", extra=(), password=SECRET):
    connection = Connection(conn_id="a", conn_type="anon", host=host, password=password, extra=json.dumps(dict(extra)))
    return AnonHook("a", connection).settings


EMPTY = {"nothing is said": {}, "empty fields": dict.fromkeys(FIELDS, ""), "null fields": dict.fromkeys(FIELDS)}


@pytest.mark.parametrize("extra", EMPTY.values(), ids=EMPTY)
def test_what_the_form_leaves_empty_has_its_default(extra):
    found = settings(extra=extra)
    assert (found.poll_seconds, found.page_size, found.most_pages, found.requests_per_second) == (60, 50, 1000, 5)
    assert (found.watch_since, found.files_path, found.tasks_path, found.link_hosts) == (None, "", "", ())
    assert (found.accept_partial, found.notifier, found.notifier_arguments, found.remind_after) == (False, "", "{}", 86400)


def test_the_texts_of_a_form_are_understood():
    told = {
        "poll_seconds": "30",
        "page_size": "0",
        "remind_after": "0",
        "accept_partial": "true",
        "link_hosts": "a.example, b.example",
    }
    found = settings(extra=told)
    assert (found.poll_seconds, found.page_size, found.remind_after, found.accept_partial) == (30, 0, 0, True)
    assert found.link_hosts == ("a.example", "b.example")


def test_every_field_of_the_form_is_a_setting():
    assert set(FIELDS) <= set(AnonSettings.model_fields)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if re.search(r"empty for [0-9]", field["description"])])
def test_the_form_tells_the_default_that_holds(name):
    told = re.search(r"empty for ([0-9.]*[0-9])", FIELDS[name]["description"])
    assert float(told[1]) == AnonSettings.model_fields[name].default


def test_the_form_tells_a_default_of_every_number():
    numbers = {name for name, field in FIELDS.items() if {"number", "integer"} & set(field["schema"]["type"])}
    assert {name for name in numbers if "empty for" in FIELDS[name]["description"]} == numbers


def test_the_form_shows_host_and_key_and_hides_what_anon_does_not_use():
    assert set(CARD.behaviour["relabeling"]) == {"host", "password"}
    assert {"login", "port", "schema"} <= set(CARD.behaviour["hidden-fields"])


@pytest.mark.parametrize(
    ("host", "url", "environment"),
    [
        ("worker.anon.com", "https://worker.anon.com", "worker.anon.com"),
        ("https://Worker.anon.com:8443/", "https://Worker.anon.com:8443", "worker.anon.com:8443"),
        ("https://proxy.example/anon", "https://proxy.example/anon", "proxy.example"),
    ],
)
def test_anon_is_reached_by_https_and_called_by_its_host(host, url, environment):
    assert (settings(host).base_url, settings(host).environment) == (url, environment)


ALL = "/x/{id}"
CANARY = "canary"
A_PATH = "must be a path such as /api/v1/migrations/{id}/files"
A_NOTIFIER = "notifier: must be the dotted path of a notifier, such as airflow.providers.smtp"
AN_OBJECT = "notifier_arguments: must be JSON: an object of the notifier's own arguments"
WRONG = {
    "http": ("http://worker.anon.com", {}, "base_url: must be reached by https, or the API key would travel in the clear"),
    "http, sandbox unticked": ("http://127.0.0.1:8765", {"sandbox": False}, "base_url: must be reached by https"),
    "a user in the host": ("https://me:canary@worker.anon.com", {}, "base_url: must not hold a user or a password"),
    "no host": ("", {}, "base_url: must be a URL"),
    "no url": ("the canary of Anon", {}, "base_url: must be a URL"),
    "another scheme": ("ftp://canary.anon.com", {}, "base_url: must be a URL"),
    "a port in words": ("worker.anon.com:canary", {}, "base_url: names a port that is none"),
    "no pause": ("worker.anon.com", {"poll_seconds": 0}, "poll_seconds: Input should be greater than 0"),
    "a pause in words": ("worker.anon.com", {"poll_seconds": CANARY}, "poll_seconds: Input should be a valid number"),
    "a page of less than none": ("worker.anon.com", {"page_size": -1}, "page_size: Input should be greater than or equal to 0"),
    "half a page": ("worker.anon.com", {"page_size": 1.5}, "page_size: Input should be a valid integer"),
    "no pages": ("worker.anon.com", {"most_pages": 0}, "most_pages: Input should be greater than or equal to 1"),
    "a negative rate": ("worker.anon.com", {"requests_per_second": -1}, "requests_per_second: Input should be greater than"),
    "no time for an answer": ("worker.anon.com", {"read_timeout": 0}, "read_timeout: Input should be greater than 0"),
    "reminded before": ("worker.anon.com", {"remind_after": -1}, "remind_after: Input should be greater than or equal to 0"),
    "since some day": ("worker.anon.com", {"watch_since": CANARY}, "watch_since: Input should be a valid datetime"),
    "since ever": ("worker.anon.com", {"watch_since": "0001-01-01"}, "watch_since: is too far from now to be meant"),
    "perhaps": ("worker.anon.com", {"accept_partial": CANARY}, "accept_partial: Input should be a valid boolean"),
    "a path that is none": ("worker.anon.com", {"files_path": "canary/{id}"}, f"files_path: {A_PATH}"),
    "a path of nothing": ("worker.anon.com", {"files_path": "/canary"}, f"files_path: {A_PATH}"),
    "a path elsewhere": ("worker.anon.com", {"tasks_path": "https://canary/{id}"}, f"tasks_path: {A_PATH}"),
    "an address in a path": ("worker.anon.com", {"tasks_path": "/https://canary/{id}"}, f"tasks_path: {A_PATH}"),
    "a path with a query": ("worker.anon.com", {"tasks_path": "/{id}?key=canary"}, f"tasks_path: {A_PATH}"),
    "a path with a fragment": ("worker.anon.com", {"tasks_path": "/{id}#canary"}, f"tasks_path: {A_PATH}"),
    "a path with a blank": ("worker.anon.com", {"files_path": "/{id}/can ary"}, f"files_path: {A_PATH}"),
    "a path of Windows": ("worker.anon.com", {"files_path": "/{id}\\canary"}, f"files_path: {A_PATH}"),
    "one word as notifier": ("worker.anon.com", {"notifier": "Canary"}, A_NOTIFIER),
    "a notifier in dots": ("worker.anon.com", {"notifier": "canary..Notifier"}, A_NOTIFIER),
    "a notifier in a file": ("worker.anon.com", {"notifier": "canary/notifier.py"}, A_NOTIFIER),
    "arguments that are no JSON": ("worker.anon.com", {"notifier_arguments": "{canary}"}, AN_OBJECT),
    "arguments that are a list": ("worker.anon.com", {"notifier_arguments": '["canary"]'}, AN_OBJECT),
    "arguments that are null": ("worker.anon.com", {"notifier_arguments": "null"}, AN_OBJECT),
    "arguments that are a number": ("worker.anon.com", {"notifier_arguments": 7}, AN_OBJECT),
}


@pytest.mark.parametrize(("host", "extra", "part"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_told_with_its_field_and_never_with_its_value(host, extra, part):
    with pytest.raises(BadInput) as caught:
        settings(host, extra)
    assert caught.value.message.startswith(f"Connection 'a' is not usable: {part}")
    assert caught.value.message.endswith(" Correct it under Admin > Connections.")
    assert not [clumsy for clumsy in ("canary", "Canary", "Value error", ": : ") if clumsy in caught.value.message]


def test_every_wrong_setting_is_told_at_once():
    with pytest.raises(BadInput, match=r"poll_seconds: .*; page_size: "):
        settings(extra={"poll_seconds": 0, "page_size": -1})


@pytest.mark.parametrize("told", ["/api/v1/migrations/{id}/files", "/v1/files/of/{id}", "/{id}:files", "/a/{id}/b/{id}"])
def test_a_path_may_be_anything_that_names_a_migration(told):
    assert settings(extra={"files_path": told, "tasks_path": told}).files_path == told


def test_http_is_for_the_sandbox():
    assert settings("http://127.0.0.1:8765/anon", {"sandbox": True}).base_url == "http://127.0.0.1:8765/anon"


KEYS = {
    "none": ("", "the API key is missing: an administrator makes one on the dashboard's page API Keys"),
    "nothing but a line's end": ("\n", "the API key is missing"),
    "a space inside": ("canary of-a-key", "the API key holds a space, a line break or a character that no header takes"),
    "a line's end inside": ("canary\nof-a-key", "the API key holds"),
    "a letter that no header takes": ("canary-öf-a-key", "the API key holds"),
    "a mark that nobody sees": ("canary\u200bof-a-key", "the API key holds"),
    "an end of it all": ("canary\0of-a-key", "the API key holds"),
}


@pytest.mark.parametrize(("password", "part"), KEYS.values(), ids=KEYS)
def test_a_key_that_cannot_be_one_is_refused_and_not_said(password, part):
    with pytest.raises(BadInput) as caught:
        settings(password=password)
    assert caught.value.message.startswith(f"Connection 'a' is not usable: {part}")
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("password", [f"{SECRET}\n", f" {SECRET} ", f"{SECRET}\r\n"])
def test_a_key_that_was_copied_carelessly_is_the_key(password):
    assert settings(password=password).password == SECRET


ARGUMENTS = {"to": "canary@example.com", "smtp_password": "canary"}


@pytest.mark.parametrize("told", [ARGUMENTS, json.dumps(ARGUMENTS), f" {json.dumps(ARGUMENTS, indent=1)}\n"])
def test_the_arguments_of_a_notifier_are_kept_as_text_and_shown_to_nobody(told):
    found = settings(extra={"notifier": "a.b.Notifier", "notifier_arguments": told})
    assert json.loads(found.notifier_arguments) == ARGUMENTS
    assert "canary" not in f"{found!r} {found}"
    assert hash(found) == hash(found.model_copy())


# The Test button


@pytest.fixture
def pressed(anon, connect_anon):
    """Press Test on the sandbox's connection, changed as a person might have mistyped it."""
    return lambda extra=(), **told: AnonHook(connect_anon("pressed", extra, **told)).test_connection()


@pytest.mark.parametrize("count", [0, 3])
def test_a_good_connection_says_what_it_proved(pressed, anon, anon_base, count):
    if count:
        anon.make(count=count)
    host = anon_base.removeprefix("http://")
    assert pressed() == (True, f"Anon at {host} answers, and its list of migrations can be read ({count} on the first page).")


def test_the_test_button_asks_for_one_page_and_nothing_else(pressed, anon):
    pressed()
    assert [(one["method"], one["path"]) for one in anon.requests()] == [("GET", "/anon/api/v1/migrations")]


def test_a_key_that_is_not_known_says_so_and_where_to_look(pressed):
    ok, told = pressed(password=SECRET)
    assert not ok
    assert told == (
        "Anon answered the list of migrations with HTTP 401: The API key is missing, unknown or revoked. "
        "Check credentials and permissions of the connection."
    )


def test_a_key_that_was_revoked_says_the_same(pressed, anon):
    anon.switch(api_key="")
    assert "HTTP 401: The API key is missing, unknown or revoked. Check credentials" in pressed()[1]


def test_a_connection_without_a_key_says_that_the_key_is_the_trouble(pressed):
    ok, told = pressed(password="")
    assert not ok
    assert "the API key is missing" in told


def test_http_to_the_outside_is_not_even_tried(pressed, anon, anon_base):
    ok, told = pressed({"sandbox": False})
    assert not ok
    assert "base_url: must be reached by https" in told
    assert anon.requests() == []


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_host_that_cannot_be_reached_is_told_by_name(pressed, host):
    ok, told = pressed(host=host)
    assert not ok
    assert f"Anon could not be reached at {host.removeprefix('http://')}" in told
    assert "nothing was sent. Check host and network of the connection" in told


ELSEWHERE = {
    "a page": (answer(200, b"<html>Sign in</html>", "Content-Type: text/html"), "is not JSON (text/html, 20 bytes)"),
    "another API's object": (answer(200, b'{"hello": "world"}', JSON), "is no list of objects"),
    "another API's list": (answer(200, b'["a"]', JSON), "is no list of objects"),
    "another API's 404": (answer(404, b'{"detail": "canary"}', JSON), "HTTP 404: Said. If it should be there, check"),
    "a login page": (answer(302, b"", "Location: https://sso.example/login?ticket=canary"), "HTTP 302"),
    "nothing": (answer(204), "not JSON"),
}


@pytest.mark.parametrize(("elsewhere", "part"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_host_that_leads_elsewhere_is_told_and_what_to_check(pressed, elsewhere, part):
    with loopback() as server:
        ok, told = pressed(host=server.will(elsewhere).url)
    assert not ok
    assert part in told
    assert re.search(r"[Cc]heck (that )?the connection's (base URL|host)", told), told
    assert "canary" not in told


def test_a_path_that_is_not_anons_is_told_as_an_address_to_check(pressed, anon_base):
    ok, told = pressed(host=f"{anon_base}/anon/dashboard")
    assert not ok
    assert "HTTP 404: This path was not found. If it should be there, check the connection's base URL." in told


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_anon_in_trouble_is_not_taken_for_a_wrong_connection(pressed, anon, status):
    anon.fault("*", "status", status=status)
    ok, told = pressed()
    assert not ok
    assert f"HTTP {status}" in told
    assert "The step may be tried again." in told


# The key goes where it belongs

CALLS = {
    "migrations": lambda api: api.migrations(),
    "look": lambda api: api.look(Run("m-1")),
    "tasks": lambda api: api.tasks("m-1"),
    "files": lambda api: api.files("m-1"),
}


@COLOURS
@pytest.mark.parametrize("name", CALLS)
def test_the_key_is_sent_as_a_bearer_and_nowhere_else(ask_anon, colour, name):
    with loopback() as server:
        server.will(answer(200, b'{"id": "m-1", "data": []}', JSON))
        ask_anon(CALLS[name], colour, host=server.url, password=SECRET)
    (asked,) = server.asked
    assert [value for key, value in asked.headers if key.lower() == "authorization"] == [f"Bearer {SECRET}"]
    others = [header for header in asked.headers if header[0].lower() != "authorization"]
    assert SECRET not in f"{asked.method} {asked.target} {asked.body!r} {others}"


def signed(base, url):
    """The key that a request to that URL would carry."""
    request = next(ApiKey(base, SECRET).auth_flow(httpx.Request("GET", url)))
    return request.headers.get("Authorization")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://worker.anon.com", "https://worker.anon.com/api/v1/migrations"),
        ("https://worker.anon.com", "https://worker.anon.com:443/x"),
        ("https://Worker.Anon.com:443", "https://worker.anon.com/x"),
        ("https://worker.anon.com", "https://worker.anon.com/?to=https://elsewhere.example"),
    ],
)
def test_requests_to_the_connections_own_host_are_signed(base, url):
    assert signed(base, url) == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/api/v1/migrations",
        "https://worker.anon.com.elsewhere.example/x",
        "https://worker.anon.com@elsewhere.example/x",
        "https://anon.com/x",
        "https://dashboard.anon.com/x",
        "https://worker.anon.com:8443/x",
        "http://worker.anon.com/x",
        "http://worker.anon.com:443/x",
    ],
)
def test_requests_to_another_host_port_or_scheme_are_not_signed(url):
    assert signed("https://worker.anon.com", url) is None


@COLOURS
def test_a_redirect_is_not_followed(ask_anon, colour):
    with loopback() as elsewhere, loopback() as server:
        elsewhere.will(answer(200, b"[]", JSON))
        server.will(answer(307, b"", f"Location: {elsewhere.url}/api/v1/migrations"))
        with pytest.raises(FerryError, match="HTTP 307"):
            ask_anon(CALLS["migrations"], colour, host=server.url)
    assert (len(server.asked), elsewhere.asked) == (1, [])


def test_a_request_of_ours_that_leads_elsewhere_goes_without_the_key(anon, connect_anon):
    with loopback() as server:
        hook = AnonHook(connect_anon("a"))
        hook._line.send(Ask(httpx.Request("GET", server.will(answer(200, b"[]", JSON)).url)))
        hook.close()
    assert server.asked[0].header("Authorization") is None


# What nobody may see


@pytest.fixture
def everything_said(capfd, caplog):
    """Everything anybody logs, at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


def no(status, message="No."):
    return answer(status, json.dumps({"error": {"code": "no", "message": message}}).encode(), JSON)


def reason(status, phrase, body=b""):
    return answer(status, body, JSON).replace(b"Said", phrase.encode(), 1)


TROUBLES = {
    "none": answer(200, b"[]", JSON),
    "nothing there": no(404),
    "too many": no(429),
    "a broken Anon": no(500),
    "garbage": answer(200, b"\x00\xff<<<"),
    "no answer": None,
    "half an answer": answer(200, b"[", JSON, length=99),
    "an echo in words": no(401, f"The key {SECRET} is not known"),
    "an echo with its name": no(401, f"Authorization: Bearer {SECRET} is not known"),
    "an echo at the edge": no(401, f"{'x' * 289} {SECRET}"),
    "an echo in a refusal": no(400, f"No: {SECRET}"),
    "an echo with escapes": answer(401, no(401, SECRET).partition(b"\r\n\r\n")[2].replace(b"canary", b"\\u0063anary"), JSON),
    "an echo in the reason": reason(401, f"Unknown {SECRET}"),
    "an echo in the reason of a page": reason(401, f"Unknown {SECRET}", b"<html>"),
    "an echo in a header": answer(400, b"{}", JSON, f"X-Echo: {SECRET}"),
    "an echo in a redirect": answer(302, b"", f"Location: https://sso.example/login?token={SECRET}"),
    "an echo in a page": answer(400, f"<html>{SECRET}</html>".encode(), "Content-Type: text/html"),
    "an echo in an object": answer(200, json.dumps({"key": SECRET}).encode(), JSON),
}


def trouble_of(colour, hook, verb):
    """What is said when the call goes wrong, by whoever can be made to say something."""

    async def awaiting():
        return await hook.acall(verb)

    try:
        said = repr(drive(hook._line, verb(hook.api(ONE_TRY))) if colour == "worker" else asyncio.run(awaiting()))
    except FerryError as error:
        said = f"{error!r} {error} {error.to_json()} {error.__cause__!r} {error.__context__}"
    auth = hook.auth()
    hook.close()
    return " ".join([said, repr(hook), str(hook), repr(auth), str(auth), repr(hook.settings), str(hook.settings)])


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize(("colour", "name"), [("triggerer", "migrations"), ("worker", "look")])
def test_the_key_is_never_said_nor_any_piece_of_it(connect_anon, everything_said, colour, name, trouble):
    with loopback() as server:
        hook = AnonHook(connect_anon("troubled", host=server.will(trouble).url, password=SECRET))
        said = trouble_of(colour, hook, CALLS[name])
    assert server.asked
    assert "anon_cana" not in said + everything_said()
