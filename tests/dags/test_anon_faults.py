"""The fault table: every call to Anon, every way it can go wrong, and what must become of the batch.

Everything may be asked again, because nothing is ever changed. What passes is got over without a person; what lasts is red with a
sentence that helps, and goes on when the fault is gone and the red task is cleared. Nothing is collected or counted twice.
"""

import re

import pytest
from organisation import DISCOVER, FILES, LIST, STORAGE, TASKS, WATCH, settle
from weather import ACTIONS, ENDS, Call, Chapter, Words

from ferry.ledger.entries import Verdict

WEATHER = ACTIONS | {str(status): {"action": "status", "status": status} for status in (400, 404, 409, 422, 502)}
WEATHER |= {
    "nothing in it": {"action": "status", "status": 200, "body": "{}"},
    "no id": {"action": "status", "status": 200, "body": '{"data": [{"status": "COMPLETE"}]}'},
    "another one": {"action": "status", "status": 200, "body": '{"id": "another", "status": "COMPLETE"}'},
    "no list": {"action": "status", "status": 200, "body": '["COMPLETE"]'},
}
CALLS = {
    "list": Call(DISCOVER, "discover", "GET", LIST, "find what people began", "_page"),
    "get": Call(WATCH, "find_run", "GET", "*/migrations/mine", "read the migration", "migration"),
    "list to find": Call(WATCH, "find_run", "GET", LIST, "find the migration in the list", "_page"),
    "look": Call(WATCH, "await_run", "GET", LIST, "wait for the end of the migration", "_page"),
    "list of files": Call(WATCH, "collect_files", "GET", FILES, "list its files", "_page"),
    "file": Call(WATCH, "collect_files", "GET", STORAGE, "read a file by its signed link", "download"),
    "tasks for errors": Call(WATCH, "fetch_errors", "GET", TASKS, "list its parts, for what failed", "_page"),
    "tasks": Call(WATCH, "reconcile", "GET", TASKS, "list its parts, for the reconciliation", "_page"),
}
"""By the DAG that makes them."""
PASSING = ["before", "after", "429", "429+", "500", "502", "503", "delay", "cut"]
"""What every call gets over by itself."""
BEARS = {"get": ["404"], "file": ["403", "garbage"]}
"""What only some get over: a link that is refused is asked for anew, a migration that cannot be looked at yet is in the list."""
BORNE = ["401", "403", "404", "garbage", "nothing in it", "no id"]
"""What a wait bears with for ten minutes, in case it passes."""
GOT_OVER = {name: [*PASSING, *BEARS.get(name, [])] for name in CALLS}
SAYS = {
    "away": r"(gave no whole answer|HTTP (429|503)).*may be tried again\.$",
    "no": r"HTTP 4(00|09|22): .*Correct what it names, then clear the task\.$",
    "who": r"HTTP 40[13]: .*Check credentials and permissions of the connection",
    "where": r"HTTP 404: ",
    "odd": r"not JSON.*Check that the connection's base URL leads to the vendor",
    "outside": r"is no list of objects.*outside its contract\. Check that the connection's host leads to Anon\.$",
    "without": r"without an id.*Its answer was not used\.$",
    "other": r"was asked for migration mine and answered with another\. Nothing of it was used\.$",
    "late": r"did not end within 6\.0 h.*clear await_run to wait on\. Nothing is started again\.$",
    "link": r"Storage refused 3 fresh links in a row for file .* may be tried again\.$",
    "size": r"is \d+ bytes by Anon's list and \d+ came\. It was thrown away",
}
NOES = {"before": "away", "503": "away", "429": "away", "400": "no", "409": "no", "401": "who", "403": "who", "404": "where"}
LISTS = NOES | {"422": "no", "garbage": "odd", "nothing in it": "outside", "no list": "outside", "no id": "without"}
LASTING = dict.fromkeys(CALLS, LISTS) | {
    "get": {name: says for name, says in NOES.items() if name != "404"}
    | {"garbage": "odd", "another one": "other", "nothing in it": "without"},
    "look": LISTS | {"before": "late", "503": "late", "429": "late"},
    "file": {"before": "away", "503": "away", "400": "no", "404": "where", "403": "link", "garbage": "size"},
}
"""What each call does not get over, and what the red task says then."""

