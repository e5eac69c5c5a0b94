"""A session with a Library: token and every cookie, one new login for all who need it, and a goodbye at the end."""

import asyncio
import json

import pytest
from tests.loopback import answer, loopback

from ferry.core.errors import BadCredentials, FerryError, VendorUnavailable
from ferry.core.model import Run
from ferry.core.wire import httpx
from ferry.vendors.microstrategy import SOURCE, TARGET, sandbox_connections
from ferry.vendors.microstrategy.hook import MicroStrategyHook
from ferry.vendors.microstrategy.library import SessionEnded
from ferry.vendors.microstrategy.session import TOKEN, LibrarySession, Login

COLOURS = pytest.mark.parametrize("colour", ["worker", "triggerer"])
OVER = '{"code": "ERR009", "message": "The user\'s session has expired, please reauthenticate"}'


def whoami(api):
    return (yield from api.whoami())


# Token and cookies


@COLOURS
def test_every_cookie_goes_along_with_every_call(libraries, play_on_target, colour):
    libraries.switch(cookies="all")
    assert play_on_target(colour, whoami, whoami, whoami) == ["Ada Min"] * 3
    assert libraries.logins() == 1


def login(*cookies):
    return answer(204, b"", f"{TOKEN}: tok1", *(f"Set-Cookie: {cookie}; Path=/" for cookie in cookies))


def user(*cookies):
    return answer(200, b'{"fullName": "Ada"}', *(f"Set-Cookie: {cookie}; Path=/" for cookie in cookies))


@COLOURS
def test_a_cookie_that_changes_with_each_answer_is_sent_as_it_came_last(connect_library, colour):
    with loopback() as server:
        connect_library("balanced", host=server.url)
        server.will(login("JSESSIONID=J", "AWSALB=0"), user("AWSALB=1"), user("AWSALB=2"), user(), answer(204))
        hook = MicroStrategyHook("balanced")

        async def three():
            for _ in range(3):
                await hook.acall(whoami)

        if colour == "worker":
            [hook.call(whoami) for _ in range(3)]
        else:
            asyncio.run(three())
        sent = [sorted((asked.header("Cookie") or "").split("; ")) for asked in server.asked]
    assert sent[:4] == [[""], ["AWSALB=0", "JSESSIONID=J"], ["AWSALB=1", "JSESSIONID=J"], ["AWSALB=2", "JSESSIONID=J"]]


def test_a_login_that_is_never_answered_is_given_up_after_the_read_timeout(libraries, connect_library):
    libraries.fault("POST", "*/api/auth/login", "delay", seconds=30)
    connect_library("slow", {"read_timeout": 0.2})
    ok, said = MicroStrategyHook("slow").test_connection()
    assert (ok, "ReadTimeout" in said) == (False, True)


def test_a_library_that_sends_a_call_elsewhere_does_not_give_the_session_away(connect_library):
    with loopback() as elsewhere, loopback() as library:
        connect_library("moved", host=library.url)
        library.will(login("JSESSIONID=J"), answer(307, b"", f"Location: {elsewhere.will(user()).url}/api"), answer(204))
        with pytest.raises(FerryError, match="HTTP 307"):
            MicroStrategyHook("moved").call(whoami)
    assert elsewhere.asked == []


def told(request, status, cookie="", token=""):
    headers = {"Set-Cookie": f"AWSALB={cookie}; Path=/"} if cookie else {}
    headers |= {TOKEN: token} if token else {}
    return httpx.Response(status, headers=headers, content=OVER if status == 401 else "", request=request)


def test_a_late_answer_of_an_old_session_brings_no_cookie_into_the_new_one():
    session = LibrarySession(Login("https://lib.example", "u", "p"))
    slow, quick, third = (session.sync_auth_flow(httpx.Request("GET", "https://lib.example/api/projects")) for _ in range(3))
    waiting = slow.send(told(next(slow), 204, "old", "tok1"))
    relogin = quick.send(told(next(quick), 401))
    quick.send(told(relogin, 204, "new", "tok2"))
    with pytest.raises(StopIteration):
        slow.send(told(waiting, 200, "late"))
    assert next(third).headers["Cookie"] == "AWSALB=new"


def test_a_late_word_that_an_old_session_is_over_does_not_end_the_new_one():
    session = LibrarySession(Login("https://lib.example", "u", "p"))
    slow, quick, third = (session.sync_auth_flow(httpx.Request("GET", "https://lib.example/api/projects")) for _ in range(3))
    waiting = slow.send(told(next(slow), 204, "old", "tok1"))
    relogin = quick.send(told(next(quick), 401))
    quick.send(told(relogin, 204, "new", "tok2"))
    assert slow.send(told(waiting, 401)).headers[TOKEN] == "tok2"
    assert next(third).headers[TOKEN] == "tok2"


# One new session for all


@COLOURS
def test_a_read_that_finds_the_session_over_is_repeated_in_a_new_one(libraries, play_on_target, colour):
    def expire_first(api):
        libraries.expire()
        return (yield from api.whoami())

    assert play_on_target(colour, whoami, expire_first) == ["Ada Min"] * 2
    assert libraries.logins() == 2


@COLOURS
def test_a_session_may_end_again_and_again_under_a_poll(libraries, play_on_target, colour):
    libraries.switch(session_calls=3)
    assert play_on_target(colour, *[whoami] * 10) == ["Ada Min"] * 10
    assert libraries.logins() == 4


def test_fifty_waits_that_find_the_session_over_log_in_once(libraries):
    async def many():
        hooks = [await MicroStrategyHook.aopen(TARGET) for _ in range(50)]
        await hooks[0].acall(whoami)
        libraries.expire()
        return await asyncio.gather(*(hook.acall(whoami) for hook in hooks))

    assert asyncio.run(many()) == ["Ada Min"] * 50
    assert libraries.logins() == 2


