"""What scheduled, manual and backfill runs do with batches that are open, balanced, refused, asked about, held or left behind.

One story is lived through once: batches are brought into each standing, and then met by every kind of run while some of them
still wait. What each test asserts was seen in it. Starts are counted by the vendor. `docs/runs.md` says it in a table.
"""

from collections import defaultdict
from pathlib import Path

import httpx  # noqa: TID251  # the person at the vendor's own pages is no client of ours
import pytest
from tests.real.conftest import DagRun

from ferry.ledger.entries import Verdict
from ferry.steps.people import STARTED
from scripts.client import StackError
from scripts.environment import ROOT
from scripts.setting import wait_for_dags

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]
DAILY, DISPATCH = "dispatch_daily", "dispatch_batches"
QUIET_DAY, WAITING_DAY, BUSY_DAY = "2026-02-10", "2026-02-11", "2026-02-12"
NEXT_AFTERNOON = "2026-02-12T15:00:00Z"
"""A date in the trigger form: the day that has ended when it comes is the waiting day."""
BALANCED, LATE = "is-balanced", "comes-late"
ASKED, HELD, LEFT = "is-asked", "is-held", "is-left"
OPEN, REFUSED = "is-open", "is-refused"
WAITING = (ASKED, HELD, LEFT)
DUE = {BALANCED: QUIET_DAY, LATE: QUIET_DAY, OPEN: BUSY_DAY, REFUSED: BUSY_DAY} | dict.fromkeys(WAITING, WAITING_DAY)
WRONG_DATE = {"date": "17.03.98"}
PLAIN, DOUBT = "plain", "doubt"


