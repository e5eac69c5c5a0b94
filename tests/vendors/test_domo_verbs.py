"""Domo's verbs on its sandbox: what is sent, what is believed, and that a move is sent once whatever becomes of its answer."""

import json
import socket
import time
from contextlib import closing
from functools import partial
from itertools import product
from threading import Thread

import pytest
from tests.loopback import answer, loopback

from ferry.core.api import Patience
from ferry.core.errors import (
    AnswerLost,
    BadCredentials,
    NotFound,
    VendorError,
    VendorNonsense,
    VendorRefused,
    VendorUnavailable,
)
from ferry.core.exchange import drive
from ferry.core.model import Run, RunState
from ferry.vendors.domo.hook import DomoHook
from ferry.vendors.domo.shapes import Account
from ferry.vendors.domo.vocabulary import Direction

COLOURS = pytest.mark.parametrize("colour", ["worker", "triggerer"])
BASE = "/api/query/migration/federated/v1/to/v2"
ANALYST = "ferry-demo-domo-analyst"
PLACE = {"catalog": "sales_db", "schema": "NULL", "table": "Orders"}
JSON, HTML = "Content-Type: application/json", "Content-Type: text/html;charset=utf-8"
TYPES = ["snowflake-federated", "mysql-federated", "bigquery-federated"]


@pytest.fixture
def mapping(domo):
    """Coordinates of every MySQL datasource, by id."""
    return domo.mapping()


@pytest.fixture
def one(mapping):
    """The id of a datasource on V1."""
    return next(iter(mapping))


def migrating(datasource, place, account="41"):
    return lambda api: api.migrate(datasource, account, place)


def reversing(datasource):
    return lambda api: api.reverse(datasource)


# Lists


@COLOURS
def test_the_types_are_those_of_the_instance(domo, play_on_domo, colour):
    assert play_on_domo(colour, lambda api: api.types()) == [TYPES]


@COLOURS
def test_the_accounts_of_a_type_have_their_ids_as_texts(domo, play_on_domo, colour):
    (found,) = play_on_domo(colour, lambda api: api.accounts("mysql-federated"))
    assert found == [
        Account("41", "mysql-federated", "warehouse eu v2"),
        Account("17", "mysql-federated", "warehouse eu v2 via agent"),
    ]


@COLOURS
def test_a_type_that_domo_does_not_know_has_no_accounts(domo, play_on_domo, colour):
    assert play_on_domo(colour, lambda api: api.accounts("oracle-federated")) == [[]]


@COLOURS
def test_the_candidates_are_those_of_the_account_under_their_very_ids(domo, mapping, play_on_domo, colour):
    (found,) = play_on_domo(colour, lambda api: api.candidates("41"))
    assert list(found) == list(mapping)
    assert {len(key) - key.startswith("F") for key in found} == {36}
    assert {key.startswith("F") for key in found} == {True, False}
    assert all(found[key].id == key for key in found)
    assert {(seen.migrated, seen.date) for seen in found.values()} == {(False, "")}


@COLOURS
def test_a_candidate_that_was_migrated_says_so_with_its_date(domo, one, play_on_domo, colour):
    date = domo.move(one)["migrationDate"]
    (found,) = play_on_domo(colour, lambda api: api.candidates("41"))
    assert (found[one].migrated, found[one].date) == (True, date)
    assert sum(seen.migrated for seen in found.values()) == 1


def test_a_list_of_thousands_comes_whole(domo, play_on_domo):
    domo.switch(extra_datasources=2000)
    (found,) = play_on_domo("worker", lambda api: api.candidates("41"))
    assert len(found) == 2030


@COLOURS
def test_an_account_that_nobody_sees_is_not_found_and_named(domo, play_on_domo, colour):
    with pytest.raises(NotFound) as caught:
        play_on_domo(colour, lambda api: api.candidates("99"))
    said = "list candidates of account 99 with HTTP 404: The account 99 was not found (toe "
    assert said in caught.value.message


