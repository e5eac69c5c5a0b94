"""The ways in which an execution can end, brought about inside the sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from ferry.vendors.dmm.sandbox.catalogue import RUNTIME, SOURCE, TARGET, customers
from ferry.vendors.dmm.sandbox.execution import Order
from ferry.vendors.dmm.sandbox.packing import Zip, deflated
from ferry.vendors.dmm.sandbox.starting import begun
from ferry.vendors.dmm.sandbox.uploads import Upload, upload_of
from ferry.vendors.dmm.sandbox.world import World
from sandbox.switches import Value
from sandbox.vendor import Script

QUICK: Mapping[str, Value] = {
    "queue_seconds": 0.1,
    "chunk_seconds": 0.1,
    "chunk_records": 50,
    "not_found_seconds": 0.0,
    "entity_errors": "",
    "fatal_errors": "",
}
ENTITY = "Customer"


def _import(connection: str, fatal_errors: str = "") -> Callable[[Any], Awaitable[str]]:
    async def begin(sandbox: Any) -> str:
        world: World = sandbox.world
        told = {"DestinationDBConnection": connection, "DataAppendMode": True}
        upload = _made_up_zip(world)
        try:
            return await begun(world, world.environments[TARGET], Order("Import", told, upload, fatal_errors=fatal_errors))
        finally:
            upload.path.unlink()

    return begin


async def _export(sandbox: Any) -> str:
    world: World = sandbox.world
    return await begun(world, world.environments[SOURCE], Order("Export", {"DBConnection": RUNTIME}))


def _made_up_zip(world: World) -> Upload:
    """All made-up customers, as a small hand-made zip: none of their cells needs quotes."""
    rows = "".join(f"{key},{row[1]},N'Script {key}',{row[3]}\n" for key, row in customers().rows.items())
    data = deflated(f"{ENTITY}_Data.csv", f"Id,Code,Name,CreatedOn\n{rows}".encode())
    return upload_of(Zip((data, deflated(f"{ENTITY}_Struct.dmm", b"{}\n"))).pieces(), world.folder / f"{uuid4().hex}.zip")


SCRIPTS = {
    "imported": Script("succeeded", _import(RUNTIME), QUICK),
    "exported": Script("succeeded", _export, QUICK, connection="dmm_source"),
    "failed_midway": Script("failed_dirty", _import(RUNTIME, f"{ENTITY}:2"), QUICK),
    "failed_before": Script("failed_clean", _import("no such connection"), QUICK),
}
