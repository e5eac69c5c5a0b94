"""Workers that die at any line of every step that sends, and people who clear, trigger twice and edit in between.

Of the lines before which ledger, evidence, both Libraries and the manifest stand alike, one death stands for all: the next try
finds nothing else.
"""

import inspect
import shutil
from importlib import import_module

import pytest
from libraries import AUTO, FINANCE, MIGRATE, SALES, UNDO
from weather import together

from ferry.ledger.entries import Verdict
from ferry.steps.people import APPROVE, NOT_STARTED, REJECT

EDIT = "edit_microstrategy"
ONCE = "ferry.steps.work:Work.once"
HERE = "ferry.vendors.microstrategy."
LIBRARY = "MicroStrategyLibrary/api"
CHANCE = r"[0-9A-Fa-f]{6,}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+"
"""What is drawn or read from the clock anew in each life of the Libraries: ids, times, and hashes of ours in names."""
STEPS = {
    "open_run": (MIGRATE, [HERE + "making:_created", ONCE], ("POST", f"*/source/{LIBRARY}/migrations")),
    "lock_package": (MIGRATE, [HERE + "importing:lock_package"], ("PATCH", f"*/source/{LIBRARY}/migrations/*")),
    "start_run": (MIGRATE, [HERE + "importing:start_run", ONCE], ("PUT", f"*/target/{LIBRARY}/migrations/*")),
    "undo_run": (UNDO, [HERE + "undoing:undo_run", ONCE], ("PATCH", f"*/target/{LIBRARY}/migrations/*", 1)),
    "edit_run": (EDIT, [HERE + "editing:edit_run", ONCE], ("PUT", f"*/source/{LIBRARY}/migrations/*/packageInfo")),
}
"""The steps that send: their DAG, the functions in which their worker may die, the call that does it (after so many alike)."""


def prepared(libraries, driver, task):
    """The batch `b`, as far as it is before the step."""
    if task == "edit_run":
        body = {"packageInfo": {"type": "project", "project": {"name": "Sales"}, "tocView": {"settings": {}, "content": []}}}
        ref = libraries.made_by_hand(kind="migration", name="by hand", body=body | {"importInfo": {}})
        libraries.batch("b", {"edit": {"migration": ref}, "packages": [SALES]}, dag=EDIT, connection="microstrategy_source")
        return
    libraries.migration()
    if task == "undo_run":
        assert driver.play(MIGRATE, batch_id="b").state == "success"


def die(libraries, dying, task, line, fault, **more):
    dag, functions, (method, path, *skip) = STEPS[task]
    if fault:
        libraries.fault(method, path, fault, skip=sum(skip))
    return dying(dag=dag, task=task, functions=functions, line=line, run_id="r1", batch_id="b", **more)


def worlds_reached(libraries, driver, dying, task, fault):
    """Every line that the step comes to in this weather, in order, each with a mark of the world then."""
    house = libraries.house
    shutil.rmtree(house.evidence, ignore_errors=True)
    prepared(libraries, driver, task)
    control = f"{house.sandbox}/_sandbox"
    asked = {"requests": f"{control}/requests?vendor=microstrategy", "state": f"{control}/microstrategy/state"}
    manifest = house.home / "batches/microstrategy/b/manifest.yaml"
    mine = {"ledger": house.home / "ledger.db", "evidence": house.evidence, "manifest": manifest, "chance": CHANCE}
    return die(libraries, dying, task, "nowhere", fault, world=asked | {what: str(path) for what, path in mine.items()})


FINE, LOST, NEVER = None, "drop_after", "drop_before"
WEATHER = {
    "open_run": [FINE, LOST, NEVER],
    "lock_package": [FINE],
    "start_run": [FINE, LOST],
    "undo_run": [FINE, LOST, NEVER],
    "edit_run": [FINE, LOST, NEVER],
}
"""In which weather each step comes to worlds that it has not come to before."""


@pytest.fixture(scope="module")
def reached():
    """The lines that each step comes to in each weather, with the worlds then, once somebody has found out."""
    return {}


def new_in(weather, earlier):
    """One line for each world that the step has not come to in earlier weather, and the how manieth time it comes there."""
    worlds = {seen.partition("@")[2] for lines in earlier for seen in lines}
    found, times = [], dict[str, int]()
    for seen in weather:
        line, _, world = seen.partition("@")
        times[line] = times.get(line, 0) + 1
        if world not in worlds:
            worlds.add(world)
            found.append((line, times[line]))
    return found


