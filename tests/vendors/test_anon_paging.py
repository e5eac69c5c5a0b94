"""A list of Anon's is walked to its end whatever its pages are like, and its end is never guessed: by hand, then at random."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.playing import calls, play, said

from ferry.core.errors import BadCredentials, NotFound, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.vendors.anon.api import AnonApi
from ferry.vendors.anon.hook import AnonHook

NO = said(404, {"error": {"code": "not_found"}})


def page(*ids, word="WORKING"):
    return said(200, {"data": [{"id": name, "status": word} for name in ids]})


END = page()


def walk(*answers, page_size=50, most_pages=1000):
    """The ids that were found, and the queries that were asked; every answer must have been wanted, and no more."""
    api = AnonApi("https://anon.example", page_size=page_size, most_pages=most_pages)
    found, asks = play(api.migrations(), *answers)
    return [one.id for one in found], queries(asks)


def queries(asks):
    return [call.partition("?")[2] for call in calls(asks)]


def refused(kind, *answers, **how):
    with pytest.raises(kind) as caught:
        walk(*answers, **how)
    return caught.value


# Where a list begins


def test_the_first_page_is_asked_for_without_a_number_and_then_one_after_the_other():
    found, asked = walk(page("a"), page("b"), page("c"), END)
    assert found == ["a", "b", "c"]
    assert asked == ["page_size=50", "page_size=50&page=1", "page_size=50&page=2", "page_size=50&page=3"]


def test_a_page_size_of_none_is_left_to_anon():
    assert walk(page("a"), END, page_size=0)[1] == ["", "page=1"]


def test_pages_may_be_counted_from_one_so_that_the_first_comes_twice():
    assert walk(page("a", "b"), page("a", "b"), page("c"), END)[0] == ["a", "b", "c"]


def test_pages_may_be_counted_from_nought():
    assert walk(page("a", "b"), page("c"), END)[0] == ["a", "b", "c"]


def test_an_empty_list_is_asked_for_once():
    assert walk(END) == ([], ["page_size=50"])


# Where it ends


@pytest.mark.parametrize("end", [END, NO, said(410)], ids=["empty", "404", "410"])
@pytest.mark.parametrize("names", ["a", "aa", "ab", "aab", "abc"])
def test_an_empty_page_or_none_at_all_ends_the_list(end, names):
    found, asked = walk(*map(page, names), end)
    assert (found, len(asked)) == (sorted(set(names)), len(names) + 1)


def test_nothing_where_the_first_page_should_be_is_an_error():
    assert "HTTP 404" in refused(NotFound, NO).message


def test_what_comes_after_an_empty_page_is_not_asked_for():
    assert walk(page("a"), END) == (["a"], ["page_size=50", "page_size=50&page=1"])


def test_a_page_that_is_shorter_than_asked_for_ends_nothing():
    assert walk(page("a", "b", "c"), page("d"), page("e", "f"), page("g"), END, page_size=3)[0] == list("abcdefg")


def test_a_page_that_is_longer_than_asked_for_is_taken_whole():
    assert walk(page("a", "b", "c"), page("d"), END, page_size=1)[0] == list("abcd")


def test_one_page_without_anything_new_does_not_end_the_list():
    assert walk(page("a"), page("a"), page("a"), page("b"), page("b"), page("c"), END)[0] == ["a", "b", "c"]


def test_two_in_a_row_without_anything_new_end_it():
    found, asked = walk(page("a"), page("b"), page("b"), page("a", "b"))
    assert found == ["a", "b"]
    assert asked[-1] == "page_size=50&page=3"


def test_the_two_are_counted_from_the_second_page_on():
    """Page 1 may be the first once more, and page 2 an echo: only page 3 makes it certain."""
    assert walk(page("a"), page("a"), page("a"), page("b"), END)[0] == ["a", "b"]
    assert walk(page("a"), page("a"), page("a"), page("a"))[1][-1] == "page_size=50&page=3"


def test_they_must_follow_each_other():
    assert walk(page("a"), page("b"), page("b"), page("c"), page("c"), page("d"), page("d"), page("d"))[0] == list("abcd")


def test_a_page_of_old_and_new_is_a_new_one():
    """The list moves on by one while it is walked, since something was added at its front."""
    assert walk(page("c", "b"), page("c", "b"), page("b", "a"), END)[0] == ["c", "b", "a"]


@pytest.mark.parametrize(
    "hints",
    [{"total": 1, "has_more": False, "next": None}, {"total": 999, "has_more": True, "next": "https://elsewhere.example"}],
)
def test_what_a_page_says_of_the_end_is_not_believed(hints):
    pages = [said(200, {"data": [{"id": name}], **hints}) for name in "ab"]
    found, asked = walk(*pages, said(200, {"data": [], **hints}))
    assert (found, len(asked)) == (["a", "b"], 3)


# What is found


def test_what_comes_twice_is_taken_once_as_it_was_seen_last_and_where_it_was_seen_first():
    api = AnonApi("https://anon.example")
    found, _ = play(api.migrations(), page("a", "b"), page("b", "c", word="COMPLETE"), END)
    assert [(one.id, one.word) for one in found] == [("a", "WORKING"), ("b", "COMPLETE"), ("c", "COMPLETE")]


def test_what_comes_twice_on_one_page_is_taken_once_too():
    assert walk(page("a", "a"), END)[0] == ["a"]


def test_one_thing_without_an_id_spoils_the_whole_list():
    refused(VendorNonsense, page("a"), said(200, {"data": [{"id": "b"}, {"status": "WORKING"}]}))


# A server that does not know page_size


@pytest.mark.parametrize("status", [400, 422])
def test_a_page_size_that_is_refused_is_not_sent_again(status):
    found, asked = walk(said(status), page("a"), page("b"), END)
    assert found == ["a", "b"]
    assert asked == ["page_size=50", "", "page=1", "page=2"]


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_that_is_not_about_the_page_size_is_an_error(status):
    error = refused(VendorRefused, said(status), said(status))
    assert queries(error.asks) == ["page_size=50", ""]
    error = refused(VendorRefused, said(status), page_size=0)
    assert queries(error.asks) == [""]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, BadCredentials), (403, BadCredentials), (409, VendorRefused), (405, VendorRefused)]
)
def test_no_other_refusal_is_tried_without_a_page_size(status, kind):
    assert queries(refused(kind, said(status)).asks) == ["page_size=50"]


@pytest.mark.parametrize("status", [400, 401, 422])
def test_a_refusal_in_the_middle_of_a_list_is_an_error_and_not_its_end(status):
    error = refused(VendorRefused, page("a"), page("b"), said(status))
    assert len(error.asks) == 3


# The limit


@pytest.mark.parametrize("begin", [[], [page("1")]], ids=["from nought", "from one"])
def test_a_list_of_as_many_pages_as_are_allowed_is_read(begin):
    assert walk(page("1"), *begin, page("2"), page("3"), END, most_pages=3)[0] == ["1", "2", "3"]


@pytest.mark.parametrize("begin", [[], [page("1")]], ids=["from nought", "from one"])
def test_a_list_of_one_page_more_is_an_error_and_never_cut_short(begin):
    error = refused(VendorNonsense, page("1"), *begin, page("2"), page("3"), page("4"), most_pages=3)
    assert error.message == (
        "Anon's list does not end after 3 pages; 4 things were in it until then. Raise page size or the limit of pages in the "
        "connection; part of a list is not used."
    )


def test_echoes_are_no_pages_of_their_own():
    twice = [page(name) for name in "aabbcc"]
    assert walk(*twice, END, most_pages=3)[0] == ["a", "b", "c"]


def test_a_list_that_never_ends_is_given_up():
    """Everything at once, in whatever page, and something new each time: there is no telling whether it ends."""
    error = refused(VendorNonsense, *(page(*map(str, range(number))) for number in range(1, 12)), most_pages=10)
    assert len(error.asks) == 11


def test_a_page_that_does_not_come_is_asked_for_again_by_its_own_number():
    assert walk(page("a"), said(503), page("b"), END)[1] == ["page_size=50", *["page_size=50&page=1"] * 2, "page_size=50&page=2"]


def test_a_page_that_never_comes_is_an_error_and_not_the_end():
    assert len(refused(VendorUnavailable, page("a"), *[said(503)] * 6).asks) == 7


# Any mix of servers

MIXES = st.fixed_dictionaries(
    {
        "envelope": st.sampled_from(["data", "migrations", "items", "results", "bare"]),
        "first_page": st.integers(0, 1),
        "order": st.sampled_from(["newest", "oldest", "shuffled"]),
        "default_page_size": st.integers(1, 25),
        "page_cap": st.sampled_from([1, 2, 3, 7, 20, 100]),
        "page_size_answer": st.sampled_from(["accept", "400", "422"]),
        "short_pages": st.booleans(),
        "repeat_pages": st.booleans(),
        "past_end": st.sampled_from(["empty", "404", "last"]),
        "ignore_page": st.booleans(),
        "hints": st.sampled_from(["true", "linked", "absent", "wrong"]),
        "extra_fields": st.booleans(),
        "zone": st.sampled_from(["none", "Z", "offset"]),
        "null_company": st.booleans(),
    }
)


def narrowest(mix, page_size):
    """How much the narrowest page of such a server holds."""
    told = page_size if page_size and mix["page_size_answer"] == "accept" else mix["default_page_size"]
    size = min(told, mix["page_cap"])
    return max(size // 2, 1) if mix["short_pages"] else size


@st.composite
def servers(draw, *, growing):
    """Switches, how many migrations there are, and the page size that the client asks for.

    A list may grow by a quarter of its narrowest page between two calls. One that grows faster than its pages are long cannot be
    walked by anybody: newest first, it slides away from the walk as fast as that goes on, so that every page shows what was on
    the one before. Nor is there an end to one that gives everything (or its last page) under every number and has something new
    each time: that one is an error in the end, as `test_a_list_that_never_ends_is_given_up` says, and is not drawn here.
    """
    mix, page_size = draw(MIXES), draw(st.integers(0, 60))
    if growing:
        mix |= {"ignore_page": False, "past_end": draw(st.sampled_from(["empty", "404"]))}
        mix |= {"page_cap": draw(st.integers(10, 100)), "default_page_size": draw(st.integers(10, 25))}
        page_size = draw(st.sampled_from([0, *range(10, 61)]))
        mix["grow_per_call"] = draw(st.integers(1, max(narrowest(mix, page_size) // 4, 1)))
    count = draw(st.integers(0, 120))
    return mix, min(count, 15 * narrowest(mix, page_size)), page_size  # pages of one are no better in hundreds


@pytest.fixture(scope="module")
def one_hook():
    return {}


@pytest.fixture
def listed(anon, one_hook):
    """What the client lists, and what the sandbox says was there before, from a server such as this."""
    hook = one_hook.setdefault("hook", AnonHook("anon_default"))

    def list_them(mix, count, page_size):
        anon.control.post("/reset", params={"vendor": "anon"}).raise_for_status()
        anon.switch(**mix)
        if count:
            anon.make(story="forgets", count=count)
        there = {one["id"] for one in anon.state()["migrations"]}

        def resized(api):
            api.page_size = page_size
            return api.migrations()

        found = [one.id for one in hook.call(resized)]
        assert len(found) == len(set(found))
        return set(found), there

    return list_them


MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLAIN = {
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
}


@MANY
@example((PLAIN, 100, 50))
@example((PLAIN | {"first_page": 0, "repeat_pages": True, "past_end": "last"}, 23, 0))
@example((PLAIN | {"repeat_pages": True, "short_pages": True, "page_size_answer": "422", "past_end": "404"}, 60, 50))
@example((PLAIN | {"ignore_page": True, "past_end": "last", "envelope": "bare"}, 120, 7))
@given(server=servers(growing=False))
def test_any_mix_of_pages_gives_the_same_migrations(listed, server):
    found, there = listed(*server)
    assert found == there


@MANY
@example((PLAIN | {"grow_per_call": 12}, 120, 50))
@example((PLAIN | {"grow_per_call": 5, "order": "shuffled", "repeat_pages": True, "first_page": 0}, 120, 20))
@given(server=servers(growing=True))
def test_what_was_there_at_the_beginning_is_found_though_the_list_grows(listed, server):
    found, there = listed(*server)
    assert found >= there
