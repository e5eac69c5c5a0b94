"""Time in the made-up Domo instance: POSTs that stay open, clients that do not wait, POSTs side by side, and what is counted."""

from datetime import datetime, timedelta

import httpx  # noqa: TID251 (the fake vendor is tested with a plain client, not with ours)
import pytest
from tests.sandbox.instance import refused, states

LOST = (httpx.RemoteProtocolError, httpx.ReadError)


def lasted(answer):
    start, end = (datetime.fromisoformat(answer.json()[name]) for name in ("startTime", "endTime"))
    return end - start


def give_up(slow, call, key):
    """A client that sends a POST and does not wait for the answer."""
    answer = slow.behind(call, key, timeout=0.3)
    with pytest.raises(httpx.ReadTimeout):
        answer.result()


# How long it takes


def test_a_post_stays_open_until_the_work_is_done(slow, one):
    answer = slow.behind(slow.migrate, one)
    slow.advance(4.9)
    assert not slow.candidates()[one]["migrated"]
    assert not answer.done()
    slow.advance(0.1)
    assert states(answer.result()) == ["COMPLETE"]
    assert lasted(answer.result()) == timedelta(seconds=5)


def test_a_reversal_takes_its_own_time(slow, one):
    slow.control.post(f"/domo/records/{one}/migrate", json={"accountId": "41"}).raise_for_status()
    answer = slow.behind(slow.reverse, one)
    slow.advance(2.9)
    assert slow.candidates()[one]["migrated"]
    slow.advance(0.1)
    assert lasted(answer.result()) == timedelta(seconds=3)
    assert not slow.candidates()[one]["migrated"]


def test_what_is_refused_at_once_takes_no_time(slow, one):
    answers = slow.reverse(one), slow.migrate(one, "58")
    assert states(*answers) == ["ABORTED", "ABORTED"]
    assert [lasted(answer) for answer in answers] == [timedelta(0), timedelta(0)]


def test_a_table_is_looked_for_before_it_is_not_found(slow, one):
    answer = slow.behind(slow.migrate, one, json=slow.body(one) | {"table": "x"})
    slow.advance(5)
    assert states(answer.result()) == ["ABORTED"]
    assert lasted(answer.result()) == timedelta(seconds=5)


def test_time_runs_by_itself_and_faster_if_told(instance, one):
    instance.control.post("/clock", json={"speed": 1000}).raise_for_status()
    instance.switch(migrate_seconds=60.0)
    assert lasted(instance.migrate(one)) == timedelta(seconds=60)


def test_the_list_may_lag_behind(slow, one):
    slow.switch(list_delay_seconds=10.0, migrate_seconds=0.0, reverse_seconds=0.0)
    date = slow.migrate(one).json()["endTime"]
    assert slow.of("datasources", one)["migrated"]
    slow.advance(9)
    assert (slow.candidates()[one]["migrated"], slow.candidates()[one]["migrationDate"]) == (False, None)
    slow.advance(1)
    assert (slow.candidates()[one]["migrated"], slow.candidates()[one]["migrationDate"]) == (True, date)


def test_the_list_may_lag_behind_several_changes(slow, one):
    slow.switch(list_delay_seconds=10.0, migrate_seconds=0.0, reverse_seconds=0.0)
    slow.migrate(one)
    slow.advance(4)
    slow.reverse(one)
    seen = []
    for seconds in (5, 1, 4):
        slow.advance(seconds)
        seen.append(slow.candidates()[one]["migrated"])
    assert seen == [False, True, False]


# Nobody listens


def test_a_client_that_gives_up_stops_nothing(slow, one):
    give_up(slow, slow.migrate, one)
    (operation,) = slow.state()["operations"]
    assert (operation["state"], operation["endTime"]) == (None, None)
    slow.advance(5)
    (operation,) = slow.state()["operations"]
    assert operation["state"] == "COMPLETE"
    assert slow.candidates()[one]["migrated"]


def test_it_ends_at_its_moment_however_late_somebody_looks(slow, one):
    give_up(slow, slow.migrate, one)
    slow.advance(600)
    (operation,) = slow.state()["operations"]
    assert datetime.fromisoformat(operation["endTime"]) - datetime.fromisoformat(operation["startTime"]) == timedelta(seconds=5)
    assert slow.candidates()[one]["migrationDate"] == operation["endTime"]


def test_a_lost_answer_may_hide_a_failure(slow, one):
    slow.switch(outcomes=f"{one}:INCOMPLETE")
    give_up(slow, slow.migrate, one)
    slow.advance(5)
    assert slow.of("datasources", one)["broken"]
    assert not slow.candidates()[one]["migrated"]
    assert slow.posts(one) == (1, 0, 1)


