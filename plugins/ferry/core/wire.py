"""The one place that names the HTTP library. All others import `httpx` from here, so that its heir is one line away."""

from __future__ import annotations

import logging

import httpx as httpx  # noqa: PLC0414, TID251 (re-exported on purpose; this is the line the ban points to)

__all__ = ["httpx"]


def _without_headers(record: logging.LogRecord) -> bool:
    """Drop what the transport says of an answer's headers at its most talkative: tokens and cookies may stand in them."""
    return "receive_response_headers.complete" not in record.getMessage()


for _transport in ("httpcore.http11", "httpcore.http2"):
    logging.getLogger(_transport).addFilter(_without_headers)
