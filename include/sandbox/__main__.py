"""`python -m sandbox`: the vendors on a port of this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.app import Sandbox, discover
from sandbox.server import bound, serve, url_of
from sandbox.switches import BadSwitchError, Value
from sandbox.vendor import VendorSandbox


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; 2 if the command line makes no sense."""
    asked = _parser().parse_args(arguments)
    try:
        vendors = discover()
        app = Sandbox(asked.data, speed=asked.speed, switches=switches_of(asked.switch, vendors), vendors=vendors)
        listener = bound(asked.host, asked.port)
    except (BadSwitchError, OSError) as error:
        print(f"The sandbox did not start: {error}", file=sys.stderr)  # noqa: T201  # a command line program
        return 2
    ready = f"Sandbox listens on {url_of(listener)}"
    with listener:
        serve(app, listener, lambda: print(ready, flush=True)).run(sockets=[listener])  # noqa: T201  # callers wait for this line
    return 0


def switches_of(texts: list[str], vendors: dict[str, type[VendorSandbox]]) -> dict[str, dict[str, Value]]:
    """The values of `--switch vendor.name=value` options, in the switches' types."""
    wanted: dict[str, dict[str, Value]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        vendor, dot, name = place.partition(".")
        if not (equals and dot):
            raise BadSwitchError(f"--switch takes VENDOR.NAME=VALUE, not {text!r}.")
        known = {switch.name: switch for switch in vendors[vendor].SWITCHES} if vendor in vendors else {}
        if name not in known:
            raise BadSwitchError(f"Unknown switch {place!r}. {vendor} has: {', '.join(sorted(known)) or 'none'}.")
        wanted.setdefault(vendor, {})[name] = known[name].parsed(value)
    return wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Play the vendors for a rehearsal.")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one (default 8765)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1, this machine only)")
    parser.add_argument("--data", type=Path, required=True, help="folder for uploaded and made files; emptied at start")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per real second (default 1)")
    parser.add_argument("--switch", action="append", default=[], metavar="VENDOR.NAME=VALUE", help="may be repeated")
    return parser


if __name__ == "__main__":
    sys.exit(main())
