"""The DMM API of Infosistema played on a socket, from its contract and never from Ferry's client.

Two OutSystems environments, `source` and `target`. A start needs a one-time password that a person reads in the environment, and
uses it up; an execution works in chunks, by the simulated clock; what it did stays, whatever becomes of it. What the vendor left
open is a switch (`quirks.py`); the records are made up (`catalogue.py`).

Marks, as in the vendor's contract: [D] documented on the import page, [D2] on another page of the vendor, [P] behaviour of the
OutSystems platform, [A] assumed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

from starlette.routing import BaseRoute, Route

from ferry.vendors.dmm.sandbox.byhand import control_routes
from ferry.vendors.dmm.sandbox.calls import serving
from ferry.vendors.dmm.sandbox.quirks import SWITCHES
from ferry.vendors.dmm.sandbox.scripts import SCRIPTS
from ferry.vendors.dmm.sandbox.world import World
from sandbox.clock import Clock
from sandbox.control import json_pieces
from sandbox.switches import Switches
from sandbox.vendor import VendorSandbox

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class DmmSandbox(VendorSandbox):
    """Two environments with DMM installed."""

    name = "dmm"
    SWITCHES = SWITCHES
    SCRIPTS = SCRIPTS

    def __init__(self, clock: Clock, folder: Path, switches: Switches) -> None:
        super().__init__(clock, folder, switches)
        self.world = self._new_world()

    def routes(self) -> list[BaseRoute]:
        """Every path: where the calls lie is a switch."""
        return [Route("/{path:path}", serving(lambda: self.world), methods=METHODS)]

    def control_routes(self) -> list[BaseRoute]:
        """What people see and do."""
        return control_routes(lambda: self.world)

    def state(self, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002  # the state has no parts to choose from
        """Everything the environments hold. Read here in the event loop, written in a thread."""
        return json_pieces(self.world.document())

    async def reset(self) -> None:
        """A new life in a folder of its own: what is still being written belongs to the old one."""
        old, self.world = self.world, self._new_world()
        old.close()
        shutil.rmtree(old.folder, ignore_errors=True)

    async def close(self) -> None:
        """Let go of the files."""
        self.world.close()

    def _new_world(self) -> World:
        folder = self.folder / uuid4().hex
        folder.mkdir()
        return World(self.clock, self.switches, folder)


SANDBOX = DmmSandbox
