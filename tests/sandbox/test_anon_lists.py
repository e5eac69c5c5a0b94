"""The pages of the made-up Anon organisation, and everything about them that the vendor does not tell."""

import re
from datetime import datetime

import pytest
from tests.sandbox.anon_client import BASE, refused

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
HEX = r"[0-9a-f]{16}"
LISTS = ["", "/files", "/tasks"]


@pytest.fixture
def seven(anon):
    """Seven migrations, oldest first."""
    return anon.make(count=7, story="forgets")


@pytest.fixture
def full(anon):
    """The path of a list with seven things, for each of the three lists."""

    def path(kind):
        if not kind:
            anon.make(count=7, story="forgets")
            return ""
        anon.switch(files_per_migration=7)
        key = anon.one([[0, "COMPLETE"]], tasks=[[f"Type{number}", "COMPLETE"] for number in range(7)])
        return f"/{key}{kind}"

    return path


# Objects


def test_a_migration_has_six_fields(anon):
    key = anon.one("completes")
    one = anon.get(key)
    assert list(one) == ["object", "id", "created", "status", "created_by_user_id", "company_id"]
    assert (one["object"], one["id"], one["status"]) == ("migration", key, "NOT_STARTED")
    assert re.fullmatch(UUID, key)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", one["created"])
    assert re.fullmatch(HEX, one["created_by_user_id"])
    assert re.fullmatch(HEX, one["company_id"])
    assert anon.page()["data"] == [one]


