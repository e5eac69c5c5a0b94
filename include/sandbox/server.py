"""Serving the sandbox: on a port from the command line, or in a thread for tests."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import uvicorn

from sandbox.app import Sandbox
from sandbox.switches import Value
from sandbox.vendor import VendorSandbox

# Validation of big files runs in threads; handing the interpreter over five times as often keeps polls quick meanwhile.
SWITCH_INTERVAL = 0.001
PATIENCE = 30  # seconds for the thread to start or stop; only a broken machine needs more

Http = Literal["auto", "h11", "httptools"]


class Server(uvicorn.Server):
    """uvicorn, telling when it is ready to be asked."""

    def __init__(self, config: uvicorn.Config, tell_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_ready = tell_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then tell."""
        await super().startup(sockets)
        self._tell_ready()


def serve(app: Sandbox, listener: socket.socket, tell_ready: Callable[[], None], http: Http = "auto") -> Server:
    """A server for the sandbox on a bound socket; the caller runs it."""
    listener.listen(2048)
    sys.setswitchinterval(SWITCH_INTERVAL)
    config = uvicorn.Config(
        app,
        http=http,
        ws="none",
        log_level="warning",
        access_log=False,
        # A wrapper around `send` would hide the connection from the faults.
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
        # Longer than a client's polling interval: a connection closed between two polls would look like a lost answer.
        timeout_keep_alive=75,
    )
    return Server(config, tell_ready)


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to the port, or to a free one if the port is 0."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The base URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def running(
    data: Path,
    *,
    speed: float = 1.0,
    switches: Mapping[str, Mapping[str, Value]] | None = None,
    vendors: Mapping[str, type[VendorSandbox]] | None = None,
    http: Http = "auto",
) -> Iterator[str]:
    """A sandbox on a free loopback port for as long as the block runs; gives its base URL."""
    app = Sandbox(data, speed=speed, switches=switches, vendors=vendors)
    listener = bound("127.0.0.1", 0)
    ready = threading.Event()
    server = serve(app, listener, ready.set, http)
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            server.run(sockets=[listener])
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread below, SystemExit included
            trouble.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="sandbox", daemon=True)
    interval = sys.getswitchinterval()
    thread.start()
    try:
        if not ready.wait(PATIENCE) or trouble or not server.started:
            raise RuntimeError("The sandbox did not start.") from _first(trouble)
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
        sys.setswitchinterval(interval)


def _first(trouble: list[BaseException]) -> Any:
    return trouble[0] if trouble else None
