"""In front of one environment: login, sessions, cookies, a Storage Service that is down; and a call as its handler sees it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ferry.vendors.microstrategy.sandbox import answers
from ferry.vendors.microstrategy.sandbox.answers import RefusedError, as_json, broken, expired, forbidden, missing_header, trimmed
from ferry.vendors.microstrategy.sandbox.asking import Json, flag
from ferry.vendors.microstrategy.sandbox.environment import Environment, Session
from ferry.vendors.microstrategy.sandbox.people import USERS, Project, User

ALPHABET = "0123456789abcdefghijklmnopqrstuv"
LOGIN_MODES = ("1", "16")  # standard, LDAP [D]; API_TOKEN beside them, the others need what a sandbox does not have
API_TOKEN = "4096"  # noqa: S105 (a login mode) [C]
TOKEN, PROJECT = "X-MSTR-AuthToken", "X-MSTR-ProjectID"


@dataclass(slots=True)
class Call:
    """One authenticated request."""

    request: Request
    home: Environment
    session: Session

    @property
    def user(self) -> User:
        """Who is calling."""
        return self.session.user

    def administrators_only(self) -> None:
        """Refuse architects."""
        if not self.user.administrator:
            raise forbidden()

    def id(self) -> str:
        """The id in the path; `%3A` has become a colon already [A]."""
        return str(self.request.path_params["id"])

    def query(self, name: str) -> str:
        """A parameter of the query, whatever the case of its name; empty if there is none."""
        return next((value for key, value in self.request.query_params.items() if key.lower() == name.lower()), "")

    def flag(self, name: str, *, default: bool) -> bool:
        """A yes-or-no of the query, or of the headers: the pages list generateUndo under both [D, T]."""
        return flag(self.query(name) or self.request.headers.get(name), default=default)

    async def body(self) -> Json:
        """The JSON object that was sent."""
        return await json_object(self.request)

    def prefer(self) -> None:
        """Refuse a call without `Prefer: respond-async`, if the switch says so [T]."""
        demanded = self.home.switches.text("prefer_header") == "required"
        if demanded and self.request.headers.get("prefer", "").lower() != "respond-async":
            raise missing_header("Prefer")

    def project(self, kind: str, named: Json) -> Project | None:
        """The project of a create or an import: the header's, demanded for projects, banned for the configuration [D]."""
        strict = self.home.switches.text("project_header") == "strict"
        header = self.request.headers.get(PROJECT, "")
        if kind == "configuration":
            if header and strict:
                raise broken(f"The header {PROJECT} is not allowed for a configuration package.")
            return None
        if not header and strict:
            raise missing_header(PROJECT)
        return self.known_project(header or str(named.get("id", "")), named if header else {})

    def known_project(self, key: str, named: Json) -> Project:
        """A project of this environment by id, which the body must not contradict."""
        known = self.home.projects.get(key)
        if known is None:
            raise broken(f"The project {key} does not exist in this environment.")
        if named.get("id") not in (None, "", known.id):
            raise broken(f"The header {PROJECT} and the project of the body are not the same.")
        return known

    def answer(self, body: Any, status: int = 200) -> Response:
        """A JSON answer, trimmed to the query's `fields`."""
        return as_json(trimmed(self.request, body), status)


