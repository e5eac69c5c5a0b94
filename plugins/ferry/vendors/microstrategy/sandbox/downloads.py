"""Packages and undo packages as bytes (contract 3.1)."""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ferry.vendors.microstrategy.sandbox.answers import unknown
from ferry.vendors.microstrategy.sandbox.gateway import Call, Gateway
from ferry.vendors.microstrategy.sandbox.storage import Storage


def download_routes(base: str, gateway: Gateway) -> list[Route]:
    """Both need the package half or the import half of an id, not the whole."""
    return [
        Route(f"{base}/migrations/packages/{{id}}/binary", gateway.guard(_package, storage=True), methods=["GET"]),
        Route(f"{base}/migrations/imports/{{id}}/binary", gateway.guard(_undo, storage=True), methods=["GET"]),
    ]


async def _package(call: Call) -> Response:
    call.administrators_only()
    storage = call.home.storage
    for record in call.home.records():
        if record.package.id == call.id() and storage.has(record.package.path):
            return as_file(storage, record.package.path, record.group.name if record.group else record.package.name)
    raise unknown(f"The package {call.id()}")


async def _undo(call: Call) -> Response:
    call.administrators_only()
    for record in call.home.records():
        if record.importing.id == call.id() and record.importing.undo:
            return as_file(call.home.storage, record.importing.undo["path"], record.importing.id)
    raise unknown(f"The undo package of {call.id()}")


def as_file(storage: Storage, path: str, name: str) -> Response:
    """A file as an attachment, its name without quotes as the vendor writes it [C]."""
    printable = "".join(letter if letter.isprintable() else "_" for letter in name.removesuffix(".mmp"))
    answer = StreamingResponse(storage.pieces(path), media_type="application/octet-stream")
    answer.headers["content-length"] = str(storage.size(path))
    disposition = f"attachment; filename={printable}.mmp".encode("latin-1", "replace")
    answer.raw_headers.append((b"content-disposition", disposition))
    return answer
