"""The one place that names the HTTP library. All others import `httpx` from here, so that its heir is one line away."""

from __future__ import annotations

import logging
from functools import cache
from ssl import SSLContext

import httpx as httpx  # noqa: PLC0414, TID251 (re-exported on purpose; this is the line the ban points to)

__all__ = ["httpx", "trusted"]


@cache
def trusted(*, trust_env: bool = True) -> SSLContext:
    """Whom TLS trusts, for all clients of this process: to read the world's certificates costs more than most calls."""
    return httpx.create_ssl_context(trust_env=trust_env)


def _without_headers(record: logging.LogRecord) -> bool:
    """Drop what the transport says of an answer's headers at its most talkative: tokens and cookies may stand in them."""
    return "receive_response_headers.complete" not in record.getMessage()


for _transport in ("httpcore.http11", "httpcore.http2"):
    logging.getLogger(_transport).addFilter(_without_headers)
