"""The retry rules, with the vendor played by hand: which call may be sent again after what."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.core.api import ONE_TRY, Patience, VendorApi, json_of, retry_after
from ferry.core.errors import (
    AnswerLost,
    BadCredentials,
    NotFound,
    TransferBroken,
    VendorNonsense,
    VendorRefused,
    VendorUnavailable,
)
from ferry.core.exchange import Ask
from ferry.core.wire import httpx

NEVER_SENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol]
PERHAPS_SENT = [
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.RemoteProtocolError,
    httpx.LocalProtocolError,
    httpx.ProxyError,
    httpx.DecodingError,
    httpx.TooManyRedirects,
]
BOTH = pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "unrepeatable"])


class Api(VendorApi):
    vendor = "vendor six"

    def verb(self, *, repeatable, **how):
        answer = yield from self._call("do it", "POST", "/verb", repeatable=repeatable, **how)
        return answer.status_code


@pytest.fixture
def api():
    return Api("https://vendor.example/base/", patience=Patience(tries=4, seconds=60.0, first=1.0, cap=8.0))


def play(exchange, *events):
    """Answer each ask with the next event, an answer or an error to throw in; returns the value and all asks."""
    left, asks = list(events), []
    try:
        ask = next(exchange)
        while True:
            assert isinstance(ask, Ask)
            asks.append(ask)
            event = left.pop(0) if len(left) > 1 else left[0]
            event = event(ask.request) if isinstance(event, type) or callable(event) else event
            ask = exchange.throw(event) if isinstance(event, Exception) else exchange.send(event)
    except StopIteration as end:
        return end.value, asks
    except Exception as error:
        error.asks = asks  # type: ignore[attr-defined]
        raise


def said(status, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, headers=named, request=request)


def broken(kind):
    return lambda request: kind("it broke", request=request)


# Success


@BOTH
@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_is_asked_for_once(api, repeatable, status):
    value, asks = play(api.verb(repeatable=repeatable), said(status))
    assert (value, len(asks)) == (status, 1)
    assert str(asks[0].request.url) == "https://vendor.example/base/verb"


def test_parts_of_a_request_and_of_taking_its_answer_are_told_apart(api, tmp_path):
    how = {"json": {"a": 1}, "params": {"q": "x y"}, "save_to": tmp_path / "f", "after": 3.0}
    value, asks = play(api.verb(repeatable=True, accept=lambda answer: answer.status_code == 412, **how), said(412))
    assert value == 412
    assert (asks[0].wait, asks[0].save_to, asks[0].anonymous) == (3.0, tmp_path / "f", False)
    assert asks[0].request.url.query == b"q=x+y"
    assert asks[0].request.content == b'{"a":1}'


# No answer


@BOTH
@pytest.mark.parametrize("kind", NEVER_SENT)
def test_a_connection_that_was_never_made_is_always_safe_to_try_again(api, repeatable, kind):
    value, asks = play(api.verb(repeatable=repeatable), broken(kind), said(200))
    assert (value, len(asks)) == (200, 2)


@BOTH
@pytest.mark.parametrize("kind", NEVER_SENT)
def test_an_unreachable_vendor_is_told_apart_from_a_lost_answer(api, repeatable, kind):
    with pytest.raises(
        VendorUnavailable, match=r"vendor six could not be reached at vendor.example for do it .*nothing was sent"
    ) as caught:
        play(api.verb(repeatable=repeatable), broken(kind))
    assert len(caught.value.asks) == 4


@pytest.mark.parametrize("kind", PERHAPS_SENT)
def test_a_repeatable_call_without_an_answer_is_sent_again(api, kind):
    value, asks = play(api.verb(repeatable=True), broken(kind), broken(kind), said(200))
    assert (value, len(asks)) == (200, 3)
    with pytest.raises(VendorUnavailable, match="gave no whole answer to do it"):
        play(api.verb(repeatable=True), broken(kind))


@pytest.mark.parametrize("kind", PERHAPS_SENT)
def test_an_unrepeatable_call_without_an_answer_is_never_sent_again(api, kind):
    with pytest.raises(AnswerLost, match="its answer was lost") as caught:
        play(api.verb(repeatable=False), broken(kind), said(200))
    assert len(caught.value.asks) == 1


@BOTH
def test_an_answer_too_long_or_too_short_counts_as_none(api, repeatable):
    events = (TransferBroken("too long"), said(200))
    if repeatable:
        assert play(api.verb(repeatable=True), *events)[0] == 200
    else:
        with pytest.raises(AnswerLost):
            play(api.verb(repeatable=False), *events)


@BOTH
@pytest.mark.parametrize("kind", NEVER_SENT + PERHAPS_SENT)
def test_an_error_on_the_way_to_a_token_is_not_the_calls(api, repeatable, kind):
    """The token is asked for before the call: whatever breaks there, the call itself was never sent."""
    elsewhere = kind("it broke", request=httpx.Request("POST", "https://identity.example/token"))
    value, asks = play(api.verb(repeatable=repeatable), elsewhere, said(200))
    assert (value, len(asks)) == (200, 2)


@BOTH
def test_no_token_for_now_is_waited_out(api, repeatable):
    value, asks = play(api.verb(repeatable=repeatable), VendorUnavailable("no token"), said(200))
    assert (value, len(asks)) == (200, 2)


@BOTH
def test_wrong_credentials_are_not_tried_again(api, repeatable):
    with pytest.raises(BadCredentials):
        play(api.verb(repeatable=repeatable), BadCredentials("wrong secret"))


# Answers that are no success


@BOTH
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, VendorNonsense),
        (302, VendorNonsense),
        (400, VendorRefused),
        (401, BadCredentials),
        (403, BadCredentials),
        (404, NotFound),
        (405, VendorRefused),
        (409, VendorRefused),
        (410, NotFound),
        (412, VendorRefused),
        (413, VendorRefused),
        (422, VendorRefused),
    ],
)
def test_a_clear_no_is_final(api, repeatable, status, kind):
    with pytest.raises(kind, match=f"answered do it with HTTP {status}") as caught:
        play(api.verb(repeatable=repeatable), said(status))
    assert type(caught.value) is kind
    assert (len(caught.value.asks), caught.value.facts["status"]) == (1, status)
    assert not caught.value.retry_later


@BOTH
def test_a_call_turned_away_unhandled_is_sent_again(api, repeatable):
    value, asks = play(api.verb(repeatable=repeatable), said(429), said(429), said(202))
    assert (value, len(asks)) == (202, 3)


UNKNOWN = [408, 500, 501, 502, 503, 504, 507, 520, 524, 529, 561, 599]
"""Anybody on the way may answer these, some after the vendor began to work: 524 is a proxy that lost patience."""


@pytest.mark.parametrize("status", UNKNOWN)
def test_a_broken_vendor_is_asked_again_if_the_call_may_be_repeated(api, status):
    assert play(api.verb(repeatable=True), said(status), said(200))[0] == 200
    with pytest.raises(VendorUnavailable, match="may be tried again"):
        play(api.verb(repeatable=True), said(status))


@pytest.mark.parametrize("status", UNKNOWN)
def test_a_broken_vendor_may_have_acted_so_an_unrepeatable_call_is_lost(api, status):
    with pytest.raises(AnswerLost, match="Whether it took effect is unknown") as caught:
        play(api.verb(repeatable=False), said(status), said(200))
    assert len(caught.value.asks) == 1


def test_a_success_that_is_not_acceptable_is_nonsense(api):
    with pytest.raises(VendorNonsense, match="outside its contract"):
        play(api.verb(repeatable=True, accept=lambda _: False), said(200))


def test_what_a_vendor_calls_busy_is_busy(api):
    assert play(api.verb(repeatable=False, busy=frozenset({409})), said(409), said(200))[0] == 200


# Pauses


def test_pauses_grow_are_random_and_capped(api):
    with pytest.raises(VendorUnavailable) as caught:
        play(api.verb(repeatable=True), said(500))
    pauses = [ask.wait for ask in caught.value.asks]
    assert pauses[0] == 0.0
    for pause, ceiling in zip(pauses[1:], (1.0, 2.0, 4.0), strict=True):
        assert ceiling / 2 <= pause <= ceiling


def test_two_callers_do_not_come_back_together():
    assert len({Patience().pause(3) for _ in range(20)}) > 1


def test_the_vendors_wish_is_obeyed(api):
    _, asks = play(api.verb(repeatable=True), said(429, Retry_After="20"), said(503, Retry_After="7"), said(200))
    assert [ask.wait for ask in asks] == [0.0, 20.0, 7.0]


def test_no_more_than_the_whole_patience_is_waited(api):
    """A wish that goes beyond it is handed on to whoever can wait longer: the task's retry."""
    with pytest.raises(VendorUnavailable) as caught:
        play(api.verb(repeatable=True), said(429, Retry_After="40"))
    assert [ask.wait for ask in caught.value.asks] == [0.0, 40.0]
    assert caught.value.facts["retry_after"] == 40.0


