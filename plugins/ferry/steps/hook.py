"""VendorHook: from an Airflow connection to a vendor's API, on a worker (`call`) and in the triggerer (`acall`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, finalize

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ferry.core.api import ONE_TRY, Patience, VendorApi
from ferry.core.batch import Section
from ferry.core.errors import BadInput, FerryError
from ferry.core.exchange import AsyncLine, Exchange, Line, RateGate, adrive, drive, heed_guard
from ferry.core.wire import httpx, trusted
from ferry.steps.connections import aconnection
from ferry.steps.links import LinkRules, link_client

Api = TypeVar("Api", bound=VendorApi)
T = TypeVar("T")


class Settings(BaseModel):
    """What a connection says, checked. Vendors add their own fields; empty form fields count as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    base_url: str
    login: str = ""
    password: str = Field(default="", repr=False)
    sandbox: bool = False
    max_live_runs: int = Field(default=4, ge=1)
    requests_per_second: float = Field(default=10.0, ge=0)
    connect_timeout: float = Field(default=10.0, gt=0)
    read_timeout: float = Field(default=60.0, gt=0)
    link_hosts: tuple[str, ...] = ()
    ui_url: str = ""

    @field_validator("link_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc or " " in value:
            raise ValueError("must be a URL such as https://api.example.com")
        try:
            _ = urlsplit(value).port
        except ValueError:
            raise ValueError("names a port that is none") from None
        if "@" in urlsplit(value).netloc:  # it would be shown wherever the address is
            raise ValueError("must not hold a user or a password; both have fields of their own")
        return value.rstrip("/")

    @property
    def environment(self) -> str:
        """The environment's name in the ledger: the host the connection leads to, with its port if it names one."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2].lower()

    @property
    def timeout(self) -> httpx.Timeout:
        """Timeouts of one request, in seconds."""
        return httpx.Timeout(self.read_timeout, connect=self.connect_timeout)


def connection_named(conn_id: str) -> Connection:
    """Airflow's connection of that name; BadInput if there is none."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise _unknown(conn_id) from None


def _unknown(conn_id: str) -> BadInput:
    return BadInput(
        f"Airflow has no connection {conn_id!r}, by which the vendor is to be reached. Create it under Admin > Connections, or "
        "correct its name in the batch's manifest and trigger again."
    )


def environment_of(connection: Connection) -> str:
    """The environment a connection leads to, for those who know no vendor: its host, as `Settings.environment` says it."""
    return urlsplit(_base_url(connection)).netloc.rpartition("@")[2].lower()


class VendorHook(BaseHook, Generic[Api]):
    """A vendor behind a connection. Subclasses name their settings, section, API and credentials; all the rest is here."""

    conn_name_attr = "conn_id"
    settings_class: ClassVar[type[Settings]] = Settings
    section_class: ClassVar[type[Section]] = Section
    vendor: ClassVar[str]

    def __init__(self, conn_id: str, connection: Connection | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._connection = connection
        self._opening = Lock()

    @classmethod
    async def aopen(cls, conn_id: str, *, anew: bool = False) -> Self:
        """The hook for use in the triggerer, where a connection must be awaited; `anew` takes none that was looked up before."""
        try:
            return cls(conn_id, await aconnection(conn_id, anew=anew))
        except AirflowNotFoundException:
            raise _unknown(conn_id) from None

    @cached_property
    def settings(self) -> Settings:
        """The connection's settings; BadInput says which field of the form is wrong."""
        connection = self._connection or connection_named(self.conn_id)
        return read_settings(connection, self.settings_class)

    def api(self, patience: Patience) -> Api:
        """The vendor's API for these settings."""
        raise NotImplementedError

    def auth(self) -> httpx.Auth:
        """The vendor's credentials; one object per client, so that a token is shared and refreshed once."""
        raise NotImplementedError

    def probe(self, api: Api) -> Exchange[str]:
        """An exchange that proves the connection works and says so in one sentence."""
        raise NotImplementedError

    def leave(self, api: Api) -> Exchange[None] | None:  # noqa: ARG002 (for vendors that have sessions)
        """An exchange that ends the session on the vendor's side, for vendors that have one and where one was begun."""
        return None

    def close(self) -> None:
        """End the session, if there is one, and let the connections go. The next call would open new ones."""
        line: Line | None = self.__dict__.pop("_line", None)
        if line is None:
            return
        try:
            if goodbye := self.leave(self.api(ONE_TRY)):
                drive(line, goodbye)
        except FerryError as error:
            self.log.warning("The session at %s was not ended: %s", self.vendor, error.message)
        finally:
            line.client.close()
            line.bare.close()

    def call(self, verb: Callable[[Api], Exchange[T]], guard: Callable[[], None] | None = None) -> T:
        """Play one exchange on this worker, with retries as the verb allows; `guard` may keep what changes anything here."""
        with self._opening:  # the threads of an upload share one line, and so one token
            line = self._line
        return drive(line, verb(self.api(Patience())), guard)

    async def acall(self, verb: Callable[[Api], Exchange[T]], patience: Patience = ONE_TRY) -> T:
        """Play one exchange in the triggerer, where the polling loop itself is the retry, unless an exchange is of many calls."""
        return await adrive(await self._async_line(), verb(self.api(patience)))

    def test_connection(self) -> tuple[bool, str]:
        """For Airflow's Test button: whether the vendor lets us in, and the sentence that says why not."""
        try:
            return True, drive(self._line, self.probe(self.api(ONE_TRY)))
        except FerryError as error:
            return False, error.message
        finally:
            self.close()

    @cached_property
    def _line(self) -> Line:
        told = self.settings
        client = httpx.Client(**self._how(asynchronous=False))
        bare = link_client(LinkRules(told.link_hosts, told.sandbox), told.timeout)
        for held in (client, bare):
            finalize(self, held.close)  # connections go with the hook, not some time later
        return Line(client, bare, RateGate(told.requests_per_second))

    async def _async_line(self) -> AsyncLine:
        """One client and one gate per event loop and connection, however many runs are being waited for."""
        lines = _lines.setdefault(asyncio.get_running_loop(), {})
        key = (type(self), self.conn_id, self.settings)
        if key not in lines:
            client = httpx.AsyncClient(**self._how(asynchronous=True))
            lines[key] = AsyncLine(client, RateGate(self.settings.requests_per_second)), _until_the_loop_ends(client)
            await anext(lines[key][1])
        return lines[key][0]

    def _how(self, *, asynchronous: bool) -> dict[str, Any]:
        """How either kind of client is made."""
        return {
            "auth": self.auth(),
            "timeout": self.settings.timeout,
            "follow_redirects": False,
            "event_hooks": self._hooks(asynchronous=asynchronous),
            "verify": trusted(),
        }

    def _hooks(self, *, asynchronous: bool) -> dict[str, list[Callable[..., Any]]]:
        vendor, log = self.vendor, self.log  # a client that knew its hook would keep it from being let go

        def warn(answer: httpx.Response) -> None:
            """The vendor announces the end of an endpoint in headers; say so once, where people read."""
            for header in ("sunset", "deprecation"):
                told, path = answer.headers.get(header), answer.request.url.path
                if told and (vendor, header) not in _warned:
                    _warned.add((vendor, header))
                    log.warning("%s announces in its answer to %s: %s %s", vendor, path, header, told)

        async def awarn(answer: httpx.Response) -> None:
            warn(answer)

        if asynchronous:  # the triggerer looks and does nothing else
            return {"response": [awarn]}
        return {"request": [heed_guard], "response": [warn]}


async def _until_the_loop_ends(client: httpx.AsyncClient) -> AsyncGenerator[None]:
    """Closes the client when its event loop shuts down, because a loop then ends its asynchronous generators."""
    try:
        yield
    finally:
        await client.aclose()


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, tuple[AsyncLine, AsyncGenerator[None]]]] = WeakKeyDictionary()
_warned: set[tuple[str, str]] = set()


def read_settings(connection: Connection, settings_class: type[Settings]) -> Settings:
    """A connection's settings, checked; BadInput names every wrong field and never shows a value."""
    told = {key: value for key, value in connection.extra_dejson.items() if value not in (None, "")}
    told |= {"base_url": _base_url(connection), "login": connection.login or "", "password": connection.password or ""}
    try:
        return settings_class.model_validate(told)
    except ValidationError as error:
        wrong = "; ".join(_wrong(item) for item in error.errors(include_input=False))
        raise BadInput(
            f"Connection {connection.conn_id!r} is not usable: {wrong}. Correct it under Admin > Connections."
        ) from None


def _wrong(item: Any) -> str:
    """One fault: the field, where one alone is at fault, and what is wrong with it."""
    field, said = ".".join(map(str, item["loc"])), str(item["msg"]).removeprefix("Value error, ")
    return f"{field}: {said}" if field else said


def _base_url(connection: Connection) -> str:
    host = str(connection.host or "")
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    return f"{url}:{connection.port}" if connection.port and not urlsplit(url).port else url
