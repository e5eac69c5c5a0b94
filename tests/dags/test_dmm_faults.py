"""The fault table: every call to DMM, every way it can go wrong, and what must become of the batch.

One password starts at most one execution, and what nobody can know is never sent again: a person says what they found. What
recovers by itself does; what does not is red with a sentence that helps, and goes on when the fault is gone and the red task is
cleared. No sentence, no entry and no file holds the key or a one-time password.
"""

import json
import os
import re

import pytest
from environments import EXPORT, MIGRATE, OUTPUTS, RUNTIME, START, STATUS, STOP, STOPPING, zipped
from weather import ACTIONS, ENDS, Call, Chapter, Words

from ferry.ledger.entries import Kind, Verdict
from ferry.steps.people import NOT_STARTED, STARTED
from ferry.vendors.dmm.operators import NOT_FOUND, ONE_TIME_PASSWORD, START_IT, TRACKER_ID
from ferry.vendors.dmm.stopping import settle_batch

KEYS = ["ferry-demo-dmm-target", "ferry-demo-dmm-source", "made-up-secret"]
CREATE = "*/CreateConnection"
REGISTERED = {"name": "eu-target", "type": "SQLServer", "credentials": "eu_db"}
INTO_IT = {"DestinationDBConnection": "eu-target", "DataAppendMode": True}
WHOLE = {"DBConnection": "Runtime Connection"}

ECHO = "made-up: refused, key=ferry-demo-dmm-target, password PASSWORD"
"""What a careless vendor says; the word PASSWORD becomes the one it was sent."""
NO_ID = '{"Success": true, "ErrorMessage": ""}'
ODD_ID = '{"MainExecutionTrackerId": 90499, "Success": false, "ErrorMessage": "made-up"}'


def answering(status, body=""):
    return {"action": "status", "status": status, "body": body}


def platforms(status):
    """An error of the OutSystems platform itself, which is proof that nothing was done."""
    return answering(status, json.dumps({"Errors": [ECHO], "StatusCode": status}))


