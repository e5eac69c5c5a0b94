"""What is read out of Anon's objects: an id is a must, all else may be missing or odd, and no envelope is promised."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.core.errors import VendorNonsense
from ferry.core.model import Run, RunState
from ferry.vendors.anon.shapes import LONGEST, File, Migration, Task, items_in, moment
from ferry.vendors.anon.vocabulary import ENVELOPES, STATES, state_of

NOTHING = object()
ID = "2f9a61c0-7d1e-4b55-8a0c-93be01f7d2aa"
KINDS = pytest.mark.parametrize("kind", [Migration, File, Task])
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda more: st.lists(more, max_size=2))


def without(whole, changed):
    return {key: value for key, value in (whole | changed).items() if value is not NOTHING}


def migration(**changed):
    """The vendor's object as documented [D], with keys changed or left out."""
    whole = {
        "object": "migration",
        "id": ID,
        "created": "2031-02-03T04:05:06.123456",
        "status": "WORKING",
        "created_by_user_id": "0a1b2c3d4e5f6071",
        "company_id": "71605f4e3d2c1b0a",
    }
    return without(whole, changed)


def file(**changed):
    """The same of a file [D2]."""
    whole = {
        "object": "file",
        "id": "f-1",
        "created": "2031-02-03T04:05:06Z",
        "name": "Löhne 2031.csv",
        "type": "EmployeeRoster-CSV",
        "content_type": "text/csv",
        "url": "https://files.example/x?signature=canary",
        "size": 17,
        "migration_id": ID,
    }
    return without(whole, changed)


def task(**changed):
    """The same of a task [D2]."""
    whole = {
        "object": "migration_task",
        "id": "t-1",
        "status": "COMPLETE",
        "data_category": "TAX",
        "data_type": "EmployeeW2Previews",
        "completed_at": None,
    }
    return without(whole, changed)


# Migrations


def test_a_migration_is_read_as_documented():
    found = Migration.read(migration())
    at = datetime(2031, 2, 3, 4, 5, 6, 123456, UTC)
    assert found == Migration(ID, "WORKING", at, "0a1b2c3d4e5f6071", "71605f4e3d2c1b0a")
    assert found.run == Run(ID, RunState.RUNNING, "WORKING")


@pytest.mark.parametrize("odd", [NOTHING, None, "", " ", True, False, [], ["x"], {}, 1.5])
def test_whatever_is_not_the_id_may_be_missing_or_odd(odd):
    fields = ("status", "created", "created_by_user_id", "company_id")
    assert Migration.read(migration(**dict.fromkeys(fields, odd))) == Migration(ID, "", None, "", "")


@pytest.mark.parametrize("key", ["object", "status", "created", "created_by_user_id", "company_id"])
def test_what_is_odd_in_one_field_leaves_the_others_alone(key):
    good, bad = Migration.read(migration()), Migration.read(migration(**{key: NOTHING}))
    same = [name for name in Migration.__slots__ if getattr(good, name) == getattr(bad, name)]
    assert len(same) == len(Migration.__slots__) - (key != "object")


def test_what_is_not_known_here_is_left_aside():
    assert Migration.read(migration(livemode=False, provider={"name": "adp"})) == Migration.read(migration())


def test_a_word_is_one_line_and_not_endless():
    found = Migration.read(migration(status=" ODD\r\n\t WORD ", company_id="x" * 999))
    assert (found.word, len(found.company)) == ("ODD WORD", LONGEST)


def test_ids_of_companies_and_users_may_be_numbers():
    found = Migration.read(migration(company_id=7, created_by_user_id=0))
    assert (found.company, found.user) == ("7", "0")


# Ids

IDS = [ID, "mig_MADEUP0002", "a/b", "ä ö", "..", "0", "x" * LONGEST, "%2F", "李"]


@KINDS
@pytest.mark.parametrize("told", IDS)
def test_an_id_is_opaque_and_kept_as_it_is(kind, told):
    assert kind.read({"id": told}).id == told


@KINDS
@pytest.mark.parametrize(
    "told", [NOTHING, None, "", 7, 0, True, [], ["a"], {}, "a\nb", "a\0", "a\u202eb", "x" * (LONGEST + 1), "\ud800"]
)
def test_what_has_no_id_is_nothing_that_could_be_used(kind, told):
    with pytest.raises(VendorNonsense, match=r"without an id, so nobody can tell what it is\. Its answer was not used\."):
        kind.read(without({}, {"id": told}))


# Words


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("NOT_STARTED", RunState.WAITING_FOR_PERSON),
        ("NOT_READY", RunState.QUEUED),
        ("WORKING", RunState.RUNNING),
        ("PENDING_USER_INPUT", RunState.WAITING_FOR_PERSON),
        ("COMPLETE", RunState.SUCCEEDED),
        ("COMPLETED_WITH_FAILURES", RunState.PARTIALLY_SUCCEEDED),
        ("FAILED", RunState.FAILED_DIRTY),
        ("LOGIN_ABANDONED", RunState.CANCELLED),
    ],
)
def test_a_word_means_what_the_contract_says(word, state):
    assert Migration.read(migration(status=word)).state is state


@given(st.text().filter(lambda word: word not in STATES))
def test_no_other_word_ends_anything(word):
    assert state_of(word) is RunState.RUNNING


