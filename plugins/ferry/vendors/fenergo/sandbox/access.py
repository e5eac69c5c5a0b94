"""Who may call: tokens, tenant, scopes, rate limits, versions that are gone, and refusals injected by switches."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import Response

from ferry.vendors.fenergo.sandbox.answers import RefusedError, complaint, forbidden, json_response, unauthorized
from sandbox.clock import Clock
from sandbox.switches import Switches

READ, WRITE = "fenx.datamigration.read", "fenx.datamigration.write"  # [S]
SCOPE_LIMIT = 300  # characters of the scope field [S]
THROTTLE_SECONDS = 300.0
END_OF_LIFE = "Sat, 31 Dec 2033 23:59:59 GMT"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Token:
    """One access token: when it ends, what it may do, how often it was used."""

    ends: float
    scopes: frozenset[str]
    calls: int = 0


class Access:
    """The gateway in front of both services, and the token endpoint."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self.reset()

    def reset(self) -> None:
        """Forget all tokens and counts."""
        self._tokens: dict[str, Token] = {}
        self._token_calls: dict[str, deque[float]] = {}
        self._window = (0, 0)
        self._calls = 0
        self.tokens_given = 0

    def guard(self, handler: Handler, scope: str, version: str = "") -> Handler:
        """The handler behind the gateway; refusals raised inside become answers."""

        async def guarded(request: Request) -> Response:
            try:
                self._let_in(request, scope, version)
                response = await handler(request)
            except RefusedError as refused:
                response = refused.response()
            if self._switches.flag("sunset_headers"):
                response.headers["sunset"] = END_OF_LIFE
                response.headers["deprecation"] = "true"
            return response

        return guarded

    async def token(self, request: Request) -> Response:
        """Client credentials grant: form body, credentials in it or as Basic [D, S]."""
        try:
            self._throttle(request.client.host if request.client else "")
            form = {name: str(value) for name, value in (await request.form()).items()}
            self._check_client(form, request.headers.get("authorization", ""))
            scopes = _scopes(form)
        except RefusedError as refused:
            return refused.response()
        life = self._switches.integer("token_seconds")
        text = _jwt_like(self._clock.now() + life)
        self._tokens[text] = Token(self._clock.now() + life, scopes)
        self.tokens_given += 1
        body = {"access_token": text, "expires_in": life, "token_type": "Bearer", "scope": " ".join(sorted(scopes))}
        return json_response(body, headers={"cache-control": "no-store"})

    def _let_in(self, request: Request, scope: str, version: str) -> None:
        self._limit_rate()
        tenant = request.headers.get("x-tenant-id")
        if not tenant:
            raise RefusedError(400, {"ErrorCode": "MissingTenantHeader"})  # [S]
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        token = self._tokens.get(text)
        if kind.lower() != "bearer" or token is None:
            raise unauthorized()
        token.calls += 1
        limit = self._switches.integer("token_calls")
        if self._clock.now() >= token.ends or (limit and token.calls > limit):
            del self._tokens[text]
            raise unauthorized()
        if scope not in token.scopes or tenant != self._switches.text("tenant"):
            raise forbidden()
        self._inject()
        if version and version == self._switches.text("gone_version"):
            text = "This endpoint is obsolete and was terminated on 2033-12-31"
            raise RefusedError(410, complaint(text, code="OBSOLETE_ENDPOINT"))

    def _limit_rate(self) -> None:
        allowed = self._switches.integer("requests_per_second")
        if not allowed:
            return
        second = int(time.monotonic())  # real time: the limit protects a server, however fast its clock runs
        count = self._window[1] + 1 if self._window[0] == second else 1
        self._window = (second, count)
        if count > allowed:
            raise _too_many()

    def _inject(self) -> None:
        every = self._switches.integer("inject_every")
        if not every:
            return
        self._calls += 1
        if self._calls % every == 0:
            status = self._switches.integer("inject_status")
            raise RefusedError(status, {"message": f"Injected {status}"})

    def _throttle(self, client: str) -> None:
        allowed = self._switches.integer("token_throttle")
        now = time.monotonic()
        calls = self._token_calls.setdefault(client, deque())
        while calls and calls[0] < now - THROTTLE_SECONDS:
            calls.popleft()
        if allowed and len(calls) >= allowed:
            raise _too_many()
        calls.append(now)

    def _check_client(self, form: dict[str, str], header: str) -> None:
        if form.get("grant_type") != "client_credentials":
            raise RefusedError(400, {"error": "unsupported_grant_type"})
        given = _basic(header) if header else (form.get("client_id", ""), form.get("client_secret", ""))
        wanted = (self._switches.text("client_id"), self._switches.text("client_secret"))
        if not all(secrets.compare_digest(a.encode(), b.encode()) for a, b in zip(given, wanted, strict=True)):
            raise RefusedError(400, {"error": "invalid_client"})


def _too_many() -> RefusedError:
    return RefusedError(429, {"message": "Too Many Requests"})


def _basic(header: str) -> tuple[str, str]:
    kind, _, text = header.partition(" ")
    try:
        name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError as error:
        raise RefusedError(400, {"error": "invalid_client"}) from error
    if kind.lower() != "basic":
        raise RefusedError(400, {"error": "invalid_client"})
    return unquote_plus(name), unquote_plus(secret)


def _scopes(form: dict[str, str]) -> frozenset[str]:
    text = form.get("scope", "")
    asked = frozenset(text.split()) or frozenset({READ, WRITE})
    if len(text) > SCOPE_LIMIT or not asked <= {READ, WRITE}:
        raise RefusedError(400, {"error": "invalid_scope"})
    return asked


def _jwt_like(ends: float) -> str:
    def part(data: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part({'exp': int(ends), 'iss': 'sandbox'})}.{secrets.token_urlsafe(32)}"
