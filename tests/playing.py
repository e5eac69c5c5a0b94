"""An exchange played by hand: a test says each answer of the vendor's, and gets what was asked."""

from __future__ import annotations

import json

from ferry.core.errors import FerryError
from ferry.core.exchange import SAVED, Saved
from ferry.core.wire import httpx


def said(status=200, body=None, *, raw=None, file=None, headers=None):
    """An answer as the driver would hand it in; `file` is a download."""

    def made(ask):
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        answer = httpx.Response(status, content=content, headers=headers, request=ask.request)
        if file is not None and ask.save_to and answer.is_success:
            ask.save_to.write_bytes(file)
            answer.extensions[SAVED] = Saved(ask.save_to, len(file), "0" * 64)
        return answer

    return made


def lost(kind=httpx.ReadTimeout):
    """No answer: what goes wrong on the way is thrown in, as the driver would."""
    return lambda ask: kind("lost", request=ask.request)


def play(exchange, *answers):
    """Answer asks in order; returns what the exchange returns, and the asks. Every answer must have been wanted."""
    left, asks = list(answers), []
    try:
        ask = next(exchange)
        while True:
            asks.append(ask)
            assert left, f"nobody expected {ask.request.method} {ask.request.url}"
            event = left.pop(0)(ask)
            ask = exchange.throw(event) if isinstance(event, Exception) else exchange.send(event)
    except StopIteration as end:
        assert not left, f"{len(left)} answers were not asked for"
        return end.value, asks
    except FerryError as error:
        error.asks = asks  # type: ignore[attr-defined]
        raise


def calls(asks):
    """Method, path and query of each ask."""
    return [f"{ask.request.method} {ask.request.url.raw_path.decode()}" for ask in asks]


def body_of(ask):
    """The JSON that was sent."""
    return json.loads(ask.request.content)
