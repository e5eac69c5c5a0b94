"""GetExecutionStatus and GetExecutionOutputs (contract 3.4, 3.5)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
from starlette.responses import Response, StreamingResponse

from ferry.vendors.dmm.sandbox.answers import as_json
from ferry.vendors.dmm.sandbox.execution import COMPLETE, NOT_FOUND, Execution
from ferry.vendors.dmm.sandbox.hostile import hostile
from ferry.vendors.dmm.sandbox.packing import Blob, Bytes, Noise, OnDisk, Zip, base64_pieces, base64_size, deflated, stored
from ferry.vendors.dmm.sandbox.parameters import flag, key_of, whole
from ferry.vendors.dmm.sandbox.reports import error_report, heading, outputs_report, status_report
from ferry.vendors.dmm.sandbox.works import Exporting
from ferry.vendors.dmm.sandbox.world import UNDER_WAY, Environment, World
from sandbox.switches import Switches

LINES = 10  # [D]
NOISE_FILE_MB = 1024
NEWLINES = {"lf": "\n", "crlf": "\r\n"}
Told = Mapping[str, Any]


def get_status(world: World, home: Environment, told: Told) -> Response:
    """Where an execution stands; unknown ones are NotFound, and the request a success [D2]."""
    reports, logs = flag(told, "IncludeReports"), flag(told, "IncludeLogs")
    lines, page = whole(told, "LogRecords", LINES) or LINES, whole(told, "LogPage", 0)
    execution = _found(world, home, key_of(told))
    if execution is None:
        return as_json(heading(NOT_FOUND))
    body = heading(execution.status)
    if logs:
        body |= _page(execution, lines, page, world.switches)
    if reports:
        body["Report"] = status_report(execution, world.clock.now(), world.switches)
    return as_json(body)


async def get_outputs(world: World, home: Environment, told: Told) -> Response:
    """What an execution left; before its end there is only its status [A]."""
    wanted = {name: flag(told, f"Include{name}") for name in ("Reports", "Logs", "Files", "ErrorReport")}
    execution = _found(world, home, key_of(told))
    if execution is None or execution.status in UNDER_WAY:
        return as_json(heading(execution.status if execution else NOT_FOUND))
    body: dict[str, Any] = heading(execution.status)
    blobs: dict[str, Blob] = {}
    if wanted["Reports"]:
        body["Report"] = outputs_report(execution, world.switches)
    if wanted["ErrorReport"]:
        blobs["ErrorReport"] = Bytes(json.dumps(error_report(execution)).encode())
    if wanted["Logs"]:
        blobs["Logs"] = await anyio.to_thread.run_sync(_logs, execution, world.switches)
    if wanted["Files"]:
        blobs["ZipFile"] = await anyio.to_thread.run_sync(_files, execution, world.switches)
    return _streamed(body, blobs)


def _found(world: World, home: Environment, key: str) -> Execution | None:
    execution = home.executions.get(key)
    hidden = world.switches.number("not_found_seconds")
    return None if execution is None or world.clock.now() < execution.accepted + hidden else execution


def _page(execution: Execution, lines: int, page: int, switches: Switches) -> dict[str, Any]:
    """A page of the log, oldest first [A]; a page that is not given is the first."""
    first = switches.integer("first_log_page")
    start = (max(page, first) - first) * lines
    newline = NEWLINES[switches.text("log_newline")]
    text = "".join(line + newline for line in execution.log[start : start + lines])
    return {"Logs": base64.b64encode(text.encode()).decode(), "LogNumPages": math.ceil(len(execution.log) / lines)}


def _logs(execution: Execution, switches: Switches) -> Blob:
    newline = NEWLINES[switches.text("log_newline")]
    whole_log = "".join(line + newline for line in execution.log).encode()
    members = [deflated(f"execution_{execution.key}.log", whole_log)]
    kind = switches.text("log_zip")
    if kind != "good":
        return hostile(kind, ".log", lambda: b"".join(Zip(tuple(members)).pieces()))
    left, number = switches.integer("log_mb"), 0
    while left > 0:
        number += 1
        members.append(stored(f"execution_{execution.key}_trace_{number}.log", Noise(min(left, NOISE_FILE_MB))))
        left -= NOISE_FILE_MB
    return Zip(tuple(members))


def _files(execution: Execution, switches: Switches) -> Blob:
    """The files of an export that is complete; nothing for whatever else [D2]."""
    if not isinstance(execution.work, Exporting) or execution.status != COMPLETE:
        return Bytes(b"")
    folder = execution.work.folder
    kind = switches.text("data_zip")
    if kind != "good":
        return hostile(kind, "_Data.csv", lambda: b"".join(_packed(folder).pieces()))
    return _packed(folder)


def _packed(folder: Path) -> Zip:
    return Zip(tuple(stored(path.name, OnDisk(path)) for path in sorted(folder.iterdir())))


def _streamed(body: Mapping[str, Any], blobs: Mapping[str, Blob]) -> Response:
    """A JSON object with files as its last texts, in pieces and with its length told beforehand."""
    beginning = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode().removesuffix(b"}")
    names = {name: f',"{name}":"'.encode() for name in blobs}
    length = len(beginning) + 1 + sum(len(names[name]) + base64_size(blob.size) + 1 for name, blob in blobs.items())

    def pieces() -> Iterator[bytes]:
        yield beginning
        for name, blob in blobs.items():
            yield names[name]
            yield from base64_pieces(blob.pieces())
            yield b'"'
        yield b"}"

    return StreamingResponse(pieces(), media_type="application/json", headers={"content-length": str(length)})
