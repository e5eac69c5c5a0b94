"""FenergoHook: from a connection to the tenant's API, with a client-credentials token that is shared and refreshed in time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from ferry.core.api import Patience, retry_after
from ferry.core.errors import BadCredentials, VendorUnavailable
from ferry.core.exchange import Exchange
from ferry.core.wire import httpx, on_behalf_of
from ferry.steps.hook import Settings, VendorHook
from ferry.vendors.fenergo.api import FenergoApi
from ferry.vendors.fenergo.manifest import FenergoSection
from ferry.vendors.fenergo.shapes import FAILURE_WORDS, SUCCESS_WORDS, UploadStyle, Words, messages

SCOPE = "fenx.datamigration.read fenx.datamigration.write"  # [S SCP]
EARLY = 60.0  # seconds before expiry at which a token is replaced; a token lives 900 [D AUTH]


class FenergoSettings(Settings):
    """The connection's fields; `FIELDS` in the vendor's card describes each to people."""

    tenant_id: str
    token_url: str
    scope: str = SCOPE
    command_api_version: Literal["v1", "v2"] = "v2"
    link_hosts: tuple[str, ...] = ("*.amazonaws.com",)  # [D SEED] samples
    upload_method: str = "PUT"
    upload_content_type: str = "text/csv"
    success_words: frozenset[str] = frozenset()
    failure_words: frozenset[str] = frozenset()

    @field_validator("success_words", "failure_words", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return frozenset(w.strip().lower() for w in value.split(",") if w.strip()) if isinstance(value, str) else value

    @field_validator("token_url")
    @classmethod
    def _token_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("must be a URL such as https://identity.fenergox.com/connect/token")
        return value

    @property
    def words(self) -> Words:
        """Status words that end a run, with the connection's own added."""
        return Words(SUCCESS_WORDS | self.success_words, FAILURE_WORDS | self.failure_words)

    @property
    def uploads(self) -> UploadStyle:
        """How bytes go to a signed link."""
        return UploadStyle(self.upload_method, None if self.upload_content_type == "none" else self.upload_content_type)


class FenergoAuth(httpx.Auth):
    """Bearer token and tenant header. One token per client: fetched once, replaced before it expires and once on a 401."""

    def __init__(self, settings: FenergoSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._told, self._clock = settings, clock
        self._token, self._until = "", 0.0
        self._thread_lock, self._loop_lock = threading.Lock(), asyncio.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """On a worker: uploads in several threads share one token."""
        used = self._token
        for renewing in (False, True):
            with self._thread_lock:
                if self._stale(used if renewing else None):
                    answer = yield self._token_request(request)
                    answer.read()
                    self._take(answer)
                used = self._sign(request)
            answer = yield request
            if answer.status_code != 401:
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """In the triggerer: a thousand waiting runs ask for one token. The same flow, awaiting."""
        used = self._token
        for renewing in (False, True):
            async with self._loop_lock:
                if self._stale(used if renewing else None):
                    answer = yield self._token_request(request)
                    await answer.aread()
                    self._take(answer)
                used = self._sign(request)
            answer = yield request
            if answer.status_code != 401:
                return

    def _stale(self, refused: str | None) -> bool:
        """Whether a token must be fetched: none yet, about to expire, or the one the vendor has just refused."""
        return self._clock() >= self._until or self._token == refused

    def _token_request(self, request: httpx.Request) -> httpx.Request:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._told.login,
            "client_secret": self._told.password,
            "scope": self._told.scope,
        }
        return on_behalf_of(request, "POST", self._told.token_url, data=form)

    def _take(self, answer: httpx.Response) -> None:
        if answer.status_code in {400, 401, 403}:
            reason = "; ".join(messages(answer)) or f"HTTP {answer.status_code}"
            raise BadCredentials(
                f"Fenergo's token endpoint refused the client credentials ({reason}). "
                "Check client id, client secret, scope and token URL of the connection."
            )
        try:
            told = answer.json() if answer.is_success else {}
            token, seconds = str(told["access_token"]), float(told.get("expires_in") or 900)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise VendorUnavailable(
                f"Fenergo's token endpoint gave no token (HTTP {answer.status_code}). Check the connection's token URL; "
                "the step may be tried again.",
                retry_after=retry_after(answer),
            ) from None
        self._token, self._until = token, self._clock() + max(seconds - EARLY, seconds / 2)

    def _sign(self, request: httpx.Request) -> str:
        request.headers["Authorization"] = f"Bearer {self._token}"
        request.headers["X-TENANT-ID"] = self._told.tenant_id
        return self._token


class FenergoHook(VendorHook[FenergoApi]):
    """Talks to one Fenergo tenant."""

    vendor = "fenergo"
    conn_type = "fenergo"
    hook_name = "Fenergo"
    default_conn_name = "fenergo_default"
    settings_class = FenergoSettings
    section_class = FenergoSection
    settings: FenergoSettings

    def api(self, patience: Patience) -> FenergoApi:
        """The tenant's API in the version and words of the connection."""
        told = self.settings
        return FenergoApi(
            told.base_url, version=told.command_api_version, words=told.words, uploads=told.uploads, patience=patience
        )

    def auth(self) -> httpx.Auth:
        """Client credentials; the token endpoint allows 100 requests in 5 minutes [S LIM], so tokens are shared."""
        return FenergoAuth(self.settings)

    def probe(self, api: FenergoApi) -> Exchange[str]:
        """Proves token, tenant and query service; it writes nothing."""
        yield from api.ping()
        return f"Fenergo knows this client and tenant {self.settings.tenant_id} at {self.settings.environment}."
