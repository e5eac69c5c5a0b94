"""What is read out of Domo's answers, promised or not: the fate of a move, and what a list proves."""

import json
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferry.core.errors import AnswerLost, VendorNonsense
from ferry.core.model import RunState
from ferry.vendors.domo.api import moved
from ferry.vendors.domo.shapes import Account, Answer, Candidate, accounts_in, answer_in, candidates_in, types_in
from ferry.vendors.domo.vocabulary import Direction, state_of

FORWARD, BACK = Direction.FORWARD, Direction.BACK
WAYS = pytest.mark.parametrize("direction", [FORWARD, BACK])
WHAT, ONE = "the migration of datasource d-1", "d-1"
DATE, LATER = "2031-02-03T04:05:06.000+00:00", "2031-02-03T05:00:00.000+00:00"
NOTHING = object()


def result(**changed):
    """The vendor's result as documented [D], with keys changed or left out."""
    whole = {
        "toe": "Q4W8Z2K9LM-7TR3B-0XCVN",
        "datasourceId": ONE,
        "direction": "V1_TO_V2",
        "startTime": "2031-02-03T04:05:03.112+00:00",
        "state": "COMPLETE",
        "errorMessage": None,
        "endTime": "2031-02-03T04:05:06.480+00:00",
    }
    return {key: value for key, value in (whole | changed).items() if value is not NOTHING}


def read(body, direction=FORWARD):
    return answer_in(body, WHAT, ONE, direction)


# The state of a move


@pytest.mark.parametrize(
    ("word", "forward", "back"),
    [
        ("COMPLETE", RunState.SUCCEEDED, RunState.CANCELLED),
        ("INCOMPLETE", RunState.FAILED_DIRTY, RunState.FAILED_DIRTY),
        ("ABORTED", RunState.FAILED_CLEAN, RunState.FAILED_CLEAN),
        ("PAUSED", RunState.FAILED_DIRTY, RunState.FAILED_DIRTY),
        ("complete", RunState.FAILED_DIRTY, RunState.FAILED_DIRTY),
        ("aborted", RunState.FAILED_DIRTY, RunState.FAILED_DIRTY),
        (" ABORTED", RunState.FAILED_DIRTY, RunState.FAILED_DIRTY),
        ("COMPLETED", RunState.FAILED_DIRTY, RunState.FAILED_DIRTY),
    ],
)
def test_a_state_is_taken_by_its_exact_word_and_an_unknown_one_has_changed_something(word, forward, back):
    assert (state_of(word, FORWARD), state_of(word, BACK)) == (forward, back)


@WAYS
@given(word=st.text().filter(lambda word: word not in {"COMPLETE", "ABORTED"}))
def test_no_word_but_complete_is_a_success_and_none_but_aborted_is_clean(direction, word):
    assert state_of(word, direction) is RunState.FAILED_DIRTY


@pytest.mark.parametrize("word", ["INCOMPLETE", "complete"])
def test_the_word_of_an_answer_is_kept_as_it_is(word):
    assert read(result(state=word)).word == word


def test_a_run_has_the_request_as_its_ref_and_the_reason_as_its_detail():
    run = read(result(state="ABORTED", errorMessage="Table not found.")).run(ONE, FORWARD)
    assert (run.ref, run.state, run.word) == ("Q4W8Z2K9LM-7TR3B-0XCVN", RunState.FAILED_CLEAN, "ABORTED")
    assert run.detail == "Table not found."


@pytest.mark.parametrize("toe", [NOTHING, None, ""])
def test_a_run_whose_request_has_no_id_is_known_by_its_datasource(toe):
    answer = read(result(toe=toe))
    assert (answer.toe, answer.run(ONE, FORWARD).ref) == ("", ONE)


@pytest.mark.parametrize("message", [NOTHING, None, ""])
def test_an_answer_without_a_reason_has_an_empty_one(message):
    assert read(result(errorMessage=message)).message == ""


@pytest.mark.parametrize("key", ["toe", "datasourceId", "direction", "startTime", "errorMessage", "endTime"])
def test_whatever_is_not_the_state_may_be_missing(key):
    assert read(result(**{key: NOTHING})).word == "COMPLETE"


