"""The small calls: sessions, who I am, versions, and the projects of an environment."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ferry.vendors.microstrategy.sandbox.answers import as_json, unknown
from ferry.vendors.microstrategy.sandbox.gateway import Call, Gateway

VERSIONS = {"iServerVersion": "11.5.0600.00001", "webVersion": "11.5.0600.00001"}
PROJECT_TYPE = "32"


def session_routes(base: str, gateway: Gateway) -> list[Route]:
    """Login and logout, the session calls, and the projects."""
    guard = gateway.guard
    return [
        Route(f"{base}/auth/login", gateway.open(gateway.log_in), methods=["POST"]),
        Route(f"{base}/auth/logout", guard(gateway.log_out), methods=["POST"]),
        Route(f"{base}/sessions", guard(_renew), methods=["PUT"]),
        Route(f"{base}/sessions", guard(_session), methods=["GET"]),
        Route(f"{base}/sessions/userInfo", guard(_user_info), methods=["GET"]),
        Route(f"{base}/status", gateway.open(_status), methods=["GET"]),
        Route(f"{base}/projects", guard(_projects), methods=["GET"]),
        Route(f"{base}/projects/{{id}}", guard(_project), methods=["GET"]),
        Route(f"{base}/objects/{{id}}", guard(_object), methods=["GET"]),
    ]


async def _renew(_call: Call) -> Response:
    return Response(status_code=204)


async def _session(call: Call) -> Response:
    timeout = call.home.switches.integer("session_seconds")
    return call.answer({"locale": 1033, "maxSearch": 3, "workingSet": 10, "timeout": timeout, **call.user.info()})


async def _user_info(call: Call) -> Response:
    return call.answer(call.user.info())


async def _status(_request: Request) -> Response:
    return as_json(VERSIONS)


async def _projects(call: Call) -> Response:
    return call.answer([project.document() for project in call.home.projects.values()])


async def _project(call: Call) -> Response:
    project = call.home.project_named(call.id())
    if project is None:
        raise unknown(f"The project {call.id()}")
    return call.answer(project.document())


async def _object(call: Call) -> Response:
    project = call.home.projects.get(call.id()) if call.query("type") == PROJECT_TYPE else None
    if project is None:
        raise unknown(f"The object {call.id()}")
    return call.answer(project.document())
