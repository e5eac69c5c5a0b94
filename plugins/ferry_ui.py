"""The ledger in Airflow's own UI: behind Airflow's login at /ferry/, with an entry in the menu. Nothing else."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from airflow.api_fastapi.core_api.security import requires_authenticated
from airflow.plugins_manager import AirflowPlugin

from ferry.ledger.evidence import EvidenceStore
from ferry.ledger.page import ledger_page
from ferry.ledger.store import LedgerStore


def _ledger() -> LedgerStore:
    from ferry.steps import places

    return places.ledger()


def _evidence() -> EvidenceStore:
    from ferry.steps import places

    return places.evidence()


def _open_batches() -> tuple[list[dict[str, Any]], list[str]]:
    from ferry.steps.dispatching import survey
    from ferry.vendors import all_vendors

    found, problems = survey(all_vendors())
    return [asdict(batch) for batch in found], problems


class FerryPlugin(AirflowPlugin):
    """Mounts the ledger's page and names it in the menu."""

    name = "ferry"
    fastapi_apps: list[Any] = [  # noqa: RUF012 (declared by Airflow as it is)
        {
            "app": ledger_page(requires_authenticated(), _ledger, _evidence, _open_batches),
            "url_prefix": "/ferry",
            "name": "Ferry ledger",
        }
    ]
    external_views: list[Any] = [  # noqa: RUF012 (same)
        {"name": "Ferry ledger", "href": "ferry/", "destination": "nav", "category": "browse", "url_route": "ferry-ledger"}
    ]
