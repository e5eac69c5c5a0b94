"""What is stored of a wait for Domo's list: plain JSON without anything secret, readable by an older or newer Ferry."""

import json

from airflow.sdk._shared.module_loading import import_string

from ferry.vendors.domo.triggers import DomoListTrigger
from ferry.vendors.domo.vocabulary import Direction

PATH = "ferry.vendors.domo.triggers.DomoListTrigger"
STORED = {
    "attempt": "domo://acme.domo.com/b/1",
    "step": "watch_list",
    "verb": "look",
    "ref_of": ["", ""],
    "at": "",
    "patience": 0.0,
    "first_look": 7.0,
    "longest_pause": 15.0,
    "tolerance": 600.0,
    "account_id": "41",
    "wanted": {"F7": {"migrated": False, "date": ""}},
    "direction": "V2_TO_V1",
    "deadline": 1795773600.0,
}


def test_a_wait_is_stored_as_plain_json_and_comes_back_the_same():
    wait = DomoListTrigger(
        attempt="domo://acme.domo.com/b/1",
        step="watch_list",
        account_id="41",
        wanted={"F7": {"migrated": False, "date": ""}},
        direction=Direction.BACK,
        deadline=1795773600.0,
        first_look=7.0,
    )
    assert wait.serialize() == (PATH, STORED)
    again = import_string(PATH)(**json.loads(json.dumps(STORED)))
    assert again.serialize() == (PATH, STORED)
    assert again.direction is Direction.BACK


def test_what_an_older_ferry_stored_gets_defaults_and_what_a_newer_one_did_is_left_aside():
    old = DomoListTrigger(attempt="domo://acme.domo.com/b/1", account_id="41")
    assert (old.wanted, old.direction, old.deadline) == ({}, Direction.FORWARD, 0.0)
    assert DomoListTrigger(**STORED, something_newer=1).serialize() == (PATH, STORED)