WEATHER = (
    ACTIONS
    | {str(status): answering(status) for status in (302, 400, 404, 408, 409, 413, 502)}
    | {f"{status} of the platform": platforms(status) for status in (400, 401, 409)}
    | {
        "a no": answering(200, json.dumps({"Success": False, "ErrorMessage": ECHO.replace("password", "OTP")})),
        "another no": answering(200, json.dumps({"Success": False, "ErrorMessage": "made-up: not activated"})),
        "no id": answering(200, NO_ID),
        "an id and a no": answering(200, ODD_ID),
        "nothing in it": answering(200, "{}"),
        "not yet": answering(200, '{"Status": "InProgress", "Result": "OK", "Success": true, "ErrorMessage": ""}'),
        "never heard of it": answering(200, '{"Status": "NotFound", "Result": "OK", "Success": true, "ErrorMessage": ""}'),
    }
)
# What a red task says:
SAYS = {
    "password": r"Nothing was started.*one-time password is used up\. Read a new one.*clear start_run: it asks for it\.",
    "who": r"HTTP 40[13]: .*Check credentials and permissions of the connection",
    "where": r"HTTP 404: .*check the connection's base URL\.$",
    "no": r"(HTTP 4(00|09|13|29)|with a no): .*Correct what it names, then clear the task\.$",
    "away": r"(gave no whole answer|HTTP 429).*may be tried again\.$",
    "late": r"did not end within .* clear await_run to wait on\. Nothing is started again\.$",
    "odd": r"not JSON.*Check that the connection's base URL leads to the vendor",
    "cut": r"(is not JSON|outside (the|its) contract).*(Nothing|clear fetch_outputs)",
    "unknown": r"(outside its contract\. Nothing is guessed\.$|gives no outputs of execution \d+.*then clear)",
}
NOT_THERE = ["before", "garbage", "302", "400", "408", "409", "500", "502", "503", "no id", "an id and a no"]
"""A start that never arrives, of which nobody can know."""
THERE = ["after", "cut", "delay"]
"""A start that arrives, or may do so late, without Ferry hearing of it."""
NO_START = {
    "400 of the platform": "no",
    "401": "password",
    "401 of the platform": "password",
    "403": "password",
    "404": "where",
    "409 of the platform": "no",
    "413": "no",
    "429+": "no",
    "a no": "password",
    "another no": "no",
}
"""Certain noes, and what the red task says: nothing was started."""
PASSING = ["before", "after", "delay", "cut", "408", "429+", "500", "502", "503"]
"""What a call that may be repeated gets over by itself."""
LOOKS = {
    "status": Call(MIGRATE, "await_run", "GET", STATUS, "wait for the end of the execution", "status"),
    "outputs": Call(MIGRATE, "fetch_outputs", "GET", OUTPUTS, "fetch what an import came to", "outputs"),
    "outputs of an export": Call(EXPORT, "fetch_outputs", "GET", OUTPUTS, "fetch what was exported", "outputs"),
    "stop": Call(STOP, "stop_run", "POST", STOPPING, "stop the execution", "stop"),
    "outputs after a stop": Call(STOP, "settle_batch", "GET", OUTPUTS, "fetch what a stopped import came to", "outputs"),
}
"""Calls that may be repeated, by the DAG that makes them."""
CALLS = {
    "start": Call(MIGRATE, "start_run", "POST", START, "start the execution, with its one-time password", "start"),
    "register": Call(MIGRATE, "create_connection", "POST", CREATE, "register a connection first", "create_connection"),
    **LOOKS,
    "stop at the deadline": Call("deadline", "await_run", "POST", STOPPING, "stop the execution at the deadline", "stop"),
}
NOES_OF_A_WATCH = ["404", "garbage", "400", "401", "403"]
"""What a watch bears with for ten minutes."""
GOT_OVER = dict.fromkeys(LOOKS, PASSING) | {
    "status": [*NOES_OF_A_WATCH, *PASSING],
    "stop": PASSING[1:5],  # it is tried five times
}
NOES = {
    "before": "away",
    "400": "no",
    "401": "who",
    "403": "who",
    "404": "where",
    "409": "no",
    "413": "no",
    "429": "away",
    "garbage": "odd",
    "nothing in it": "unknown",
}
LASTING = dict.fromkeys(LOOKS, NOES | {"garbage": "cut", "not yet": "unknown", "never heard of it": "unknown"}) | {
    "status": NOES | {"before": "late", "429": "late"},
    "stop": {name: says for name, says in NOES.items() if name != "nothing in it"},  # DMM did not say no
}
"""What lasts, and what the red task says then."""
PERHAPS_REGISTERED = ["before", "garbage", "400", "500", "delay", "cut", "after"]
NOT_REGISTERED = {
    "400 of the platform": "no",
    "401": "who",
    "403": "who",
    "404": "where",
    "409 of the platform": "no",
    "413": "no",
    "429+": "away",
    "another no": "no",
}
PASSES_AT_THE_DEADLINE, LASTS_AT_THE_DEADLINE = ["before", "after", "503"], ["before", "401"]

# For docs/faults.md
STOPPED = "stopped, and what arrived is counted"
OF_THE_PLATFORM = "with the error of the OutSystems platform itself, which proves that nothing was done"
CHAPTER = Chapter(
    "dmm",
    CALLS,
    {name: dict.fromkeys(passing, "ok") for name, passing in GOT_OVER.items()}
    | {"stop at the deadline": dict.fromkeys(PASSES_AT_THE_DEADLINE, "ok")},
    {"start": dict.fromkeys([*NOT_THERE, *THERE], "asks") | NO_START}
    | {"register": dict.fromkeys(PERHAPS_REGISTERED, "perhaps") | NOT_REGISTERED}
    | LASTING
    | {"stop at the deadline": dict.fromkeys(LASTS_AT_THE_DEADLINE, "late")},
    good={MIGRATE: "balances", EXPORT: "balances", STOP: STOPPED, "deadline": STOPPED},
    ends=ENDS
    | {
        "password": Words(
            "red: new password", "nothing was started; the one-time password is used up, and the cleared task asks anew"
        ),
        "where": Words("red: wrong address", "the message has the 404, and says to check the base URL of the connection"),
        "no": Words("red: refused", "the message says to correct what the answer names, and then to clear the task"),
        "cut": Words(
            "red: unusable outputs", "the outputs are not JSON or outside their contract; the message says how to go on"
        ),
        "unknown": Words(
            "red: outside the contract", "nothing is guessed: the message says what is missing, or to look at DMM's pages"
        ),
        "perhaps": Words(
            "red: perhaps registered",
            "it is not asked for again, nor by clearing the task. The message says to look at the connections in DMM's pages",
        ),
    },
    faults={
        "400 of the platform": Words("400 of the platform", f"HTTP 400 {OF_THE_PLATFORM}"),
        "401 of the platform": Words("401 of the platform", f"HTTP 401 {OF_THE_PLATFORM}"),
        "409 of the platform": Words("409 of the platform", f"HTTP 409 {OF_THE_PLATFORM}"),
        "a no": Words("a no", "HTTP 200 that says `Success: false`, and repeats the key and the password"),
        "another no": Words("another no", "HTTP 200 that says `Success: false`, for another reason"),
        "no id": Words("no id", "HTTP 200 that says `Success: true`, and no execution's id"),
        "an id and a no": Words("an id and a no", "HTTP 200 that says `Success: false` and names an execution"),
        "nothing in it": Words("nothing in it", "HTTP 200 with an empty JSON object"),
        "not yet": Words("not yet", "HTTP 200 that says of an execution which has ended that it is in progress"),
        "never heard of it": Words("never heard of it", "HTTP 200 that says that there is no such execution"),
    },
)


