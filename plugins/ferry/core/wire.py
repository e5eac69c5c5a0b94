"""The one place that names the HTTP library. All others import `httpx` from here, so that its heir is one line away."""

from __future__ import annotations

import logging
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx as httpx  # noqa: PLC0414, TID251 (re-exported on purpose; this is the line the ban points to)

__all__ = ["httpx", "on_behalf_of", "trusted"]


@cache
def trusted(*, trust_env: bool = True) -> SSLContext:
    """Whom TLS trusts, for all clients of this process: to read the world's certificates costs more than most calls."""
    return httpx.create_ssl_context(trust_env=trust_env)


def on_behalf_of(request: httpx.Request, method: str, url: str, **parts: Any) -> httpx.Request:
    """What an auth flow sends before a request, such as a login: with that request's timeouts, or it would wait for ever."""
    timeout = {name: told for name, told in request.extensions.items() if name == "timeout"}
    return httpx.Request(method, url, extensions=timeout, **parts)


def _without_headers(record: logging.LogRecord) -> bool:
    """Drop what the transport says of an answer's headers at its most talkative: tokens and cookies may stand in them."""
    return "receive_response_headers.complete" not in record.getMessage()


for _transport in ("httpcore.http11", "httpcore.http2"):
    logging.getLogger(_transport).addFilter(_without_headers)
