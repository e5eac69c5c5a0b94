"""The made-up instance on its first day: integration types, V2 accounts, two people, and V1 datasources with their tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

from ferry.vendors.domo.sandbox.datasource import Coordinates, Datasource

MYSQL, SNOWFLAKE, BIGQUERY = "mysql-federated", "snowflake-federated", "bigquery-federated"
TYPES = (SNOWFLAKE, MYSQL, BIGQUERY)  # [D] the first two spellings, [N] the third

NAMESPACE = UUID("5d0f3a52-7c1e-4b8e-9a64-2f1b7d9c0e31")
NO_SCHEMA = "NULL"  # [D] the literal word, where a database has no schemas
F_EVERY = 3
"""Every so-manieth id is a UUID with an F before it; both kinds occur in one list [D]."""

MYSQL_TABLES = {
    "sales_db": "Orders order_lines Customers customer_addresses invoices InvoiceLines payments refunds price_list Discounts",
    "crm": "accounts Contacts leads opportunities Activities campaigns CampaignMembers cases notes territories",
    "Logistics": "Shipments shipment_legs carriers Warehouses stock_levels StockMoves returns routes Vehicles drivers",
}
SNOWFLAKE_TABLES = {
    ("FINANCE", "PUBLIC"): [f"LEDGER_{number:02d}" for number in range(1, 9)],
    ("FINANCE", "Reporting"): ["BudgetPlan", "BudgetActuals", "COST_CENTRES", "EXCHANGE_RATES"],
    ("Treasury", "PUBLIC"): ["CashFlow", "BANK_BALANCES"],
}


@dataclass(frozen=True, slots=True)
class Account:
    """A V2 account: a saved connection to the customer's database. Ids are digits in a text [D]; names are not unique [A]."""

    id: str
    type: str
    name: str

    def document(self) -> dict[str, str]:
        """As the account list tells it [D]."""
        return {"id": self.id, "type": self.type, "name": self.name}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an access token, which has exactly this person's rights [D]. `accounts` None means every one."""

    token: str
    accounts: frozenset[str] | None
    moves: bool

    def sees(self, account: Account) -> bool:
        """Whether the account is among those that this person's lists show [D]."""
        return self.accounts is None or account.id in self.accounts


ACCOUNTS = {
    account.id: account
    for account in (
        Account("41", MYSQL, "warehouse eu v2"),
        Account("17", MYSQL, "warehouse eu v2 via agent"),
        Account("58", SNOWFLAKE, "finance lake v2"),
        Account("63", SNOWFLAKE, "lake copy"),
        Account("64", SNOWFLAKE, "lake copy"),
        Account("77", BIGQUERY, "events v2"),
    )
}
USERS = (
    User("admin_token", None, moves=True),
    User("analyst_token", frozenset({"41", "58"}), moves=False),
)
"""By the switch that holds their token."""


def first_day() -> Iterator[Datasource]:
    """30 datasources that read MySQL, then 14 that read Snowflake, all of them on V1."""
    number = 0
    for catalog, tables in MYSQL_TABLES.items():
        for table in tables.split():
            number += 1
            yield _datasource(number, MYSQL, Coordinates(catalog, NO_SCHEMA, table))
    for (catalog, schema), names in SNOWFLAKE_TABLES.items():
        for table in names:
            number += 1
            yield _datasource(number, SNOWFLAKE, Coordinates(catalog, schema, table))


def extra(number: int) -> Datasource:
    """One of the many that a switch adds, counted from 1."""
    return _datasource(number, MYSQL, Coordinates("bulk_db", NO_SCHEMA, f"Bulk_{number:06d}"))


def _datasource(number: int, kind: str, place: Coordinates) -> Datasource:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", place.table).lower()
    return Datasource(made_id(number, f"{kind}/{place}"), f"{words[0].upper()}{words[1:]} live", kind, place)


def made_id(number: int, seed: str) -> str:
    """An id that is the same on every first day; every third with its F."""
    return ("" if number % F_EVERY else "F") + str(uuid5(NAMESPACE, seed))
