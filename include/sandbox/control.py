"""The endpoints below /_sandbox: the same for every vendor, and none of them vendor behaviour."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from sandbox.clock import iso
from sandbox.faults import BadFaultError
from sandbox.journal import BATCH, as_json_array
from sandbox.switches import BadSwitchError
from sandbox.vendor import VendorSandbox

if TYPE_CHECKING:
    from sandbox.app import Sandbox

Handler = Callable[[Request], Awaitable[Response]]


class BadControlError(ValueError):
    """A control request that could not be understood; the text says how to ask."""


def control_app(sandbox: Sandbox) -> Starlette:
    """The control endpoints of a sandbox and of each of its vendors."""
    control = Control(sandbox)
    routes: list[BaseRoute] = [
        Route("/_sandbox", control.overview),
        Route("/_sandbox/requests", control.requests),
        Route("/_sandbox/clock", control.clock, methods=["GET", "POST"]),
        Route("/_sandbox/reset", control.reset, methods=["POST"]),
    ]
    for name, vendor in sandbox.vendors.items():
        routes.append(Mount(f"/_sandbox/{name}", routes=VendorControl(sandbox, vendor).routes()))
    errors = dict.fromkeys((BadControlError, BadFaultError, BadSwitchError), _refused)
    return Starlette(routes=routes, exception_handlers=errors)


class Control:
    """What concerns all vendors: log, clock, reset."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def overview(self, _request: Request) -> Response:
        """Name the vendors and the simulated time."""
        return JSONResponse({"vendors": sorted(self._sandbox.vendors), "clock": self._clock()})

    async def requests(self, request: Request) -> Response:
        """Answer the request log, filtered by ?vendor= &method= &path= (a glob) &since= (a number n)."""
        asked = request.query_params
        since = asked.get("since", "0")
        if not since.isdecimal():
            raise BadControlError("'since' is the number n of a request.")
        chosen = self._sandbox.journal.select(asked.get("vendor", ""), asked.get("method", ""), asked.get("path", ""), int(since))
        return StreamingResponse(as_json_array(chosen), media_type="application/json")

    async def clock(self, request: Request) -> Response:
        """Tell the simulated time; POST changes its speed or jumps forward."""
        if request.method == "POST":
            wanted = await posted(request)
            known = {"speed", "advance"}
            if not wanted or set(wanted) - known or not all(_is_amount(value) for value in wanted.values()):
                raise BadControlError('Post {"speed": 60} or {"advance": 3600}: numbers, not negative.')
            if "advance" in wanted:
                self._sandbox.clock.advance(wanted["advance"])
            if "speed" in wanted:
                self._sandbox.clock.run_at(wanted["speed"])
        return JSONResponse(self._clock())

    async def reset(self, request: Request) -> Response:
        """Forget everything, or with ?vendor= what concerns one vendor."""
        vendor = request.query_params.get("vendor")
        if vendor is not None and vendor not in self._sandbox.vendors:
            raise BadControlError(f"There is no vendor {vendor!r} here.")
        await self._sandbox.reset(vendor)
        return JSONResponse({"reset": vendor or sorted(self._sandbox.vendors)})

    def _clock(self) -> dict[str, Any]:
        now = self._sandbox.clock.now()
        return {"now": iso(now), "seconds": now, "speed": self._sandbox.clock.speed}


class VendorControl:
    """What concerns one vendor: its state, switches and faults."""

    def __init__(self, sandbox: Sandbox, vendor: VendorSandbox) -> None:
        self._faults = sandbox.faults
        self._vendor = vendor

    def routes(self) -> list[BaseRoute]:
        """The common endpoints, then the vendor's own."""
        return [
            Route("/state", self.state),
            Route("/switches", self.switches, methods=["GET", "PUT"]),
            Route("/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/faults/{id:int}", self.forget_fault, methods=["DELETE"]),
            Route("/scripts", self.scripts),
            Route("/scripts/{name}", self.play_script, methods=["POST"]),
            *self._vendor.control_routes(),
        ]

    async def state(self, request: Request) -> Response:
        """Stream everything the vendor holds."""
        pieces = self._vendor.state(request.query_params)
        return StreamingResponse(pieces, media_type="application/json")

    async def switches(self, request: Request) -> Response:
        """Show all switches; PUT sets some of them, all or none."""
        if request.method == "PUT":
            self._vendor.switches.set(await posted(request))
        return JSONResponse(self._vendor.switches.to_json())

    async def faults(self, request: Request) -> Response:
        """Show the live faults; POST adds one and answers its id, DELETE takes all back."""
        name = self._vendor.name
        if request.method == "POST":
            return JSONResponse({"id": self._faults.add(name, await posted(request)).id}, status_code=201)
        if request.method == "DELETE":
            return JSONResponse({"removed": self._faults.remove(name)})
        return JSONResponse(self._faults.live(name))

    async def scripts(self, _request: Request) -> Response:
        """Name the scripts and how a run ends by each."""
        return JSONResponse({name: script.ends for name, script in self._vendor.SCRIPTS.items()})

    async def play_script(self, request: Request) -> Response:
        """Begin a run that will end as the script says; answers its ref."""
        script = self._vendor.SCRIPTS.get(request.path_params["name"])
        if script is None:
            raise BadControlError(f"There is no such script; there are: {', '.join(sorted(self._vendor.SCRIPTS)) or 'none'}.")
        self._vendor.switches.set(script.switches)
        return JSONResponse({"ref": await script.begin(self._vendor), "ends": script.ends}, status_code=201)

    async def forget_fault(self, request: Request) -> Response:
        """Take one fault back."""
        removed = self._faults.remove(self._vendor.name, request.path_params["id"])
        return JSONResponse({"removed": removed}, status_code=200 if removed else 404)


async def posted(request: Request) -> dict[str, Any]:
    """The JSON object of a control request."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise BadControlError("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise BadControlError("The body is not a JSON object.")
    return body


def json_pieces(value: Any) -> Iterator[bytes]:
    """JSON in pieces, lists may be iterators: a state of millions of records needs no memory."""
    if isinstance(value, Mapping):
        yield b"{"
        for position, (name, inner) in enumerate(value.items()):
            yield (b"," if position else b"") + json.dumps(name).encode() + b":"
            yield from json_pieces(inner)
        yield b"}"
    elif isinstance(value, Iterator):
        yield b"["
        comma = b""
        while batch := list(islice(value, BATCH)):
            yield comma + ",".join(json.dumps(item, ensure_ascii=False) for item in batch).encode()
            comma = b","
        yield b"]"
    else:
        yield json.dumps(value, ensure_ascii=False).encode()


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)
