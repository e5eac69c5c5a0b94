"""Every way a migration can end, brought about inside the sandbox: what the contract suite holds the client against."""

from __future__ import annotations

from functools import partial
from typing import Any

from ferry.vendors.fenergo.sandbox.migration import BUCKET, Asked, Slot
from ferry.vendors.fenergo.sandbox.policy import template
from ferry.vendors.fenergo.sandbox.world import World
from sandbox.vendor import Script

NOW = {"prepare_seconds": 0.0, "process_seconds": 0.0}
COMPANY = '"S-C-1","Scripted Ltd","IE","","{incorporated}","",""'
PERSON = '"S-P-1","Ms","Zoë","Ngũgĩ","1974-06-02","KE"'
SHARES = '"S-R-1","S-P-1","S-C-1","Shareholder","25"'


async def _migrated(sandbox: Any, incorporated: str = "1998-03-17") -> str:
    """A started migration of a company, a person, and the shares one holds in the other."""
    world: World = sandbox.world
    migration = world.create(Asked(("Migration",), None))
    migration.machine.go("prepared")
    rows = {"Company": COMPANY.format(incorporated=incorporated), "Individual": PERSON, "Associations": SHARES}
    for table, row in rows.items():
        content = template(migration.tables[table]) + row.encode() + b"\n"
        slot = Slot(table, f"{table.lower()}.csv", migration.key(table, "data.csv"), len(content), world.clock.now())
        world.store.path(BUCKET, slot.key).write_bytes(content)
        migration.slots[table] = slot
    world.start(migration, only_associations=False)
    return migration.id


async def _unprepared(sandbox: Any) -> str:
    world: World = sandbox.world
    return world.create(Asked(("Atlantis",), None)).id


SCRIPTS = {
    "completed": Script("succeeded", _migrated, NOW),
    "completed_after_another_word": Script(
        "succeeded", _migrated, {**NOW, "process_looks": 2, "extra_word": "Finalising", "extra_word_looks": 2}
    ),
    "completed_with_failed_associations": Script("partially_succeeded", _migrated, {**NOW, "completed_with_failed": 1}),
    "refused": Script("failed_clean", partial(_migrated, incorporated="17.03.98"), NOW),  # all or nothing [D]
    "refused_with_counters": Script(
        "failed_clean", partial(_migrated, incorporated="17.03.98"), {**NOW, "failed_counters": "real"}
    ),
    "not_prepared": Script("failed_clean", _unprepared, NOW),
}
