"""One walk through Anon's list for all who wait: what goes wrong is in the snapshot, and nothing ends the stream."""

import asyncio
import json
import logging
import types

import pytest

from ferry.core.api import Patience
from ferry.core.errors import BadCredentials, VendorNonsense, VendorUnavailable
from ferry.vendors.anon import walks
from ferry.vendors.anon.walks import LONGEST_PAUSE, snapshots

LIST = "/anon/api/v1/migrations"


class Pauses:
    """Stands in for asyncio where the walks pause: it writes down for how long, and what there was to do meanwhile is done."""

    def __init__(self, meanwhile):
        self.seconds, self.meanwhile = [], list(meanwhile)

    async def sleep(self, seconds):
        self.seconds.append(seconds)
        if self.meanwhile:
            await asyncio.to_thread(self.meanwhile.pop(0))


@pytest.fixture
def follow(anon, monkeypatch):
    """So many snapshots in a row, with something happening in each pause; and the pauses. A page is asked for once."""
    monkeypatch.setattr(walks, "A_PAGE", Patience(tries=1))

    def followed(count, *meanwhile, connection="anon_default"):
        pauses = Pauses(meanwhile)
        monkeypatch.setattr(walks, "asyncio", types.SimpleNamespace(sleep=pauses.sleep))

        async def collected():
            stream, found = snapshots(connection), []
            async for snapshot in stream:
                found.append(snapshot)
                if len(found) == count:
                    break
            await stream.aclose()
            return found

        return asyncio.run(collected()), pauses.seconds

    return followed


def words(snapshot):
    return {one.id: one.word for one in snapshot.migrations.values()}


# What is in a snapshot


def test_a_snapshot_has_everything_in_the_list_by_its_id(follow, anon, anon_base):
    anon.make(count=23)
    ((found,), _) = follow(1)
    assert words(found) == {one["id"]: "NOT_STARTED" for one in anon.state()["migrations"]}
    assert all(key == one.id for key, one in found.migrations.items())
    assert (found.environment, found.trouble) == (anon_base.removeprefix("http://"), None)


def test_an_empty_list_is_a_snapshot_and_no_trouble(follow):
    ((found,), _) = follow(1)
    assert (found.migrations, found.trouble) == ({}, None)


def test_each_snapshot_is_of_its_own_moment(follow, anon):
    key = anon.one("completes")
    (found, _) = follow(3, lambda: anon.advance(3), lambda: anon.advance(10))
    assert [words(one)[key] for one in found] == ["NOT_STARTED", "WORKING", "COMPLETE"]


def test_who_is_reminded_when_is_in_it_where_somebody_is_named(follow, connect_anon):
    connect_anon("told", {"notifier": "a.b.Notifier", "remind_after": 7})
    connect_anon("never", {"notifier": "a.b.Notifier", "remind_after": 0})
    connect_anon("nobody", {"remind_after": 7})
    assert [follow(1, connection=name)[0][0].remind_after for name in ("told", "never", "nobody")] == [7, 0, None]


def test_what_is_changed_in_the_connection_holds_from_the_next_walk_on(follow, anon, connect_anon):
    anon.switch(api_key="another_key")
    (found, _) = follow(2, lambda: connect_anon(password="another_key"))
    assert [type(one.trouble) for one in found] == [BadCredentials, type(None)]


# Trouble

TROUBLES = {
    "a key that is refused": ({"action": "status", "status": 401}, BadCredentials),
    "too many": ({"action": "status", "status": 429}, VendorUnavailable),
    "a broken Anon": ({"action": "status", "status": 500}, VendorUnavailable),
    "no answer": ({"action": "drop_before"}, VendorUnavailable),
    "half an answer": ({"action": "truncate", "bytes": 20}, VendorUnavailable),
    "garbage": ({"action": "garbage"}, VendorNonsense),
    "no list": ({"action": "garbage", "body": "{}"}, VendorNonsense),
}


@pytest.mark.parametrize(("fault", "kind"), TROUBLES.values(), ids=TROUBLES)
def test_trouble_is_in_the_snapshot_and_the_next_one_recovers(follow, anon, fault, kind):
    key = anon.one()
    anon.fault("*", **fault)
    (found, _) = follow(2)
    assert [type(one.trouble) for one in found] == [kind, type(None)]
    assert [words(one) for one in found] == [{}, {key: "NOT_STARTED"}]


def test_part_of_a_list_is_no_snapshot(follow, anon, connect_anon):
    anon.make(count=9)
    connect_anon(extra={"page_size": 3})
    anon.fault("*", "status", status=500, skip=2)
    (found, _) = follow(2)
    assert [len(one.migrations) for one in found] == [0, 9]


def test_a_list_that_is_too_long_is_trouble_and_no_snapshot(follow, anon, connect_anon):
    anon.make(count=9)
    connect_anon(extra={"page_size": 1, "most_pages": 8})
    (found, _) = follow(2, lambda: connect_anon(extra={"page_size": 1, "most_pages": 9}))
    assert "does not end after 8 pages" in found[0].trouble.message
    assert len(found[1].migrations) == 9


