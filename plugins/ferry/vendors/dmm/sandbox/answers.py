"""The vendor's answers: JSON, its refusals with HTTP 200, and the platform's errors (contract 3.6)."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import HTMLResponse, Response

BAD_TOKEN = "The REST API key is missing or not valid."  # noqa: S105  # a sentence
PAGE = "<!DOCTYPE html>\n<html><head><title>401 - Unauthorized</title></head><body><h1>Access is denied.</h1></body></html>\n"


class PlatformError(Exception):
    """A call that never reaches DMM: the platform answers with a status of its own [P]."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def response(self) -> Response:
        """The error on the wire; the names of its keys are [A]."""
        return as_json({"Errors": [self.message], "StatusCode": self.status}, self.status)


class RefusedError(Exception):
    """A call that DMM itself refuses: `Success` false [D2], with HTTP 200 [A]."""

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message)
        self.message, self.more = message, more

    def response(self) -> Response:
        """The refusal on the wire."""
        return as_json({**self.more, "Success": False, "ErrorMessage": self.message})


def unauthorized(how: str) -> Response:
    """What becomes of a bad key is undocumented [A]."""
    if how == "html":
        return HTMLResponse(PAGE, 401)
    if how == "success_false":
        return RefusedError(BAD_TOKEN).response()
    return PlatformError(401, BAD_TOKEN).response()


def as_json(body: Any, status: int = 200) -> Response:
    """Any JSON answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(text, status, media_type="application/json")
