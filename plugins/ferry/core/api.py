"""What every vendor's API shares: one way to call, one set of retry rules, and `look` as the one required verb."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from ferry.core.errors import (
    AnswerLost,
    BadCredentials,
    NotFound,
    TransferBroken,
    VendorError,
    VendorNonsense,
    VendorRefused,
    VendorUnavailable,
)
from ferry.core.exchange import Ask, Exchange
from ferry.core.model import Run
from ferry.core.wire import httpx

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""The connection was never made, so the vendor has seen nothing: always safe to try again."""

BUSY = frozenset({429})
"""The vendor turned the call away unhandled, whatever the call was."""

BROKEN = frozenset({408, *range(500, 600)})
"""The vendor or a gateway before it broke or lost patience: whether the call took effect is unknown."""

A_DAY = 86400.0
"""Longest time in seconds that an answer may send us away for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call may be tried again: number of tries, and seconds of waiting in all."""

    tries: int = 6
    seconds: float = 120.0
    first: float = 0.5
    cap: float = 30.0

    def pause(self, failed: int) -> float:
        """Seconds before the next try: growing, capped, and random so that many callers do not come back together."""
        ceiling = min(self.cap, self.first * 2.0 ** (failed - 1))
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)


ONE_TRY = Patience(tries=1, seconds=0.0)
"""For the triggerer, whose polling loop is itself the retry."""


def is_success(answer: httpx.Response) -> bool:
    """The usual rule of which answers are usable."""
    return bool(answer.is_success)


@dataclass(frozen=True, slots=True)
class How:
    """How to take one answer."""

    accept: Callable[[httpx.Response], bool] = is_success
    """Admits answers that are no success but mean something to the caller."""
    busy: frozenset[int] = BUSY
    """Statuses by which the vendor turns a call away unhandled."""
    save_to: Path | None = None
    anonymous: bool = False


Reply: TypeAlias = Exchange[httpx.Response]


