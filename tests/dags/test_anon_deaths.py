"""Workers that die at any line of every step of Anon's; the next try, or a person who clears the red task, goes on.

However it goes: a migration is adopted once, each file is kept once, nobody is told twice of the same, and the batch is settled.
Of the lines before which ledger, evidence and what people were told stand alike, one death stands for all.
"""

import inspect
import json
import shutil
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
from organisation import DISCOVER, WATCH, settle
from weather import together

from ferry.ledger.entries import Kind, Verdict

HERE, STEPS_OF = "ferry.vendors.anon.", "ferry.steps."
OPERATORS = HERE + "operators:Anon"
STEPS = {
    "find_run": [OPERATORS + "FindRunOperator.work_on", HERE + "finding:find_run", HERE + "finding:_adopt"],
    "await_run": [
        OPERATORS + "AwaitRunOperator.execute_complete",
        OPERATORS + "AwaitRunOperator._wait",
        HERE + "telling:tell",
        HERE + "telling:_send",
    ],
    "collect_files": [HERE + f"ending:{name}" for name in ("collect_files", "_collect", "_index")],
    "fetch_errors": [HERE + "ending:fetch_errors"],
    "reconcile": [OPERATORS + "ReconcileOperator.work_on", HERE + "ending:reconcile", HERE + "ending:_file_fates"],
    "settle_batch": [STEPS_OF + "settling:settle", STEPS_OF + "settling:_judged", STEPS_OF + "work:Work.judge"],
}
"""The steps, and the functions in which their worker may die."""
STORIES = {"find_run": "completes", "await_run": "forgets", "collect_files": "completes"}
REMIND_AFTER = 600.0


@dataclass
class Deaths:
    """The batch `b`, and workers that die over it."""

    organisation: Any
    driver: Any
    dying: Any
    monkeypatch: Any

    @property
    def house(self):
        return self.organisation.house

    @property
    def kept(self):
        return self.house.home / "kept.json"

    def die(self, step, line="nowhere", **more):
        """Play the DAG run in another process until its worker dies; the lines it came to."""
        mine = self.organisation
        self.house.control("POST", "/reset")
        self.house.forget()
        shutil.rmtree(self.house.evidence, ignore_errors=True)
        mine.heard.unlink(missing_ok=True)
        ref = mine.begin(STORIES.get(step, "partly"))
        mine.batch(migration=ref)
        people = f"{self.house.sandbox}/_sandbox/anon/people/{{{{ migration.id }}}}"
        if step == "await_run":
            mine.notify(self.monkeypatch, "ActingNotifier", remind_after=REMIND_AFTER, people=people)
            settle(self.monkeypatch, poll_seconds=60)
        return self.dying(
            dag=WATCH,
            task=step,
            functions=STEPS[step],
            line=line,
            run_id="r1",
            batch_id="b",
            kept=str(self.kept),
            **more,
        )

    def of(self, step):
        """One death for each world that the step leads through: the line before which it is so, and the how manieth time."""
        control = f"{self.house.sandbox}/_sandbox"
        asked = {"requests": f"{control}/requests?vendor=anon&method=POST", "state": f"{control}/anon/state?migrations=none"}
        manifest = self.organisation.folder("b") / "manifest.yaml"
        mine = {"ledger": self.house.home / "ledger.db", "evidence": self.house.evidence, "manifest": manifest}
        mine |= {"told": self.organisation.heard}
        found, worlds, times = [], set[str](), dict[str, int]()
        for seen in self.die(step, world=asked | {what: str(path) for what, path in mine.items()}):
            line, _, world = seen.partition("@")
            times[line] = times.get(line, 0) + 1
            if world not in worlds:
                worlds.add(world)
                found.append((line, times[line]))
        return found

    def go_on(self):
        """The next try, after a death."""
        return self.driver.play_on(WATCH, "r1", json.loads(self.kept.read_text("utf-8")), batch_id="b")


@pytest.fixture
def deaths(organisation, driver, dying, monkeypatch):
    settle(monkeypatch, read_timeout=10)  # a slow machine is no fault of Anon's
    return Deaths(organisation, driver, dying, monkeypatch)


