"""Every error says what to do next, survives storage, and carries no secret."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ferry.ledger.entries
import ferry.steps.work
import ferry.vendors.fenergo.shapes  # noqa: F401 (errors of other modules count too)
from ferry.core import errors
from ferry.core.errors import FerryError, VendorNonsense

FACTS = {"status": 503, "retry_after": 1.5, "attempt": "fenergo://host/b/1", "holders": ["a", "b"], "none": None}


def every_kind(kind=FerryError):
    yield kind
    for child in kind.__subclasses__():
        yield from every_kind(child)


KINDS = sorted(set(every_kind()), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_json(kind):
    stored = json.loads(json.dumps(kind("what happened", **FACTS).to_json()))
    again = FerryError.from_json(stored)
    assert type(again) is kind
    assert (again.message, again.facts, str(again)) == ("what happened", FACTS, "what happened")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling(kind):
    again = pickle.loads(pickle.dumps(kind("what happened", **FACTS)))  # noqa: S301 (our own bytes)
    assert type(again) is kind
    assert (again.message, again.facts) == ("what happened", FACTS)


def test_kinds_have_names_of_their_own():
    assert len({kind.__name__ for kind in KINDS}) == len(KINDS)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = {word for word in errors.__doc__.split() if word in {kind.__name__ for kind in KINDS}}
    assert drawn == {kind.__name__ for kind in KINDS if kind.__module__ == errors.__name__}


@pytest.mark.parametrize("data", [{}, {"kind": None}, {"kind": "FromTheFuture", "facts": {"a": 1}}, {"facts": None}])
def test_an_unknown_kind_is_red_and_never_retried(data):
    error = FerryError.from_json(data)
    assert type(error) is VendorNonsense
    assert not error.retry_later


def test_what_a_retry_may_cure_is_a_short_list():
    assert {kind.__name__ for kind in KINDS if kind.retry_later} == {
        "LedgerError",
        "LedgerConflict",
        "LedgerFull",
        "StorageUnavailable",
        "VendorUnavailable",
        "TransferBroken",
    }


SECRET = "Xq7-secret_value.9"
HIDING_PLACES = [
    "https://bucket.s3.amazonaws.com/a/b?X-Amz-Signature={}&x=1",
    "Authorization: Bearer {}",
    "https://user:{}@host/path",
    "client_secret={}",
]


@pytest.mark.parametrize("place", HIDING_PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_error_carries_a_secret(kind, place):
    text = place.format(SECRET)
    error = kind(f"It failed: {text}", url=text, nested={"answers": [text]})
    for shown in (str(error), repr(error), json.dumps(error.to_json()), str(error.__reduce__())):
        assert SECRET not in shown


@given(message=st.text(), facts=st.dictionaries(st.from_regex(r"[a-z]{3,}", fullmatch=True), st.integers() | st.text()))
def test_storing_an_error_twice_changes_nothing(message, facts):
    once = FerryError(message, **{name: fact for name, fact in facts.items() if name not in {"self", "message"}})
    assert FerryError.from_json(once.to_json()).to_json() == once.to_json()