@pytest.mark.parametrize(
    ("zone", "ending"),
    [("none", r"\.\d{6}"), ("Z", r"\.\d{6}Z"), ("offset", r"\.\d{6}\+02:00")],
)
def test_the_same_moment_may_be_written_in_three_ways(anon, zone, ending):
    anon.switch(zone=zone)
    key = anon.one([[0, "COMPLETE"]])
    for one in (anon.get(key), anon.files(key)[0], anon.page(f"/{key}/tasks")["data"][0]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d" + ending, one["created"])
        told = datetime.fromisoformat(one["created"] + ("+00:00" if zone == "none" else ""))
        assert abs(told.timestamp() - anon.now()) < 0.001


def test_companies_may_be_null_everywhere(anon):
    key = anon.one(company_id="acme")
    assert anon.get(key)["company_id"] == "acme"
    anon.switch(null_company=True)
    assert (anon.get(key)["company_id"], anon.page()["data"][0]["company_id"]) == (None, None)


@pytest.mark.parametrize("kind", LISTS)
def test_objects_may_have_more_fields(anon, full, kind):
    path = full(kind)
    before = anon.page(path)["data"][0]
    anon.switch(extra_fields=True)
    after = anon.page(path)["data"][0]
    assert set(after) - set(before) == {"livemode", "metadata"}
    assert set(before) < set(after)


@pytest.mark.parametrize(("kind", "field"), [("", "company_id"), ("", "id"), ("/files", "url"), ("/tasks", "completed_at")])
def test_a_field_may_be_missing(anon, full, kind, field):
    path = full(kind)
    assert all(field in one for one in anon.page(path)["data"])
    anon.switch(drop_field=field)
    assert [one for one in anon.page(path)["data"] if field in one] == []


def test_a_field_may_be_missing_from_a_single_migration_too(anon):
    key = anon.one()
    anon.switch(drop_field="status", extra_fields=True)
    assert set(anon.get(key)) == {"object", "id", "created", "created_by_user_id", "company_id", "livemode", "metadata"}


# Envelopes


@pytest.mark.parametrize("kind", LISTS)
def test_the_envelope_tells_page_size_total_and_whether_more_follows(anon, full, kind):
    path = full(kind)
    first = anon.page(path, page_size=5)
    assert list(first) == ["object", "data", "page", "page_size", "total", "has_more"]
    assert {name: first[name] for name in first if name != "data"} == {
        "object": "list",
        "page": 1,
        "page_size": 5,
        "total": 7,
        "has_more": True,
    }
    second = anon.page(path, page=2, page_size=5)
    assert (second["page"], second["has_more"], len(first["data"]), len(second["data"])) == (2, False, 5, 2)


@pytest.mark.parametrize("name", ["migrations", "items", "results"])
@pytest.mark.parametrize("kind", LISTS)
def test_the_list_may_have_another_name(anon, full, kind, name):
    path = full(kind)
    before = anon.page(path)
    anon.switch(envelope=name)
    after = anon.page(path)
    assert [one["id"] for one in after.pop(name)] == [one["id"] for one in before.pop("data")]
    assert after == before


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_may_be_bare(anon, full, kind):
    path = full(kind)
    before = anon.ids(path, page_size=5)
    anon.switch(envelope="bare")
    assert [one["id"] for one in anon.page(path, page_size=5)] == before
    assert anon.page(path, page=3, page_size=5) == []


def test_hints_may_be_absent(anon, seven):
    anon.switch(hints="absent")
    assert list(anon.page(page_size=5)) == ["object", "data", "page", "page_size"]


def test_hints_may_have_a_link_that_leads_on(anon, seven):
    anon.switch(hints="linked")
    first = anon.page(page_size=5)
    assert first["next"].endswith(f"{BASE}?page_size=5&page=2")
    path, _, query = first["next"].partition("?")
    second = anon.http.get(f"{path}?{query}", headers={"Authorization": "Bearer anon_ferry_demo_key"}).json()
    assert [one["id"] for one in first["data"] + second["data"]] == seven[::-1]
    assert (second["total"], second["has_more"], second["next"]) == (7, False, None)


def test_hints_may_be_wrong(anon, seven):
    anon.switch(hints="wrong")
    first, second = anon.page(page_size=5), anon.page(page_size=5, page=2)
    assert (first["total"], first["has_more"], first["next"]) == (5, False, None)
    assert (second["total"], second["has_more"]) == (107, True)
    assert second["next"].endswith("page=3")
    assert anon.ids(page_size=5, page=3) == []


# Numbers and sizes


def test_a_page_holds_ten_unless_told_otherwise(anon):
    anon.make(count=23, story="forgets")
    assert [len(page) for page in anon.walk()] == [10, 10, 3]
    anon.switch(default_page_size=20)
    assert [len(page) for page in anon.walk()] == [20, 3]
    assert anon.page()["page_size"] == 20


def test_a_page_holds_no_more_than_the_cap(anon):
    anon.make(count=230, story="forgets")
    assert [len(page) for page in anon.walk(page_size=1000)] == [100, 100, 30]
    assert anon.page(page_size=1000)["page_size"] == 100
    anon.switch(page_cap=7)
    assert [len(anon.ids(page_size=1000)), len(anon.ids())] == [7, 7]


def test_the_first_page_is_1(anon, seven):
    assert anon.ids(page_size=3) == anon.ids(page=1, page_size=3) == seven[:3:-1]
    assert refused(anon.call(params={"page": 0})) == (422, "invalid_parameter")


def test_or_0(anon, seven):
    anon.switch(first_page=0)
    assert anon.ids(page_size=3) == anon.ids(page=0, page_size=3) == seven[:3:-1]
    assert anon.walk(first=0, page_size=3) == [seven[:3:-1], seven[3:0:-1], seven[:1]]
    assert anon.page()["page"] == 0


@pytest.mark.parametrize("name", ["page", "page_size"])
@pytest.mark.parametrize("wrong", ["0", "-1", "", "two", "1.0", "+1", " 1", "²", "9" * 5000])
@pytest.mark.parametrize("kind", LISTS)
def test_what_is_no_positive_integer_is_422(anon, kind, name, wrong):
    path = f"/{anon.one()}{kind}" if kind else ""
    answer = anon.call(path, params={name: wrong})
    assert refused(answer) == (422, "invalid_parameter")
    assert answer.json()["error"]["message"] == f"{name} must be an integer of at least 1."


def test_a_first_page_0_allows_no_page_below_and_no_size_0(anon):
    anon.switch(first_page=0)
    assert [anon.call(params=told).status_code for told in ({"page": -1}, {"page_size": 0}, {"page": 0})] == [422, 422, 200]


@pytest.mark.parametrize("status", [400, 422])
def test_a_page_size_that_is_told_may_be_refused(anon, seven, status):
    anon.switch(page_size_answer=str(status))
    assert refused(anon.call(params={"page_size": 5})) == (status, "invalid_parameter")
    assert len(anon.ids(page=1)) == 7
    assert anon.counters()["pages"] == 1


def test_unknown_parameters_filter_nothing(anon, seven):
    assert len(anon.ids(status="COMPLETE", user="nobody", sort="created")) == 7


# Orders


def test_the_newest_come_first(anon, seven):
    assert anon.ids() == seven[::-1]
    old = anon.one(created_ago=3600)
    assert anon.ids() == [*seven[::-1], old]
    new = anon.one()
    assert anon.ids() == [new, *seven[::-1], old]


def test_or_the_oldest(anon, seven):
    old = anon.one(created_ago=3600)
    anon.switch(order="oldest")
    assert anon.ids() == [old, *seven]
    assert anon.walk(page_size=3) == [[old, *seven[:2]], seven[2:5], seven[5:]]


def test_or_there_is_no_order_but_it_is_always_the_same(anon):
    made = anon.make(count=60, story="forgets")
    anon.switch(order="shuffled")
    seen = [key for page in anon.walk() for key in page]
    assert sorted(seen) == sorted(made)
    assert seen not in (made, made[::-1])
    assert [key for page in anon.walk(page_size=7) for key in page] == seen
    late = [anon.one(), *anon.make(count=60, story="forgets")]
    after = [key for page in anon.walk() for key in page]
    assert [key for key in after if key not in late] == seen
    assert sorted(after) == sorted([*made, *late])


@pytest.mark.parametrize("kind", ["/files", "/tasks"])
def test_files_and_tasks_have_the_same_orders(anon, full, kind):
    path = full(kind)
    orders = {}
    for order in ("newest", "oldest", "shuffled"):
        anon.switch(order=order)
        orders[order] = anon.ids(path)
        assert [key for page in anon.walk(path, page_size=3) for key in page] == orders[order]
    assert orders["oldest"] == orders["newest"][::-1]
    assert sorted(orders["shuffled"]) == sorted(orders["newest"])
    assert orders["shuffled"] not in (orders["newest"], orders["oldest"])


# Pages that make life hard


def test_short_pages_lose_nothing(anon):
    made = anon.make(count=23, story="forgets")
    anon.switch(short_pages=True)
    pages = anon.walk(page_size=10)
    assert [len(page) for page in pages] == [5, 9, 5, 4]
    assert [key for page in pages for key in page] == made[::-1]
    assert [anon.page(page=number, page_size=10)["has_more"] for number in range(1, 5)] == [True, True, True, False]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_smallest_short_pages_still_hold_something(anon, seven, size):
    anon.switch(short_pages=True)
    pages = anon.walk(page_size=size)
    assert [key for page in pages for key in page] == seven[::-1]
    assert all(0 < len(page) <= max(size - 1, 1) for page in pages)


def test_pages_may_come_twice(anon, seven):
    anon.switch(repeat_pages=True)
    newest = seven[::-1]
    assert anon.walk(page_size=3) == [newest[:3], newest[:3], newest[3:6], newest[3:6], newest[6:], newest[6:]]


def test_pages_may_come_twice_counted_from_0(anon, seven):
    anon.switch(repeat_pages=True, first_page=0)
    assert [len(page) for page in anon.walk(first=0, page_size=5)] == [5, 5, 2, 2]
    assert anon.ids(page=0, page_size=5) == anon.ids(page=1, page_size=5)


@pytest.mark.parametrize("kind", LISTS)
def test_past_the_end_there_is_an_empty_page(anon, full, kind):
    page = anon.page(full(kind), page=3, page_size=5)
    assert (page["data"], page["total"], page["has_more"]) == ([], 7, False)


@pytest.mark.parametrize("kind", LISTS)
def test_or_a_404(anon, full, kind):
    path = full(kind)
    anon.switch(past_end="404")
    assert [anon.call(path, params={"page": page, "page_size": 5}).status_code for page in (1, 2, 3, 99)] == [200, 200, 404, 404]


@pytest.mark.parametrize("size", [3, 6])
@pytest.mark.parametrize("more", [{}, {"short_pages": True}, {"repeat_pages": True}, {"first_page": 0}])
def test_or_the_last_page_for_ever(anon, seven, more, size):
    first = more.get("first_page", 1)
    anon.switch(**more)
    pages = anon.walk(first=first, page_size=size)
    anon.switch(past_end="last")
    past = first + len(pages)
    assert [anon.ids(page=page, page_size=size) for page in (past, past + 1, past + 500)] == [pages[-1]] * 3
    assert anon.page(page=past, page_size=size)["page"] == past


@pytest.mark.parametrize(("past", "status"), [("empty", 200), ("404", 404), ("last", 200)])
def test_a_list_without_anything_has_an_empty_first_page(anon, past, status):
    anon.switch(past_end=past)
    assert anon.ids() == []
    assert anon.call(params={"page": 2}).status_code == status


def test_the_page_may_be_ignored(anon):
    made = anon.make(count=150, story="forgets")
    anon.switch(ignore_page=True)
    for told in ({}, {"page": 1}, {"page": 2}, {"page": "x"}, {"page": 7, "page_size": 3}):
        page = anon.page(**told)
        assert [one["id"] for one in page["data"]] == made[::-1]
        assert (page["page"], page["page_size"], page["total"], page["has_more"]) == (1, 150, 150, False)


def test_migrations_may_appear_during_a_walk(anon, seven):
    anon.switch(grow_per_call=2)
    assert anon.page(page_size=5)["total"] == 9
    second = anon.page(page=2, page_size=5)
    assert second["total"] == 11
    # Newest first, so everything moves on: four new ones and the newest old one fill the first page by now.
    assert [one["id"] for one in second["data"]] == seven[5:0:-1]
    assert {one["status"] for one in anon.page(page_size=4)["data"]} == {"NOT_STARTED"}
    key = anon.one([[0, "COMPLETE"]])
    before = len(anon.state()["migrations"])
    anon.get(key)
    anon.tasks(key)
    anon.files(key)
    assert len(anon.state()["migrations"]) == before


def test_what_appears_is_at_the_end_if_the_oldest_come_first(anon, seven):
    anon.switch(grow_per_call=2, order="oldest")
    assert anon.ids(page_size=5) == seven[:5]
    assert anon.ids(page=2, page_size=5)[:2] == seven[5:]


def test_those_made_together_have_the_same_moment_and_still_an_order(anon):
    made = anon.make(count=30, story="forgets") + anon.make(count=30, story="forgets") + [anon.one()]
    assert len({one["created"] for one in anon.page(page_size=61)["data"]}) == 1
    assert anon.ids(page_size=61) == made[::-1]