Handler = Callable[[Call], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Gateway:
    """Lets calls in to one environment; refusals raised inside become answers."""

    def __init__(self, home: Callable[[], Environment]) -> None:
        self._home = home

    def guard(self, handler: Handler, *, storage: bool = False) -> Endpoint:
        """The handler for logged-in users; `storage` if it needs the Storage Service."""

        async def inside(request: Request) -> Response:
            home = self._home()
            session = self._session(home, request)
            if storage:
                _check_storage(home, request)
            return await handler(Call(request, home, session))

        return self.open(inside)

    def open(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for everybody."""

        async def outside(request: Request) -> Response:
            home = self._home()
            home.agenda.catch_up()
            try:
                response = await endpoint(request)
            except RefusedError as refused:
                response = refused.response(home.switches)
            # A load balancer sends another cookie with every answer [D: seen in samples].
            _set_cookie(response, "AWSALB", secrets.token_urlsafe(24), home.web)
            return response

        return outside

    async def nowhere(self, _request: Request) -> Response:
        """An unknown endpoint, or a method that it does not have [D]."""
        raise RefusedError(404, 4, answers.NO_ENDPOINT)

    async def log_in(self, request: Request) -> Response:
        """204 with the token in a header [D] and the container's cookies."""
        home = self._home()
        user = _who(home, await _credentials(request))
        if user is None:
            raise RefusedError(401, 3, "Login failed")
        token = "".join(secrets.choice(ALPHABET) for _ in range(26))
        cookies = {"JSESSIONID": secrets.token_hex(16).upper(), "iSession": secrets.token_hex(8)}
        home.sessions[token] = Session(token, cookies, user, home.now())
        home.logins += 1
        response = Response(status_code=204, headers={TOKEN: token})
        for name, value in cookies.items():
            _set_cookie(response, name, value, home.web)
        return response

    async def log_out(self, call: Call) -> Response:
        """204; ends this session, or with the switch all of the user's [C]."""
        if call.home.switches.text("logout_ends") == "user":
            own = [token for token, session in call.home.sessions.items() if session.user is call.user]
        else:
            own = [call.session.token]
        for token in own:
            del call.home.sessions[token]
        return Response(status_code=204)

    def _session(self, home: Environment, request: Request) -> Session:
        session = home.sessions.get(request.headers.get(TOKEN, ""))
        if session is None:
            raise expired()
        session.calls += 1
        limit = home.switches.integer("session_calls")
        late = home.now() - session.last > home.switches.integer("session_seconds")
        if late or (limit and session.calls > limit):
            del home.sessions[session.token]
            raise expired()
        _check_cookies(home, session, request.cookies)
        session.last = home.now()  # [A17] any call renews
        return session


async def json_object(request: Request) -> Json:
    """The JSON object of a request, or a refusal."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise RefusedError(400, 6, "The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise RefusedError(400, 6, "The request body is not a JSON object.")
    return body


async def _credentials(request: Request) -> Json:
    # Pages send JSON [D], the official client a form [C].
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(await request.form())
    return await json_object(request)


def _who(home: Environment, told: Json) -> User | None:
    name, mode = str(told.get("username", "")), str(told.get("loginMode", 1))
    if mode == API_TOKEN:  # it travels as the user's name, and nothing as the password [C]
        owner = next((one for one in USERS if secrets.compare_digest(name.encode(), _text(home, one, "api_token"))), "")
        return USERS.get(owner)
    password = _text(home, name, "password") if name in USERS else secrets.token_bytes()
    right = secrets.compare_digest(str(told.get("password", "")).encode(), password)
    return USERS.get(name) if right and mode in LOGIN_MODES else None


def _text(home: Environment, login: str, what: str) -> bytes:
    return home.switches.text(f"{login}_{what}").encode()


def _check_cookies(home: Environment, session: Session, sent: dict[str, str]) -> None:
    wanted = home.switches.text("cookies")
    own = sent.get("JSESSIONID") == session.cookies["JSESSIONID"]
    every = sent.get("iSession") == session.cookies["iSession"] and "AWSALB" in sent
    if (wanted != "ignored" and not own) or (wanted == "all" and not every):
        raise expired()


def _check_storage(home: Environment, request: Request) -> None:
    state = home.switches.text("storage")
    if state == "unreachable":
        raise answers.storage_fault(answers.STORAGE_UNREACHABLE)
    if state == "not_configured" and (request.method != "GET" or request.url.path.endswith("/binary")):
        raise answers.storage_fault(answers.STORAGE_NOT_CONFIGURED)


def _set_cookie(response: Response, name: str, value: str, path: str) -> None:
    # HttpOnly [D]; never Secure, or a client on plain http would not send it back.
    hidden = "; HttpOnly" if name == "JSESSIONID" else ""
    response.raw_headers.append((b"set-cookie", f"{name}={value}; Path={path}{hidden}".encode("latin-1")))
