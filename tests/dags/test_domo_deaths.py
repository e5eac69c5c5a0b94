"""Workers that die at any line of every step that sends, judges or decides, and people who clear, trigger twice and edit.

However it goes: no datasource is migrated twice, nobody is asked about what the list proves, and the ledger ends knowing. Of the
lines before which ledger, evidence, vendor and manifest stand alike, one death stands for all: the next try finds nothing else.
"""

import inspect
import json
import os
import shutil
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from instance import LINES, MIGRATE, ORDERS, REVERSE, THREE
from weather import together

from ferry.ledger.entries import Kind, Verdict
from ferry.steps.people import APPROVE
from ferry.vendors.domo.operators import MENDING, NOT_MOVED

TWO = THREE[:2]
FOURTH = {"id": "fcfc1002-d19c-52e3-979a-e8b934f9eb7e", "catalog": "sales_db", "schema": "NULL", "table": "customer_addresses"}
HERE = "ferry.vendors.domo."
MOVER = HERE + "moving:Mover."
PROVING = [MOVER + "proved", MOVER + "_adopt"]
SENDING = [
    *(MOVER + name for name in ("all_of", "weigh", "_advance", "_may_repeat_lost", "_send", "_stands_already", "_tell", "_file")),
    MOVER + "_verb.<locals>.verb",
    "ferry.steps.work:Work.once",
    *PROVING,
]
STEPS = {
    "check_batch": (MIGRATE, [HERE + "planning:check_batch", HERE + "planning:keep"]),
    "plan_run": (MIGRATE, [HERE + "planning:plan_run"]),
    "start_run": (MIGRATE, [HERE + "starting:start", *SENDING]),
    "confirm_start": (MIGRATE, [HERE + "starting:leave_open", HERE + "judging:record_end", *PROVING]),
    "decide_mend": (MIGRATE, [HERE + "mending:decided", HERE + "mending:decide"]),
    "mend_run": (MIGRATE, [HERE + "mending:mend", *SENDING]),
    "reconcile": (MIGRATE, [HERE + "judging:late", HERE + "judging:reconcile"]),
    "check_undo": (REVERSE, [HERE + "reversing:check_undo"]),
    "undo_run": (REVERSE, [HERE + "reversing:undo", *SENDING]),
    "confirm_undo": (REVERSE, [HERE + "starting:leave_open", HERE + "reversing:confirm_undo", *PROVING]),
}
"""The steps: their DAG, and the functions in which their worker may die."""
MANIFEST = "batches/domo/b/manifest.yaml"
REPEAT, TURN_BACK, LEAVE = MENDING
MIGRATION, REVERSAL = f"*/{ORDERS}/accounts/*", f"*/{ORDERS}/reverse"
INCOMPLETE = {"outcomes": f"{ORDERS}:INCOMPLETE", "reverse_rescues": True}


@dataclass(frozen=True)
class Weather:
    """What goes on while the worker dies: manifest, switches, a fault that is gone afterwards, a person's deed and answer."""

    section: dict[str, Any] = field(default_factory=dict)
    switches: dict[str, Any] = field(default_factory=dict)
    fault: dict[str, Any] = field(default_factory=dict)
    by_hand: str = ""
    """What somebody does to the first datasource just before the task."""
    answer: str | None = None
    calls: int = 1
    """How often a call for the first datasource may reach the vendor's works, one way."""
    map_index: int = 0


def faulty(path, action, **rule):
    return {"method": "POST", "path": path, "action": action, **rule}


def ends(path):
    """Every way in which one call can end."""
    sorry = '{"status": 302, "message": "This call has moved.", "toe": "X"}'
    return {
        "fine": Weather(),
        "lost": Weather(fault=faulty(path, "drop_after")),
        "never": Weather(fault=faulty(path, "drop_before")),
        "refused": Weather(fault=faulty(path, "status", status=403)),
        "odd": Weather(fault=faulty(path, "status", status=302, body=sorry)),
        "the second lost": Weather(fault=faulty(path.replace(ORDERS, LINES), "drop_after"), map_index=1),
    }


