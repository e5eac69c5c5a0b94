"""The one place that names the HTTP library. All others import `httpx` from here, so that its heir is one line away."""

from __future__ import annotations

import httpx as httpx  # noqa: PLC0414, TID251 (re-exported on purpose; this is the line the ban points to)

__all__ = ["httpx"]
