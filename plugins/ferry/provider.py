"""What Airflow's provider manager reads: the connection types, built from the vendor cards. Imports neither Airflow nor httpx."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from ferry.vendors import all_vendors

DISTRIBUTION = "ferry-migrations"


def get_provider_info() -> dict[str, Any]:
    """The provider description of Ferry, with one connection type per vendor."""
    return {
        "package-name": DISTRIBUTION,
        "name": "Ferry",
        "description": "Vendor data migrations that start once, wait for free, and account for every record.",
        "versions": [version(DISTRIBUTION)],
        "connection-types": [card.connection_type() for card in all_vendors().values()],
    }