class VendorApi:
    """A vendor's verbs as exchanges. Subclasses add the verbs; nothing here opens a socket."""

    vendor: ClassVar[str]

    def __init__(self, base_url: str, *, patience: Patience = Patience()) -> None:
        self.base_url = base_url.rstrip("/")
        self.patience = patience

    def look(self, run: Run) -> Exchange[Run]:
        """The run as the vendor describes it now."""
        raise NotImplementedError(f"{type(self).__name__} cannot look at a run")

    def explain(self, answer: httpx.Response) -> str:
        """The vendor's reason in an error answer, as one line; subclasses know their vendor's shapes."""
        return answer.reason_phrase

    def _call(self, what: str, method: str, path: str, *, repeatable: bool, after: float = 0.0, **parts: Any) -> Reply:
        """Ask until there is a usable answer, or raise what the caller must do next.

        Every caller says whether the call may be repeated: HTTP verbs do not know. `after` is a pause before the first
        request. Of `parts`, those of `How` say how to take the answer; the rest are httpx's own (json, params, data, headers).
        """
        how = How(**{name: parts.pop(name) for name in How.__slots__ if name in parts})
        return (yield from self._ask(what, lambda: self._build(method, path, parts), how, repeatable=repeatable, after=after))

    def _ask(
        self, what: str, build: Callable[[], httpx.Request], how: How, *, repeatable: bool, after: float = 0.0
    ) -> Exchange[httpx.Response]:
        failed, waited, pause = 0, 0.0, after
        while True:
            request = build()
            try:
                answer = yield Ask(request, pause, anonymous=how.anonymous, save_to=how.save_to)
            except VendorUnavailable as error:  # the credentials could not be had: the call itself was never sent
                trouble: VendorError = error
            except (httpx.RequestError, TransferBroken) as error:
                trouble = self._no_answer(what, request, error, repeatable=repeatable)
            else:
                if how.accept(answer):
                    return answer
                trouble = self._bad_answer(what, answer, how, repeatable=repeatable)
            failed += 1
            pause = max(self.patience.pause(failed), float(trouble.facts.get("retry_after") or 0.0))
            waited += pause
            if not trouble.retry_later or failed >= self.patience.tries or waited > self.patience.seconds:
                raise trouble

    def _build(self, method: str, path: str, parts: Mapping[str, Any]) -> httpx.Request:
        return httpx.Request(method, path if "://" in path else f"{self.base_url}{path}", **parts)

    def _no_answer(self, what: str, request: httpx.Request, error: Exception, *, repeatable: bool) -> VendorError:
        quotable = str(error) and not isinstance(error, httpx.LocalProtocolError)  # that one quotes the header it dislikes
        reason = f"{type(error).__name__}: {error}" if quotable else type(error).__name__
        elsewhere = isinstance(error, httpx.RequestError) and error.request.url != request.url  # the token's request, say
        if elsewhere or isinstance(error, NEVER_SENT):
            return VendorUnavailable(
                f"{self.vendor} could not be reached at {_host(error)} for {what} ({reason}); nothing was sent. "
                "Check host and network of the connection; the step may be tried again.",
                never_sent=True,
            )
        if repeatable:
            return VendorUnavailable(f"{self.vendor} gave no whole answer to {what} ({reason}). The step may be tried again.")
        return AnswerLost(
            f"{self.vendor} was sent {what} and its answer was lost ({reason}). "
            "It will not be sent again; the run is looked up instead."
        )

    def _bad_answer(self, what: str, answer: httpx.Response, how: How, *, repeatable: bool) -> VendorError:
        status, reason = answer.status_code, self.explain(answer).rstrip(".")
        said = f"{self.vendor} answered {what} with HTTP {status}" + (f": {reason}" if reason else "")
        facts: dict[str, Any] = {"status": status}
        if status in how.busy or (repeatable and status in BROKEN):
            facts["retry_after"] = retry_after(answer)
            return VendorUnavailable(f"{said}. The step may be tried again.", **facts)
        if status in BROKEN:
            return AnswerLost(f"{said}. Whether it took effect is unknown, so it will not be sent again.", **facts)
        if status in {401, 403}:
            return BadCredentials(f"{said}. Check credentials and permissions of the connection.", **facts)
        if status in {404, 410}:
            return NotFound(f"{said}. If it should be there, check the connection's base URL.", **facts)
        if 300 <= status < 400 or answer.is_success:
            return VendorNonsense(f"{said}, which is outside its contract. Check the connection's base URL.", **facts)
        advice = "Check the connection's base URL." if status == 405 else "Correct what it names, then clear the task."
        return VendorRefused(f"{said}. {advice}", **facts)


def _host(error: Exception) -> str:
    """Where a request was bound for: the host and port, and nothing of its path or query."""
    return error.request.url.netloc.decode() if isinstance(error, httpx.RequestError) else "its address"


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds the answer asks us to stay away: `Retry-After` in either form, else the reset time of a rate header."""
    told = answer.headers.get("retry-after", "")
    if told.replace(".", "", 1).isdecimal():
        return min(A_DAY, float(told))
    for header, parse in (("retry-after", parsedate_to_datetime), ("x-rate-limit-reset", datetime.fromisoformat)):
        try:
            when = parse(answer.headers[header])
        except (KeyError, ValueError, TypeError, OverflowError):
            continue
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return min(A_DAY, max(0.0, (when - datetime.now(UTC)).total_seconds()))
    return None


def json_of(answer: httpx.Response, what: str) -> Any:
    """The JSON of an answer; VendorNonsense if it is none, without quoting the body (it may hold data)."""
    try:
        return answer.json()
    except (ValueError, RecursionError):
        kind = answer.headers.get("content-type", "no content type")
        raise VendorNonsense(
            f"The answer to {what} is not JSON ({kind}, {len(answer.content)} bytes). "
            "Check that the connection's base URL leads to the vendor and not to a login page or proxy.",
            status=answer.status_code,
        ) from None
