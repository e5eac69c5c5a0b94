"""DomoHook: from a connection to one Domo instance, by the developer token of one of its users."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ferry.core.api import Patience
from ferry.core.exchange import Exchange
from ferry.core.wire import httpx
from ferry.steps.hook import Settings, VendorHook
from ferry.vendors.domo.api import DomoApi
from ferry.vendors.domo.manifest import DomoSection
from ferry.vendors.domo.vocabulary import TOKEN

OTHER_API, DOMAIN = "api.domo.com", ".domo.com"


class DomoSettings(Settings):
    """The connection's fields; `FIELDS` in the vendor's card describes each to people."""

    max_live_runs: int = Field(default=2, ge=1)
    requests_per_second: float = Field(default=1.0, ge=0)  # [A] the one limit Domo tells, for another API, is two a second [N]
    answer_timeout: float = Field(default=900.0, gt=0)  # [A] samples took 2 to 8 s; no upper bound is documented
    visible_delay: float = Field(default=300.0, ge=0)  # [A]

    @field_validator("password", mode="before")
    @classmethod
    def _token(cls, told: Any) -> str:
        """The token without the line break that comes with it from a file."""
        return str(told or "").strip()

    @model_validator(mode="after")
    def _fit(self) -> Self:
        where = urlsplit(self.base_url)
        host = (where.hostname or "").lower()
        if host == OTHER_API:
            raise ValueError(f"base_url: {OTHER_API} is another API of Domo; name your own instance, such as acme.domo.com")
        if where.scheme != "https" and (not self.sandbox or host.endswith(DOMAIN)):
            raise ValueError("base_url: must be reached by https, or the token would travel in the clear")
        if not self.password:
            raise ValueError("the developer token is missing: create an access token in Domo's admin pages")
        if not self.password.isascii() or not self.password.isprintable() or " " in self.password:
            raise ValueError("the developer token holds a space, a line break or a character that no header takes")
        return self


class DeveloperToken(httpx.Auth):
    """The token in its own header [D], with requests to the connection's own host and no other."""

    def __init__(self, base_url: str, token: str) -> None:
        self._origin, self._token = _origin(httpx.URL(base_url)), token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request, unless it goes elsewhere."""
        if _origin(request.url) == self._origin:
            request.headers[TOKEN] = self._token
        yield request


class DomoHook(VendorHook[DomoApi]):
    """Talks to one Domo instance."""

    vendor = "domo"
    conn_type = "domo"
    hook_name = "Domo"
    default_conn_name = "domo_default"
    settings_class = DomoSettings
    section_class = DomoSection
    settings: DomoSettings

    def api(self, patience: Patience) -> DomoApi:
        """The instance's API."""
        told = self.settings
        patiently = httpx.Timeout(told.answer_timeout, connect=told.connect_timeout)
        return DomoApi(told.base_url, answers_within=patiently, token=told.password, patience=patience)

    def auth(self) -> httpx.Auth:
        """The token in the connection's password."""
        return DeveloperToken(self.settings.base_url, self.settings.password)

    def probe(self, api: DomoApi) -> Exchange[str]:
        """Proves address and token; it writes nothing."""
        types = yield from api.types()
        known = f"it has {', '.join(types)}" if types else "it has no federated integration types"
        return f"Domo at {self.settings.environment} knows this token; {known}."


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host.lower(), url.port
