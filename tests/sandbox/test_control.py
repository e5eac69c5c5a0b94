import json
import socket
import subprocess
import sys

import httpx  # noqa: TID251  # the fake vendor is tested with a plain client, not with ours
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sandbox.app import discover, own_folder
from sandbox.server import running
from sandbox.switches import Switch
from sandbox.vendor import VendorSandbox


class Sixth(VendorSandbox):
    """A vendor that needed no edit anywhere."""

    name = "sixth"
    SWITCHES = (Switch("greeting", "hello", "what it says"),)

    def routes(self):
        async def greet(_request: Request) -> PlainTextResponse:
            return PlainTextResponse(self.switches.text("greeting"))

        return [Route("/greet", greet)]

    def state(self, query):
        return [json.dumps({"asked": dict(query)}).encode()]

    async def reset(self):
        self.folder.joinpath("life").touch()


def test_vendors_are_found_by_their_folders():
    assert discover()["fenergo"].name == "fenergo"


def test_another_vendor_gets_prefix_switches_state_and_log(tmp_path):
    with running(tmp_path, vendors={"sixth": Sixth}, switches={"sixth": {"greeting": "salut"}}) as base:
        assert httpx.get(f"{base}/sixth/greet").text == "salut"
        httpx.put(f"{base}/_sandbox/sixth/switches", json={"greeting": "ahoj"})
        assert httpx.get(f"{base}/sixth/greet").text == "ahoj"
        httpx.post(f"{base}/_sandbox/reset", params={"vendor": "sixth"})
        assert httpx.get(f"{base}/sixth/greet").text == "salut"
        assert httpx.get(f"{base}/_sandbox/sixth/state?a=1").json() == {"asked": {"a": "1"}}
        assert len(httpx.get(f"{base}/_sandbox/requests?vendor=sixth").json()) == 3
        assert (tmp_path / "sixth" / "life").exists()


def test_the_log_has_every_request_in_order_and_never_a_query_string(tenant, files):
    migration = tenant.run(files)
    tenant.query("/migration/unknown")
    entries = tenant.log()
    assert [entry["n"] for entry in entries] == list(range(1, len(entries) + 1))
    upload = next(entry for entry in entries if "/s3/" in entry["path"])
    assert (upload["method"], upload["status"]) == ("PUT", 200)
    assert upload["bytes"] == len(files["Company"].encode())
    assert "authorization" not in upload["headers"]
    assert "Signature" not in json.dumps(entries)
    assert entries[-1]["status"] == 404
    assert tenant.log(path="*/start", method="PUT")[0]["path"].endswith(f"{migration}/start")
    assert tenant.log(since=entries[-1]["n"]) == []


def test_switches_are_shown_with_default_and_meaning(tenant):
    tenant.switch(limit_rows=3)
    shown = {switch["name"]: switch for switch in tenant.http.get("/_sandbox/fenergo/switches").json()}
    assert shown["limit_rows"]["value"] == 3
    assert shown["limit_rows"]["default"] == 30000
    assert all(switch["description"] for switch in shown.values())


@pytest.mark.parametrize("body", [{"limit": 3}, {"limit_rows": "3"}, {"limit_rows": 1, "not_found": "500"}])
def test_unknown_switches_and_wrong_types_change_nothing(tenant, body):
    answer = tenant.http.put("/_sandbox/fenergo/switches", json=body)
    assert answer.status_code == 400
    assert "limit_rows" in answer.json()["error"] or "not_found" in answer.json()["error"]
    shown = {switch["name"]: switch["value"] for switch in tenant.http.get("/_sandbox/fenergo/switches").json()}
    assert shown["limit_rows"] == 30000


@pytest.mark.parametrize("body", [{}, {"speed": -1}, {"speed": True}, {"ahead": 1}, [1]])
def test_the_clock_refuses_what_it_does_not_understand(tenant, body):
    assert tenant.http.post("/_sandbox/clock", json=body).status_code == 400


def test_the_clock_runs_faster_stands_still_and_jumps(tenant):
    tenant.http.post("/_sandbox/clock", json={"speed": 0})
    before = tenant.http.get("/_sandbox/clock").json()["seconds"]
    after = tenant.http.post("/_sandbox/clock", json={"advance": 3600}).json()
    assert after["seconds"] - before == pytest.approx(3600)
    assert after["speed"] == 0


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "explode"},
        {"action": "status"},
        {"action": "status", "status": 42},
        {"action": "delay", "seconds": "1"},
        {"action": "drop_before", "times": 0},
        {"action": "truncate", "bytes": -1},
        {"action": "garbage", "status": 200},
    ],
)
def test_faults_that_make_no_sense_are_refused(tenant, rule):
    answer = tenant.http.post("/_sandbox/fenergo/faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_reset_forgets_everything(tenant, files):
    tenant.run(files)
    tenant.switch(limit_rows=1)
    tenant.fault(action="drop_before", times=None)
    tenant.http.post("/_sandbox/reset").raise_for_status()
    state = tenant.state()
    assert (state["migrations"], state["records"]) == ([], {})
    assert tenant.log() == []
    assert tenant.http.get("/_sandbox/fenergo/faults").json() == []
    assert tenant.query("/migration/x").status_code == 401


def test_reset_stops_work_that_is_going_on(tenant):
    header = '"alternateId","legalEntityName","countryOfIncorporation"\n'
    big = header + "".join(f'"C-{n}","A","PL"\n' for n in range(50_000))
    for _ in range(3):
        migration = tenant.create()
        tenant.upload(migration, {"Company": big})
        assert tenant.start(migration).status_code == 202
    tenant.http.post("/_sandbox/reset").raise_for_status()
    state = tenant.state()
    assert (state["migrations"], state["records"]) == ([], {})


def test_a_client_that_hangs_up_in_mid_upload_leaves_nothing_behind(tenant):
    link = tenant.link(tenant.create(), "Company")
    with socket.create_connection(tenant.base.removeprefix("http://").split(":")) as line:
        target = link.removeprefix(tenant.base)
        host = tenant.base.removeprefix("http://")
        line.sendall(f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\nonly this".encode())
    while not (entry := tenant.log(method="PUT", path="*/s3/*")) or entry[0]["bytes"] == 0:
        pass
    assert entry[0]["status"] is None
    assert tenant.state()["migrations"][0]["dataMigrationFilesDto"] == []


def test_a_folder_that_is_not_ours_is_never_emptied(tmp_path):
    (tmp_path / "fenergo").mkdir()
    precious = tmp_path / "fenergo" / "thesis.txt"
    precious.write_text("years of work")
    with pytest.raises(FileExistsError, match="--data"):
        own_folder(tmp_path, "fenergo")
    assert precious.exists()


def test_the_program_says_where_it_listens_and_takes_switches(tmp_path):
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen([*command, "--switch", "fenergo.limit_rows=7"], stdout=subprocess.PIPE, text=True) as program:
        try:
            line = program.stdout.readline()
            assert line.startswith("Sandbox listens on http://127.0.0.1:")
            shown = httpx.get(f"{line.split()[-1]}/_sandbox/fenergo/switches").json()
            assert {switch["name"]: switch["value"] for switch in shown}["limit_rows"] == 7
        finally:
            program.terminate()


@pytest.mark.parametrize("text", ["fenergo.nothing=1", "nobody.x=1", "fenergo", "fenergo.limit_rows=many"])
def test_the_program_refuses_switches_it_does_not_know(tmp_path, text):
    from sandbox.__main__ import main

    assert main(["--port", "0", "--data", str(tmp_path), "--switch", text]) == 2
