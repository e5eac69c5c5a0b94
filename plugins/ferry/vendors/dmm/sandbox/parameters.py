"""Parameters of a call, from its query or its body. The platform refuses what is missing or of the wrong type with a 400 [P]."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from starlette.requests import Request

from ferry.vendors.dmm.sandbox.answers import PlatformError
from ferry.vendors.dmm.sandbox.uploads import UnreadableBodyError, Upload, taken_apart

MIB = 1024 * 1024
ID = "MainExecutionTrackerId"
YES_NO = {"true": True, "false": False, "1": True, "0": False}
Told = Mapping[str, Any]


class Body:
    """A body on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def taken_apart(self) -> tuple[dict[str, Any], Upload | None]:
        """Its parameters and its zip, or a 400."""
        try:
            return await anyio.to_thread.run_sync(taken_apart, self._path, self._path.parent)
        except UnreadableBodyError as error:
            raise PlatformError(400, f"The parameter or body could not be read: {error}") from error


@asynccontextmanager
async def spooled(request: Request, folder: Path, most_mb: int) -> AsyncIterator[Body]:
    """A body for as long as the block runs; it is read to its end in any case, or the client would not see a refusal."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    path, size = folder / f"{uuid4().hex}.body", 0
    try:
        with path.open("wb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size <= most_mb * MIB:
                    file.write(piece)
        if kind != "application/json":
            raise PlatformError(415, "The request body is not application/json.")
        if size > most_mb * MIB:
            raise PlatformError(413, "The request body is too large.")
        yield Body(path)
    finally:
        path.unlink(missing_ok=True)


async def from_body(request: Request, folder: Path, most_mb: int) -> tuple[dict[str, Any], Upload | None]:
    """The parameters of a JSON body."""
    async with spooled(request, folder, most_mb) as body:
        return await body.taken_apart()


def from_query(request: Request) -> dict[str, Any]:
    """The parameters of a query, as texts."""
    return dict(request.query_params)


def key_of(told: Told) -> str:
    """The id of an execution: its type is undocumented, so a number and a text are both good [A]."""
    key = told.get(ID)
    if isinstance(key, bool) or not isinstance(key, int | str) or key == "":
        raise PlatformError(400, f"The parameter {ID} is missing or has the wrong type.")
    return str(key)


def text(told: Told, name: str) -> str:
    """A text that must be there."""
    value = told.get(name)
    if not isinstance(value, str) or not value:
        raise PlatformError(400, f"The parameter {name} is missing or has the wrong type.")
    return value


def flag(told: Told, name: str) -> bool:
    """Yes or no; no without it."""
    value = told.get(name, False)
    known = YES_NO.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise PlatformError(400, f"The parameter {name} has the wrong type.")
    return known


def whole(told: Told, name: str, default: int) -> int:
    """A whole number, not negative."""
    value = told.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:9])
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PlatformError(400, f"The parameter {name} has the wrong type.")
    return value