class Story:
    """The days as they went by, and what was seen of them in passing."""

    def __init__(self, ferry):
        self.ferry, self.stack, self.doubt = ferry, ferry.stack, ferry.boxes[DOUBT]
        self.runs, self.by_hand, self.seen = {}, {}, {}

    # What happens, in this order

    def bring_into_standings(self):
        """One batch is balanced, one refused, one asked about, one held by a run of a person's, one left by a run that is red."""
        for batch_id in (*WAITING, BALANCED, REFUSED):
            self.batch(batch_id, **(WRONG_DATE if batch_id == REFUSED else {}))
            self.runs[batch_id] = self.trigger(batch_id, "of-petra" if batch_id == HELD else "1")
        self.runs[ASKED].until("open_run", "success")
        self.doubt.fault("PUT", f"*/migration/{self.last(ASKED).ref}/start", "drop_before")
        self.runs[LEFT].until("await_run", "deferred")
        self.runs[LEFT].mark("await_run", "failed")
        self.runs[HELD].until("await_run", "deferred")
        self.runs[ASKED].until("confirm_start", "awaiting_input")
        ends = {batch_id: self.runs[batch_id].end() for batch_id in (LEFT, BALANCED, REFUSED)}
        assert ends == {LEFT: "failed", BALANCED: "success", REFUSED: "failed"}
        self.batch(OPEN)
        self.note("before")

    def let_the_scheduler_begin(self):
        """Its own runs of the three days: nobody triggers them."""
        wait_for_dags(self.stack, {DAILY})
        self.stack.api("PATCH", f"/dags/{DAILY}", {"is_paused": False})
        for day in (QUIET_DAY, WAITING_DAY, BUSY_DAY):
            self.runs["scheduled", day] = self.found(DAILY, "scheduled", day)

    def meet_what_waits(self):
        """People trigger what is at work, dispatch by hand, and backfill; two days' dispatches are still on their way."""
        self.by_hand = {batch_id: self.trigger(batch_id, "again") for batch_id in (ASKED, HELD, BALANCED)}
        self.runs["dated"] = self.dispatch(logical_date=NEXT_AFTERNOON, conf={})
        self.runs["dateless"] = self.dispatch(logical_date=None, conf={"vendors": []})
        assert self.runs["scheduled", QUIET_DAY].end() == "success"
        self.seen["quiet day"] = self.runs["scheduled", QUIET_DAY].log("find_due")
        self.batch(LATE)
        self.ferry.backfill(f"{QUIET_DAY}T00:00", f"{WAITING_DAY}T00:00", dag_id=DAILY, behaviour="completed")
        self.ferry.backfill(WAITING_DAY, WAITING_DAY, behaviour="failed")
        self.runs["backfill"] = self.found(DISPATCH, "backfill", WAITING_DAY)
        waiting = [self.runs[name] for name in (("scheduled", WAITING_DAY), "dated", "backfill")]
        for run in waiting:
            self.stack.wait_for(lambda run=run: states(run) == dict.fromkeys(WAITING, "deferred"), f"{run.run_id} to wait", 240)
        self.seen["another backfill"] = self.another_backfill()
        assert {run.end() for run in self.by_hand.values()} == {"success"}
        self.seen["question"] = self.stack.api("GET", f"{self.runs[ASKED].path}/hitlDetails", response_received=False)
        self.seen["waiting"] = {run.run_id: run.state for run in waiting}
        self.seen["links"] = [link_of(run, HELD) for run in waiting]
        self.note("while they wait")

    def answer_and_correct(self):
        """A person looks at the vendor, starts what was not started there, and says so; another one corrects a file."""
        assert self.runs["scheduled", BUSY_DAY].end() == "failed"
        self.batch(REFUSED)
        self.by_hand[REFUSED] = self.trigger(REFUSED, "again")
        self.start_at_the_vendor(self.last(ASKED).ref)
        self.ferry.answer(self.runs[ASKED].tasks["confirm_start"], STARTED)
        self.runs[ASKED].until("await_run", "deferred")
        self.doubt.ask("POST", "/clock", json={"advance": 4000})
        self.seen["end of the corrected"] = self.by_hand[REFUSED].end()
        self.runs[REFUSED].clear(only_failed=True)
        self.seen["ends"] = {name: run.end() for name, run in self.runs.items()}
        self.note("after")

    # What people do

    def batch(self, batch_id, **how):
        self.ferry.batch(batch_id, box_of(batch_id), due=DUE[batch_id], **how)

    def trigger(self, batch_id, name):
        return self.ferry.trigger(batch_id, f"{batch_id}.{name}")

    def dispatch(self, **asked):
        made = self.ferry.press("POST", f"/dags/{DISPATCH}/dagRuns", asked)
        return DagRun(self.ferry, made["dag_run_id"], DISPATCH)

    def another_backfill(self):
        """What Airflow says to a person who wants another one."""

        def told():
            try:
                self.stack.airflow("backfill", "create", "--dag-id", DISPATCH, "--from-date", BUSY_DAY, "--to-date", BUSY_DAY)
            except StackError as error:
                return "" if "locked" in str(error) else str(error)
            return "It was taken."

        return self.stack.wait_for(told, "Airflow to say something about another backfill", 240, every=3.0)

    def start_at_the_vendor(self, ref):
        (asked,) = self.doubt.requests("PUT", f"*/migration/{ref}/start")
        form = {"grant_type": "client_credentials", "client_id": "ferry-demo", "client_secret": "ferry-demo-secret"}
        with httpx.Client(base_url=self.doubt.url, trust_env=False) as browser:
            token = browser.post("/fenergo/connect/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}", "X-TENANT-ID": "11111111-2222-3333-4444-555555555555"}
            browser.put(asked["path"], headers=headers).raise_for_status()

    # What is seen

    def found(self, dag_id, kind, day):
        """The DAG run of a kind that owns a day, once it is there."""

        def there():
            runs = self.stack.api("GET", f"/dags/{dag_id}/dagRuns", run_type=kind, limit=100)["dag_runs"]
            return [run["dag_run_id"] for run in runs if str(run["data_interval_start"]).startswith(day)]

        (run_id,) = self.stack.wait_for(there, f"a {kind} run of {dag_id} for {day}", 240, every=1.0)
        return DagRun(self.ferry, run_id, dag_id)

    def note(self, when):
        """How often the vendor heard a start, for each migration of each batch in turn. It knows them by their files' names."""
        heard = defaultdict(list)
        for box in (PLAIN, DOUBT):
            for migration in sorted(self.ferry.boxes[box].migrations, key=lambda one: one["createdDate"]):
                for file in migration["dataMigrationFilesDto"]:  # one, or none where nothing is uploaded yet
                    heard[file["fileName"].removesuffix(".csv")].append(migration["starts"])
        self.seen[when] = dict(heard)

    def last(self, batch_id):
        return self.ferry.last(batch_id, box_of(batch_id))

    def verdicts(self, batch_id):
        return [attempt.verdict for attempt in self.ferry.standing(batch_id, box_of(batch_id)).attempts]