def settle(monkeypatch, **extra):
    for which in ("DEFAULT", "SOURCE"):
        told = json.loads(os.environ[f"AIRFLOW_CONN_DMM_{which}"])
        told["extra"] |= extra
        monkeypatch.setenv(f"AIRFLOW_CONN_DMM_{which}", json.dumps(told))


@pytest.fixture
def environments(environments, driver, monkeypatch, capfd):
    """The environments; in the end nothing secret is found in a log, a question, the ledger or the evidence."""
    settle(monkeypatch, start_timeout=10, read_timeout=10)  # a slow machine is no fault of DMM's
    monkeypatch.setenv("AIRFLOW_CONN_EU_DB", "mssql://dmm:made-up-secret@db.example.test:1433/OSDB")
    yield environments
    environments.house.late_requests_are_done()
    home = environments.house.home
    kept = [path.read_bytes() for place in ("ledger.db*", "evidence/**/*") for path in home.glob(place) if path.is_file()]
    told = [str(driver.asked), *(f"{run.messages} {run.xcoms}" for run in driver.runs.values()), *capfd.readouterr()]
    for secret in [*KEYS, *environments.passwords]:
        assert not any(secret in text for text in told), "a secret was told"
        assert not any(secret.encode() in content for content in kept), "a secret was kept"


@pytest.fixture
def impatient(environments, monkeypatch):
    """Connections whose patience ends before a delayed answer comes."""
    settle(monkeypatch, start_timeout=0.4, read_timeout=0.4)


def faulty(environments, path, name, *, method="POST", times=None):
    rule = dict(WEATHER[name])
    if "PASSWORD" in rule.get("body", ""):
        rule["body"] = rule["body"].replace("PASSWORD", "made-up-secret" if path == CREATE else environments.password())
    environments.fault(method, path, **rule, times=times)


def clear_weather(environments):
    environments.house.late_requests_are_done()
    environments.house.control("DELETE", "/dmm/faults")


def give(environments, driver, run, **how):
    """A person types a password in, and answers nothing else: the driver would give that answer to the next question too."""
    environments.give(driver, run, **how)
    said = run.errors.get("confirm_start", [])
    said[:] = [text for text in said if START_IT not in text]
    return run


def lose(environments, driver, name="before", **section):
    """A start of which nobody knows what became; the DAG run waits for a person."""
    environments.batch(**section)
    faulty(environments, START, name)
    run = asked_about(environments, driver)
    clear_weather(environments)
    return run


def assert_asks(environments, driver, run, starts=1):
    assert (run.state, run.states["confirm_start"], run.messages) == ("running", "awaiting_input", ""), run.messages
    asked = driver.asked[-1]
    assert asked.options == [STARTED, NOT_STARTED, NOT_FOUND]
    assert "It is not sent again" in asked.body
    assert re.search(r"What happened \| [^|]{20,} \|", asked.body), "what went wrong is in the question"
    assert "looked up" not in asked.body, "there is nothing in which it could be looked up"
    assert environments.starts() == starts, "what may have been heard is not sent again"


