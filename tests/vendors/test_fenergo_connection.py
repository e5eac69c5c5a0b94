"""Fenergo's connection on its sandbox: the Test button, and one token for many callers, which nobody ever says."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.vendors.controls import Controls

from ferry.core.errors import BadCredentials, FerryError, VendorUnavailable
from ferry.core.model import Run
from ferry.core.wire import httpx
from ferry.vendors.fenergo import sandbox_connections
from ferry.vendors.fenergo.hook import EARLY, FenergoAuth, FenergoHook
from sandbox.server import running


class Tenant(Controls):
    """Fenergo's sandbox and the ways to set it up."""

    vendor = "fenergo"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    at_once = {"prepare_seconds": 0.0, "process_seconds": 0.0, "ingestion_seconds": 0.0}
    with running(tmp_path_factory.mktemp("sandbox"), switches={"fenergo": at_once}) as base:
        yield base


@pytest.fixture
def connect(sandbox, monkeypatch):
    """The sandbox's connection under a name, changed as a test likes."""

    def connect(name, extra=(), **told):
        (good,) = sandbox_connections(sandbox).values()
        changed = good | told | {"extra": good["extra"] | dict(extra)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(changed))

    return connect


@pytest.fixture
def fenergo(sandbox, connect):
    """Fenergo's sandbox on its first day, with its connection."""
    connect("fenergo_default")
    tenant = Tenant(sandbox)
    tenant.control("POST", "/reset")
    return tenant


# The Test button


@pytest.fixture
def pressed(fenergo, connect):
    """Press Test on the sandbox's connection, changed as a person might have mistyped it."""

    def press(extra=(), **told):
        connect("pressed", extra, **told)
        return FenergoHook("pressed").test_connection()

    return press


def test_a_good_connection_says_what_it_proved(pressed, sandbox):
    environment = sandbox.removeprefix("http://")
    assert pressed() == (True, f"Fenergo knows this client and tenant 11111111-2222-3333-4444-555555555555 at {environment}.")


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        (
            {"password": "canary-secret"},
            ["refused the client credentials (invalid_client)", "Check client id, client secret"],
        ),
        ({"login": "somebody"}, ["refused the client credentials (invalid_client)"]),
        ({"extra": {"scope": "everything"}}, ["(invalid_scope)", "scope"]),
        ({"extra": {"tenant_id": "00000000-0000-0000-0000-000000000001"}}, ["HTTP 403", "Check credentials and permissions"]),
        ({"extra": {"tenant_id": ""}}, ["tenant_id: Field required", "Admin > Connections"]),
        ({"extra": {"token_url": "identity"}}, ["token_url: ", "must be a URL"]),
        ({"extra": {"token_url": "http://127.0.0.1:1/connect/token"}}, ["could not be reached", "nothing was sent"]),
        ({"host": "http://127.0.0.1:1/fenergo"}, ["could not be reached", "Check host and network"]),
        ({"host": "http://no-such-host.invalid"}, ["could not be reached"]),
        ({"host": "not a url at all"}, ["not usable: base_url"]),
    ],
)
def test_a_wrong_connection_says_what_is_wrong(pressed, how, parts):
    ok, said = pressed(**how)
    assert not ok
    assert all(part in said for part in parts), said
    assert "canary" not in said


def test_a_base_url_that_leads_elsewhere_is_not_taken_for_fenergo(pressed, sandbox):
    """The sandbox's own 404 is JSON: only Fenergo's words for `not found` prove that Fenergo answers."""
    ok, said = pressed(host=f"{sandbox}/elsewhere")
    assert not ok
    assert "Check the base URL" in said


def test_a_token_url_that_leads_elsewhere_is_not_taken_for_credentials(pressed, sandbox):
    ok, said = pressed(extra={"token_url": f"{sandbox}/fenergo/nothing"})
    assert not ok
    assert "token URL" in said


@pytest.mark.parametrize("body", ["<html>Sign in</html>", '{"hello": 1}', "[]", '{"error": "There is nothing here"}'])
@pytest.mark.parametrize("status", [200, 404])
def test_a_page_that_is_not_fenergos_proves_nothing(pressed, fenergo, body, status):
    fenergo.fault("GET", "*/migration/*", "status", status=status, body=body)
    ok, said = pressed()
    assert not ok, said
    assert "Check the base URL" in said


@pytest.mark.parametrize("shape", ["404", "null"])
def test_fenergos_own_ways_of_knowing_nothing_prove_it(pressed, fenergo, shape):
    fenergo.switch(not_found=shape)
    assert pressed()[0]


# One token for many


def tokens(fenergo):
    return len(fenergo.requests("*/connect/token"))


NOBODY = Run("00000000-0000-0000-0000-000000000000")


def ping(api):
    yield from api.ping()


@pytest.fixture
def open_gate(fenergo, connect):
    """The sandbox's connection without our own rate limit."""
    connect("fenergo_default", extra={"requests_per_second": 0})
    return fenergo


async def _many(number):
    hooks = [await FenergoHook.aopen("fenergo_default") for _ in range(number)]
    await asyncio.gather(*(hook.acall(ping) for hook in hooks))


