"""Domo's side of a house: batches of datasources, the sandbox's instance, and what must hold whatever happens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ferry.ledger.entries import AttemptStanding, Standing, Verdict
from ferry.vendors.domo.fates import EVERY_STEP, Fate, fates

MIGRATE, REVERSE = "migrate_domo", "reverse_domo"
MYSQL, SNOWFLAKE = "mysql-federated", "snowflake-federated"
ACCOUNTS = {MYSQL: "41", SNOWFLAKE: "58"}
ORDERS, LINES, CUSTOMERS = (
    "dad9f31d-2629-5c93-857d-20d566a2243a",
    "a3e6938d-ce9f-5038-a922-582f0e3b2d29",
    "F0c1afb48-6198-5f5f-bdbf-f92c0df161be",
)
THREE = [
    {"id": ORDERS, "catalog": "sales_db", "schema": "NULL", "table": "Orders"},
    {"id": LINES, "catalog": "sales_db", "schema": "NULL", "table": "order_lines"},
    {"id": CUSTOMERS, "catalog": "sales_db", "schema": "NULL", "table": "Customers"},
]
LIST = "*/candidates/*"
POST = "*/accounts/*"
BACK = "*/reverse"


@dataclass
class Instance:
    """The instance, and the batches that are moved in it."""

    house: Any

    def batch(self, batch_id: str = "b", datasources: Any = None, files: dict[str, str] | None = None, **section: Any) -> Path:
        folder = self.house.home / "batches" / "domo" / batch_id
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            (folder / name).write_text(content, encoding="utf-8")
        told = {"type": MYSQL, "account_id": "41", "datasources": THREE if datasources is None else datasources} | section
        told = {name: value for name, value in told.items() if value is not None}
        text = yaml.safe_dump({"vendor": "domo", "due": "2026-01-01", "domo": told}, sort_keys=False)
        (folder / "manifest.yaml").write_text(text.replace("'2026-01-01'", "2026-01-01"), encoding="utf-8")
        return folder

    def begin_anew(self) -> None:
        """A vendor on its first day, and an empty ledger."""
        self.house.control("POST", "/reset")
        self.house.forget()

    def switch(self, **values: Any) -> None:
        self.house.control("PUT", "/domo/switches", json=values)

    def fault(self, method: str, path: str, action: str, **rule: Any) -> None:
        self.house.control("POST", "/domo/faults", json={"method": method, "path": path, "action": action, **rule})

    def by_hand(self, datasource: str, what: str, **how: Any) -> None:
        """What people do in Domo without any client: migrate, reverse."""
        self.house.control("POST", f"/domo/records/{datasource}/{what}", json=how)

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.house.control("GET", "/domo/state"))

    @property
    def on_v2(self) -> set[str]:
        """The datasources on V2."""
        return {one["id"] for one in self.state["v2"]}

    def requests(self, method: str = "", path: str = "*") -> list[dict[str, Any]]:
        asked = {"vendor": "domo", "method": method, "path": path}
        return list(self.house.control("GET", "/requests", params={name: value for name, value in asked.items() if value}))

    def posts(self, datasource: str = "*", ending: str = "accounts/*") -> int:
        """How many migrations (or reversals) of a datasource the vendor was sent, whether it handled them or not."""
        return len(self.requests("POST", f"*/{datasource}/{ending}"))

    def heard(self, datasource: str = "*", ending: str = "accounts/*") -> int:
        """How many of those the vendor may have acted on: all but those that were turned away in its own words."""
        return sum(one["status"] not in {401, 403, 429} for one in self.requests("POST", f"*/{datasource}/{ending}"))

    def broken(self) -> set[str]:
        """The datasources that the vendor has begun to change and not finished."""
        return {one["id"] for one in self.state["datasources"] if one["broken"]}

    def fates(self, batch_id: str = "b") -> dict[str, Fate]:
        """What the ledger knows of each datasource that was dealt with."""
        return fates(self.last(batch_id), EVERY_STEP)

    def fate(self, datasource: str, batch_id: str = "b") -> Fate:
        """What the ledger knows of a datasource."""
        return self.fates(batch_id)[datasource]

    def standing(self, batch_id: str = "b") -> Standing:
        return self.house.ledger.standing("domo", self.house.environment, batch_id)  # type: ignore[no-any-return]

    def last(self, batch_id: str = "b") -> AttemptStanding:
        last = self.standing(batch_id).last
        assert last is not None
        return last

    def evidence(self, batch_id: str, step: str, name: str) -> str:
        (found,) = self.house.evidence.glob(f"domo/*/{batch_id}/*/{step}/{name}")
        return str(found.read_text("utf-8"))

    def holds(self, batch_id: str = "b") -> None:
        """However a journey ends: no datasource is migrated twice, none is lost, the chain is whole, Domo is not flooded."""
        state = self.state
        assert all(one["starts"] <= 1 for one in state["posts"]), state["posts"]
        assert self.house.ledger.verify() == []
        assert len(self.requests()) < 1000, "a vendor in trouble is asked tens of times, not thousands"
        for attempt in self.standing(batch_id).attempts:
            assert attempt.counts.adds_up
            if attempt.verdict is Verdict.BALANCED:
                assert attempt.counts.accepted + attempt.counts.waived == attempt.counts.sent > 0
                assert attempt.counts.waived or len(self.on_v2) >= attempt.counts.sent
