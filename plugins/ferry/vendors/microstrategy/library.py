"""How one calls a Library: its errors, its lists, and calls after which one reads the record instead of sending again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ferry.core.api import How, VendorApi, json_of
from ferry.core.errors import AnswerLost, VendorError, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.exchange import Exchange
from ferry.core.model import Run
from ferry.core.wire import httpx
from ferry.vendors.microstrategy.shapes import Json, Ref

ASYNC = {"Prefer": "respond-async"}  # [D] on edits, imports, certifications, group undo; [C] on the others
PROJECT_HEADER = "X-MSTR-ProjectID"
PAGE = 1000  # the most a list gives at once [D]
ENDED = "ERR009"  # session invalid or timed out [D]
PAUSES = (0.0, 5.0, 15.0, 40.0)
"""Seconds before each look for what a lost call may have done; a vendor that is late by a minute is still believed."""
_NO_STORAGE = re.compile(
    r"API requires \w+ Storage Service|Storage Service is not configured"
)  # [D] said before anything is done
_TOO_OLD = "HTTP 404 Not Found"  # [C] how a server answers an endpoint that its version lacks


class SessionEnded(AnswerLost):
    """The session ended under a call that changes something: its record must be read before the call is sent again [2.3]."""


class Library(VendorApi):
    """One Library server; the verbs are in the classes built on it."""

    vendor = "microstrategy"

    def projects(self) -> Exchange[dict[str, str]]:
        """The ids of the projects this user can see, by name."""
        what = "list projects"
        answer = yield from self._call(what, "GET", "/api/projects", repeatable=True)
        return {str(row.get("name")): str(row.get("id")) for row in _rows(json_of(answer, what), what)}

    def record(self, run: Run, *, whole: bool = True, after: float = 0.0) -> Exchange[dict[str, Any]]:
        """The migration or group as this server keeps it, with its content if `whole`. NotFound where it keeps none."""
        what, ref = "read migration", Ref.parse(run.ref)
        params = {"showContent": "all"} if whole else {}
        answer = yield from self._call(what, "GET", ref.path, repeatable=True, params=params, after=after)
        return object_in(json_of(answer, what), what)

    def logout(self) -> Exchange[None]:
        """End the session. One that has ended already answers 401, which is as good [C]."""
        accept = lambda answer: answer.is_success or answer.status_code == 401  # noqa: E731
        yield from self._call("log out", "POST", "/api/auth/logout", repeatable=True, accept=accept)

    def whoami(self) -> Exchange[str]:
        """The full name of the user this session belongs to; proves address, user and password."""
        what = "read user"
        answer = yield from self._call(what, "GET", "/api/sessions/userInfo", repeatable=True)
        return str(object_in(json_of(answer, what), what).get("fullName") or "a user without a name")

    def explain(self, answer: httpx.Response) -> str:
        """The vendor's code, message and ticket from either shape of its errors, as one line."""
        told = error_in(answer)
        code, message = code_of(answer), " ".join(str(told.get("message") or "").split())
        if message == _TOO_OLD:
            message += ", which is how a Library answers that is too old for this, or whose base URL is not this one"
        message = message or answer.reason_phrase
        ticket = f" (ticket {told['ticketId']})" if told.get("ticketId") else ""
        return f"{code}: {message.rstrip('.')}{ticket}" if code else message + ticket

    # Not sending again -----------------------------------------------------------------------------------------------

    def _until_so(self, what: str, send: Callable[[], Exchange[Any]], is_so: Callable[[], Exchange[bool]]) -> Exchange[None]:
        """Bring about a state that is the same however often it is asked for, and believe the record, not the answer."""
        if (yield from is_so()):
            return
        lost: VendorError | None = None
        for _ in range(3):
            try:
                yield from send()
            except AnswerLost as error:
                lost = error
            except VendorRefused as error:  # also what a repetition of one that arrived gets
                if (yield from is_so()):
                    return
                raise error from lost
            if (yield from is_so()):
                return
        said = f" {lost.message}" if lost else ""
        raise VendorUnavailable(f"MicroStrategy was asked to {what} three times and its record does not show it.{said}")

    def _bad_answer(self, what: str, answer: httpx.Response, how: How, *, repeatable: bool) -> VendorError:
        code = code_of(answer)
        if answer.status_code == 401 and code == ENDED:
            said = f"MicroStrategy's session ended before {what} ({self.explain(answer)})."
            return VendorUnavailable(f"{said} The step may be tried again.") if repeatable else SessionEnded(said, status=401)
        if answer.status_code >= 500 and _NO_STORAGE.search(reason := self.explain(answer)):  # documented texts: a clear no
            return VendorRefused(
                f"MicroStrategy answered {what}: {reason}. Have the administrator of that Library look at its Storage Service, "
                "then clear the task.",
                status=answer.status_code,
            )
        return super()._bad_answer(what, answer, how, repeatable=repeatable)

    def _pages(self, what: str, path: str, params: Mapping[str, str], after: float = 0.0) -> Exchange[list[Json]]:
        """Every row of a list, page by page; the first page after so many seconds."""
        found: list[Json] = []
        while True:
            asked = {"offset": str(len(found)), "limit": str(PAGE), **params}
            answer = yield from self._call(what, "GET", path, repeatable=True, params=asked, after=0.0 if found else after)
            body = object_in(json_of(answer, what), what)
            rows = _rows(body.get("data"), what)
            found += rows
            total = body.get("total")
            if not rows or (len(found) >= total if isinstance(total, int) else len(rows) < PAGE):  # groups: a total is [A14]
                return found


