"""What rehearsals may do to the made-up Anon organisation, and what they are told."""

import time
from datetime import datetime

import pytest

STORY = "story is a list of [seconds after the one before, status], or one of "
TASKS = "tasks is a list of [data_type, status at the end]."
ENDS = {
    "completes": ("succeeded", "COMPLETE"),
    "partly": ("partially_succeeded", "COMPLETED_WITH_FAILURES"),
    "fails": ("failed_dirty", "FAILED"),
    "abandons": ("cancelled", "LOGIN_ABANDONED"),
    "stalls": ("succeeded", "COMPLETE"),
    "strange": ("succeeded", "COMPLETE"),
    "service": ("succeeded", "COMPLETE"),
}


def said(answer):
    return answer.status_code, answer.json()["error"]


def quickest(anon):
    """The seconds of the quickest of some calls for a small page."""
    seconds = []
    for page in range(1, 41):
        start = time.perf_counter()
        anon.page(page=page, page_size=1)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# Records


def test_a_migration_is_made_of_nothing(anon):
    (key,) = anon.make()
    assert anon.status(key) == "NOT_STARTED"
    anon.advance(6)
    assert anon.status(key) == "COMPLETE"


def test_a_migration_is_made_as_told(anon):
    key = anon.one(id="mig_7", company_id=None, created_by_user_id="kim@example.com", created_ago=7200.5)
    one = anon.get(key)
    assert (key, one["id"], one["company_id"], one["created_by_user_id"]) == ("mig_7", "mig_7", None, "kim@example.com")
    told = datetime.fromisoformat(one["created"] + "+00:00").timestamp()
    assert told == pytest.approx(anon.now() - 7200.5, abs=0.001)


def test_users_and_companies_that_are_not_told_differ(anon):
    anon.make(count=30, story="forgets")
    shown = anon.page(page_size=30)["data"]
    assert (len({one["created_by_user_id"] for one in shown}), len({one["company_id"] for one in shown})) == (11, 7)


def test_what_is_told_holds_for_all_that_are_made_together(anon):
    anon.make(count=3, story="forgets", company_id="acme", created_by_user_id="kim")
    shown = [(one["company_id"], one["created_by_user_id"]) for one in anon.page()["data"]]
    assert shown == [("acme", "kim")] * 3


def test_an_id_is_used_once(anon):
    key = anon.one()
    assert said(anon.control.post("/anon/records", json={"id": key})) == (409, f"There is a migration {key} already.")
    assert anon.ids() == [key]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"colour": "red"}, "There is no colour; post any of "),
        ({"count": 0}, "count is a whole number from 1 to 100000."),
        ({"count": 100_001}, "count is a whole number from 1 to 100000."),
        ({"count": True}, "count is a whole number from 1 to 100000."),
        ({"count": 2.0}, "count is a whole number from 1 to 100000."),
        ({"count": 2, "id": "x"}, "An id is for one migration."),
        ({"id": ""}, "id is a text."),
        ({"id": 5}, "id is a text."),
        ({"company_id": 5}, "company_id is a text."),
        ({"created_by_user_id": None}, "Only company_id may be null."),
        ({"created_ago": -1}, "created_ago is a number of seconds, "),
        ({"created_ago": "1"}, "created_ago is a number of seconds, "),
        ({"created_ago": True}, "created_ago is a number of seconds, "),
        ({"created_ago": 1e12}, "created_ago is a number of seconds, "),
        ({"story": "nothing"}, STORY),
        ({"story": []}, STORY),
        ({"story": [["WORKING", 1]]}, STORY),
        ({"story": [[-1, "WORKING"]]}, STORY),
        ({"story": [[True, "WORKING"]]}, STORY),
        ({"story": [[0, ""]]}, STORY),
        ({"story": [[0, "WORKING", 2]]}, STORY),
        ({"story": [[0, "WORKING"]] * 1001}, STORY),
        ({"story": {"0": "WORKING"}}, STORY),
        ({"tasks": "all"}, TASKS),
        ({"tasks": [["A"]]}, TASKS),
        ({"tasks": [["A", ""]]}, TASKS),
        ({"tasks": [["A", None]]}, TASKS),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_with_a_sentence(anon, wrong, words):
    status, text = said(anon.control.post("/anon/records", json=wrong))
    assert (status, text[: len(words)]) == (400, words)
    assert anon.state()["migrations"] == []


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "1e400"])
def test_seconds_are_finite(anon, seconds):
    body = f'{{"story": [[{seconds}, "WORKING"]]}}'
    status, text = said(anon.control.post("/anon/records", content=body))
    assert (status, text[: len(STORY)]) == (400, STORY)
    assert anon.control.post("/anon/records", content=f'{{"created_ago": {seconds}}}').status_code == 400


def test_the_longest_story_can_still_be_told(anon):
    anon.one([[1e300, "WORKING"]] * 1000)
    assert len(anon.state()["migrations"][0]["story"]) == 1000


def test_a_page_out_of_a_hundred_thousand_costs_what_one_out_of_few_does(anon):
    few = anon.make(count=200)
    before = quickest(anon)
    many = anon.make(count=100_000)
    assert len({*few, *many}) == 100_200
    assert anon.ids(page_size=100) == many[:-101:-1]
    assert anon.ids(page=1000, page_size=100) == many[99::-1]
    # Sorting or rendering everything on every call costs many times as much.
    assert quickest(anon) < 4 * before


# People


def test_people_know_their_migrations(anon):
    assert said(anon.act("nothing", "login")) == (404, "There is no migration nothing.")


