"""Batches of datasources through the real DAGs: what a migration lead sees when all goes well, and when Domo says no."""

import csv
import json
import os

import pytest
from instance import ACCOUNTS, CUSTOMERS, LINES, MIGRATE, ORDERS, REVERSE, SNOWFLAKE, THREE
from tests.s3 import environment

from ferry.core.errors import StorageUnavailable
from ferry.ledger.entries import Kind, Verdict
from ferry.steps.people import APPROVE, REJECT
from ferry.vendors.domo.operators import LOOK_AGAIN, MENDING, NOT_MOVED

REPEAT, TURN_BACK, LEAVE = MENDING
TABLE = "id,catalog,schema,table\n"


def counts(instance, batch_id="b"):
    return {name: number for name, number in instance.last(batch_id).counts.to_json().items() if number}


def states(standing, step):
    return [(entry.key.partition("~")[0], entry.word) for entry in standing.entries if entry.step == step and entry.word]


# All goes well


def test_a_batch_arrives_one_call_for_each_datasource(instance, driver):
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    assert instance.on_v2 == {ORDERS, LINES, CUSTOMERS}
    assert [instance.posts(one["id"]) for one in THREE] == [1, 1, 1]
    assert instance.last().verdict is Verdict.BALANCED
    assert counts(instance) == {"sent": 3, "accepted": 3}
    assert {one["id"]: one for one in THREE}.keys() == run_tasks(run)
    instance.holds()


def run_tasks(run):
    """The datasources that had a task each."""
    return {one for portion in run.xcoms["plan_run", "return_value"] for one in portion}


def test_the_mapping_may_come_as_a_file_and_the_account_by_its_name(instance, driver):
    ids = instance.house.line.get(f"{instance.house.sandbox}/_sandbox/domo/mapping.csv?type={SNOWFLAKE}").text
    rows = ids.splitlines()[:6]
    files = {"mapping.csv": "\n".join(rows) + "\n"}
    instance.batch(datasources="mapping.csv", files=files, type=SNOWFLAKE, account_id=None, account_name="finance lake v2")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    held = {one["id"]: one for one in instance.state["v2"]}
    assert [held[row["id"]] | row for row in csv.DictReader(rows)] == [held[row["id"]] for row in csv.DictReader(rows)]
    assert {one["accountId"] for one in held.values()} == {ACCOUNTS[SNOWFLAKE]}


def test_each_answer_is_kept_with_its_toe(instance, driver):
    instance.batch()
    driver.play(MIGRATE, batch_id="b")
    answer = json.loads(instance.evidence("b", "start_run", f"{ORDERS}.json"))
    (entry,) = [e for e in instance.last().entries if e.key == ORDERS and e.kind is Kind.RESULT]
    assert (answer["toe"], answer["state"], answer["datasourceId"]) == (entry.ref, "COMPLETE", ORDERS)
    fates = list(csv.DictReader(instance.evidence("b", "reconcile", "fates.csv").splitlines()))
    assert [(row["datasource"], row["fate"], row["listed"]) for row in fates] == [
        (one["id"], "accepted", "migrated") for one in THREE
    ]
    assert fates[0]["toe"] == answer["toe"]


def test_a_batch_that_balances_is_left_alone(instance, driver):
    instance.batch()
    driver.play(MIGRATE, batch_id="b")
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, again.states["check_batch"]) == ("success", "skipped")
    assert instance.posts() == 3


def test_a_list_that_is_late_is_waited_for(instance, driver):
    instance.batch()
    instance.switch(list_delay_seconds=0.1)
    driver.clock.pace = 0.1
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    assert counts(instance) == {"sent": 3, "accepted": 3}


def test_a_list_that_contradicts_the_answers_is_told_and_not_believed(instance, driver):
    instance.batch()
    instance.switch(list_delay_seconds=1000.0)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert counts(instance) == {"sent": 3, "unprocessed": 3}
    assert "its list does not show it as migrated" in instance.last().reason
    instance.house.control("POST", "/clock", json={"advance": 1000})
    driver.clear(run, "reconcile", batch_id="b")
    assert run.state == "success", run.messages
    assert instance.posts() == 3


