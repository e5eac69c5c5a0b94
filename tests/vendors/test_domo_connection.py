"""Domo's connection: its settings, the Test button, and the token, which goes to one place and is never said."""

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
from ferry.core.wire import httpx
from ferry.vendors.domo import CARD, FIELDS
from ferry.vendors.domo.hook import DeveloperToken, DomoHook, DomoSettings
from ferry.vendors.domo.vocabulary import TOKEN

COLOURS = pytest.mark.parametrize("colour", ["worker", "triggerer"])
SECRET = "canary-of-a-developer-token"
PLACE = {"catalog": "sales_db", "schema": "NULL", "table": "Orders"}
JSON, HTML = "Content-Type: application/json", "Content-Type: text/html;charset=utf-8"
CALLS = {
    "types": lambda api: api.types(),
    "accounts": lambda api: api.accounts("mysql-federated"),
    "candidates": lambda api: api.candidates("41"),
    "migrate": lambda api: api.migrate("d-1", "41", PLACE),
    "reverse": lambda api: api.reverse("d-1"),
}
MOVES = ("migrate", "reverse")


# Settings


def settings(host="acme.domo.com", extra=(), password=SECRET):
    connection = Connection(conn_id="d", conn_type="domo", host=host, password=password, extra=json.dumps(dict(extra)))
    return DomoHook("d", connection).settings


EMPTY = {"nothing is said": {}, "empty fields": dict.fromkeys(FIELDS, ""), "null fields": dict.fromkeys(FIELDS)}


@pytest.mark.parametrize("extra", EMPTY.values(), ids=EMPTY)
def test_what_the_form_leaves_empty_has_its_default(extra):
    found = settings(extra=extra)
    assert (found.answer_timeout, found.visible_delay, found.max_live_runs, found.requests_per_second) == (900, 300, 2, 1)
    assert (found.read_timeout, found.sandbox, found.ui_url) == (60, False, "")


def test_the_texts_of_a_form_are_understood():
    told = {"answer_timeout": "1200", "visible_delay": "0", "max_live_runs": "3", "requests_per_second": "0.5", "sandbox": "true"}
    found = settings(extra=told)
    assert (found.answer_timeout, found.visible_delay, found.max_live_runs, found.requests_per_second) == (1200, 0, 3, 0.5)
    assert found.sandbox is True


def test_every_field_of_the_form_is_a_setting():
    assert set(FIELDS) <= set(DomoSettings.model_fields)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if "empty for" in field["description"]])
def test_the_form_tells_the_default_that_holds(name):
    told = re.search(r"empty for ([0-9.]*[0-9])\.$", FIELDS[name]["description"])
    assert told, FIELDS[name]["description"]
    assert float(told[1]) == DomoSettings.model_fields[name].default


def test_the_form_tells_a_default_of_every_number():
    numbers = {name for name, field in FIELDS.items() if {"number", "integer"} & set(field["schema"]["type"])}
    assert {name for name, field in FIELDS.items() if "empty for" in field["description"]} == numbers


def test_the_form_shows_host_and_token_and_hides_what_domo_does_not_use():
    assert set(CARD.behaviour["relabeling"]) == {"host", "password"}
    assert {"login", "port", "schema"} <= set(CARD.behaviour["hidden-fields"])


@pytest.mark.parametrize(
    ("host", "url", "environment"),
    [
        ("acme.domo.com", "https://acme.domo.com", "acme.domo.com"),
        ("https://acme.domo.com/", "https://acme.domo.com", "acme.domo.com"),
        ("https://ACME.domo.com:8443", "https://ACME.domo.com:8443", "acme.domo.com:8443"),
        ("domo.intern.example", "https://domo.intern.example", "domo.intern.example"),
    ],
)
def test_an_instance_is_reached_by_https_and_called_by_its_host(host, url, environment):
    found = settings(host)
    assert (found.base_url, found.environment) == (url, environment)