@pytest.mark.parametrize("body", [{}, {"does": "dance"}, {"does": "login", "why": "x"}, {"does": None}])
def test_people_are_told_what_they_can_do(anon, body):
    key = anon.one()
    words = 'Post {"does": ...} with one of login, ask, supply, abandon, finish, finish_with_failures, fail.'
    assert said(anon.control.post(f"/anon/people/{key}", json=body)) == (400, words)
    assert anon.status(key) == "NOT_STARTED"


# The state


def test_the_state_of_the_first_day(anon):
    assert anon.state() == {
        "migrations": [],
        "counters": {
            "list_calls": 0,
            "pages": 0,
            "get_calls": 0,
            "file_calls": 0,
            "task_calls": 0,
            "other_methods": 0,
        },
    }


def test_the_state_tells_how_it_really_is_and_will_be(anon):
    key = anon.one("abandons", company_id="acme", created_by_user_id="kim")
    anon.switch(null_company=True, wrong_organisation=True, drop_field="status", late_get_seconds=100.0)
    anon.advance(1)
    (one,) = anon.state()["migrations"]
    story = one.pop("story")
    assert one.pop("created") == story[0][0]
    assert one == {"id": key, "status": "NOT_STARTED", "created_by_user_id": "kim", "company_id": "acme"}
    assert [word for _, word in story] == ["NOT_STARTED", "LOGIN_ABANDONED"]
    began, ends = (datetime.fromisoformat(moment).timestamp() for moment, _ in story)
    assert (began, ends) == (pytest.approx(anon.now() - 1, abs=0.002), pytest.approx(anon.now() + 2, abs=0.002))


def test_the_state_tells_what_people_did(anon):
    key = anon.one("completes")
    anon.acts(key, "login")
    (one,) = anon.state()["migrations"]
    assert (one["status"], [word for _, word in one["story"]]) == ("WORKING", ["NOT_STARTED", "WORKING"])


def test_the_state_may_leave_the_migrations_out(anon):
    anon.make(count=3)
    assert len(anon.state()["migrations"]) == 3
    assert anon.state(migrations="none")["migrations"] == []


def test_calls_are_counted_by_what_they_ask(anon):
    key = anon.one()
    for path in ("", "", f"/{key}", f"/{key}", f"/{key}", "/unknown", f"/{key}/files", f"/{key}/tasks", f"/{key}/tasks"):
        anon.call(path)
    anon.call(params={"page": 0})
    anon.call(key="guess")
    anon.call("", "POST")
    assert anon.counters() == {
        "list_calls": 3,
        "pages": 2,
        "get_calls": 4,
        "file_calls": 1,
        "task_calls": 2,
        "other_methods": 1,
    }


def test_a_reset_brings_the_first_day_back(anon):
    first = anon.state()
    anon.switch(order="oldest", grow_per_call=3)
    anon.call()
    assert anon.state() != first
    anon.control.post("/reset", params={"vendor": "anon"}).raise_for_status()
    assert anon.state() == first
    assert anon.ids() == []


# Switches


def test_the_switches_are_described(anon):
    told = anon.control.get("/anon/switches").json()
    assert all(switch["description"] for switch in told)
    assert {switch["name"]: switch["value"] for switch in told} == {
        "api_key": "anon_ferry_demo_key",
        "wrong_organisation": False,
        "requests_per_second": 0,
        "envelope": "data",
        "first_page": 1,
        "order": "newest",
        "default_page_size": 10,
        "page_cap": 100,
        "page_size_answer": "accept",
        "short_pages": False,
        "repeat_pages": False,
        "past_end": "empty",
        "ignore_page": False,
        "hints": "true",
        "grow_per_call": 0,
        "zone": "none",
        "null_company": False,
        "extra_word": "VERIFYING",
        "extra_fields": False,
        "drop_field": "",
        "story_scale": 1.0,
        "late_get_seconds": 0.0,
        "files_per_migration": 2,
        "file_url_seconds": 60,
    }


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"drop_field": "colour"}, "Switch 'drop_field' takes nothing or one of object, id, created, "),
        ({"first_page": 2}, "Switch 'first_page' takes 0 or 1."),
        ({"page_cap": 0}, "Switch 'page_cap' takes no number below 1."),
        ({"default_page_size": 0}, "Switch 'default_page_size' takes no number below 1."),
        ({"envelope": "list"}, "Switch 'envelope' takes one of 'data', 'migrations', "),
    ],
)
def test_a_switch_takes_only_what_makes_sense(anon, wrong, words):
    status, text = said(anon.control.put("/anon/switches", json=wrong))
    assert (status, text[: len(words)]) == (400, words)


# Scripts


def test_there_is_a_script_for_each_way_to_end(anon):
    assert anon.control.get("/anon/scripts").json() == {name: ends for name, (ends, _) in ENDS.items()}


@pytest.mark.parametrize("script", ENDS)
def test_a_script_plays_to_its_end(anon, script):
    begun = anon.control.post(f"/anon/scripts/{script}").json()
    ends, word = ENDS[script]
    assert begun["ends"] == ends
    assert anon.status(begun["ref"]) == ("NOT_READY" if script == "service" else "NOT_STARTED")
    anon.run_at(1)
    anon.until(lambda: anon.status(begun["ref"]) == word)


def test_a_script_can_be_played_again(anon):
    refs = [anon.control.post("/anon/scripts/completes").json()["ref"] for _ in range(3)]
    assert sorted(anon.ids()) == sorted(refs)
