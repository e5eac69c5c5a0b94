"""Where things are, and what is said when they are not there."""

import pytest

from ferry.core.errors import LedgerError
from ferry.core.model import Attempt
from ferry.steps import places


def test_the_ledger_is_where_its_connection_says(connect, tmp_path):
    path = tmp_path / "new" / "ledger.db"
    connect("ferry_ledger", conn_type="sqlite", host=str(path))
    assert places.ledger().batches() == []
    assert path.is_file()


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ({"conn_type": "sqlite", "host": "/var/ferry/ledger.db"}, "sqlite:////var/ferry/ledger.db"),
        (
            {"conn_type": "postgres", "host": "db", "login": "ferry", "password": "p@ss/word", "port": 5433, "schema": "own"},
            "postgresql+psycopg2://ferry:p%40ss%2Fword@db:5433/own",
        ),
        ({"conn_type": "postgres", "host": "db"}, "postgresql+psycopg2://db/ledger"),
    ],
)
def test_a_connection_becomes_a_url(told, url):
    from airflow.sdk import Connection

    assert places._ledger_url(Connection(conn_id="ferry_ledger", **told)) == url


def test_a_missing_ledger_connection_says_what_to_create(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_FERRY_LEDGER", raising=False)
    with pytest.raises(LedgerError, match=r"no usable connection 'ferry_ledger' .*create the connection \(type sqlite"):
        places.ledger()


def test_a_ledger_of_another_kind_is_refused(connect):
    connect("ferry_ledger", conn_type="mysql", host="db", password="canary")
    with pytest.raises(LedgerError, match="is of type 'mysql'; it must be sqlite or postgres") as caught:
        places.ledger()
    assert "canary" not in str(caught.value)


def test_a_ledger_that_cannot_be_reached_names_it_without_its_password(connect):
    connect("ferry_ledger", conn_type="postgres", host="127.0.0.1", port=1, login="ferry", password="canary")
    with pytest.raises(LedgerError, match=r"127\.0\.0\.1:1/ledger") as caught:
        places.ledger()
    assert "canary" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__ if caught.value.__cause__ else ''}"


def test_batches_and_evidence_lie_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("FERRY_BATCHES", str(tmp_path / "with space"))
    monkeypatch.setenv("FERRY_EVIDENCE", f"file://{tmp_path}/evidence")
    (tmp_path / "with space" / "six").mkdir(parents=True)
    assert [child.name for child in places.batches().iterdir()] == ["six"]
    filed = places.evidence().file_text(Attempt("six", "h:1", "b", 1), "reconcile", "a.txt", "x")
    assert filed.path == "six/h_1/b/1/reconcile/a.txt"
    assert (tmp_path / "evidence" / filed.path).read_text() == "x"


def test_by_default_they_lie_in_the_project(monkeypatch):
    for name in ("FERRY_BATCHES", "FERRY_EVIDENCE"):
        monkeypatch.delenv(name, raising=False)
    assert str(places.batches()).endswith("include/batches")
    assert str(places.evidence().root).endswith("var/evidence")