def test_fifty_waits_that_begin_together_log_in_once(libraries):
    async def many():
        hooks = [await MicroStrategyHook.aopen(TARGET) for _ in range(50)]
        await asyncio.gather(*(hook.acall(whoami) for hook in hooks))

    asyncio.run(many())
    assert libraries.logins() == 1


@COLOURS
def test_a_library_that_ends_every_session_at_once_is_asked_no_endless_number_of_times(libraries, play_on_target, colour):
    libraries.fault("GET", "*/userInfo", "status", status=401, body=OVER, times=None)

    def once(api):
        api.patience = type(api.patience)(tries=1)
        return (yield from api.whoami())

    with pytest.raises(VendorUnavailable, match=r"session ended before read user \(ERR009"):
        play_on_target(colour, once)
    assert (libraries.logins(), len(libraries.seen("*/userInfo"))) == (1, 1), "what ends at its first use is not worth another"


@COLOURS
def test_a_401_that_is_not_about_the_session_brings_no_new_login(libraries, play_on_target, colour):
    libraries.fault("GET", "*/userInfo", "status", status=401, body='{"code": "ERR003", "message": "no"}', times=None)
    with pytest.raises(BadCredentials, match="ERR003: no"):
        play_on_target(colour, whoami)
    assert (libraries.logins(), len(libraries.seen("*/userInfo"))) == (1, 1)


def test_what_changes_something_is_not_sent_again_when_the_session_was_over(libraries):
    hook = MicroStrategyHook(TARGET)
    hook.call(whoami)
    libraries.expire()
    with pytest.raises(SessionEnded, match="session ended before create migration"):
        hook.call(lambda api: api.create({"packageInfo": {}, "importInfo": {}}, "migration"))
    assert [one["status"] for one in libraries.seen("*/api/migrations", "POST")] == [401]
    assert libraries.logins() == 1


def test_the_next_read_after_that_logs_in_anew(libraries):
    hook = MicroStrategyHook(TARGET)
    hook.call(whoami)
    libraries.expire()
    with pytest.raises(SessionEnded):
        hook.call(lambda api: api.create({}, "migration"))
    assert hook.call(lambda api: api.find("x", "migration")) is None
    assert libraries.logins() == 2


@COLOURS
@pytest.mark.parametrize("action", ["drop_before", "drop_after", "garbage"])
def test_a_login_that_did_not_arrive_blocks_nobody(libraries, play_on_target, colour, action):
    libraries.fault("POST", "*/auth/login", action)

    def patient(api):
        try:
            return (yield from api.whoami())
        except FerryError:
            return (yield from api.whoami())

    assert play_on_target(colour, patient) == ["Ada Min"]


# Goodbye


def test_a_step_that_ends_ends_its_session(libraries):
    hook = MicroStrategyHook(TARGET)
    hook.call(whoami)
    hook.close()
    assert [one["status"] for one in libraries.seen("*/auth/logout")] == [204]
    assert libraries.sessions() == 0


@pytest.mark.parametrize("begun", ["nothing", "a refused login", "a closed hook"])
def test_nobody_logs_out_who_is_not_logged_in(libraries, connect_library, begun):
    if begun == "a refused login":
        connect_library(TARGET, password="wrong")
    hook = MicroStrategyHook(TARGET)
    if begun == "a refused login":
        with pytest.raises(BadCredentials):
            hook.call(whoami)
    if begun == "a closed hook":
        hook.call(whoami)
        hook.close()
    before = len(libraries.seen("*/auth/logout"))
    hook.close()
    assert len(libraries.seen("*/auth/logout")) == before


def test_a_session_that_ran_out_by_itself_is_no_trouble_at_the_end(libraries, capfd):
    hook = MicroStrategyHook(TARGET)
    hook.call(whoami)
    libraries.expire()
    hook.close()
    assert [one["status"] for one in libraries.seen("*/auth/logout")] == [401]
    assert "was not ended" not in "".join(capfd.readouterr())


def test_a_goodbye_that_fails_is_logged_and_spoils_nothing(libraries, capfd):
    libraries.fault("POST", "*/auth/logout", "drop_before")
    hook = MicroStrategyHook(TARGET)
    hook.call(whoami)
    hook.close()
    assert "The session at microstrategy was not ended" in "".join(capfd.readouterr())


def test_a_closed_hook_can_be_used_again(libraries):
    hook = MicroStrategyHook(TARGET)
    for _ in range(2):
        hook.call(whoami)
        hook.close()
    assert (libraries.logins(), libraries.sessions()) == (2, 0)


def test_source_and_target_do_not_share_a_session(libraries, two_libraries, monkeypatch):
    monkeypatch.setenv(f"AIRFLOW_CONN_{SOURCE.upper()}", json.dumps(sandbox_connections(two_libraries)[SOURCE]))
    for name in (SOURCE, TARGET):
        MicroStrategyHook(name).call(whoami)
    assert (libraries.logins("source"), libraries.logins("target")) == (1, 1)


def test_a_wait_looks_through_a_session_that_ends_in_mid_poll(libraries):
    begun = libraries.control("POST", "/microstrategy/scripts/imported")
    libraries.switch(session_calls=1)

    async def look(times):
        hook, run = await MicroStrategyHook.aopen(TARGET), Run(begun["ref"])
        return [(await hook.acall(lambda api: api.look(run))).ref for _ in range(times)]

    assert asyncio.run(look(4)) == [begun["ref"]] * 4
    assert libraries.logins() == 4
