"""Journeys whose batches and evidence lie on S3: batches that Ferry itself makes, and canaries in the store's connection."""

import pytest
from tests.dags.environments import EXPORT, RUNTIME
from tests.dags.organisation import DISCOVER
from tests.dags.test_canary import found, haystack
from tests.s3 import KEY, SECRET, environment

from ferry.ledger.entries import Verdict

WHOLE = {"DBConnection": "Runtime Connection"}


@pytest.fixture
def stored(house, s3, monkeypatch):
    """A function that puts the house's batches into a bucket where the house then works, and says what lies there."""
    bucket = s3.bucket()
    environment(monkeypatch, s3.url, bucket)

    def keys(prefix=""):
        if (house.home / "batches").exists():
            s3.bring(house.home / "batches", bucket, "batches")
        return s3.keys(bucket, prefix)

    return keys


def test_an_export_becomes_a_batch_on_s3_that_is_then_imported_elsewhere(environments, driver, stored):
    wanted = {"batch_id": "customers-in", "connection": "dmm_default", "configuration": RUNTIME}
    environments.batch("out", type="Export", dag=EXPORT, connection="dmm_source", configuration=WHOLE, import_as=wanted)
    stored()
    run = environments.start(driver, "out", environment="source", dag=EXPORT)
    assert run.state == "success", run.messages
    assert stored("batches/dmm/customers-in") == [
        "batches/dmm/customers-in/data.zip",
        "batches/dmm/customers-in/manifest.yaml",
    ]
    assert environments.start(driver, "customers-in").state == "success"
    assert environments.last("customers-in").verdict is Verdict.BALANCED
    assert not environments.house.evidence.exists()


def test_a_migration_that_people_began_becomes_a_batch_on_s3(organisation, driver, stored):
    ref = organisation.begin()
    assert driver.play(DISCOVER).state == "success"
    assert [key for key in stored("batches/") if ref in key] == [f"batches/anon/{ref}/manifest.yaml"]
    assert organisation.last(ref).verdict is Verdict.BALANCED
    assert not organisation.folder(ref).exists()
    assert driver.play(DISCOVER).states["watch"] == "skipped"


def test_no_key_of_the_store_comes_up_anywhere(house, s3, stored, capfd, caplog):
    """A journey that goes well, and one whose store lets nobody in any more."""
    house.batch("good")
    house.batch("locked-out")
    stored()
    assert str(house.play("migrate_fenergo", batch_id="good").state) == "success"
    assert house.last("good").verdict is Verdict.BALANCED
    s3.ask_for_rights()
    try:
        assert str(house.play("migrate_fenergo", batch_id="locked-out").state) == "failed"
    finally:
        s3.let_all_in()
    said = caplog.text + "".join(capfd.readouterr())
    assert "does not let us" in said  # the search would find something
    places = haystack(house, said)
    assert {"xcom", "task_instance"} <= {where.split()[1] for where in places if where.startswith("airflow.db")}
    assert found(places, {KEY, SECRET, "AWS4-HMAC-SHA256"}) == {}
