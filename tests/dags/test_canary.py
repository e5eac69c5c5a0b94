"""Canaries: secrets and cell values planted in a journey come up in nothing that anybody may read.

Three journeys of the real DAG (a good one through faults, a refused one, a red one) and then a search of everything they left.
"""

import json
import os
import re
import sqlite3
import traceback
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ferry.ledger.entries import Verdict
from ferry.vendors.fenergo import sandbox_connections
from ferry.vendors.fenergo.sandbox import access
from sandbox.s3 import Store

CLIENT_SECRET = "canary0client0secret0771"
NAME, STREET, BORN, CITY = "Canaryname Holdings 772", "773 Canary Street", "1907-03-19", "Żółwcanary"
BAD_DATE, BAD_WORD = "19.03.07", "Canarymister"
VALUES = (NAME, STREET, BORN, CITY, BAD_DATE, BAD_WORD)
COMPANY, PERSON, ADDRESS, LINK = "CANARY-C-774", "CANARY-P-775", "CANARY-A-776", "CANARY-R-777"
KEYS = (COMPANY, PERSON, ADDRESS, LINK)

# What evidence may hold: whole records where a person must see them, and bare keys where lists are reconciled.
HOLD_VALUES = {"errors.csv", "errors-for-people.csv", "findings.csv"}
HOLD_KEYS = {"records.csv", "rejected.csv", "missing.csv", "extra.csv", "duplicate.csv", "report.md"}


def may_hold_keys(name):
    return name in HOLD_VALUES | HOLD_KEYS or name.startswith("sent-")  # sent-<table>.csv: the keys of what was sent


def tables(born=BORN, title="Ms"):
    company = (
        f'"alternateId","legalEntityName","countryOfIncorporation","dateOfIncorporation"\n"{COMPANY}","{NAME}","PL","{born}"\n'
    )
    person = f'"alternateId","title","firstName","lastName","dateOfBirth"\n"{PERSON}","{title}","{CITY}","{NAME}","{born}"\n'
    address = f'"alternateId","parentAlternateId","line1","city"\n"{ADDRESS}","{COMPANY}","{STREET}","{CITY}"\n'
    ends = (
        f'"alternateId","sourceAlternateId","targetAlternateId","associationType"\n"{LINK}","{PERSON}","{COMPANY}","Director"\n'
    )
    return {
        "company.csv": ("Company", company),
        "individual.csv": ("Individual", person),
        "addresses.csv": ("Addresses", address),
        "associations.csv": ("Associations", ends),
    }


@pytest.fixture
def issued(monkeypatch):
    """Every token and every signature that the sandbox gives away; it runs in a thread of this process."""
    given, make_token, sign = set(), access._jwt_like, Store._signed

    def token(ends):
        given.add(made := make_token(ends))
        given.add(made.rpartition(".")[2])
        return made

    def signed(self, *args):
        url = sign(self, *args)
        query = parse_qs(urlsplit(url).query)
        given.update(query["X-Amz-Signature"] + query["X-Amz-Security-Token"])
        return url

    monkeypatch.setattr(access, "_jwt_like", token)
    monkeypatch.setattr(Store, "_signed", signed)
    return given


@pytest.fixture
def planted(house, issued, sandbox_url, monkeypatch):
    told = sandbox_connections(sandbox_url)["fenergo_default"] | {"password": CLIENT_SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_FENERGO_DEFAULT", json.dumps(told))
    house.switch(client_secret=CLIENT_SECRET)
    return house


def play_all(home):
    """A good journey with a fault at every kind of call, a refused one, and one that ends red in the middle."""
    home.batch("refused", tables(BAD_DATE, BAD_WORD), "jurisdiction: Migration, checks: report")
    assert str(home.play("migrate_fenergo", batch_id="refused").state) == "failed"
    assert home.last("refused").verdict is Verdict.REFUSED

    home.batch("early", tables(BAD_DATE, BAD_WORD))
    assert str(home.play("migrate_fenergo", batch_id="early").state) == "failed"

    home.batch("red", tables())
    home.fault("GET", "*/get-artifact-content", "status", status=400, body='{"message": "no"}', times=None)
    assert str(home.play("migrate_fenergo", batch_id="red").state) == "failed"
    home.control("DELETE", "/fenergo/faults")

    home.batch("good", tables())
    for method, path, action, rule in (
        ("POST", "*/connect/token", "status", {"status": 503}),
        ("GET", "*/migration/*", "status", {"status": 401}),
        ("PUT", "*/add-file", "drop_after", {}),
        ("PUT", "*/s3/*", "status", {"status": 403, "body": "<Error/>"}),
        ("PUT", "*/s3/*", "drop_after", {}),
        ("PUT", "*/start", "drop_after", {}),
        ("GET", "*/s3/*", "truncate", {"bytes": 5}),
        ("PUT", "*/migration-records-file-signed-url", "status", {"status": 429, "headers": {"Retry-After": "0"}}),
    ):
        home.fault(method, path, action, **rule)
    assert str(home.play("migrate_fenergo", batch_id="good").state) == "success"
    assert home.last("good").verdict is Verdict.BALANCED
    assert home.control("GET", "/fenergo/faults") == []  # every fault has struck


def database_texts(path):
    """Every value of every column of every table, as bytes."""
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 (names from the database itself)
                yield name, b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    connection.close()


def haystack(ferry, said):
    """Everything that was left behind, by where it lies, without the evidence."""
    home = Path(os.environ["AIRFLOW_HOME"])
    logs = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith("airflow.db")]
    places = {f"file {path.relative_to(home)}": path.read_bytes() for path in logs}
    for database in (home / "airflow.db", ferry.home / "ledger.db"):
        for number, (table, text) in enumerate(database_texts(database)):
            places[f"{database.name} {table} row {number}"] = text
    return places | {"stdout and stderr": said.encode()}


