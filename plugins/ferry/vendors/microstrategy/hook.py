"""MicroStrategyHook: from a connection to one Library, in a session that ends with the task."""

from __future__ import annotations

from typing import Any

from ferry.core.api import Patience
from ferry.core.exchange import Exchange
from ferry.core.wire import httpx
from ferry.steps.hook import Settings, VendorHook
from ferry.vendors.microstrategy.api import MicroStrategyApi
from ferry.vendors.microstrategy.manifest import MicroStrategySection
from ferry.vendors.microstrategy.session import LibrarySession, Login


class MicroStrategySettings(Settings):
    """The connection's fields; `FIELDS` in the vendor's card describes each to people."""

    login_mode: int = 1  # [D] 1 standard, 16 LDAP, [C] 4096 API token
    environment_id: str = ""
    environment_name: str = ""
    max_live_runs: int = 1  # [D] one import at a time is the vendor's recommendation

    @property
    def library(self) -> dict[str, str]:
        """The environment as records name it: its URL with one slash at the end is the convention [C]."""
        named = self.environment_id or f"{self.base_url}/"
        return {"id": named, "name": self.environment_name or named}


class MicroStrategyHook(VendorHook[MicroStrategyApi]):
    """Talks to one Library server."""

    vendor = "microstrategy"
    conn_type = "microstrategy"
    hook_name = "MicroStrategy"
    default_conn_name = "microstrategy_target"
    settings_class = MicroStrategySettings
    section_class = MicroStrategySection
    settings: MicroStrategySettings

    def __init__(self, conn_id: str, connection: Any = None) -> None:
        super().__init__(conn_id, connection)
        self._session: LibrarySession | None = None

    def api(self, patience: Patience) -> MicroStrategyApi:
        """The Library's API."""
        return MicroStrategyApi(self.settings.base_url, patience=patience)

    def auth(self) -> httpx.Auth:
        """A session of this hook's own: one for a task, and in the triggerer one for all waits on a connection."""
        told = self.settings
        self._session = LibrarySession(Login(told.base_url, told.login, told.password, told.login_mode))
        return self._session

    def probe(self, api: MicroStrategyApi) -> Exchange[str]:
        """Proves address, user and password; it writes nothing."""
        name = yield from api.whoami()
        projects = yield from api.projects()
        return f"{name} is logged in to {self.settings.environment} and sees {len(projects)} projects there."

    def leave(self, api: MicroStrategyApi) -> Exchange[None] | None:
        """Log out, where somebody logged in."""
        return api.logout() if self._session is not None and self._session.is_open else None
