"""MicroStrategy's connection: the Test button, what an environment is called, and secrets, which nobody ever says."""

import asyncio
import logging

import pytest
from tests.loopback import answer, loopback

from ferry.core.errors import BadCredentials, FerryError
from ferry.vendors.microstrategy import TARGET
from ferry.vendors.microstrategy.hook import MicroStrategyHook
from ferry.vendors.microstrategy.session import TOKEN

COLOURS = pytest.mark.parametrize("colour", ["worker", "triggerer"])
OVER = '{"code": "ERR009", "message": "The user\'s session has expired, please reauthenticate"}'


def whoami(api):
    return (yield from api.whoami())


# The Test button


@pytest.fixture
def pressed(libraries, connect_library):
    """Press Test on the target's connection, changed as a person might have mistyped it."""

    def press(extra=(), **told):
        connect_library("pressed", extra, **told)
        return MicroStrategyHook("pressed").test_connection()

    return press


def test_a_good_connection_says_what_it_proved(pressed, two_libraries):
    environment = two_libraries.removeprefix("http://")
    assert pressed() == (True, f"Ada Min is logged in to {environment} and sees 3 projects there.")


def test_an_api_token_stands_where_the_password_does(pressed):
    ok, told = pressed(login="", password="ferry-demo-architect-token", extra={"login_mode": 4096})
    assert (ok, told.partition(" is ")[0]) == (True, "Archie Tekt")


def test_the_test_button_leaves_no_session_behind(pressed, libraries):
    pressed()
    assert (libraries.logins(), libraries.sessions()) == (1, 0)


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        ({"password": "canary-secret"}, ["127.0.0.1:", "refused the login (ERR003 Login failed)", "Check user, password and"]),
        ({"login": "somebody"}, ["refused the login (ERR003 Login failed)", "Check user, password and login mode"]),
        ({"extra": {"login_mode": 8}}, ["refused the login (ERR003 Login failed)", "login mode of the connection"]),
        ({"extra": {"login_mode": 4096}}, ["refused the login (ERR003 Login failed)", "login mode of the connection"]),
        ({"extra": {"login_mode": "LDAP"}}, ["login_mode: ", "valid integer", "Admin > Connections"]),
        ({"host": "http://127.0.0.1:1/MicroStrategyLibrary"}, ["could not be reached at 127.0.0.1:1", "nothing was sent"]),
        ({"host": "http://no-such-host.invalid"}, ["could not be reached at no-such-host.invalid", "Check host and network"]),
        ({"host": "not a url at all"}, ["not usable: base_url"]),
    ],
)
def test_a_wrong_connection_says_what_is_wrong(pressed, how, parts):
    ok, told = pressed(**how)
    assert not ok
    assert all(part in told for part in parts), told
    assert "canary" not in told


ELSEWHERE = {
    "a page": (answer(200, b"<html>Sign in</html>", "Content-Type: text/html"), "HTTP 200 (text/html)"),
    "no page": (answer(404, b"<html>Not found</html>", "Content-Type: text/html"), "HTTP 404 (text/html)"),
    "another API": (answer(404, b'{"error": "no"}', "Content-Type: application/json"), "HTTP 404 (application/json)"),
    "another API's 401": (answer(401, b'{"message": "Unauthorized"}', "Content-Type: application/json"), "HTTP 401"),
    "a redirect": (answer(302, b"", "Location: https://sso.example/login?ticket=canary"), "to https://sso.example/login"),
    "a 204 without a token": (answer(204), "HTTP 204 (no content type) and no X-MSTR-AuthToken header"),
    "an empty token": (answer(204, b"", f"{TOKEN}: "), "no X-MSTR-AuthToken header"),
}


