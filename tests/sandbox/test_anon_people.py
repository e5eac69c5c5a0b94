"""What people and time do to the made-up migrations: stories that go on by themselves, and acts that end them."""

from itertools import pairwise

import pytest

STORIES = {
    "completes": [(0, "NOT_STARTED"), (2, "WORKING"), (6, "COMPLETE")],
    "partly": [(0, "NOT_STARTED"), (2, "WORKING"), (6, "COMPLETED_WITH_FAILURES")],
    "fails": [(0, "NOT_STARTED"), (2, "WORKING"), (6, "FAILED")],
    "abandons": [(0, "NOT_STARTED"), (3, "LOGIN_ABANDONED")],
    "stalls": [(0, "NOT_STARTED"), (2, "WORKING"), (4, "PENDING_USER_INPUT"), (9, "WORKING"), (11, "COMPLETE")],
    "forgets": [(0, "NOT_STARTED")],
    "stuck": [(0, "NOT_STARTED"), (2, "WORKING"), (4, "PENDING_USER_INPUT")],
    "strange": [(0, "NOT_STARTED"), (2, "WORKING"), (4, "VERIFYING"), (6, "COMPLETE")],
    "service": [(0, "NOT_READY"), (2, "WORKING"), (6, "COMPLETE")],
}
WORDS = ["NOT_STARTED", "WORKING", "PENDING_USER_INPUT", "COMPLETE", "COMPLETED_WITH_FAILURES", "FAILED"]
WORDS += ["NOT_READY", "LOGIN_ABANDONED", "ON_HOLD"]
ACTS = {
    "login": ("WORKING", {"NOT_STARTED"}),
    "ask": ("PENDING_USER_INPUT", {"NOT_STARTED", "WORKING", "ON_HOLD"}),
    "supply": ("WORKING", {"PENDING_USER_INPUT"}),
    "abandon": ("LOGIN_ABANDONED", {"NOT_STARTED"}),
    "finish": ("COMPLETE", {"WORKING", "ON_HOLD"}),
    "finish_with_failures": ("COMPLETED_WITH_FAILURES", {"WORKING", "ON_HOLD"}),
    "fail": ("FAILED", {"NOT_STARTED", "WORKING", "PENDING_USER_INPUT", "ON_HOLD"}),
}


def followed(anon, key, moments):
    """The status just before each moment, and at it."""
    seen, now = [], 0.0
    for moment in moments:
        if moment:
            anon.advance(moment - now - 0.01)
            seen.append(anon.status(key))
            anon.advance(0.01)
        now = moment
        seen.append(anon.status(key))
    return seen


def expected(steps):
    """The same, from the steps of a story."""
    seen = [steps[0][1]]
    for (_, before), (_, after) in pairwise(steps):
        seen += [before, after]
    return seen


# Stories


@pytest.mark.parametrize("story", STORIES)
def test_a_story_goes_on_by_the_clock(anon, story):
    key, steps = anon.one(story), STORIES[story]
    assert followed(anon, key, [moment for moment, _ in steps]) == expected(steps)
    anon.advance(1_000_000)
    assert anon.status(key) == steps[-1][1]


def test_every_story_there_is_is_known_here(anon):
    answer = anon.control.post("/anon/records", json={"story": "nothing"})
    assert answer.json()["error"].partition("one of ")[2].rstrip(".").split(", ") == list(STORIES)


def test_the_list_shows_the_same_status(anon):
    keys = {anon.one(story): story for story in STORIES}
    anon.advance(6)
    seen = {keys[one["id"]]: one["status"] for one in anon.page()["data"]}
    assert seen == {story: [word for moment, word in steps if moment <= 6][-1] for story, steps in STORIES.items()}


