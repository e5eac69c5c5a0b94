"""What a migration lead reads when something is wrong: what happened, where, and what to do. The texts are held to the letter."""

import json
import os
import socket

import pytest

SECTION = "fenergo: {jurisdiction: Migration}\n"
FILES = "files:\n  - {path: company.csv, table: Company}\n"
GOOD = f"vendor: fenergo\ndue: 2026-01-01\n{SECTION}{FILES}"
CORRECT = " Correct the manifest and trigger again."
MANIFESTS = {
    "not YAML": (
        GOOD.replace("2026-01-01", "[2026-01-01"),
        "fenergo/b/manifest.yaml, line 3: not valid YAML: expected ',' or ']', but got ':'." + CORRECT,
    ),
    "a list": (
        "- vendor: fenergo\n",
        "fenergo/b/manifest.yaml: must be a mapping with vendor, due and files; it is list." + CORRECT,
    ),
    "a misspelt key": (
        GOOD.replace("files:", "file:"),
        "fenergo/b/manifest.yaml, line 4: file: no such key is known here." + CORRECT,
    ),
    "a misspelt key of the vendor": (
        GOOD.replace("{jurisdiction: Migration}", "\n  jurisdiction: Migration\n  alternate_id: ids.csv"),
        "fenergo/b/manifest.yaml, line 5: fenergo.alternate_id: no such key is known here." + CORRECT,
    ),
    "no due date": (GOOD.replace("due: 2026-01-01\n", ""), "fenergo/b/manifest.yaml: due: is missing." + CORRECT),
    "a date of another land": (
        GOOD.replace("2026-01-01", "17.03.2026"),
        "fenergo/b/manifest.yaml, line 2: due: must be a date such as 2026-11-01." + CORRECT,
    ),
    "another vendor": (
        GOOD.replace("vendor: fenergo", "vendor: domo"),
        "fenergo/b/manifest.yaml, line 1: vendor must be 'fenergo', the folder the batch lies in." + CORRECT,
    ),
    "a key twice": (
        GOOD.replace("due: 2026-01-01\n", "due: 2026-01-01\ndue: 2026-01-02\n"),
        "fenergo/b/manifest.yaml, line 3: not valid YAML: the key 'due' stands here twice." + CORRECT,
    ),
    "a file elsewhere": (
        GOOD.replace("path: company.csv", "path: ../other/company.csv"),
        "fenergo/b/manifest.yaml, line 5: files.0.path: must be a file name inside the batch's folder." + CORRECT,
    ),
    "no section of the vendor": (
        GOOD.replace(SECTION, ""),
        "fenergo/b/manifest.yaml: fenergo.jurisdiction: is missing." + CORRECT,
    ),
    "an unknown choice": (
        GOOD.replace("Migration}", "Migration, checks: lax}"),
        "fenergo/b/manifest.yaml, line 3: fenergo.checks: Input should be 'strict' or 'report'." + CORRECT,
    ),
    "a batch of another DAG": (
        GOOD.replace("due:", "dag: assign_fenergo_alternate_ids\ndue:"),
        "Batch b is for DAG assign_fenergo_alternate_ids, as its manifest says; trigger that one. Nothing was sent.",
    ),
    "a missing file": (
        GOOD + "  - {path: people.csv, table: Individual}\n",
        (
            "fenergo/b/manifest.yaml names people.csv, which is not in the batch's folder. "
            "Add the file or correct the name, then trigger again."
        ),
    ),
    "a connection that is not there": (
        GOOD.replace("due:", "connection: fenergo_uat\ndue:"),
        (
            "Airflow has no connection 'fenergo_uat', by which the vendor is to be reached. "
            "Create it under Admin > Connections, or correct its name in the batch's manifest and trigger again."
        ),
    ),
}


def ends_red(house, driver, task, batch_id="b"):
    """What the red task says, the same in each of its tries, and how many tries it took. The vendor started nothing."""
    run = driver.play("migrate_fenergo", batch_id=batch_id)
    assert (run.state, run.states[task]) == ("failed", "failed")
    said, *_ = run.errors[task]
    assert set(run.errors[task]) == {said}
    assert house.starts() == []
    return said, len(run.errors[task])


def connection(monkeypatch, extra=None, **told):
    known = json.loads(os.environ["AIRFLOW_CONN_FENERGO_DEFAULT"])
    known["extra"] |= extra or {}
    monkeypatch.setenv("AIRFLOW_CONN_FENERGO_DEFAULT", json.dumps(known | told))