def arrives(environments, run, batch_id="b"):
    assert (run.state, environments.last(batch_id).verdict) == ("success", Verdict.BALANCED), run.messages
    environments.holds(batch_id)


# The start


def test_a_start_of_which_nobody_can_know_is_asked_about_and_never_sent_again(environments, driver):
    for number, name in enumerate(NOT_THERE, 1):
        batch_id = f"b-{number}"
        environments.batch(batch_id)
        faulty(environments, START, name)
        run = asked_about(environments, driver, batch_id, starts=number)
        assert environments.executions() == [], name
        clear_weather(environments)
        driver.answer(run, NOT_STARTED, batch_id=batch_id)
        last = environments.last(batch_id)
        assert (run.state, last.verdict, environments.starts()) == ("failed", Verdict.ABANDONED, number), name
    again = environments.start(driver, batch_id)
    arrives(environments, again, batch_id)
    assert environments.last(batch_id).attempt.number == 2
    assert (environments.starts(), len(environments.executions())) == (len(NOT_THERE) + 1, 1)


@pytest.mark.parametrize("name", THERE)
def test_a_start_that_arrived_unheard_is_adopted_by_the_id_that_a_person_finds(environments, driver, name, request):
    if name == "delay":
        request.getfixturevalue("impatient")
    run = lose(environments, driver, name)
    say_what_is_there(environments, driver, run)


def test_a_certain_no_is_red_and_the_cleared_task_asks_for_another_password(environments, driver):
    environments.batch()
    run = driver.play(MIGRATE, batch_id="b")
    for number, (name, says) in enumerate(NO_START.items(), 1):
        faulty(environments, START, name)
        give(environments, driver, run)
        answer = [entry for entry in environments.last().entries if entry.step == "start_run" and entry.kind is Kind.RESULT][-1]
        assert re.search(SAYS[says], answer.note), (name, answer.note)
        assert environments.starts() == number, "a password is sent once"
        assert (environments.executions(), environments.last().is_open) == ([], True), name
        assert (run.states["start_run"], run.errors["start_run"]) == ("failed", [answer.note]), name
        driver.clear(run, "start_run", batch_id="b")
        assert run.states["start_run"] == "awaiting_input", name
        clear_weather(environments)
    give(environments, driver, run)
    arrives(environments, run)
    assert (environments.last().attempt.number, len(environments.executions())) == (1, 1)


def asked_about(environments, driver, batch_id="b", starts=1):
    run = give(environments, driver, driver.play(MIGRATE, batch_id=batch_id), batch_id=batch_id)
    assert_asks(environments, driver, run, starts)
    return run


def say_what_is_there(environments, driver, run):
    """A person looks at DMM's pages and answers what they see; if nothing runs, the batch is triggered again."""
    there = environments.executions()
    if there:
        driver.answer(run, STARTED, {TRACKER_ID: there[0]["id"]}, batch_id="b")
        arrives(environments, run)
        assert environments.starts() == 1
        return
    driver.answer(run, NOT_STARTED, batch_id="b")
    assert (run.state, environments.last().verdict) == ("failed", Verdict.ABANDONED)
    again = environments.start(driver)
    arrives(environments, again)
    assert (environments.last().attempt.number, environments.starts(), len(environments.executions())) == (2, 2, 1)


@pytest.mark.parametrize("name", ["after", "500"])
def test_an_export_that_was_perhaps_started_is_asked_about_as_well(environments, driver, name):
    environments.batch(type="Export", dag=EXPORT, connection="dmm_source", configuration=WHOLE)
    run = driver.play(EXPORT, batch_id="b")
    faulty(environments, START, name)
    give(environments, driver, run, environment="source")
    assert_asks(environments, driver, run)
    clear_weather(environments)
    there = environments.executions("source")
    if there:
        driver.answer(run, STARTED, {TRACKER_ID: there[0]["id"]}, batch_id="b")
    else:
        driver.answer(run, NOT_STARTED, batch_id="b")
        run = environments.start(driver, environment="source", dag=EXPORT)
    arrives(environments, run)
    assert len(environments.executions("source")) == 1


