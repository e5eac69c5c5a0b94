"""DMM's connection: its settings, and what the Test button says of good ones, bad ones and hosts that are no DMM.

The fixtures of all tests of DMM's wire stand here: the others name this module in `pytest_plugins`.
"""

import asyncio
import io
import json
import re
import ssl
import zipfile

import pytest
from airflow.sdk import Connection
from tests.loopback import answer, loopback
from tests.vendors.controls import Controls, plain

from ferry.core.api import ONE_TRY
from ferry.core.errors import BadInput
from ferry.core.exchange import drive
from ferry.vendors.dmm import CARD, FIELDS, sandbox_connections
from ferry.vendors.dmm.body import StartBody
from ferry.vendors.dmm.hook import DmmHook, DmmSettings
from ferry.vendors.dmm.vocabulary import BASE_PATH
from sandbox.server import running

COLOURS = pytest.mark.parametrize("colour", ["worker", "triggerer"])
SECRET, OTP = "canary-of-a-rest-key", "Canary/of+a-OTP"
JSON, HTML = "Content-Type: application/json", "Content-Type: text/html;charset=utf-8"
RUNTIME = {"DestinationDBConnection": "Runtime Connection", "DataAppendMode": True}
AT_ONCE = {"queue_seconds": 0.0, "chunk_seconds": 0.0}


class Environments(Controls):
    """The two environments on the sandbox and the ways to set them up."""

    vendor = "dmm"

    def __init__(self, base):
        super().__init__(base)
        self.http = plain.Client(base_url=f"{base}/_sandbox", timeout=30, verify=False)

    def control(self, method, path, **how):
        """As for every vendor, on a connection that stays open."""
        reply = self.http.request(method, path, **how)
        reply.raise_for_status()
        return reply.json()

    @property
    def state(self):
        return self.control("GET", "/dmm/state")

    def otp(self, environment="target"):
        """What the environment's Authentication Token page shows."""
        return self.control("GET", f"/dmm/otp?environment={environment}")["value"]

    def advance(self, seconds):
        self.control("POST", "/clock", json={"advance": seconds})


def connection(base, extra=(), **told):
    """The target's connection, without our rate limit, changed as a test likes."""
    good = sandbox_connections(base)["dmm_default"]
    return json.dumps(good | told | {"extra": good["extra"] | {"requests_per_second": 0} | dict(extra)})


@pytest.fixture(scope="session")
def dmm_base(tmp_path_factory):
    """Where the sandbox listens that plays both environments; what it is asked to do is done at once."""
    with running(tmp_path_factory.mktemp("sandbox"), switches={"dmm": AT_ONCE}) as found:
        yield found


@pytest.fixture(scope="session")
def environments(dmm_base):
    """The control endpoints of both."""
    found = Environments(dmm_base)
    with found.http:
        yield found


@pytest.fixture
def dmm(environments):
    """Both environments on their first day."""
    environments.control("POST", "/reset")
    return environments


@pytest.fixture
def hook_of(dmm_base, certificates, monkeypatch):
    """A hook on the target's connection, changed as a test likes; a host that is a path lies on the sandbox."""
    monkeypatch.setattr(ssl, "create_default_context", certificates)

    def opened(extra=(), **told):
        if told.get("host", "").startswith("/"):
            told["host"] = dmm_base + told["host"]
        monkeypatch.setenv("AIRFLOW_CONN_DMM_PLAYED", connection(dmm_base, extra, **told))
        return DmmHook("dmm_played")

    return opened


@pytest.fixture
def call(hook_of):
    """One verb in one try on the target's connection."""
    return lambda verb, colour="worker", **told: play(hook_of(**told), colour, verb)


@pytest.fixture
def zip_at(tmp_path):
    """A zip with so many customers."""

    def made(number=3, padding=b""):
        path, held = tmp_path / "data.zip", io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("Customer_Struct.dmm", b"<made up/>" + padding)
            rows = "".join(f"{n},N'Größe {n}',2031-02-03T04:05:06\n" for n in range(1, number + 1))
            archive.writestr("Customer_Data.csv", f"Id,Name,CreatedOn\n{rows}")
        path.write_bytes(held.getvalue())
        return path

    return made


@pytest.fixture
def import_one(dmm, call, zip_at):
    """An import that was started: its id."""
    return lambda number=3: call(lambda api: api.start(StartBody("Import", RUNTIME, zip_at(number)), dmm.otp())).ref


def play(hook, colour, verb):
    """One exchange in one try, in either colour."""

    async def awaiting():
        return await hook.acall(verb)

    return drive(hook._line, verb(hook.api(ONE_TRY))) if colour == "worker" else asyncio.run(awaiting())


# Settings