def test_another_token_sees_other_accounts(domo, play_on_domo):
    (found,) = play_on_domo("worker", lambda api: api.accounts("snowflake-federated"), password=ANALYST)
    assert [account.id for account in found] == ["58"]


# Moves, as they are sent


@COLOURS
def test_a_migration_is_answered_with_its_final_state(domo, one, mapping, play_on_domo, colour):
    (found,) = play_on_domo(colour, migrating(one, mapping[one]))
    assert (found.word, found.message) == ("COMPLETE", "")
    assert found.toe == domo.control("GET", "/domo/state")["operations"][0]["toe"]
    assert found.raw["datasourceId"] == one
    assert [seen["id"] for seen in domo.control("GET", "/domo/state")["v2"]] == [one]


@COLOURS
def test_a_reversal_is_answered_with_its_final_state(domo, one, play_on_domo, colour):
    domo.move(one)
    (found,) = play_on_domo(colour, reversing(one))
    assert (found.word, found.raw["direction"]) == ("COMPLETE", "V2_TO_V1")
    assert domo.control("GET", "/domo/state")["v2"] == []


@COLOURS
def test_a_datasource_goes_to_the_very_table_that_was_named(domo, play_on_domo, colour):
    places = domo.mapping("snowflake-federated")
    one = next(key for key, place in places.items() if place["schema"] == "Reporting")
    play_on_domo(colour, migrating(one, places[one], "58"))
    assert domo.control("GET", "/domo/state")["v2"] == [{"id": one, "accountId": "58"} | places[one]]


@pytest.mark.parametrize("word", ["INCOMPLETE", "ABORTED", "PAUSED"])
def test_a_state_that_is_no_success_comes_with_http_200_and_is_no_exception(domo, one, mapping, play_on_domo, word):
    domo.switch(outcomes=f"*:{word}", error_message="The column metadata\n could  not be refreshed.")
    (found,) = play_on_domo("worker", migrating(one, mapping[one]))
    assert (found.word, found.message) == (word, "The column metadata could not be refreshed.")


@pytest.mark.parametrize("dropped", ["toe", "errorMessage"])
def test_an_answer_may_lack_what_is_not_its_state(domo, one, mapping, play_on_domo, dropped):
    domo.switch(answer_drops=dropped)
    (found,) = play_on_domo("worker", migrating(one, mapping[one]))
    assert found.word == "COMPLETE"


def test_an_answer_without_its_state_is_lost(domo, one, mapping, play_on_domo):
    domo.switch(answer_drops="state")
    with pytest.raises(AnswerLost, match=f"the migration of datasource {one} has no `state`"):
        play_on_domo("worker", migrating(one, mapping[one]))


COMPLETE = answer(200, b'{"state": "COMPLETE"}', JSON)


@COLOURS
def test_a_migration_sends_catalog_schema_and_table_as_json_and_nothing_else(play_on_domo, colour):
    place = {"catalog": "Umsätze", "schema": "NULL", "table": "Größe %"}
    with loopback() as server:
        play_on_domo(colour, migrating("d-1", place), host=server.will(COMPLETE).url)
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("POST", f"{BASE}/d-1/accounts/41")
    assert json.loads(asked.body) == place
    assert asked.header("Content-Type") == "application/json"


@COLOURS
def test_a_reversal_sends_neither_body_nor_content_type(play_on_domo, colour):
    with loopback() as server:
        play_on_domo(colour, reversing("d-1"), host=server.will(COMPLETE).url)
    (asked,) = server.asked
    assert (asked.method, asked.target, asked.size) == ("POST", f"{BASE}/d-1/reverse", 0)
    assert asked.header("Content-Type") is None
    assert asked.header("Transfer-Encoding") is None