NEVER = faulty(MIGRATION, "drop_before")
PUT_BACK, ASKED = {"on_incomplete": "reverse"}, {"on_incomplete": "ask"}
WEATHER = {
    "check_batch": {"fine": Weather(), "stranger": Weather({"datasources": [TWO[0], TWO[1] | {"id": "nobody"}]})},
    "plan_run": {"fine": Weather()},
    "start_run": ends(MIGRATION)
    | {
        "aborted": Weather(switches={"outcomes": f"{ORDERS}:ABORTED"}, calls=2),
        "incomplete": Weather(switches=INCOMPLETE, calls=2),
        "given up": Weather({"repeats": 1}, {"outcomes": f"{ORDERS}:INCOMPLETE,INCOMPLETE"}, calls=3),
        "accepted": Weather({"already_migrated": "accept"}, by_hand="migrate"),
        "foreign": Weather(by_hand="migrate"),
    },
    "confirm_start": {
        "fine": Weather(),
        "not moved": Weather(fault=NEVER, answer=NOT_MOVED),
        "by hand": Weather(fault=NEVER, by_hand="migrate"),
    },
    "decide_mend": {
        "left": Weather({"repeats": 1}, {"outcomes": f"{ORDERS}:INCOMPLETE,INCOMPLETE"}, calls=3),
        "put back": Weather(PUT_BACK, INCOMPLETE, calls=2),
        "asked": Weather(ASKED, INCOMPLETE, answer=REPEAT, calls=2),
    },
    "mend_run": {
        "put back": Weather(PUT_BACK, INCOMPLETE, calls=2),
        "never put back": Weather(PUT_BACK, INCOMPLETE, faulty(REVERSAL, "drop_before"), calls=2),
        "repeated": Weather(ASKED, INCOMPLETE, answer=REPEAT, calls=2),
        "lost": Weather(ASKED, INCOMPLETE, faulty(MIGRATION, "drop_after", skip=1), answer=REPEAT, calls=2),
        "never": Weather(ASKED, INCOMPLETE, faulty(MIGRATION, "drop_before", skip=1), answer=REPEAT, calls=2),
    },
    "reconcile": {"fine": Weather(), "late": Weather(switches={"list_delay_seconds": 3600})},
    "check_undo": {"fine": Weather()},
    "undo_run": ends(REVERSAL)
    | {
        "aborted": Weather(switches={"reverse_outcomes": f"{ORDERS}:ABORTED"}, calls=2),
        "incomplete": Weather(switches={"reverse_outcomes": f"{ORDERS}:INCOMPLETE"}, calls=2),
        "by hand": Weather(by_hand="reverse"),
    },
    "confirm_undo": {
        "fine": Weather(),
        "not moved": Weather(fault=faulty(REVERSAL, "drop_before"), answer=NOT_MOVED),
        "by hand": Weather(fault=faulty(REVERSAL, "drop_before"), by_hand="reverse"),
    },
}
"""How it can go while each step's worker dies."""


