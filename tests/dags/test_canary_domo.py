"""Canaries for Domo: the token, names of datasources, and what an error quotes come up nowhere that anybody may read."""

import json
from pathlib import Path

import pytest
from tests.dags.instance import CUSTOMERS, LINES, MIGRATE, ORDERS, REVERSE, THREE, Instance
from tests.dags.test_canary import evidence, found, haystack

from ferry.ledger.entries import Verdict
from ferry.vendors.domo import sandbox_connections

TOKEN = "canary0developer0token0991"
NAMES = {"Orders live", "Order lines live", "Customers live"}
COORDINATES = {"canary0catalog992", "canary0schema993", "canary0table994"}
MINE = {"id": "canary-datasource-995", "catalog": "canary0catalog992", "schema": "canary0schema993", "table": "canary0table994"}

HOLD_COORDINATES = {"mapping.csv", "errors.csv", "findings.csv"}
"""What a person has to correct, and what was sent."""


@pytest.fixture
def planted(house, sandbox_url, monkeypatch):
    for name, told in sandbox_connections(sandbox_url).items():
        quick = told | {"password": TOKEN, "extra": told["extra"] | {"requests_per_second": 0, "visible_delay": 1}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(quick))
    mine = Instance(house)
    mine.switch(admin_token=TOKEN)
    house.control("POST", "/domo/records", json=MINE | {"name": "Canary live", "type": "mysql-federated"})
    return mine


def play_all(mine):
    """A batch through faults and its reversal, one that Domo aborts, one that is refused, and one whose token has expired."""
    mine.batch("good", datasources=[*THREE, MINE], reversal="auto")
    for method, path, action, rule in (
        ("GET", "*/types", "status", {"status": 503}),
        ("GET", "*/candidates/*", "status", {"status": 429}),
        ("POST", f"*/{ORDERS}/accounts/*", "drop_after", {}),
        ("POST", f"*/{LINES}/accounts/*", "status", {"status": 429}),
        ("POST", f"*/{CUSTOMERS}/reverse", "truncate", {"bytes": 9}),
    ):
        mine.fault(method, path, action, **rule)
    assert str(mine.house.play(MIGRATE, batch_id="good").state) == "success"
    assert str(mine.house.play(REVERSE, batch_id="good", datasources=[]).state) == "success"
    assert mine.last("good").verdict is Verdict.UNDONE
    assert mine.house.control("GET", "/domo/faults") == []  # every fault has struck

    mine.batch("aborted", datasources=[MINE])
    mine.switch(outcomes=f"{MINE['id']}:ABORTED*", error_message=f"token={TOKEN} was refused by the database")
    assert str(mine.house.play(MIGRATE, batch_id="aborted").state) == "failed"

    mine.batch("odd", datasources=[MINE | {"schema": "null"}, MINE])
    assert str(mine.house.play(MIGRATE, batch_id="odd").state) == "failed"
    body = json.dumps({"status": 401, "message": f"X-DOMO-Developer-Token: {TOKEN} has expired", "toe": "AAAA"})
    mine.fault("GET", "*", "status", status=401, body=body, times=None)
    mine.batch("red", datasources=THREE)
    assert str(mine.house.play(MIGRATE, batch_id="red").state) == "failed"


def test_no_canary_comes_up_anywhere(planted, capfd, caplog):
    play_all(planted)
    said = caplog.text + "".join(capfd.readouterr())
    assert "settle_batch" in said
    places, files = haystack(planted.house, said), evidence(planted.house)
    assert found(places | files, {TOKEN}) == {}
    assert found(places | files, NAMES | {"Canary live"}) == {}, "nobody needs the names of datasources"
    assert found(places, COORDINATES) == {}
    assert found({path: text for path, text in files.items() if Path(path).name not in HOLD_COORDINATES}, COORDINATES) == {}


def test_the_search_finds_what_is_there(planted):
    planted.batch("good", datasources=[MINE])
    assert str(planted.house.play(MIGRATE, batch_id="good").state) == "success"
    files = evidence(planted.house)
    assert {Path(path).name for path in found(files, COORDINATES)} == {"mapping.csv"}
    assert {Path(path).name for path in found(files, [MINE["id"]])} >= {"fates.csv", f"{MINE['id']}.json"}