SEGMENTS = {
    "a/b": "a%2Fb",
    "a b": "a%20b",
    "ü": "%C3%BC",
    "50%": "50%25",
    "%2F": "%252F",
    "a?b=c": "a%3Fb%3Dc",
    "a#b": "a%23b",
    "a+b&c;d": "a%2Bb%26c%3Bd",
    "F7b0c1d52-8a34-4f0e-9d1b-2f6e5c4a9911": "F7b0c1d52-8a34-4f0e-9d1b-2f6e5c4a9911",
}
PATHS = {
    "accounts": (lambda api, one: api.accounts(one), "/accounts/{}"),
    "candidates": (lambda api, one: api.candidates(one), "/candidates/{}"),
    "migrate": (lambda api, one: api.migrate(one, "41", PLACE), "/{}/accounts/41"),
    "migrate to": (lambda api, one: api.migrate("d-1", one, PLACE), "/d-1/accounts/{}"),
    "reverse": (lambda api, one: api.reverse(one), "/{}/reverse"),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_segment_of_the_path_is_encoded_as_a_whole(play_on_domo, name):
    verb, path = PATHS[name]
    body = answer(200, b"[]", JSON) if name in ("accounts", "candidates") else COMPLETE
    with loopback() as server:
        verbs = [partial(verb, one=plain) for plain in SEGMENTS]
        play_on_domo("worker", *verbs, host=server.will(body).url)
    assert [asked.target for asked in server.asked] == [BASE + path.format(encoded) for encoded in SEGMENTS.values()]


def test_an_id_of_odd_characters_reaches_its_datasource(domo, play_on_domo):
    odd = "a/b ü%?#"
    place = {"catalog": "sales_db", "schema": "NULL", "table": "Odd"}
    domo.control("POST", "/domo/records", json={"id": odd, "type": "mysql-federated"} | place)
    found = play_on_domo("worker", migrating(odd, place), lambda api: api.candidates("41"), reversing(odd))
    assert [found[0].word, found[1][odd].migrated, found[2].word] == ["COMPLETE", True, "COMPLETE"]


# Looks


@COLOURS
def test_a_look_sees_a_datasource_where_the_list_shows_it(domo, one, play_on_domo, colour):
    def look(api):
        return (yield from api.look(Run(f"41/{one}", word="something")))

    (before,) = play_on_domo(colour, look)
    domo.move(one)
    (after,) = play_on_domo(colour, look)
    assert (before.ref, before.state, before.word) == (f"41/{one}", RunState.QUEUED, "not migrated")
    assert (after.ref, after.state, after.word) == (f"41/{one}", RunState.SUCCEEDED, "migrated")


@COLOURS
def test_a_look_at_what_the_list_does_not_show_knows_nothing_of_its_fate(domo, one, play_on_domo, colour):
    domo.control("DELETE", f"/domo/records/{one}")
    (seen,) = play_on_domo(colour, lambda api: api.look(Run(f"41/{one}")))
    assert (seen.state, seen.word) == (RunState.FAILED_DIRTY, "not listed")


def test_a_look_at_an_id_with_a_slash_finds_it(domo, play_on_domo):
    domo.control("POST", "/domo/records", json={"id": "a/b/c", "type": "mysql-federated"} | PLACE)
    (seen,) = play_on_domo("worker", lambda api: api.look(Run("41/a/b/c")))
    assert seen.state is RunState.QUEUED


ON_V1, ON_V2 = {"migrated": False, "date": ""}, {"migrated": True, "date": "2031-02-03T04:05:06.000+00:00"}


@COLOURS
def test_a_look_at_a_list_counts_how_many_it_proves_and_is_over_with_the_last(domo, mapping, play_on_domo, colour):
    first, second = list(mapping)[:2]

    def look(api):
        return (yield from api.look_listed(Run("41"), {first: ON_V1, second: ON_V1}, Direction.FORWARD))

    seen = [*play_on_domo(colour, look)]
    for datasource in (second, first):
        domo.move(datasource)
        seen += play_on_domo(colour, look)
    assert [(run.ref, run.state, run.word) for run in seen] == [
        ("41", RunState.QUEUED, "0 of 2 migrated"),
        ("41", RunState.QUEUED, "1 of 2 migrated"),
        ("41", RunState.SUCCEEDED, "2 of 2 migrated"),
    ]


def test_a_look_for_reversals_counts_what_is_back_on_v1(domo, one, play_on_domo):
    date = domo.move(one)["migrationDate"]
    before = {one: {"migrated": True, "date": date}}

    def look(api):
        return (yield from api.look_listed(Run("41"), before, Direction.BACK))

    (early,) = play_on_domo("worker", look)
    domo.take_back(one)
    (late,) = play_on_domo("worker", look)
    assert [(run.state, run.word) for run in (early, late)] == [
        (RunState.QUEUED, "0 of 1 not migrated"),
        (RunState.SUCCEEDED, "1 of 1 not migrated"),
    ]


def test_a_list_that_is_late_proves_nothing_yet(domo, one, play_on_domo):
    domo.switch(list_delay_seconds=60)
    domo.move(one)

    def look(api):
        return (yield from api.look_listed(Run("41"), {one: ON_V1}, Direction.FORWARD))

    (early,) = play_on_domo("worker", look)
    domo.control("POST", "/clock", json={"advance": 61})
    (late,) = play_on_domo("worker", look)
    assert [run.state for run in (early, late)] == [RunState.QUEUED, RunState.SUCCEEDED]


@pytest.mark.parametrize("direction", list(Direction))
def test_what_the_list_does_not_show_any_more_is_not_proved(domo, play_on_domo, direction):
    before = ON_V1 if direction is Direction.FORWARD else ON_V2
    (seen,) = play_on_domo("worker", lambda api: api.look_listed(Run("41"), {"gone": before}, direction))
    assert seen.state is RunState.QUEUED


# Patience


LIST, QUICK, SLOW = (lambda api: api.candidates("41")), 0.5, 1.0


def test_a_move_is_waited_for_longer_than_a_list_may_take(domo, one, mapping, play_on_domo):
    domo.fault("POST", "*", "delay", seconds=SLOW)
    (found,) = play_on_domo("worker", migrating(one, mapping[one]), extra={"read_timeout": QUICK, "answer_timeout": 30})
    assert found.word == "COMPLETE"
    assert domo.counted(one) == (1, 0)


def test_a_list_is_waited_for_no_longer_than_its_own_timeout(domo, play_on_domo):
    domo.fault("GET", "*/candidates/*", "delay", seconds=SLOW)
    (found,) = play_on_domo("worker", LIST, extra={"read_timeout": QUICK, "answer_timeout": 30})
    assert len(found) == 30
    assert len(domo.sent("GET")) == 2  # the first was given up


def test_a_list_may_take_longer_than_a_move_is_waited_for(domo, play_on_domo):
    domo.fault("GET", "*/candidates/*", "delay", seconds=SLOW)
    (found,) = play_on_domo("worker", LIST, extra={"read_timeout": 30, "answer_timeout": QUICK})
    assert len(found) == 30
    assert len(domo.sent("GET")) == 1


# Once


MOVES = {"migrate": "V1_TO_V2", "reverse": "V2_TO_V1"}
EACH_WAY = pytest.mark.parametrize("way", MOVES)
BOTH_WAYS = pytest.mark.parametrize(("colour", "way"), [("worker", "migrate"), ("worker", "reverse"), ("triggerer", "migrate")])


@pytest.fixture
def moving(domo, mapping, one):
    """A datasource that can be moved that way, and the verb that does it."""

    def made(way):
        if way == "migrate":
            return one, migrating(one, mapping[one])
        domo.move(one)
        return one, reversing(one)

    return made


def status(code, kind="html", body=None, **headers):
    """A fault: Domo's own error in a few words, or a page, or another body."""
    own = {"status": code, "statusReason": "Internal Server Error", "message": "Something broke.", "toe": "T-1"}
    text, content = json.dumps(body or own), "application/json"
    if kind == "html" and body is None:
        text, content = f"<html><head><title>HTTP Status {code}</title></head></html>", "text/html;charset=utf-8"
    return {"action": "status", "status": code, "body": text, "headers": {"Content-Type": content} | headers}


LOST = {
    "hung up before it was heard": {"action": "drop_before"},
    "hung up after it was done": {"action": "drop_after"},
    "half an answer": {"action": "truncate", "bytes": 20},
    "garbage": {"action": "garbage"},
    "a page instead of an answer": {"action": "garbage", "body": "<html>Please sign in</html>"},
    "another API's object": {"action": "garbage", "body": '{"hello": "world"}'},
    "an empty answer": {"action": "garbage", "body": ""},
    "202 without a body": status(202) | {"body": ""},
    "204": status(204) | {"body": ""},
    **{f"{code} as JSON": status(code, "json") for code in (408, 500, 502, 503, 504)},
    **{f"{code} as a page": status(code) for code in (302, 307, 400, 404, 405, 408, 409, 422, 502, 503, 504)},
    "500 that asks to come again": status(500, "json", **{"Retry-After": "0"}),
    "503 that asks to come again": status(503, **{"Retry-After": "0"}),
    "404 of another API": status(404, body={"error": "no"}),
    "404 of a gateway": status(404, body={"message": "No route."}),
    "404 of a gateway with its number": status(404, body={"status": 404, "message": "No route."}),
    "400 with a path but no status": status(400, body={"path": "/v2", "toe": "T-1", "statusReason": "Bad Request"}),
    "400 that is a list": status(400, body=[{"status": 400, "toe": "T-1"}]),
}


LOST_ON_THE_WAY_BACK = ("hung up before it was heard", "garbage", "202 without a body", "500 as JSON", "404 as a page")
LOST_IN_THE_TRIGGERER = ("hung up before it was heard", "504 as a page", "302 as a page")
LOSSES = {
    **{name: ("worker", "migrate", fault) for name, fault in LOST.items()},
    **{f"{name}, on the way back": ("worker", "reverse", LOST[name]) for name in LOST_ON_THE_WAY_BACK},
    **{f"{name}, in the triggerer": ("triggerer", "migrate", LOST[name]) for name in LOST_IN_THE_TRIGGERER},
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_move_whose_answer_is_lost_is_not_sent_again(domo, moving, play_on_domo, loss):
    colour, way, fault = loss
    _, verb = moving(way)
    domo.fault("POST", "*", times=None, **fault)
    with pytest.raises(AnswerLost, match="not be sent again"):
        play_on_domo(colour, verb)
    assert len(domo.sent()) == 1


@pytest.mark.parametrize(("way", "action"), [("migrate", "drop_after"), ("reverse", "truncate")])
def test_a_move_whose_answer_is_lost_has_happened_once(domo, moving, play_on_domo, way, action):
    one, verb = moving(way)
    domo.fault("POST", "*", action, times=None, **({"bytes": 20} if action == "truncate" else {}))
    with pytest.raises(AnswerLost):
        play_on_domo("worker", verb)
    assert domo.counted(one) == ((1, 0) if way == "migrate" else (0, 1))


@BOTH_WAYS
def test_a_move_that_takes_longer_than_its_timeout_is_lost_and_not_stopped(domo, moving, play_on_domo, way, colour):
    """Closing the connection does not stop Domo [A]."""
    one, verb = moving(way)
    domo.switch(migrate_seconds=SLOW, reverse_seconds=SLOW)
    with pytest.raises(AnswerLost, match=r"its answer was lost \(ReadTimeout"):
        play_on_domo(colour, verb, extra={"read_timeout": 30, "answer_timeout": QUICK})
    domo.until(lambda: domo.control("GET", "/domo/state")["operations"][0]["state"] == "COMPLETE")
    assert len(domo.sent()) == 1
    assert domo.counted(one) == ((1, 0) if way == "migrate" else (0, 1))


def test_a_move_that_hangs_before_it_is_heard_is_lost_and_not_sent_again(domo, moving, play_on_domo):
    _, verb = moving("migrate")
    domo.fault("POST", "*", "delay", seconds=SLOW, times=None)
    with pytest.raises(AnswerLost, match=r"its answer was lost \(ReadTimeout"):
        play_on_domo("worker", verb, extra={"read_timeout": 30, "answer_timeout": QUICK})
    assert len(domo.sent()) == 1


@EACH_WAY
@pytest.mark.parametrize("code", [301, 404])
def test_a_page_in_domos_place_says_what_was_sent_what_answered_and_what_follows(domo, moving, play_on_domo, way, code):
    one, verb = moving(way)
    domo.fault("POST", "*", **status(code))
    with pytest.raises(AnswerLost) as caught:
        play_on_domo("worker", verb)
    noun = "migration" if way == "migrate" else "reversal"
    assert (
        f"domo was sent the {noun} of datasource {one} and something answered with HTTP {code}: a page instead of"
        in caught.value.message
    )
    assert (
        "Whether it took effect is unknown, so it will not be sent again; the candidates list is watched" in caught.value.message
    )


# Again


@pytest.mark.parametrize(("way", "kind"), [("migrate", "json"), ("reverse", "html")])
def test_a_move_that_domo_turns_away_unhandled_is_sent_again_when_it_says(domo, moving, play_on_domo, way, kind):
    one, verb = moving(way)
    domo.fault("POST", "*", **status(429, kind, **{"Retry-After": "1"}))
    begun = time.monotonic()
    (found,) = play_on_domo("worker", verb)
    assert found.word == "COMPLETE"
    assert time.monotonic() - begun >= 1
    assert [seen["status"] for seen in domo.sent()] == [429, 200]
    assert domo.counted(one) == ((1, 0) if way == "migrate" else (0, 1))


@EACH_WAY
def test_a_move_that_is_sent_away_for_too_long_is_not_waited_for(domo, moving, play_on_domo, way):
    one, verb = moving(way)
    domo.fault("POST", "*", times=None, **status(429, "json", **{"Retry-After": "3600"}))
    with pytest.raises(VendorUnavailable, match=r"HTTP 429: Something broke \(toe T-1\)\. The step may be tried again"):
        play_on_domo("worker", verb)
    assert len(domo.sent()) == 1
    assert domo.counted(one) == (0, 0)


def test_a_move_that_is_turned_away_in_the_triggerer_is_left_to_its_loop(domo, moving, play_on_domo):
    _, verb = moving("migrate")
    domo.fault("POST", "*", times=None, **status(429, "json"))
    with pytest.raises(VendorUnavailable):
        play_on_domo("triggerer", verb)
    assert len(domo.sent()) == 1


MADE_UP = {"migrate": migrating("d-1", PLACE), "reverse": reversing("d-1")}


def heard_late(exchange, opening):
    """The exchange, with `opening` called once the first request has failed."""
    try:
        ask, failed = next(exchange), 0
        while True:
            try:
                said = yield ask
            except Exception as error:  # noqa: BLE001 (handed on)
                failed += 1
                if failed == 1:
                    opening()
                ask = exchange.throw(error)
            else:
                ask = exchange.send(said)
    except StopIteration as end:
        return end.value, failed


@EACH_WAY
def test_a_move_whose_connection_was_never_made_is_sent_again(connect_domo, way):
    """A port that is taken and not listened at refuses connections."""
    served = []
    with closing(socket.socket()) as late:
        late.bind(("127.0.0.1", 0))
        hook = DomoHook(connect_domo("late", host=f"http://127.0.0.1:{late.getsockname()[1]}"))
        api = hook.api(Patience(tries=3, seconds=60.0, first=0.0))

        def opening():
            late.listen(1)
            served.append(answering(late, COMPLETE))

        found, failed = drive(hook._line, heard_late(MADE_UP[way](api), opening))
        hook.close()
        served[0].join(10)
    assert (found.word, failed) == ("COMPLETE", 1)


def answering(listener, reply):
    """A thread that answers one request."""

    def serve():
        connection, _ = listener.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(reply)

    thread = Thread(target=serve, daemon=True)
    thread.start()
    return thread


@EACH_WAY
def test_a_connection_that_is_never_made_is_no_lost_answer(play_on_domo, way):
    with pytest.raises(VendorUnavailable, match="nothing was sent"):
        play_on_domo("triggerer", MADE_UP[way], host="http://127.0.0.1:1")


# Clear words


@pytest.mark.parametrize(
    ("way", "code"), [("migrate", 400), ("migrate", 404), ("migrate", 409), ("reverse", 404), ("reverse", 422)]
)
def test_domos_own_no_is_a_clear_no(domo, moving, play_on_domo, way, code):
    _, verb = moving(way)
    domo.fault("POST", "*", times=None, **status(code, "json"))
    with pytest.raises(VendorRefused, match=rf"HTTP {code}: Something broke \(toe T-1\)") as caught:
        play_on_domo("worker", verb)
    assert type(caught.value) is (NotFound if code == 404 else VendorRefused)
    assert caught.value.facts["status"] == code
    assert len(domo.sent()) == 1


@pytest.mark.parametrize("mark", ["statusReason", "toe", "path"])
def test_an_error_is_domos_own_by_its_status_and_one_of_its_other_keys(domo, moving, play_on_domo, mark):
    """Neighbouring APIs and public reports show it with one or the other [N]."""
    _, verb = moving("migrate")
    domo.fault("POST", "*", **status(400, body={"status": 400, "message": "No.", mark: "x"}))
    with pytest.raises(VendorRefused, match=r"HTTP 400: No.*\. Correct what it names, then clear the task\.$"):
        play_on_domo("worker", verb)


@COLOURS
def test_a_body_that_domo_does_not_take_is_a_clear_no_in_its_words(domo, one, play_on_domo, colour):
    with pytest.raises(
        VendorRefused, match=r"HTTP 400: The field schema is required \(toe .*\)\. Correct what it names"
    ) as caught:
        play_on_domo(colour, migrating(one, PLACE | {"schema": "null"}))
    assert type(caught.value) is VendorRefused
    assert domo.counted(one) == (0, 0)


@BOTH_WAYS
def test_a_datasource_that_is_gone_is_not_found(domo, moving, play_on_domo, way, colour):
    one, verb = moving(way)
    domo.control("DELETE", f"/domo/records/{one}")
    with pytest.raises(NotFound, match=f"HTTP 404: The datasource {one} was not found"):
        play_on_domo(colour, verb)


def test_a_conflict_is_a_clear_no_where_domo_says_so_itself(domo, one, mapping, play_on_domo):
    domo.switch(repeat_post="conflict")
    domo.move(one)
    with pytest.raises(VendorRefused, match="HTTP 409: The datasource is already migrated"):
        play_on_domo("worker", migrating(one, mapping[one]))


@BOTH_WAYS
def test_a_token_that_expired_says_to_create_a_new_one(domo, moving, play_on_domo, colour, way):
    one, verb = moving(way)
    with pytest.raises(BadCredentials) as caught:
        play_on_domo(colour, verb, password="expired")
    assert "create a new one in Domo, put it into the connection, then clear the task." in caught.value.message
    assert len(domo.sent()) == 1
    assert domo.counted(one) == (0, 0)


def test_a_token_that_expires_between_two_calls_is_told_as_that(domo, one, mapping, play_on_domo):
    domo.switch(token_calls=1)
    with pytest.raises(BadCredentials, match="HTTP 401: Full authentication is required"):
        play_on_domo("worker", LIST, migrating(one, mapping[one]))


@BOTH_WAYS
def test_a_token_that_may_only_read_says_whose_rights_they_are(domo, moving, play_on_domo, colour, way):
    one, verb = moving(way)
    with pytest.raises(BadCredentials, match=r"HTTP 403: .* The token has its user's rights: have them extended"):
        play_on_domo(colour, verb, password=ANALYST)
    assert len(domo.sent()) == 1
    assert domo.counted(one) == (0, 0)


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_of_the_token_in_the_shape_of_a_page_is_no_lost_answer(domo, moving, play_on_domo, code):
    """Who is not let in has not been heard, whoever says so."""
    _, verb = moving("migrate")
    domo.fault("POST", "*", **status(code))
    with pytest.raises(BadCredentials):
        play_on_domo("worker", verb)


def test_the_status_counts_and_not_the_reason_that_domo_gives_for_it(domo, one, play_on_domo):
    """statusReason has been seen to be wrong [N]."""
    domo.switch(status_reason="wrong")
    with pytest.raises(NotFound) as caught:
        play_on_domo("worker", migrating(one, PLACE, "99"))
    assert "Internal Server Error" not in caught.value.message


# Reads are repeated


READS = {
    "types": lambda api: api.types(),
    "accounts": lambda api: api.accounts("mysql-federated"),
    "candidates": lambda api: api.candidates("41"),
    "look": lambda api: api.look(Run("41/d-1")),
}
PASSING = {
    "hung up": {"action": "drop_before"},
    "half an answer": {"action": "truncate", "bytes": 20},
    "502 as a page": status(502),
    "500 as JSON": status(500, "json"),
    "429": status(429, "json"),
}


TWICE = {
    **{name: (LIST, fault) for name, fault in PASSING.items()},
    **{f"{name}, 502 as a page": (verb, PASSING["502 as a page"]) for name, verb in READS.items() if name != "candidates"},
}


@pytest.mark.parametrize(("verb", "fault"), TWICE.values(), ids=TWICE)
def test_a_read_is_repeated_whatever_became_of_it(domo, play_on_domo, verb, fault):
    domo.fault("GET", "*", **fault)
    play_on_domo("worker", verb)
    assert len(domo.sent("GET")) == 2


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_read_in_the_triggerer_is_left_to_its_loop(domo, play_on_domo, fault):
    domo.fault("GET", "*", **fault)
    with pytest.raises(VendorUnavailable):
        play_on_domo("triggerer", LIST)
    assert len(domo.sent("GET")) == 1


BODIES = ("<html>Sign in</html>", '{"hello": "world"}', "null", '"text"', "")
NONSENSE = [*product(["candidates"], BODIES), *product(["types", "accounts", "look"], BODIES[:2])]


@pytest.mark.parametrize(("name", "body"), NONSENSE)
def test_a_read_that_brings_something_else_is_nonsense_and_says_what_to_check(domo, play_on_domo, name, body):
    domo.fault("GET", "*", "garbage", body=body)
    with pytest.raises(VendorNonsense, match=r"[Cc]heck that the connection's") as caught:
        play_on_domo("triggerer" if name == "look" else "worker", READS[name])
    assert "Sign in" not in caught.value.message
    assert len(domo.sent("GET")) == 1


@pytest.mark.parametrize(("code", "kind"), [(400, VendorRefused), (404, NotFound), (406, VendorRefused)])
def test_a_page_in_the_place_of_a_list_is_told_at_once_and_what_to_check(domo, play_on_domo, code, kind):
    domo.fault("GET", "*", **status(code))
    with pytest.raises(VendorError) as caught:
        play_on_domo("worker", LIST)
    assert type(caught.value) is kind
    assert caught.value.message == (
        f"domo was asked to list candidates of account 41 and something answered with HTTP {code}: a page instead of Domo's own "
        "error. Check the connection's instance, and whether a proxy or a login page stands before it."
    )
    assert len(domo.sent("GET")) == 1


def test_domos_own_no_to_a_list_is_told_as_its_own(domo, play_on_domo):
    domo.fault("GET", "*", **status(400, "json"))
    with pytest.raises(VendorRefused, match=r"HTTP 400: Something broke \(toe T-1\)\. Correct what it names") as caught:
        play_on_domo("worker", LIST)
    assert "proxy" not in caught.value.message
