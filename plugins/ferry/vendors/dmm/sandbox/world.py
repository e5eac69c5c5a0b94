"""Both environments in one life: their records, connections, passwords and executions, and what was really asked for."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from ferry.vendors.dmm.sandbox.catalogue import RUNTIME, TARGET, first_day
from ferry.vendors.dmm.sandbox.engine import Engine
from ferry.vendors.dmm.sandbox.execution import QUEUED, RUNNING, Execution, Order
from ferry.vendors.dmm.sandbox.passwords import Passwords
from ferry.vendors.dmm.sandbox.planning import Planner
from ferry.vendors.dmm.sandbox.tables import Tables
from sandbox.clock import Clock
from sandbox.switches import Switches

FIRST_KEY = 90401
UNDER_WAY = (QUEUED, RUNNING)
REPORTING = {"Name": "reporting-db", "Usage": "Destination", "ConnectionType": "SQLServer", "Server": "reports.example.test"}
BUILT_IN = {"Name": RUNTIME, "Usage": "Both", "ConnectionType": "Runtime"}


class Environment:
    """One of the two, with what only it knows."""

    def __init__(self, world: World, name: str, tables: Tables) -> None:
        self.name, self.tables = name, tables
        self.passwords = Passwords(world.clock, world.switches)
        self.connections: dict[str, dict[str, Any]] = {RUNTIME: BUILT_IN}
        if name == TARGET:
            self.connections[REPORTING["Name"]] = REPORTING
        self.executions: dict[str, Execution] = {}
        self.engine = Engine(world.clock, world.switches, world.folder, lambda: Planner(world.tables, name, self.connections))

    def document(self) -> dict[str, Any]:
        """For rehearsals: counts."""
        under_way = sum(one.status in UNDER_WAY for one in self.executions.values())
        return {"executions": len(self.executions), "under_way": under_way, "records": self.tables.count()}


class World:
    """Everything the sandbox holds of DMM."""

    def __init__(self, clock: Clock, switches: Switches, folder: Path) -> None:
        self.clock, self.switches, self.folder = clock, switches, folder
        self.tables = first_day()
        self.environments = {name: Environment(self, name, tables) for name, tables in self.tables.items()}
        self.stops = 0
        self._inputs: Counter[str] = Counter()
        self._engines = [environment.engine for environment in self.environments.values()]
        self._last = FIRST_KEY - 1

    def catch_up(self) -> None:
        """Let everything happen that is due, in the order in which it falls due."""
        now = self.clock.now()
        while (engine := min(self._engines, key=Engine.next_due)).next_due() <= now:
            engine.step()

    def start(self, home: Environment, order: Order) -> Execution:
        """A new execution, queued."""
        self._last += 1
        now = self.clock.now()
        execution = Execution(str(self._last), home.name, order, now, now + self.switches.number("queue_seconds"))
        home.executions[execution.key] = execution
        home.engine.accept(execution)
        self._inputs[fingerprint(home.name, order)] += 1
        return execution

    def find(self, key: str) -> tuple[Environment, Execution] | None:
        """An execution of either environment."""
        for home in self.environments.values():
            if key in home.executions:
                return home, home.executions[key]
        return None

    def close(self) -> None:
        """Let go of the files of what is under way."""
        for home in self.environments.values():
            for execution in home.executions.values():
                if execution.work is not None:
                    execution.work.close()

    def document(self) -> dict[str, Any]:
        """For rehearsals; read here in the event loop, written in a thread."""
        self.catch_up()
        homes = self.environments
        every = sorted((one for home in homes.values() for one in home.executions.values()), key=lambda one: int(one.key))
        return {
            "environments": {name: home.document() for name, home in homes.items()},
            **{name: _held(home) for name, home in homes.items()},
            "executions": [one.document() for one in every],
            "inputs": [{"id": key, "starts": starts} for key, starts in self._inputs.items()],
            "stops": self.stops,
        }


def fingerprint(environment: str, order: Order) -> str:
    """What was asked for, as a hash over four lines: environment, type, configuration (its keys sorted) and the zip's SHA-256."""
    configuration = json.dumps(order.configuration, sort_keys=True, separators=(",", ":"))
    sent = order.upload.sha256 if order.upload else ""
    return hashlib.sha256(f"{environment}\n{order.type}\n{configuration}\n{sent}".encode()).hexdigest()


def _held(home: Environment) -> dict[str, Any]:
    records = {entity: table.documents() for entity, table in home.tables.items()}
    return {"records": records, "connections": list(home.connections.values())}