# Domo says no


def test_an_aborted_datasource_has_changed_nothing_and_is_sent_again_by_whoever_clears_it(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:ABORTED,COMPLETE", error_message="the table is locked")
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, run.mapped["start_run"]) == ("failed", {0: "success", 1: "failed", 2: "success"})
    assert "ABORTED: the table is locked (toe " in run.errors["start_run"][-1]
    assert "Nothing about it was changed" in run.errors["start_run"][-1]
    assert len(run.errors["start_run"]) == 1, "a no is not retried"
    assert (instance.last().verdict, counts(instance)) == (Verdict.UNBALANCED, {"sent": 3, "accepted": 2, "rejected": 1})
    assert LINES in instance.last().reason
    (error,) = csv.DictReader(instance.evidence("b", "fetch_errors", "errors.csv").splitlines())
    assert (error["datasource"], error["state"], error["errorMessage"]) == (LINES, "ABORTED", "the table is locked")
    driver.clear(run, "start_run", batch_id="b")
    assert run.state == "success", run.messages
    assert [instance.posts(one["id"]) for one in THREE] == [1, 2, 1]
    instance.holds()


def test_what_is_open_is_sent_by_triggering_again_and_nothing_else_is(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:ABORTED,COMPLETE")
    driver.play(MIGRATE, batch_id="b")
    again = driver.play(MIGRATE, batch_id="b")
    assert again.state == "success", again.messages
    assert run_tasks(again) == {LINES}
    assert instance.last().attempt.number == 1
    assert counts(instance) == {"sent": 3, "accepted": 3}


def test_an_incomplete_datasource_is_repeated_until_it_completes(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:INCOMPLETE,INCOMPLETE,COMPLETE")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    assert states(instance.last(), "start_run").count((LINES, "INCOMPLETE")) == 2
    assert instance.posts(LINES) == 3
    instance.holds()


def test_repeats_are_bounded_and_whoever_clears_the_task_gets_as_many_again(instance, driver):
    instance.batch(repeats=2)
    instance.switch(outcomes=f"{LINES}:INCOMPLETE*", error_message="refresh failed")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert instance.posts(LINES) == 3, "once, and two repeats"
    assert "may be broken until the same call completes" in run.errors["start_run"][-1]
    assert (instance.last().verdict, counts(instance)) == (Verdict.UNBALANCED, {"sent": 3, "accepted": 2, "rejected": 1})
    assert run.states["mend_run"] == "skipped"
    driver.clear(run, "start_run", batch_id="b")
    assert instance.posts(LINES) == 6
    instance.switch(outcomes="")
    driver.clear(run, "start_run", batch_id="b")
    assert run.state == "success", run.messages


def test_the_pauses_between_repeats_grow(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:INCOMPLETE*")
    rests = []
    sleep = driver.clock.sleep
    driver.clock.sleep = lambda seconds: (rests.append(round(seconds)), sleep(seconds))
    driver.play(MIGRATE, batch_id="b")
    assert [rest for rest in rests if rest >= 9] == [10, 30, 90]


def test_a_word_that_nobody_documents_counts_as_half_done_and_is_not_repeated(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:PAUSED,COMPLETE")
    run = driver.play(MIGRATE, batch_id="b")
    assert instance.posts(LINES) == 1
    assert "PAUSED" in instance.last().reason
    assert counts(instance) == {"sent": 3, "accepted": 2, "rejected": 1}
    driver.clear(run, "start_run", batch_id="b")
    assert run.state == "success", run.messages


def test_a_half_done_datasource_is_put_back_where_the_manifest_says_so(instance, driver):
    instance.batch(on_incomplete="reverse")
    instance.switch(outcomes=f"{LINES}:INCOMPLETE*", reverse_rescues=True)
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, run.states["mend_run"]) == ("failed", "success"), run.messages
    assert (instance.posts(LINES), instance.posts(LINES, "reverse")) == (1, 1)
    assert "was put back on V1" in instance.last().reason
    assert counts(instance) == {"sent": 3, "accepted": 2, "rejected": 1}
    assert [one["broken"] for one in instance.state["datasources"] if one["id"] == LINES] == [False]
    instance.holds()


@pytest.mark.parametrize(
    ("answer", "posts", "state"), [(REPEAT, (2, 0), "success"), (TURN_BACK, (1, 1), "failed"), (LEAVE, (1, 0), "failed")]
)
def test_a_person_decides_about_half_done_datasources_where_the_manifest_asks_for_it(instance, driver, answer, posts, state):
    instance.batch(on_incomplete="ask")
    instance.switch(outcomes=f"{LINES}:INCOMPLETE,COMPLETE", reverse_rescues=True)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.states["decide_mend"] == "awaiting_input"
    assert LINES in driver.asked[-1].body
    assert ORDERS not in driver.asked[-1].body
    driver.answer(run, answer, batch_id="b")
    assert run.state == state, run.messages
    assert (instance.posts(LINES), instance.posts(LINES, "reverse")) == posts
    assert [e.note for e in instance.last().entries if e.step == "decide_mend"][-1] == f"Petra said: {answer}."
    instance.holds()


def test_a_record_that_is_waived_balances_the_batch(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:ABORTED*")
    run = driver.play(MIGRATE, batch_id="b")
    waived = driver.play(
        "waive_records", vendor="domo", batch_id="b", records=[f"datasource,{LINES}"], reason="its dashboards were retired"
    )
    assert waived.state == "success", waived.messages
    driver.clear(run, "reconcile", batch_id="b")
    assert run.state == "success", run.messages
    assert counts(instance) == {"sent": 3, "accepted": 2, "waived": 1}


# Before anything is sent


def test_everything_that_is_wrong_is_named_at_once_and_nothing_is_sent(instance, driver):
    instance.by_hand(CUSTOMERS, "migrate", accountId="41")
    rows = [
        f"{ORDERS},sales_db,,Orders",
        f"{ORDERS},sales_db,NULL,Orders",
        f"{LINES},sales_db,null,order_lines",
        f"{CUSTOMERS},sales_db,NULL,Customers",
        "a03e0925-b07d-5338-9e76-0f0392b7214d,FINANCE,PUBLIC,LEDGER_01",
        "nobody,x,NULL,y",
    ]
    instance.batch(datasources="m.csv", files={"m.csv": TABLE + "\n".join(rows) + "\n"})
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, run.states["confirm_start"], instance.last().verdict) == ("failed", "skipped", Verdict.REFUSED)
    found = list(csv.DictReader(instance.evidence("b", "check_batch", "findings.csv").splitlines()))
    assert sorted((row["code"], row["line"]) for row in found if row["level"] == "error") == [
        ("ALREADY_MIGRATED", "5"),
        ("COORDINATE_MISSING", "2"),
        ("DUPLICATE", "3"),
        ("NOT_A_CANDIDATE", "7"),
        ("NULL_SPELLING", "4"),
        ("WRONG_TYPE", "6"),
    ]
    assert instance.requests("POST") == []


def test_what_others_have_migrated_is_accepted_where_the_manifest_says_so(instance, driver):
    instance.by_hand(LINES, "migrate", accountId="41")
    instance.batch(already_migrated="accept")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    assert instance.posts(LINES) == 0
    assert counts(instance) == {"sent": 3, "accepted": 3}


def test_a_corrected_mapping_is_a_new_attempt_that_sends_only_what_is_missing(instance, driver):
    wrong = [*THREE[:2], THREE[2] | {"table": "customers"}]
    instance.batch(datasources=wrong)
    assert driver.play(MIGRATE, batch_id="b").state == "failed"
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    assert (instance.last().attempt.number, run_tasks(run)) == (2, {CUSTOMERS})
    assert counts(instance) == {"sent": 3, "accepted": 3}
    assert [instance.posts(one["id"]) for one in THREE] == [1, 1, 2]


def test_a_datasource_that_went_to_another_table_must_be_reversed_first(instance, driver):
    instance.switch(check_coordinates=False)
    instance.batch(datasources=[THREE[0] | {"table": "Order"}])
    assert driver.play(MIGRATE, batch_id="b").state == "success"
    instance.batch(datasources=[THREE[0]])
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert "Reverse it first (reverse_domo)" in run.errors["check_batch"][-1]
    assert instance.posts(ORDERS) == 1


def test_a_token_without_the_account_is_told_what_people_have_to_set_up(instance, driver):
    instance.batch(account_id="42")
    run = driver.play(MIGRATE, batch_id="b")
    assert "sees no mysql-federated account with id '42'; it sees 41 (warehouse eu v2), 17" in run.errors["check_batch"][-1]


# Lost answers


def test_one_question_is_asked_about_all_answers_that_nothing_proves(instance, driver):
    instance.batch()
    before = {"start_run": lambda: instance.fault("POST", "*/accounts/*", "drop_before", times=2)}
    run = driver.play(MIGRATE, batch_id="b", before=before)
    assert run.states["confirm_start"] == "awaiting_input"
    assert len(driver.asked) == 1
    assert [one["id"] in driver.asked[0].body for one in THREE] == [True, True, False]
    driver.answer(run, LOOK_AGAIN, batch_id="b")
    assert (run.states["confirm_start"], len(driver.asked)) == ("awaiting_input", 2), "nothing was to be seen, so it asks again"
    instance.by_hand(ORDERS, "migrate", accountId="41")
    driver.answer(run, LOOK_AGAIN, batch_id="b")
    assert LINES in driver.asked[2].body
    assert ORDERS not in driver.asked[2].body, "the list proves it by now"
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert [instance.posts(one["id"]) for one in THREE] == [1, 1, 1]
    assert counts(instance) == {"sent": 3, "accepted": 2, "unprocessed": 1}


def test_whoever_says_that_it_was_not_moved_may_have_it_sent_again(instance, driver):
    instance.batch()
    run = driver.play(MIGRATE, batch_id="b", before={"start_run": lambda: instance.fault("POST", "*/accounts/*", "drop_before")})
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert run.state == "failed"
    assert counts(instance) == {"sent": 3, "accepted": 2, "unprocessed": 1}
    assert "Nobody knows what became of" in instance.last().reason
    again = driver.play(MIGRATE, batch_id="b")
    assert again.state == "success", again.messages
    assert instance.posts(ORDERS) == 2
    instance.holds()


def test_a_call_that_was_slow_and_not_lost_counts_though_it_was_sent_again(instance, driver):
    """Domo was still at work on the first when a person said that it was not moved."""
    instance.batch(datasources=THREE[:1])
    instance.switch(migrate_seconds=500.0)
    run = driver.play(MIGRATE, batch_id="b")
    driver.answer(run, NOT_MOVED, batch_id="b")
    assert (run.state, instance.posts(ORDERS)) == ("failed", 1)
    before = {"start_run": lambda: instance.switch(migrate_seconds=0.0, parallel_post="aborted")}
    again = driver.play(MIGRATE, batch_id="b", before=before)
    assert "in progress" in again.errors["start_run"][-1]
    instance.house.control("POST", "/clock", json={"advance": 500})
    driver.clear(again, "start_run", batch_id="b")
    assert again.state == "success", again.messages
    assert (instance.posts(ORDERS), instance.last().verdict) == (2, Verdict.BALANCED)


# Back to V1


def test_a_batch_is_reversed_when_a_person_agrees(instance, driver):
    instance.batch()
    driver.play(MIGRATE, batch_id="b")
    run = driver.play(REVERSE, batch_id="b")
    assert run.states["approve_undo"] == "awaiting_input"
    assert instance.requests("POST", "*/reverse") == []
    driver.answer(run, APPROVE, batch_id="b")
    assert run.state == "success", run.messages
    assert (instance.on_v2, instance.last().verdict) == (set(), Verdict.UNDONE)
    assert counts(instance) == {"sent": 3, "unprocessed": 3}
    assert driver.play(MIGRATE, batch_id="b").state == "failed", "what was undone is not sent again by itself"
    assert instance.posts() == 3
    instance.holds()


def test_a_no_reverses_nothing_and_the_batch_stands_as_it_stood(instance, driver):
    instance.batch()
    driver.play(MIGRATE, batch_id="b")
    run = driver.answer(driver.play(REVERSE, batch_id="b"), REJECT, batch_id="b")
    assert (run.state, run.states["confirm_undo"], instance.last().verdict) == ("failed", "skipped", Verdict.BALANCED)
    assert len(instance.on_v2) == 3


def test_only_the_datasources_that_are_named_are_reversed_and_the_rest_can_follow(instance, driver):
    instance.batch(reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    run = driver.play(REVERSE, batch_id="b", datasources=[LINES])
    assert run.state == "success", run.messages
    assert instance.on_v2 == {ORDERS, CUSTOMERS}
    assert (instance.last().verdict, counts(instance)) == (Verdict.UNDONE, {"sent": 3, "accepted": 2, "unprocessed": 1})
    rest = driver.play(REVERSE, batch_id="b")
    assert rest.state == "success", rest.messages
    assert (instance.on_v2, instance.posts("*", "reverse")) == (set(), 3)
    assert counts(instance) == {"sent": 3, "unprocessed": 3}
    nothing = driver.play(REVERSE, batch_id="b")
    assert (nothing.state, nothing.states["check_undo"]) == ("success", "skipped")


def test_a_second_reversal_that_came_to_nothing_is_red_though_the_first_was_whole(instance, driver):
    instance.batch(reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    driver.play(REVERSE, batch_id="b", datasources=[LINES])
    expired = {"undo_run": lambda: instance.fault("GET", "*/candidates/*", "status", status=401, times=2)}
    rest = driver.play(REVERSE, batch_id="b", before=expired)
    assert (rest.state, instance.on_v2) == ("failed", {ORDERS, CUSTOMERS})
    assert "Not reversed" in rest.errors["settle_batch"][-1]
    assert (instance.last().verdict, counts(instance)) == (Verdict.UNDONE, {"sent": 3, "accepted": 2, "unprocessed": 1})
    driver.clear(rest, "undo_run", batch_id="b")
    assert (rest.state, instance.on_v2) == ("success", set()), rest.messages
    assert instance.posts("*", "reverse") == 3


def test_a_name_that_is_not_in_the_batch_is_told_and_nothing_is_sent(instance, driver):
    instance.batch(reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    run = driver.play(REVERSE, batch_id="b", datasources=[LINES, "nobody"])
    assert run.state == "failed"
    assert "nobody is not in batch b" in run.errors["check_undo"][-1]
    assert instance.last().verdict is Verdict.BALANCED
    assert instance.requests("POST", "*/reverse") == []


def test_an_aborted_reversal_leaves_the_batch_as_it_stood(instance, driver):
    instance.batch(datasources=THREE[:1], reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    instance.switch(reverse_outcomes=f"{ORDERS}:ABORTED,COMPLETE")
    run = driver.play(REVERSE, batch_id="b")
    assert (run.state, instance.last().verdict) == ("failed", Verdict.BALANCED)
    assert "the reversal is ABORTED" in run.errors["undo_run"][-1]
    again = driver.play(REVERSE, batch_id="b")
    assert (again.state, instance.last().verdict) == ("success", Verdict.UNDONE), again.messages


def test_an_incomplete_reversal_is_repeated_and_red_until_it_completes(instance, driver):
    instance.batch(reversal="auto", repeats=1)
    driver.play(MIGRATE, batch_id="b")
    instance.switch(reverse_outcomes=f"{LINES}:INCOMPLETE,INCOMPLETE,COMPLETE")
    run = driver.play(REVERSE, batch_id="b")
    assert (run.state, instance.last().verdict) == ("failed", Verdict.UNBALANCED)
    assert instance.posts(LINES, "reverse") == 2
    assert counts(instance) == {"sent": 3, "rejected": 1, "unprocessed": 2}
    assert driver.play(MIGRATE, batch_id="b").state == "failed", "and nothing is migrated meanwhile"
    assert instance.posts() == 3
    again = driver.play(REVERSE, batch_id="b")
    assert (again.state, instance.last().verdict) == ("success", Verdict.UNDONE), again.messages


def test_what_people_reversed_in_domo_is_found_and_not_asked_for_again(instance, driver):
    instance.batch(datasources=THREE[:2], reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    instance.by_hand(LINES, "reverse")
    run = driver.play(REVERSE, batch_id="b")
    assert run.state == "success", run.messages
    assert (instance.posts(LINES, "reverse"), instance.posts(ORDERS, "reverse")) == (0, 1)


def test_after_a_reversal_only_force_sends_the_same_again(instance, driver):
    instance.batch(reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    driver.play(REVERSE, batch_id="b", datasources=[LINES])
    run = driver.play(MIGRATE, batch_id="b", force_new_attempt=True)
    assert run.state == "success", run.messages
    assert run_tasks(run) == {LINES}
    assert (instance.last().attempt.number, counts(instance)) == (2, {"sent": 3, "accepted": 3})


# What a sceptical reader found


def test_a_changed_manifest_waits_for_a_call_that_nobody_knows_the_end_of(instance, driver):
    instance.batch()
    instance.switch(outcomes=f"{LINES}:ABORTED,COMPLETE")
    run = driver.play(MIGRATE, batch_id="b")
    last = instance.last()
    instance.house.ledger.intend(last.attempt, "start_run", key=f"{LINES}~2", origin=last.holder, data={"before": {}})
    run.state = "failed"  # its DAG run was given up while Domo was at work
    instance.batch(at_once=1)
    other = driver.play(MIGRATE, batch_id="b")
    assert other.state == "failed"
    assert "is not known to be over" in other.errors["admit_batch"][-1]
    assert instance.posts(LINES) == 1


def test_a_batch_that_was_reversed_before_it_was_reconciled_is_undone_and_not_sent_again(instance, driver):
    instance.batch(on_incomplete="ask", reversal="auto")
    instance.switch(outcomes=f"{LINES}:INCOMPLETE", reverse_rescues=True)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.states["decide_mend"] == "awaiting_input"
    run.state = "failed"  # somebody marked it as failed
    undo = driver.play(REVERSE, batch_id="b")
    assert (undo.state, instance.on_v2, instance.last().verdict) == ("success", set(), Verdict.UNDONE), undo.messages
    assert driver.play(MIGRATE, batch_id="b").state == "failed"
    assert instance.posts() == 3


def test_what_an_earlier_attempt_moved_and_somebody_reversed_is_not_sent_again_by_a_later_one(instance, driver):
    instance.batch(reversal="auto")
    instance.switch(outcomes=f"{CUSTOMERS}:ABORTED*")
    driver.play(MIGRATE, batch_id="b")
    instance.batch(datasources=THREE[:2], reversal="auto")
    second = driver.play(MIGRATE, batch_id="b")
    assert second.state == "success", second.messages
    undo = driver.play(REVERSE, batch_id="b")
    assert (undo.state, instance.on_v2) == ("success", set()), undo.messages
    assert driver.play(MIGRATE, batch_id="b").state == "failed", "only force sends it again"
    assert instance.posts() == 3


def test_what_others_have_migrated_is_not_reversed_with_the_batch(instance, driver):
    instance.batch(reversal="auto")
    instance.switch(outcomes=f"{LINES}:ABORTED*")
    driver.play(MIGRATE, batch_id="b")
    instance.by_hand(LINES, "migrate", accountId="41")
    run = driver.play(REVERSE, batch_id="b")
    assert run.state == "success", run.messages
    assert instance.on_v2 == {LINES}


def test_a_datasource_may_be_put_back_a_second_time(instance, driver):
    instance.batch(on_incomplete="reverse")
    instance.switch(outcomes=f"{LINES}:INCOMPLETE,INCOMPLETE,COMPLETE", reverse_rescues=True)
    run = driver.play(MIGRATE, batch_id="b")
    driver.clear(run, "start_run", batch_id="b")
    assert (instance.posts(LINES), instance.posts(LINES, "reverse"), run.state) == (2, 2, "failed"), run.messages
    driver.clear(run, "start_run", batch_id="b")
    assert run.state == "success", run.messages
    instance.holds()


def test_while_anything_is_half_done_nothing_is_called_undone(instance, driver):
    instance.batch(repeats=1, reversal="auto")
    instance.switch(outcomes=f"{LINES}:INCOMPLETE*", reverse_rescues=True)
    driver.play(MIGRATE, batch_id="b")
    run = driver.play(REVERSE, batch_id="b", datasources=[ORDERS])
    assert (run.state, instance.last().verdict) == ("failed", Verdict.UNBALANCED)
    assert f"Half-done: {LINES}" in run.errors["settle_batch"][-1]
    rest = driver.play(REVERSE, batch_id="b")
    assert (rest.state, instance.last().verdict, instance.on_v2) == ("success", Verdict.UNDONE, set()), rest.messages


def test_a_reversal_that_failed_is_finished_by_whoever_does_it_by_hand(instance, driver):
    instance.batch(datasources=THREE[:2], reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    instance.switch(reverse_outcomes=f"{LINES}:ABORTED*")
    assert driver.play(REVERSE, batch_id="b").state == "failed"
    instance.by_hand(LINES, "reverse")
    run = driver.play(REVERSE, batch_id="b")
    assert (run.state, instance.last().verdict) == ("success", Verdict.UNDONE), run.messages
    assert instance.posts(LINES, "reverse") == 1


def test_a_migration_that_is_triggered_on_a_half_reversed_batch_says_nothing_new(instance, driver):
    instance.batch(datasources=THREE[:2], reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    instance.switch(reverse_outcomes=f"{LINES}:ABORTED*")
    driver.play(REVERSE, batch_id="b")
    before = instance.last()
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, run.states["confirm_start"], run.states["reconcile"]) == ("failed", "skipped", "skipped")
    assert (instance.last().verdict, instance.last().reason) == (before.verdict, before.reason)
    assert instance.posts() == 2


def test_what_was_put_back_and_migrated_again_by_others_is_not_reversed_by_name(instance, driver):
    instance.batch(reversal="auto")
    driver.play(MIGRATE, batch_id="b")
    driver.play(REVERSE, batch_id="b", datasources=[LINES])
    instance.by_hand(LINES, "migrate", accountId="41")
    run = driver.play(REVERSE, batch_id="b", datasources=[LINES])
    assert run.state == "failed"
    assert "has been migrated again since" in run.errors["check_undo"][-1]
    assert LINES in instance.on_v2


def test_a_yes_is_for_the_datasources_that_were_shown(instance, driver):
    instance.batch()
    driver.play(MIGRATE, batch_id="b")
    run = driver.play(REVERSE, batch_id="b", datasources=[LINES])
    gone = {"undo_run": lambda: instance.fault("GET", "*/candidates/*", "status", status=401)}
    driver.go_on(run, {"batch_id": "b", "datasources": [LINES]}, gone, APPROVE)
    assert run.states["undo_run"] == "failed"
    for task in ("check_undo", "undo_run", "confirm_undo", "settle_batch"):
        run.states.pop(task), run.mapped.pop(task, None)
    driver.go_on(run, {"batch_id": "b"}, {}, None)  # somebody cleared these, and not the approval
    assert "Nobody has approved this very reversal" in run.errors["undo_run"][-1]
    assert len(instance.on_v2) == 3


# Batches of more datasources than Airflow maps


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1001, 1024, 2500, 10_000])
def test_a_batch_makes_no_more_tasks_than_airflow_maps_and_leaves_nobody_out(number):
    from ferry.vendors.domo.planning import MOST, portions

    ids = [f"d-{place}" for place in range(number)]
    made = portions(ids)
    assert [one for portion in made for one in portion] == ids
    assert len(made) <= MOST < 1024
    assert number > MOST or all(len(portion) == 1 for portion in made)


@pytest.fixture
def unsent(instance, driver):
    """An attempt that was checked and of which nothing was sent, because the token had expired."""
    instance.batch()
    expired = {"start_run": lambda: instance.fault("GET", "*/candidates/*", "status", status=401, times=None)}
    run = driver.play(MIGRATE, batch_id="b", before=expired)
    assert "create a new one in Domo" in run.errors["start_run"][-1]
    instance.house.control("DELETE", "/domo/faults")
    assert instance.requests("POST") == []
    from ferry.steps.work import Work
    from ferry.vendors.domo.hook import DomoHook

    last = instance.last()
    return lambda: Work(last.attempt, "start_run", last.holder, DomoHook, focus=(ORDERS, LINES, CUSTOMERS))


def test_in_a_task_of_several_what_was_aborted_is_not_sent_again_while_another_rests(instance, unsent):
    from ferry.core.errors import VendorRefused
    from ferry.vendors.domo.moving import Pause
    from ferry.vendors.domo.starting import start

    instance.switch(outcomes=f"{ORDERS}:ABORTED* {LINES}:INCOMPLETE,COMPLETE")
    ids = [ORDERS, LINES, CUSTOMERS]
    with unsent() as work:
        assert start(work, ids) == Pause("rest", LINES, 10.0)
    with unsent() as work, pytest.raises(VendorRefused, match=f"{ORDERS}: the migration is ABORTED"):
        start(work, ids, rested=True)
    assert [instance.posts(one) for one in ids] == [1, 2, 1]
    with unsent() as work, pytest.raises(VendorRefused):
        start(work, ids)  # somebody cleared the red task
    assert [instance.posts(one) for one in ids] == [2, 2, 1]


def test_two_tasks_at_once_send_no_more_than_the_manifest_allows(instance, unsent):
    from ferry.vendors.domo.moving import Pause
    from ferry.vendors.domo.starting import start

    with unsent() as work:
        for one in (ORDERS, LINES):  # two workers are in the middle of a call
            work.ledger.intend(work.attempt, "start_run", key=one, origin=work.origin, data={"before": {}})
        assert start(work, [CUSTOMERS]) == Pause("room", CUSTOMERS)
    assert instance.requests("POST") == []


FULL, AWAY = OSError(28, "No space left on device"), StorageUnavailable("The store gave no usable answer.")


@pytest.mark.parametrize("trouble", [FULL, AWAY], ids=["full", "away"])
def test_a_store_that_takes_nothing_once_the_call_is_made_loses_no_answer(instance, unsent, monkeypatch, trouble):
    from ferry.ledger.evidence import EvidenceStore
    from ferry.vendors.domo.starting import start

    take = EvidenceStore._file

    def in_trouble(store, folder, name, content):
        if not folder.startswith("sent/"):
            raise trouble
        return take(store, folder, name, content)

    monkeypatch.setattr(EvidenceStore, "_file", in_trouble)
    with unsent() as work:
        assert start(work, [ORDERS]) == {"COMPLETE": 1}
        assert work.standing.results["start_run", ORDERS].ref


@pytest.mark.parametrize("trouble", [FULL, AWAY], ids=["full", "away"])
def test_a_store_that_takes_nothing_before_the_call_keeps_it_here(instance, unsent, monkeypatch, trouble):
    from ferry.ledger.evidence import EvidenceStore
    from ferry.vendors.domo.starting import start

    def in_trouble(*_):
        raise trouble

    with monkeypatch.context() as full, unsent() as work:
        full.setattr(EvidenceStore, "_file", in_trouble)
        with pytest.raises(type(trouble)):
            start(work, [ORDERS])
    assert instance.posts(ORDERS) == 0
    with unsent() as work:
        assert start(work, [ORDERS]) == {"COMPLETE": 1}


def test_a_store_that_is_away_before_the_call_leaves_no_intent(instance, unsent, monkeypatch):
    from ferry.vendors.domo.starting import start

    batches = os.environ["FERRY_BATCHES"]
    environment(monkeypatch, "http://127.0.0.1:1", "bucket")
    monkeypatch.setenv("FERRY_BATCHES", batches)
    with unsent() as work, pytest.raises(StorageUnavailable):
        start(work, [ORDERS])
    assert work.may_send(ORDERS)
    assert instance.posts(ORDERS) == 0
