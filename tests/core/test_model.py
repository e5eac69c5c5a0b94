"""The nouns: keys that read back, states that answer questions, counts that must add up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.core.model import Attempt, Counts, Receipt, Run, RunState

ENVIRONMENTS = st.sampled_from(["api.fenergox.com", "127.0.0.1:8765", "[::1]:8765", "host:1"]) | st.text(min_size=1, max_size=30)
BATCH_IDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,99}", fullmatch=True)


@given(environment=ENVIRONMENTS, batch_id=BATCH_IDS, number=st.integers(0, 10**6))
def test_the_key_of_an_attempt_reads_back(environment, batch_id, number):
    attempt = Attempt("fenergo", environment, batch_id, number)
    assert Attempt.parse(attempt.key) == attempt
    assert attempt.key.isascii()


def test_a_key_is_readable():
    assert Attempt("fenergo", "127.0.0.1:8765", "clients-1", 2).key == "fenergo://127.0.0.1:8765/clients-1/2"
    assert str(Attempt("fenergo", "host", "clients-1", 2)) == "fenergo batch clients-1, attempt 2"


NO_KEYS = ["", "None", "fenergo://host/batch", "fenergo://host/batch/x", "host/batch/1", "fenergo:///batch/1", "a://b/1"]


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError, match="not the key of an attempt"):
        Attempt.parse(text)


def test_every_state_is_final_or_still_going_on():
    going_on = {state for state in RunState if not state.is_final}
    assert going_on == {RunState.QUEUED, RunState.RUNNING, RunState.WAITING_FOR_PERSON}
    assert [state for state in RunState if state.is_success] == [RunState.SUCCEEDED]


@given(parts=st.lists(st.integers(0, 1000), min_size=4, max_size=4), off=st.integers(-3, 3))
def test_counts_add_up_only_if_every_record_has_one_fate(parts, off):
    counts = Counts(sum(parts) + off, *parts)
    assert counts.adds_up is (off == 0)
    assert counts.all_arrived is (off == 0 and counts.rejected == 0 and counts.unprocessed == 0)


STORED = [
    Run("ref", RunState.RUNNING, "Processing", {"entityCount": 3}, "said"),
    Counts(5, 1, 2, 1, 1),
    Receipt("Company", "company.csv", 10, "ab", 3),
]


@pytest.mark.parametrize("thing", STORED)
def test_what_is_stored_comes_back(thing):
    kind = type(thing)
    assert kind.from_json(json.loads(json.dumps(thing.to_json()))) == thing


@pytest.mark.parametrize("thing", STORED)
def test_what_a_newer_ferry_stored_comes_back_without_its_news(thing):
    assert type(thing).from_json(thing.to_json() | {"invented_later": 1}) == thing


def test_what_an_older_ferry_stored_gets_defaults():
    assert Run.from_json({"ref": "r"}) == Run("r", RunState.QUEUED, "", {}, "")


def test_a_state_nobody_knows_is_refused_and_not_guessed():
    with pytest.raises(ValueError, match="half_done"):
        Run.from_json({"ref": "r", "state": "half_done"})
