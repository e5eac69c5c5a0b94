"""The ledger for people: which batches there are, how each stands, every entry, and its evidence pack. Read-only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ferry.core.errors import LedgerError, StorageError
from ferry.ledger.entries import Standing, Verdict
from ferry.ledger.evidence import CHUNK, EvidenceStore, safe_name
from ferry.ledger.pack import pack
from ferry.ledger.store import LedgerStore

BATCHES, ENTRIES, OPEN = 50, 500, 500
"""Rows on one page."""

_TEMPLATES = Environment(loader=PackageLoader("ferry.ledger"), autoescape=True, undefined=StrictUndefined)
_STYLE = Path(__file__).with_name("templates").joinpath("style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    # No script, no foreign resource, and nothing but this page's own style; Airflow shows it in a frame of the same origin.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Page = Annotated[int, Query(ge=1, le=1_000_000)]


OpenBatches = Callable[[], tuple[list[dict[str, Any]], list[str]]]
"""Batches to send, oldest first (vendor, environment, batch_id, dag, due, attempt, stands), and what is wrong with the others."""


def ledger_page(
    login: Callable[..., Any],
    ledger: Callable[[], LedgerStore],
    evidence: Callable[[], EvidenceStore],
    open_batches: OpenBatches,
) -> FastAPI:
    """The page as an app to mount. `login` is a dependency that turns strangers away; every route has it."""
    app = FastAPI(title="Ferry ledger", dependencies=[Depends(login)], openapi_url=None, docs_url=None, redoc_url=None)

    @app.exception_handler(LedgerError)
    def unreachable(_request: Request, error: LedgerError) -> Response:
        return _html("broken.html", status=503, heading="The ledger cannot be read", message=str(error), faults=[])

    @app.exception_handler(StorageError)
    def unfetchable(_request: Request, error: StorageError) -> Response:
        return _html("broken.html", status=503, heading="The files cannot be read", message=str(error), faults=[])

    @app.get("/")
    def batches(vendor: str = "", verdict: str = "", page: Page = 1) -> Response:
        store = ledger()
        rows = store.batches(vendor or None, verdict=_wanted(verdict), limit=BATCHES + 1, offset=(page - 1) * BATCHES)
        chosen = {"vendor": vendor, "verdict": verdict}
        shown, more = rows[:BATCHES], len(rows) > BATCHES
        return _html(
            "batches.html", rows=shown, page=page, more=more, chosen=chosen, vendors=store.vendors(), verdicts=list(Verdict)
        )

    @app.get("/open")
    def may_be_sent() -> Response:
        rows, problems = open_batches()
        return _html("open.html", rows=rows[:OPEN], left=len(rows[OPEN:]), problems=problems)

    @app.get("/batch")
    def batch(vendor: str, environment: str, batch_id: str, page: Page = 1) -> Response:
        return _batch(ledger(), (vendor, environment, batch_id), page)

    @app.get("/batch/{vendor}/{environment}/{batch_id}")
    def named(vendor: str, environment: str, batch_id: str) -> Response:
        # The short address that tasks link to; the page itself stands one level up, where its own links lead.
        key = urlencode({"vendor": vendor, "environment": environment, "batch_id": batch_id})
        return RedirectResponse(f"../../../batch?{key}", headers=HEADERS)

    @app.get("/pack")
    def download(vendor: str, environment: str, batch_id: str) -> Response:
        standing = ledger().standing(vendor, environment, batch_id)
        return _download(evidence(), standing) if standing.attempts else _unknown(standing)

    return app


def _wanted(verdict: str) -> Verdict | Literal["none"] | None:
    if verdict == "none":
        return "none"
    return Verdict(verdict) if verdict in list(Verdict) else None


def _batch(store: LedgerStore, key: tuple[str, str, str], page: int) -> Response:
    faults = store.verify(*key)
    try:
        standing = store.standing(*key)
    except LedgerError as error:
        return _html("broken.html", heading=f"{key[0]} batch {key[2]}", message=str(error), faults=faults)
    if not standing.attempts:
        return _unknown(standing)
    shown = standing.entries[(page - 1) * ENTRIES : page * ENTRIES]
    more = len(standing.entries) > page * ENTRIES
    return _html("batch.html", standing=standing, entries=shown, faults=faults, page=page, more=more)


def _unknown(standing: Standing) -> Response:
    message = f"The ledger knows no {standing.vendor} batch {standing.batch_id} at {standing.environment}."
    return _html("broken.html", status=404, heading="No such batch", message=message, faults=[])


def _download(store: EvidenceStore, standing: Standing) -> Response:
    folder = TemporaryDirectory(prefix="ferry-pack-")
    try:
        path = pack(store, standing, Path(folder.name) / "pack.zip")
    except BaseException:
        folder.cleanup()
        raise
    name = safe_name(f"{standing.vendor}-{standing.batch_id}-evidence.zip")
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(path.stat().st_size)}
    return StreamingResponse(_streamed(path, folder), media_type="application/zip", headers=headers)


def _streamed(path: Path, folder: TemporaryDirectory[str]) -> Iterator[bytes]:
    with folder, path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _html(template: str, *, status: int = 200, **facts: Any) -> Response:
    # The style is our own file, and the policy names its hash: escaping would change it.
    text = _TEMPLATES.get_template(template).render(style=Markup(_STYLE), **facts)  # noqa: S704 (see above)
    return HTMLResponse(text, status, HEADERS)
