"""The fault table: every call to Domo, every way it can go wrong, and what must become of the batch.

No datasource is migrated twice, whatever became of the answer; what Domo's list proves is adopted, and what nothing proves is
asked about in one question. What recovers by itself does; what does not is red with a sentence that helps, and goes on when the
fault is gone and the red task is cleared.
"""

import re
from functools import partial

import pytest
from instance import BACK, CUSTOMERS, LINES, LIST, MIGRATE, ORDERS, POST, REVERSE, THREE
from weather import ACTIONS, ENDS, Call, Chapter, Words, cases, grid, in_passing, in_the_end

from ferry.ledger.entries import Kind, Verdict
from ferry.vendors.domo.fates import MEND
from ferry.vendors.domo.operators import LOOK_AGAIN, NOT_MOVED

TWO = THREE[:2]
REPEAT = "Repeat the migration"
CHECK, START, CONFIRM, RECONCILE = "check_batch", "start_run", "confirm_start", "reconcile"
CHECK_UNDO, UNDO, CONFIRM_UNDO = "check_undo", "undo_run", "confirm_undo"

CALLS = {
    "types": Call("migrate", CHECK, "GET", "*/types", "list the types of datasources", "_read"),
    "accounts": Call("migrate", CHECK, "GET", "*/accounts/*", "list the accounts", "_read"),
    "candidates": Call("migrate", CHECK, "GET", LIST, "list the datasources, for the check", "_read"),
    "elsewhere": Call("stranger", CHECK, "GET", "*/candidates/58", "look for a datasource in another account", "_read"),
    "before": Call("migrate", START, "GET", LIST, "see how a datasource stands before it is migrated", "_read"),
    "migrate": Call("migrate", START, "POST", POST, "migrate a datasource", "_move"),
    "watch": Call("lost", START, "GET", LIST, "watch the list after a lost answer", "_read", skip=1),
    "weigh": Call("lost", START, "GET", LIST, "read the list that proves a lost migration", "_read", skip=2),
    "before_repeat": Call(
        "incomplete", START, "GET", LIST, "see how a datasource stands before its migration is repeated", "_read", skip=1
    ),
    "repeat": Call("incomplete", START, "POST", POST, "repeat a migration that was INCOMPLETE", "_move", skip=1),
    "confirm": Call("by_hand", CONFIRM, "GET", LIST, "read the list before a person is asked", "_read"),
    "answered": Call("answered", CONFIRM, "GET", LIST, "read the list after a person has answered", "_read"),
    "late": Call("migrate", RECONCILE, "GET", LIST, "read the list once all are migrated", "_read"),
    "watch_late": Call("late", RECONCILE, "GET", LIST, "watch a list that lags behind", "_read", skip=1),
    "count": Call("migrate", RECONCILE, "GET", LIST, "read the list for the reconciliation", "_read", skip=1),
    "before_mend": Call("put_back", MEND, "GET", LIST, "see how a half-done datasource stands before it is mended", "_read"),
    "mend": Call("put_back", MEND, "POST", BACK, "put a half-done datasource back", "_move"),
    "mend_again": Call("asked", MEND, "POST", POST, "migrate a half-done datasource again, as a person said", "_move"),
    "check_undo": Call("undo", CHECK_UNDO, "GET", LIST, "list the datasources, before a reversal", "_read"),
    "before_undo": Call("undo", UNDO, "GET", LIST, "see how a datasource stands before it is reversed", "_read"),
    "undo": Call("undo", UNDO, "POST", BACK, "reverse a datasource", "_move"),
    "watch_undo": Call("undo_lost", UNDO, "GET", LIST, "watch the list after a lost reversal", "_read", skip=1),
    "confirm_undo": Call(
        "undo_by_hand", CONFIRM_UNDO, "GET", LIST, "read the list before a person is asked about a reversal", "_read"
    ),
    "undone": Call("undo", CONFIRM_UNDO, "GET", LIST, "read the list after the reversals", "_read"),
}
# One word for each end. `ok`: the batch balances, is put back, or is refused for its stranger, as its journey has it. `asks`: a
# person is asked whether a datasource was moved. All others are red, and the task that made the call says:
SAYS = {
    "away": r"(gave no whole answer|HTTP 429).*may be tried again\.$",
    "token": r"HTTP 401: Unauthorized\. Access tokens expire .* put it into the connection, then clear the task\.$",
    "who": r"HTTP 403: Forbidden\. The token has its user's rights: .* then clear the task\.$",
    "odd": r"not JSON.*Check that the connection's base URL leads to the vendor",
    "unknown": r"the (migration|reversal) is not known.*may be broken until .* completes: clear this task to send it again\.$",
}

