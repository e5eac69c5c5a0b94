"""What rehearsals may do to the made-up OutSystems environments, and what they are told."""

import hashlib

import pytest
from tests.sandbox.dmm_client import RUNTIME, Environment, zipped

pytest_plugins = ["tests.sandbox.dmm_client"]

# The page of executions


def test_people_see_the_executions_of_an_environment(paced):
    content = zipped(Invoice=120)
    first = paced.target.started(content)
    paced.target.started(content)
    paced.source.exported()
    paced.advance(1.75)
    shown = paced.control.get("/dmm/executions", params={"environment": "target"}).json()
    assert [(one["id"], one["type"], one["status"], one["records"]) for one in shown] == [
        (str(first), "Import", "InProgress", 50),
        (str(first + 1), "Import", "Queued", 0),
    ]
    assert [bool(one["started"]) for one in shown] == [True, False]
    assert shown[0]["zip"] == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (export,) = paced.control.get("/dmm/executions", params={"environment": "source"}).json()
    assert (export["type"], export["zip"]) == ("Export", None)


def test_without_a_name_it_is_the_target(dmm):
    dmm.target.started(zipped(Invoice=1))
    assert len(dmm.control.get("/dmm/executions").json()) == 1
    assert dmm.control.get("/dmm/executions", params={"environment": "test"}).status_code == 400


def test_a_start_whose_answer_had_no_id_is_found_there(dmm):
    dmm.switch(start_id="missing_started")
    dmm.target.start(zipped(Invoice=1))
    (shown,) = dmm.control.get("/dmm/executions").json()
    assert (shown["id"], shown["status"]) == ("90401", "Complete")


def test_a_person_can_stop_an_execution(paced):
    key = paced.target.started(zipped(Invoice=120))
    paced.advance(1.75)
    assert paced.control.post(f"/dmm/executions/{key}/stop").json()["status"] == "InProgress"
    paced.advance(0.25)
    assert paced.target.word(key) == "InError"
    assert paced.target.message(key)["MessageText"].startswith("The execution was stopped by a person.")
    assert (paced.state()["stops"], paced.state()["executions"][0]["stopped_by"]) == (0, "a person")


def test_a_person_is_told_what_cannot_be_stopped(dmm):
    key = dmm.target.started(zipped(Invoice=1))
    ended, unknown = (dmm.control.post(f"/dmm/executions/{one}/stop") for one in (key, 1))
    assert (ended.status_code, ended.json()) == (409, {"error": f"The execution {key} has ended."})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "There is no such execution."})


# The state


def test_the_state_says_what_really_happened(dmm):
    first = dmm.state()
    assert first["environments"] == {
        "source": {"executions": 0, "under_way": 0, "records": 206},
        "target": {"executions": 0, "under_way": 0, "records": 3},
    }
    assert (first["executions"], first["inputs"], first["stops"]) == ([], [], 0)
    assert [one["Name"] for one in first["target"]["connections"]] == ["Runtime Connection", "reporting-db"]
    content = zipped(Invoice=2)
    for configuration in (RUNTIME, dict(reversed(RUNTIME.items())), RUNTIME | {"Note": "another"}):
        dmm.target.started(content, configuration)
    state = dmm.state()
    assert [one["starts"] for one in state["inputs"]] == [2, 1]
    assert state["environments"]["target"] == {"executions": 3, "under_way": 0, "records": 9}
    assert [(one["environment"], one["status"]) for one in state["executions"]] == [("target", "Complete")] * 3


def test_a_start_that_was_refused_is_no_start(dmm):
    dmm.target.start(zipped(Invoice=2), otp="wrong")
    assert dmm.state()["inputs"] == []


def test_a_reset_brings_the_first_day_back(dmm):
    first = dmm.state()
    otp = dmm.target.otp()
    dmm.target.connect("eu")
    dmm.target.started(zipped(Invoice=2))
    dmm.switch(id_type="string")
    dmm.control.post("/reset", params={"vendor": "dmm"}).raise_for_status()
    assert dmm.state() == first
    assert dmm.target.otp() != otp
    assert dmm.target.started(zipped(Invoice=2)) == 90401


def test_a_reset_in_the_middle_of_an_import_forgets_it(paced):
    key = paced.target.started(zipped(Invoice=120))
    paced.advance(1.75)
    assert paced.target.word(key) == "InProgress"
    paced.control.post("/reset", params={"vendor": "dmm"}).raise_for_status()
    paced.advance(60)
    assert (paced.target.word(key), paced.records("Invoice")) == ("NotFound", [])


def test_the_switches_are_described(dmm):
    told = {switch["name"]: switch for switch in dmm.control.get("/dmm/switches").json()}
    assert all(switch["description"] for switch in told.values())
    assert {"otp_seconds", "entity_errors", "word_after_stop", "log_zip"} <= set(told)
    assert told["queue_seconds"]["default"] == 1.0


# Scripts

ENDS = {
    "imported": ("succeeded", "Complete", (120, 120, 3, 3)),
    "exported": ("succeeded", "Complete", (206, 206, 6, 6)),
    "failed_midway": ("failed_dirty", "InError", (50, 120, 1, 3)),
    "failed_before": ("failed_clean", "InError", (0, 0, 0, 0)),
}


def test_every_script_is_tested(dmm):
    assert dmm.control.get("/dmm/scripts").json() == {name: ends for name, (ends, _, _) in ENDS.items()}


@pytest.mark.parametrize("script", ENDS)
def test_a_scripted_execution_ends_as_it_says(dmm, script):
    begun = dmm.control.post(f"/dmm/scripts/{script}").json()
    ends, word, counters = ENDS[script]
    environment = dmm.source if script == "exported" else dmm.target
    assert (begun["ends"], environment.word(begun["ref"]) in ("Queued", "InProgress")) == (ends, True)
    dmm.until(lambda: environment.word(begun["ref"]) not in ("Queued", "InProgress"), patience=2)
    assert (environment.word(begun["ref"]), environment.counters(begun["ref"])) == (word, counters)


def test_scripts_can_be_played_side_by_side_and_again(paced):
    refs = [paced.control.post(f"/dmm/scripts/{script}").json()["ref"] for script in (*ENDS, *ENDS)]
    assert len(set(refs)) == 8
    paced.advance(60)
    assert [one["status"] for one in paced.state()["executions"]] == [word for _, word, _ in ENDS.values()] * 2


def test_a_scripted_start_needs_no_password(dmm):
    otp = dmm.target.otp()
    dmm.control.post("/dmm/scripts/imported")
    assert dmm.target.otp() == otp
    assert isinstance(dmm.target, Environment)