EVERY_WEATHER = [together(f"microstrategy {task}", task, fault) for task, faults in WEATHER.items() for fault in faults]


@pytest.mark.parametrize(("task", "fault"), EVERY_WEATHER)
def test_a_worker_dies_at_any_line_and_the_next_try_does_nothing_twice(libraries, driver, dying, reached, task, fault):  # noqa: PLR0917
    until = WEATHER[task].index(fault) + 1
    for weather in WEATHER[task][:until]:
        if (task, weather) not in reached:
            libraries.begin_anew()
            reached[task, weather] = worlds_reached(libraries, driver, dying, task, weather)
    *earlier, now = (reached[task, weather] for weather in WEATHER[task][:until])
    new = new_in(now, earlier)
    assert new, "this weather leads through worlds of its own"
    for line, time in new:
        libraries.begin_anew()
        prepared(libraries, driver, task)
        assert die(libraries, dying, task, line, fault, time=time)[-1] == line
        libraries.house.control("DELETE", "/microstrategy/faults")
        goes_on(libraries, driver, task, line)


def goes_on(libraries, driver, task, line):
    """The next try, after a death at a line."""
    dag = STEPS[task][0]
    run = driver.play(dag, run_id="r1", batch_id="b")
    if run.state == "running":  # the import's intent is there, and no trace of it
        assert libraries.state["counters"]["imports"] == 0, line
        driver.answer(run, NOT_STARTED, batch_id="b")
        run = driver.play(dag, batch_id="b")
    assert run.state == "success", (line, run.messages)
    libraries.holds()
    counters, once = libraries.state["counters"], {"edit_run": (1, 0, 0), "undo_run": (0, 1, 1)}
    assert (counters["edits"], counters["imports"], counters["undos"]) == once.get(task, (0, 1, 0)), line
    if task == "edit_run":
        assert libraries.last().counts.accepted == 2, line


def test_the_functions_are_where_the_table_says():
    for _, functions, _call in STEPS.values():
        for name in functions:
            module, _, path = name.partition(":")
            assert inspect.getsource(import_module(module)).count(f"def {path.rpartition('.')[2]}(") == 1


# What people do in between


def clear_all(driver, run, **conf):
    """Clear the whole DAG run with its green tasks, as a backfill does."""
    return driver.clear(run, "admit_batch", batch_id="b", **conf)


def test_clearing_an_imported_run_as_a_whole_sends_nothing_whatever_the_vendor_shows_by_then(libraries, driver):
    libraries.migration(validation=True)
    libraries.switch(lose_objects=1)
    run = driver.play(MIGRATE, batch_id="b")
    assert libraries.last().verdict is Verdict.UNBALANCED
    sent = libraries.sent()
    libraries.fault("GET", f"*/{LIBRARY}/projects", "status", status=200, body="[]", times=None)  # the projects are gone
    clear_all(driver, run)
    assert libraries.sent() == sent
    assert libraries.last().verdict is Verdict.UNBALANCED, "what was imported is never called refused"
    again = driver.play(MIGRATE, batch_id="b")
    assert libraries.sent() == sent
    assert (again.state, len(libraries.standing().attempts)) == ("failed", 1)


def test_clearing_an_undone_run_as_a_whole_says_again_that_it_is_undone(libraries, driver):
    libraries.migration()
    assert driver.play(MIGRATE, batch_id="b").state == "success"
    libraries.fault("GET", f"*/target/{LIBRARY}/migrations/*", "status", status=403, times=None, skip=3)
    undo = driver.play(UNDO, batch_id="b")
    assert undo.state == "failed", undo.states
    libraries.house.control("DELETE", "/microstrategy/faults")
    clear_all(driver, undo)
    assert undo.state == "success", undo.messages
    assert libraries.last().verdict is Verdict.UNDONE
    assert libraries.state["counters"]["undos"] == 1