def box_of(batch_id):
    return DOUBT if batch_id in WAITING else PLAIN


def tasks(run):
    """The tasks of a dispatch, by batch."""
    known = [ti for ti in run.tasks.values() if ti["task_id"] == "migrate" and ti["state"] != "removed"]
    return {str(ti["rendered_map_index"]).rpartition(".")[0]: ti for ti in known}


def states(run):
    return {batch_id: ti["state"] for batch_id, ti in tasks(run).items()}


def said(run, batch_id):
    return run.log("migrate", map_index=tasks(run)[batch_id]["map_index"])


def link_of(run, batch_id):
    path = f"{run.path}/taskInstances/migrate/links"
    links = run.ferry.stack.api("GET", path, map_index=tasks(run)[batch_id]["map_index"])["extra_links"]
    return str(links["Triggered DAG"]).partition("/dags/")[2]


@pytest.fixture(scope="module")
def story(ferry):
    """The whole of it."""
    told = Story(ferry)
    schedule_a_copy(Path(ferry.stack.env["AIRFLOW__CORE__DAGS_FOLDER"]))
    told.bring_into_standings()
    told.let_the_scheduler_begin()
    told.meet_what_waits()
    told.answer_and_correct()
    return told


def schedule_a_copy(folder):
    """The dispatch under another name, with the three days to catch up on: whatever day it is, the scheduler makes their runs."""
    first, last = (f'datetime.fromisoformat("{day}T00:00Z")' for day in (QUIET_DAY, BUSY_DAY))
    changes = {
        DISPATCH: DAILY,
        "from typing import Any\n": "from datetime import datetime\nfrom typing import Any\n",
        "catchup=False": f"catchup=True, start_date={first}, end_date={last}",
    }
    text = (ROOT / "dags" / f"{DISPATCH}.py").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / f"{DAILY}.py").write_text(text, encoding="utf-8")


@pytest.fixture
def scheduled(story):
    """The scheduler's own runs, by day."""
    return {day: story.runs["scheduled", day] for day in (QUIET_DAY, WAITING_DAY, BUSY_DAY)}


def test_a_scheduled_run_sends_what_is_open_and_what_was_refused_and_is_red_while_the_vendor_refuses_one(story, scheduled):
    busy = scheduled[BUSY_DAY]
    assert states(busy) == {OPEN: "success", REFUSED: "failed"}
    assert (busy.state, busy.states["check_balanced"]) == ("failed", "failed")
    assert "DAG run is-refused.2 of migrate_fenergo is red. Its settle_batch says why" in said(busy, REFUSED)
    assert "1 of 2 batches are not balanced: fenergo/is-refused" in busy.log("check_balanced")


def test_a_refused_batch_gets_one_new_attempt_for_each_time_it_is_asked_for(story):
    assert story.verdicts(REFUSED) == [Verdict.REFUSED, Verdict.REFUSED, Verdict.BALANCED]


def test_a_scheduled_run_does_not_even_list_a_balanced_batch_and_is_green(story):
    assert "0 open batches due from 2026-02-10 to 2026-02-10: none" in story.seen["quiet day"]
    assert story.verdicts(BALANCED) == [Verdict.BALANCED]


@pytest.mark.parametrize("kind", [("scheduled", WAITING_DAY), "dated", "backfill"], ids=["scheduled", "by hand", "backfill"])
def test_a_dispatch_waits_for_whoever_works_on_a_batch_and_is_green_when_all_balance(story, kind):
    run = story.runs[kind]
    assert story.seen["waiting"][run.run_id] == "running"
    for batch_id, name in {ASKED: "is-asked.1", HELD: "is-held.of-petra"}.items():
        assert f"DAG run {name} of migrate_fenergo is at work already; it is waited for" in said(run, batch_id)
    assert states(run) == dict.fromkeys(WAITING, "success")
    assert story.seen["ends"][kind] == "success"


def test_the_link_of_a_task_that_waits_leads_to_the_dag_run_it_waits_for_then_and_afterwards(story):
    there = "migrate_fenergo/runs/is-held.of-petra"
    assert story.seen["links"] == [there] * 3
    assert link_of(story.runs["dated"], HELD) == there


