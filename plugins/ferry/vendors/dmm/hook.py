"""DmmHook: from a connection to one OutSystems environment, by the REST API key of its DMM API component."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ferry.core.api import Patience
from ferry.core.exchange import Exchange
from ferry.core.wire import httpx
from ferry.steps.hook import Settings, VendorHook
from ferry.vendors.dmm.api import DmmApi
from ferry.vendors.dmm.manifest import DmmSection
from ferry.vendors.dmm.vocabulary import BASE_PATH, KEY


class DmmSettings(Settings):
    """The connection's fields; `FIELDS` in the vendor's card describes each to people."""

    base_path: str = BASE_PATH  # [A]
    max_live_runs: int = Field(default=1, ge=1)  # [A] nothing is documented on parallel executions
    requests_per_second: float = Field(default=2.0, ge=0)  # [A] no limit is documented
    read_timeout: float = Field(default=120.0, gt=0)
    start_timeout: float = Field(default=900.0, gt=0)  # [A] the zip travels in the body
    max_zip_mb: float = Field(default=512.0, gt=0)  # [A] web servers have a limit, DMM documents none
    counts_system_records: bool = True  # [A]
    stop_on_kill: bool = True  # [A]

    @field_validator("password", mode="before")
    @classmethod
    def _key(cls, told: Any) -> str:
        """The key without the line break that comes with it from a file."""
        return str(told or "").strip()

    @field_validator("base_path")
    @classmethod
    def _path(cls, told: str) -> str:
        if any(sign in told for sign in "?# \\") or "://" in told or ".." in told.split("/"):
            raise ValueError("must be a path such as /DMMAPI/rest/v1")
        return told

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if urlsplit(self.base_url).scheme != "https" and not self.sandbox:
            raise ValueError("base_url: must be reached by https, or key and password would travel in the clear")
        if not self.password:
            raise ValueError("the REST API key is missing: it is defined in the settings of DMM API")
        if not self.password.isascii() or not self.password.isprintable() or " " in self.password:
            raise ValueError("the REST API key holds a space, a line break or a character that no header takes")
        return self


class ApiKey(httpx.Auth):
    """The key in its own header, on every request [D] to the connection's own host and no other."""

    def __init__(self, base_url: str, key: str) -> None:
        self._origin, self._key = _origin(httpx.URL(base_url)), key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request, unless it goes elsewhere."""
        if _origin(request.url) == self._origin:
            request.headers[KEY] = self._key
        yield request


class DmmHook(VendorHook[DmmApi]):
    """Talks to one environment's DMM API."""

    vendor = "dmm"
    conn_type = "dmm"
    hook_name = "Infosistema DMM"
    default_conn_name = "dmm_default"
    settings_class = DmmSettings
    section_class = DmmSection
    settings: DmmSettings

    def api(self, patience: Patience) -> DmmApi:
        """The environment's API."""
        told = self.settings
        patiently = httpx.Timeout(told.start_timeout, connect=told.connect_timeout)
        return DmmApi(
            told.base_url, base_path=told.base_path, starts_within=patiently, secrets=(told.password,), patience=patience
        )

    def auth(self) -> httpx.Auth:
        """The key in the connection's password."""
        return ApiKey(self.settings.base_url, self.settings.password)

    def probe(self, api: DmmApi) -> Exchange[str]:
        """Proves address and key; it starts nothing, and needs no one-time password."""
        said = yield from api.probe()
        return f"DMM at {self.settings.environment} answers, and {said}."


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host.lower(), url.port
