"""How many requests Anon is sent for each look at all migrations that are waited for: one shared walk against one look for each.

    python scripts/bench_watching.py 10000

The triggers of ordinary waits run as in Airflow's triggerer, by its own manager of shared streams, against the sandbox. The
baseline looks at each migration by its id, as a wait without a shared stream does. The last line is the ratio.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow.triggers.shared_stream import SharedStreamManager

from ferry.core.exchange import Exchange
from ferry.core.model import Run, RunState
from ferry.core.wire import httpx
from ferry.ledger.entries import Draft, Kind, Origin
from ferry.ledger.store import LedgerStore
from ferry.vendors.anon import sandbox_connections
from ferry.vendors.anon.api import AnonApi
from ferry.vendors.anon.hook import AnonHook
from ferry.vendors.anon.triggers import AnonRunTrigger
from sandbox.server import running

SIZES = (100, 1000)
"""Smaller crowds that are measured first, so that one sees what grows and what does not."""
LOOKED_AT = 200
"""Migrations of the baseline; each costs a request, so more of them would only take longer."""
WALKS = 3
ME = Origin("watch_anon", "bench")


@dataclass(frozen=True)
class Measured:
    """What so many waits cost for each walk through the list."""

    waits: int
    requests: float
    seconds: float
    """Processor time of the waiting side."""


class World:
    """A sandbox full of migrations whose people do nothing, and a ledger in which all of them are waited for."""

    def __init__(self, base_url: str, folder: Path) -> None:
        self.base_url, self.ledger = base_url, LedgerStore(str(folder / "ledger.db"))
        self.ledger.migrate()
        self.environment = base_url.removeprefix("http://")
        self.attempts: list[str] = []

    def fill(self, wanted: int) -> None:
        """Have so many migrations begun, and adopted."""
        body = {"count": wanted - len(self.attempts), "story": "forgets"}
        for ref in self._ask("POST", "/records", json=body)["ids"]:
            admitted = self.ledger.admit(
                "anon", self.environment, ref, "0" * 64, ME, is_live=bool, data={"connection": "anon_default"}
            )
            facts: dict[str, Any] = {"ref": ref, "word": "NOT_STARTED", "state": RunState.WAITING_FOR_PERSON}
            self.ledger.append(Draft(attempt=admitted.attempt, step="find_run", kind=Kind.ADOPTED, origin=ME, **facts))
            self.attempts.append(admitted.attempt.key)

    def counters(self) -> dict[str, int]:
        """Walks and looks that the vendor has seen."""
        told: dict[str, int] = self._ask("GET", "/state", params={"migrations": "none"})["counters"]
        return told

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        answer = httpx.request(method, f"{self.base_url}/_sandbox/anon{path}", timeout=120, trust_env=False, **how)
        answer.raise_for_status()
        return answer.json()


async def shared(world: World) -> Measured:
    """All waits at once, fed by one walk; counted from the moment at which every one of them has seen the list once."""
    manager, seen = SharedStreamManager(), dict.fromkeys(range(len(world.attempts)), 0)

    async def wait(number: int, trigger: AnonRunTrigger) -> None:
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())

        async def counted() -> Any:
            async for snapshot in stream:
                seen[number] += 1
                yield snapshot

        async for _ in trigger.filter_shared_stream(counted()):
            raise SystemExit("A migration that nobody has begun cannot end.")

    triggers = [AnonRunTrigger(attempt=key, connection="anon_default", first_look=0.0) for key in world.attempts]
    tasks = [asyncio.create_task(wait(number, trigger)) for number, trigger in enumerate(triggers)]
    first = await _caught_up(seen, 1)
    before, begun = world.counters()["list_calls"], time.process_time()
    await _caught_up(seen, first + WALKS)
    spent, requests = time.process_time() - begun, world.counters()["list_calls"] - before
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    await manager.stop_all()
    return Measured(len(tasks), requests / WALKS, spent / WALKS)


async def _caught_up(seen: dict[int, int], wanted: int) -> int:
    """Between two walks: how many all waits have seen, once it is at least so many and the same for all."""
    while min(seen.values()) < wanted or min(seen.values()) != max(seen.values()):  # noqa: ASYNC110 (a benchmark may look at a clock)
        await asyncio.sleep(0.02)
    return min(seen.values())


async def one_by_one(world: World) -> Measured:
    """The baseline: each migration is looked at by its id."""
    hook = await AnonHook.aopen("anon_default")
    refs = [key.split("/")[-2] for key in world.attempts[:LOOKED_AT]]
    before, begun = world.counters()["get_calls"], time.process_time()
    for ref in refs:
        await hook.acall(partial(_look, Run(ref)))
    return Measured(len(refs), world.counters()["get_calls"] - before, time.process_time() - begun)


def _look(run: Run, api: AnonApi) -> Exchange[Run]:
    return api.look(run)


@contextmanager
def world() -> Iterator[World]:
    """The sandbox on a port, and connections that lead to it and to a ledger of its own."""
    with TemporaryDirectory(prefix="ferry-bench-") as name, running(Path(name) / "sandbox") as base_url:
        told = sandbox_connections(base_url)["anon_default"]
        extra = told["extra"] | {"poll_seconds": 1, "page_size": 100, "requests_per_second": 0}
        os.environ["AIRFLOW_CONN_ANON_DEFAULT"] = json.dumps(told | {"extra": extra})
        os.environ["AIRFLOW_CONN_FERRY_LEDGER"] = json.dumps({"conn_type": "sqlite", "host": f"{name}/ledger.db"})
        yield World(base_url, Path(name))


def bench(most: int) -> None:
    """Growing crowds, then the baseline."""
    with world() as played:
        for size in [*(size for size in SIZES if size < most), most]:
            played.fill(size)
            found = asyncio.run(shared(played))
            told = f"{found.requests:8.1f} requests a walk   {found.seconds:6.2f} s of processor time"
            print(f"shared walk   {found.waits:7,} waits   {told}")
        single = asyncio.run(one_by_one(played))
        whole = single.requests / single.waits * found.waits
        print(f"one by one    {found.waits:7,} waits   {whole:8.1f} requests a round (by {single.waits} of them)")
    print(f"looking one by one sends {whole / found.requests:.0f} x the requests of the shared walk")


if __name__ == "__main__":
    bench(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