@dataclass
class Deaths:
    """The batch `b` of two datasources, and workers that die over it."""

    instance: Any
    driver: Any
    dying: Any
    known: dict[tuple[str, str], list[str]]
    """The lines that each step comes to in each weather, each with a mark of the world then, once somebody has found out."""

    @property
    def kept(self):
        return self.instance.house.home / "kept.json"

    def die(self, task, name, line="nowhere", **more):
        """Play the DAG run in another process until its worker dies; the lines it came to."""
        weather, (dag, functions) = WEATHER[task][name], STEPS[task]
        self.instance.begin_anew()
        shutil.rmtree(self.instance.house.evidence, ignore_errors=True)
        self.instance.batch(**{"datasources": TWO, "reversal": "auto"} | weather.section)
        self.instance.switch(**weather.switches)
        if dag == REVERSE:
            assert self.driver.play(MIGRATE, batch_id="b").state == "success"
        if weather.fault:
            self.instance.fault(**weather.fault)
        deed = f"{self.instance.house.sandbox}/_sandbox/domo/records/{ORDERS}/{weather.by_hand}"
        told = {"accountId": "41"} if weather.by_hand == "migrate" else {}
        return self.dying(
            dag=dag,
            task=task,
            functions=functions,
            line=line,
            run_id="r1",
            batch_id="b",
            answer=weather.answer,
            meanwhile=[["POST", deed, told]] if weather.by_hand else [],
            map_index=weather.map_index,
            kept=str(self.kept),
            **more,
        )

    def lines(self, task, name):
        house = self.instance.house
        if (task, name) not in self.known:
            control = f"{house.sandbox}/_sandbox"
            asked = {"requests": f"{control}/requests?vendor=domo", "state": f"{control}/domo/state"}
            mine = {"ledger": house.home / "ledger.db", "evidence": house.evidence, "manifest": house.home / MANIFEST}
            world = asked | {what: str(path) for what, path in mine.items()}
            self.known[task, name] = self.die(task, name, world=world)
        return self.known[task, name]

    def of(self, task, name):
        """One death for each world that the step leads through: the line before which it is so, and the how manieth time."""
        names = list(WEATHER[task])
        worlds = {seen.partition("@")[2] for one in names[: names.index(name)] for seen in self.lines(task, one)}
        found, times = [], dict[str, int]()
        for seen in self.lines(task, name):
            line, _, world = seen.partition("@")
            times[line] = times.get(line, 0) + 1
            if world not in worlds:
                worlds.add(world)
                found.append((line, times[line]))
        return found

    def go_on(self, task, name, line):
        """The next tries, after a death at a line; a person answers, corrects and triggers again until all is well."""
        dag, weather = STEPS[task][0], WEATHER[task][name]
        self.instance.house.control("DELETE", "/domo/faults")
        run = self.driver.play_on(dag, "r1", json.loads(self.kept.read_text("utf-8")), batch_id="b")
        for _ in range(4):
            self.what_is_believed_is_so(line)
            if run.state == "success" or name == "stranger":
                break
            if run.state == "running":
                self.answered(run, weather, line)
                continue
            if name == "foreign" and ORDERS in self.instance.on_v2 and not self.instance.posts(ORDERS):
                self.instance.by_hand(ORDERS, "reverse")
            self.instance.house.control("POST", "/clock", json={"advance": 4000})
            run = self.driver.play(dag, batch_id="b")
        return run

    def what_is_believed_is_so(self, line):
        fates, on_v2 = self.instance.fates(), self.instance.on_v2
        assert {one for one, fate in fates.items() if fate.has_moved} <= on_v2, line
        assert not {one for one, fate in fates.items() if fate.is_back} & on_v2, line

    def answered(self, run, weather, line):
        """A person answers what only a person can know."""
        if run.states.get("decide_mend") == "awaiting_input":
            self.driver.answer(run, weather.answer, batch_id="b")
            return
        lost, there = {one for one, fate in self.instance.fates().items() if fate.is_lost}, self.instance.on_v2
        assert lost, (line, "nobody is asked about what is known")
        assert lost & there == (lost if run.dag_id == REVERSE else set()), (line, "nor about what the list proves")
        self.driver.answer(run, NOT_MOVED, batch_id="b")


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def deaths(instance, driver, dying, known):
    return Deaths(instance, driver, dying, known)


EVERY_WEATHER = [together(f"domo {task}", task, name) for task, names in WEATHER.items() for name in names]


@pytest.mark.parametrize(("task", "name"), EVERY_WEATHER)
def test_a_worker_dies_at_any_line_and_the_next_try_does_nothing_twice(deaths, task, name):
    found, instance, back = deaths.of(task, name), deaths.instance, STEPS[task][0] == REVERSE
    assert found, "this weather leads through worlds of its own"
    for line, time in found:
        assert deaths.die(task, name, line, time=time)[-1] == line
        run = deaths.go_on(task, name, (line, time))
        if name == "stranger":
            assert (run.state, instance.last().verdict, instance.posts()) == ("failed", Verdict.REFUSED, 0), (line, run.messages)
            continue
        assert run.state == "success", (line, run.messages)
        assert instance.last().verdict is (Verdict.UNDONE if back else Verdict.BALANCED), line
        instance.holds()
        sent = {one["id"]: one["reverses" if back else "migrates"] for one in instance.state["posts"]}
        for one, most in ((ORDERS, WEATHER[task][name].calls), (LINES, 1)):
            assert instance.fate(one).is_back if back else instance.fate(one).has_moved, (line, one)
            assert sent.get(one, 0) <= most, (line, one)