@given(wishes=st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_waiting_never_exceeds_the_patience(wishes):
    api = Api("https://v", patience=Patience(tries=9, seconds=60.0))
    with pytest.raises(VendorUnavailable) as caught:
        play(api.verb(repeatable=True), *(said(429, Retry_After=str(wish)) for wish in wishes))
    assert sum(ask.wait for ask in caught.value.asks) <= 60.0


def test_in_the_triggerer_there_is_one_try():
    with pytest.raises(VendorUnavailable) as caught:
        play(Api("https://v", patience=ONE_TRY).verb(repeatable=True), said(503, Retry_After="1"))
    assert len(caught.value.asks) == 1
    assert caught.value.facts["retry_after"] == 1.0


# Retry-After


def told(**headers):
    return retry_after(said(429, **headers)(None))


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("120", 120.0), ("1.5", 1.5)])
def test_seconds_are_understood(text, seconds):
    assert told(Retry_After=text) == seconds


def test_a_date_is_understood():
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert told(Retry_After=format_datetime(soon, usegmt=True)) == pytest.approx(90, abs=3)
    assert told(Retry_After="Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("zone", ["Z", "+00:00", ""])
def test_a_reset_time_is_understood(zone):
    soon = (datetime.now(UTC) + timedelta(seconds=45)).replace(tzinfo=None).isoformat()
    assert told(X_Rate_Limit_Reset=soon + zone) == pytest.approx(45, abs=3)


def test_retry_after_goes_before_the_reset_time():
    assert told(Retry_After="5", X_Rate_Limit_Reset="2999-01-01T00:00:00Z") == 5.0


@pytest.mark.parametrize("header", ["Retry-After", "X-Rate-Limit-Reset"])
@pytest.mark.parametrize("text", ["", "soon", "-5", "1.2.3", ".", "\u00b2", "inf", "nan", "99999-13-45"])
def test_what_makes_no_sense_is_no_wish(header, text):
    answer = httpx.Response(429, headers=[(header.encode(), text.encode())])
    assert retry_after(answer) is None


@given(text=st.text(max_size=40))
def test_any_header_gives_sensible_seconds_or_none(text):
    answer = httpx.Response(429, headers=[(name, text.encode()) for name in (b"retry-after", b"x-rate-limit-reset")])
    seconds = retry_after(answer)
    assert seconds is None or 0.0 <= seconds <= 86400.0


@pytest.mark.parametrize("text", ["9" * 400, "1000000", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_is_sent_away_for_more_than_a_day(text):
    assert told(Retry_After=text) == 86400.0


# Bodies


def test_an_answer_that_is_not_json_is_nonsense_and_is_not_quoted():
    answer = httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html>Jane Doe</html>")
    with pytest.raises(VendorNonsense, match=r"do it is not JSON \(text/html, 21 bytes\)") as caught:
        json_of(answer, "do it")
    assert "Jane" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_every_verb_must_say_how_to_look():
    with pytest.raises(NotImplementedError, match="Api cannot look"):
        Api("https://v").look(None)