def heard(answer: httpx.Response, what: str, *, lost: bool = False) -> None:
    """Make sure that a Library answered, which says JSON or nothing. A proxy's page does not even prove that nothing was done."""
    kind = answer.headers.get("content-type", "no content type")
    if not answer.content or _is_json(answer):
        return
    said = f"{what.capitalize()} was answered by something that is not MicroStrategy ({kind}, {len(answer.content)} bytes)."
    if lost:
        raise AnswerLost(f"{said} Whether it took effect is looked up.")
    raise VendorNonsense(f"{said} Look for a proxy in between; then clear the task.")


def _is_json(answer: httpx.Response) -> bool:
    try:
        return isinstance(answer.json(), dict)
    except ValueError:
        return False


def project_header(project_id: str) -> dict[str, str]:
    """The header that calls about a project need; calls about a configuration package must not have it [D]."""
    return {PROJECT_HEADER: project_id} if project_id else {}


def object_in(body: Any, what: str) -> dict[str, Any]:
    """The JSON object of an answer; VendorNonsense for anything else."""
    if not isinstance(body, dict):
        raise VendorNonsense(
            f"The answer to {what} is {type(body).__name__} where an object was due. Check the connection's base URL."
        )
    return body


def is_gone(answer: httpx.Response) -> bool:
    """Whether what was to be deleted is not there, which is as good [C]. A Library without such a call has deleted nothing."""
    return answer.status_code == 404 and error_in(answer).get("message") != _TOO_OLD


def error_in(answer: httpx.Response) -> Mapping[str, Any]:
    """The error object of an answer; empty where it has none. Bulk-style errors wrap it in a list [C]."""
    try:
        body = answer.json()
    except ValueError:  # a 5xx or a 404 may come without JSON [D]
        return {}
    wrapped = body.get("errors") if isinstance(body, dict) else None
    found = wrapped[0] if isinstance(wrapped, list) and wrapped else body
    return found if isinstance(found, Mapping) else {}


def code_of(answer: httpx.Response) -> str:
    """The error code in its three-digit form: the pages print `ERR0014` and `ERR014` for the same [D]."""
    parts = re.fullmatch(r"ERR0*([0-9]+)", str(error_in(answer).get("code") or ""))
    return f"ERR{int(parts[1]):03}" if parts else ""


def _rows(found: Any, what: str) -> list[Json]:
    if not isinstance(found, list):
        raise VendorNonsense(f"The answer to {what} has no list where one was due. Check the connection's base URL.")
    return list(_objects(found))


def _objects(found: list[Any]) -> Iterator[Json]:
    return (row for row in found if isinstance(row, Mapping))
