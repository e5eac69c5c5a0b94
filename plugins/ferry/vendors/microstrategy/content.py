"""The objects of a package, read from the manifest or a CSV file and held against the vendor's rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ferry.core import findings
from ferry.core.batch import MANIFEST, Batch
from ferry.core.csvfile import NOT_DECODED, BrokenCsv, CsvFile, open_csv
from ferry.core.findings import Level, Place
from ferry.vendors.microstrategy.specs import ObjectSpec, PackageFile, PackageSpec
from ferry.vendors.microstrategy.vocabulary import (
    ACL_ON_NEW,
    ACL_ON_REPLACING,
    ACTIONS,
    CONTAINERS,
    KEEP_BOTH,
    MERGE_ACTIONS,
    TYPES,
    UPDATE_SCHEMA,
    type_name,
    type_number,
)

COLUMNS = ("id", "type", "action", "include_dependents", "name")
_ID = re.compile(r"[0-9A-F]{32}")
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0", ""})


class Code(StrEnum):
    """What can be wrong with a batch, in one word."""

    FILES_UNUSED = "FILES_UNUSED"
    NO_OBJECTS = "NO_OBJECTS"
    BAD_FILE = "BAD_FILE"
    BAD_COLUMN = "BAD_COLUMN"
    RAGGED = "RAGGED"
    BAD_ID = "BAD_ID"
    BAD_TYPE = "BAD_TYPE"
    UNLISTED_TYPE = "UNLISTED_TYPE"
    BAD_ACTION = "BAD_ACTION"
    BAD_SETTING = "BAD_SETTING"
    BAD_FLAG = "BAD_FLAG"
    TWICE = "TWICE"
    NO_UNDO = "NO_UNDO"
    TOO_MANY = "TOO_MANY"
    PROJECT_TWICE = "PROJECT_TWICE"
    CONFIGURATION_NOT_FIRST = "CONFIGURATION_NOT_FIRST"
    ORDER = "ORDER"
    NO_PROJECT = "NO_PROJECT"
    TOO_LARGE = "TOO_LARGE"
    EMPTY_FILE = "EMPTY_FILE"
    SAME_PLACE = "SAME_PLACE"


class Findings(findings.Findings):
    """The findings of one check of a MicroStrategy batch; none of them can be waved through."""


@dataclass(frozen=True, slots=True)
class MetadataObject:
    """One object as it is asked for."""

    id: str
    type: int
    action: str
    include_dependents: bool
    name: str

    def to_wire(self) -> dict[str, Any]:
        """The object in a package's content."""
        named = {"name": self.name} if self.name else {}
        told = {"id": self.id, "type": self.type, "action": self.action, "includeDependents": self.include_dependents}
        return told | named


