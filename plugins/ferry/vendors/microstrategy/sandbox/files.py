"""The shared file store: packages carried from a place that has no common storage (contract 1.7, 3.3)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from ferry.vendors.microstrategy.sandbox import catalogue as lists
from ferry.vendors.microstrategy.sandbox.answers import broken, missing, unknown
from ferry.vendors.microstrategy.sandbox.asking import Json, optional_part, part, text
from ferry.vendors.microstrategy.sandbox.downloads import as_file
from ferry.vendors.microstrategy.sandbox.environment import new_id
from ferry.vendors.microstrategy.sandbox.gateway import Call, Gateway, Handler
from ferry.vendors.microstrategy.sandbox.making import paged

KIND = "migrations.packages"
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
PIECE = 256 * 1024


def file_routes(base: str, gateway: Gateway) -> list[Route]:
    """All of it belongs to administrators."""
    every = f"{base}/mstrServices/library/storage/sharedFileStore/files"
    one = f"{every}/{{id}}"

    def route(path: str, handler: Handler, method: str) -> Route:
        async def by_administrators(call: Call) -> Response:
            call.administrators_only()
            return await handler(call)

        return Route(path, gateway.guard(by_administrators, storage=True), methods=[method])

    return [
        route(every, _announce, "POST"),
        route(every, _list, "GET"),
        route(f"{one}/binary", _put, "PUT"),
        route(f"{one}/binary", _get, "GET"),
        route(one, _delete, "DELETE"),
    ]


async def _announce(call: Call) -> Response:
    """Say what file will come; answers the id to send it to."""
    body = await call.body()
    _check(call, body)
    base_name = new_id()
    stamp = call.home.stamp()
    extra = part(body, "extraInfo")
    file = {
        "id": base64.b64encode(f"{KIND}:{base_name}".encode()).decode(),  # [D] decoded from samples
        **{name: body[name] for name in ("name", "type", "size", "sha256", "extension")},
        "environment": optional_part(body, "environment"),
        "path": f"mstr/shared/migrations/packages/{stamp[:10]}/{base_name}.mmp",
        "creator": call.user.short(),
        "creationDate": stamp,
        "lastUpdatedDate": stamp,
        "extraInfo": {
            "packageId": new_id(),
            "packageType": extra["packageType"],
            "packagePurpose": extra.get("packagePurpose") or lists.PURPOSES[0],
        },
    }
    call.home.files[file["id"]] = file
    return call.answer(call.home.file(file["id"]))


async def _put(call: Call) -> Response:
    """Take the bytes and compare them with what was announced."""
    file = _known(call)
    async with call.request.form() as form:
        sent = form.get("file")
        if not isinstance(sent, UploadFile):
            raise missing("file")
        size, digest = await _take(call, sent, file)
    if (size, digest) != (file["size"], str(file["sha256"]).lower()):
        call.home.storage.arrived(file["path"], size)
        call.home.storage.delete(file["path"])
        raise broken(f"The file has {size} bytes and the SHA-256 {digest}, which is not what was announced.")  # [A]
    call.home.storage.arrived(file["path"], size)
    file["lastUpdatedDate"] = call.home.stamp()
    return call.answer(call.home.file(call.id()))


async def _take(call: Call, sent: UploadFile, file: Json) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with call.home.storage.place(file["path"]).open("wb") as out:
        while piece := await sent.read(PIECE):
            digest.update(piece)
            size += out.write(piece)
    return size, digest.hexdigest()


async def _list(call: Call) -> Response:
    kind = call.query("type")
    rows = [call.home.file(key) for key, file in call.home.files.items() if kind in ("", file["type"])]
    return call.answer(paged(call.request.query_params, rows))


async def _get(call: Call) -> Response:
    file = _known(call)
    if not call.home.storage.has(file["path"]):
        raise unknown(f"The content of the file {call.id()}")
    return as_file(call.home.storage, file["path"], file["name"])


async def _delete(call: Call) -> Response:
    file = _known(call)
    del call.home.files[file["id"]]
    call.home.storage.delete(file["path"])
    return Response(status_code=204)


def _check(call: Call, body: Json) -> None:
    switches = call.home.switches
    text(body, "name")
    if text(body, "type") != KIND or text(body, "extension") != "mmp":
        raise broken(f"type is {KIND}, extension is mmp.")
    size: Any = body.get("size")
    if type(size) is not int or size < 0:
        raise missing("size")
    if size > switches.integer("max_package_bytes"):
        raise broken(f"The file has {size} bytes, more than the limit.")  # [D] 2 GB
    if not SHA256.fullmatch(text(body, "sha256")):
        raise broken("sha256 is not a SHA-256 in hex.")
    if text(part(body, "extraInfo"), "packageType") not in lists.UPLOADED_TYPES:
        raise broken(f"{body['extraInfo']['packageType']} is not a package type.")
    if len(call.home.files) >= switches.integer("max_uploaded"):
        raise broken("There are too many uploaded packages; delete some.")  # [D] 1000


def _known(call: Call) -> Json:
    file = call.home.files.get(call.id())
    if file is None:
        raise unknown(f"The file {call.id()}")
    return file