def test_an_execution_that_runs_without_having_told_its_id_is_adopted_by_the_id_in_dmms_pages(environments, driver):
    environments.switch(start_id="missing_started")
    environments.batch()
    run = give(environments, driver, driver.play(MIGRATE, batch_id="b"))
    assert_asks(environments, driver, run)
    say_what_is_there(environments, driver, run)


# What a person says of a start whose answer was lost


def test_it_was_started_and_here_is_its_id(environments, driver):
    run = lose(environments, driver, "after")
    (there,) = environments.executions()
    driver.answer(run, STARTED, {TRACKER_ID: f" {there['id']} "}, batch_id="b")
    arrives(environments, run)
    (adopted,) = [entry for entry in environments.last().entries if entry.kind is Kind.ADOPTED]
    assert (adopted.ref, adopted.note) == (there["id"], f"Petra says that it was started, as execution {there['id']}.")


def test_it_was_not_started_and_a_no_stays_a_no(environments, driver):
    run = lose(environments, driver)
    driver.answer(run, NOT_STARTED, batch_id="b")
    assert run.errors["confirm_start"] == [
        "Petra says that the execution was not started. The attempt is closed; trigger the batch again for a new one."
    ]
    for first in ("confirm_start", "start_run"):
        driver.clear(run, first, batch_id="b")
        assert (run.states["confirm_start"], run.states["await_run"]) == ("failed", "upstream_failed"), run.messages
        assert "trigger the batch again" in run.errors["confirm_start"][-1]
    assert (environments.starts(), environments.last().verdict) == (1, Verdict.ABANDONED)


def test_its_id_is_not_to_be_found_and_only_a_person_may_send_it_again(environments, driver):
    run = lose(environments, driver, "after")
    driver.answer(run, NOT_FOUND, batch_id="b")
    last = environments.last()
    assert (run.state, last.verdict, last.is_open) == ("failed", Verdict.UNBALANCED, True)
    assert environments.counts() == {"sent": 180, "unprocessed": 180}, "nobody can say that a record arrived"
    assert "force_new_attempt" in run.errors["confirm_start"][-1]
    stop = driver.play(STOP, batch_id="b")
    assert "nor its id" in stop.errors["admit_batch"][-1]
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.states["start_run"], again.states["confirm_start"]) == ("success", "awaiting_input"), "is it found by now?"
    driver.answer(again, NOT_FOUND, batch_id="b")
    assert (again.state, environments.starts()) == ("failed", 1)
    forced = environments.start(driver, force_new_attempt=True)
    assert (forced.state, environments.last().attempt.number, environments.starts()) == ("success", 2, 2)


def test_an_id_that_is_found_after_all_makes_everything_good(environments, driver):
    run = lose(environments, driver, "after")
    driver.answer(run, NOT_FOUND, batch_id="b")
    driver.clear(run, "confirm_start", batch_id="b")
    assert run.states["confirm_start"] == "awaiting_input", run.messages
    say_what_is_there(environments, driver, run)


def test_an_id_that_cannot_be_right_is_not_taken_and_the_question_is_put_again(environments, driver):
    environments.switch(fatal_errors="Customer:2")
    environments.batch()
    environments.start(driver)
    environments.switch(fatal_errors="")
    environments.batch(content=zipped({"Customer": 120, "Invoice": 61}))
    of_the_attempt_before = environments.last().ref
    run = driver.play(MIGRATE, batch_id="b", force_new_attempt=True)
    environments.fault("POST", START, "drop_after")
    give(environments, driver, run, force_new_attempt=True)
    for wrong in ("", "   ", "two words", "4711", of_the_attempt_before):
        driver.answer(run, STARTED, {TRACKER_ID: wrong}, batch_id="b")
        assert (run.states["confirm_start"], run.states["await_run"]) == ("failed", "upstream_failed"), (wrong, run.messages)
        assert re.search(r"Nothing was written; clear confirm_start and answer again\.$", run.errors["confirm_start"][-1]), wrong
        assert environments.last().ref == ""
        driver.clear(run, "confirm_start", batch_id="b")
        assert run.states["confirm_start"] == "awaiting_input"
    driver.answer(run, STARTED, {TRACKER_ID: environments.executions()[-1]["id"]}, batch_id="b")
    arrives(environments, run)
    assert environments.starts() == 2