@pytest.fixture
def silent_port():
    """A port that nothing listens on, and that nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(("text", "said"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_wrong_manifest(house, driver, text, said):
    (house.batch("b") / "manifest.yaml").write_text(text, "utf-8")
    assert ends_red(house, driver, "admit_batch") == (said, 1)
    assert house.control("GET", "/requests") == []


def test_a_manifest_that_is_not_utf_8(house, driver):
    (house.batch("b") / "manifest.yaml").write_bytes(b"vendor: fenergo\ntitle: M\xfcller\n")
    said, _ = ends_red(house, driver, "admit_batch")
    assert said == "fenergo/b/manifest.yaml is not UTF-8 (byte 24). Save it as UTF-8 and trigger again."


def test_an_unknown_batch(house, driver):
    house.batch("clients-good")
    said, tries = ends_red(house, driver, "admit_batch", "clients-godo")
    path = house.home / "batches/fenergo/clients-godo/manifest.yaml"
    assert said == f"There is no batch 'clients-godo' for fenergo: file://{path} does not exist. Known batches: clients-good."
    assert tries == 1


def test_no_batches_at_all(house, driver, monkeypatch):
    monkeypatch.setenv("FERRY_BATCHES", str(house.home / "elsewhere"))
    said, _ = ends_red(house, driver, "admit_batch")
    assert said.endswith("does not exist. No batch lies there: does FERRY_BATCHES lead to the right folder?")


def test_what_settles_a_run_without_an_attempt_points_to_the_task_that_says_why(house, driver):
    said, _ = ends_red(house, driver, "settle_batch")
    assert said == (
        "This DAG run has no attempt: admit_batch failed or was skipped. Its log says why; correct it and clear admit_batch."
    )


def test_a_batch_without_files(house, driver):
    (house.batch("b") / "manifest.yaml").write_text(GOOD.replace(FILES, ""), "utf-8")
    said, tries = ends_red(house, driver, "check_batch")
    folder = f"fenergo/{house.environment.replace(':', '_')}/b/1/check_batch"
    assert said == (
        f"check_batch: 1 error and 0 warnings (NO_FILES x 1 in the manifest). All findings are in {folder}/findings.csv. "
        "Nothing was sent for fenergo batch b, attempt 1. Correct the files and trigger the batch again."
    )
    assert tries == 1


def test_a_dead_vendor_is_tried_again_and_then_named(house, driver, monkeypatch, silent_port):
    dead = f"http://127.0.0.1:{silent_port}/fenergo"
    connection(monkeypatch, host=dead, extra={"token_url": f"{dead}/connect/token"})
    house.batch("b")
    said, tries = ends_red(house, driver, "open_run")
    assert said == (
        f"fenergo could not be reached at 127.0.0.1:{silent_port} for create migration (ConnectError: [Errno 111] Connection "
        "refused); nothing was sent. Check host and network of the connection; the step may be tried again."
    )
    assert tries == 5


def test_a_dead_token_endpoint_is_told_apart_from_a_dead_vendor(house, driver, monkeypatch, silent_port):
    connection(monkeypatch, extra={"token_url": f"http://127.0.0.1:{silent_port}/connect/token"})
    house.batch("b")
    said, _ = ends_red(house, driver, "open_run")
    assert said.startswith(f"fenergo could not be reached at 127.0.0.1:{silent_port} for create migration")


def test_a_wrong_password(house, driver, monkeypatch):
    connection(monkeypatch, password="not-the-one")
    house.batch("b")
    assert ends_red(house, driver, "open_run") == (
        (
            "Fenergo's token endpoint refused the client credentials (invalid_client). "
            "Check client id, client secret, scope and token URL of the connection."
        ),
        1,
    )


def test_a_wrong_tenant(house, driver, monkeypatch):
    connection(monkeypatch, extra={"tenant_id": "99999999-2222-3333-4444-555555555555"})
    house.batch("b")
    assert ends_red(house, driver, "open_run") == (
        (
            "fenergo answered create migration with HTTP 403: Access denied. Following permissions are required: "
            "DataMigrationAdministrator; the tenant id may be another client's. "
            "Check credentials and permissions of the connection."
        ),
        1,
    )


def test_a_base_url_that_leads_elsewhere(house, driver, monkeypatch):
    connection(monkeypatch, host=f"{house.sandbox}/elsewhere")
    house.batch("b")
    assert ends_red(house, driver, "open_run") == (
        "fenergo answered create migration with HTTP 405: Method Not Allowed. Check the connection's base URL.",
        1,
    )


def test_a_connection_with_a_field_missing(house, driver, monkeypatch):
    connection(monkeypatch, extra={"tenant_id": ""})
    house.batch("b")
    assert ends_red(house, driver, "admit_batch") == (
        "Connection 'fenergo_default' is not usable: tenant_id: Field required. Correct it under Admin > Connections.",
        1,
    )


LEDGERS = {
    "no connection": (
        None,
        (
            "Airflow has no usable connection 'ferry_ledger' (AirflowNotFoundException). Without the ledger nothing is sent: "
            "create the connection (type sqlite with the file as host, or postgres) and run the task again."
        ),
    ),
    "of another type": (
        {"conn_type": "mysql", "host": "db"},
        (
            "Connection 'ferry_ledger' is of type 'mysql'; it must be sqlite or postgres. Without the ledger nothing is sent: "
            "correct it under Admin > Connections and run the task again."
        ),
    ),
    "a dead database": (
        {"conn_type": "postgres", "host": "127.0.0.1", "port": 0, "login": "ferry", "password": "not-to-be-shown"},
        (
            'the ledger (postgresql 127.0.0.1:PORT/ledger) could not be prepared: connection to server at "127.0.0.1", port PORT '
            "failed: Connection refused. Nothing was sent. Check that the database is up and the connection ferry_ledger names "
            "it, then try again."
        ),
    ),
}


@pytest.mark.parametrize(("told", "said"), LEDGERS.values(), ids=LEDGERS)
def test_without_a_ledger_nothing_is_sent(house, driver, monkeypatch, silent_port, told, said):  # noqa: PLR0917
    if told is None:
        monkeypatch.delenv("AIRFLOW_CONN_FERRY_LEDGER")
    else:
        port = {"port": silent_port} if "port" in told else {}
        monkeypatch.setenv("AIRFLOW_CONN_FERRY_LEDGER", json.dumps(told | port))
    house.batch("b")
    assert ends_red(house, driver, "admit_batch") == (said.replace("PORT", str(silent_port)), 5)
    assert house.control("GET", "/requests") == []