# For docs/faults.md
CHAPTER = Chapter(
    "anon",
    CALLS,
    {name: dict.fromkeys([*passing, *(BORNE if name == "look" else [])], "ok") for name, passing in GOT_OVER.items()},
    LASTING,
    good={DISCOVER: "balances", WATCH: "balances", "tasks for errors": "what failed is listed"},
    ends=ENDS
    | {
        "no": Words("red: refused", "the message says to correct what the answer names, and then to clear the task"),
        "where": Words("red: not found", "the message has Anon's 404"),
        "outside": Words("red: no list", "the answer is no list of objects; the message says to check the connection's host"),
        "without": Words("red: no id", "the answer has no id, and was not used"),
        "other": Words("red: another one", "another migration came than was asked for, and was not used"),
        "link": Words("red: links refused", "storage refused three fresh links in a row; the step may be tried again"),
        "size": Words("red: wrong size", "the file is not as long as the list says, and was thrown away"),
    },
    faults={
        "nothing in it": Words("nothing in it", "HTTP 200 with an empty JSON object"),
        "no id": Words("no id", "HTTP 200 with a migration that has no id"),
        "another one": Words("another one", "HTTP 200 with another migration than was asked for"),
        "no list": Words("no list", "HTTP 200 with a list that holds no objects"),
    },
)


@pytest.fixture
def organisation(organisation, driver, monkeypatch):
    """The organisation; a wait takes six hours and not two weeks."""
    waiting = driver.dags[WATCH].get_task("await_run").start_trigger_args.trigger_kwargs
    monkeypatch.setitem(waiting, "patience", 6 * 3600.0)
    settle(monkeypatch, read_timeout=10)  # a slow machine is no fault of Anon's
    yield organisation
    organisation.clear_weather()


@pytest.fixture
def impatient(organisation, monkeypatch):
    """A connection whose patience ends before a delayed answer comes."""
    settle(monkeypatch, read_timeout=0.4)


def played(organisation, driver, name, befalls):
    """The DAG run that makes a call; something befalls it just before its task."""
    dag, task = CALLS[name].journey, CALLS[name].task
    organisation.begin("partly" if name == "tasks for errors" else "completes", id="mine", company_id="acme")
    if dag == DISCOVER:
        return driver.play(DISCOVER, before={task: befalls})
    known = {"find": {"company_id": "acme"}} if name == "list to find" else {"migration": "mine"}
    organisation.batch("mine", **known)
    return driver.play(WATCH, batch_id="mine", before={task: befalls})


def faulty(organisation, name, action, times=None):
    organisation.fault(CALLS[name].path, **WEATHER[action], times=times)


def ends_well(organisation, run, name):
    last = organisation.last("mine")
    if name == "tasks for errors":
        assert (run.state, last.verdict) == ("failed", Verdict.UNBALANCED), run.messages
        assert organisation.counts("mine") == {"sent": 4, "accepted": 3, "rejected": 1}
        assert len(organisation.rows("fetch_errors", "failed.csv", "mine")) == 1
    else:
        assert (run.state, last.verdict) == ("success", Verdict.BALANCED), run.messages
        assert organisation.counts("mine") == {"sent": 4, "accepted": 4}
    assert last.attempt.number == 1
    assert len(organisation.rows("collect_files", "files.csv", "mine")) == 2
    kept = [one.key for one in last.entries if one.step == "collect_files" and one.key]
    assert len(kept) == len(set(kept)) == 2, "each file is kept once"
    organisation.holds("mine")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", CALLS)
def test_what_passes_is_got_over_without_a_person(organisation, driver, name):
    got_over(organisation, driver, name, GOT_OVER[name])


def test_a_wait_bears_with_a_no_that_passes_within_ten_minutes(organisation, driver):
    got_over(organisation, driver, "look", BORNE)


def got_over(organisation, driver, name, actions):
    def befalls():
        for action in actions:
            faulty(organisation, name, action, times=1)

    run = played(organisation, driver, name, befalls)
    assert organisation.house.control("GET", "/anon/faults") == [], "every fault has struck"
    assert run.states[CALLS[name].task] == "success"
    ends_well(organisation, run, name)


