"""What people do in Domo without any client of ours, and what they would have to find out before; for rehearsals."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ferry.vendors.domo.sandbox.answers import RefusedError
from ferry.vendors.domo.sandbox.catalogue import ACCOUNTS, TYPES, Account
from ferry.vendors.domo.sandbox.datasource import Coordinates, Datasource
from ferry.vendors.domo.sandbox.instance import Instance
from ferry.vendors.domo.sandbox.judging import move, take_back
from sandbox.control import posted

TEXTS = ("type", "catalog", "schema", "table")
FIELDS = frozenset({*TEXTS, "id", "name", "migrated", "accountId"})
Hand = Callable[[Instance, Request], Awaitable[Response]]


def control_routes(instance: Callable[[], Instance]) -> list[BaseRoute]:
    """The endpoints for people, each on the instance of the moment."""

    def by_hand(hand: Hand) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            home = instance()
            home.catch_up()
            try:
                return await hand(home, request)
            except RefusedError as refused:
                return JSONResponse({"error": refused.message}, status_code=refused.status)

        return serve

    return [
        Route("/records", by_hand(_make), methods=["POST"]),
        Route("/records/{id:path}/migrate", by_hand(_migrate), methods=["POST"]),
        Route("/records/{id:path}/reverse", by_hand(_reverse), methods=["POST"]),
        Route("/records/{id:path}", by_hand(_delete), methods=["DELETE"]),
        Route("/mapping.csv", by_hand(_mapping)),
    ]


async def _make(home: Instance, request: Request) -> Response:
    wanted = await posted(request)
    _check(wanted)
    key = wanted.get("id") or str(uuid4())
    if key in home.datasources:
        raise RefusedError(409, f"There is a datasource {key} already.")
    place = Coordinates(wanted["catalog"], wanted["schema"], wanted["table"])
    made = Datasource(key, wanted.get("name") or f"{place.table} by hand", wanted["type"], place)
    account = _account(wanted, made) if wanted.get("migrated") else None
    home.datasources[key] = made
    if account is not None:
        move(made, account, place, home.clock.now(), home.switches)
    return JSONResponse({"id": key}, status_code=201)


def _check(wanted: Mapping[str, Any]) -> None:
    texts = {name: wanted[name] for name in (*TEXTS, "id", "name", "accountId") if wanted.get(name) is not None}
    if set(wanted) - FIELDS or not set(texts) >= set(TEXTS) or not all(isinstance(text, str) and text for text in texts.values()):
        raise RefusedError(400, f"Post the texts {', '.join(TEXTS)}, and id, name, migrated and accountId if wanted.")
    if wanted["type"] not in TYPES:
        raise RefusedError(400, f"type is one of {', '.join(TYPES)}.")
    if not isinstance(wanted.get("migrated", False), bool) or wanted.get("migrated", False) != ("accountId" in texts):
        raise RefusedError(400, "migrated is true or false; if it is true, and only then, accountId says to which account.")


async def _migrate(home: Instance, request: Request) -> Response:
    datasource = _idle(home, request)
    account = _account(await posted(request), datasource)
    if datasource.migrated:
        raise RefusedError(409, f"The datasource {datasource.id} is migrated already.")
    move(datasource, account, datasource.v1, home.clock.now(), home.switches)
    return JSONResponse(datasource.document())


async def _reverse(home: Instance, request: Request) -> Response:
    datasource = _idle(home, request)
    if not datasource.migrated:
        raise RefusedError(409, f"The datasource {datasource.id} is not migrated.")
    take_back(datasource, home.clock.now(), home.switches)
    home.operations.permit(datasource)
    return JSONResponse(datasource.document())


async def _delete(home: Instance, request: Request) -> Response:
    datasource = home.datasource(request.path_params["id"])
    home.delete(datasource)
    return JSONResponse({"deleted": datasource.id})


async def _mapping(home: Instance, request: Request) -> Response:
    kind = request.query_params.get("type", "")
    if kind not in TYPES:
        raise RefusedError(400, f"Ask with ?type= one of {', '.join(TYPES)}.")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "catalog", "schema", "table"])
    for one in home.datasources.values():
        if one.type == kind and not one.migrated:
            rows.writerow([one.id, one.v1.catalog, one.v1.schema, one.v1.table])
    return Response(text.getvalue(), media_type="text/csv")


def _idle(home: Instance, request: Request) -> Datasource:
    datasource = home.datasource(request.path_params["id"])
    if home.operations.busy(datasource) is not None:
        raise RefusedError(409, f"An operation on the datasource {datasource.id} is under way.")
    return datasource


def _account(told: Mapping[str, Any], datasource: Datasource) -> Account:
    account = ACCOUNTS.get(str(told.get("accountId")))
    if account is None or account.type != datasource.type:
        fitting = [account.id for account in ACCOUNTS.values() if account.type == datasource.type]
        raise RefusedError(400, f"accountId is one of {', '.join(fitting)} for a datasource of type {datasource.type}.")
    return account
