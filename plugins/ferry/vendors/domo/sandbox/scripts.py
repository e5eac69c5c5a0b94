"""The ways in which what a client watches in the candidate list can end, brought about inside the sandbox.

There is nothing else to watch: a POST answers with its final state, and no call tells of one that was lost [D, by absence].
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ferry.vendors.domo.sandbox.catalogue import ACCOUNTS
from ferry.vendors.domo.sandbox.instance import Instance
from ferry.vendors.domo.sandbox.judging import FORWARD, Order
from sandbox.switches import Value
from sandbox.vendor import Script

QUICK: Mapping[str, Value] = {"migrate_seconds": 0.2, "list_delay_seconds": 0.0, "outcomes": ""}


def _migration_to(key: str) -> Callable[[Any], Awaitable[str]]:
    async def begin(sandbox: Any) -> str:
        return _begin(sandbox.instance, key)[0]

    return begin


async def _deleted(sandbox: Any) -> str:
    """A datasource that a person deletes while it is being migrated."""
    ref, order = _begin(sandbox.instance, "41")
    sandbox.instance.delete(order.datasource)
    return ref


def _begin(instance: Instance, key: str) -> tuple[str, Order]:
    instance.catch_up()
    account = ACCOUNTS[key]
    untouched = (
        one
        for one in instance.datasources.values()
        if one.type == account.type and not one.migrated and instance.operations.busy(one) is None
    )
    datasource = next(untouched)
    order = Order(FORWARD, datasource, account, datasource.v1)
    instance.operations.post(order)
    return f"{account.id}/{datasource.id}", order


SCRIPTS = {
    "migrated": Script("succeeded", _migration_to("41"), QUICK),
    "migrated_snowflake": Script("succeeded", _migration_to("58"), QUICK),
    "deleted": Script("failed_dirty", _deleted, QUICK),
}
