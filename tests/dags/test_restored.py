"""A ledger that was restored from a backup: what it has forgotten is not sent again, by no DAG of any vendor."""

import pytest
from tests.dags import instance as domo
from tests.dags import libraries as microstrategy

from ferry.ledger.entries import Verdict

TOLD = "the evidence store has word of calls that the ledger knows nothing of"
READS = {"GET", "HEAD"}


def sent(house, vendor):
    """Everything that was asked of a vendor that changes something; sessions and tokens aside."""
    asked = house.control("GET", "/requests", params={"vendor": vendor})
    talk = ("/token", "/auth/login", "/auth/logout", "/sessions", "/projects", "/query", "/search")
    return [f"{one['method']} {one['path']}" for one in asked if one["method"] not in READS and not one["path"].endswith(talk)]


PLACES = {"fenergo": "house", "microstrategy": "libraries", "domo": "instance", "dmm": "environments"}


@pytest.fixture(params=PLACES)
def moved(request, driver):
    """A vendor, its end of things, and a function that triggers its batch, which was moved and balances by the first time."""
    place = request.getfixturevalue(PLACES[request.param])
    begin = {
        "fenergo": lambda **conf: driver.play("migrate_fenergo", batch_id="b", **conf),
        "microstrategy": lambda **conf: driver.play(microstrategy.MIGRATE, batch_id="b", **conf),
        "domo": lambda **conf: driver.play(domo.MIGRATE, batch_id="b", **conf),
        "dmm": lambda **conf: place.start(driver, **conf),
    }[request.param]
    if request.param == "microstrategy":
        place.batch("b", {"packages": [microstrategy.SALES]} | microstrategy.AUTO)
    else:
        place.batch("b")
    first = begin()
    assert first.state == "success", first.messages
    assert place.last("b").verdict is Verdict.BALANCED
    return request.param, place, begin


def test_a_batch_that_the_ledger_has_forgotten_is_not_sent_again_unless_somebody_says_so(moved, house):
    vendor, place, begin = moved
    before = sent(house, vendor)
    assert before, "the search finds what was sent"
    house.restore()
    if vendor == "domo":  # whose list would refuse what has moved, before anything else is looked at
        for one in domo.THREE:
            place.by_hand(one["id"], "reverse")
    again = begin()
    assert again.state == "failed"
    assert TOLD in again.messages
    assert sent(house, vendor) == before
    assert begin(force_new_attempt=True).state == "success"
    assert len(sent(house, vendor)) > len(before)
    assert place.last("b").attempt.number == 2


def test_a_ledger_without_a_gap_stops_nobody(moved, house):
    vendor, _, begin = moved
    before = sent(house, vendor)
    assert begin().state == "success"
    assert sent(house, vendor) == before