ONCE = """
              before  after   429+    500     401     403     delay   cut     garbage
types         ok      ok      ok      ok      token   who     ok      ok      odd
accounts      ok      ok      ok      ok      token   who     ok      ok      odd
candidates    ok      ok      ok      ok      token   who     ok      ok      odd
elsewhere     ok      ok      ok      ok      token   who     ok      ok      odd
before        ok      ok      ok      ok      token   who     ok      ok      odd
migrate       asks    ok      ok      asks    token   who     asks    ok      asks
watch         ok      ok      ok      ok      ok      ok      ok      ok      ok
weigh         ok      ok      ok      ok      token   who     ok      ok      odd
before_repeat ok      ok      ok      ok      token   who     ok      ok      odd
repeat        asks    ok      ok      asks    token   who     asks    ok      asks
confirm       ok      ok      ok      ok      token   who     ok      ok      odd
answered      ok      ok      ok      ok      token   who     ok      ok      odd
late          ok      ok      ok      ok      token   who     ok      ok      odd
watch_late    ok      ok      ok      ok      ok      ok      ok      ok      ok
count         ok      ok      ok      ok      token   who     ok      ok      odd
before_mend   ok      ok      ok      ok      token   who     ok      ok      odd
mend          unknown unknown ok      unknown token   who     unknown unknown unknown
mend_again    unknown ok      ok      unknown token   who     unknown ok      unknown
check_undo    ok      ok      ok      ok      token   who     ok      ok      odd
before_undo   ok      ok      ok      ok      token   who     ok      ok      odd
undo          asks    ok      ok      asks    token   who     asks    ok      asks
watch_undo    ok      ok      ok      ok      ok      ok      ok      ok      ok
confirm_undo  ok      ok      ok      ok      token   who     ok      ok      odd
undone        ok      ok      ok      ok      token   who     ok      ok      odd
"""

ALWAYS = """
              before  403
types         away    who
accounts      away    who
candidates    away    who
elsewhere     away    who
before        away    who
migrate       asks    who
watch         away    who
weigh         away    who
before_repeat away    who
repeat        asks    who
confirm       away    who
answered      away    who
late          away    who
watch_late    away    who
count         away    who
before_mend   away    who
mend          unknown who
mend_again    unknown who
check_undo    away    who
before_undo   away    who
undo          asks    who
watch_undo    away    who
confirm_undo  away    who
undone        away    who
"""

# For docs/faults.md
CHAPTER = Chapter(
    "domo",
    CALLS,
    grid(ONCE),
    grid(ALWAYS),
    good=dict.fromkeys(("migrate", "lost", "incomplete", "by_hand", "answered", "late", "asked"), "balances")
    | dict.fromkeys(("undo", "undo_lost", "undo_by_hand"), "undone")
    | {"stranger": "refused, as it should be", "put_back": "put back"},
    ends=ENDS
    | {
        "token": Words("red: token refused", "the message says that tokens expire, and to put a new one into the connection"),
        "who": Words("red: not allowed", "the message says that the token has its user's rights, and to have them extended"),
        "unknown": Words(
            "red: half-done",
            "what became of a datasource that was half-done is not known. The message says that it may be broken until the call "
            "completes, and that whoever clears the task sends it again",
        ),
    },
)