def test_a_story_that_is_told_is_taken_at_its_word(anon):
    steps = [[0, "NOT_READY"], [1.5, "ON_HOLD"], [0.5, "WORKING"], [0, "COMPLETE"], [3, "FAILED"]]
    key = anon.one(steps)
    seen = followed(anon, key, [0, 1.5, 2, 5])
    assert seen == ["NOT_READY", "NOT_READY", "ON_HOLD", "ON_HOLD", "COMPLETE", "COMPLETE", "FAILED"]


def test_before_the_first_step_a_migration_is_not_started(anon):
    key = anon.one([[5, "WORKING"]])
    assert followed(anon, key, [0, 5]) == ["NOT_STARTED", "NOT_STARTED", "WORKING"]


def test_a_story_begins_when_the_migration_was_created(anon):
    keys = [anon.one("completes", created_ago=ago) for ago in (0, 3, 3600)]
    assert [anon.status(key) for key in keys] == ["NOT_STARTED", "WORKING", "COMPLETE"]


def test_named_stories_are_scaled_and_told_ones_are_not(anon):
    before = anon.one("completes")
    anon.switch(story_scale=10.0)
    after, told = anon.one("completes"), anon.one([[0, "NOT_STARTED"], [6, "COMPLETE"]])
    anon.advance(6)
    assert [anon.status(key) for key in (before, after, told)] == ["COMPLETE", "NOT_STARTED", "COMPLETE"]
    anon.advance(14)
    assert anon.status(after) == "WORKING"
    anon.advance(40)
    assert anon.status(after) == "COMPLETE"


def test_a_scale_of_0_ends_stories_at_once(anon):
    anon.switch(story_scale=0.0)
    assert [anon.status(anon.one(story)) for story in STORIES] == [steps[-1][1] for steps in STORIES.values()]


def test_the_undocumented_word_is_a_switch(anon):
    anon.switch(extra_word="EMBALMING")
    key = anon.one("strange")
    anon.advance(4)
    assert anon.status(key) == "EMBALMING"


def test_a_running_clock_moves_stories_too(anon):
    key = anon.one("completes")
    anon.run_at(60)
    anon.until(lambda: anon.status(key) == "COMPLETE")


# Acts


@pytest.mark.parametrize("act", ACTS)
def test_a_person_acts_at_once_where_it_makes_sense(anon, act):
    leads_to, allowed = ACTS[act]
    for word in WORDS:
        key = anon.one([[0, word]])
        answer = anon.act(key, act)
        if word in allowed:
            assert (answer.status_code, answer.json()) == (200, {"id": key, "status": leads_to})
            assert anon.status(key) == leads_to
        else:
            assert answer.status_code == 409
            assert answer.json()["error"].startswith(f"The migration {key} is {word}; {act} needs ")
            assert anon.status(key) == word


def test_an_act_ends_the_story(anon):
    key = anon.one("completes")
    anon.acts(key, "login", "ask")
    anon.advance(1_000_000)
    assert anon.status(key) == "PENDING_USER_INPUT"
    anon.acts(key, "supply", "finish_with_failures")
    anon.advance(1_000_000)
    assert anon.status(key) == "COMPLETED_WITH_FAILURES"


def test_a_refused_act_leaves_the_story_alone(anon):
    key = anon.one("completes")
    assert anon.act(key, "finish").json() == {"error": f"The migration {key} is NOT_STARTED; finish needs WORKING."}
    anon.advance(6)
    assert anon.status(key) == "COMPLETE"


def test_an_act_is_judged_by_the_status_of_the_moment(anon):
    key = anon.one("completes")
    anon.advance(2)
    assert anon.act(key, "login").status_code == 409
    anon.acts(key, "fail")
    anon.advance(100)
    assert anon.status(key) == "FAILED"


def test_an_act_concerns_one_migration_of_those_made_together(anon):
    keys = anon.make(count=3, story="completes")
    anon.acts(keys[1], "abandon")
    anon.advance(6)
    assert [anon.status(key) for key in keys] == ["COMPLETE", "LOGIN_ABANDONED", "COMPLETE"]
