"""Canaries for Anon: the key, signatures of links, a notifier's arguments, and what files hold come up nowhere but in the files.

The key is repeated by a careless vendor, the notifier raises what it was given, and whoever is told says what is secret.
"""

import json
import logging
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.dags.organisation import CONNECTION, DISCOVER, FILES, LIST, STORAGE, TASKS, WATCH, Organisation, settle
from tests.dags.test_canary import evidence, found, haystack

from ferry.ledger.entries import Verdict
from ferry.vendors.anon.sandbox import files
from sandbox.s3 import Store

KEY = "anon_canary0key0991"
WEBHOOK = "canary0webhook0992"
PEOPLE, COMPANY = "Canaryname Person 993", "Canary Żółw Company 994"
VALUES = {PEOPLE, COMPANY}
CARELESS = json.dumps({"error": {"message": f"made-up: Authorization: Bearer {KEY} is not liked"}})


@pytest.fixture
def signed(monkeypatch):
    """Every signature that the storage gives away."""
    given, sign = set(), Store._signed

    def remembered(self, *args):
        url = sign(self, *args)
        query = parse_qs(urlsplit(url).query)
        given.update(query["X-Amz-Signature"] + query.get("X-Amz-Security-Token", []))
        return url

    monkeypatch.setattr(Store, "_signed", remembered)
    return given


@pytest.fixture
def planted(house, driver, signed, monkeypatch):
    """An organisation whose key is a canary, whose files hold canaries, and whose notifier has a secret."""
    told = json.loads(os.environ[CONNECTION]) | {"password": KEY}
    monkeypatch.setenv(CONNECTION, json.dumps(told))
    monkeypatch.setattr(files, "NAMES", (PEOPLE, COMPANY))
    mine = Organisation(house)
    mine.switch(api_key=KEY, story_scale=30.0)
    settle(monkeypatch, poll_seconds=10)
    driver.clock.beside = mine.advance
    return mine


def noisy(mine):
    """A fault at every kind of call, each of which repeats what it should not."""
    for path in (LIST, "*/migrations/good", FILES, TASKS):
        mine.fault(path, "status", status=503, body=CARELESS)
    mine.fault(STORAGE, "status", status=403, body="<Error/>")
    mine.fault(STORAGE, "truncate", bytes=5)


@pytest.fixture
def said(capfd, caplog):
    """What was said in logs and on the standard streams so far; httpx says whole links below the level that Airflow lets it."""
    caplog.set_level(logging.DEBUG, logger="httpcore")
    return lambda: caplog.text + "".join(capfd.readouterr())


def play_all(mine, driver, monkeypatch):
    """A good journey through faults, whose people are told; one whose notifier fails; red ones at every call."""
    mine.notify(monkeypatch, secret=WEBHOOK)
    mine.begin("stalls", id="good")
    mine.batch("good", migration="good")
    noisy(mine)
    assert driver.play(WATCH, batch_id="good").state == "success"
    assert mine.house.control("GET", "/anon/faults") == [], "every fault has struck"
    assert mine.told

    mine.notify(monkeypatch, "BrokenNotifier", secret=WEBHOOK)
    mine.begin("partly", id="untold")
    assert driver.play(DISCOVER).state == "success"
    assert mine.last("untold").verdict is Verdict.UNBALANCED
    assert "could not tell anybody" in str(mine.last("untold").entries)

    mine.notify(monkeypatch, unknown=WEBHOOK)
    calls = {"find_run": "*/migrations/red-{}", "collect_files": FILES, "collect_files ": STORAGE, "reconcile": TASKS}
    for number, (name, path) in enumerate(calls.items()):
        ref, task = f"red-{number}", name.strip()
        mine.begin(id=ref)
        mine.batch(ref, migration=ref)
        rule = {"path": path.format(number), "action": "status", "status": 400, "body": CARELESS, "times": None}
        run = driver.play(WATCH, batch_id=ref, before={task: lambda rule=rule: mine.fault(**rule)})
        assert run.states[task] == "failed", (task, path)
        mine.clear_weather()
    mine.fault(LIST, "status", status=401, body=CARELESS, times=None)
    assert driver.play(DISCOVER).state == "failed"
    mine.clear_weather()


def test_no_canary_comes_up_anywhere_but_in_the_files_that_were_collected(planted, driver, signed, said, monkeypatch):
    play_all(planted, driver, monkeypatch)
    played = "\n".join(f"{run.messages} {run.xcoms}" for run in driver.runs.values())
    told = said() + played + str(driver.asked)
    assert "migration good is watched" in told
    batches = {str(path): path.read_bytes() for path in (planted.house.home / "batches").rglob("*") if path.is_file()}
    places, kept = haystack(planted.house, told) | batches, evidence(planted.house)
    assert len(signed) >= 4
    assert found(places | kept, signed | {KEY, WEBHOOK}) == {}
    assert found(places, VALUES) == {}
    holding = set(found(kept, VALUES))
    assert holding
    assert all(Path(path).parent.name == "collect_files" and Path(path).name.startswith("0") for path in holding), holding


def test_what_triggers_store_in_the_clear_holds_nothing_secret(planted, driver, monkeypatch):
    """Airflow keeps a trigger's arguments in its database, where many may read."""
    from ferry.vendors.anon.sensors import AnonFindRunSensor
    from ferry.vendors.anon.triggers import AnonFindTrigger, AnonRunTrigger
    from ferry.vendors.anon.watching import AnonChangesTrigger

    settle(monkeypatch, notifier_arguments=json.dumps({"secret": WEBHOOK}))
    shared = {"connection": "anon_default"}
    triggers = [AnonFindTrigger(**shared), AnonChangesTrigger(**shared), AnonRunTrigger(attempt="a", **shared)]
    stored = json.dumps([one.serialize() for one in triggers]) + str(vars(AnonFindRunSensor(task_id="s")))
    assert "anon_default" in stored
    assert found({"triggers": stored.encode()}, {KEY, WEBHOOK}) == {}


def test_settings_and_objects_that_are_printed_show_nothing_secret(planted, monkeypatch):
    from ferry.vendors.anon.hook import AnonHook

    settle(monkeypatch, notifier_arguments=json.dumps({"secret": WEBHOOK}))
    planted.begin([[0, "COMPLETE"]], id="one")
    hook = AnonHook("anon_default")
    listed = hook.call(lambda api: api.files("one"))
    hook.close()
    shown = repr(hook.settings) + repr(listed) + str(listed)
    assert "EmployeeRoster" in shown
    assert found({"shown": shown.encode()}, {KEY, WEBHOOK, "X-Amz-Signature"}) == {}


def test_the_search_finds_what_is_there(planted, driver, signed):
    planted.begin(id="good")
    planted.batch("good", migration="good")
    assert driver.play(WATCH, batch_id="good").state == "success"
    assert found(evidence(planted.house), VALUES)
    assert found({"connection": os.environ[CONNECTION].encode()}, [KEY])
    assert signed