def prepare(instance, driver, journey):
    """The batch `b` of a journey; returns the DAG that is played, what happens before one of its tasks, and a person's answer."""
    if journey.startswith("undo"):
        instance.batch(datasources=TWO, reversal="auto")
        assert driver.play(MIGRATE, batch_id="b").state == "success"
        if journey != "undo":
            instance.fault("POST", BACK, "drop_after" if journey == "undo_lost" else "drop_before")
        by_hand = {CONFIRM_UNDO: lambda: instance.by_hand(ORDERS, "reverse")} if journey == "undo_by_hand" else {}
        return REVERSE, by_hand, None
    stranger = [TWO[0], TWO[1] | {"id": "nobody"}]
    mending = {"put_back": {"on_incomplete": "reverse"}, "asked": {"on_incomplete": "ask"}}.get(journey, {})
    instance.batch(datasources=stranger if journey == "stranger" else TWO, **mending)
    if journey in {"incomplete", "put_back", "asked"}:
        instance.switch(outcomes=f"{ORDERS}:INCOMPLETE,COMPLETE", reverse_rescues=True)
    if journey == "late":
        instance.switch(list_delay_seconds=10)
        driver.clock.beside = lambda seconds: instance.house.control("POST", "/clock", json={"advance": seconds})
    if journey in {"lost", "by_hand", "answered"}:
        instance.fault("POST", POST, "drop_after" if journey == "lost" else "drop_before")
    by_hand = {CONFIRM: lambda: instance.by_hand(ORDERS, "migrate", accountId="41")} if journey == "by_hand" else {}
    return MIGRATE, by_hand, REPEAT if journey == "asked" else None


def play(instance, driver, names, action, times):
    journey = CALLS[names[0]].journey
    dag, before, answer = prepare(instance, driver, journey)
    if action == "delay":
        driver.clock.pace = 0.1  # the vendor is late in real time

    def fault(call):
        before.get(call.task, bool)()
        instance.fault(call.method, call.path, **ACTIONS[action], times=times, skip=call.skip)

    if journey != "answered":
        faults = {CALLS[name].task: partial(fault, CALLS[name]) for name in names}
        return driver.play(dag, batch_id="b", before=before | faults, answer=answer)
    run = driver.play(dag, batch_id="b")
    assert run.states[CONFIRM] == "awaiting_input"
    instance.by_hand(ORDERS, "migrate", accountId="41")
    fault(CALLS[names[0]])
    return driver.answer(run, LOOK_AGAIN, batch_id="b")


@pytest.mark.parametrize(("action", "names"), in_passing(ONCE, CALLS))
def test_faults_that_pass_by_themselves(instance, driver, action, names):
    run = play(instance, driver, names, action, times=1)
    ends_as(instance, run, names[0], "ok")
    assert instance.house.control("GET", "/domo/faults") == [], "each has struck"


@pytest.mark.parametrize(("name", "action", "end"), in_the_end(ONCE, ALWAYS))
def test_one_fault_that_does_not(instance, driver, name, action, end):
    run = play(instance, driver, [name], action, times=1)
    ends_as(instance, run, name, end)


@pytest.mark.parametrize(("name", "action", "end"), cases(ALWAYS))
def test_a_fault_that_lasts_until_somebody_clears_the_red_task(instance, driver, name, action, end):
    run = play(instance, driver, [name], action, times=None)
    ends_as(instance, run, name, end)
    if end == "asks":
        return
    instance.house.control("DELETE", "/domo/faults")
    driver.clear(run, CALLS[name].task, batch_id="b")
    ends_as(instance, run, name, "ok", heard=2 if end == "unknown" else 1)


def ends_as(instance, run, name, end, heard=1):
    """The end of a DAG run, and what holds whatever the end. `heard`: how often a call may have reached the vendor at most."""
    instance.holds()
    call, last = CALLS[name], instance.last()
    forward = heard if call.journey == "asked" else 1
    for one in (ORDERS, LINES):
        said_incomplete = one == ORDERS and call.journey in {"incomplete", "asked"}
        assert instance.heard(one) <= forward + said_incomplete, run.messages
        assert instance.heard(one, "reverse") <= heard, run.messages
    if end == "ok":
        good(instance, run, call.journey)
    elif end == "asks":
        asks = CONFIRM_UNDO if run.dag_id == REVERSE else CONFIRM
        assert (run.state, run.states[asks]) == ("running", "awaiting_input"), run
        assert last.is_open
    else:
        assert run.states[call.task] == "failed", run
        assert re.search(SAYS[end], run.errors[call.task][-1]), run.errors[call.task][-1]
        if run.state != "failed":  # a later task has found out what this one could not
            good(instance, run, call.journey)


