"""Exchanges: a vendor verb is a generator that yields requests and is sent answers, so worker and triggerer share every line.

`drive` plays one on a worker, `adrive` in the triggerer; they are the only duplicated lines in the house.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, TypeAlias, TypeVar

from ferry.core.errors import FerryError, TransferBroken
from ferry.core.redact import bare_url
from ferry.core.wire import httpx

T = TypeVar("T")

SAVED = "ferry.saved"
"""Key in `response.extensions` under which a streamed download leaves its `Saved`."""

GUARD = "ferry.guard"
"""Key in `request.extensions`: what is called in the last moment before a request leaves, and raises to keep it here."""

MAX_BODY = 16 * 1024 * 1024
"""Bytes of an answer that is read into memory; anything longer must be streamed to a file."""

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this request after so many seconds; an anonymous one carries no credentials (signed URLs).

    With `save_to`, a 2xx body is streamed into that file under a temporary name and renamed once it is whole.
    """

    request: httpx.Request
    wait: float = 0.0
    anonymous: bool = False
    save_to: Path | None = None


Exchange: TypeAlias = Generator[Ask, httpx.Response, T]


@dataclass(frozen=True, slots=True)
class Saved:
    """A download that arrived whole: where it lies, its size in bytes and its SHA-256."""

    path: Path
    size: int
    sha256: str


class RateGate:
    """Spreads the requests of one connection in this process over time: at most `per_second`, evenly spaced."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second if per_second > 0 else 0.0
        self._next = 0.0
        self._lock = Lock()

    def reserve(self) -> float:
        """Seconds the caller has to wait before its request; the place in the queue is taken."""
        if not self._gap:
            return 0.0
        with self._lock:
            now = time.monotonic()
            due = max(now, self._next)
            self._next = due + self._gap
            return due - now


@dataclass(frozen=True, slots=True)
class Line:
    """A blocking line to one vendor: the client with credentials, the bare one for signed links, the gate."""

    client: httpx.Client
    bare: httpx.Client
    gate: RateGate

    def send(self, ask: Ask) -> httpx.Response:
        """Send one ask and return its answer, read whole or saved."""
        client = self.bare if ask.anonymous else self.client
        answer = client.send(ask.request, stream=True)
        try:
            sink = _Sink.for_answer(ask, answer)
            try:
                for chunk in answer.iter_bytes(_CHUNK):
                    sink.write(chunk)
            except BaseException:
                sink.discard()
                raise
            return sink.finish()
        finally:
            answer.close()


@dataclass(frozen=True, slots=True)
class AsyncLine:
    """The awaiting twin of `Line`, for the triggerer. It looks and does nothing else, so it has no bare client."""

    client: httpx.AsyncClient
    gate: RateGate
    queue: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def turn(self) -> None:
        """Wait for a place in the gate, in order of arrival.

        A place is taken only when it is used: of places that were given away before, an event loop that was held up meanwhile
        would use all that are due by then at once.
        """
        async with self.queue:
            await asyncio.sleep(self.gate.reserve())

    async def send(self, ask: Ask) -> httpx.Response:
        """Send one ask and return its answer, read whole or saved."""
        if ask.anonymous:
            raise RuntimeError("signed links are used on workers only; a trigger looks and does nothing else")
        answer = await self.client.send(ask.request, stream=True)
        try:
            sink = _Sink.for_answer(ask, answer)
            try:
                async for chunk in answer.aiter_bytes(_CHUNK):
                    sink.write(chunk)
            except BaseException:
                sink.discard()
                raise
            return sink.finish()
        finally:
            await answer.aclose()


def drive(line: Line, exchange: Exchange[T], guard: Callable[[], None] | None = None) -> T:
    """Play an exchange to its end on this thread and return what it returns. What goes wrong on the way is thrown into it.

    `guard` is called before whatever may change something leaves, after every pause, login and queue; it raises to keep it here.
    """
    try:
        ask = next(exchange)
        while True:
            time.sleep(ask.wait + line.gate.reserve())
            if guard is not None and ask.request.method not in {"GET", "HEAD"}:
                ask.request.extensions = {**ask.request.extensions, GUARD: guard}
            try:
                answer = line.send(ask)
            except (httpx.RequestError, FerryError) as error:
                ask = exchange.throw(error)
            else:
                ask = exchange.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def adrive(line: AsyncLine, exchange: Exchange[T]) -> T:
    """Play an exchange to its end in this event loop: `drive`, awaiting."""
    try:
        ask = next(exchange)
        while True:
            await asyncio.sleep(ask.wait)
            await line.turn()
            try:
                answer = await line.send(ask)
            except (httpx.RequestError, FerryError) as error:
                ask = exchange.throw(error)
            else:
                ask = exchange.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def heed_guard(request: httpx.Request) -> None:
    """An event hook for clients: httpx calls it when logins are done and nothing but the request itself is left to be sent."""
    if guard := request.extensions.get(GUARD):
        guard()


class _Sink:
    """Takes a body in chunks: into memory up to a limit, or into a file that gets its name only when it is whole."""

    def __init__(self, answer: httpx.Response, path: Path | None) -> None:
        self.answer, self.path = answer, path
        self._size, self._hash, self._parts = 0, hashlib.sha256(), list[bytes]()
        self._part = path.with_name(path.name + ".part") if path else None
        self._file: IO[bytes] | None = self._part.open("wb") if self._part else None

    @classmethod
    def for_answer(cls, ask: Ask, answer: httpx.Response) -> _Sink:
        return cls(answer, ask.save_to if answer.is_success else None)

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._file is not None:
            self._hash.update(chunk)
            self._file.write(chunk)
        elif self._size > MAX_BODY:
            raise TransferBroken(
                f"{bare_url(str(self.answer.url))} answered with more than {MAX_BODY} bytes where a short answer was due; "
                "nothing of it was used. Look at what the vendor sends there."
            )
        else:
            self._parts.append(chunk)

    def discard(self) -> None:
        if self._file is not None and self._part is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def finish(self) -> httpx.Response:
        extensions = dict(self.answer.extensions)
        if self._file is not None and self._part is not None and self.path is not None:
            self._file.close()
            self._check_length()
            self._part.replace(self.path)
            extensions[SAVED] = Saved(self.path, self._size, self._hash.hexdigest())
        headers = [(k, v) for k, v in self.answer.headers.raw if k.lower() not in {b"content-encoding", b"content-length"}]
        return httpx.Response(
            self.answer.status_code,
            headers=headers,
            content=b"".join(self._parts),
            request=self.answer.request,
            extensions=extensions,
        )

    def _check_length(self) -> None:
        told = self.answer.headers.get("content-length")
        if told is None or "content-encoding" in self.answer.headers or int(told) == self._size:
            return
        self.discard()
        raise TransferBroken(
            f"{bare_url(str(self.answer.url))} promised {told} bytes and sent {self._size}; the file was thrown away. "
            "The step may be tried again."
        )