def test_two_hundred_waiting_runs_share_one_token(open_gate):
    asyncio.run(_many(200))
    assert tokens(open_gate) == 1
    assert len(open_gate.requests("*/migration/*")) == 200


def test_a_token_refused_by_the_vendor_is_replaced_once_for_all(open_gate):
    """The token is good for 150 calls: 50 callers are refused at about the same time."""
    open_gate.switch(token_calls=150)
    asyncio.run(_many(200))
    assert tokens(open_gate) == 2
    assert len([seen for seen in open_gate.requests("*/migration/*") if seen["status"] == 404]) == 200


def test_threads_of_an_upload_share_one_token(open_gate):
    hook = FenergoHook("fenergo_default")
    hook.call(ping)  # the client is made before the threads start, as the uploads do
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: hook.call(ping), range(64)))
    assert tokens(open_gate) == 1


def test_threads_that_come_first_share_one_client_too(open_gate):
    hook = FenergoHook("fenergo_default")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: hook.call(ping), range(64)))
    assert tokens(open_gate) == 1


@pytest.fixture
def aged(fenergo):
    """An authentication whose clock a test can move."""

    class Clock:
        now = 1000.0

    told = FenergoHook("fenergo_default").settings
    with httpx.Client(auth=FenergoAuth(told, clock=lambda: Clock.now), base_url=told.base_url, trust_env=False) as client:
        client.get("/datamigrationquery/api/migration/x")
        yield fenergo, client, Clock


@pytest.mark.parametrize(("later", "asked"), [(0, 1), (900 - EARLY - 1, 1), (900 - EARLY, 2), (900, 2), (10**6, 2)])
def test_a_token_is_replaced_before_it_expires(aged, later, asked):
    fenergo, client, clock = aged
    clock.now += later
    client.get("/datamigrationquery/api/migration/x")
    assert tokens(fenergo) == asked


def test_a_short_token_is_used_for_half_its_life_at_least(fenergo, aged):
    fenergo.switch(token_seconds=30)
    _, client, clock = aged
    clock.now += 1000
    client.get("/datamigrationquery/api/migration/x")
    clock.now += 14
    client.get("/datamigrationquery/api/migration/x")
    assert tokens(fenergo) == 2


@pytest.mark.parametrize("colour", ["worker", "triggerer"])
def test_a_vendor_that_refuses_every_token_is_asked_for_one_more_and_no_other(fenergo, colour):
    fenergo.fault("GET", "*/migration/*", "status", status=401, times=None)
    hook = FenergoHook("fenergo_default")
    with pytest.raises(BadCredentials, match="HTTP 401"):
        hook.call(ping) if colour == "worker" else asyncio.run(hook.acall(ping))
    assert tokens(fenergo) == 2
    assert len(fenergo.requests("*/migration/*")) == 2


@pytest.mark.parametrize("colour", ["worker", "triggerer"])
@pytest.mark.parametrize("action", ["drop_before", "drop_after", "garbage"])
def test_a_token_that_did_not_arrive_blocks_nobody(fenergo, colour, action):
    fenergo.fault("POST", "*/connect/token", action)
    hook = FenergoHook("fenergo_default")

    async def twice():
        with pytest.raises(VendorUnavailable):
            await hook.acall(ping)
        await hook.acall(ping)

    hook.call(ping) if colour == "worker" else asyncio.run(twice())
    assert tokens(fenergo) == 2


def test_a_token_endpoint_that_never_answers_is_given_up_after_the_read_timeout(fenergo, pressed):
    fenergo.fault("POST", "*/connect/token", "delay", seconds=30)
    ok, said = pressed({"read_timeout": 0.2})
    assert (ok, "ReadTimeout" in said) == (False, True)


def test_a_token_endpoint_says_how_long_to_stay_away(fenergo):
    fenergo.fault("POST", "*/connect/token", "status", status=429, headers={"Retry-After": "30"})
    with pytest.raises(VendorUnavailable) as caught:
        asyncio.run(FenergoHook("fenergo_default").acall(ping))
    assert caught.value.facts["retry_after"] == 30


def test_a_token_goes_only_where_it_belongs(fenergo):
    FenergoHook("fenergo_default").call(ping)
    (token,), (call,) = fenergo.requests("*/connect/token"), fenergo.requests("*/migration/*")
    assert "authorization" not in token["headers"]
    assert {"authorization", "x-tenant-id"} <= set(call["headers"])


@pytest.fixture
def everything_said(capfd, caplog):
    """Everything anybody logs, at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("fault", [None, {"action": "status", "status": 401}, {"action": "garbage"}, {"action": "drop_after"}])
def test_neither_token_nor_secret_is_ever_said(fenergo, everything_said, fault):
    if fault:
        fenergo.fault("GET", "*/migration/*", **fault, times=None)
    hook = FenergoHook("fenergo_default")
    try:
        hook.call(ping)
        trouble = ""
    except FerryError as error:
        trouble = f"{error!r} {error.to_json()} {error.__cause__!r} {error.__context__!r}"
    token = hook._line.client.auth._token
    assert len(token) > 40
    shown = trouble + everything_said() + repr(hook) + repr(hook._line.client.auth)
    assert token not in shown
    assert "ferry-demo-secret" not in shown
