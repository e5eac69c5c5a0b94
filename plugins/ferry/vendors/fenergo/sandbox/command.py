"""The Command service: everything that writes. v1 paths equal the v2 ones but for creation and upload [D]."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ferry.vendors.fenergo.sandbox.access import WRITE, Access, Handler
from ferry.vendors.fenergo.sandbox.answers import (
    RefusedError,
    bad_command,
    complaint,
    json_response,
    wrapped,
)
from ferry.vendors.fenergo.sandbox.migration import BUCKET, FINAL, RECORDS_TASK, UNSTARTED, Asked, Migration, Slot
from ferry.vendors.fenergo.sandbox.world import Ingestion, World

COPY_PIECE = 256 * 1024


class CommandService:
    """Paths below /datamigrationcommand."""

    def __init__(self, world: Callable[[], World], access: Access) -> None:
        self._now = world
        self._access = access

    def routes(self) -> list[Route]:
        """Both versions."""
        return [route for version in ("v2", "v1") for route in self._version(version)]

    def _version(self, version: str) -> list[Route]:
        base = "/datamigrationcommand/api" + ("/v2" if version == "v2" else "")
        create, add = (self.create, self.add_file) if version == "v2" else (self.create_v1, self.add_file_v1)
        ingestion = f"{base}/record-reference-ingestion"

        def route(path: str, handler: Handler, *methods: str) -> Route:
            return Route(path, self._access.guard(handler, WRITE, version), methods=list(methods))

        return [
            route(f"{base}/migration", create, "POST"),
            route(f"{base}/migration/{{id}}/add-file", add, "PUT"),
            route(f"{base}/migration/{{id}}/start", self.start, "PUT"),
            route(f"{base}/migration/{{id}}/startAssociation", self.start_association, "PUT"),
            route(f"{base}/migration/{{id}}/input-files-clean-up", self.clean_up, "POST"),
            route(f"{base}/migration/{{id}}/migration-records-file-signed-url", self.records_url, "PUT", "GET"),
            route(f"{base}/migration/{{id}}/{{table}}", self.delete_file, "DELETE"),
            route(ingestion, self.create_ingestion, "POST"),
            route(f"{ingestion}/{{id}}/execution", self.execute_ingestion, "POST"),
        ]

    async def create(self, request: Request) -> Response:
        """Open a migration; preparation goes on in the background."""
        data = await self._data(request, {"jurisdiction": str, "productJurisdiction": str, "jurisdictions": list})
        names = [data["jurisdiction"]] if data.get("jurisdiction") else data.get("jurisdictions") or []
        product = data.get("productJurisdiction")
        if not names and not product:
            raise bad_command("A jurisdiction is required.")
        return self._created(names, product)

    async def create_v1(self, request: Request) -> Response:
        """The same with the only field v1 knows."""
        data = await self._data(request, {"jurisdictions": list})
        if not data.get("jurisdictions"):
            raise bad_command("Jurisdictions are required.")
        return self._created(data["jurisdictions"], None)

    async def add_file(self, request: Request) -> Response:
        """Register a file and answer a link to upload it to. Asking again renews the link [A-4]."""
        migration = self._migration(request)
        data = await self._data(request, {"fileName": str, "tableName": str})
        if not data.get("fileName") or not data.get("tableName"):
            raise bad_command("fileName and tableName are required.")
        slot = self._slot(migration, data["tableName"], data["fileName"])
        seconds = self._now().switches.integer("upload_url_seconds")
        return json_response(wrapped(self._now().store.upload_url(request, BUCKET, slot.key, seconds)), 202)

    async def add_file_v1(self, request: Request) -> Response:
        """Take a file through the gateway, as multipart."""
        migration = self._migration(request)
        async with request.form() as form:
            file, table = form.get("Data.File"), form.get("Data.TableName")
            if not isinstance(file, UploadFile) or not isinstance(table, str) or not table:
                raise bad_command("Data.File and Data.TableName are required.")
            slot = self._slot(migration, table, file.filename or f"{table}.csv")
            target = self._now().store.path(BUCKET, slot.key)
            size = 0
            with target.open("wb") as out:
                while piece := await file.read(COPY_PIECE):
                    size += out.write(piece)
        _uploaded(migration, slot)(size, self._now().clock.now())
        return json_response(wrapped(migration.id), 202)

    async def delete_file(self, request: Request) -> Response:
        """Forget a table's file: before start and after a failure [A-14]."""
        migration = self._migration(request)
        table = request.path_params["table"]
        if migration.state not in UNSTARTED | {"failed"}:
            raise bad_command("Files of this migration cannot be deleted any more.")
        slot = migration.slots.pop(table, None)
        if slot is None:
            raise bad_command("Document not found.")
        self._now().store.delete(BUCKET, slot.key)
        migration.changed()
        return Response(status_code=202)

    async def start(self, request: Request) -> Response:
        """Begin processing. Never repeatable: a second start of a failed migration is a second attempt."""
        return self._start(request, only_associations=False)

    async def start_association(self, request: Request) -> Response:
        """Begin processing the association files only; their ends must be known already [D]."""
        return self._start(request, only_associations=True)

    async def clean_up(self, request: Request) -> Response:
        """Remove the input files of a migration that is over [D]. What `force` does is not explained; here nothing."""
        migration = self._migration(request)
        await self._data(request, {"force": bool}, optional=True)
        if migration.state not in FINAL:
            raise bad_command("The migration is neither completed nor failed.")
        for slot in migration.slots.values():
            self._now().store.delete(BUCKET, slot.key)
            slot.size = None
        migration.cleaned = True
        migration.changed()
        return Response(status_code=202)

    async def records_url(self, request: Request) -> Response:
        """A link to the records file of any size; makes the file first if need be [D]. PUT or GET, as the switch says."""
        world = self._now()
        allowed = world.switches.text("records_url_method")
        if allowed not in ("both", request.method.lower()):
            return Response(status_code=405, headers={"allow": allowed.upper()})
        migration = self._migration(request)
        if migration.state == "failed":
            raise bad_command("The migration failed; there are no migrated records.")
        status = 202 if request.method == "PUT" else 200
        if migration.state != "completed":
            raise _not_ready()
        migration.record_calls += 1
        if migration.record_calls <= world.switches.integer("records_file_polls"):
            return self._still_generating(migration, world.switches.text("records_not_ready"))
        if migration.tasks.get(RECORDS_TASK) != "Completed":
            migration.tasks[RECORDS_TASK] = "Completed"
            migration.changed()
        seconds = world.switches.integer("download_url_seconds")
        key = migration.key("internal", "MigratedRecords", "data.csv")
        return json_response(wrapped(world.store.download_url(request, BUCKET, key, seconds)), status)

    async def create_ingestion(self, request: Request) -> Response:
        """Open an alternate-ID ingestion: its id and a link for its CSV, unwrapped [D]."""
        world = self._now()
        ingestion = Ingestion()
        world.ingestions[ingestion.id] = ingestion
        world.store.on_upload(BUCKET, ingestion.key, lambda _size, _at: setattr(ingestion, "uploaded", True))
        seconds = world.switches.integer("upload_url_seconds")
        url = world.store.upload_url(request, BUCKET, ingestion.key, seconds)
        body: dict[str, Any] = {"id": ingestion.id, "preSignedUrl": url}
        return json_response(wrapped(body) if world.switches.flag("ingestion_wrapped") else body)

    async def execute_ingestion(self, request: Request) -> Response:
        """Apply the uploaded CSV as it is now; 409 while it is being applied [D]."""
        ingestion = self._now().ingestions.get(request.path_params["id"])
        if ingestion is None:
            raise bad_command("Record reference ingestion not found.")
        if ingestion.running:
            raise RefusedError(409, complaint("An execution is already running.", code="CONFLICT", data={}))
        if not ingestion.uploaded:
            raise bad_command("No file was uploaded.")
        self._now().execute(ingestion)
        return json_response(wrapped(ingestion.id), 202)

    def _created(self, names: list[Any], product: str | None) -> Response:
        if not all(isinstance(name, str) and name for name in names):
            raise bad_command("A jurisdiction is a text.")
        return json_response(wrapped(self._now().create(Asked(tuple(names), product)).id), 202)

    def _start(self, request: Request, *, only_associations: bool) -> Response:
        migration = self._migration(request)
        if migration.state not in {"prepared", "failed"} or migration.prepared_at is None:
            raise bad_command("The migration cannot be started in its present state.")
        files = [
            slot for slot in migration.uploaded() if not only_associations or migration.tables[slot.table].kind == "association"
        ]
        if not files:
            raise bad_command("The migration has no uploaded files.")
        self._now().start(migration, only_associations=only_associations)
        return json_response(wrapped(migration.id), 202)

    def _slot(self, migration: Migration, table: str, file_name: str) -> Slot:
        if migration.state not in UNSTARTED | {"failed"}:
            raise bad_command("Files can no longer be added to this migration.")
        if table not in migration.tables:
            raise bad_command("The table is not part of this migration's schema.")
        slot = migration.slots.get(table)
        if slot is None:
            key = migration.key(table, file_name)
            slot = migration.slots[table] = Slot(table, file_name, key)
            self._now().store.on_upload(BUCKET, key, _uploaded(migration, slot))
        elif slot.file_name != file_name:
            raise bad_command("The table has another file already.")
        return slot

    def _still_generating(self, migration: Migration, how: str) -> Response:
        if RECORDS_TASK not in migration.tasks:
            migration.tasks[RECORDS_TASK] = "Running"
            migration.changed()
        if how == "412":
            raise _not_ready()
        return json_response(wrapped(None if how == "null" else ""), 202)

    def _migration(self, request: Request) -> Migration:
        migration = self._now().migrations.get(request.path_params["id"].lower())
        if migration is None:
            raise bad_command("Migration not found.")
        return migration

    async def _data(self, request: Request, known: Mapping[str, type], *, optional: bool = False) -> dict[str, Any]:
        raw = await request.body()
        if optional and not raw:
            return {}
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise bad_command("The body is not JSON.") from error
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict):
            raise bad_command("The body has no 'data' object.")
        if self._now().switches.flag("strict_fields") and (set(body) - {"data"} or set(data) - set(known)):
            raise bad_command("The body has members that are not part of the schema.")
        for name, value in data.items():
            if name in known and value is not None and not isinstance(value, known[name]):
                raise bad_command(f"{name} has the wrong type.")
        return data


def _uploaded(migration: Migration, slot: Slot) -> Callable[[int, float], None]:
    def tell(size: int, at: float) -> None:
        if migration.slots.get(slot.table) is slot:
            slot.size, slot.uploaded_at = size, at
            migration.changed()

    return tell


def _not_ready() -> RefusedError:
    return RefusedError(412, complaint("The migration records file is not ready.", data={}))