@pytest.mark.parametrize("word", ["complete", "COMPLETED", "FAILED_PARTLY", "", "COMPLETE WITH FAILURES"])
def test_a_word_that_is_nearly_an_end_is_none(word):
    found = Migration.read(migration(status=word))
    assert (found.state, found.word) == (RunState.RUNNING, word)


# Times

MOMENTS = {
    "without a zone": "2031-02-03T04:05:06.123456",
    "in UTC": "2031-02-03T04:05:06.123456Z",
    "with an offset": "2031-02-03T06:05:06.123456+02:00",
    "with another": "2031-02-02T23:05:06.123456-05:00",
    "with a blank": "2031-02-03 04:05:06.123456",
}


@pytest.mark.parametrize("told", MOMENTS.values(), ids=MOMENTS)
def test_a_time_is_utc_and_without_a_zone_it_is_utc_as_well(told):
    assert moment(told) == datetime(2031, 2, 3, 4, 5, 6, 123456, UTC)
    assert moment(told).tzinfo is UTC


@pytest.mark.parametrize(
    "told",
    [
        "",
        "soon",
        "2031-13-01",
        "2031-02-30T00:00:00Z",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-02:00",
        None,
        True,
        {},
        [],
    ],
)
def test_what_is_no_time_is_not_known(told):
    assert moment(told) is None


@pytest.mark.parametrize("told", [20310203, 1710123100512, 1922803200, 1922803200.5])
def test_a_number_is_no_time_whatever_day_could_be_read_out_of_its_digits(told):
    assert moment(told) is None


@given(JSON)
def test_nothing_that_json_can_say_breaks_the_reading_of_a_time(told):
    found = moment(told)
    assert found is None or found.tzinfo is UTC


# Files and tasks


def test_a_file_is_read_as_documented():
    told = File("f-1", "Löhne 2031.csv", "EmployeeRoster-CSV", "text/csv", 17, "https://files.example/x?signature=canary")
    assert File.read(file()) == told


def test_the_link_and_the_name_of_a_file_are_not_in_its_repr():
    assert repr(File.read(file())) == "File('f-1', 'EmployeeRoster-CSV')"


@pytest.mark.parametrize("told", [NOTHING, None, -1, "17", 1.5, True, [], {}])
def test_a_size_that_is_none_is_not_known(told):
    assert File.read(file(size=told)).size is None


def test_a_file_may_be_empty():
    assert File.read(file(size=0)).size == 0


@pytest.mark.parametrize("told", [NOTHING, None, "", 0, [], {}])
def test_a_link_may_be_missing(told):
    assert File.read(file(url=told)).url == ""


def test_a_file_may_be_nothing_but_an_id():
    assert File.read({"id": "f-1"}) == File("f-1", "", "", "", None, "")


@pytest.mark.parametrize(
    ("word", "done", "failed"),
    [
        ("COMPLETE", True, False),
        ("NO_DATA", True, False),
        ("FAILED", False, True),
        ("PENDING", False, False),
        ("IN_PROGRESS", False, False),
        ("AWAITING_USER_INPUT", False, False),
        ("COMPLETED_WITH_FAILURES", False, False),
        ("complete", False, False),
        (None, False, False),
    ],
)
def test_a_task_is_done_or_has_failed_by_its_own_words_only(word, done, failed):
    found = Task.read(task(status=word))
    assert (found.is_done, found.has_failed) == (done, failed)


def test_a_task_is_called_by_its_type_or_category_or_id():
    assert Task.read(task()).name == "EmployeeW2Previews"
    assert Task.read(task(data_type=None)).name == "TAX"
    assert Task.read({"id": "t-1"}).name == "t-1"


# Envelopes

ONE = [{"id": "a"}]
PAGES = {
    "an array": ONE,
    **{f"under {name}": {"object": "list", name: ONE, "total": 7} for name in ENVELOPES},
    "the first that is a list": {"data": {"total": 1}, "migrations": None, "items": ONE, "results": [{"id": "b"}]},
    "the first of two": {"results": [{"id": "b"}], "migrations": ONE},
}


@pytest.mark.parametrize("told", PAGES.values(), ids=PAGES)
def test_a_page_is_known_in_any_envelope(told):
    assert items_in(told, "the list") == ONE


@pytest.mark.parametrize("told", [[], {"data": []}, {"items": [], "has_more": True}])
def test_a_page_may_be_empty(told):
    assert items_in(told, "the list") == []


NO_PAGES = [
    None,
    7,
    "text",
    True,
    {},
    {"error": "x"},
    {"data": None},
    {"data": {"items": ONE}},
    {"rows": ONE},
    ["a"],
    [ONE],
    [None],
]


@pytest.mark.parametrize("told", [*NO_PAGES, {"data": ["a"]}, {"data": [*ONE, None]}])
def test_what_is_no_page_is_told_and_not_quoted(told):
    with pytest.raises(VendorNonsense) as caught:
        items_in(told, "the list of migrations")
    assert caught.value.message == (
        "Anon's answer to the list of migrations is no list of objects, neither by itself nor under data, migrations, items, "
        "results, which is outside its contract. Check that the connection's host leads to Anon."
    )


@KINDS
@given(told=st.dictionaries(st.sampled_from([*migration(), *file(), *task()]), JSON))
def test_nothing_that_json_can_say_breaks_the_reading_of_an_object(kind, told):
    assert kind.read(told | {"id": "a"}).id == "a"
