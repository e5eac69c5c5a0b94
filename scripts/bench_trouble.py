"""What a wait sends while its vendor is in trouble for ten minutes, next to Airflow's own deferrable HTTP sensor.

    python -m scripts.bench_trouble

Each vendor's trigger, and the sensor, wait for ten minutes at the same sandbox with the same fault; time in which nothing happens
is skipped (`skipping.py`). The sandbox is a process of its own and counts the requests; connections and processor time are
those of the waiting side. The sensor hardly ever sleeps, so there is no time to skip: it is watched in real time and scaled.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger
from airflow.triggers.shared_stream import SharedStreamManager

from ferry.core.wire import httpx
from ferry.ledger.entries import Draft, Kind, Origin
from ferry.ledger.store import LedgerStore
from ferry.vendors import all_vendors
from scripts import skipping

MINUTES = 10
WHOLE = MINUTES * 60.0
AT_MOST = 20.0
"""Real seconds for which somebody who never sleeps is watched."""
NO_HURRY = 1.0
"""The grace for the sensor: one answer of thousands that is late must not pass for one that never comes."""
ME = Origin("bench", "bench")
REF = "5f0c6a0e-0000-4000-8000-000000000001"
TROUBLES: dict[str, dict[str, Any]] = {
    "429": {"action": "status", "status": 429},
    "429, Retry-After 30": {"action": "status", "status": 429, "headers": {"Retry-After": "30"}},
    "401": {"action": "status", "status": 401},
    "403": {"action": "status", "status": 403},
    "503": {"action": "status", "status": 503},
    "no answer": {"action": "delay", "seconds": 86400},
}


@dataclass(frozen=True)
class Waiter:
    """One vendor's wait for a run."""

    vendor: str
    trigger: str
    connection: str = ""
    more: Mapping[str, Any] | None = None
    """What its trigger is told besides the attempt."""
    login: str = ""
    """Path of the vendor's login, which works: whoever logs in anew sends more than who is turned away at the door."""
    refusal: str = ""
    """Body of a 401 by which the vendor itself says that a session has ended."""
    shut: bool = False
    """It is the login that is in trouble."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.vendor}, at its login" if self.shut else self.vendor

    @property
    def conn_id(self) -> str:
        """Its connection."""
        return self.connection or f"{self.vendor}_default"


_OPEN = (
    Waiter("anon", "AnonRunTrigger", more={"connection": "anon_default"}),
    Waiter("dmm", "DmmRunTrigger"),
    Waiter("domo", "DomoListTrigger", more={"account_id": "41", "wanted": {"F7": {"migrated": False}}, "deadline": 2e10}),
    Waiter("fenergo", "FenergoRunTrigger", login="*/connect/token"),
    Waiter(
        "microstrategy",
        "MicroStrategyRunTrigger",
        connection="microstrategy_target",
        login="*/api/auth/login",
        refusal='{"code": "ERR009", "message": "The user\'s session has expired, please reauthenticate"}',
    ),
)
WAITERS = (*_OPEN, *(replace(one, shut=True) for one in _OPEN if one.login))


@dataclass(frozen=True)
class Spent:
    """What somebody spent on ten minutes of trouble."""

    requests: float
    connections: float
    cpu: float
    seconds: float
    """Simulated seconds that were watched."""
    is_over: bool
    """It gave up within that time."""

    @property
    def is_scaled(self) -> bool:
        """Whether it was watched for a part of the time only, because it never slept."""
        return not self.is_over and self.seconds < WHOLE - 1

    def scaled(self) -> Spent:
        """The same for the whole time."""
        by = WHOLE / self.seconds if self.is_scaled else 1.0
        return replace(self, requests=self.requests * by, connections=self.connections * by, cpu=self.cpu * by)


class Vendors:
    """The sandbox in a process of its own, and a ledger with runs that are waited for."""

    def __init__(self, base_url: str, ledger: LedgerStore) -> None:
        self.base_url, self.ledger = base_url, ledger

    def in_trouble(self, waiter: Waiter, trouble: str) -> None:
        """From now on, and for ever."""
        fault = TROUBLES[trouble] | {"path": waiter.login if waiter.shut else "*", "times": None}
        if fault.get("status") == 401 and waiter.refusal:
            fault |= {"body": waiter.refusal, "headers": {"Content-Type": "application/json"}}
        self.ask("POST", "/reset")
        if waiter.login and not waiter.shut:  # the oldest rule that fits is played: a delay of nothing lets it through
            self.ask("POST", f"/{waiter.vendor}/faults", {"path": waiter.login, "action": "delay", "seconds": 0, "times": None})
        self.ask("POST", f"/{waiter.vendor}/faults", fault)

    def attempt(self, waiter: Waiter) -> str:
        """A run that has begun and is waited for, as its key."""
        environment = self.base_url.removeprefix("http://")
        data = {"connection": waiter.conn_id}
        batch_id = f"b-{time.monotonic_ns()}"
        admitted = self.ledger.admit(waiter.vendor, environment, batch_id, "0" * 64, ME, is_live=bool, data=data)
        self.ledger.append(Draft(attempt=admitted.attempt, step="start_run", kind=Kind.ADOPTED, origin=ME, ref=REF))
        return admitted.attempt.key

    def requests(self, vendor: str) -> int:
        """How many reached the vendor since the trouble began."""
        return len(self.ask("GET", f"/requests?vendor={vendor}"))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The sandbox's control endpoints."""
        answer = httpx.request(method, f"{self.base_url}/_sandbox{path}", json=body, timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def vendors() -> Iterator[Vendors]:
    """Both, and connections that lead there, for as long as the block runs."""
    with TemporaryDirectory(prefix="ferry-trouble-") as folder, _sandbox(Path(folder) / "sandbox") as base_url:
        ledger = f"{folder}/ledger.db"
        told = {"ferry_ledger": {"conn_type": "sqlite", "host": ledger}, "stock": {"conn_type": "http", "host": base_url}}
        for card in all_vendors().values():
            told |= card.sandbox_connections(base_url)
        connections = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in told.items()}
        before = {name: os.environ.get(name) for name in connections}
        os.environ.update(connections)
        try:
            store = LedgerStore(ledger)
            store.migrate()
            yield Vendors(base_url, store)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({name: value} if value is not None else {})