def test_a_connection_that_is_wrong_or_missing_is_trouble_like_any_other(follow, monkeypatch, connect_anon):
    (found, _) = follow(3, lambda: connect_anon("later", {"poll_seconds": 0}), lambda: connect_anon("later"), connection="later")
    assert [type(one.trouble) for one in found] == [VendorNonsense, VendorNonsense, type(None)]
    assert "Airflow has no connection 'later'" in found[0].trouble.message
    assert "Connection 'later' is not usable: poll_seconds: " in found[1].trouble.message


def test_one_bad_answer_does_not_cost_a_whole_walk(anon, follow, monkeypatch):
    monkeypatch.setattr(walks, "A_PAGE", Patience(tries=4, seconds=60.0, first=0.001))
    key = anon.one()
    anon.fault("*", "status", status=503, times=3)
    ((found,), _) = follow(1)
    assert (words(found), len(anon.requests())) == ({key: "NOT_STARTED"}, 6)


def test_the_patience_for_a_page_is_bounded():
    assert 1 < walks.A_PAGE.tries < 10
    assert walks.A_PAGE.seconds <= 60


# Pauses


def test_there_is_one_walk_for_each_pause(follow, anon):
    anon.make(count=3)
    (_, pauses) = follow(4)
    assert len(pauses) == 3
    assert [one["path"] for one in anon.requests()] == [LIST] * 3 * 4  # the first page, the same once more, and the end


@pytest.mark.parametrize("seconds", [60, 600])
def test_a_pause_is_as_long_as_the_connection_says_or_a_little_longer(follow, connect_anon, seconds):
    connect_anon(extra={"poll_seconds": seconds})
    (_, pauses) = follow(6)
    assert all(seconds <= pause <= 1.2 * seconds for pause in pauses)
    assert len(set(pauses)) > 1


def test_a_pause_is_at_least_as_long_as_a_walk(follow, anon, connect_anon):
    connect_anon(extra={"poll_seconds": 0.01})
    anon.fault("*", "delay", seconds=0.4)
    (_, pauses) = follow(3)
    assert pauses[0] >= 0.4
    assert 0.01 <= pauses[1] < 0.4


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_stay_away_stays_away_as_long(follow, anon, status):
    anon.fault("*", "status", status=status, headers={"Retry-After": "1800"})
    (found, pauses) = follow(3)
    assert found[0].trouble.facts["retry_after"] == 1800
    assert 1800 <= pauses[0] <= 1.2 * 1800
    assert pauses[1] < 60


def test_a_pause_grows_while_nothing_is_heard_and_is_short_again_afterwards(follow, anon):
    anon.fault("*", "status", status=500, times=9)
    (found, pauses) = follow(12)
    assert [one.trouble is None for one in found] == [False] * 9 + [True] * 3
    expected = [5, 10, 20, 40, 80, 160, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE, 3, 3]
    assert all(least <= pause <= 1.2 * least for pause, least in zip(pauses, expected, strict=True))


def test_it_is_counted_anew_after_each_recovery(follow, anon):
    anon.fault("*", "status", status=500)
    anon.fault("*", "status", status=500, skip=1)
    (found, pauses) = follow(4)
    assert [one.trouble is None for one in found] == [False, True, False, True]
    assert [5 <= pause <= 6 for pause in pauses] == [True, False, True]


@pytest.mark.parametrize("failed", [0, 10, 1023, 1024, 100_000])
def test_no_silence_is_too_long_to_be_outlived(failed):
    """A wait of two weeks at one try in five minutes is four thousand tries."""
    assert 5 <= walks._after(failed, VendorUnavailable("no")) <= LONGEST_PAUSE


# New words


def warnings(caplog):
    return [one.getMessage() for one in caplog.records if one.name == walks.log.name and one.levelno >= logging.WARNING]


def new_word(word):
    return f"Anon has a status that its pages do not tell of: '{word}'. It is watched on as running."


def test_a_new_word_is_warned_about_once(follow, anon, caplog):
    for _ in range(3):
        anon.one([[0, "VERIFYING"]])
    (found, _) = follow(3)
    assert set(words(found[0]).values()) == {"VERIFYING"}
    assert warnings(caplog) == [new_word("VERIFYING")]


def test_another_new_word_is_warned_about_too(follow, anon, caplog):
    anon.one([[0, "VERIFYING"], [5, "WORKING"], [5, "EXPIRED"]])
    follow(4, lambda: anon.advance(6), lambda: anon.advance(6), lambda: None)
    assert warnings(caplog) == [new_word("VERIFYING"), new_word("EXPIRED")]


def test_a_new_word_is_forgotten_by_no_trouble(follow, anon, caplog):
    anon.one([[0, "VERIFYING"]])
    anon.fault("*", "status", status=500, skip=3)
    (found, _) = follow(3)
    assert [one.trouble is None for one in found] == [True, False, True]
    assert warnings(caplog) == [new_word("VERIFYING")]


def test_the_words_of_the_contract_are_not_warned_about(follow, anon, caplog):
    for story in ("completes", "partly", "fails", "abandons", "stalls", "service", "forgets"):
        anon.one(story)
    follow(5, *[lambda: anon.advance(2.5)] * 4)
    assert warnings(caplog) == []


def test_nothing_in_a_snapshot_is_secret(follow, anon, anon_base, connect_anon):
    connect_anon(password="anon_canary", extra={"notifier": "a.b.C", "notifier_arguments": json.dumps({"to": "canary"})})
    (found, _) = follow(1)
    assert found[0].trouble is not None
    assert "canary" not in f"{found[0]!r}"
