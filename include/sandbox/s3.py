"""An S3 look-alike for signed URLs: any vendor may keep files in one, and hand out links that really expire."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.sax.saxutils import escape

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sandbox.clock import Clock
from sandbox.sigv4 import Key, RefusedSignatureError, check_url, encoded_path, signed_url

PIECE = 256 * 1024
DEMO_KEY = Key(
    access="ASIASANDBOXEXAMPLE00",
    secret="sandbox/secret+of/no+value",  # noqa: S106  # signs only this sandbox's own links
    token="IQoJb3JpZ2luX2VjE+sandbox/session//token+of+no+value==",  # noqa: S106  # + and / tempt clients to re-encode
)


@dataclass(frozen=True, slots=True)
class Wire:
    """What the store asks its owner on every request: which verb uploads use, and which headers betray a client's credentials."""

    upload_verb: Callable[[], str] = lambda: "PUT"
    refused_headers: Callable[[], tuple[str, ...]] = lambda: ()


class Store:
    """Objects on disk by bucket and key, reachable only through signed URLs below `/<vendor>/s3/`.

    Expiry is judged by the sandbox's simulated clock, by which the URLs were also signed: one clock for everything a vendor does.
    """

    METHODS: ClassVar[list[str]] = ["GET", "HEAD", "PUT", "POST", "DELETE"]

    def __init__(self, vendor: str, folder: Path, clock: Clock, wire: Wire | None = None) -> None:
        self._prefix = f"/{vendor}/s3"
        self._folder = folder
        self._clock = clock
        self._wire = wire or Wire()
        self._stored: dict[tuple[str, str], Callable[[int, float], None]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, bucket: str, key: str) -> Path:
        """Where an object's bytes are or would be; keys never become file names."""
        return self._folder / hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()

    def on_upload(self, bucket: str, key: str, tell: Callable[[int, float], None]) -> None:
        """Have `tell(size, simulated time)` called whenever this object has been uploaded."""
        self._stored[bucket, key] = tell

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object, if it is there."""
        self.path(bucket, key).unlink(missing_ok=True)

    def snapshot(self, bucket: str, key: str, target: Path) -> None:
        """Keep an object's bytes as they are now: a later upload replaces the file and leaves the snapshot alone."""
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(self.path(bucket, key), target)

    def upload_url(self, request: Request, bucket: str, key: str, seconds: int) -> str:
        """A signed URL to upload to, on the host by which the client reached us."""
        return self._signed(request, self._wire.upload_verb(), f"{bucket}/{key}", seconds, {})

    def download_url(self, request: Request, bucket: str, key: str, seconds: int, name: str = "data.csv") -> str:
        """A signed URL to download from; the answer will carry the file name."""
        params = {"response-content-disposition": f'inline; filename="{name}"'}
        return self._signed(request, "GET", f"{bucket}/{key}", seconds, params)

    def _signed(self, request: Request, method: str, place: str, seconds: int, params: dict[str, str]) -> str:
        base = f"{request.url.scheme}://{request.headers['host']}{self._prefix}/"
        url = base + encoded_path(place)
        return signed_url(DEMO_KEY, method, url, seconds=seconds, moment=self._clock.moment(), params=params)

    async def serve(self, request: Request) -> Response:
        """Answer a request for `/s3/{bucket}/{key:path}`; the vendor's routes pass METHODS on to here."""
        bucket, key = request.path_params["bucket"], request.path_params["key"]
        try:
            params = self._checked(request)
            if request.method == "GET":
                return await self._get(bucket, key, params)
            if request.method == self._wire.upload_verb():
                return await self._put(request, bucket, key)
        except RefusedSignatureError as error:
            return xml_error(error)
        return xml_error(RefusedSignatureError(405, "MethodNotAllowed", "The specified method is not allowed here."))

    def _checked(self, request: Request) -> dict[str, str]:
        if "authorization" in request.headers:
            text = (
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified"
            )
            raise RefusedSignatureError(400, "InvalidArgument", text, ArgumentName="Authorization", ArgumentValue="(hidden)")
        for name in self._wire.refused_headers():
            if name in request.headers:
                text = "A header of the vendor's API reached the storage service."
                raise RefusedSignatureError(400, "InvalidRequest", text, Header=name)
        raw_path = request.scope["raw_path"].split(b"?")[0].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        host = request.headers.get("host", "")
        return check_url(DEMO_KEY, request.method, raw_path, query, host=host, moment=self._clock.moment())

    async def _get(self, bucket: str, key: str, params: dict[str, str]) -> Response:
        path = self.path(bucket, key)
        if not path.is_file():
            raise RefusedSignatureError(404, "NoSuchKey", "The specified key does not exist.", Key=key)
        return file_response(path, {"content-disposition": params.get("response-content-disposition", "inline")})

    async def _put(self, request: Request, bucket: str, key: str) -> Response:
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise RefusedSignatureError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        target = self.path(bucket, key)
        partial = target.with_name(f"{target.name}.{secrets.token_hex(8)}")
        tag = hashlib.md5(usedforsecurity=False)
        size = 0
        try:
            with partial.open("wb") as file:
                async for piece in request.stream():
                    file.write(piece)
                    tag.update(piece)
                    size += len(piece)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        if tell := self._stored.get((bucket, key)):
            tell(size, self._clock.now())
        return Response(status_code=200, headers={"etag": f'"{tag.hexdigest()}"'})


def file_response(path: Path, headers: dict[str, str], media_type: str = "text/csv") -> Response:
    """A file streamed with its length, opened at once so that a later replacement does not tear it."""
    file = path.open("rb")
    size = os.fstat(file.fileno()).st_size

    async def pieces() -> AsyncIterator[bytes]:
        with file:
            while piece := await anyio.to_thread.run_sync(file.read, PIECE):
                yield piece

    return StreamingResponse(pieces(), media_type=media_type, headers={"content-length": str(size), **headers})


def xml_error(error: RefusedSignatureError) -> Response:
    """A refusal as S3 writes it."""
    elements = {"Code": error.code, "Message": error.message, **error.details}
    elements["RequestId"] = secrets.token_hex(8).upper()
    elements["HostId"] = secrets.token_urlsafe(24)
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    return Response(body, status_code=error.status, media_type="application/xml")
