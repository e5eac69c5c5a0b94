"""What people do in the modal and to their migrations, none of which the API can do [D]; for rehearsals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ferry.vendors.anon.sandbox.organisation import Organisation, Wish
from ferry.vendors.anon.sandbox.stories import ACTS, STORIES, Story, allows, named, told
from ferry.vendors.anon.sandbox.tasks import DEFAULT_PLANS, Plan
from sandbox.control import BadControlError, posted
from sandbox.switches import Switches

MOST = 100_000
LONG_AGO = 1_000_000_000
FIELDS = ("count", "story", "id", "company_id", "created_by_user_id", "created_ago", "tasks")


def control_routes(organisation: Callable[[], Organisation]) -> list[BaseRoute]:
    """The endpoints for people, each on the organisation of the moment."""

    def by_hand(hand: Callable[[Organisation, Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            return await hand(organisation(), request)

        return serve

    return [
        Route("/records", by_hand(_make), methods=["POST"]),
        Route("/people/{id:path}", by_hand(_act), methods=["POST"]),
    ]


async def _make(home: Organisation, request: Request) -> Response:
    wanted = await posted(request)
    if unknown := sorted(set(wanted) - set(FIELDS)):
        raise BadControlError(f"There is no {', '.join(unknown)}; post any of {', '.join(FIELDS)}.")
    count = wanted.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
        raise BadControlError(f"count is a whole number from 1 to {MOST}.")
    key = _text(wanted, "id")
    if key is not None and count != 1:
        raise BadControlError("An id is for one migration.")
    wish = Wish(_story(wanted, home.switches), key, _given(wanted), _ago(wanted), _plans(wanted))
    if key in home.register.by_id:
        return JSONResponse({"error": f"There is a migration {key} already."}, status_code=409)
    return JSONResponse({"ids": [one.id for one in home.make(wish, count)]}, status_code=201)


async def _act(home: Organisation, request: Request) -> Response:
    wanted, key = await posted(request), request.path_params["id"]
    act, migration = wanted.get("does"), home.register.by_id.get(key)
    if set(wanted) != {"does"} or act not in ACTS:
        raise BadControlError(f'Post {{"does": ...}} with one of {", ".join(ACTS)}.')
    if migration is None:
        return JSONResponse({"error": f"There is no migration {key}."}, status_code=404)
    now = home.clock.now()
    status = migration.status(now)
    if not allows(act, status):
        needed = " or ".join(ACTS[act][1])
        return JSONResponse({"error": f"The migration {key} is {status}; {act} needs {needed}."}, status_code=409)
    migration.enter(ACTS[act][0], now)
    return JSONResponse({"id": key, "status": migration.status(now)})


def _story(wanted: Mapping[str, Any], switches: Switches) -> Story:
    asked = wanted.get("story", "completes")
    if isinstance(asked, str) and asked in STORIES:
        return named(asked, switches)
    story = told(asked)
    if story is None:
        raise BadControlError(f"story is a list of [seconds after the one before, status], or one of {', '.join(STORIES)}.")
    return story


def _given(wanted: Mapping[str, Any]) -> dict[str, str | None]:
    given = {name: _text(wanted, name) for name in ("company_id", "created_by_user_id") if name in wanted}
    if "created_by_user_id" in given and given["created_by_user_id"] is None:
        raise BadControlError("Only company_id may be null.")
    return given


def _text(wanted: Mapping[str, Any], name: str) -> str | None:
    value = wanted.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise BadControlError(f"{name} is a text.")
    return value


def _ago(wanted: Mapping[str, Any]) -> float:
    ago = wanted.get("created_ago", 0.0)
    if not isinstance(ago, int | float) or isinstance(ago, bool) or not 0 <= ago <= LONG_AGO:
        raise BadControlError(f"created_ago is a number of seconds, {LONG_AGO} at most.")
    return float(ago)


def _plans(wanted: Mapping[str, Any]) -> tuple[Plan, ...]:
    if "tasks" not in wanted:
        return DEFAULT_PLANS
    pairs = wanted["tasks"]
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise BadControlError("tasks is a list of [data_type, status at the end].")
    return tuple(Plan(data_type, end, end, told=True) for data_type, end in pairs)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) and text for text in pair)