@pytest.mark.parametrize(("name", "says"), [("before", "away"), ("401", "who")])
def test_an_id_that_cannot_be_looked_at_is_not_taken_either(environments, driver, name, says):
    run = lose(environments, driver, "after")
    faulty(environments, STATUS, name, method="GET")
    driver.answer(run, STARTED, {TRACKER_ID: environments.executions()[0]["id"]}, batch_id="b")
    assert re.search(SAYS[says], run.errors["confirm_start"][-1]), run.messages
    assert environments.last().ref == ""
    clear_weather(environments)
    if run.states["confirm_start"] == "failed":
        driver.clear(run, "confirm_start", batch_id="b")
    assert run.states["confirm_start"] == "awaiting_input"
    say_what_is_there(environments, driver, run)


def test_while_a_person_is_asked_nothing_is_sent_and_nobody_else_gets_the_place(environments, driver, monkeypatch):
    settle(monkeypatch, max_live_runs=1)
    run = lose(environments, driver)
    twin = driver.play(MIGRATE, batch_id="b")
    assert (twin.state, twin.states["check_batch"]) == ("success", "skipped")
    environments.batch("other", content=zipped({"Customer": 3}))
    driver.clock.beside = nobody_waits
    with pytest.raises(NobodyWaitsError):
        driver.play(MIGRATE, batch_id="other")
    driver.clock.beside = lambda seconds: seconds
    stop = driver.play(STOP, batch_id="b")
    assert "Answer the question of confirm_start first" in stop.errors["admit_batch"][-1]
    run.states["confirm_start"] = "failed"
    driver.clear(run, "start_run", batch_id="b")
    assert (run.states["start_run"], run.states["confirm_start"]) == ("success", "awaiting_input")
    assert environments.starts() == 1


class NobodyWaitsError(BaseException):
    """It would have waited."""


def nobody_waits(seconds):
    raise NobodyWaitsError


# Calls that may be repeated


def played(environments, driver, name, fault):
    """The DAG run that makes a call; something befalls it just before its task."""
    dag, task = LOOKS[name].journey, LOOKS[name].task
    environment = "source" if dag == EXPORT else "target"
    if dag == EXPORT:
        wanted = {"batch_id": "in", "connection": "dmm_default", "configuration": RUNTIME}
        environments.batch(type="Export", dag=EXPORT, connection="dmm_source", configuration=WHOLE, import_as=wanted)
    else:
        environments.batch()
    if dag == STOP:
        under_way(environments, driver)
        on = {"await_run": lambda: environments.house.control("POST", "/clock", json={"advance": 1000})}
        return driver.play(STOP, batch_id="b", before=on | {task: fault})
    run = driver.play(dag, batch_id="b")
    driver.form = {ONE_TIME_PASSWORD: environments.password(environment)}
    driver.go_on(run, {"batch_id": "b"}, {task: fault}, START_IT)
    return run


def under_way(environments, driver):
    """An import that has done one chunk of five, and whose DAG run is no more."""
    environments.switch(chunk_seconds=1000.0)
    run = driver.play(MIGRATE, batch_id="b")
    driver.form = {ONE_TIME_PASSWORD: environments.password()}
    with pytest.raises(NobodyWaitsError):
        driver.go_on(run, {"batch_id": "b"}, {"await_run": lambda: nobody_waits(0)}, START_IT)
    run.state = "failed"
    environments.house.control("POST", "/clock", json={"advance": 1500})
    return run


def ends_well(environments, run, name):
    if LOOKS[name].journey != STOP:
        arrives(environments, run)
        return
    last = environments.last()
    assert (run.state, last.run_state, last.verdict) == ("success", "cancelled", Verdict.UNBALANCED), run.messages
    assert environments.counts() == {"sent": 180, "accepted": 100, "unprocessed": 80}
    environments.holds()


@pytest.mark.parametrize("name", LOOKS)
def test_what_passes_is_got_over_without_a_person(environments, impatient, driver, name):
    passing, call = GOT_OVER[name], LOOKS[name]

    def fault():
        for action in passing:
            faulty(environments, call.path, action, method=call.method, times=1)

    run = played(environments, driver, name, fault)
    ends_well(environments, run, name)
    assert len(environments.requests(call.method, call.path)) == len(passing) + 1
    assert run.states[call.task] == "success"