def settings(host="acme.outsystems.example", extra=(), password=SECRET):
    told = Connection(conn_id="d", conn_type="dmm", host=host, password=password, extra=json.dumps(dict(extra)))
    return DmmHook("d", told).settings


EMPTY = {"nothing is said": {}, "empty fields": dict.fromkeys(FIELDS, ""), "null fields": dict.fromkeys(FIELDS)}


@pytest.mark.parametrize("extra", EMPTY.values(), ids=EMPTY)
def test_what_the_form_leaves_empty_has_its_default(extra):
    found = settings(extra=extra)
    assert (found.base_path, found.max_zip_mb, found.start_timeout, found.read_timeout) == (BASE_PATH, 512, 900, 120)
    assert (found.max_live_runs, found.requests_per_second, found.ui_url, found.sandbox) == (1, 2, "", False)
    assert (found.counts_system_records, found.stop_on_kill) == (True, True)


def test_the_texts_of_a_form_are_understood():
    told = {
        "max_zip_mb": "0.5",
        "start_timeout": "60",
        "max_live_runs": "3",
        "stop_on_kill": "false",
        "base_path": "/DMM/rest/v2/",
    }
    found = settings(extra=told)
    assert (found.max_zip_mb, found.start_timeout, found.max_live_runs, found.stop_on_kill) == (0.5, 60, 3, False)
    assert found.base_path == "/DMM/rest/v2/"


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if "empty for" in field["description"]])
def test_the_form_tells_the_default_that_holds(name):
    told = re.search(r"empty for (\S+)\.$", FIELDS[name]["description"])[1]
    assert told == {True: "yes", False: "no"}.get(DmmSettings.model_fields[name].default) or told == (
        f"{DmmSettings.model_fields[name].default:g}" if told[0].isdigit() else DmmSettings.model_fields[name].default
    )


def test_every_field_of_the_form_is_a_setting_and_host_and_key_have_names_of_their_own():
    assert set(FIELDS) <= set(DmmSettings.model_fields)
    assert set(CARD.behaviour["relabeling"]) == {"host", "password"}
    assert {"login", "port", "schema"} <= set(CARD.behaviour["hidden-fields"])


HTTPS = "base_url: must be reached by https, or key and password would travel in the clear"
PATH = "base_path: must be a path such as /DMMAPI/rest/v1"
WRONG = {
    "http": ("http://acme.example", {}, HTTPS),
    "http, sandbox unticked": ("http://127.0.0.1:8765", {"sandbox": False}, HTTPS),
    "a user in the host": ("https://me:canary-2@acme.example", {}, "must not hold a user or a password"),
    "no host": ("", {}, "base_url: must be a URL"),
    "another scheme": ("ftp://acme.example", {}, "base_url: must be a URL"),
    "a port in words": ("acme.example:https", {}, "base_url: names a port that is none"),
    "a whole address as path": ("acme.example", {"base_path": "https://elsewhere.example/x"}, PATH),
    "a query in the path": ("acme.example", {"base_path": "/x?key=canary"}, PATH),
    "a fragment in the path": ("acme.example", {"base_path": "/x#y"}, PATH),
    "a way up in the path": ("acme.example", {"base_path": "/DMMAPI/../x"}, PATH),
    "a blank in the path": ("acme.example", {"base_path": "/DMM API"}, PATH),
    "backslashes": ("acme.example", {"base_path": "\\\\elsewhere.example\\x"}, PATH),
    "no zip at all": ("acme.example", {"max_zip_mb": 0}, "max_zip_mb: Input should be greater than 0"),
    "no time to start": ("acme.example", {"start_timeout": 0}, "start_timeout: Input should be greater than 0"),
    "no live execution": ("acme.example", {"max_live_runs": 0}, "max_live_runs: Input should be greater than or equal to 1"),
    "a negative rate": ("acme.example", {"requests_per_second": -1}, "requests_per_second: Input should be greater than"),
    "half a yes": ("acme.example", {"stop_on_kill": "perhaps"}, "stop_on_kill: Input should be a valid boolean"),
}


