"""Canaries for MicroStrategy: passwords, tokens, cookies, names of objects and people come up nowhere that anybody may read."""

import json
from pathlib import Path

import pytest
from tests.dags.libraries import AUTO, MIGRATE, RULES, UNDO, Libraries
from tests.dags.test_canary import evidence, found, haystack

from ferry.ledger.entries import Verdict
from ferry.vendors.microstrategy import sandbox_connections
from ferry.vendors.microstrategy.sandbox import gateway

PASSWORD = "canary0library0password0881"
NAME, GROUP = "Canaryname Kennzahl 882", "Canary, Żółwski, Analysts 883"
KEY, KEY_TOO = "CA" * 15 + "84", "CA" * 15 + "85"
LIBRARY = "MicroStrategyLibrary/api"

HOLD_NAMES = {"package.json", "record.json", "findings.csv"}
"""The vendor's records as evidence, and what a person has to correct."""
HOLD_KEYS = HOLD_NAMES | {"missing.csv", "rejected.csv", "extra.csv", "duplicate.csv"}


@pytest.fixture
def issued(monkeypatch):
    """Every token and cookie that the sandbox gives away; it runs in a thread of this process."""
    given, session, set_cookie = set(), gateway.Session, gateway._set_cookie

    def begun(token, cookies, *rest):
        given.update([token, *cookies.values()])
        return session(token, cookies, *rest)

    def cookie(response, name, value, *rest):
        given.add(value)
        return set_cookie(response, name, value, *rest)

    monkeypatch.setattr(gateway, "Session", begun)
    monkeypatch.setattr(gateway, "_set_cookie", cookie)
    return given


@pytest.fixture
def planted(house, issued, sandbox_url, monkeypatch):
    for name, told in sandbox_connections(sandbox_url).items():
        quick = told | {"password": PASSWORD, "extra": told["extra"] | {"requests_per_second": 0}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(quick))
    mine = Libraries(house)
    mine.switch(administrator_password=PASSWORD, cookies="all")
    return mine


def play_all(mine):
    """A group through faults and its undo, a failed import that is undone, and one that is red in the middle."""
    objects = [{"id": KEY, "type": "metric", "action": "replace", "name": NAME}]
    people = [{"id": KEY_TOO, "type": "user group", "action": "replace", "name": GROUP}]
    packages = [
        {"type": "configuration", "rules": RULES, "objects": people},
        {"project": "Sales", "rules": RULES, "objects": objects},
    ]
    mine.batch("good", {"packages": packages, "certify": True} | AUTO)
    for method, path, action, rule in (
        ("POST", "*/auth/login", "status", {"status": 503}),
        ("GET", "*/migrationGroups/*", "status", {"status": 401, "body": '{"code": "ERR009", "message": "over"}'}),
        ("POST", f"*/{LIBRARY}/migrationGroups", "drop_after", {}),
        ("PATCH", f"*/{LIBRARY}/migrationGroups/*", "drop_after", {}),
        ("PUT", f"*/{LIBRARY}/migrationGroups/*", "drop_after", {}),
    ):
        mine.fault(method, path, action, **rule)
    assert str(mine.house.play(MIGRATE, batch_id="good").state) == "success"
    assert str(mine.house.play(UNDO, batch_id="good").state) == "success"
    assert mine.last("good").verdict is Verdict.UNDONE
    assert mine.house.control("GET", "/microstrategy/faults") == []  # every fault has struck

    mine.batch("failed", {"packages": packages[1:], "on_import_failed": "undo"} | AUTO)
    mine.switch(fail_import="*")
    assert str(mine.house.play(MIGRATE, batch_id="failed").state) == "failed"

    mine.batch("odd", {"packages": [packages[1] | {"objects": [objects[0] | {"id": "no id at all"}]}]} | AUTO)
    assert str(mine.house.play(MIGRATE, batch_id="odd").state) == "failed"
    mine.fault(
        "POST", "*/auth/login", "status", status=401, body=f'{{"code": "ERR003", "message": "{PASSWORD} is wrong"}}', times=None
    )
    mine.batch("red", {"packages": packages[1:]} | AUTO)
    assert str(mine.house.play(MIGRATE, batch_id="red").state) == "failed"


def test_no_canary_comes_up_anywhere(planted, issued, capfd, caplog):
    play_all(planted)
    said = caplog.text + "".join(capfd.readouterr())
    assert "settle_batch" in said
    places, files = haystack(planted.house, said), evidence(planted.house)
    assert len(issued) > 30

    assert found(places | files, issued | {PASSWORD}) == {}
    assert found(places, {NAME, GROUP, KEY, KEY_TOO}) == {}
    assert found({path: text for path, text in files.items() if Path(path).name not in HOLD_NAMES}, {NAME, GROUP}) == {}
    rest = {
        path: text for path, text in files.items() if Path(path).name not in HOLD_KEYS and not Path(path).name.startswith("sent-")
    }
    assert found(rest, {KEY, KEY_TOO}) == {}


def test_the_search_finds_what_is_there(planted):
    objects = [{"id": KEY, "type": "metric", "action": "replace", "name": NAME}]
    planted.batch("good", {"packages": [{"project": "Sales", "rules": RULES, "objects": objects}]} | AUTO)
    assert str(planted.house.play(MIGRATE, batch_id="good").state) == "success"
    files = evidence(planted.house)
    assert {Path(path).name for path in found(files, [NAME])} >= {"package.json", "record.json"}
    assert {Path(path).name for path in found(files, [KEY])} >= {"sent-1.csv", "package.json"}
    manifests = {str(path): path.read_bytes() for path in (planted.house.home / "batches").rglob("*.yaml")}
    assert found(manifests, [NAME])
