"""Domo's five calls [D], and the looks at the candidates list that stand in for the status call it does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ferry.core.api import BROKEN, How, Patience, VendorApi, json_of
from ferry.core.errors import AnswerLost, BadCredentials, NotFound, VendorError, VendorRefused
from ferry.core.exchange import Exchange
from ferry.core.model import Run, RunState
from ferry.core.redact import HIDDEN
from ferry.core.wire import httpx
from ferry.vendors.domo.shapes import (
    Account,
    Answer,
    Candidate,
    Candidates,
    Json,
    accounts_in,
    answer_in,
    candidates_in,
    types_in,
)
from ferry.vendors.domo.vocabulary import BASE, Direction

PATIENT = httpx.Timeout(900.0, connect=10.0)
LONGEST_MESSAGE = 2_000
SHORTEST_SECRET = 6
"""Characters; anything shorter is no token, and would be found in every second word."""
REFUSED = {
    401: "Access tokens expire on a set day and can be revoked: create a new one in Domo, put it into the connection, then clear "
    "the task.",
    403: "The token has its user's rights: have them extended, or use another user's token, then clear the task.",
}
"""What to do about a no from whoever answers, be it Domo or a gateway before it: the call was not let in."""


class DomoApi(VendorApi):
    """One Domo instance, as one token's user sees it."""

    vendor = "domo"

    def __init__(
        self, base_url: str, *, answers_within: httpx.Timeout = PATIENT, token: str = "", patience: Patience = Patience()
    ) -> None:
        super().__init__(base_url, patience=patience)
        self.answers_within = answers_within
        self._token = token  # only to be hidden, should an answer ever repeat it

    def types(self) -> Exchange[list[str]]:
        """The federated integration types of the instance, such as `mysql-federated`."""
        what = "list types"
        return types_in((yield from self._read(what, "/types")), what)

    def accounts(self, integration_type: str) -> Exchange[list[Account]]:
        """The V2 accounts of a type that this token's user may see; none for a type that Domo does not know [A]."""
        what = "list accounts"
        return accounts_in((yield from self._read(what, f"/accounts/{_segment(integration_type)}")), what)

    def candidates(self, account_id: str) -> Exchange[dict[str, Candidate]]:
        """Every datasource that the account could take or has taken, by id. NotFound for an account nobody may see [A]."""
        what = f"list candidates of account {account_id}"
        return candidates_in((yield from self._read(what, f"/candidates/{_segment(account_id)}")), what)

    def migrate(self, datasource: str, account_id: str, coordinates: Mapping[str, str]) -> Exchange[Answer]:
        """Move a datasource to an account. The answer is final, and is worth waiting for; the call is never repeated here."""
        path = f"/{_segment(datasource)}/accounts/{_segment(account_id)}"
        return (yield from self._move(datasource, path, Direction.FORWARD, json=dict(coordinates)))

    def reverse(self, datasource: str) -> Exchange[Answer]:
        """Put a datasource back on V1; otherwise like `migrate`. It is sent without a body and without a content type [D]."""
        return (yield from self._move(datasource, f"/{_segment(datasource)}/reverse", Direction.BACK))

    def look(self, run: Run) -> Exchange[Run]:
        """One datasource as the list shows it; the ref is `account/datasource`. Gone from the list: nobody knows its fate."""
        account_id, _, datasource = run.ref.partition("/")
        found = (yield from self.candidates(account_id)).get(datasource)
        if found is None:
            return replace(run, state=RunState.FAILED_DIRTY, word="not listed")
        state = RunState.SUCCEEDED if found.migrated else RunState.QUEUED
        return replace(run, state=state, word=(Direction.FORWARD if found.migrated else Direction.BACK).done)

    def look_listed(self, run: Run, wanted: Mapping[str, Json], direction: Direction) -> Exchange[Run]:
        """Whether the list of account `run.ref` proves that all wanted (how each stood before, by id) were moved that way."""
        listed = yield from self.candidates(run.ref)
        there = len(moved(listed, wanted, direction))
        state = RunState.SUCCEEDED if there == len(wanted) else RunState.QUEUED
        return replace(run, state=state, word=f"{there} of {len(wanted)} {direction.done}")

    def explain(self, answer: httpx.Response) -> str:
        """Domo's message with the id of the request, as one line. `statusReason` is not to be trusted [N]."""
        told = self._body(answer)
        if not isinstance(told, dict):
            is_page = "html" in answer.headers.get("content-type", "")
            return "a page instead of Domo's own error" if is_page else self._hide(answer.reason_phrase)
        message = " ".join(str(told.get("message") or "").split())[:LONGEST_MESSAGE] or self._hide(answer.reason_phrase)
        toe = f" (toe {told['toe']})" if told.get("toe") else ""
        return message.rstrip(".") + toe

    def _read(self, what: str, path: str) -> Exchange[Any]:
        answer = yield from self._call(what, "GET", BASE + path, repeatable=True)
        return self._hide(json_of(answer, what))

    def _move(self, datasource: str, path: str, direction: Direction, **parts: Any) -> Exchange[Answer]:
        what = f"the {direction.noun} of datasource {datasource}"
        how_long = {"timeout": self.answers_within.as_dict()}
        answer = yield from self._call(what, "POST", BASE + path, repeatable=False, extensions=how_long, **parts)
        return answer_in(self._body(answer), what, datasource, direction)

    def _bad_answer(self, what: str, answer: httpx.Response, how: How, *, repeatable: bool) -> VendorError:
        """A page in the place of Domo's own error does not prove that a call which must not be repeated came to nothing."""
        status = answer.status_code
        if status in REFUSED:
            return BadCredentials(
                f"domo answered {what} with HTTP {status}: {self.explain(answer)}. {REFUSED[status]}", status=status
            )
        if status in how.busy or self._is_domos(answer) or (repeatable and (status in BROKEN or not 400 <= status < 500)):
            return super()._bad_answer(what, answer, how, repeatable=repeatable)
        said = f"something answered with HTTP {status}: {self.explain(answer)}"
        if repeatable:
            kind = NotFound if status == 404 else VendorRefused
            return kind(
                f"domo was asked to {what} and {said}. Check the connection's instance, and whether a proxy or a login page "
                "stands before it.",
                status=status,
            )
        return AnswerLost(
            f"domo was sent {what} and {said}. Whether it took effect is unknown, so it will not be sent again; the candidates "
            "list is watched instead.",
            status=status,
        )

    def _is_domos(self, answer: httpx.Response) -> bool:
        """Whether Domo itself gave this error: the object that it uses elsewhere [N]. A gateway's `message` proves nothing."""
        told = self._body(answer)
        return isinstance(told, dict) and "status" in told and bool({"statusReason", "toe", "path"} & set(told))

    def _body(self, answer: httpx.Response) -> Any:
        """The answer's JSON without the token; None where it is none."""
        try:
            return self._hide(answer.json())
        except ValueError:
            return None

    def _hide(self, told: Any) -> Any:
        """The same value without the token, should it repeat it."""
        if isinstance(told, dict):
            return {self._hide(key): self._hide(value) for key, value in told.items()}
        if isinstance(told, list):
            return [self._hide(value) for value in told]
        is_hidden = isinstance(told, str) and len(self._token) >= SHORTEST_SECRET
        return told.replace(self._token, HIDDEN) if is_hidden else told


def moved(listed: Candidates, wanted: Mapping[str, Json], direction: Direction) -> set[str]:
    """Those of the wanted datasources (how each stood before, by id) of which the list proves that they were moved that way."""
    return {one for one, before in wanted.items() if (found := listed.get(one)) and found.has_moved(direction, before)}


def _segment(text: str) -> str:
    return quote(text, safe="")