def test_the_functions_are_where_the_table_says():
    for _, functions in STEPS.values():
        for name in functions:
            module, _, path = name.partition(":")
            assert inspect.getsource(import_module(module)).count(f"def {path.rpartition('.')[2]}(") == 1, name


# What people do in between


def calls(instance, ending="accounts/*"):
    """How often each datasource's call was sent."""
    return [instance.posts(one["id"], ending) for one in THREE]


def moved(instance, driver, **section):
    """A balanced batch of three."""
    instance.batch(**{"reversal": "auto"} | section)
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, calls(instance)) == ("success", [1, 1, 1]), run.messages
    return run


@pytest.mark.parametrize("task", ["check_batch", "start_run", "start_run[1]", "confirm_start", "reconcile", "settle_batch"])
def test_of_two_dag_runs_at_once_the_second_does_nothing(instance, driver, task):
    instance.batch()
    twins = []
    run = driver.play(MIGRATE, batch_id="b", before={task: lambda: twins.append(driver.play(MIGRATE, batch_id="b"))})
    (twin,) = twins
    assert (twin.state, twin.states["admit_batch"]) == ("success", "success")
    assert {state for name, state in twin.states.items() if name != "admit_batch"} == {"skipped"}
    assert (run.state, calls(instance)) == ("success", [1, 1, 1]), run.messages
    assert instance.last().verdict is Verdict.BALANCED
    instance.holds()


def test_a_worker_of_a_dag_run_that_was_given_up_sends_nothing_more(instance, driver):
    """Its worker was thought dead and moves again after another DAG run has taken the batch over."""
    instance.batch()

    def another():
        driver.runs[MIGRATE, "slow"].state = "failed"
        assert driver.play(MIGRATE, batch_id="b").state == "success"

    run = driver.play(MIGRATE, batch_id="b", run_id="slow", before={"start_run[1]": another})
    assert run.mapped["start_run"] == {0: "success", 1: "failed", 2: "failed"}
    assert all("is held by" in text or "is balanced" in text for text in run.errors["start_run"]), run.errors
    assert calls(instance) == [1, 1, 1]
    assert instance.last().verdict is Verdict.BALANCED
    instance.holds()


def test_a_dag_run_that_was_given_up_amid_a_watch_leaves_what_it_lost_to_the_next(instance, driver):
    instance.batch()
    instance.fault("POST", f"*/{ORDERS}/accounts/*", "drop_after")
    instance.fault("GET", "*/candidates/*", "status", status=403, times=None, skip=2)
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, instance.fate(ORDERS).is_lost) == ("failed", True)
    instance.house.control("DELETE", "/domo/faults")
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, calls(instance), driver.asked) == ("success", [1, 1, 1], []), again.messages
    instance.holds()


@pytest.mark.parametrize("first", ["admit_batch", "check_batch", "plan_run", "start_run", "confirm_start", "reconcile"])
def test_clearing_tasks_of_a_balanced_run_sends_nothing_whatever_the_vendor_shows_by_then(instance, driver, first):
    run = moved(instance, driver)
    instance.by_hand(LINES, "reverse")
    instance.switch(outcomes="*:ABORTED*")
    driver.clear(run, first, batch_id="b")
    assert (run.state, calls(instance)) == ("success", [1, 1, 1]), run.messages
    assert instance.last().verdict is Verdict.BALANCED