class ObjectCheck:
    """Reads one package's object list; what is wrong with it goes into the findings."""

    def __init__(self, package: PackageSpec | PackageFile, table: str, into: Findings) -> None:
        self._package, self._table, self._into = package, table, into
        self._default = package.rules.default_action if isinstance(package, PackageSpec) else ""
        self._seen: dict[str, int] = {}

    def run(self, batch: Batch) -> list[MetadataObject]:
        """The objects that can be used, in order."""
        listed = self._package.objects
        if not isinstance(listed, str):
            return [found for number, spec in enumerate(listed, 1) if (found := self._object(spec, self._place(number)))]
        with batch.local(listed) as path:
            try:
                with open_csv(path) as file:
                    return list(self._rows(file, listed))
            except BrokenCsv as broken:
                place = Place(listed, self._table, 0, broken.line, "")
                self._into.at(place, Level.ERROR, Code.BAD_FILE, f"The list cannot be read from here: {broken.why}.")
                return []

    def _rows(self, file: CsvFile, name: str) -> Iterator[MetadataObject]:
        if fault := _fault_of_header(file):
            self._into.add(Level.ERROR, *fault, file=name, table=self._table)
            return
        for row in file:
            if not row.cells:
                continue
            place, wide = Place(name, self._table, row.number, row.line, ""), len(file.header)
            if NOT_DECODED.search(row.raw):
                self._into.at(place, Level.ERROR, Code.BAD_FILE, "This row is not UTF-8. Save the list as UTF-8.")
            elif len(row.cells) != wide:  # a value with a comma and no quotes would shift or lose what follows
                message = f"The row has {len(row.cells)} cells and the header {wide}. A value with a comma needs quotes."
                self._into.at(place, Level.ERROR, Code.RAGGED, message)
            elif found := self._object(self._spec(dict(zip(file.header, row.cells, strict=True)), place), place):
                yield found

    def _spec(self, told: dict[str, str], place: Place) -> ObjectSpec:
        flag = told.get("include_dependents", "").strip().lower()
        if flag not in _YES | _NO:
            self._fault(place, "include_dependents", flag, Code.BAD_FLAG, "Say true or false.")
        return ObjectSpec(
            id=told.get("id", ""),
            type=told.get("type", ""),
            action=told.get("action", ""),
            include_dependents=flag in _YES,
            name=told.get("name", ""),
        )

    def _object(self, spec: ObjectSpec, place: Place) -> MetadataObject | None:
        key, action = spec.id.strip().upper(), spec.action.strip() or self._default
        number = type_number(str(spec.type))
        good = self._check_id(key, place) & self._check_type(number, spec, place)
        if action not in ACTIONS:
            good = False
            fault = "There is no such action" if action else "The object needs an action of its own here"
            self._fault(place, "action", action, Code.BAD_ACTION, f"{fault}. There are {', '.join(ACTIONS)}.")
        return MetadataObject(key, number or 0, action, spec.include_dependents, spec.name.strip()) if good else None

    def _check_id(self, key: str, place: Place) -> bool:
        if not is_id(key):
            self._fault(place, "id", key, Code.BAD_ID, "An object's id has 32 hex digits.")
            return False
        first = self._seen.setdefault(key, place.row)
        if first != place.row:
            self._fault(place, "id", key, Code.TWICE, f"The same object stands in row {first} already.")
        return first == place.row

    def _check_type(self, number: int | None, spec: ObjectSpec, place: Place) -> bool:
        kind, told = self._package.type, str(spec.type)
        if number in CONTAINERS:
            self._fault(
                place, "type", told, Code.BAD_TYPE, "Folders and projects are not put into packages; list what is in them."
            )
            return False
        if number is None:
            self._fault(place, "type", told, Code.BAD_TYPE, "This is neither the number nor the name of an object type.")
            return False
        if number in TYPES.get(kind, {number: ""}):
            return True
        other = next((name for name, types in TYPES.items() if name != kind and number in types), "")
        if other:  # [D] each kind of package takes only objects of its own level
            message = f"An object of type {type_name(number)} belongs into a {other} package, not into a {kind} package."
            self._fault(place, "type", told, Code.BAD_TYPE, message)
            return False
        message = "The vendor's client knows no such type in packages [C]; if the vendor does, well."
        self._into.at(_column(place, "type", told), Level.WARNING, Code.UNLISTED_TYPE, message)
        return True

    def _fault(self, place: Place, column: str, value: str, code: Code, message: str) -> None:
        self._into.at(_column(place, column, value), Level.ERROR, code, message)

    def _place(self, row: int) -> Place:
        return Place(MANIFEST, self._table, row, 0, "")


def _fault_of_header(file: CsvFile) -> tuple[Code, str] | None:
    """What makes a list unusable as a whole."""
    header = file.header
    if file.first is not None and NOT_DECODED.search(file.first.raw):
        return Code.BAD_FILE, "The list is not UTF-8. Save it as UTF-8."
    if missing := [column for column in COLUMNS[:2] if column not in header]:
        return Code.BAD_COLUMN, f"The list lacks the column {' and '.join(missing)}; it has {', '.join(header) or 'none'}."
    if unknown := [column for column in header if column not in COLUMNS]:
        return Code.BAD_COLUMN, f"No such column is known: {', '.join(unknown)}. A list has {', '.join(COLUMNS)}."
    if twice := sorted({column for column in header if header.count(column) > 1}):
        return Code.BAD_COLUMN, f"A column stands in the header twice: {', '.join(twice)}."
    return None


def is_id(text: str) -> bool:
    """Whether this is the id of an object, in upper or lower case."""
    return _ID.fullmatch(text.strip().upper()) is not None


def check_rules(package: PackageSpec, into: Findings) -> None:
    """The package's settings against the vendor's lists; `keep_both` anywhere means no undo [D]."""
    rules, table = package.rules, package.label
    told = [
        ("default_action", [rules.default_action], ACTIONS if package.merge is None else MERGE_ACTIONS),
        ("update_schema", list(rules.update_schema), UPDATE_SCHEMA if package.type == "project" else ()),
        (
            "acl_on_replacing_objects",
            [rules.acl_on_replacing_objects] if rules.acl_on_replacing_objects else [],
            ACL_ON_REPLACING,
        ),
        ("acl_on_new_objects", [rules.acl_on_new_objects] if rules.acl_on_new_objects else [], ACL_ON_NEW),
    ]
    for name, values, known in told:
        for value in values:
            if value not in known:
                allowed = f"There are {', '.join(known)}." if known else "A configuration package has no such setting."
                message = f"{name}: {value!r} is not possible. {allowed}"
                into.add(Level.ERROR, Code.BAD_SETTING, message, file=MANIFEST, table=table, column=name)


def keeps_both(package: PackageSpec, objects: list[MetadataObject]) -> bool:
    """Whether any rule of the package is `keep_both`, so that the import will leave no undo package [D]."""
    by_rule = package.merge.actions if package.merge else []
    rules = [package.rules.default_action, package.rules.acl_on_replacing_objects]
    return KEEP_BOTH in [*rules, *by_rule, *(one.action for one in objects)]


def _column(place: Place, column: str, value: str) -> Place:
    return Place(place.file, place.table, place.row, place.line, column, value)
