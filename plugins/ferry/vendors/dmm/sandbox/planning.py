"""From a configuration to the work of an execution; what is wrong with it shows only when the execution begins (contract 6)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ferry.vendors.dmm.sandbox.catalogue import RUNTIME, SOURCE, TARGET
from ferry.vendors.dmm.sandbox.execution import Order
from ferry.vendors.dmm.sandbox.tables import ID, Tables, is_system
from ferry.vendors.dmm.sandbox.works import Deleting, Exporting, Importing, Inserting, Migrating, Reading, Work

USERS = "ossys_User"
NAMES = ("OSEntityName", "EntityName", "Name")
APPEND_ONLY = "Records can only be appended to the Runtime Connection: DataAppendMode must be true."  # [D2]
WHERE = re.compile(r"\s*\[?Id\]?\s*(=|<>|<=|>=|<|>)\s*(\d{1,18})\s*", re.IGNORECASE)
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class ConfigurationError(Exception):
    """An execution that cannot begin; the text says why."""


class Planner:
    """Knows the tables of both environments and the connections of the one in which an execution runs."""

    def __init__(self, tables: Mapping[str, Tables], environment: str, connections: Iterable[str]) -> None:
        self._tables = tables
        self._own = tables[environment]
        self._connections = {RUNTIME, *connections}

    def work(self, order: Order, folder: Path) -> Work:
        """What is to be done, or a ConfigurationError."""
        told = order.configuration
        if order.type == "Import":
            return self._import(order)
        if order.type == "Export":
            self._known(told, "DBConnection")
            return Exporting(self._own, self._exported(told), folder)
        if order.type == "Migration":
            self._known(told, "SourceDBConnection")
            source = self._tables[SOURCE]
            return Migrating(source, self._migrated(source, told), self._inserting(told, self._tables[TARGET]))
        if order.type == "Delete":
            self._known(told, "DestinationDBConnection")
            return Deleting(self._own, self._chosen(told, "EntitiesToDelete"))
        self._known(told, "DBConnection")
        return Reading(self._own, self._chosen(told, "ScramblingEntities"))

    def _import(self, order: Order) -> Work:
        assert order.staged is not None
        inserting = self._inserting(order.configuration, self._own)
        if order.staged.fault:
            raise ConfigurationError(order.staged.fault)
        return Importing(order.staged, inserting)

    def _inserting(self, told: Mapping[str, Any], target: Tables) -> Inserting:
        append = told.get("DataAppendMode") is True
        if self._known(told, "DestinationDBConnection") == RUNTIME and not append:
            raise ConfigurationError(APPEND_ONLY)
        return Inserting(target, append=append)

    def _known(self, told: Mapping[str, Any], which: str) -> str:
        name = told.get(which)
        if not isinstance(name, str) or name not in self._connections:
            raise ConfigurationError(f"{which}: there is no connection {name!r}.")
        return name

    def _exported(self, told: Mapping[str, Any]) -> dict[str, list[int]]:
        """The users, and the entities asked for: all of them if none is named [A]."""
        named = [name for name, _ in _entities(told, "ExportingEntities")] or list(self._own)
        wanted = dict.fromkeys([USERS, *named])
        empty = told.get("OnlyExportStructure") is True
        return {name: [] if empty else _keys(self._own, name, None) for name in wanted}

    def _migrated(self, source: Tables, told: Mapping[str, Any]) -> dict[str, list[int]]:
        named = [name for name, _ in _entities(told, "EntitiesToMigrate")] or [one for one in source if not is_system(one)]
        users = [USERS] if told.get("SynchronizeUsers") is True else []
        return {name: _keys(source, name, None) for name in dict.fromkeys([*users, *named])}

    def _chosen(self, told: Mapping[str, Any], which: str) -> dict[str, list[int]]:
        return {name: _keys(self._own, name, clause) for name, clause in _entities(told, which)}


def _entities(told: Mapping[str, Any], which: str) -> list[tuple[str, str | None]]:
    """Names, and where clauses if any, of a list of names or objects."""
    listed = told.get(which) or []
    if not isinstance(listed, list):
        raise ConfigurationError(f"{which} is not a list.")
    found = []
    for one in listed:
        entry = {NAMES[0]: one} if isinstance(one, str) else one
        name = next((entry[key] for key in NAMES if entry.get(key)), None) if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise ConfigurationError(f"{which} holds an entity without a name.")
        found.append((name, entry.get("WhereClause")))
    return found


def _keys(tables: Tables, name: str, clause: str | None) -> list[int]:
    if name not in tables:
        raise ConfigurationError(f"There is no entity {name!r}.")
    keys = list(tables[name].rows)
    if not clause:
        return keys
    found = WHERE.fullmatch(str(clause).removeprefix("WHERE "))
    if found is None:
        raise ConfigurationError(f"Incorrect syntax in the where clause of {name}: this sandbox compares {ID} with a number.")
    return [key for key in keys if COMPARE[found[1]](key, int(found[2]))]