def good(instance, run, journey):
    """The end that a journey has in good weather."""
    last = instance.last()
    if journey == "stranger":
        assert (run.state, last.verdict, instance.heard()) == ("failed", Verdict.REFUSED, 0), run.messages
        assert "has no candidate nobody" in run.errors[CHECK][-1]
    elif journey == "put_back":
        assert (run.states[MEND], last.verdict, last.counts.accepted) == ("success", Verdict.UNBALANCED, 1), run.messages
        assert instance.fate(ORDERS).is_back, "the ledger knows that it was put back"
        assert (instance.on_v2, instance.broken()) == ({LINES}, set())
    elif journey.startswith("undo"):
        assert (run.state, last.verdict, instance.on_v2) == ("success", Verdict.UNDONE, set()), run.messages
    else:
        assert (run.state, last.verdict, instance.on_v2) == ("success", Verdict.BALANCED, {ORDERS, LINES}), run.messages


# The answer to a migration is lost


@pytest.fixture
def lost_after(instance, driver):
    """Brings it about that the vendor does all migrations of the batch and no answer arrives, or none of any use."""

    def lose(how):
        if how == "late":
            instance.switch(migrate_seconds=5)
            driver.clock.beside = lambda seconds: instance.house.control("POST", "/clock", json={"advance": seconds})
        elif how == "without a state":
            instance.switch(answer_drops="state")
        else:
            instance.fault("POST", POST, **ACTIONS[how], times=3)

    return lose


@pytest.mark.parametrize("how", ["after", "cut", "late", "without a state"])
def test_what_the_list_proves_is_adopted_and_nobody_is_asked(instance, driver, lost_after, how):
    instance.batch()
    lost_after(how)
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, driver.asked) == ("success", []), run.messages
    assert {one["id"]: instance.posts(one["id"]) for one in THREE} == {ORDERS: 1, LINES: 1, CUSTOMERS: 1}
    adopted = {entry.key: entry for entry in instance.last().entries if entry.kind is Kind.ADOPTED}
    assert set(adopted) == {ORDERS, LINES, CUSTOMERS}
    assert {entry.note for entry in adopted.values()} == {
        "The answer was lost; Domo's candidates list shows the datasource migrated."
    }
    assert instance.last().verdict is Verdict.BALANCED
    instance.holds()


def lose_one(instance, driver, how="before", **section):
    """The first of three migrations never arrives; the DAG run waits for a person, who was asked about it and no other."""
    instance.batch(**section)
    instance.fault("POST", f"*/{ORDERS}/accounts/*", **ACTIONS[how])
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, run.states[CONFIRM]) == ("running", "awaiting_input"), run.messages
    (question,) = driver.asked
    assert (ORDERS in question.body, LINES in question.body, CUSTOMERS in question.body) == (True, False, False)
    assert question.options == [LOOK_AGAIN, NOT_MOVED]
    assert "answer to the migration of 1 datasources was lost" in question.body
    assert "Nothing is sent a second time while nobody knows" in question.body
    assert {one["id"]: instance.posts(one["id"]) for one in THREE} == {ORDERS: 1, LINES: 1, CUSTOMERS: 1}
    assert instance.fate(ORDERS).is_lost
    return run


@pytest.mark.parametrize("how", ["before", "500", "503", "garbage"])
def test_what_nothing_proves_is_asked_about_and_is_sent_by_the_next_trigger_if_it_was_not_moved(instance, driver, how):
    run = lose_one(instance, driver, how)
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert (run.state, run.states["settle_batch"]) == ("failed", "failed")
    assert f"Nobody knows what became of {ORDERS}" in run.message
    assert "trigger the batch again" in run.message
    last = instance.last()
    assert (last.verdict, last.counts.accepted, last.counts.unprocessed) == (Verdict.UNBALANCED, 2, 1)
    assert [entry.note for entry in last.entries if entry.key == ORDERS][-1] == "Petra says that it was not moved."
    assert instance.posts() == 3

    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, instance.last().verdict) == ("success", Verdict.BALANCED), again.messages
    assert {one["id"]: instance.posts(one["id"]) for one in THREE} == {ORDERS: 2, LINES: 1, CUSTOMERS: 1}
    assert [one.attempt.number for one in instance.standing().attempts] == [1], "the same attempt goes on"
    assert len(driver.asked) == 1
    instance.holds()


