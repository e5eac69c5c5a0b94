"""MicroStrategy's Library REST API for migrations played on a socket, from its contract and never from Ferry's client.

Two Library servers, source and target, that share one storage area and nothing else [A16]: sessions with cookies, packages,
requests and locks, imports, undos, groups, validation, certification, and uploaded packages. What the vendor left open is a
switch (`quirks.py`); what is invented is what the target holds, and what an import does to it (`importing.py`).

Marks, as in the vendor's contract: [D] documented, [C] seen in or with the vendor's own client, [T] third-party, [A] or [A-n]
assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ferry.vendors.microstrategy.sandbox.agenda import Agenda
from ferry.vendors.microstrategy.sandbox.answers import RefusedError
from ferry.vendors.microstrategy.sandbox.byhand import make_by_hand
from ferry.vendors.microstrategy.sandbox.downloads import download_routes
from ferry.vendors.microstrategy.sandbox.environment import NAMES, Common, Environment
from ferry.vendors.microstrategy.sandbox.files import file_routes
from ferry.vendors.microstrategy.sandbox.gateway import Gateway
from ferry.vendors.microstrategy.sandbox.groups import group_routes
from ferry.vendors.microstrategy.sandbox.migrations import migration_routes
from ferry.vendors.microstrategy.sandbox.quirks import SWITCHES
from ferry.vendors.microstrategy.sandbox.scripts import SCRIPTS
from ferry.vendors.microstrategy.sandbox.sessions import session_routes
from ferry.vendors.microstrategy.sandbox.storage import Storage
from ferry.vendors.microstrategy.sandbox.tally import Tally
from ferry.vendors.microstrategy.sandbox.validating import validation_routes
from sandbox.clock import Clock
from sandbox.control import BadControlError, json_pieces, posted
from sandbox.switches import Switches
from sandbox.vendor import VendorSandbox

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class MicroStrategySandbox(VendorSandbox):
    """Both environments, and the storage between them."""

    name = "microstrategy"
    SWITCHES = SWITCHES
    SCRIPTS = SCRIPTS

    def __init__(self, clock: Clock, folder: Path, switches: Switches) -> None:
        super().__init__(clock, folder, switches)
        self._lives = 0
        self.homes: dict[str, Environment] = {}
        self._common: Common | None = None

    @property
    def common(self) -> Common:
        """What the environments share in this life."""
        if self._common is None:
            raise RuntimeError("The sandbox has not been started.")
        return self._common

    def routes(self) -> list[BaseRoute]:
        """The vendor's paths, the target's first: imports are what is polled most."""
        routes: list[BaseRoute] = []
        for name in reversed(NAMES):
            gateway = Gateway(self._home(name))
            base = f"/{name}/MicroStrategyLibrary/api"
            routes += [
                *migration_routes(base, gateway),
                *group_routes(base, gateway),
                *session_routes(base, gateway),
                *validation_routes(base, gateway, lambda: self.homes),
                *download_routes(base, gateway),
                *file_routes(base, gateway),
                Route(f"/{name}/MicroStrategyLibrary/{{path:path}}", gateway.open(gateway.nowhere), methods=METHODS),
            ]
        return routes

    def control_routes(self) -> list[BaseRoute]:
        """Records made by hand."""
        return [Route("/records", self._make_record, methods=["POST"])]

    def state(self, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002  # the state has no parts to choose from
        """Everything both environments hold, and how often what was started. Read here in the event loop, written in a thread."""
        self.common.agenda.catch_up()
        whole = {name: home.to_json() for name, home in self.homes.items()}
        return json_pieces(whole | self.common.tally.to_json())

    async def reset(self) -> None:
        """A new life in a new folder."""
        self._lives += 1
        storage = Storage(self.folder / f"life-{self._lives}")
        self._common = Common(self.clock, self.switches, Agenda(self.clock), storage, Tally())
        self.homes = {name: Environment(name, self._common) for name in NAMES}

    def _home(self, name: str) -> Callable[[], Environment]:
        return lambda: self.homes[name]

    async def _make_record(self, request: Request) -> Response:
        self.common.agenda.catch_up()
        try:
            made = make_by_hand(self.homes, await posted(request))
        except RefusedError as refused:
            raise BadControlError(refused.message) from refused
        return JSONResponse({"id": made}, status_code=201)


SANDBOX = MicroStrategySandbox
