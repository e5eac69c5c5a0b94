"""Domo's Federated V1 to V2 Migration APIs played on a socket, from their contract and never from Ferry's client.

One instance with accounts, datasources and two people. A POST is worked on until its simulated moment, whether or not anybody
still listens, and nothing tells of it afterwards but the candidate list: that is what a client has to live with. What the vendor
left open is a switch (`quirks.py`); the data are made up (`catalogue.py`).

Marks, as in the vendor's contract: [D] documented for this API, [N] seen in a neighbouring API of the vendor or in public code,
[A] assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from starlette.routing import BaseRoute, Route

from ferry.vendors.domo.sandbox.byhand import control_routes
from ferry.vendors.domo.sandbox.calls import serving
from ferry.vendors.domo.sandbox.instance import Instance
from ferry.vendors.domo.sandbox.quirks import SWITCHES
from ferry.vendors.domo.sandbox.scripts import SCRIPTS
from sandbox.clock import Clock
from sandbox.control import json_pieces
from sandbox.switches import Switches
from sandbox.vendor import VendorSandbox

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class DomoSandbox(VendorSandbox):
    """One customer's instance."""

    name = "domo"
    SWITCHES = SWITCHES
    SCRIPTS = SCRIPTS

    def __init__(self, clock: Clock, folder: Path, switches: Switches) -> None:
        super().__init__(clock, folder, switches)
        self.instance = Instance(clock, switches)

    def routes(self) -> list[BaseRoute]:
        """Every path; which call it is depends on the segments as they were sent."""
        return [Route("/{path:path}", serving(lambda: self.instance), methods=METHODS)]

    def control_routes(self) -> list[BaseRoute]:
        """What people do, and what they know."""
        return control_routes(lambda: self.instance)

    def state(self, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002  # the state has no parts to choose from
        """Everything the instance holds. Read here in the event loop, written in a thread."""
        return json_pieces(self.instance.document())

    async def reset(self) -> None:
        """A new life; who still waits for an operation of the old one is told so."""
        self.instance.operations.forget()
        self.instance = Instance(self.clock, self.switches)


SANDBOX = DomoSandbox