@pytest.mark.parametrize(("host", "extra", "part"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_told_with_its_reason_and_where_to_correct_it(host, extra, part):
    with pytest.raises(BadInput) as caught:
        settings(host, extra)
    assert caught.value.message.startswith("Connection 'd' is not usable: ")
    assert part in caught.value.message
    assert caught.value.message.endswith(" Correct it under Admin > Connections.")
    assert "canary" not in caught.value.message


ODD = "the REST API key holds a space, a line break or a character that no header takes"
KEYS = {
    "none": ("", "the REST API key is missing"),
    "blanks": (" \r\n", "the REST API key is missing"),
    "a space inside": ("canary of-a-key", ODD),
    "a line's end inside": ("canary\r\nX-Admin: 1", ODD),
    "a tab inside": ("canary\tof-a-key", ODD),
    "a letter that no header takes": ("canary-öf-a-key", ODD),
    "a mark that nobody sees": ("canary\u200bof-a-key", ODD),
    "an end of it all": ("canary\0of-a-key", ODD),
}


@pytest.mark.parametrize(("password", "part"), KEYS.values(), ids=KEYS)
def test_a_key_that_cannot_be_one_is_refused_and_not_said(password, part):
    with pytest.raises(BadInput) as caught:
        settings(password=password)
    assert caught.value.message.startswith(f"Connection 'd' is not usable: {part}")
    assert "canary" not in caught.value.message


# The Test button


@pytest.fixture
def pressed(dmm, hook_of):
    """Press Test on the sandbox's connection, changed as a person might have mistyped it."""
    return lambda extra=(), **told: hook_of(extra, **told).test_connection()


def test_a_good_connection_says_what_it_proved_and_starts_nothing(pressed, dmm):
    host = dmm.base.removeprefix("http://")
    assert pressed() == (True, f"DMM at {host} answers, and it knows this key.")
    (asked,) = dmm.requests()
    assert (asked["method"], asked["path"].rpartition("/")[2]) == ("GET", "GetExecutionStatus")
    assert dmm.state["executions"] == []


@pytest.mark.parametrize("password", ["ferry-demo-dmm-target\n", " ferry-demo-dmm-target \r\n"])
def test_a_key_that_was_copied_carelessly_works(pressed, password):
    assert pressed(password=password)[0]


@pytest.mark.parametrize("path", ["/DMM/rest/v2", "DMM/rest/v2/", "//DMM/rest/v2//"])
def test_a_path_of_its_own_is_a_setting(pressed, dmm, path):
    dmm.switch(base_path="/DMM/rest/v2")
    ok, told = pressed()
    assert not ok
    assert "HTTP 404: The requested method was not found. If it should be there, check the connection's base URL" in told
    assert pressed({"base_path": path})[0]


BAD_KEY = {
    "401": "HTTP 401: The REST API key is missing or not valid. Check credentials and permissions",
    "success_false": "with a no: The REST API key is missing or not valid. Check the connection's REST API key.",
    "html": "HTTP 401: Unauthorized. Check credentials and permissions",
}


@pytest.mark.parametrize("way", BAD_KEY)
@pytest.mark.parametrize("password", ["canary-2", "ferry-demo-dmm-source", "FERRY-DEMO-DMM-TARGET"])
def test_a_key_that_is_not_known_is_told_however_dmm_says_so(pressed, dmm, way, password):
    dmm.switch(bad_token=way)
    ok, told = pressed(password=password)
    assert not ok
    assert BAD_KEY[way] in told
    assert password not in told


ELSEWHERE = {
    "a page": (answer(200, b"<html>Sign in</html>", HTML), "not JSON (text/html;charset=utf-8, 20 bytes)"),
    "no page": (answer(404, b"<html>Not found</html>", HTML), "HTTP 404"),
    "another API's 404": (answer(404, b'{"error": "no"}', JSON), "HTTP 404"),
    "a 405": (answer(405, b"", HTML), "HTTP 405"),
    "another API's object": (answer(200, b'{"hello": "world"}', JSON), "has no `Status`, which is outside its contract"),
    "another API's health": (answer(200, b'{"status": "ok"}', JSON), "has no `Status`"),
    "another API's list": (answer(200, b"[]", JSON), "is not a JSON object"),
    "null": (answer(200, b"null", JSON), "is not a JSON object"),
    "a login page": (answer(302, b"", "Location: https://sso.example/login?ticket=canary-3"), "HTTP 302"),
    "nothing": (answer(204), "not JSON"),
    "an internal network": (answer(403, b'{"Errors": ["Internal only"], "StatusCode": 403}', JSON), "HTTP 403: Internal only"),
    "a bad gateway": (answer(502, b"<html>Bad Gateway</html>", HTML), "HTTP 502"),
    "a limit": (answer(429, b"", "Retry-After: 60"), "HTTP 429"),
}


@pytest.mark.parametrize(("elsewhere", "part"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_host_that_is_no_dmm_is_not_taken_for_one(pressed, elsewhere, part):
    with loopback() as server:
        ok, told = pressed(host=server.will(elsewhere).url)
    assert not ok
    assert part in told
    assert "canary" not in told
    assert len(server.asked) == 1


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_host_that_cannot_be_reached_is_told_by_name(pressed, host):
    ok, told = pressed(host=host)
    assert not ok
    assert f"could not be reached at {host.removeprefix('http://')}" in told
