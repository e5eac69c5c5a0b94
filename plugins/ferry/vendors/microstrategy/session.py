"""A session with a Library: token and cookies, had when first needed and once more when the session has ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field

from ferry.core.api import retry_after
from ferry.core.errors import BadCredentials, VendorRefused, VendorUnavailable
from ferry.core.redact import HIDDEN, bare_url
from ferry.core.wire import httpx, on_behalf_of
from ferry.vendors.microstrategy.library import ENDED, code_of, error_in

TOKEN = "X-MSTR-AuthToken"  # noqa: S105 (a header's name) [D: the header; that pages say "body" is a slip]
API_TOKEN = 4096  # the login mode [C]


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in where."""

    base_url: str
    user: str
    password: str = field(repr=False)
    mode: int = 1

    def body(self) -> dict[str, str | int]:
        """What the Library is told; an API token travels as the user's name, and nothing as the password [C]."""
        user, password = (self.password, "") if self.mode == API_TOKEN else (self.user, self.password)
        return {"username": user, "password": password, "loginMode": self.mode}


class LibrarySession(httpx.Auth):
    """Token and cookies with every request; one session for all callers of a client.

    A read that finds the session ended is sent again in a new one. What changes something is not: the vendor's record must be
    read first, because the call may have been heard [contract 2.3], so its 401 goes to the caller.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._token, self._cookies = "", httpx.Cookies()
        self._thread_lock, self._loop_lock = threading.Lock(), asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether there is a session that could be ended."""
        return bool(self._token)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """On a worker."""
        for again in (request.method == "GET", False):
            with self._thread_lock:
                if fresh := not self._token:
                    answer = yield self._login_request(request)
                    answer.read()
                    self._take(answer)
                used = self._sign(request)
            answer = yield request
            if answer.status_code == 401:
                answer.read()
            if not self._has_ended(answer, used) or not again or (fresh and not self.is_open):
                return  # a session that ends at its first use is not worth another

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """In the triggerer, where all waits on a Library share one session. The same flow, awaiting."""
        for again in (request.method == "GET", False):
            async with self._loop_lock:
                if fresh := not self._token:
                    answer = yield self._login_request(request)
                    await answer.aread()
                    self._take(answer)
                used = self._sign(request)
            answer = yield request
            if answer.status_code == 401:
                await answer.aread()
            if not self._has_ended(answer, used) or not again or (fresh and not self.is_open):
                return  # a session that ends at its first use is not worth another

    def _login_request(self, request: httpx.Request) -> httpx.Request:
        return on_behalf_of(request, "POST", f"{self._login.base_url}/api/auth/login", json=self._login.body())

    def _take(self, answer: httpx.Response) -> None:
        host, status = answer.request.url.netloc.decode(), answer.status_code
        if status in {400, 401, 403} and code_of(answer):  # only a Library's own error proves that one answers
            reason = self._without_password(f"{code_of(answer)} {error_in(answer).get('message') or ''}".strip())
            raise BadCredentials(
                f"MicroStrategy at {host} refused the login ({reason}). Check user, password and login mode of the connection.",
                status=status,
            )
        if status in {408, 429} or status >= 500:
            raise VendorUnavailable(
                f"MicroStrategy at {host} answered the login with HTTP {status}. The step may be tried again.",
                status=status,
                retry_after=retry_after(answer),
            )
        token = answer.headers.get(TOKEN, "")
        if not answer.is_success or not token:
            kind, leads = answer.headers.get("content-type", "no content type"), answer.headers.get("location", "")
            away = f" to {bare_url(leads)}" if answer.is_redirect and leads else ""
            raise VendorRefused(
                f"What answers at {host} is no MicroStrategy Library: it answered the login with HTTP {status}{away} ({kind}) "
                f"and no {TOKEN} header. Nothing else was sent. Check the base URL of the connection: it usually ends with "
                "/MicroStrategyLibrary.",
                status=status,
            )
        self._token, self._cookies = token, httpx.Cookies()
        self._cookies.extract_cookies(answer)

    def _without_password(self, said: str) -> str:
        """A vendor's reason, should it ever repeat what it was sent."""
        return said.replace(self._login.password, HIDDEN) if self._login.password else said

    def _sign(self, request: httpx.Request) -> str:
        request.headers[TOKEN] = self._token
        request.headers.pop("Cookie", None)
        self._cookies.set_cookie_header(request)
        return self._token

    def _has_ended(self, answer: httpx.Response, used: str) -> bool:
        """Keep the cookies of an answer; whether it says that the session is over. Who comes late leaves a newer one alone."""
        over, current = answer.status_code == 401 and code_of(answer) == ENDED, self._token == used
        if over and current:
            self._token = ""
        elif current:
            self._cookies.extract_cookies(answer)
        return over