def test_clearing_only_the_start_after_an_abort_sends_it_exactly_once_more(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{ORDERS}:ABORTED,COMPLETE")
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, calls(instance)) == ("failed", [1, 1, 1])
    driver.clear(run, "start_run", batch_id="b")
    assert (run.state, calls(instance)) == ("success", [2, 1, 1]), run.messages
    assert instance.last().verdict is Verdict.BALANCED
    driver.clear(run, "start_run", batch_id="b")
    assert (run.state, calls(instance)) == ("success", [2, 1, 1]), "and not once more"
    instance.holds()


def test_an_abort_that_lasts_is_sent_once_for_each_clearing(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{ORDERS}:ABORTED*")
    run = driver.play(MIGRATE, batch_id="b")
    for times in (2, 3):
        driver.clear(run, "start_run", batch_id="b")
        assert (run.state, calls(instance)) == ("failed", [times, 1, 1]), run.messages
    instance.holds()


def test_clearing_and_triggering_while_a_person_is_asked_send_nothing(instance, driver):
    instance.batch()
    instance.fault("POST", f"*/{ORDERS}/accounts/*", "drop_before")
    run = driver.play(MIGRATE, batch_id="b")
    twin = driver.play(MIGRATE, batch_id="b")
    assert (twin.state, twin.states["check_batch"]) == ("success", "skipped")
    forced = driver.play(MIGRATE, batch_id="b", force_new_attempt=True)
    assert (forced.state, forced.states["check_batch"]) == ("success", "skipped")
    for first in ("start_run", "check_batch", "admit_batch"):
        run.states["confirm_start"] = "failed"
        driver.clear(run, first, batch_id="b")
        assert (run.states["confirm_start"], calls(instance)) == ("awaiting_input", [1, 1, 1]), run.messages
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert (run.state, calls(instance)) == ("failed", [1, 1, 1])
    instance.holds()


def test_what_somebody_migrated_between_check_and_start_is_refused_and_sent_once_it_is_put_back(instance, driver):
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b", before={"start_run": lambda: instance.by_hand(ORDERS, "migrate", accountId="41")})
    assert (run.state, calls(instance)) == ("failed", [0, 1, 1])
    (told,) = run.errors["start_run"]
    assert f"Somebody has migrated datasource {ORDERS} since the batch was checked" in told
    assert "Nothing was sent for it" in told
    counts = instance.last().counts
    assert (instance.last().verdict, counts.accepted, counts.unprocessed) == (Verdict.UNBALANCED, 2, 1)
    instance.by_hand(ORDERS, "reverse")
    driver.clear(run, "start_run", batch_id="b")
    assert (run.state, calls(instance)) == ("success", [1, 1, 1]), run.messages
    instance.holds()


def test_what_somebody_migrated_between_check_and_start_may_be_accepted_in_a_corrected_manifest(instance, driver):
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b", before={"start_run": lambda: instance.by_hand(ORDERS, "migrate", accountId="41")})
    assert "write `already_migrated: accept` into the manifest and trigger again" in run.errors["start_run"][0]
    instance.batch(already_migrated="accept")
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, calls(instance)) == ("success", [0, 1, 1]), again.messages
    assert [one.verdict for one in instance.standing().attempts] == [Verdict.SUPERSEDED, Verdict.BALANCED]
    instance.holds()


def test_what_somebody_migrated_between_check_and_start_is_adopted_where_the_manifest_accepts_it(instance, driver):
    instance.batch(already_migrated="accept")
    run = driver.play(MIGRATE, batch_id="b", before={"start_run": lambda: instance.by_hand(ORDERS, "migrate", accountId="41")})
    assert (run.state, calls(instance)) == ("success", [0, 1, 1]), run.messages
    (adopted,) = [entry for entry in instance.last().entries if entry.kind is Kind.ADOPTED]
    assert (adopted.step, adopted.key) == ("start_run", ORDERS)
    assert adopted.note == "Domo's list shows the datasource migrated; nothing was sent."
    instance.holds()


