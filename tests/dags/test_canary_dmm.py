"""Canaries for DMM: the key, one-time passwords, a database's password and records come up nowhere that anybody may read.

Airflow's own database is searched by `tests/real/test_dmm.py`, where people really type passwords in.
"""

import json
import logging
import os
from pathlib import Path

import pytest
from tests.dags.environments import EXPORT, MIGRATE, RUNTIME, START, STATUS, STOP, Environments
from tests.dags.test_canary import evidence, found, haystack

from ferry.ledger.entries import Verdict
from ferry.steps.people import NOT_STARTED
from ferry.vendors.dmm.operators import ONE_TIME_PASSWORD, START_IT, TRACKER_ID

KEY = "canary0rest0key0881"
DATABASE = "canary0database0882"
VALUES = {"canary0name0883", "canary0street0884"}
HOLD_VALUES = {"data.zip", "logs.zip", "errors.json", "errors.csv"}
"""What DMM itself gives, and what a person must read to correct it."""


@pytest.fixture
def planted(house, monkeypatch):
    """A target whose key is a canary, and whose vendor repeats every secret it gets."""
    told = json.loads(os.environ["AIRFLOW_CONN_DMM_DEFAULT"]) | {"password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_DMM_DEFAULT", json.dumps(told))
    database = {"conn_type": "mssql", "host": "db.example.test", "login": "dmm", "password": DATABASE, "extra": {}}
    monkeypatch.setenv("AIRFLOW_CONN_CANARY_DB", json.dumps(database))
    mine = Environments(house)
    mine.switch(target_key=KEY, echo_secrets=True, connectivity="failed_saved")
    return mine


def play_all(mine, driver):
    """A batch with everything, one with wrong passwords and careless answers, a lost start, a stop, and an export."""
    typed = []

    def give(run, batch_id, password=""):
        typed.append(password or mine.password())
        driver.answer(run, START_IT, {ONE_TIME_PASSWORD: typed[-1]}, batch_id=batch_id)
        return run

    connection = {"name": "eu-target", "type": "SQLServer", "credentials": "canary_db"}
    mine.batch("good", configuration=RUNTIME | {"DestinationDBConnection": "eu-target"}, create_connection=connection)
    mine.fault("GET", STATUS, "status", status=503)
    assert give(driver.play(MIGRATE, batch_id="good"), "good").state == "success"

    mine.batch("refused")
    run = driver.play(MIGRATE, batch_id="refused")
    for number, status in enumerate((200, 401, 500)):
        password = f"canary0otp088{number}"
        body = json.dumps(
            {"Success": False, "ErrorMessage": f"X-DMM-Token: {KEY}, OTP {password}", "Errors": [f"{KEY} {password}"]}
        )
        mine.fault("POST", START, "status", status=status, body=body)
        give(run, "refused", password)
        if status != 500:
            driver.clear(run, "start_run", batch_id="refused")
    driver.answer(run, NOT_STARTED, {TRACKER_ID: ""}, batch_id="refused")
    assert mine.last("refused").verdict is Verdict.ABANDONED

    mine.batch("stopped")
    mine.switch(chunk_seconds=100.0)
    run = driver.play(MIGRATE, batch_id="stopped")
    driver.clock.beside = lambda seconds: mine.house.control("POST", "/clock", json={"advance": seconds})
    typed.append(mine.password())
    driver.form = {ONE_TIME_PASSWORD: typed[-1]}
    before = {"await_run": lambda: driver.play(STOP, batch_id="stopped", reason="a canary sings")}
    driver.go_on(run, {"batch_id": "stopped"}, before, START_IT)
    assert mine.last("stopped").run_state == "cancelled"

    mine.batch("out", type="Export", dag=EXPORT, connection="dmm_source", configuration={"DBConnection": "Runtime Connection"})
    run = driver.play(EXPORT, batch_id="out")
    give(run, "out", mine.password("source"))
    assert run.state == "success", run.messages
    return set(typed)


def test_no_canary_comes_up_anywhere(planted, driver, capfd, caplog):
    caplog.set_level(logging.DEBUG, logger="httpx")
    caplog.set_level(logging.DEBUG, logger="httpcore")
    typed = play_all(planted, driver)
    played = "\n".join(f"{run.messages} {run.xcoms}" for run in driver.runs.values())
    said = caplog.text + "".join(capfd.readouterr()) + played + str(driver.asked)
    assert "StartExecution" in said
    places, files = haystack(planted.house, said), evidence(planted.house)
    secrets = {KEY, DATABASE} | typed
    assert len(secrets) > 7
    # The driver stands in for Airflow: what it was told to hold by the test is not what Ferry left behind.
    assert found(places | files, secrets) == {}


def test_what_records_hold_is_nowhere_but_in_the_files_that_dmm_gave(planted, driver, capfd, caplog):
    from tests.dags.environments import zipped

    name, street = sorted(VALUES)
    rows = "".join(f"{number},N'{name}',N'{street}'\r\n" for number in range(60))
    content = zipped({}, **{"Person_Struct.dmm": "Id\r\n", "Person_Data.csv": f"Id,Name,Street\r\n{rows}odd row\r\n"})
    planted.batch(content=content)
    planted.switch(entity_errors="Person:1")
    run = driver.play(MIGRATE, batch_id="b")
    planted.give(driver, run)
    assert run.state == "failed"
    said = caplog.text + "".join(capfd.readouterr()) + run.messages + str(driver.asked)
    places, files = haystack(planted.house, said), evidence(planted.house)
    assert found(places, VALUES) == {}
    assert found({path: text for path, text in files.items() if Path(path).name not in HOLD_VALUES}, VALUES) == {}


def test_the_search_finds_what_is_there(planted, driver):
    planted.batch("good")
    planted.give(driver, driver.play(MIGRATE, batch_id="good"), "good")
    assert found(evidence(planted.house), ["Customer"])
    assert found({"manifest": json.dumps(os.environ["AIRFLOW_CONN_DMM_DEFAULT"]).encode()}, [KEY])