@pytest.mark.parametrize("key", ["toe", "datasourceId", "direction", "startTime", "errorMessage", "endTime"])
def test_whatever_is_not_the_state_may_be_null(key):
    assert read(result(**{key: None})).word == "COMPLETE"


def test_a_reason_is_one_line():
    assert read(result(errorMessage=" Not\r\n\t found: \u2028 x ")).message == "Not found: x"


def test_what_is_not_known_here_is_kept():
    assert read(result(warnings=["slow"])).raw["warnings"] == ["slow"]


def test_the_whole_answer_is_not_in_its_repr():
    assert "startTime" not in repr(read(result()))


STATELESS = {
    "missing": NOTHING,
    "null": None,
    "empty": "",
    "spaces": " \n",
    "a number": 1,
    "true": True,
    "a list": ["COMPLETE"],
    "an object": {},
}


@pytest.mark.parametrize("state", STATELESS.values(), ids=STATELESS)
def test_an_answer_whose_state_says_nothing_is_lost(state):
    with pytest.raises(AnswerLost, match=r"^Domo's answer to the migration of datasource d-1 has no `state`, so nobody knows"):
        read(result(state=state))


@pytest.mark.parametrize("body", [None, [], [result()], "COMPLETE", 5, True, {}], ids=json.dumps)
def test_an_answer_that_is_no_object_with_a_state_is_lost(body):
    with pytest.raises(AnswerLost, match="It will not be sent again; the candidates list is watched instead"):
        read(body)


@pytest.mark.parametrize("other", ["d-2", "D-1", "Fd-1", "d-1 ", "", 1, False])
def test_an_answer_about_another_datasource_is_lost(other):
    with pytest.raises(AnswerLost, match="is about another datasource"):
        read(result(datasourceId=other))


@pytest.mark.parametrize("other", ["V2_TO_V1", "v1_to_v2", "V2_TO_AMPLIFIER", "", 1])
def test_an_answer_about_another_direction_is_lost_and_names_it(other):
    with pytest.raises(AnswerLost, match=f"is about the direction '{other}'"):
        read(result(direction=other))


def test_an_answer_to_a_reversal_is_about_the_way_back():
    assert read(result(direction="V2_TO_V1"), BACK).word == "COMPLETE"
    with pytest.raises(AnswerLost, match="is about the direction 'V1_TO_V2'"):
        read(result(direction="V1_TO_V2"), BACK)