@pytest.mark.parametrize("others", [{}, {"already_migrated": "accept"}])
def test_a_migration_by_hand_while_an_incomplete_one_rests_is_not_taken_for_the_repeat_s(instance, driver, others):
    """The repeat is the documented cure for what is half-done, so it is sent whatever the list shows; Domo's word decides."""
    instance.batch(**others)
    instance.switch(outcomes=f"{ORDERS}:INCOMPLETE", incomplete_lists_migrated=True)
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, calls(instance)) == ("success", [2, 1, 1]), run.messages
    instance.holds()


def test_what_was_deleted_between_check_and_start_is_named_and_the_rest_arrives(instance, driver):
    instance.batch()
    gone = lambda: instance.house.control("DELETE", f"/domo/records/{ORDERS}")  # noqa: E731
    run = driver.play(MIGRATE, batch_id="b", before={"start_run": gone})
    assert (run.state, calls(instance)) == ("failed", [0, 1, 1])
    assert f"Domo no longer lists datasource {ORDERS}" in run.errors["start_run"][0]
    assert "nothing was sent for it" in run.errors["start_run"][0]
    assert (instance.last().verdict, instance.last().counts.accepted) == (Verdict.UNBALANCED, 2)
    driver.clear(run, "start_run", batch_id="b")
    assert (run.state, calls(instance)) == ("failed", [0, 1, 1]), "clearing does not help"

    instance.batch(datasources=THREE[1:])
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, calls(instance)) == ("success", [0, 1, 1]), again.messages
    assert (instance.last().attempt.number, instance.last().counts.accepted) == (2, 2)
    instance.holds()


def test_what_was_deleted_after_it_was_migrated_does_not_balance(instance, driver):
    instance.batch()
    gone = lambda: instance.house.control("DELETE", f"/domo/records/{ORDERS}")  # noqa: E731
    run = driver.play(MIGRATE, batch_id="b", before={"reconcile": gone})
    assert (run.state, calls(instance)) == ("failed", [1, 1, 1])
    assert (instance.last().verdict, instance.last().counts.unprocessed) == (Verdict.UNBALANCED, 1)
    assert ORDERS in run.message
    instance.holds()


def test_what_was_deleted_while_its_answer_was_lost_is_asked_about(instance, driver):
    instance.batch()
    instance.fault("POST", f"*/{ORDERS}/accounts/*", "drop_after")
    gone = lambda: instance.house.control("DELETE", f"/domo/records/{ORDERS}")  # noqa: E731
    instance.switch(list_delay_seconds=3600)
    run = driver.play(MIGRATE, batch_id="b", before={"confirm_start": gone})
    assert (run.states["confirm_start"], ORDERS in driver.asked[-1].body) == ("awaiting_input", True), run.messages
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert (run.state, instance.posts(ORDERS)) == ("failed", 1)
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, instance.posts(ORDERS)) == ("failed", 1), "there is nothing to send it to"
    assert f"Domo no longer lists datasource {ORDERS}" in again.messages
    instance.holds()


def test_a_manifest_that_is_changed_after_the_check_changes_nothing_about_what_is_sent(instance, driver):
    other = [THREE[0] | {"table": "payments"}, *THREE[1:]]
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b", before={"plan_run": lambda: instance.batch(datasources=other, at_once=1)})
    assert (run.state, calls(instance)) == ("success", [1, 1, 1]), run.messages
    tables = {one["id"]: one["table"] for one in instance.state["v2"]}
    assert tables == {one["id"]: one["table"] for one in THREE}, "what was checked is what is sent"
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, calls(instance)) == ("failed", [1, 1, 1])
    assert "with other coordinates. Reverse it first" in again.message
    assert [one.verdict for one in instance.standing().attempts] == [Verdict.BALANCED, Verdict.REFUSED]
    instance.holds()


def test_a_manifest_that_is_changed_before_the_check_sends_nothing(instance, driver):
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b", before={"check_batch": lambda: instance.batch(datasources=THREE[:1])})
    assert (run.state, calls(instance)) == ("failed", [0, 0, 0])
    assert "changed after it was admitted; nothing more is sent" in run.errors["check_batch"][-1]
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, calls(instance)) == ("success", [1, 0, 0]), again.messages


