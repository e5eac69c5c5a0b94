"""The thin layer between the socket and a vendor: keeps the request log and carries out faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sandbox.faults import Fault
from sandbox.journal import LogEntry

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

GARBAGE = b"\x00\xff<<<this is not what you were promised>>>\xfe\x00"


def transport_of(send: Send) -> asyncio.Transport:
    """The client's connection: uvicorn's `send` is a method of its request cycle, which holds it (httptools and h11 alike)."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("The sandbox can only close connections when uvicorn serves it directly, without a wrapper.")
    return transport  # type: ignore[no-any-return]  # uvicorn does not type its cycle for us


async def hang_up(receive: Receive, send: Send, *, politely: bool = False) -> None:
    """Close the client's TCP connection, after flushing if `politely`, and wait until uvicorn has noticed.

    Waiting matters: an application that ends without an answer on an open connection would be given a 500 by uvicorn.
    """
    transport = transport_of(send)
    if politely:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


class Exchange:
    """One request being answered: its log entry, its fault if any, and the two ends of the ASGI conversation."""

    def __init__(self, entry: LogEntry, receive: Receive, send: Send) -> None:
        self._entry = entry
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """The client's next message; its bytes are counted."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._entry.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on; status and bytes are noted first, so that whoever has the answer also finds it in the log."""
        if message["type"] == "http.response.start":
            self._entry.status = message["status"]
        elif message["type"] == "http.response.body":
            self._entry.sent += len(message.get("body", b""))
        await self._send(message)

    async def play(self, app: App, scope: Scope, fault: Fault) -> None:
        """Answer with a fault."""
        self._entry.fault = fault.action
        settings = fault.settings
        if fault.action == "drop_before":
            await hang_up(self._receive, self._send)
        elif fault.action == "drop_after":
            await app(scope, self.receive, _swallow)
            await hang_up(self._receive, self._send)
        elif fault.action == "delay":
            await asyncio.sleep(settings["seconds"])
            await app(scope, self.receive, self.send)
        elif fault.action == "truncate":
            await self._truncated(app, scope, settings["bytes"])
        elif fault.action == "garbage":
            body = settings["body"].encode() if "body" in settings else GARBAGE
            await self._answer(200, {"content-type": "application/json"}, body)
        else:
            await self._answer(settings["status"], settings.get("headers", {}), settings.get("body", "").encode())

    async def _answer(self, status: int, headers: dict[str, Any], body: bytes) -> None:
        while (message := await self.receive())["type"] == "http.request" and message.get("more_body"):
            pass
        raw = [(name.lower().encode("latin-1"), str(value).encode("latin-1")) for name, value in headers.items()]
        raw.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    async def _truncated(self, app: App, scope: Scope, limit: int) -> None:
        left = limit
        ended = False

        async def cut(message: Message) -> None:
            nonlocal left, ended
            if ended:
                return
            body = message.get("body", b"")
            if message["type"] == "http.response.body":
                ended = len(body) >= left or not message.get("more_body", False)
                message = {**message, "body": body[:left], "more_body": True}
                left -= len(message["body"])
            await self.send(message)

        await app(scope, self.receive, cut)
        await hang_up(self._receive, self._send, politely=True)


async def _swallow(_message: Message) -> None:
    """Take an answer that nobody will ever see."""