@pytest.mark.parametrize("key", ["datasourceId", "direction"])
@pytest.mark.parametrize("odd", [[], {"id": "d-1"}], ids=json.dumps)
def test_an_answer_about_something_that_is_no_text_is_lost_too(key, odd):
    with pytest.raises(AnswerLost):
        read(result(**{key: odd}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(["state", "datasourceId", "direction", "errorMessage", "toe", "id", "name", "migrated", "migrationDate"])


TOLD = st.sampled_from(["COMPLETE", "ABORTED", ONE, "V1_TO_V2", "V2_TO_V1"]) | JSON
LIKE_A_RESULT = st.fixed_dictionaries({"state": TOLD}, optional={key: TOLD for key in result() if key != "state"})


@WAYS
@given(body=LIKE_A_RESULT | st.dictionaries(KEYS, TOLD) | JSON)
@example(body={"state": "COMPLETE", "datasourceId": []})
@example(body={"state": "COMPLETE", "direction": {}})
def test_any_answer_is_read_or_lost(direction, body):
    try:
        found = read(body, direction)
    except AnswerLost:
        return
    assert isinstance(found, Answer)
    assert found.word
    assert {type(found.word), type(found.toe), type(found.message)} == {str}
    assert found.run(ONE, direction).state.is_final


# Lists


def candidate(**changed):
    whole = {"id": ONE, "name": "Orders live", "migrated": False, "migrationDate": None}
    return {key: value for key, value in (whole | changed).items() if value is not NOTHING}


def listed(*rows):
    return candidates_in(list(rows), "list candidates of account 41")


def test_candidates_are_known_by_their_very_ids():
    ids = [
        "7b0c1d52-8a34-4f0e-9d1b-2f6e5c4a9910",
        "F7b0c1d52-8a34-4f0e-9d1b-2f6e5c4a9910",
        "f7B0c1d52-8a34-4f0e-9d1b-2f6e5c4a9910",
    ]
    assert list(listed(*[candidate(id=key) for key in ids])) == ids


def test_a_candidate_says_name_migrated_and_date():
    row = candidate(migrated=True, migrationDate=DATE)
    assert listed(row) == {ONE: Candidate(ONE, "Orders live", migrated=True, date=DATE)}


@pytest.mark.parametrize("value", [NOTHING, None])
def test_whatever_a_candidate_lacks_is_the_same_as_null(value):
    row = candidate(name=value, migrated=value, migrationDate=value)
    assert listed(row) == {ONE: Candidate(ONE, "", migrated=False, date="")}


@pytest.mark.parametrize("told", ["true", "True", 1, "yes", [True], {"at": DATE}])
def test_only_the_truth_is_a_migration(told):
    """What is not listed as migrated is asked for, and Domo says no; what is taken for migrated is never sent."""
    assert listed(candidate(migrated=told))[ONE].migrated is False


def test_an_id_that_is_a_number_is_taken_as_a_text():
    assert list(listed(candidate(id=41))) == ["41"]


@pytest.mark.parametrize("row", [candidate(id=NOTHING), candidate(id=None), candidate(id=""), None, "d-1", 5, [ONE]])
def test_an_entry_without_an_id_makes_the_list_nonsense(row):
    with pytest.raises(VendorNonsense, match="is not a list of candidates in which every entry has an id"):
        listed(candidate(id="d-0"), row)


@pytest.mark.parametrize(
    ("read_list", "body"),
    [
        *product([candidates_in], [None, {}, {"data": []}, "[]", 5, {"d-1": candidate()}]),
        *product([accounts_in, types_in], [None, {"data": []}]),
    ],
)
def test_a_list_that_is_none_is_nonsense_and_says_what_to_check(read_list, body):
    with pytest.raises(
        VendorNonsense, match=r"^Domo's answer to list them is not a list of .* Check that the connection's instance"
    ):
        read_list(body, "list them")


@pytest.mark.parametrize("read_list", [candidates_in, accounts_in, types_in])
def test_an_empty_list_is_a_list(read_list):
    assert not read_list([], "list them")


def test_an_account_keeps_its_id_as_a_text():
    rows = [{"id": "0041", "type": "mysql-federated", "name": "warehouse eu v2"}, {"id": 17}]
    assert accounts_in(rows, "list accounts") == [Account("0041", "mysql-federated", "warehouse eu v2"), Account("17", "", "")]


ROWS = st.dictionaries(KEYS, JSON) | JSON


@given(body=JSON | st.lists(ROWS, max_size=4))
def test_any_list_of_candidates_is_read_or_nonsense(body):
    try:
        found = candidates_in(body, "list candidates")
    except VendorNonsense:
        return
    assert all(key and seen.id == key and isinstance(seen.migrated, bool) for key, seen in found.items())
    assert all({type(seen.id), type(seen.name), type(seen.date)} == {str} for seen in found.values())


@given(body=JSON | st.lists(ROWS, max_size=4))
def test_any_list_of_accounts_is_read_or_nonsense(body):
    try:
        found = accounts_in(body, "list accounts")
    except VendorNonsense:
        return
    assert all(account.id for account in found)


@given(body=JSON | st.lists(ROWS, max_size=4))
def test_any_list_of_types_is_read_or_nonsense(body):
    try:
        found = types_in(body, "list types")
    except VendorNonsense:
        return
    assert all(isinstance(name, str) for name in found)


# What a list proves


@pytest.mark.parametrize(("migrated", "direction", "stands"), [(0, FORWARD, 0), (1, FORWARD, 1), (0, BACK, 1), (1, BACK, 0)])
def test_a_datasource_stands_where_a_way_leads_if_the_list_says_so(migrated, direction, stands):
    assert Candidate(ONE, migrated=bool(migrated)).stands(direction) is bool(stands)


def on(version, date=""):
    return Candidate(ONE, migrated=version == 2, date=date)


FORTH = {
    "from V1 to V2": (on(1), on(2, DATE), True),
    "from V1 to V2 without a date": (on(1), on(2), True),
    "from V1 with an old date to V2": (on(1, DATE), on(2, LATER), True),
    "from V1 with an old date to V2 with the same": (on(1, DATE), on(2, DATE), True),
    "still on V1": (on(1), on(1), False),
    "still on V1 with an old date": (on(1, DATE), on(1, DATE), False),
    "back on V1 and its date gone": (on(1, DATE), on(1), False),
    "listed as migrated before, as after INCOMPLETE": (on(2, DATE), on(2, DATE), False),
    "listed as migrated before and without a date": (on(2), on(2), False),
    "listed as migrated before, and its date gone": (on(2, DATE), on(2), False),
    "listed as migrated before, and its date moved": (on(2, DATE), on(2, LATER), True),
    "listed as migrated before, and a date now": (on(2), on(2, DATE), True),
    "no longer listed as migrated": (on(2, DATE), on(1), False),
}
RETURN = {
    "from V2 to V1": (on(2, DATE), on(1), True),
    "from V2 to V1, its date kept": (on(2, DATE), on(1, DATE), True),
    "still on V2": (on(2, DATE), on(2, DATE), False),
    "still on V2, its date moved": (on(2, DATE), on(2, LATER), False),
    "listed as not migrated before, as after INCOMPLETE": (on(1), on(1), False),
    "listed as not migrated before, and its date gone": (on(1, DATE), on(1), False),
    "listed as not migrated before, and its date moved": (on(1, DATE), on(1, LATER), False),
    "migrated meanwhile": (on(1), on(2, DATE), False),
}


@pytest.mark.parametrize(("before", "now", "proves"), FORTH.values(), ids=FORTH)
def test_a_migration_is_proved_by_a_change(before, now, proves):
    assert now.has_moved(FORWARD, before.to_json()) is proves


@pytest.mark.parametrize(("before", "now", "proves"), RETURN.values(), ids=RETURN)
def test_a_reversal_is_proved_by_a_change(before, now, proves):
    assert now.has_moved(BACK, before.to_json()) is proves


@pytest.mark.parametrize("before", [on(1), on(1, DATE), on(2, DATE)], ids=["never", "once", "just now"])
def test_what_the_list_calls_not_migrated_was_not_migrated_whatever_its_date(before):
    """A reversal may keep or set a date, and what INCOMPLETE does to it is not documented: `migrated` is the word that counts."""
    assert not on(1, LATER).has_moved(FORWARD, before.to_json())


@WAYS
@pytest.mark.parametrize("now", [on(one, date) for one, date in product([1, 2], ["", DATE])])
def test_nothing_is_proved_by_a_list_that_is_as_it_was(direction, now):
    assert not now.has_moved(direction, now.to_json())


@pytest.mark.parametrize(
    ("before", "now", "direction"),
    [(on(1), on(2, DATE), FORWARD), (on(2, DATE), on(1), BACK), (on(2, DATE), on(2, LATER), FORWARD)],
)
def test_how_it_stood_may_have_been_kept_as_json(before, now, direction):
    kept = json.loads(json.dumps(before.to_json()))
    assert kept == before.to_json()
    assert now.has_moved(direction, kept)


@WAYS
@pytest.mark.parametrize("before", [{}, {"migrated": None}], ids=json.dumps)
def test_where_nobody_knows_how_it_stood_nothing_is_proved(direction, before):
    there = on(2, DATE) if direction is FORWARD else on(1)
    assert not there.has_moved(direction, before)


def test_where_nobody_knows_the_date_that_it_had_a_date_proves_nothing():
    assert not on(2, DATE).has_moved(FORWARD, {"migrated": True})


def test_the_moved_are_those_that_are_listed_and_proved():
    now = {"a": on(2, DATE), "b": on(1), "c": on(2, DATE), "d": on(2, LATER), "x": on(2, DATE)}
    wanted = {"a": on(1), "b": on(1), "c": on(2, DATE), "d": on(2, DATE), "gone": on(1)}
    before = {key: stood.to_json() for key, stood in wanted.items()}
    assert moved(now, before, FORWARD) == {"a", "d"}
    assert moved(now, before, BACK) == set()
    assert moved({}, before, FORWARD) == set()
    assert moved(now, {}, FORWARD) == set()