def evidence(ferry):
    return {str(path.relative_to(ferry.evidence)): path.read_bytes() for path in ferry.evidence.rglob("*") if path.is_file()}


def spellings(text):
    """The ways in which a value may be written down."""
    escaped = json.dumps(text)[1:-1]
    return {form.encode() for form in (text, escaped, escaped.replace("\\", "\\\\"), repr(text)[1:-1])}


def found(places, needles):
    wanted = re.compile(b"|".join(re.escape(form) for needle in sorted(needles) for form in sorted(spellings(needle))))
    return {where: wanted.search(text).group() for where, text in places.items() if wanted.search(text)}


def test_no_canary_comes_up_anywhere(planted, issued, capfd, caplog):
    play_all(planted)
    said = caplog.text + "".join(capfd.readouterr())
    assert "settle_batch" in said  # the search would find something
    places, files = haystack(planted, said), evidence(planted)
    secrets = issued | {CLIENT_SECRET}
    assert len(issued) > 10

    tables_seen = {where.split()[1] for where in places if where.startswith("airflow.db")}
    assert {"dag_run", "task_instance", "xcom", "rendered_task_instance_fields"} <= tables_seen
    assert any(where.startswith("ledger.db") for where in places)

    assert found(places | files, secrets) == {}
    assert found(places, VALUES + KEYS) == {}
    assert found({path: text for path, text in files.items() if Path(path).name not in HOLD_VALUES}, VALUES) == {}
    assert found({path: text for path, text in files.items() if not may_hold_keys(Path(path).name)}, KEYS) == {}


def test_the_search_finds_what_is_there(planted, issued):
    """The same search, where the canaries are meant to be: otherwise the test above would prove nothing."""
    planted.batch("refused", tables(BAD_DATE, BAD_WORD), "jurisdiction: Migration, checks: report")
    planted.play("migrate_fenergo", batch_id="refused")
    files = evidence(planted)
    assert {Path(path).name for path in found(files, [BAD_DATE])} >= {"errors.csv"}
    assert found(files, [COMPANY])
    inputs = {str(path): path.read_bytes() for path in (planted.home / "batches").rglob("*.csv")}
    assert len(found(inputs, VALUES)) >= 3


def test_an_exception_with_all_its_causes_is_silent_too(planted, issued):
    """What a worker would print of an error that nobody catches: the error, its causes and their contexts."""
    from ferry.core.errors import FerryError
    from ferry.core.model import Receipt, Run
    from ferry.vendors.fenergo.hook import FenergoHook

    planted.batch("good", tables())
    source = planted.home / "batches/fenergo/good/company.csv"
    hook = FenergoHook("fenergo_default")
    run = hook.call(lambda api: api.create("Migration"))
    planted.fault("PUT", "*/s3/*", "status", status=403, body="<Error/>", times=None)
    receipt = Receipt("Company", "company.csv", source.stat().st_size, "0")
    with pytest.raises(FerryError) as caught:
        hook.call(lambda api: api.upload(Run(run.ref), source, "company.csv", receipt))
    shown = "".join(traceback.format_exception(caught.value)) + json.dumps(caught.value.to_json())
    assert found({"traceback": shown.encode()}, issued | {CLIENT_SECRET} | set(VALUES)) == {}