@pytest.mark.parametrize(("elsewhere", "part"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_base_url_that_leads_elsewhere_is_told_with_its_host_and_what_to_check(pressed, elsewhere, part):
    with loopback() as server:
        ok, told = pressed(host=server.will(elsewhere).url)
    assert not ok
    assert f"What answers at 127.0.0.1:{server.port} is no MicroStrategy Library" in told
    assert part in told
    assert "Check the base URL of the connection: it usually ends with /MicroStrategyLibrary." in told
    assert "canary" not in told


def test_a_path_that_the_library_does_not_have_is_told_as_a_wrong_base_url(pressed, two_libraries):
    ok, told = pressed(host=f"{two_libraries}/microstrategy/target/MicroStrategyLibrary/somewhere")
    assert not ok
    assert "Check the base URL" in told


def test_a_refusal_of_the_login_for_another_reason_is_told_in_the_librarys_words(pressed):
    body = b'{"code": "ERR0014", "message": "Login mode 16 is not enabled."}'
    with loopback() as server:
        ok, told = pressed(host=server.will(answer(403, body)).url)
    assert not ok
    assert "refused the login (ERR014 Login mode 16 is not enabled.)" in told


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_library_in_trouble_is_not_taken_for_wrong_credentials(pressed, libraries, status):
    libraries.fault("POST", "*/auth/login", "status", status=status)
    ok, told = pressed()
    assert not ok
    assert f"answered the login with HTTP {status}. The step may be tried again." in told


# What nobody may see


@pytest.fixture
def everything_said(capfd, caplog):
    """Everything anybody logs, at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


class Overheard(MicroStrategyHook):
    """Remembers what its sessions were known by, also those that have ended since."""

    def auth(self):
        session, self.heard = super().auth(), []
        take = session._take

        def overhear(answer):
            take(answer)
            self.heard += [session._token, *session._cookies.values()]

        session._take = overhear
        return session


TROUBLES = {
    "none": {},
    "a no": {"action": "status", "status": 400, "body": '{"code": "ERR006", "message": "no"}'},
    "a no to us": {"action": "status", "status": 403},
    "an ended session": {"action": "status", "status": 401, "body": OVER},
    "a broken vendor": {"action": "status", "status": 500},
    "garbage": {"action": "garbage"},
    "a lost answer": {"action": "drop_after"},
}


@COLOURS
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_neither_token_nor_cookie_nor_password_is_ever_said(libraries, everything_said, colour, trouble):
    if trouble:
        libraries.fault("GET", "*/userInfo", **trouble)
    hook, told = Overheard(TARGET), ""

    async def awaiting():
        return await hook.acall(whoami)

    try:
        hook.call(whoami) if colour == "worker" else asyncio.run(awaiting())
    except FerryError as error:
        told = f"{error!r} {error} {error.to_json()} {error.__cause__!r} {error.__context__!r}"
    session = hook._session
    hook.close()
    secrets = [*hook.heard, "ferry-demo-administrator"]
    assert len(secrets) >= 5
    assert all(len(secret) >= 4 for secret in secrets)
    shown = told + everything_said() + repr(hook) + repr(session) + repr(session._login) + repr(hook.settings)
    assert [secret for secret in secrets if secret in shown] == []


def test_a_refused_login_does_not_say_the_password(libraries, connect_library, everything_said):
    connect_library(TARGET, password="canary-secret")
    with pytest.raises(BadCredentials) as caught:
        MicroStrategyHook(TARGET).call(whoami)
    assert "canary" not in f"{caught.value!r} {caught.value.to_json()} {everything_said()}"


# Environments


def test_an_environment_is_called_by_its_url_with_one_slash_unless_told_otherwise(libraries, connect_library, two_libraries):
    url = f"{two_libraries}/microstrategy/target/MicroStrategyLibrary/"
    assert MicroStrategyHook(TARGET).settings.library == {"id": url, "name": "target"}
    connect_library("named", {"environment_id": "https://prod/", "environment_name": ""}, host=url)
    assert MicroStrategyHook("named").settings.library == {"id": "https://prod/", "name": "https://prod/"}