def test_clearing_the_start_after_that_answer_sends_it_as_well(instance, driver):
    run = driver.answer(lose_one(instance, driver), NOT_MOVED, batch_id="b")
    driver.clear(run, START, batch_id="b")
    assert (run.state, instance.last().verdict) == ("success", Verdict.BALANCED), run.messages
    assert {one["id"]: instance.posts(one["id"]) for one in THREE} == {ORDERS: 2, LINES: 1, CUSTOMERS: 1}
    instance.holds()


def test_looking_again_at_what_is_not_there_asks_again(instance, driver):
    run = lose_one(instance, driver)
    for asked in (2, 3):
        looks = len(instance.requests("GET", LIST))
        driver.answer(run, LOOK_AGAIN, batch_id="b")
        assert (run.state, run.states[CONFIRM], len(driver.asked)) == ("running", "awaiting_input", asked), run.messages
        assert len(instance.requests("GET", LIST)) > looks + 1, "it is watched for a while, not looked at once"
    assert instance.posts() == 3
    assert instance.last().verdict is None


@pytest.mark.parametrize("answer", [LOOK_AGAIN, NOT_MOVED])
def test_what_somebody_migrated_while_a_person_was_asked_is_adopted_whatever_the_answer(instance, driver, answer):
    run = lose_one(instance, driver)
    instance.by_hand(ORDERS, "migrate", accountId="41")
    driver.answer(run, answer, batch_id="b")
    assert (run.state, instance.last().verdict) == ("success", Verdict.BALANCED), run.messages
    assert instance.fate(ORDERS).has_moved
    assert (instance.posts(), len(driver.asked)) == (3, 1)
    instance.holds()


def test_a_migration_that_takes_longer_than_the_list_is_watched_is_adopted_by_looking_again(instance, driver):
    instance.batch()
    instance.switch(migrate_seconds=30)
    driver.clock.beside = lambda seconds: instance.house.control("POST", "/clock", json={"advance": seconds / 3})
    run = driver.play(MIGRATE, batch_id="b")
    while run.state == "running" and len(driver.asked) < 6:
        driver.answer(run, LOOK_AGAIN, batch_id="b")
    assert (run.state, instance.last().verdict) == ("success", Verdict.BALANCED), run.messages
    assert instance.posts() == 3
    instance.holds()


def test_a_migration_that_a_person_called_not_moved_too_early_is_adopted_by_the_next_trigger(instance, driver):
    instance.batch()
    instance.switch(migrate_seconds=600)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.states[CONFIRM] == "awaiting_input"
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert (run.state, instance.on_v2) == ("failed", set())
    instance.house.control("POST", "/clock", json={"advance": 1000})
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, instance.last().verdict, instance.posts()) == ("success", Verdict.BALANCED, 3), again.messages
    instance.holds()


def test_a_migration_that_overlaps_with_the_one_that_was_called_not_moved_too_early_is_still_known_as_ours(instance, driver):
    """The second call is refused because Domo is still at work on the first, which nobody else has sent."""
    instance.batch(datasources=TWO[:1])
    instance.switch(migrate_seconds=600)
    run = driver.play(MIGRATE, batch_id="b")
    driver.answer(run, NOT_MOVED, batch_id="b")
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, "already in progress" in again.messages) == ("failed", True), again.messages
    instance.house.control("POST", "/clock", json={"advance": 1000})
    last = driver.play(MIGRATE, batch_id="b")
    assert (last.state, instance.posts()) == ("success", 2), last.messages
    assert instance.last().verdict is Verdict.BALANCED


def test_three_lost_answers_are_one_question(instance, driver):
    instance.batch()
    instance.fault("POST", POST, "drop_before", times=3)
    run = driver.play(MIGRATE, batch_id="b")
    (question,) = driver.asked
    assert all(one["id"] in question.body for one in THREE)
    assert "the migration of 3 datasources was lost" in question.body
    instance.by_hand(LINES, "migrate", accountId="41")
    driver.answer(run, LOOK_AGAIN, batch_id="b")
    assert run.states[CONFIRM] == "awaiting_input", run.messages
    assert [one["id"] in driver.asked[-1].body for one in THREE] == [True, False, True], "one of them is known by now"
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert (run.state, instance.last().counts.accepted, instance.last().counts.unprocessed) == ("failed", 1, 2), run.messages
    again = driver.play(MIGRATE, batch_id="b")
    assert again.state == "success", again.messages
    assert {one["id"]: instance.posts(one["id"]) for one in THREE} == {ORDERS: 2, LINES: 1, CUSTOMERS: 2}
    assert len(driver.asked) == 2
    instance.holds()


