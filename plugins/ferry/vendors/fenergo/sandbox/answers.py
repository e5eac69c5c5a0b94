"""The vendor's answer shapes: wrapped, bare, ProblemDetails, and the refusals of §3.4 of its contract."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response


class RefusedError(Exception):
    """A request the vendor turns down: status and JSON body, exactly as sent."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}

    def response(self) -> Response:
        """The refusal on the wire."""
        return json_response(self.body, self.status, self.headers)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any JSON answer."""
    return Response(encoded(body), status_code=status, headers=headers, media_type="application/json")


def encoded(body: Any) -> bytes:
    """JSON as the vendor writes it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def wrapped(data: Any) -> dict[str, Any]:
    """The usual envelope of a success [D]."""
    return {"data": data, "messages": None}


def complaint(text: str, kind: str = "Error", code: str | None = None, data: Any = None) -> dict[str, Any]:
    """The usual envelope of an error [D]."""
    return {"data": data, "messages": [{"message": text, "type": kind, "errorCode": code}]}


def bad_command(text: str) -> RefusedError:
    """400 of the command service [D shape, A-21 cause]."""
    return RefusedError(400, complaint(text))


def bad_query(text: str) -> RefusedError:
    """400 of the query service's file calls: ProblemDetails [D]."""
    return RefusedError(400, {"type": None, "title": "Bad Request", "status": 400, "detail": text, "instance": None})


def not_found(text: str) -> RefusedError:
    """404 [D]."""
    return RefusedError(404, complaint(text, data={}))


def unauthorized() -> RefusedError:
    """401, bare [D]."""
    return RefusedError(401, {"message": "Unauthorized"})


def forbidden() -> RefusedError:
    """403 [D]."""
    text = "Access denied. Following permissions are required: DataMigrationAdministrator"
    return RefusedError(403, complaint(text, kind="Forbidden", data={}))


def too_many_rows(migration: str, limit: int, shape: str, status: int) -> RefusedError:
    """The size error, word for word [D]; its shape and status are switches [A-6]."""
    text = f"File Size Limit Exceeded for MigrationId: {migration} has more than {limit} records"
    body = {"message": text, "type": "Error"} if shape == "bare" else complaint(text)
    return RefusedError(status, body)
