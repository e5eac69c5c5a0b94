"""Anon's read-only Migrations API played on a socket, from its contract and never from Ferry's client.

One organisation, whose people begin migrations that no call can begin: the sandbox plays these people too (`stories.py`). Where a
migration stands follows from the simulated clock when somebody looks, so that a hundred thousand of them cost nothing. What the
vendor left open is a switch (`quirks.py`). The modal, webhooks and the call that starts a migration are not played.

Marks, as in the vendor's contract: [D] documented for this API, [D2] documented on another page of the vendor, [A] assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ferry.vendors.anon.sandbox.byhand import control_routes
from ferry.vendors.anon.sandbox.calls import serving
from ferry.vendors.anon.sandbox.organisation import Organisation
from ferry.vendors.anon.sandbox.quirks import SWITCHES
from ferry.vendors.anon.sandbox.scripts import SCRIPTS
from sandbox.clock import Clock
from sandbox.control import json_pieces
from sandbox.s3 import Store
from sandbox.switches import Switches
from sandbox.vendor import VendorSandbox

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class AnonSandbox(VendorSandbox):
    """One customer's organisation."""

    name = "anon"
    SWITCHES = SWITCHES
    SCRIPTS = SCRIPTS

    def __init__(self, clock: Clock, folder: Path, switches: Switches) -> None:
        super().__init__(clock, folder, switches)
        self._lives = 0
        self.organisation = self._founded()

    def routes(self) -> list[BaseRoute]:
        """The storage, then every path; which call it is depends on the segments as they were sent."""
        return [
            Route("/s3/{bucket}/{key:path}", self._storage, methods=Store.METHODS),
            Route("/{path:path}", serving(lambda: self.organisation), methods=METHODS),
        ]

    def control_routes(self) -> list[BaseRoute]:
        """What people do."""
        return control_routes(lambda: self.organisation)

    def state(self, query: Mapping[str, str]) -> Iterator[bytes]:
        """Everything the organisation holds; ?migrations=none leaves these out."""
        return json_pieces(self.organisation.document(whole=query.get("migrations") != "none"))

    async def reset(self) -> None:
        """A new life with a storage of its own."""
        self.organisation = self._founded()

    def _founded(self) -> Organisation:
        self._lives += 1
        return Organisation(self.clock, self.switches, self.folder / f"life-{self._lives}")

    async def _storage(self, request: Request) -> Response:
        return await self.organisation.store.serve(request)


SANDBOX = AnonSandbox