def test_lost_answers_and_certain_noes_in_one_batch_do_not_mix(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:ABORTED")
    instance.fault("POST", f"*/{ORDERS}/accounts/*", "drop_before")
    instance.fault("POST", f"*/{CUSTOMERS}/accounts/*", "status", status=403)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.mapped[START] == {0: "success", 1: "failed", 2: "failed"}
    (question,) = driver.asked
    assert [one["id"] in question.body for one in THREE] == [True, False, False]
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert run.state == "failed"
    counts = instance.last().counts
    assert (counts.sent, counts.accepted, counts.rejected, counts.unprocessed) == (3, 0, 1, 2)
    assert instance.posts() == 3
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, instance.last().verdict) == ("success", Verdict.BALANCED), again.messages
    assert {one["id"]: instance.posts(one["id"]) for one in THREE} == {ORDERS: 2, LINES: 2, CUSTOMERS: 2}
    instance.holds()


# The answer to a reversal is lost


def reversing(instance, driver, action, **rule):
    """A balanced batch of three is reversed, and something is wrong with the reversal of its first datasource."""
    instance.batch(reversal="auto")
    assert driver.play(MIGRATE, batch_id="b").state == "success"
    instance.fault("POST", f"*/{ORDERS}/reverse", action, **rule)
    return driver.play(REVERSE, batch_id="b")


def test_a_lost_reversal_that_the_list_proves_is_adopted(instance, driver):
    run = reversing(instance, driver, "drop_after")
    assert (run.state, driver.asked, instance.on_v2) == ("success", [], set()), run.messages
    assert {one["id"]: instance.posts(one["id"], "reverse") for one in THREE} == {ORDERS: 1, LINES: 1, CUSTOMERS: 1}
    assert instance.last().verdict is Verdict.UNDONE
    instance.holds()


def test_a_lost_reversal_that_nothing_proves_is_asked_about_and_sent_by_the_next_trigger(instance, driver):
    run = reversing(instance, driver, "drop_before")
    (question,) = driver.asked
    assert [one["id"] in question.body for one in THREE] == [True, False, False]
    assert "answer to the reversal of 1 datasources was lost" in question.body
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert (run.state, instance.last().verdict, instance.last().counts.accepted) == ("failed", Verdict.UNBALANCED, 1)
    again = driver.play(REVERSE, batch_id="b")
    assert (again.state, instance.last().verdict, instance.on_v2) == ("success", Verdict.UNDONE, set()), again.messages
    assert {one["id"]: instance.posts(one["id"], "reverse") for one in THREE} == {ORDERS: 2, LINES: 1, CUSTOMERS: 1}
    instance.holds()


def test_a_reversal_that_was_refused_is_not_called_lost(instance, driver):
    run = reversing(instance, driver, "status", status=403)
    assert run.state == "failed"
    assert ORDERS in run.message
    assert "lost" not in run.message, "a certain no: nothing was lost"
    again = driver.play(REVERSE, batch_id="b")
    assert (again.state, instance.last().verdict, instance.on_v2) == ("success", Verdict.UNDONE, set()), again.messages


@pytest.mark.parametrize("how", ["after", "cut"])
def test_a_lost_reversal_of_a_half_done_migration_stays_in_doubt_until_it_is_migrated(instance, driver, how):
    """The list cannot prove it, because it never showed the datasource as migrated; nor can Domo's no to a second reversal."""
    instance.batch(on_incomplete="reverse")
    instance.switch(outcomes=f"{ORDERS}:INCOMPLETE", reverse_rescues=True)
    instance.fault("POST", BACK, **ACTIONS[how])
    run = driver.play(MIGRATE, batch_id="b")
    assert run.states[MEND] == "failed", run.messages
    driver.clear(run, MEND, batch_id="b")
    assert (run.states[MEND], instance.fate(ORDERS).is_half_done) == ("failed", True), "nobody can say that it is whole"
    assert f"{ORDERS}: the reversal is ABORTED" in instance.last().reason
    driver.clear(run, START, batch_id="b")
    assert (run.state, instance.last().verdict) == ("success", Verdict.BALANCED), run.messages
    instance.holds()
