"""What people see and do in the two environments without any client of ours; for rehearsals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ferry.vendors.dmm.sandbox.catalogue import TARGET
from ferry.vendors.dmm.sandbox.world import UNDER_WAY, Environment, World

PERSON = "a person"


def control_routes(world: Callable[[], World]) -> list[BaseRoute]:
    """The endpoints for people, each on the world of the moment."""

    def by_hand(hand: Callable[[World, Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            here = world()
            here.catch_up()
            return hand(here, request)

        return serve

    return [
        Route("/otp", by_hand(_password)),
        Route("/executions", by_hand(_executions)),
        Route("/executions/{id}/stop", by_hand(_stop), methods=["POST"]),
    ]


def _password(world: World, request: Request) -> Response:
    """What the environment's Authentication Token page shows."""
    home = _home(world, request)
    return _unknown() if home is None else JSONResponse({"value": home.passwords.shown()})


def _executions(world: World, request: Request) -> Response:
    """What the environment's page of executions shows."""
    home = _home(world, request)
    return _unknown() if home is None else JSONResponse([one.document() for one in home.executions.values()])


def _stop(world: World, request: Request) -> Response:
    found = world.find(request.path_params["id"])
    if found is None:
        return _refused(404, "There is no such execution.")
    home, execution = found
    if execution.status not in UNDER_WAY:
        return _refused(409, f"The execution {execution.key} has ended.")
    home.engine.stop(execution, PERSON)
    return JSONResponse(execution.document())


def _home(world: World, request: Request) -> Environment | None:
    return world.environments.get(request.query_params.get("environment", TARGET))


def _unknown() -> Response:
    return _refused(400, "environment is source or target.")


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)