def test_an_answer_that_is_dropped_follows_work_that_was_done(instance, one):
    instance.fault(method="POST", path="*/accounts/*", action="drop_after")
    with pytest.raises(LOST):
        instance.migrate(one)
    assert instance.candidates()[one]["migrated"]
    assert instance.posts(one) == (1, 0, 1)


def test_a_request_that_is_dropped_was_never_handled(instance, one):
    instance.fault(method="POST", path=f"*/{one}/*", action="drop_before")
    with pytest.raises(LOST):
        instance.migrate(one)
    assert instance.of("posts", one) is None
    assert states(instance.migrate(one)) == ["COMPLETE"]


def test_an_answer_that_is_cut_follows_work_that_was_done(instance, one):
    instance.fault(method="POST", action="truncate", bytes=20)
    with pytest.raises(LOST):
        instance.migrate(one)
    assert instance.candidates()[one]["migrated"]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_scripted_status_starts_nothing(instance, one, status):
    instance.fault(method="POST", action="status", status=status, body="<html>Bad Gateway</html>")
    assert instance.migrate(one).status_code == status
    assert instance.state()["operations"] == []


def test_a_reset_lets_go_of_everybody_who_waits(slow, one):
    answer = slow.behind(slow.migrate, one)
    slow.control.post("/reset", params={"vendor": "domo"}).raise_for_status()
    assert refused(answer.result()) == (503, "The instance was reset.")
    assert not slow.candidates()[one]["migrated"]


def test_a_datasource_deleted_meanwhile_ends_aborted(slow, one):
    answer = slow.behind(slow.migrate, one)
    slow.control.delete(f"/domo/records/{one}").raise_for_status()
    slow.advance(5)
    assert states(answer.result()) == ["ABORTED"]
    assert answer.result().json()["errorMessage"] == "The datasource was deleted."
    assert one not in slow.candidates()


# Side by side


def test_different_datasources_are_worked_on_together(slow, one, another):
    answers = [slow.behind(slow.migrate, key) for key in (one, another)]
    slow.advance(5)
    assert states(*(answer.result() for answer in answers)) == ["COMPLETE", "COMPLETE"]
    state = slow.state()
    assert state["most_at_once"] == 2
    assert [operation["at_once"] for operation in state["operations"]] == [1, 2]


def test_one_after_the_other_is_never_together(instance, one, another):
    states(instance.migrate(one), instance.migrate(another))
    assert instance.state()["most_at_once"] == 1


def test_a_second_post_for_a_datasource_is_aborted_at_once(slow, one):
    answer = slow.behind(slow.migrate, one)
    second = slow.migrate(one)
    assert states(second) == ["ABORTED"]
    assert second.json()["errorMessage"] == "Another operation on the datasource is already in progress."
    slow.advance(5)
    assert states(answer.result()) == ["COMPLETE"]
    assert slow.state()["most_at_once"] == 2


def test_a_reversal_during_a_migration_is_aborted_too(slow, one):
    answer = slow.behind(slow.migrate, one)
    assert states(slow.reverse(one)) == ["ABORTED"]
    slow.advance(5)
    assert states(answer.result()) == ["COMPLETE"]


def test_a_second_post_may_wait_for_its_turn(slow, one):
    slow.switch(parallel_post="queued")
    answers = [slow.behind(slow.migrate, one), slow.behind(slow.reverse, one), slow.behind(slow.migrate, one)]
    slow.advance(5)
    assert states(answers[0].result()) == ["COMPLETE"]
    slow.advance(2.9)
    assert slow.candidates()[one]["migrated"]
    slow.advance(0.1)
    assert states(answers[1].result()) == ["COMPLETE"]
    assert not slow.candidates()[one]["migrated"]
    slow.advance(5)
    assert states(answers[2].result()) == ["COMPLETE"]
    assert [lasted(answer.result()) for answer in answers] == [timedelta(seconds=seconds) for seconds in (5, 8, 13)]


@pytest.mark.parametrize(("first", "second"), [("COMPLETE", "ABORTED"), ("INCOMPLETE", "COMPLETE")])
def test_whose_turn_comes_finds_what_the_first_one_left(slow, one, first, second):
    slow.switch(parallel_post="queued", outcomes=f"{one}:{first}")
    answers = [slow.behind(slow.migrate, one) for _ in range(2)]
    slow.advance(10)
    assert states(*(answer.result() for answer in answers)) == [first, second]