WRONG = {
    "http": ("http://acme.domo.com", {}, "base_url: must be reached by https, or the token would travel in the clear"),
    "http, sandbox unticked": ("http://127.0.0.1:8765", {"sandbox": False}, "base_url: must be reached by https"),
    "http to a real instance as a sandbox": ("http://acme.domo.com", {"sandbox": True}, "base_url: must be reached by https"),
    "the other API": ("api.domo.com", {}, "base_url: api.domo.com is another API of Domo; name your own instance"),
    "the other API in full": (
        "https://API.Domo.com/v1",
        {},
        "is another API of Domo; name your own instance, such as acme.domo.com",
    ),
    "the other API as a sandbox": ("http://api.domo.com", {"sandbox": True}, "is another API of Domo"),
    "a user in the host": ("https://me:canary-2@acme.domo.com", {}, "must not hold a user or a password"),
    "a user in a bare host": ("me:canary-2@acme.domo.com", {}, "must not hold a user or a password"),
    "no host": ("", {}, "base_url: must be a URL"),
    "no url": ("the instance of Acme", {}, "base_url: must be a URL"),
    "a port in words": ("acme.domo.com:https", {}, "base_url: names a port that is none"),
    "a port and a letter": ("https://acme.domo.com:443x", {}, "base_url: names a port that is none"),
    "another scheme": ("ftp://acme.domo.com", {}, "base_url: must be a URL"),
    "no time for an answer": ("acme.domo.com", {"answer_timeout": 0}, "answer_timeout: Input should be greater than 0"),
    "time in words": ("acme.domo.com", {"answer_timeout": "soon"}, "answer_timeout: Input should be a valid number"),
    "a negative delay": ("acme.domo.com", {"visible_delay": -1}, "visible_delay: Input should be greater than or equal to 0"),
    "no live batch": ("acme.domo.com", {"max_live_runs": 0}, "max_live_runs: Input should be greater than or equal to 1"),
    "half a batch": ("acme.domo.com", {"max_live_runs": 1.5}, "max_live_runs: Input should be a valid integer"),
    "a negative rate": ("acme.domo.com", {"requests_per_second": -1}, "requests_per_second: Input should be greater than"),
    "no time for a list": ("acme.domo.com", {"read_timeout": 0}, "read_timeout: Input should be greater than 0"),
    "half a sandbox": ("acme.domo.com", {"sandbox": "perhaps"}, "sandbox: Input should be a valid boolean"),
}


