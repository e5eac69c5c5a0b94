"""Which migrations are meant and which are news, by their list and the ledger; and the names that their batches get."""

import random
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferry.core.batch import BATCH_ID
from ferry.core.model import RunState
from ferry.ledger.entries import Draft, Kind, Origin
from ferry.ledger.store import LedgerStore
from ferry.vendors.anon.discovering import batch_id_of
from ferry.vendors.anon.finding import AWAIT, FIND, MARGIN, VENDOR, age, fitting, news
from ferry.vendors.anon.manifest import Filter
from ferry.vendors.anon.shapes import Migration
from ferry.vendors.anon.vocabulary import STATES

NOON = datetime(2031, 2, 3, 12, tzinfo=UTC)
HERE, ELSEWHERE = "worker.anon.com", "worker.anon.example"
A_SECOND = timedelta(seconds=1)
ENDS = [word for word, state in STATES.items() if state.is_final]
GOING_ON = ["VERIFYING", "", *(word for word, state in STATES.items() if not state.is_final)]


def one(name, word="WORKING", *, created=NOON, user="u-1", company="c-1"):
    return Migration(name, word, created, user, company)


def ids(found):
    return [each.id for each in found]


# What fits


MEANT = {
    "its id": {"migration_id": "a"},
    "its company": {"company_id": "c-1"},
    "who began it": {"user_id": "u-1"},
    "how it stands": {"status": ["WORKING"]},
    "one of several": {"status": ["NOT_STARTED", "WORKING"]},
    "its age": {"created_after": NOON},
    "all of it": {"migration_id": "a", "company_id": "c-1", "user_id": "u-1", "status": ["WORKING"], "created_after": NOON},
}


@pytest.mark.parametrize("wanted", MEANT.values(), ids=MEANT)
def test_a_migration_fits_by_each_thing_it_is_known_by(wanted):
    assert ids(fitting([one("a")], Filter(**wanted))) == ["a"]