def test_a_turn_comes_although_nobody_listens(slow, one):
    slow.switch(parallel_post="queued")
    for call in (slow.migrate, slow.reverse):
        give_up(slow, call, one)
    slow.advance(8)
    assert [operation["state"] for operation in slow.state()["operations"]] == ["COMPLETE", "COMPLETE"]
    assert not slow.of("datasources", one)["migrated"]


def test_a_queued_repeat_may_be_a_409(slow, one):
    slow.switch(parallel_post="queued", repeat_post="conflict")
    answers = [slow.behind(slow.migrate, one) for _ in range(2)]
    slow.advance(5)
    assert [answer.result().status_code for answer in answers] == [200, 409]


def test_a_second_post_may_be_given_the_outcome_of_the_first(slow, one):
    slow.switch(parallel_post="joined", outcomes=f"{one}:INCOMPLETE")
    answers = [slow.behind(slow.migrate, one) for _ in range(2)]
    slow.advance(5)
    first, second = (answer.result().json() for answer in answers)
    assert first == second
    assert first["state"] == "INCOMPLETE"
    state = slow.state()
    assert (len(state["operations"]), state["most_at_once"]) == (1, 2)


def test_a_reversal_does_not_join_a_migration(slow, one):
    slow.switch(parallel_post="joined")
    answer = slow.behind(slow.migrate, one)
    assert states(slow.reverse(one)) == ["ABORTED"]
    slow.advance(5)
    assert states(answer.result()) == ["COMPLETE"]


# Starts


def test_a_single_migration_is_one_start(instance, one):
    instance.migrate(one)
    assert instance.posts(one) == (1, 0, 1)


@pytest.mark.parametrize("state", ["INCOMPLETE", "ABORTED", "PARTIAL"])
def test_another_attempt_after_a_failure_is_one_start_again(instance, one, state):
    instance.switch(outcomes=f"{one}:{state},{state}")
    for _ in range(3):
        instance.migrate(one)
    assert instance.posts(one) == (3, 0, 1)


def test_another_attempt_after_a_refused_one_is_one_start_again(instance, one):
    states(instance.migrate(one, "58"), instance.migrate(one))
    assert instance.posts(one) == (2, 0, 1)


def test_another_migration_after_a_reversal_is_one_start_again(instance, one):
    for call in (instance.migrate, instance.reverse, instance.migrate):
        call(one)
    assert instance.posts(one) == (2, 1, 1)


def test_another_migration_after_a_reversal_by_hand_is_one_start_again(instance, one):
    instance.migrate(one)
    instance.control.post(f"/domo/records/{one}/reverse").raise_for_status()
    instance.migrate(one)
    assert instance.posts(one) == (2, 0, 1)


@pytest.mark.parametrize("repeat", ["aborted", "complete", "conflict"])
def test_a_repeat_of_what_is_complete_is_a_second_start(instance, one, repeat):
    instance.switch(repeat_post=repeat)
    for _ in range(3):
        instance.migrate(one)
    assert instance.posts(one) == (3, 0, 3)


@pytest.mark.parametrize("reversal", ["ABORTED", "INCOMPLETE"])
def test_a_reversal_that_failed_permits_no_migration(instance, one, reversal):
    instance.switch(reverse_outcomes=f"{one}:{reversal}")
    for call in (instance.migrate, instance.reverse, instance.migrate):
        call(one)
    assert instance.posts(one) == (2, 1, 2)


def test_a_double_start_cannot_hide_behind_a_reversal(instance, one):
    for call in (instance.migrate, instance.migrate, instance.reverse, instance.migrate):
        call(one)
    assert instance.posts(one) == (3, 1, 2)


@pytest.mark.parametrize("policy", ["aborted", "queued", "joined"])
@pytest.mark.parametrize("ends", ["COMPLETE", "ABORTED"])
def test_a_post_while_another_is_under_way_is_a_second_start(slow, one, policy, ends):
    slow.switch(parallel_post=policy, outcomes=f"{one}:{ends}")
    for _ in range(2):
        slow.behind(slow.migrate, one)
    slow.advance(10)
    assert slow.posts(one) == (2, 0, 2)


def test_reversals_are_counted_and_are_no_starts(instance, one):
    for call in (instance.reverse, instance.migrate, instance.reverse):
        call(one)
    assert instance.posts(one) == (1, 2, 1)


def test_a_reversal_alone_is_no_start(instance, one):
    instance.reverse(one)
    assert instance.posts(one) == (0, 1, 0)
