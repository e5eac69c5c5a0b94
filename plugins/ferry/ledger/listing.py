"""The list of batches as the ledger's page and the dispatcher read it: one row each, without folding every chain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, select

from ferry.core.model import Attempt, Counts
from ferry.ledger.chain import ADMIT, Kind, Verdict
from ferry.ledger.schema import LEDGER

KEY = ("vendor", "environment", "batch_id")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch at a glance."""

    vendor: str
    environment: str
    batch_id: str
    attempts: int
    """The number of its newest attempt."""
    entries: int
    input_hash: str
    opened_at: datetime
    """When its newest attempt was opened."""
    last_at: datetime
    run_id: str
    """The DAG run that opened the newest attempt."""
    verdict: Verdict | None
    counts: Counts

    @property
    def attempt(self) -> Attempt:
        """Its newest attempt."""
        return Attempt(self.vendor, self.environment, self.batch_id, self.attempts)

    @property
    def is_open(self) -> bool:
        """True unless it balances: there is still something to do."""
        return self.verdict is not Verdict.BALANCED


def batches(
    connection: Connection, vendor: str | None, environment: str | None, *, verdict: str | None, limit: int, offset: int
) -> list[BatchRow]:
    """The rows, the most recently touched first."""
    query = _query(vendor, environment, verdict).limit(limit).offset(offset)
    return [_row(row) for row in connection.execute(query).mappings()]


def _query(vendor: str | None, environment: str | None, verdict: str | None) -> Select[Any]:
    opening, last, judged, other = (LEDGER.alias(name) for name in ("opening", "last", "judged", "other"))
    newest = (
        select(*(LEDGER.c[name] for name in KEY), func.max(LEDGER.c.attempt).label("attempt"))
        .where(LEDGER.c.kind == Kind.INTENT.value, LEDGER.c.step == ADMIT)
        .where(*(LEDGER.c[name] == value for name, value in (("vendor", vendor), ("environment", environment)) if value))
        .group_by(*(LEDGER.c[name] for name in KEY))
        .subquery("newest")
    )
    head = select(func.max(other.c.seq)).where(*(other.c[name] == newest.c[name] for name in KEY)).scalar_subquery()
    verdict_seq = (
        select(func.max(other.c.seq))
        .where(*(other.c[name] == newest.c[name] for name in (*KEY, "attempt")), other.c.kind == Kind.VERDICT.value)
        .scalar_subquery()
    )
    same = {alias: and_(*(alias.c[name] == newest.c[name] for name in KEY)) for alias in (opening, last, judged)}
    is_opening = and_(opening.c.attempt == newest.c.attempt, opening.c.kind == Kind.INTENT.value, opening.c.step == ADMIT)
    query = (
        select(
            *(newest.c[name] for name in (*KEY, "attempt")),
            *(last.c.seq, last.c.at.label("last_at"), opening.c.at.label("opened_at"), opening.c.input_hash, opening.c.run_id),
            *(judged.c.verdict, judged.c.counts),
        )
        .select_from(newest)
        .join(opening, and_(same[opening], is_opening))
        .join(last, and_(same[last], last.c.seq == head))
        .outerjoin(judged, and_(same[judged], judged.c.seq == verdict_seq))
        .order_by(last.c.at.desc(), *(newest.c[name] for name in KEY))
    )
    if verdict == "none":
        return query.where(judged.c.verdict.is_(None))
    return query.where(judged.c.verdict == verdict) if verdict else query


def _row(row: RowMapping) -> BatchRow:
    return BatchRow(
        vendor=row["vendor"],
        environment=row["environment"],
        batch_id=row["batch_id"],
        attempts=row["attempt"],
        entries=row["seq"],
        input_hash=row["input_hash"],
        opened_at=datetime.fromisoformat(row["opened_at"]),
        last_at=datetime.fromisoformat(row["last_at"]),
        run_id=row["run_id"],
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
        counts=Counts.from_json(json.loads(row["counts"])) if row["counts"] else Counts(),
    )
