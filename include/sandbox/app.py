"""The sandbox as one ASGI application: every vendor that has a `sandbox` module, and the control endpoints."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import Clock
from sandbox.control import control_app
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.switches import BadSwitchError, Switches, Value
from sandbox.vendor import VendorSandbox
from sandbox.wire import App, Exchange, Receive, Scope, Send

MARKER = ".sandbox-data"


class Sandbox:
    """All vendors behind one socket, with one clock, one request log and one list of faults."""

    def __init__(
        self,
        data: Path,
        *,
        speed: float = 1.0,
        switches: Mapping[str, Mapping[str, Value]] | None = None,
        vendors: Mapping[str, type[VendorSandbox]] | None = None,
    ) -> None:
        self.clock = Clock(speed)
        self.journal = Journal()
        self.faults = Faults()
        known = discover() if vendors is None else dict(vendors)
        wanted = switches or {}
        if unknown := sorted(set(wanted) - set(known)):
            raise BadSwitchError(f"No sandbox for: {', '.join(unknown)}. There are: {', '.join(sorted(known)) or 'none'}.")
        self.vendors = {
            name: kind(self.clock, own_folder(data, name), Switches(kind.SWITCHES, wanted.get(name)))
            for name, kind in sorted(known.items())
        }
        self._apps: dict[str, App] = {name: Starlette(routes=list(vendor.routes())) for name, vendor in self.vendors.items()}
        self._control: App = control_app(self)
        self._elsewhere: App = Starlette(routes=[Route("/{path:path}", _nowhere)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection message stream, as ASGI asks."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        prefix = scope["path"].split("/", 2)[1]
        app = self._apps.get(prefix)
        if app is None:
            await (self._control if prefix == "_sandbox" else self._elsewhere)(scope, receive, send)
            return
        await self._serve(prefix, app, (scope, receive, send))

    async def reset(self, vendor: str | None = None) -> None:
        """Forget everything, or what concerns one vendor (then clock and request log stay)."""
        for name in [vendor] if vendor else list(self.vendors):
            self.faults.remove(name)
            self.vendors[name].switches.reset()
            await self.vendors[name].reset()
        if vendor is None:
            self.clock.reset()
            self.journal.clear()

    async def _serve(self, vendor: str, app: App, conversation: tuple[Scope, Receive, Send]) -> None:
        scope, receive, send = conversation
        entry = self.journal.open((self.clock.now(), time.time()), vendor, dict(scope))
        exchange = Exchange(entry, receive, send)
        scope["root_path"] = f"/{vendor}"
        fault = self.faults.take(vendor, scope["method"], scope["path"])
        try:
            if fault is None:
                await app(scope, exchange.receive, exchange.send)
            else:
                await exchange.play(app, scope, fault)
        except ClientDisconnect:
            # The client hung up while sending: nobody is left to answer, and it is no fault of ours.
            entry.status = None

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        for vendor in self.vendors.values():
            await vendor.reset()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for vendor in self.vendors.values():
            await vendor.close()
        await send({"type": "lifespan.shutdown.complete"})


def discover() -> dict[str, type[VendorSandbox]]:
    """The sandbox of every vendor folder that has one, by folder name; a new vendor needs no edit here."""
    folders = importlib.import_module("ferry.vendors").__path__
    found: dict[str, type[VendorSandbox]] = {}
    for module in pkgutil.iter_modules(folders):
        if module.ispkg and find_spec(f"ferry.vendors.{module.name}.sandbox"):
            found[module.name] = importlib.import_module(f"ferry.vendors.{module.name}.sandbox").SANDBOX
    return found


def own_folder(data: Path, vendor: str) -> Path:
    """An empty folder for a vendor. Only a folder that an earlier sandbox marked as its own is ever emptied."""
    folder = data / vendor
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise FileExistsError(f"{folder} is not empty and no sandbox made it. Give --data another folder.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder


async def _nowhere(_request: Request) -> Response:
    return JSONResponse({"error": "No vendor has this path. Vendors are served below /<vendor>."}, status_code=404)
