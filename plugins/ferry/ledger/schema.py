"""The ledger's one table as queries see it. Migrations create it; nothing in here changes a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text

from ferry.core.errors import LedgerError
from ferry.core.model import RunState
from ferry.ledger.chain import Entry, Kind, Verdict, canonical, digest

HEAD = "0001"
"""The migration this code was written for."""
VERSION_TABLE = "ferry_alembic_version"

LEDGER = Table(
    "ferry_ledger",
    MetaData(),
    Column("vendor", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("batch_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    # Times are ISO 8601 text in UTC with microseconds: exact in both databases, sortable, and hashed as they stand.
    Column("at", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("input_hash", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("word", Text, nullable=False),
    Column("state", Text),
    Column("verdict", Text),
    # JSON as text: a JSON column would hand back other bytes than those that were hashed.
    Column("counts", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("evidence_path", Text, nullable=False),
    Column("evidence_hash", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("dag_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("try_number", Integer, nullable=False),
    Column("who", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("entry_hash", Text, nullable=False, unique=True),
)

_WORDS = {
    "kind": {word.value for word in Kind},
    "state": {word.value for word in RunState},
    "verdict": {word.value for word in Verdict},
}


def to_row(entry: Entry) -> dict[str, Any]:
    """The entry as one row."""
    flat = entry.to_json()
    return flat | {"counts": canonical(flat["counts"]), "data": canonical(flat["data"])}


def newer_words(row: Mapping[str, Any]) -> str:
    """The words in a row that only a newer Ferry knows (`verdict 'merged'`); empty if there are none, or the row was altered."""
    unknown = [f"{name} {row[name]!r}" for name, known in _WORDS.items() if row[name] and row[name] not in known]
    return " and ".join(unknown) if unknown and _is_intact(row) else ""


def by_newer(vendor: str, batch_id: str, words: str) -> LedgerError:
    """Why a batch cannot be told about by this version; nothing is guessed, and nothing sent."""
    return LedgerError(
        f"the ledger of {vendor} batch {batch_id} has {words}, which this version does not know: a newer Ferry has worked on the "
        "batch. Nothing was sent. Upgrade this installation; the entries are as they were written."
    )


def _is_intact(row: Mapping[str, Any]) -> bool:
    try:
        flat = dict(row) | {"counts": json.loads(row["counts"]), "data": json.loads(row["data"])}
        return digest(flat) == str(row["entry_hash"])
    except (ValueError, TypeError):
        return False


def from_row(row: Mapping[str, Any]) -> Entry:
    """The entry a row holds; ValueError, KeyError or TypeError if somebody bent it."""
    return Entry.from_json(dict(row) | {"counts": json.loads(row["counts"]), "data": json.loads(row["data"])})
