"""DMM's five calls. Their names are facts, paths and verbs assumptions [A]; `vocabulary.py` has them all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ferry.core.api import ONE_TRY, How, Patience, VendorApi, json_of
from ferry.core.errors import AnswerLost, BadCredentials, NotFound, VendorError, VendorNonsense, VendorRefused
from ferry.core.exchange import SAVED, Exchange, Saved
from ferry.core.model import Run, RunState
from ferry.core.redact import HIDDEN
from ferry.core.wire import httpx
from ferry.vendors.dmm import vocabulary as dmm
from ferry.vendors.dmm.body import StartBody
from ferry.vendors.dmm.shapes import Json, Status, one_line, status_in

PATIENT = httpx.Timeout(900.0, connect=10.0)
NO_EXECUTION = "0"
"""An id that no execution has [A]: asking for it proves the key and changes nothing."""
SHORTEST_SECRET = 4
"""Characters; anything shorter would be found in every second word."""
LONGEST_MESSAGE = 1_000
LONGEST_LINE = 2_000
MOST_LINES = 10 * dmm.LOG_LINES
"""Lines of one page that are read, should DMM not keep to the number we ask for."""
LONGEST_ID = 200
NOT_LET_IN = frozenset({401, 403, 404, 405, 406, 411, 413, 414, 415, 429})
"""Statuses of a web server, the platform or a gateway that turned the request away before anything was done with it."""
ABOUT_PASSWORD = re.compile(r"\botp\b|one[- ]time|password|authentication token", re.IGNORECASE)
ABOUT_KEY = re.compile(r"\b(api|rest) key\b|\btoken\b", re.IGNORECASE)


class DmmApi(VendorApi):
    """One OutSystems environment with the DMM API component, by its REST API key."""

    vendor = "Infosistema DMM"

    def __init__(
        self,
        base_url: str,
        *,
        base_path: str = dmm.BASE_PATH,
        starts_within: httpx.Timeout = PATIENT,
        secrets: tuple[str, ...] = (),
        patience: Patience = Patience(),
    ) -> None:
        super().__init__(f"{base_url.rstrip('/')}/{base_path.strip('/')}", patience=patience)
        self.starts_within = starts_within
        self._secrets = secrets  # only to be hidden, should an answer ever repeat one

    def start(self, body: StartBody, password: str) -> Exchange[Run]:
        """Start an execution, once; the password is used up whatever comes of it [A].

        AnswerLost if nobody can tell whether it runs. BadCredentials and VendorRefused are certain noes: nothing was started,
        and a new password is needed for another try.
        """
        self._secrets += (password,)
        try:
            answer = yield from self._call(
                dmm.START,
                "POST",
                f"/{dmm.START}",
                repeatable=False,
                busy=frozenset(),  # also a start that was turned away has used its password up [A]
                content=body,
                headers={"content-type": "application/json", "content-length": str(body.size), dmm.PASSWORD: password},
                extensions={"timeout": self.starts_within.as_dict()},
            )
            told = self._body(answer, dmm.START)
        except VendorNonsense as odd:
            raise _useless(odd.message) from None
        except BadCredentials as no:
            raise _bad_password(no.message, **no.facts) from None
        return self._started(told)

    def _started(self, told: Json) -> Run:
        """The run of an answer to a start. Without an id nothing is known to run, whatever HTTP says [A from D]."""
        ref, refused = _ref(told.get(dmm.ID)), told.get(dmm.SUCCESS) is False
        if len(ref) > LONGEST_ID or not ref.isprintable() or ref.startswith("-"):
            raise _useless(f"DMM's answer to {dmm.START} has an `{dmm.ID}` that is none.")
        if ref in {"", "0"} and refused:
            raise self._refusal(dmm.START, told)
        if ref in {"", "0"}:
            raise _useless(f"DMM's answer to {dmm.START} has no `{dmm.ID}`, so the start cannot be called one.")
        if refused:
            raise _useless(
                f"DMM's answer to {dmm.START} names execution {ref[:60]} and says that it failed: {self._reason(told)}"
            )
        return Run(ref, RunState.QUEUED, "", {}, "")

    def look(self, run: Run) -> Exchange[Run]:
        """The execution with its counters. NotFound while DMM knows no such id, which may be so just after the start [A]."""
        return (yield from self.status(run.ref)).run(run.ref)

    def status(self, ref: str, log_page: int | None = None) -> Exchange[Status]:
        """The execution as it stands now, with one page of its log if a page is named."""
        asked = {dmm.ID: ref, dmm.INCLUDE_REPORTS: "true"}
        if log_page is not None:
            asked |= {dmm.INCLUDE_LOGS: "true", dmm.LOG_RECORDS: str(dmm.LOG_LINES), dmm.LOG_PAGE: str(log_page)}
        answer = yield from self._call(dmm.STATUS, "GET", f"/{dmm.STATUS}", repeatable=True, params=asked)
        told = self._body(answer, dmm.STATUS)
        if told.get(dmm.SUCCESS) is False:
            raise self._refusal(dmm.STATUS, told)
        found = status_in(told, dmm.STATUS)
        if found.word == dmm.NOT_FOUND:
            raise NotFound(f"DMM knows no execution {ref}. If it should be there, check that the connection is the right one.")
        lines = tuple(self._clean(line, LONGEST_LINE) for line in found.log_lines[:MOST_LINES])
        return replace(found, message=self._clean(found.message), log_lines=lines)

    def stop(self, ref: str) -> Exchange[str]:
        """Ask that no further chunk be imported; what is in stays in [D]. VendorRefused with the reason if DMM says no.

        It may be repeated: an execution that is stopping already can be stopped no further [A].
        """
        self.patience = ONE_TRY  # each call is an entry of its own in the ledger: whoever repeats it writes another
        answer = yield from self._call(dmm.STOP, "POST", f"/{dmm.STOP}", repeatable=True, json={dmm.ID: _as_sent(ref)})
        told = self._body(answer, dmm.STOP)
        if told.get(dmm.SUCCESS) is False:
            raise self._refusal(dmm.STOP, told)
        return self._reason(told)

    def outputs(self, ref: str, save_to: Path, *, files: bool) -> Exchange[Saved]:
        """Everything about an execution that has ended, streamed into a file as it comes: it may be hundreds of megabytes."""
        asked = {dmm.ID: ref} | dict.fromkeys((dmm.INCLUDE_REPORTS, dmm.INCLUDE_LOGS, dmm.INCLUDE_ERRORS), "true")
        asked |= {dmm.INCLUDE_FILES: "true" if files else "false"}
        answer = yield from self._call(dmm.OUTPUTS, "GET", f"/{dmm.OUTPUTS}", repeatable=True, params=asked, save_to=save_to)
        saved: Saved = answer.extensions[SAVED]
        return saved

    def create_connection(self, request: Mapping[str, Any], hidden: tuple[str, ...] = ()) -> Exchange[str]:
        """Register a database or environment by name; what DMM says of it, which may be that it does not work [D2].

        Nothing is documented on doing it twice, so it is never repeated: AnswerLost if nobody can tell.
        """
        self._secrets += hidden
        path = f"/{dmm.CREATE_CONNECTION}"
        answer = yield from self._call(dmm.CREATE_CONNECTION, "POST", path, repeatable=False, json=dict(request))
        told = self._body(answer, dmm.CREATE_CONNECTION)
        if told.get(dmm.SUCCESS) is False:
            raise self._refusal(dmm.CREATE_CONNECTION, told)
        return self._reason(told)

    def probe(self) -> Exchange[str]:
        """Proves address and key by asking for an execution that cannot be; what DMM said."""
        try:
            word = (yield from self.status(NO_EXECUTION)).word
        except NotFound as none:
            if "status" in none.facts:  # HTTP's own 404: nobody is there
                raise
            return "it knows this key"
        except VendorRefused as no:
            if isinstance(no, BadCredentials) or no.facts.get("status"):
                raise
            return f"of an execution that cannot be it says: {no.message}"
        if word not in dmm.STATES:
            raise VendorNonsense(f"What answers {dmm.STATUS} says '{word[:40]}', which is no word of DMM's. Check the base path.")
        return "it knows this key"

    def _bad_answer(self, what: str, answer: httpx.Response, how: How, *, repeatable: bool) -> VendorError:
        """A page that is not the platform's proves nothing of a call that must not be repeated, unless nobody was let in."""
        status = answer.status_code
        if not repeatable and 400 <= status < 500 and status not in NOT_LET_IN and not _is_platforms(answer):
            said = f"Something answered {what} with HTTP {status}: {self.explain(answer)}."
            return AnswerLost(f"{said} Only DMM's own pages show whether it took effect, so it is not sent again.")
        return super()._bad_answer(what, answer, how, repeatable=repeatable)

    def _no_answer(self, what: str, request: httpx.Request, error: Exception, *, repeatable: bool) -> VendorError:
        """DMM has no list in which the fate of a call could be looked up."""
        trouble = super()._no_answer(what, request, error, repeatable=repeatable)
        if not isinstance(trouble, AnswerLost):
            return trouble
        said = f"{self.vendor} was sent {what} and its answer was lost ({type(error).__name__})."
        return AnswerLost(f"{said} Only DMM's own pages show whether it took effect, so it is not sent again.")

    def explain(self, answer: httpx.Response) -> str:
        """The platform's own messages [P], or the page's title where a gateway answers; without a secret of ours."""
        try:
            told = answer.json()
        except (ValueError, RecursionError):
            return self._clean(answer.reason_phrase)
        errors = told.get("Errors") if isinstance(told, dict) else None
        if isinstance(errors, list):
            return self._clean("; ".join(map(str, errors)))
        return self._reason(told) if isinstance(told, dict) else self._clean(answer.reason_phrase)

    def _body(self, answer: httpx.Response, what: str) -> Json:
        told = json_of(answer, what)
        if not isinstance(told, dict):
            raise VendorNonsense(f"DMM's answer to {what} is not a JSON object, which is outside its contract.")
        return told

    def _refusal(self, what: str, told: Json) -> VendorError:
        """A no in DMM's own words; it does not say by a code what kind of no it is [D2]."""
        reason = self._reason(told) or "it gives no reason"
        if what == dmm.START and ABOUT_PASSWORD.search(reason):
            return _bad_password(f"DMM did not start the execution: {reason.rstrip('.')}.")
        if ABOUT_KEY.search(reason):
            return BadCredentials(f"DMM answered {what} with a no: {reason.rstrip('.')}. Check the connection's REST API key.")
        return VendorRefused(f"DMM answered {what} with a no: {reason.rstrip('.')}. Correct what it names, then clear the task.")

    def _reason(self, told: Json) -> str:
        return self._clean(told.get(dmm.ERROR_MESSAGE))

    def _clean(self, told: Any, most: int = LONGEST_MESSAGE) -> str:
        text = "" if told is None else str(told)
        for secret in self._secrets:
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, HIDDEN)
        return "".join(sign if sign.isprintable() else " " for sign in one_line(text)[:most])


def _is_platforms(answer: httpx.Response) -> bool:
    """Whether the error is the OutSystems platform's own: it repeats the status and lists messages [P]."""
    try:
        told = answer.json()
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and bool({"Errors", "StatusCode"} & set(told))


def _ref(told: Any) -> str:
    """An id as text: numbers and texts may be one [A], nothing else."""
    return one_line(told) if isinstance(told, int | str) and not isinstance(told, bool) else ""


def _as_sent(ref: str) -> int | str:
    """The id as DMM sent it: a number stays one [A]."""
    return int(ref) if ref.isdecimal() and str(int(ref)) == ref else ref


def _bad_password(said: str, **facts: Any) -> BadCredentials:
    return BadCredentials(
        f"{said} Nothing was started, and nothing but the one-time password is used up. Read a new one on the environment's "
        "Authentication Token page, then clear start_run: it asks for it. If a new one is refused as well, check the "
        "connection's REST API key.",
        **facts,
    )


def _useless(why: str) -> AnswerLost:
    return AnswerLost(f"{why} Whether an execution runs is unknown, so nothing is sent again: a person is asked.")
