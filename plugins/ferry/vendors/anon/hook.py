"""AnonHook: from a connection to one organisation's migrations, by its API key."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ferry.core.api import Patience
from ferry.core.exchange import Exchange
from ferry.core.wire import httpx
from ferry.steps.hook import Settings, VendorHook
from ferry.vendors.anon.api import ID, MOST_PAGES, PAGE_SIZE, AnonApi
from ferry.vendors.anon.manifest import AnonSection, Moment

if TYPE_CHECKING:
    from ferry.steps.work import Work

A_DAY = 86400.0


class AnonSettings(Settings):
    """The connection's fields; `FIELDS` in the vendor's card describes each to people."""

    base_url: str = "https://worker.anon.com"  # [D2]
    poll_seconds: float = Field(default=60.0, gt=0)  # [A] no rate limit is documented; the contract advises once a minute
    page_size: int = Field(default=PAGE_SIZE, ge=0)  # [A] 0 sends none
    most_pages: int = Field(default=MOST_PAGES, ge=1)
    requests_per_second: float = Field(default=5.0, ge=0)  # [A]
    watch_since: Moment | None = None
    files_path: str = ""
    tasks_path: str = ""
    accept_partial: bool = False
    notifier: str = ""
    notifier_arguments: str = Field(default="{}", repr=False)
    """A JSON object, as text: settings are compared and hashed."""
    remind_after: float = Field(default=A_DAY, ge=0)

    @field_validator("password", mode="before")
    @classmethod
    def _key(cls, told: Any) -> str:
        """The key without the line break that comes with it from a file."""
        return str(told or "").strip()

    @field_validator("files_path", "tasks_path")
    @classmethod
    def _path(cls, told: str) -> str:
        if told and (not told.startswith("/") or ID not in told or any(sign in told for sign in "?# \\")):
            raise ValueError(f"must be a path such as /api/v1/migrations/{ID}/files")
        return told

    @field_validator("notifier_arguments", mode="before")
    @classmethod
    def _json(cls, told: Any) -> str:
        try:
            found = json.loads(told) if isinstance(told, str) else told
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValueError("must be JSON: an object of the notifier's own arguments")  # noqa: TRY004 (pydantic's way to say no)
        return json.dumps(found)

    @field_validator("notifier")
    @classmethod
    def _dotted(cls, told: str) -> str:
        if (told and not all(part.isidentifier() for part in told.split("."))) or (told.count(".") == 0 and told):
            raise ValueError(
                "must be the dotted path of a notifier, such as airflow.providers.smtp.notifications.smtp.SmtpNotifier"
            )
        return told

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if urlsplit(self.base_url).scheme != "https" and not self.sandbox:
            raise ValueError("base_url: must be reached by https, or the API key would travel in the clear")
        if not self.password:
            raise ValueError("the API key is missing: an administrator makes one on the dashboard's page API Keys")
        if not self.password.isascii() or not self.password.isprintable() or " " in self.password:
            raise ValueError("the API key holds a space, a line break or a character that no header takes")
        return self


class ApiKey(httpx.Auth):
    """The key as a bearer [D], on requests to the connection's own host and no other."""

    def __init__(self, base_url: str, key: str) -> None:
        self._origin, self._key = _origin(httpx.URL(base_url)), key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request, unless it goes elsewhere."""
        if _origin(request.url) == self._origin:
            request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class AnonHook(VendorHook[AnonApi]):
    """Reads one organisation's migrations. An organisation sees only its own [D]."""

    vendor = "anon"
    conn_type = "anon"
    hook_name = "Anon"
    default_conn_name = "anon_default"
    settings_class = AnonSettings
    section_class = AnonSection
    settings: AnonSettings

    def api(self, patience: Patience) -> AnonApi:
        """The organisation's API."""
        told = self.settings
        return AnonApi(
            told.base_url,
            page_size=told.page_size,
            most_pages=told.most_pages,
            files_path=told.files_path,
            tasks_path=told.tasks_path,
            secrets=(told.password,),
            patience=patience,
        )

    def auth(self) -> httpx.Auth:
        """The key in the connection's password."""
        return ApiKey(self.settings.base_url, self.settings.password)

    def probe(self, api: AnonApi) -> Exchange[str]:
        """Proves host and key. A key of another organisation cannot be told from one of an empty organisation [A]."""
        said = yield from api.probe()
        return f"Anon at {self.settings.environment} answers, and {said}."


def settings_of(work: Work) -> AnonSettings:
    """The settings of the connection that a step works with."""
    settings = work.hook.settings
    assert isinstance(settings, AnonSettings)
    return settings


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host.lower(), url.port