@pytest.mark.parametrize("name", LOOKS)
def test_what_lasts_is_red_and_goes_on_when_the_fault_is_gone_and_the_red_task_is_cleared(environments, driver, name):
    call, noes = LOOKS[name], LASTING[name]
    task, method, path = call.task, call.method, call.path
    (first, *others), run = noes, None
    run = played(environments, driver, name, lambda: faulty(environments, path, first, method=method))
    for action in [first, *others]:
        if action != first:
            faulty(environments, path, action, method=method)
            driver.clear(run, task, batch_id="b")
        assert (run.state, run.states[task]) == ("failed", "failed"), (action, run.states)
        assert re.search(SAYS[noes[action]], run.errors[task][-1]), (action, run.errors[task][-1])
        assert environments.last().is_open
        clear_weather(environments)
    driver.clock.beside = lambda seconds: environments.house.control("POST", "/clock", json={"advance": seconds})
    driver.clear(run, task, batch_id="b")
    ends_well(environments, run, name)
    assert environments.starts() == 1


# The stop at the deadline, and when a person ends the task that waits


@pytest.fixture
def deadline(environments, driver, monkeypatch):
    """An import that takes longer than the DAG waits: ten minutes, of which each chunk takes four."""
    waiting = driver.dags[MIGRATE].get_task("await_run").start_trigger_args.trigger_kwargs
    monkeypatch.setitem(waiting, "patience", 600.0)
    environments.batch()
    environments.switch(chunk_seconds=240.0)
    driver.clock.beside = lambda seconds: environments.house.control("POST", "/clock", json={"advance": seconds})
    return driver.play(MIGRATE, batch_id="b")


@pytest.mark.parametrize("name", PASSES_AT_THE_DEADLINE)
def test_a_stop_at_the_deadline_that_fails_is_asked_for_again(environments, driver, deadline, name):
    faulty(environments, STOPPING, name, times=1)
    give(environments, driver, deadline)
    last = environments.last()
    assert (deadline.state, last.run_state, last.verdict) == ("failed", "cancelled", Verdict.UNBALANCED), deadline.messages
    assert environments.counts() == {"sent": 180, "accepted": 120, "unprocessed": 60}
    assert "stay there" in deadline.message
    environments.holds()


@pytest.mark.parametrize("name", LASTS_AT_THE_DEADLINE)
def test_a_stop_at_the_deadline_that_cannot_be_had_is_red_and_is_asked_for_once_more_after_a_clear(
    environments, driver, deadline, name
):
    environments.switch(chunk_seconds=1500.0)
    faulty(environments, STOPPING, name)
    give(environments, driver, deadline)
    assert (deadline.states["await_run"], environments.last().is_open) == ("failed", True)
    assert re.search(SAYS["late"], deadline.errors["await_run"][-1])
    assert "not be stopped" in deadline.errors["await_run"][-1]
    clear_weather(environments)
    driver.clear(deadline, "await_run", batch_id="b")
    assert environments.state["executions"][0]["stopped_by"]
    assert environments.last().run_state == "cancelled", deadline.messages
    environments.holds()


def test_a_stop_that_came_too_late_to_stop_anything_is_no_loss(environments, driver, deadline):
    """It was asked for and nobody knows whether DMM heard of it: every record arrived."""
    faulty(environments, STOPPING, "before")
    give(environments, driver, deadline)
    environments.house.control("POST", "/clock", json={"advance": 10_000})
    clear_weather(environments)
    driver.clear(deadline, "await_run", batch_id="b")
    arrives(environments, deadline)


@pytest.mark.parametrize("name", ["before", "after", "401"])
def test_ending_the_task_by_hand_stops_it_and_whatever_befalls_the_stop_the_cleared_task_sees_the_end(
    environments, driver, deadline, monkeypatch, name
):
    def kill():
        faulty(environments, STOPPING, name, times=1)
        environments.ended_by_hand(driver, monkeypatch)
        asked = 1 if name == "401" else 2
        assert len(environments.requests("POST", STOPPING)) == asked, "whoever is not let in asks no more"

    driver.form = {ONE_TIME_PASSWORD: environments.password()}
    driver.go_on(deadline, {"batch_id": "b"}, {"await_run": kill}, START_IT)
    assert environments.last().run_state == "cancelled", deadline.messages
    assert environments.counts()["accepted"] < 180
    environments.holds()


