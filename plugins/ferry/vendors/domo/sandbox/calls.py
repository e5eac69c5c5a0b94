"""The five calls (contract 3): which token is asking, what it may, and the answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from ferry.vendors.domo.sandbox.answers import RefusedError, as_json, result, too_many
from ferry.vendors.domo.sandbox.catalogue import ACCOUNTS, TYPES, USERS, Account, User
from ferry.vendors.domo.sandbox.datasource import Coordinates
from ferry.vendors.domo.sandbox.instance import Instance, unauthorized
from ferry.vendors.domo.sandbox.judging import BACK, CONFLICT, FORWARD, Order

PREFIX = "/domo"
BASE = "/api/query/migration/federated/v1/to/v2/"
TOKEN = "X-DOMO-Developer-Token"  # noqa: S105  # the name of a header
FIELDS = ("catalog", "schema", "table")
NOT_A_SCHEMA = "null"
"""Only the word in capitals says that there are no schemas [D]; that others are refused is [A]."""


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request; `parts` are the decoded segments of its path after the base."""

    instance: Instance
    user: User
    method: str
    parts: list[str]
    json: bool
    content: bytes

    def account(self, key: str) -> Account:
        """An account that the user may see, or a 404."""
        account = ACCOUNTS.get(key)
        if account is None or not self.user.sees(account):
            raise RefusedError(404, f"The account {key} was not found.")
        return account

    def movers_only(self) -> None:
        """Refuse whoever may only read."""
        if not self.user.moves:
            raise RefusedError(403, "You do not have permission to migrate datasources.")

    def place(self) -> Coordinates:
        """The table of the body, every part of it given [D], or a 400."""
        try:
            body = json.loads(self.content) if self.json else None
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise RefusedError(400, "The request body is not a JSON object.")
        for name in FIELDS:
            if not isinstance(body.get(name), str) or not body[name] or (name == "schema" and body[name] == NOT_A_SCHEMA):
                raise RefusedError(400, f"The field {name} is required.")
        return Coordinates(*(body[name] for name in FIELDS))


def serving(instance: Callable[[], Instance]) -> Callable[[Request], Any]:
    """The endpoint for every path of the vendor."""

    async def serve(request: Request) -> Response:
        home = instance()
        path = request.scope["raw_path"].decode("latin-1").removeprefix(PREFIX)
        content = await request.body()
        home.catch_up()
        try:
            return await _answer(_call(home, request, path, content))
        except RefusedError as refused:
            return refused.response(path, home.switches)

    return serve


def _call(home: Instance, request: Request, path: str, content: bytes) -> Call:
    token = request.headers.get(TOKEN, "")
    user = next((user for user in USERS if _is(token, home.switches.text(user.token))), None)
    if user is None:
        raise unauthorized()
    home.admit(token)
    # Split before decoding: an id may hold anything, a slash too.
    parts = [unquote(part) for part in path.removeprefix(BASE).split("/")] if path.startswith(BASE) else []
    sends_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    return Call(home, user, request.method, parts, sends_json, content)


def _is(token: str, known: str) -> bool:
    return bool(known) and secrets.compare_digest(token.encode(), known.encode())


async def _answer(call: Call) -> Response:
    match call.method, call.parts:
        case "GET", ["types"]:
            return as_json(list(TYPES))
        case "GET", ["accounts", kind]:
            found = [account for account in ACCOUNTS.values() if account.type == kind and call.user.sees(account)]
            return as_json([account.document() for account in found])
        case "GET", ["candidates", key]:
            return as_json(call.instance.candidates(call.account(key)))
        case "POST", [datasource, "accounts", account]:
            return await _migrate(call, datasource, account)
        case "POST", [datasource, "reverse"]:
            call.movers_only()
            return await _worked(call, Order(BACK, call.instance.datasource(datasource)))
    raise RefusedError(404, "No such endpoint.")


async def _migrate(call: Call, datasource: str, account: str) -> Response:
    call.movers_only()
    order = Order(FORWARD, call.instance.datasource(datasource), call.account(account), call.place())
    return await _worked(call, order)


async def _worked(call: Call, order: Order) -> Response:
    operations, limit = call.instance.operations, call.instance.switches.integer("per_instance")
    if limit and operations.under_way() >= limit:
        raise too_many(1)
    operation = operations.post(order)
    await operations.ended(operation)
    if operation.end is None or operation.verdict is None:
        raise RefusedError(503, "The instance was reset.")
    if operation.verdict.state == CONFLICT:
        raise RefusedError(409, operation.verdict.message or "")
    return as_json(result(operation, call.instance.switches))