@pytest.mark.parametrize("step", [together(f"anon {step}", step) for step in STEPS])
def test_a_worker_dies_at_any_line_and_the_next_try_does_nothing_twice(deaths, step):
    found, organisation = deaths.of(step), deaths.organisation
    assert len(found) > 1, "the step leads through worlds of its own"
    for line, time in found:
        assert deaths.die(step, line, time=time)[-1] == line
        before = list(organisation.told)
        run = deaths.go_on()
        last, partly = organisation.last(), STORIES.get(step, "partly") == "partly"
        assert run.state == ("failed" if partly else "success"), (line, run.messages)
        assert last.verdict is (Verdict.UNBALANCED if partly else Verdict.BALANCED), line
        assert organisation.counts() == {"sent": 4, "accepted": 3 if partly else 4} | ({"rejected": 1} if partly else {}), line
        assert [one.kind for one in last.entries if one.step == "find_run"] == [Kind.ADOPTED], line
        kept = [one.key for one in last.entries if one.step == "collect_files" and one.key]
        assert (len(kept), len(set(kept))) == (2, 2), line
        evidence = [path.name for path in deaths.house.evidence.rglob("collect_files/0*")]
        assert len(evidence) == 2, (line, evidence)
        assert len([one for one in last.entries if one.kind is Kind.VERDICT]) == 1, line
        people_heard_once(deaths, line, before, told=step == "await_run")
        organisation.holds()


def people_heard_once(deaths, line, before, *, told):
    """Of a wish in the ledger nobody knows whether it was heard: it is not repeated, and the reminder makes up for it."""
    if not told:
        assert deaths.organisation.told == []
        return
    heard = deaths.organisation.told
    assert len(heard) == len(set(heard)), line
    assert heard == before if before else len(heard) == 1, line
    if "NOT_STARTED, reminder True" in heard:
        assert not before, (line, "whoever was told and acts needs no reminder")


def test_the_deaths_of_who_tells_lie_before_between_and_after_the_wish_the_telling_and_its_entry(deaths):
    """Otherwise the test above would not have tried what it is about."""
    stands = []
    for line, time in deaths.of("await_run"):
        deaths.die("await_run", line, time=time)
        entries = [one.kind for one in deaths.organisation.last().entries if one.step == "tell_person"]
        stands.append((Kind.INTENT in entries, bool(deaths.organisation.told), Kind.RESULT in entries))
    assert set(stands) >= {(False, False, False), (True, False, False), (True, True, False), (True, True, True)}


def test_the_functions_are_where_the_table_says():
    for functions in STEPS.values():
        for name in functions:
            module, _, path = name.partition(":")
            found = import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
            assert inspect.isfunction(found), name


# Whoever discovers


def test_whoever_discovers_and_dies_before_triggering_leaves_everything_to_the_next(organisation, driver):
    refs = [organisation.begin(), organisation.begin()]

    class GoneError(BaseException):
        pass

    def gone():
        raise GoneError

    with pytest.raises(GoneError):
        driver.play(DISCOVER, before={"watch[1]": gone})
    driver.queued.clear()  # what was triggered has not begun either
    driver.runs.clear()
    assert all((organisation.folder(ref) / "manifest.yaml").exists() for ref in refs)
    assert driver.play(DISCOVER).state == "success"
    assert {organisation.last(ref).verdict for ref in refs} == {Verdict.BALANCED}
    organisation.holds(*refs)


def test_a_worker_of_a_dag_run_that_was_given_up_tells_nobody_after_another_has_taken_over(organisation, driver, monkeypatch):
    """Its worker was thought dead and moves again after another DAG run has taken the batch over."""
    organisation.notify(monkeypatch, "ActingNotifier", people=f"{organisation.house.sandbox}/_sandbox/anon/people/mine")
    organisation.batch(migration=organisation.begin("forgets", id="mine"))

    def another():
        driver.runs[WATCH, "slow"].state = "failed"
        assert driver.play(WATCH, batch_id="b").state == "success"

    driver.play(WATCH, run_id="slow", batch_id="b", before={"await_run": another})
    assert organisation.told == ["NOT_STARTED, reminder False"]
    assert organisation.last().verdict is Verdict.BALANCED
    organisation.holds()
