"""A server on a loopback port that answers byte for byte what a test says, and remembers byte for byte what it was sent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

Answer = bytes | None | Callable[[socket.socket], None]
"""Bytes to send, None to hang up without a word, or what to do with the connection."""


@dataclass
class Asked:
    """One request as it came."""

    target: str
    method: str
    headers: list[tuple[str, str]]
    size: int
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Loopback:
    """The next answers in order (the last one again and again), and the requests so far."""

    host: str
    port: int
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def will(self, *answers: Answer) -> Loopback:
        self.answers = list(answers)
        return self


def answer(status: int = 200, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A whole answer; `length` lies about the body's."""
    lines = [
        f"HTTP/1.1 {status} Said",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def loopback(host: str = "127.0.0.1") -> Iterator[Loopback]:
    """The server, for as long as the block runs."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        server = Loopback(host, listener.getsockname()[1])
        thread = Thread(target=_serve, args=(listener, server), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _serve(listener: socket.socket, server: Loopback) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        Thread(target=_converse, args=(connection, server), daemon=True).start()


def _converse(connection: socket.socket, server: Loopback) -> None:
    with connection, connection.makefile("rb") as stream:
        try:
            first = stream.readline().decode()
            if not first:
                return
            method, target, _ = first.split(" ", 2)
            headers = [tuple(line.split(": ", 1)) for line in _head(stream)]
            asked = Asked(target, method, headers, 0)  # type: ignore[arg-type]
            if asked.header("Expect") == "100-continue":  # clients of S3 send no body before they are told to
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            for piece in _body(stream, asked):
                asked.size += len(piece)
                asked.body = (asked.body + piece)[:4096]
            server.asked.append(asked)
            reply = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            if callable(reply):
                reply(connection)
            elif reply:
                connection.sendall(reply)
        except (ConnectionError, TimeoutError):
            return


def _head(stream) -> Iterable[str]:
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        yield line


def _body(stream, asked: Asked) -> Iterator[bytes]:
    if (asked.header("Transfer-Encoding") or "").lower() == "chunked":
        while size := int(stream.readline(), 16):
            yield stream.read(size)
            stream.readline()
        stream.readline()
        return
    left = int(asked.header("Content-Length") or 0)
    while left and (piece := stream.read(min(left, 65536))):
        left -= len(piece)
        yield piece