@pytest.mark.parametrize("name", CALLS)
def test_what_lasts_is_red_and_goes_on_when_the_fault_is_gone_and_the_red_task_is_cleared(organisation, driver, name):
    dag, task, noes, run = CALLS[name].journey, CALLS[name].task, LASTING[name], None
    conf = {} if dag == DISCOVER else {"batch_id": "mine"}
    for action, says in noes.items():
        if run is None:
            run = played(organisation, driver, name, lambda action=action: faulty(organisation, name, action))
        else:
            faulty(organisation, name, action)
            driver.clear(run, task, **conf)
        assert (run.state, run.states[task]) == ("failed", "failed"), (action, run.states)
        assert re.search(SAYS[says], run.errors[task][-1]), (action, run.errors[task][-1])
        assert dag == DISCOVER or organisation.last("mine").is_open
        organisation.clear_weather()
    driver.clear(run, task, **conf)
    assert run.states[task] == "success", run.messages
    ends_well(organisation, run, name)


def test_the_table_names_what_lasts_for_every_call():
    assert LASTING.keys() == CALLS.keys()
    assert {says for noes in LASTING.values() for says in noes.values()} == SAYS.keys()
    used = (
        {action for noes in LASTING.values() for action in noes}
        | set(PASSING)
        | set(BORNE)
        | {one for more in BEARS.values() for one in more}
    )
    assert used == WEATHER.keys()


def test_a_page_that_is_not_found_ends_the_list_and_is_no_fault(organisation, driver):
    organisation.switch(past_end="404")
    run = played(organisation, driver, "list", lambda: None)
    ends_well(organisation, run, "list")


@pytest.mark.parametrize("status", ["400", "422"])
def test_a_page_size_that_is_not_taken_is_left_out(organisation, driver, status):
    organisation.switch(page_size_answer=status)
    for _ in range(12):
        organisation.begin("forgets", created_ago=3600, company_id="other")
    run = played(organisation, driver, "list to find", lambda: None)
    ends_well(organisation, run, "list to find")


def test_a_key_that_was_revoked_is_red_everywhere_and_nothing_is_lost(organisation, driver):
    organisation.begin(id="mine")
    run = driver.play(WATCH, batch_id="mine", before={"admit_batch": lambda: organisation.batch("mine", migration="mine")})
    ends_well(organisation, run, "get")
    organisation.switch(api_key="")
    refused = driver.play(DISCOVER)
    assert (refused.state, refused.states["watch"]) == ("failed", "upstream_failed")
    assert re.search(SAYS["who"], refused.errors["discover"][-1])
    assert len(refused.errors["discover"]) == 1, "a no is not tried again"


def test_of_a_file_that_breaks_off_nothing_is_kept_and_what_was_collected_is_not_fetched_again(organisation, driver):
    def befalls():
        organisation.fault(STORAGE, **WEATHER["404"], times=None, skip=1)

    run = played(organisation, driver, "file", befalls)
    assert run.states["collect_files"] == "failed"
    organisation.clear_weather()
    (first,) = [one for one in organisation.last("mine").entries if one.step == "collect_files" and one.key]
    loaded = [one["path"] for one in organisation.requests(path=STORAGE) if one["status"] == 200]
    organisation.switch(order="oldest")  # the list may come in another order the next time
    driver.clear(run, "collect_files", batch_id="mine")
    ends_well(organisation, run, "file")
    again = [one["path"] for one in organisation.requests(path=STORAGE) if one["status"] == 200]
    assert (len(loaded), len(again), len(set(again))) == (1, 2, 2)
    assert first.key in {row["id"] for row in organisation.rows("collect_files", "files.csv", "mine")}


def test_links_that_are_over_before_they_are_used_are_asked_for_anew(organisation, driver):
    organisation.switch(file_url_seconds=30)

    def late():
        organisation.fault(STORAGE, **WEATHER["503"], times=1)
        driver.clock.beside = lambda seconds: organisation.advance(60 if seconds else 0)  # the link's life ends in the pause

    run = played(organisation, driver, "file", late)
    assert [one["status"] for one in organisation.requests(path=STORAGE)] == [503, 403, 200, 403, 200]
    ends_well(organisation, run, "file")