def renewed(monkeypatch, token):
    """A person puts another token into the connection."""
    told = json.loads(os.environ["AIRFLOW_CONN_DOMO_DEFAULT"]) | {"password": token}
    monkeypatch.setenv("AIRFLOW_CONN_DOMO_DEFAULT", json.dumps(told))


@pytest.mark.parametrize("way", ["clear", "trigger"])
def test_a_token_that_expires_midway_is_renewed_and_the_rest_is_sent(instance, driver, monkeypatch, way):
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b", before={"start_run[1]": lambda: instance.switch(admin_token="made-up-new-one")})
    assert (run.state, run.mapped["start_run"]) == ("failed", {0: "success", 1: "failed", 2: "failed"})
    assert len(run.errors["start_run"]) == 2, "a no about who we are is not tried again"
    assert all("create a new one in Domo, put it into the connection" in text for text in run.errors["start_run"])
    assert "made-up" not in run.messages
    renewed(monkeypatch, "made-up-new-one")
    run = driver.clear(run, "start_run", batch_id="b") if way == "clear" else driver.play(MIGRATE, batch_id="b")
    assert (run.state, calls(instance)) == ("success", [1, 1, 1]), run.messages
    instance.holds()


@pytest.mark.parametrize("good_for", range(3, 12))
def test_a_token_that_expires_at_any_call(instance, driver, monkeypatch, good_for):
    """The calls: types, accounts, the list; for each datasource the list and its migration; the list twice."""
    instance.batch()
    instance.switch(token_calls=good_for)
    run = driver.play(MIGRATE, batch_id="b")
    if good_for < 11:
        assert run.state == "failed"
        assert "HTTP 401" in run.messages
        instance.switch(admin_token="made-up-new-one", token_calls=0)
        renewed(monkeypatch, "made-up-new-one")
        run = driver.clear(run, next(task for task, state in run.states.items() if state == "failed"), batch_id="b")
    assert (run.state, instance.last().verdict) == ("success", Verdict.BALANCED), run.messages
    assert [instance.heard(one["id"]) for one in THREE] == [1, 1, 1]
    instance.holds()


def test_a_token_that_expires_while_a_lost_answer_is_watched_for_costs_no_proof(instance, driver, monkeypatch):
    instance.batch()
    instance.fault("POST", f"*/{ORDERS}/accounts/*", "drop_after")
    instance.switch(token_calls=5)
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, instance.fate(ORDERS).is_lost, driver.asked) == ("failed", True, []), "a 401 is no reason to ask"
    instance.switch(admin_token="made-up-new-one", token_calls=0)
    renewed(monkeypatch, "made-up-new-one")
    driver.clear(run, "start_run", batch_id="b")
    assert (run.state, [instance.heard(one["id"]) for one in THREE]) == ("success", [1, 1, 1]), run.messages
    instance.holds()


# Reversals and others


@pytest.mark.parametrize("task", ["start_run", "confirm_start", "reconcile", "settle_batch"])
def test_a_reversal_of_what_another_live_dag_run_holds_does_nothing(instance, driver, task):
    moved(instance, driver)
    instance.batch(reversal="auto", datasources=[*THREE, FOURTH])
    undos = []
    run = driver.play(MIGRATE, batch_id="b", before={task: lambda: undos.append(driver.play(REVERSE, batch_id="b"))})
    (undo,) = undos
    assert (undo.state, undo.states["check_undo"]) == ("success", "skipped"), undo.messages
    assert instance.posts(ending="reverse") == 0
    assert (run.state, instance.last().verdict) == ("success", Verdict.BALANCED), run.messages
    instance.holds()


def test_a_reversal_while_a_person_is_asked_about_a_lost_answer_is_refused(instance, driver):
    instance.batch(reversal="auto")
    instance.fault("POST", f"*/{ORDERS}/accounts/*", "drop_before")
    run = driver.play(MIGRATE, batch_id="b")
    undo = driver.play(REVERSE, batch_id="b")
    assert (undo.state, undo.states["undo_run"]) == ("failed", "upstream_failed")
    assert "is not known" in undo.errors["admit_batch"][-1]
    assert instance.posts(ending="reverse") == 0
    driver.answer(run, NOT_MOVED, batch_id="b")
    undo = driver.play(REVERSE, batch_id="b")
    assert (undo.state, instance.on_v2, instance.last().verdict) == ("success", set(), Verdict.UNDONE), undo.messages
    instance.holds()


