"""The vendor's answers: JSON, moments, objects as a switch bends them, and errors, whose bodies are undocumented [A]."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from starlette.responses import Response

from sandbox.switches import Switches

AWAY = timezone(timedelta(hours=2))
MORE_FIELDS = {"livemode": False, "metadata": {"note": "made up"}}
"""What `extra_fields` adds: nothing that the vendor documents."""


class RefusedError(Exception):
    """A request that is answered with an error [A]."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def response(self) -> Response:
        """The error on the wire [A]."""
        return as_json({"error": {"code": self.code, "message": self.message}}, self.status, self.headers)


def not_found(what: str) -> RefusedError:
    """404: unknown, or another organisation's, which is told in the same words [A]."""
    return RefusedError(404, "not_found", f"{what} was not found.")


def bad_parameter(name: str, least: int) -> RefusedError:
    """422 for a number of a page that is none [A]."""
    return RefusedError(422, "invalid_parameter", f"{name} must be an integer of at least {least}.")


def as_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any JSON answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(text, status, headers, media_type="application/json")


def written(seconds: float, zone: str) -> str:
    """A moment with microseconds: without a zone as in the guide [D], with `Z` as in the reference [D2], with an offset [A]."""
    if zone == "offset":
        return datetime.fromtimestamp(seconds, AWAY).isoformat(timespec="microseconds")
    text = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{text}Z" if zone == "Z" else text


def bent(document: dict[str, Any], switches: Switches) -> dict[str, Any]:
    """An object of the vendor with more fields, or with one less, if so switched."""
    if switches.flag("extra_fields"):
        document |= MORE_FIELDS
    document.pop(switches.text("drop_field"), None)
    return document