def test_a_batch_whose_execution_is_still_stopping_is_settled_once_it_has_stopped(environments, driver, deadline, monkeypatch):
    """Airflow plays on at once when a person ends the task that waits: sooner than DMM is told, and ends its chunk."""
    settling = driver.dags[MIGRATE].get_task("settle_batch")
    looks = []

    def look(task, work):
        if looks:
            environments.ended_by_hand(driver, monkeypatch)
        looks.append(work.standing.run_state)
        return settle_batch(work)

    monkeypatch.setattr(type(settling), "work_on", look)
    driver.form = {ONE_TIME_PASSWORD: environments.password()}
    run = driver.runs[MIGRATE, deadline.run_id]
    run.states["await_run"] = "failed"
    driver.go_on(run, {"batch_id": "b"}, {}, START_IT)
    first, last = run.errors["settle_batch"]
    assert "tried again by itself" in first
    assert "stay there" in last
    assert looks == ["queued", "cancelled"]
    assert (environments.last().verdict, environments.counts()["sent"]) == (Verdict.UNBALANCED, 180)
    environments.holds()


def test_a_batch_whose_execution_nobody_stops_is_not_looked_at_again_and_again(environments, driver, deadline):
    driver.form = {ONE_TIME_PASSWORD: environments.password()}
    run = driver.runs[MIGRATE, deadline.run_id]
    run.states["await_run"] = "failed"
    driver.go_on(run, {"batch_id": "b"}, {}, START_IT)
    assert len(run.errors["settle_batch"]) == 2
    assert environments.last().verdict is Verdict.UNKNOWN


# The connection that is registered first


def test_a_connection_that_was_perhaps_registered_is_not_asked_for_again_until_a_person_says_so(environments, impatient, driver):
    lost = PERHAPS_REGISTERED
    for number, name in enumerate(lost, 1):
        clear_weather(environments)
        batch_id = f"b-{number}"
        wanted = REGISTERED | {"name": f"eu-target-{number}"}
        environments.batch(batch_id, configuration=INTO_IT, create_connection=wanted)
        faulty(environments, CREATE, name)
        run = driver.play(MIGRATE, batch_id=batch_id)
        said = run.errors["create_connection"]
        assert (run.state, len(said)) == ("failed", 1), (name, said)
        assert re.search(r"not asked again\. Look at the connections in DMM's pages|not JSON.*Check", said[0]), (name, said)
        driver.clear(run, "create_connection", batch_id=batch_id)
        assert "its answer was lost. It is not asked again" in run.errors["create_connection"][-1], name
        assert len(environments.requests("POST", CREATE)) == number, name
    again = driver.play(MIGRATE, batch_id=batch_id)
    assert (again.states["create_connection"], len(environments.requests("POST", CREATE))) == ("failed", len(lost))
    there = str(environments.state["target"]["connections"])
    assert [name for number, name in enumerate(lost, 1) if f"eu-target-{number}" in there and name != "delay"] == ["cut", "after"]
    environments.batch(batch_id, configuration={"DestinationDBConnection": f"eu-target-{number}", "DataAppendMode": True})
    arrives(environments, environments.start(driver, batch_id), batch_id)
    driver.play(MIGRATE, batch_id="b-1", force_new_attempt=True)
    assert "eu-target-1" in str(environments.state["target"]["connections"]), "a person has said so"
    assert environments.starts() == 1


def test_a_connection_that_was_certainly_not_registered_is_asked_for_when_the_red_task_is_cleared(environments, driver):
    environments.batch(configuration=INTO_IT, create_connection=REGISTERED)
    faulty(environments, CREATE, next(iter(NOT_REGISTERED)))
    run = driver.play(MIGRATE, batch_id="b")
    for name, says in NOT_REGISTERED.items():
        clear_weather(environments)
        faulty(environments, CREATE, name)
        driver.clear(run, "create_connection", batch_id="b")
        assert re.search(SAYS[says], run.errors["create_connection"][-1]), (name, run.messages)
    clear_weather(environments)
    driver.clear(run, "create_connection", batch_id="b")
    give(environments, driver, run)
    arrives(environments, run)
    assert (environments.starts(), environments.last().attempt.number) == (1, 1)