def test_while_they_wait_nothing_is_started_and_the_question_stands(story):
    assert {batch_id: story.seen["before"][batch_id] for batch_id in WAITING} == {ASKED: [0], HELD: [1], LEFT: [1]}
    assert {batch_id: story.seen["while they wait"][batch_id] for batch_id in WAITING} == {ASKED: [0], HELD: [1], LEFT: [1]}
    (question,) = story.seen["question"]["hitl_details"]
    assert question["subject"] == "Was the run of batch is-asked started?"
    assert question["task_instance"]["dag_run_id"] == "is-asked.1"


def test_once_it_is_answered_and_the_vendor_is_done_all_that_waited_balances_in_its_first_attempt(story):
    assert [story.verdicts(batch_id) for batch_id in WAITING] == [[Verdict.BALANCED]] * len(WAITING)
    assert {batch_id: story.seen["ends"][batch_id] for batch_id in (ASKED, HELD)} == {ASKED: "success", HELD: "success"}


def test_a_batch_whose_dag_run_ended_red_is_taken_up_by_the_dispatch_in_that_same_dag_run(story):
    assert story.last(LEFT).holder.run_id == "is-left.1"
    assert story.runs[LEFT].tasks["admit_batch"]["try_number"] == 2
    assert story.runs[LEFT].states["settle_batch"] == "success"


@pytest.mark.parametrize(
    ("batch_id", "why"),
    [
        (ASKED, "is held by DAG run is-asked.1 of migrate_fenergo, which still runs"),
        (HELD, "is held by DAG run is-held.of-petra of migrate_fenergo, which still runs"),
        (BALANCED, "balances; nothing is left to do"),
    ],
)
def test_a_second_trigger_of_what_is_held_or_balanced_ends_green_with_nothing_sent_and_says_why(story, batch_id, why):
    run = story.by_hand[batch_id]
    assert {state for name, state in run.states.items() if name != "admit_batch"} == {"skipped"}
    assert why in run.log("admit_batch")


def test_a_corrected_batch_that_a_person_triggers_balances(story):
    assert story.seen["end of the corrected"] == "success"
    assert story.last(REFUSED).holder.run_id == "is-refused.again"


def test_clearing_what_failed_of_a_refused_run_sends_nothing_and_is_green_once_a_later_attempt_balances(story):
    tries = {name: ti["try_number"] for name, ti in story.runs[REFUSED].tasks.items()}
    assert {name for name, number in tries.items() if number == 2} == {"settle_batch"}
    assert story.seen["ends"][REFUSED] == "success"


def test_a_dispatch_by_hand_with_a_date_takes_the_day_that_ended_before_it(story):
    assert "3 open batches due from 2026-02-11 to 2026-02-11: " in story.runs["dated"].log("find_due")


def test_a_dispatch_by_hand_without_a_date_takes_what_is_due_up_to_today(story):
    assert " open batches due up to 20" in story.runs["dateless"].log("find_due")
    assert story.seen["ends"]["dateless"] == "success"


def test_a_backfill_of_what_is_completed_clears_a_green_day_and_sends_only_what_came_late(story, scheduled):
    quiet = scheduled[QUIET_DAY]
    assert quiet.tasks["find_due"]["try_number"] == 2
    assert states(quiet) == {LATE: "success"}
    assert story.seen["ends"]["scheduled", QUIET_DAY] == "success"


def test_a_backfill_leaves_out_a_day_whose_dispatch_still_waits(scheduled):
    """It was asked for with `completed`, and Airflow says nothing."""
    assert scheduled[WAITING_DAY].tasks["find_due"]["try_number"] == 1


def test_no_other_backfill_is_taken_while_one_waits_for_a_person(story):
    assert "AlreadyRunningBackfill" in story.seen["another backfill"]


def test_the_vendor_heard_of_each_migration_once_and_of_none_that_nobody_wanted(ferry, story):
    assert story.seen["after"] == {
        BALANCED: [1],
        LATE: [1],
        OPEN: [1],
        REFUSED: [1, 1, 1],
        ASKED: [1],
        HELD: [1],
        LEFT: [1],
    }
    heard = {box: len(ferry.boxes[box].requests("PUT", "*/start")) for box in (PLAIN, DOUBT)}
    assert heard == {PLAIN: 6, DOUBT: 4}  # one of the last was lost, and is the one that a person made up for
    assert ferry.ledger.verify("fenergo") == []