def test_while_a_reversal_is_asked_about_nothing_else_is_sent_for_the_batch(instance, driver):
    moved(instance, driver, reversal="ask")
    undo = driver.play(REVERSE, batch_id="b")
    assert undo.states["approve_undo"] == "awaiting_input"
    instance.batch(reversal="ask", datasources=[*THREE, FOURTH])
    other = driver.play(MIGRATE, batch_id="b")
    assert (other.state, other.states["check_batch"]) == ("success", "skipped")
    twin = driver.play(REVERSE, batch_id="b")
    assert (twin.state, twin.states["check_undo"]) == ("success", "skipped")
    driver.answer(undo, APPROVE, batch_id="b")
    assert (undo.state, instance.last().verdict, instance.on_v2) == ("success", Verdict.UNDONE, set()), undo.messages
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, calls(instance), instance.posts(FOURTH["id"])) == ("success", [2, 2, 2], 1), again.messages
    assert [one.verdict for one in instance.standing().attempts] == [Verdict.UNDONE, Verdict.BALANCED]
    instance.holds()


@pytest.mark.parametrize("first", ["admit_batch", "check_undo", "approve_undo", "undo_run", "confirm_undo"])
def test_clearing_tasks_of_a_reversal_that_is_over_reverses_nothing_again(instance, driver, first):
    moved(instance, driver)
    undo = driver.play(REVERSE, batch_id="b")
    assert (undo.state, calls(instance, "reverse")) == ("success", [1, 1, 1])
    driver.clear(undo, first, batch_id="b")
    assert (undo.state, calls(instance, "reverse")) == ("success", [1, 1, 1]), undo.messages
    assert instance.last().verdict is Verdict.UNDONE
    instance.holds()


def test_clearing_the_migration_of_what_was_reversed_sends_nothing(instance, driver):
    run = moved(instance, driver)
    assert driver.play(REVERSE, batch_id="b").state == "success"
    for first in ("admit_batch", "check_batch", "start_run"):
        driver.clear(run, first, batch_id="b")
        assert calls(instance) == [1, 1, 1], run.messages
    assert instance.last().verdict is Verdict.UNDONE
    assert instance.on_v2 == set()


def test_a_reversal_of_which_one_datasource_was_not_sent_is_no_success(instance, driver):
    """Three were approved; the list was away when the first was to be sent, and the others are back."""
    moved(instance, driver)
    away = lambda: instance.fault("GET", "*/candidates/*", "status", status=403)  # noqa: E731
    undo = driver.play(REVERSE, batch_id="b", before={"undo_run": away})
    assert (undo.mapped["undo_run"], instance.on_v2) == ({0: "failed", 1: "success", 2: "success"}, {ORDERS})
    assert (undo.state, instance.last().verdict is Verdict.UNDONE) == ("failed", False), "one that was to go back has not"
    assert ORDERS in undo.message
    again = driver.play(REVERSE, batch_id="b")
    assert (again.state, instance.on_v2, instance.last().verdict) == ("success", set(), Verdict.UNDONE), again.messages
    instance.holds()


def test_a_worker_of_a_reversal_that_was_given_up_reverses_nothing_more(instance, driver):
    moved(instance, driver)

    def another():
        driver.runs[REVERSE, "slow"].state = "failed"
        assert driver.play(REVERSE, batch_id="b").state == "success"

    undo = driver.play(REVERSE, batch_id="b", run_id="slow", before={"undo_run[1]": another})
    assert undo.mapped["undo_run"] == {0: "success", 1: "failed", 2: "failed"}
    assert calls(instance, "reverse") == [1, 1, 1]
    assert instance.on_v2 == set()
    instance.holds()