@pytest.mark.parametrize(("host", "extra", "part"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_told_with_its_reason_and_where_to_correct_it(host, extra, part):
    with pytest.raises(BadInput) as caught:
        settings(host, extra)
    assert part in caught.value.message
    assert caught.value.message.startswith("Connection 'd' is not usable: ")
    assert "Correct it under Admin > Connections." in caught.value.message
    assert not [clumsy for clumsy in ("canary", "Value error", ": : ") if clumsy in caught.value.message]


def test_every_wrong_setting_is_told_at_once():
    with pytest.raises(BadInput, match=r"answer_timeout: .*; .*|visible_delay: .*; .*") as caught:
        settings(extra={"answer_timeout": 0, "visible_delay": -1})
    assert "answer_timeout: " in caught.value.message
    assert "visible_delay: " in caught.value.message


def test_http_is_for_the_sandbox():
    assert settings("http://127.0.0.1:8765/domo", {"sandbox": True}).base_url == "http://127.0.0.1:8765/domo"


TOKENS = {
    "none": ("", "the developer token is missing: create an access token in Domo's admin pages"),
    "nothing but a line's end": ("\n", "the developer token is missing"),
    "a space inside": (
        "canary of-a-token",
        "the developer token holds a space, a line break or a character that no header takes",
    ),
    "a line's end inside": ("canary\nof-a-token", "the developer token holds"),
    "a letter that no header takes": ("canary-öf-a-token", "the developer token holds"),
    "a mark that nobody sees": ("canary\u200bof-a-token", "the developer token holds"),
    "an end of it all": ("canary\0of-a-token", "the developer token holds"),
}


@pytest.mark.parametrize(("password", "part"), TOKENS.values(), ids=TOKENS)
def test_a_token_that_cannot_be_one_is_refused_and_not_said(password, part):
    with pytest.raises(BadInput) as caught:
        settings(password=password)
    assert caught.value.message.startswith(f"Connection 'd' is not usable: {part}")
    assert "Correct it under Admin > Connections." in caught.value.message
    assert "canary" not in caught.value.message


# The Test button


@pytest.fixture
def pressed(domo, connect_domo):
    """Press Test on the sandbox's connection, changed as a person might have mistyped it."""
    return lambda extra=(), **told: DomoHook(connect_domo("pressed", extra, **told)).test_connection()


def test_a_good_connection_says_what_it_proved(pressed, domo_base):
    known = "it has snowflake-federated, mysql-federated, bigquery-federated."
    assert pressed() == (True, f"Domo at {domo_base.removeprefix('http://')} knows this token; {known}")


def test_an_instance_without_integrations_is_a_good_connection_and_says_so(pressed):
    with loopback() as server:
        ok, told = pressed(host=server.will(answer(200, b"[]", JSON)).url)
    assert (ok, told.partition("; ")[2]) == (True, "it has no federated integration types.")


def test_the_test_button_reads_and_moves_nothing(pressed, domo):
    pressed()
    assert [(one["method"], one["path"].rpartition("/")[2]) for one in domo.requests()] == [("GET", "types")]


def test_a_token_that_is_not_known_says_to_create_a_new_one(pressed):
    ok, told = pressed(password="canary-2")
    assert not ok
    assert "HTTP 401: Full authentication is required to access this resource (toe " in told
    assert "create a new one in Domo, put it into the connection" in told
    assert "canary" not in told


def test_a_connection_without_a_token_says_that_the_token_is_the_trouble(pressed):
    ok, told = pressed(password="")
    assert not ok
    assert "token" in told


def test_a_token_whose_user_may_not_says_what_to_do_about_rights(pressed, domo):
    domo.fault("GET", "*/types", "status", status=403, body='{"status": 403, "message": "You do not have permission."}')
    ok, told = pressed()
    assert not ok
    assert "HTTP 403: You do not have permission" in told
    assert "The token has its user's rights: have them extended, or use another user's token" in told


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
def test_a_refusal_is_told_in_whole_sentences(pressed, domo, status):
    domo.fault("GET", "*/types", "status", status=status, body='{"message": "You do not have permission."}')
    ok, told = pressed()
    assert not ok
    assert f"HTTP {status}: You do not have permission. " in told


@pytest.mark.parametrize(("status", "part"), [(401, "create a new one in Domo"), (403, "The token has its user's rights")])
def test_a_refusal_in_the_shape_of_a_page_is_one_too(pressed, status, part):
    """Seen in public [N]: a page where JSON was asked for."""
    with loopback() as server:
        ok, told = pressed(host=server.will(answer(status, b"<html>No</html>", HTML)).url)
    assert not ok
    assert f"HTTP {status}: a page instead of Domo's own error. " in told
    assert part in told


BEFORE_IT = "Check the connection's instance, and whether a proxy or a login page stands before it."
ELSEWHERE = {
    "a page": (answer(200, b"<html>Sign in</html>", HTML), "not JSON (text/html;charset=utf-8, 20 bytes)"),
    "no page": (answer(404, b"<html>Not found</html>", HTML), f"HTTP 404: a page instead of Domo's own error. {BEFORE_IT}"),
    "another API's 404": (answer(404, b'{"error": "no"}', JSON), f"HTTP 404: Said. {BEFORE_IT}"),
    "a gateway": (answer(400, b'{"message": "No route."}', JSON), f"HTTP 400: No route. {BEFORE_IT}"),
    "another API's object": (answer(200, b'{"hello": "world"}', JSON), "not a list of integration types"),
    "another API's null": (answer(200, b"null", JSON), "not a list of integration types"),
    "a login page": (answer(302, b"", "Location: https://sso.example/login?ticket=canary-3"), "HTTP 302"),
    "a login page for good": (answer(301, b"", "Location: https://sso.example/login?ticket=canary-3"), "HTTP 301"),
    "nothing": (answer(204), "not JSON"),
}


@pytest.mark.parametrize(("elsewhere", "part"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_host_that_leads_elsewhere_is_told_and_what_to_check(pressed, elsewhere, part):
    with loopback() as server:
        ok, told = pressed(host=server.will(elsewhere).url)
    assert not ok
    assert part in told
    assert re.search(r"[Cc]heck (that )?the connection's (base URL|instance)", told), told
    assert "canary" not in told


@pytest.mark.parametrize("body", [b'[{"id": 1, "name": "somebody"}]', b'["mysql-federated", null]'])
def test_a_list_of_something_else_is_no_list_of_types(pressed, body):
    with loopback() as server:
        ok, told = pressed(host=server.will(answer(200, body, JSON)).url)
    assert not ok, told
    assert "not a list of integration types" in told


def test_a_path_that_domo_does_not_have_is_told_as_an_address_to_check(pressed, domo_base):
    ok, told = pressed(host=f"{domo_base}/domo/datacenter")
    assert not ok
    assert "HTTP 404: No such endpoint (toe " in told
    assert "check the connection's base URL" in told


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_host_that_cannot_be_reached_is_told_by_name(pressed, host):
    ok, told = pressed(host=host)
    assert not ok
    assert f"could not be reached at {host.removeprefix('http://')}" in told
    assert "nothing was sent. Check host and network of the connection" in told


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_domo_in_trouble_is_not_taken_for_a_wrong_connection(pressed, domo, status):
    domo.fault("GET", "*/types", "status", status=status)
    ok, told = pressed()
    assert not ok
    assert f"HTTP {status}" in told
    assert "The step may be tried again." in told


# The token goes where it belongs


def heard(server):
    """Everything of the requests but the one header that is the token's place."""
    return [(a.target, a.body, [header for header in a.headers if header[0].lower() != TOKEN.lower()]) for a in server.asked]


@COLOURS
@pytest.mark.parametrize("name", CALLS)
def test_the_token_is_sent_in_its_own_header_and_nowhere_else(play_on_domo, colour, name):
    with loopback() as server:
        server.will(answer(200, b'{"state": "COMPLETE"}' if name in MOVES else b"[]", JSON))
        play_on_domo(colour, CALLS[name], host=server.url, password=SECRET)
    (asked,) = server.asked
    assert asked.header(TOKEN) == SECRET
    assert asked.header("Authorization") is None
    assert SECRET not in str(heard(server))


@pytest.mark.parametrize(("name", "status"), [*zip(CALLS, [301, 302, 303, 307, 308], strict=True)])
def test_a_redirect_to_a_second_host_is_not_followed_and_carries_no_token(play_on_domo, name, status):
    with loopback() as first, loopback() as second:
        second.will(answer(200, b"[]", JSON))
        first.will(answer(status, b"", f"Location: {second.url}/elsewhere"))
        with pytest.raises(FerryError):
            play_on_domo("worker" if name in MOVES else "triggerer", CALLS[name], host=first.url, password=SECRET)
    assert second.asked == []
    assert len(first.asked) == 1


@COLOURS
def test_a_request_that_goes_astray_carries_no_token(play_on_domo, colour):
    with loopback() as home, loopback() as elsewhere:
        elsewhere.will(answer(200, b"[]", JSON))

        def astray(api):
            return (yield Ask(httpx.Request("GET", f"{elsewhere.url}/types")))

        play_on_domo(colour, astray, host=home.url, password=SECRET)
    (asked,) = elsewhere.asked
    assert asked.header(TOKEN) is None
    assert SECRET not in str(asked)


def signed(base, url):
    request = next(DeveloperToken(base, SECRET).auth_flow(httpx.Request("GET", url)))
    return request.headers.get(TOKEN)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://acme.domo.com", "https://acme.domo.com/api/x"),
        ("https://acme.domo.com", "https://acme.domo.com:443/api/x"),
        ("https://acme.domo.com", "https://ACME.domo.com/api/x"),
        ("https://acme.domo.com", "https://acme.domo.com/?to=https://elsewhere.example"),
        ("https://Acme.domo.com:443", "https://acme.domo.com/api/x"),
    ],
)
def test_requests_to_the_connections_own_host_are_signed(base, url):
    assert signed(base, url) == SECRET


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/api/x",
        "https://acme.domo.com.elsewhere.example/api/x",
        "https://acme.domo.com@elsewhere.example/api/x",
        "https://domo.com/api/x",
        "https://other.domo.com/api/x",
        "https://api.domo.com/api/x",
        "https://acme.domo.com:8443/api/x",
        "http://acme.domo.com/api/x",
        "http://acme.domo.com:443/api/x",
    ],
)
def test_requests_to_another_host_port_or_scheme_are_not_signed(url):
    assert signed("https://acme.domo.com", url) is None


