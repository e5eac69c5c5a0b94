"""The vendor's answers: JSON, its result of a POST, and its errors, of which none is documented for these endpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import HTMLResponse, Response

from ferry.vendors.domo.sandbox.operations import Operation, new_toe
from ferry.vendors.domo.sandbox.outcomes import COMPLETE
from ferry.vendors.domo.sandbox.quirks import listed
from sandbox.clock import iso
from sandbox.switches import Switches

PAGE = "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1><p>Request failed.</p></body></html>\n"


class RefusedError(Exception):
    """A request that is answered with a status other than 200 [A]."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers

    def response(self, path: str, switches: Switches) -> Response:
        """The refusal on the wire: the error object of Domo's other product APIs [N], or a page."""
        reason = HTTPStatus(self.status).phrase
        if switches.flag("html_errors"):
            page = PAGE.format(title=f"HTTP Status {self.status} - {reason}")
            return HTMLResponse(page, self.status, self.headers)
        if switches.text("status_reason") == "wrong":
            reason = HTTPStatus.INTERNAL_SERVER_ERROR.phrase
        body = {"status": self.status, "statusReason": reason, "path": path, "message": self.message, "toe": new_toe()}
        return as_json(body, self.status, self.headers)


def too_many(seconds: int) -> RefusedError:
    """429 with the seconds after which it is worth another try."""
    return RefusedError(429, "Too many requests.", {"Retry-After": str(seconds)})


def result(operation: Operation, switches: Switches) -> dict[str, Any]:
    """What a POST answers when all is over: 200 whatever the state [D]."""
    assert operation.verdict is not None
    assert operation.end is not None
    complete = operation.verdict.state == COMPLETE
    body = {
        "toe": operation.toe,
        "datasourceId": operation.order.datasource.id,
        "direction": operation.order.direction,
        "startTime": iso(operation.start),
        "state": operation.verdict.state,
        "errorMessage": operation.verdict.message,
        "endTime": iso(operation.end) if complete or not switches.flag("null_end_time") else None,
    }
    dropped = set(listed(switches.text("answer_drops")))
    if complete and switches.text("null_error_message") == "absent":
        dropped.add("errorMessage")
    return {name: value for name, value in body.items() if name not in dropped}


def as_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any JSON answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(text, status, headers, media_type="application/json")
