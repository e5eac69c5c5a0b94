"""The vendor's answers: JSON, the error envelope, and the refusals of its contract."""

from __future__ import annotations

import json
from secrets import token_hex
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.switches import Switches

STORAGE_UNREACHABLE = "The API requires MicroStrategy Storage Service. Please contact your administrator."  # [D]
STORAGE_NOT_CONFIGURED = (
    "The Storage Service is not configured properly, please contact your administrator to configure Storage Service"  # [D]
)
FILE_UNREADABLE = "The shared file cannot be accessed. It may be deleted or the storage location cannot be accessed."  # [D]
CLOCKS_APART = (
    "The time difference between the source and target environments should be five minutes or less. "
    "Please modify the environment system time and try again."  # [D]
)
SESSION_OVER = "The user's session has expired, please reauthenticate"  # [D]
NO_ENDPOINT = "HTTP 404 Not Found"  # [C] the official client reads this text as "not supported by this server version"


class RefusedError(Exception):
    """A request the vendor turns down. Without a status it is a broken rule, whose status is a switch [A1]."""

    def __init__(self, status: int | None, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self, switches: Switches) -> Response:
        """The refusal on the wire: `ERR006` and a ticket, in the shape the switches ask for."""
        status = self.status or switches.integer("rule_status")
        if status >= 500 and switches.flag("bare_5xx"):
            return Response(status_code=status)
        digits = len(switches.text("code_zeros")) - len("ERR")
        body: dict[str, Any] = {"code": f"ERR{self.code:0{digits}d}", "message": self.message, "ticketId": token_hex(16)}
        if switches.text("error_shape") == "errors_list":
            body = {"errors": [body]}
        return as_json(body, status)


def broken(message: str) -> RefusedError:
    """A rule violation, a wrong state or invalid input: ERR006 [A1]."""
    return RefusedError(None, 6, message)


def missing(field: str) -> RefusedError:
    """A required field that was not sent: ERR007 [A1]."""
    return RefusedError(None, 7, f"The field {field} is required.")


def missing_header(header: str) -> RefusedError:
    """A required header that was not sent: ERR005 [A1]."""
    return RefusedError(None, 5, f"The header {header} is required.")


def unknown(what: str) -> RefusedError:
    """404 for an id nobody has; never with the text of an unknown endpoint [C]."""
    return RefusedError(404, 4, f"{what} was not found.")


def gone(what: str) -> RefusedError:
    """404 with ERR006: what a delete of something already deleted answers [C]."""
    return RefusedError(404, 6, f"{what} does not exist.")


def forbidden() -> RefusedError:
    """403 for a user without the privilege."""
    return RefusedError(403, 14, "The user does not have the privilege to perform this operation.")


def expired() -> RefusedError:
    """401 for a token that is unknown, logged out, expired, or without its cookie."""
    return RefusedError(401, 9, SESSION_OVER)


def storage_fault(message: str) -> RefusedError:
    """A fault of the Storage Service [A2]."""
    return RefusedError(500, 1, message)


def as_json(body: Any, status: int = 200) -> Response:
    """Any JSON answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(text, status_code=status, media_type="application/json")


def trimmed(request: Request, body: Any) -> Any:
    """What is left of a successful answer by the query's `fields`: a comma list of top-level names [D]."""
    wanted = request.query_params.get("fields")
    if not wanted:
        return body
    names = {name.strip() for name in wanted.split(",")}
    if isinstance(body, list):
        return [{name: value for name, value in item.items() if name in names} for item in body]
    return {name: value for name, value in body.items() if name in names}