def test_while_an_undo_is_asked_about_nothing_else_is_sent_for_the_batch(libraries, driver):
    libraries.migration(approval="ask")
    driver.answer(driver.play(MIGRATE, batch_id="b"), APPROVE, batch_id="b")
    undo = driver.play(UNDO, batch_id="b")
    libraries.migration(approval="ask", name="a corrected one")
    other = driver.play(MIGRATE, batch_id="b")
    assert (other.state, other.states["check_batch"]) == ("success", "skipped")
    twin = driver.play(UNDO, batch_id="b")
    assert (twin.state, twin.states["check_undo"]) == ("success", "skipped")
    driver.answer(undo, APPROVE, batch_id="b")
    assert libraries.last().verdict is Verdict.UNDONE
    corrected = driver.play(MIGRATE, batch_id="b")
    driver.answer(corrected, APPROVE, batch_id="b")
    assert corrected.state == "success", corrected.messages
    assert [(one.attempt.number, one.verdict) for one in libraries.standing().attempts] == [
        (1, Verdict.UNDONE),
        (2, Verdict.BALANCED),
    ]


def test_an_older_import_is_undone_where_nothing_was_started_since(libraries, driver):
    libraries.migration()
    assert driver.play(MIGRATE, batch_id="b").state == "success"
    libraries.batch("b", {"packages": [SALES | {"project": "Nowhere"}]} | AUTO)
    assert driver.play(MIGRATE, batch_id="b").state == "failed"
    undo = driver.play(UNDO, batch_id="b")
    assert undo.state == "success", undo.messages
    assert libraries.objects() == {}
    assert [one.verdict for one in libraries.standing().attempts] == [Verdict.UNDONE, Verdict.REFUSED]
    libraries.batch("b", {"packages": [FINANCE]} | AUTO)
    assert driver.play(MIGRATE, batch_id="b").state == "success"
    assert libraries.last().attempt.number == 3


def test_what_somebody_undid_in_workstation_is_adopted(libraries, driver):
    libraries.migration()
    assert driver.play(MIGRATE, batch_id="b").state == "success"
    libraries.undo_by_hand(libraries.last().ref)
    undo = driver.play(UNDO, batch_id="b")
    assert undo.state == "success", undo.messages
    assert libraries.last().verdict is Verdict.UNDONE
    assert libraries.state["counters"]["undos"] == 1, "the person's own"


def test_an_approval_is_for_what_was_shown_and_for_nothing_else(libraries, driver):
    libraries.migration(approval="ask")
    run = driver.play(MIGRATE, batch_id="b")
    libraries.fault("PATCH", f"*/source/{LIBRARY}/migrations/*", "status", status=403)
    driver.answer(run, APPROVE, batch_id="b")
    assert run.states["lock_package"] == "failed"
    ref = libraries.last().ref
    libraries.batch("e", {"edit": {"migration": ref}, "packages": [SALES]}, dag=EDIT, connection="microstrategy_source")
    assert driver.play(EDIT, batch_id="e").state == "success"
    driver.clear(run, "check_package", batch_id="b")
    assert run.states["approve"] == "failed", "the package was made anew, and the page would show the old question"
    assert "a new DAG run asks anew" in run.errors["approve"][-1]
    again = driver.play(MIGRATE, batch_id="b")
    assert again.states["approve"] == "awaiting_input"
    assert libraries.state["counters"]["imports"] == 0
    driver.answer(again, REJECT, batch_id="b")
    assert libraries.last().verdict is Verdict.ABANDONED


def test_a_manifest_that_is_changed_during_the_import_changes_nothing_about_it(libraries, driver):
    libraries.migration(approval="ask", on_import_failed="settle")
    libraries.switch(fail_import="*")
    run = driver.play(MIGRATE, batch_id="b")
    driver.go_on(
        run, {"batch_id": "b"}, {"fetch_errors": lambda: libraries.migration(on_import_failed="undo", clean_up=True)}, APPROVE
    )
    assert run.states["approve_undo"] == "skipped"
    assert libraries.state["counters"]["undos"] == 0


def test_an_edit_whose_tasks_are_all_cleared_is_not_sent_again(libraries, driver):
    prepared(libraries, driver, "edit_run")
    away = {
        "await_prepared": lambda: libraries.fault("GET", f"*/source/{LIBRARY}/migrations/*", "status", status=403, times=None)
    }
    run = driver.play(EDIT, batch_id="b", before=away)
    assert run.states["await_prepared"] == "failed", run.messages
    libraries.house.control("DELETE", "/microstrategy/faults")
    clear_all(driver, run)
    assert run.state == "success", run.messages
    assert libraries.state["counters"]["edits"] == 1