@contextmanager
def _sandbox(data: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


def wait_of(played: Vendors, waiter: Waiter) -> BaseTrigger:
    """The vendor's own trigger, as its operator makes it: with the defaults of both."""
    kind = getattr(import_module(f"ferry.vendors.{waiter.vendor}.triggers"), waiter.trigger)
    trigger: BaseTrigger = kind(attempt=played.attempt(waiter), **(waiter.more or {}))
    return trigger


def wait_of_the_sensor(played: Vendors) -> BaseTrigger:
    """What `HttpSensor(deferrable=True)` defers to when it finds nothing at its first look."""
    played.ask("POST", "/reset")
    played.ask("POST", "/domo/faults", {"action": "status", "status": 404})
    sensor = HttpSensor(task_id="stock", http_conn_id="stock", endpoint=f"domo/{REF}", deferrable=True)
    try:
        sensor.execute({})
    except TaskDeferred as deferred:
        return cast("BaseTrigger", deferred.trigger)
    raise AssertionError("The sensor found what is not there.")


def spent_on(played: Vendors, waiter: Waiter, trouble: str) -> Spent:
    """What one vendor's wait spends."""
    trigger = wait_of(played, waiter)
    played.in_trouble(waiter, trouble)
    return _spent(trigger, lambda: played.requests(waiter.vendor), AT_MOST, skipping.GRACE)


def spent_by_the_sensor(played: Vendors, trouble: str, at_most: float = AT_MOST) -> Spent:
    """What Airflow's own sensor spends in the same trouble, at one path of the same sandbox."""
    trigger = wait_of_the_sensor(played)
    played.in_trouble(Waiter("domo", ""), trouble)
    return _spent(trigger, lambda: played.requests("domo"), at_most, NO_HURRY)


def _spent(trigger: BaseTrigger, requests: Callable[[], int], at_most: float, grace: float) -> Spent:
    async def main(loop: skipping.Loop) -> Spent:
        begun, processor = time.monotonic(), time.process_time()
        waiting = asyncio.create_task(_end_of(trigger))
        enough = threading.Timer(at_most, loop.call_soon_threadsafe, [waiting.cancel])
        enough.start()
        await asyncio.wait({waiting}, timeout=WHOLE)
        seconds, cpu, made = time.monotonic() - begun, time.process_time() - processor, loop.connections
        enough.cancel()
        is_over = waiting.done() and not waiting.cancelled()
        waiting.cancel()
        with suppress(asyncio.CancelledError, Exception):  # how it gave up is not what is measured
            await waiting
        return Spent(requests(), made, cpu, seconds, is_over)

    return skipping.run(main, grace)


async def _end_of(trigger: Any) -> Any:
    """The trigger's event, as Airflow's triggerer gets it: from the stream that it shares, if it shares one."""
    key = trigger.shared_stream_key() if hasattr(trigger, "shared_stream_key") else None
    if key is None:
        return await anext(trigger.run())
    manager = SharedStreamManager()
    try:
        return await anext(trigger.filter_shared_stream(manager.subscribe(trigger_id=1, trigger=trigger, key=key)))
    finally:
        await manager.stop_all()


def bench() -> None:
    """A table for each trouble, and what it comes to. What the waits log goes nowhere, theirs and the sensor's alike."""
    tell, ratios = partial(print, file=sys.stdout, flush=True), list[str]()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), vendors() as played:
        spent_on(played, WAITERS[0], "503")  # whoever comes first pays for what all import
        tell(f"{MINUTES} simulated minutes of trouble, by what waits, and how much more the sensor spends")
        for trouble in TROUBLES:
            stock = spent_by_the_sensor(played, trouble)
            tell(f"\n{trouble}\n{_row('the HTTP sensor', stock)}{_remark(stock)}")
            rows = {waiter.name: spent_on(played, waiter, trouble) for waiter in WAITERS}
            for name, spent in rows.items():
                tell(_row(name, spent) + _against(stock.scaled(), spent))
            ratios.append(f"{trouble}: {_verdict(stock, list(rows.values()))}")
        tell("", *ratios, sep="\n")


def _verdict(stock: Spent, ours: list[Spent]) -> str:
    if stock.is_over:
        return f"the sensor fails its task, and {sum(not spent.is_over for spent in ours)} of {len(ours)} waits of Ferry's go on"
    against = [stock.scaled().requests / spent.requests for spent in ours]
    return f"the sensor sends {min(against):,.0f} to {max(against):,.0f} x the requests of a wait of Ferry's"


def _row(name: str, spent: Spent) -> str:
    whole = spent.scaled()
    return f"  {name:28} {whole.requests:9,.0f} requests {whole.connections:9,.0f} connections {whole.cpu:8.2f} s of processor"


def _remark(spent: Spent) -> str:
    if spent.is_scaled:
        return f"   scaled: it never sleeps, and was watched for {spent.seconds:.0f} s"
    return f"   it failed its task after {spent.seconds:.0f} s" if spent.is_over else ""


def _against(stock: Spent, spent: Spent) -> str:
    return f"   the sensor: {stock.requests / spent.requests:9,.1f} x requests, {stock.cpu / spent.cpu:9,.1f} x processor"


if __name__ == "__main__":
    bench()