# What nobody may see


@pytest.fixture
def everything_said(capfd, caplog):
    """Everything anybody logs, at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


def no(status, message="No."):
    return answer(status, json.dumps({"status": status, "message": message, "toe": "Q4W-7TR-0XC"}).encode(), JSON)


def keep_silent(connection):
    connection.recv(1)  # until the client has lost patience


TROUBLES = {
    "none": answer(200, b"[]", JSON),
    "a no": no(400),
    "a no to the token": no(401),
    "a no to its user": no(403),
    "nothing there": no(404),
    "too many": no(429),
    "a broken Domo": no(500),
    "a page": answer(502, b"<html>Bad Gateway</html>", HTML),
    "garbage": answer(200, b"\x00\xff<<<"),
    "a redirect": answer(302, b"", "Location: https://sso.example/login"),
    "no answer": None,
    "half an answer": answer(200, b"[", JSON, length=99),
    "no answer in time": keep_silent,
    "a header that echoes it": answer(400, b"{}", JSON, f"X-Echo: {SECRET}", f"Set-Cookie: t={SECRET}"),
    "a redirect that echoes it": answer(302, b"", f"Location: https://sso.example/login?token={SECRET}"),
    "a page that echoes it": answer(400, f"<html>{SECRET}</html>".encode(), HTML),
    "an object that echoes it": answer(200, json.dumps({"token": SECRET}).encode(), JSON),
}


def trouble_of(colour, verb, connect_domo, server, password=SECRET):
    """What is said when the call goes wrong, by whoever can be made to say something."""
    extra = {"read_timeout": 0.3, "answer_timeout": 0.3}
    hook = DomoHook(connect_domo("troubled", extra, host=server.url, password=password))

    async def awaiting():
        return await hook.acall(verb)

    try:
        result = drive(hook._line, verb(hook.api(ONE_TRY))) if colour == "worker" else asyncio.run(awaiting())
        said = repr(result)
    except FerryError as error:
        said = f"{error!r} {error} {error.to_json()} {error.__cause__!r} {error.__context__}"
    auth = hook._line.client.auth
    hook.close()
    return " ".join([said, repr(hook), str(hook), repr(auth), str(auth), repr(hook.settings), str(hook.settings)])


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize(("colour", "verb"), [("triggerer", CALLS["types"]), ("worker", CALLS["migrate"])], ids=["read", "move"])
def test_the_token_is_never_said(connect_domo, everything_said, colour, trouble, verb):
    with loopback() as server:
        said = trouble_of(colour, verb, connect_domo, server.will(trouble))
    assert len(server.asked) == 1
    assert SECRET not in said + everything_said()


ECHOES = {
    "as a header": f"X-DOMO-Developer-Token: {SECRET} is not known",
    "as JSON": f'No user for {{"X-DOMO-Developer-Token": "{SECRET}"}}',
    "as a parameter": f"No user for developerToken={SECRET}",
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_token_that_domo_names_in_its_error_is_not_passed_on(connect_domo, everything_said, echo):
    with loopback() as server:
        said = trouble_of("worker", CALLS["types"], connect_domo, server.will(no(401, echo)))
    assert SECRET not in said + everything_said()


@pytest.mark.parametrize("status", [400, 401])
def test_a_token_that_domo_quotes_without_its_name_is_not_passed_on(connect_domo, everything_said, status):
    with loopback() as server:
        said = trouble_of("worker", CALLS["types"], connect_domo, server.will(no(status, f"The access token {SECRET} expired")))
    assert SECRET not in said + everything_said()


def test_a_token_in_the_reason_of_a_move_is_not_passed_on(connect_domo):
    body = {"state": "ABORTED", "errorMessage": f"Refused X-DOMO-Developer-Token: {SECRET}"}
    with loopback() as server:
        said = trouble_of("worker", CALLS["migrate"], connect_domo, server.will(answer(200, json.dumps(body).encode(), JSON)))
    assert SECRET not in said


ESCAPES = {"a slash": ("canary/of-a-token", "\\/", "/"), "a letter": ("canary-of-a-token", "\\u006f", "o")}


@pytest.mark.parametrize(("password", "escaped", "plain"), ESCAPES.values(), ids=ESCAPES)
def test_a_token_that_domo_writes_with_escapes_of_json_is_not_passed_on(connect_domo, password, escaped, plain):
    """Tokens are opaque [A]; some writers of JSON put a backslash before every slash."""
    body = f'{{"message": "The access token {password.replace(plain, escaped)} expired"}}'.encode()
    assert password in json.loads(body)["message"]
    with loopback() as server:
        said = trouble_of("worker", CALLS["types"], connect_domo, server.will(answer(400, body, JSON)), password)
    assert password not in said


def test_a_token_in_the_reason_phrase_is_not_passed_on(connect_domo):
    with loopback() as server:
        phrase = answer(400, b"", JSON).replace(b"Said", f"No user for {SECRET}".encode())
        said = trouble_of("worker", CALLS["types"], connect_domo, server.will(phrase))
    assert SECRET not in said


STRAYS = {"a line's end": f"{SECRET}\n", "a space after it": f"{SECRET} ", "a space before it": f" {SECRET}"}


@pytest.mark.parametrize("password", STRAYS.values(), ids=STRAYS)
def test_a_token_that_was_copied_carelessly_is_not_said_either(connect_domo, everything_said, password):
    """Secret stores hand out such values: a Kubernetes secret made with `echo` ends with a line's end."""
    with loopback() as server:
        server.will(no(400, f"No user for {SECRET}."))
        said = trouble_of("worker", CALLS["migrate"], connect_domo, server, password)
    assert [asked.header(TOKEN) for asked in server.asked] == [SECRET]
    assert SECRET not in said + everything_said()


@pytest.mark.parametrize("password", STRAYS.values(), ids=STRAYS)
def test_a_token_that_was_copied_carelessly_works(pressed, password):
    assert pressed(password=password.replace(SECRET, "ferry-demo-domo-token"))[0]
