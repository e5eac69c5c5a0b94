"""Fenergo's Data Migration API played on a socket, from its contract and never from Ferry's client.

Both services, the token endpoint, signed links that expire, an all-or-nothing policy check, the two result files and the
alternate-ID ingestion. What the vendor left open is a switch (`quirks.py`); what is invented is the policy (`policy.py`).
"""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ferry.vendors.fenergo.sandbox.access import Access
from ferry.vendors.fenergo.sandbox.command import CommandService
from ferry.vendors.fenergo.sandbox.policy import INGESTION_TABLES
from ferry.vendors.fenergo.sandbox.query import QueryService
from ferry.vendors.fenergo.sandbox.quirks import SWITCHES
from ferry.vendors.fenergo.sandbox.scripts import SCRIPTS
from ferry.vendors.fenergo.sandbox.world import World
from sandbox.clock import Clock
from sandbox.control import BadControlError, json_pieces, posted
from sandbox.s3 import Store
from sandbox.switches import Switches
from sandbox.vendor import VendorSandbox

HAND_MADE = frozenset({"tableName", "name", "fenxId", "alternateId"})


class FenergoSandbox(VendorSandbox):
    """The tenant and its two services."""

    name = "fenergo"
    SWITCHES = SWITCHES
    SCRIPTS = SCRIPTS

    def __init__(self, clock: Clock, folder: Path, switches: Switches) -> None:
        super().__init__(clock, folder, switches)
        self._lives = 0
        self._world: World | None = None
        self._access = Access(clock, switches)

    @property
    def world(self) -> World:
        """The tenant as it is in this life."""
        if self._world is None:
            raise RuntimeError("The sandbox has not been started.")
        return self._world

    def routes(self) -> list[BaseRoute]:
        """The vendor's paths, the status call first: it is asked thousands of times a second."""
        return [
            *QueryService(lambda: self.world, self._access).routes(),
            *CommandService(lambda: self.world, self._access).routes(),
            Route("/connect/token", self._access.token, methods=["POST"]),
            Route("/s3/{bucket}/{key:path}", self._storage, methods=Store.METHODS),
        ]

    def control_routes(self) -> list[BaseRoute]:
        """Records made by hand, and the records of a table as CSV."""
        return [
            Route("/records", self._make_record, methods=["POST"]),
            Route("/records.csv", self._records_csv, methods=["GET"]),
        ]

    def state(self, query: Mapping[str, str]) -> Iterator[bytes]:
        """Everything; ?table= shows the records of one table only, ?records=none leaves them out."""
        world = self.world
        wanted = [query["table"]] if query.get("table") else world.vault.tables()
        names = [] if query.get("records") == "none" else wanted
        return json_pieces(
            {
                # Taken here, in the event loop; only the records are read later, in a thread and from the database.
                "migrations": iter([migration.to_json() for migration in world.migrations.values()]),
                "ingestions": iter([ingestion.to_json() for ingestion in world.ingestions.values()]),
                "overwrites": iter(list(world.overwrites)),
                "counters": self._counters(world),
                "records": {name: world.vault.records(name) for name in names},
            }
        )

    async def reset(self) -> None:
        """A new life in a new folder, so that work of the old one cannot touch it."""
        await self.close()
        self._lives += 1
        self._access.reset()
        self._world = World(self.clock, self.switches, self.folder / f"life-{self._lives}")

    async def close(self) -> None:
        """End this life."""
        if self._world is not None:
            await self._world.end()
            self._world = None

    async def _storage(self, request: Request) -> Response:
        return await self.world.store.serve(request)

    async def _make_record(self, request: Request) -> Response:
        wanted = await posted(request)
        table = INGESTION_TABLES.get(wanted.get("tableName", ""), wanted.get("tableName", ""))
        texts = all(isinstance(value, str) for value in wanted.values())
        if not texts or set(wanted) - HAND_MADE or table not in INGESTION_TABLES.values():
            raise BadControlError(
                f"Post tableName and name, with fenxId and alternateId if you like: {sorted(INGESTION_TABLES)}."
            )
        fields = {"name": wanted.get("name", "")}
        try:
            fenx = self.world.vault.add_by_hand(table, fields, wanted.get("alternateId"), wanted.get("fenxId"))
        except (ValueError, sqlite3.IntegrityError) as error:
            raise BadControlError("fenxId is not a UUID, or the tenant has one of the two ids already.") from error
        return JSONResponse({"tableName": table, "fenxId": fenx}, status_code=201)

    async def _records_csv(self, request: Request) -> Response:
        table = request.query_params.get("table", "")
        return StreamingResponse(_as_csv(self.world, table), media_type="text/csv")

    def _counters(self, world: World) -> dict[str, int]:
        return {
            "migrations": len(world.migrations),
            "starts": sum(migration.starts for migration in world.migrations.values()),
            "ingestions": len(world.ingestions),
            "tokens": self._access.tokens_given,
        }


def _as_csv(world: World, table: str) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(("tableName", "alternateId", "fenxId"))
    for record in world.vault.records(table):
        writer.writerow((table, record["alternateId"] or "", record["fenxId"]))
        if buffer.tell() > 64 * 1024:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


SANDBOX = FenergoSandbox
