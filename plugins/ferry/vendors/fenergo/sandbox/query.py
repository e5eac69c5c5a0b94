"""The Query service: everything that reads, as far as it has caught up with the commands."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ferry.vendors.fenergo.sandbox.access import READ, Access, Handler
from ferry.vendors.fenergo.sandbox.answers import bad_query, json_response, not_found, too_many_rows, wrapped
from ferry.vendors.fenergo.sandbox.migration import BUCKET, Migration
from ferry.vendors.fenergo.sandbox.policy import template
from ferry.vendors.fenergo.sandbox.workbook import schema_workbook
from ferry.vendors.fenergo.sandbox.world import Ingestion, World
from sandbox.s3 import file_response

WORKBOOK = ("SchemaReference", "Schema", "xlsx")  # the name is ours
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class QueryService:
    """Paths below /datamigrationquery; v1 only, the vendor has no other [D]."""

    def __init__(self, world: Callable[[], World], access: Access) -> None:
        self._now = world
        self._access = access

    def routes(self) -> list[Route]:
        """The most asked path first."""
        base = "/datamigrationquery/api"
        ingestion = f"{base}/record-reference-ingestion/{{id}}"

        def route(path: str, handler: Handler) -> Route:
            return Route(path, self._access.guard(handler, READ), methods=["GET"])

        return [
            route(f"{base}/migration/{{id}}", self.status),
            route(f"{base}/migration/{{id}}/get-artifacts", self.artifacts),
            route(f"{base}/migration/{{id}}/get-artifact-content", self.artifact_content),
            route(f"{base}/migration/{{id}}/get-error-file", self.error_file),
            route(f"{base}/migration/{{id}}/get-error-file-signed-url", self.error_file_url),
            route(f"{base}/migration/{{id}}/get-migrated-records-file", self.records_file),
            route(f"{ingestion}/execution", self.ingestion_status),
            route(f"{ingestion}/execution-error-detail-file", self.ingestion_errors),
        ]

    async def status(self, request: Request) -> Response:
        """The status document."""
        migration = self._now().migrations.get(request.path_params["id"].lower())
        view = migration.view() if migration else None
        if view is not None:
            return Response(view, media_type="application/json")
        if self._now().switches.text("not_found") == "null":
            return json_response(wrapped(None))
        raise not_found("Data migration not found")

    async def artifacts(self, request: Request) -> Response:
        """The generated templates and the schema workbook; nothing before preparation is done."""
        migration = self._migration(request)
        if not self._prepared(migration):
            if self._now().switches.text("artifacts_early") == "404":
                raise not_found("Artifacts not found")
            return json_response(wrapped([]))
        listed = [WORKBOOK, *(("Template", name, "csv") for name in migration.tables)]
        return json_response(wrapped([{"type": kind, "name": name, "format": form} for kind, name, form in listed]))

    async def artifact_content(self, request: Request) -> Response:
        """One template or the workbook."""
        migration = self._migration(request)
        asked = tuple(request.query_params.get(name, "") for name in ("type", "name", "format"))
        if not all(asked):
            raise bad_query("type, name and format are required.")
        if not self._prepared(migration):
            raise not_found("Artifact not found")
        if asked == WORKBOOK:
            return Response(schema_workbook(migration.tables.values()), media_type=XLSX)
        kind, name, form = asked
        if (kind, form) != ("Template", "csv") or name not in migration.tables:
            raise not_found("Artifact not found")
        return Response(template(migration.tables[name]), media_type="text/csv")

    async def error_file(self, request: Request) -> Response:
        """The error CSV itself, unless it is too long [A-5]."""
        migration = self._migration(request)
        return self._direct(migration, self._error_key(migration), migration.tally.errors or 0)

    async def error_file_url(self, request: Request) -> Response:
        """A link to the error CSV, of any length [D]."""
        key = self._error_key(self._migration(request))
        seconds = self._now().switches.integer("download_url_seconds")
        return json_response(wrapped(self._now().store.download_url(request, BUCKET, key, seconds)))

    async def records_file(self, request: Request) -> Response:
        """The records CSV itself, unless it is too long [D]."""
        migration = self._migration(request)
        if migration.state != "completed" or not migration.visible(migration.completed_at):
            raise not_found("Migrated records file not found")
        key = migration.key("internal", "MigratedRecords", "data.csv")
        return self._direct(migration, key, migration.tally.records)

    async def ingestion_status(self, request: Request) -> Response:
        """The last execution's status, unwrapped [D]; the words are [A-17]."""
        return self._unwrapped({"status": self._ingestion_word(self._ingestion(request))})

    async def ingestion_errors(self, request: Request) -> Response:
        """A link to the lines in error, unwrapped [D]."""
        ingestion = self._ingestion(request)
        if self._ingestion_word(ingestion) == "Running" or not ingestion.errors:
            raise not_found("Execution error detail file not found")
        world = self._now()
        seconds = world.switches.integer("download_url_seconds")
        url = world.store.download_url(request, BUCKET, ingestion.error_key, seconds, "errors.jsonl")
        return self._unwrapped({"preSignedUrl": url})

    def _direct(self, migration: Migration, key: str, rows: int) -> Response:
        switches = self._now().switches
        limit = switches.integer("limit_rows")
        if rows > limit:  # strictly more
            raise too_many_rows(migration.id, limit, switches.text("limit_shape"), switches.integer("limit_status"))
        disposition = {"content-disposition": 'attachment; filename="data.csv"'}
        return file_response(self._now().store.path(BUCKET, key), disposition)

    def _error_key(self, migration: Migration) -> str:
        if migration.state != "failed" or migration.tally.errors is None or not migration.visible(migration.machine.since):
            raise not_found("Error file not found")  # a failed preparation has none
        return migration.key("internal", "Errors", "data.csv")

    def _prepared(self, migration: Migration) -> bool:
        return migration.state != "preparing" and migration.visible(migration.prepared_at)

    def _migration(self, request: Request) -> Migration:
        migration = self._now().migrations.get(request.path_params["id"].lower())
        if migration is None or not migration.visible(migration.created_at):
            raise not_found("Data migration not found")
        return migration

    def _ingestion(self, request: Request) -> Ingestion:
        ingestion = self._now().ingestions.get(request.path_params["id"].lower())
        if ingestion is None:
            raise not_found("Record reference ingestion not found")
        return ingestion

    def _ingestion_word(self, ingestion: Ingestion) -> str:
        until = self._now().clock.now() - self._now().switches.number("read_lag_seconds")
        word = next((word for at, word in reversed(ingestion.words) if at <= until), None)
        if word is None:
            raise not_found("Execution not found")
        return word

    def _unwrapped(self, body: dict[str, str]) -> Response:
        return json_response(wrapped(body) if self._now().switches.flag("ingestion_wrapped") else body)