OTHERS = {
    "its id": one("b"),
    "its company": one("a", company="c-2"),
    "a company that is not known yet": one("a", company=""),
    "who began it": one("a", user="u-2"),
    "how it stands": one("a", "COMPLETE"),
    "how it stands, in a word nobody knows": one("a", "VERIFYING"),
    "its age": one("a", created=NOON - timedelta(days=1)),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_one_thing_that_does_not_fit_is_enough_not_to_be_meant(other):
    assert fitting([other], Filter(**MEANT["all of it"])) == []


@pytest.mark.parametrize("name", ["A", "a ", "", "aa"])
def test_ids_are_compared_as_they_are(name):
    assert fitting([one(name)], Filter(migration_id="a")) == []


def test_nothing_fits_in_an_empty_list():
    assert fitting([], Filter(company_id="c-1")) == []


@pytest.mark.parametrize("late", [timedelta(0), A_SECOND, MARGIN])
def test_a_migration_may_be_a_little_older_than_wished(late):
    assert ids(fitting([one("a", created=NOON - late)], Filter(created_after=NOON))) == ["a"]


def test_a_migration_may_not_be_older_than_the_margin():
    assert timedelta(minutes=5) == MARGIN
    assert fitting([one("a", created=NOON - MARGIN - timedelta(microseconds=1))], Filter(created_after=NOON)) == []


def test_a_migration_of_unknown_age_fits_only_where_no_age_is_asked_for():
    unknown = one("a", created=None)
    assert ids(fitting([unknown], Filter(company_id="c-1"))) == ["a"]
    assert fitting([unknown], Filter(company_id="c-1", created_after=NOON)) == []


@pytest.mark.parametrize("created", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_break_nothing(created):
    fits = fitting([one("a", created=created)], Filter(created_after=NOON))
    assert ids(fits) == (["a"] if created > NOON else [])


# Their order

BY_AGE = [one("z", created=None), one("y", created=NOON - A_SECOND), one("a"), one("b"), one("x", created=NOON + A_SECOND)]


def test_the_oldest_comes_first_and_the_id_decides_between_equals():
    mixed = random.Random(7).sample(BY_AGE, len(BY_AGE))
    assert mixed != BY_AGE
    assert ids(sorted(mixed, key=age)) == ["z", "y", "a", "b", "x"]
    assert ids(fitting(mixed, Filter(company_id="c-1"))) == ["z", "y", "a", "b", "x"]


# What is news


class Ledger:
    """A ledger of its own, and what the steps write into it."""

    def __init__(self, path):
        self.store = LedgerStore(str(path))
        self.store.migrate()

    def adopt(self, ref, *, vendor=VENDOR, environment=HERE, word="WORKING"):
        origin = Origin("watch_anon", f"r-{ref}", "find_run", 1)
        opened = self.store.admit(vendor, environment, batch_id_of(ref), "a" * 64, origin, is_live=lambda _: False)
        self.write(opened.attempt, origin, FIND, Kind.ADOPTED, ref=ref, word=word, state=RunState.RUNNING)
        return opened.attempt, origin

    def write(self, attempt, origin, step, kind, **facts):
        self.store.append(Draft(attempt=attempt, step=step, kind=kind, origin=origin, **facts))

    def see(self, ref, kind, word="COMPLETE", **more):
        self.write(*self.adopt(ref, **more), AWAIT, kind, ref=ref, word=word, state=STATES[word])

    def news(self, *migrations, since=None):
        return ids(news(self.store, HERE, migrations, since))


@pytest.fixture
def books(tmp_path):
    found = Ledger(tmp_path / "ledger.db")
    yield found
    found.store.database.engine.dispose()


@pytest.mark.parametrize("word", [*ENDS, *GOING_ON])
def test_what_the_ledger_has_never_heard_of_is_news_however_it_stands(books, word):
    assert books.news(one("a", word)) == ["a"]


@pytest.mark.parametrize("word", GOING_ON)
def test_what_was_adopted_and_goes_on_is_none(books, word):
    books.adopt("a")
    assert books.news(one("a", word)) == []


@pytest.mark.parametrize("word", ENDS)
def test_what_was_adopted_and_has_ended_unseen_is_news(books, word):
    books.adopt("a")
    assert books.news(one("a", word)) == ["a"]


@pytest.mark.parametrize("word", ENDS)
def test_an_end_that_the_ledger_knows_is_none(books, word):
    books.see("a", Kind.RESULT, word)
    assert books.news(one("a", word)) == []


def test_a_look_on_the_way_is_no_end(books):
    books.see("a", Kind.LOOK, "WORKING")
    assert books.news(one("a", "COMPLETE")) == ["a"]


def test_what_another_environment_or_vendor_knows_is_news_here(books):
    books.see("a", Kind.RESULT, environment=ELSEWHERE)
    books.see("b", Kind.RESULT, vendor="fenergo")
    assert books.news(one("a"), one("b")) == ["a", "b"]


def test_news_of_one_says_nothing_of_another(books):
    books.see("a", Kind.RESULT)
    books.adopt("b")
    assert books.news(one("a", "COMPLETE"), one("b", "WORKING"), one("c"), one("d", "FAILED")) == ["c", "d"]


def test_news_come_oldest_first(books):
    books.adopt("b")
    assert books.news(*reversed(BY_AGE)) == ["z", "y", "a", "x"]


def test_what_is_older_than_wished_is_no_news_but_for_the_margin(books):
    in_time, too_old = one("a", created=NOON - MARGIN), one("b", created=NOON - MARGIN - A_SECOND)
    assert books.news(in_time, too_old, since=NOON) == ["a"]
    assert books.news(in_time, too_old) == ["b", "a"]


def test_what_was_adopted_and_is_older_than_wished_is_not_told_of_either(books):
    books.adopt("a")
    assert books.news(one("a", "COMPLETE", created=NOON - timedelta(days=1)), since=NOON) == []


def test_one_of_unknown_age_is_better_watched_for_nothing_than_missed(books):
    assert books.news(one("a", created=None), since=NOON) == ["a"]


def test_nothing_listed_is_no_news(books):
    books.adopt("a")
    assert books.news() == []


# The name of a batch

IDS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=200)
LIKELY = st.uuids().map(str) | st.text(string.ascii_letters + string.digits + "._-/ ", min_size=1, max_size=100)


@given(IDS | LIKELY)
@example("-")
@example("İ" * 200)
@example("a" * 200)
@example("a" * 59 + "-" * 60)
@example("../../etc/passwd")
@example("CON")
def test_any_id_gives_a_name_that_a_batch_may_have(ref):
    name = batch_id_of(ref)
    assert BATCH_ID.fullmatch(name)
    assert name == batch_id_of(ref)


@given(st.lists(IDS | LIKELY, unique=True, min_size=2, max_size=8))
@example(["a", "A", "ä", "a ", " a", "-a", "a-"])
@example(["a/b", "a-b", "a b", "a\\b", "A-B"])
@example(["x" * 60, "x" * 61, "x" * 62, "X" * 61])
@example(["/", "//", "-", ".", ".."])
def test_no_two_ids_give_the_same_name(refs):
    assert len(set(map(batch_id_of, refs))) == len(refs)


@given(st.uuids().map(str))
@example("mig_madeup0002")
@example("0" * 60)
def test_an_id_that_makes_a_name_is_the_name(ref):
    assert batch_id_of(ref) == ref


def test_a_name_that_is_not_the_id_itself_still_shows_what_it_can():
    assert batch_id_of("mig_MADEUP0002").startswith("mig_madeup0002-")
    assert batch_id_of("///").startswith("migration-")
