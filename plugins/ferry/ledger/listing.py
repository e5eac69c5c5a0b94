"""The list of batches as the ledger's page and the dispatcher read it: one row each, without folding every chain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, select

from ferry.core.model import Attempt, Counts
from ferry.ledger.chain import ADMIT, Kind, Verdict
from ferry.ledger.schema import LEDGER, by_newer

KEY = ("vendor", "environment", "batch_id")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch at a glance."""

    vendor: str
    environment: str
    batch_id: str
    attempts: int
    """The number of the attempt that was opened or taken up last."""
    entries: int
    input_hash: str
    opened_at: datetime
    """When its newest attempt was opened."""
    last_at: datetime
    run_id: str
    """The DAG run that opened that attempt, or took it over last."""
    verdict: Verdict | None
    counts: Counts

    @property
    def attempt(self) -> Attempt:
        """Its newest attempt."""
        return Attempt(self.vendor, self.environment, self.batch_id, self.attempts)

    @property
    def is_open(self) -> bool:
        """True unless it balances or was taken back: there is still something to do."""
        return self.verdict not in {Verdict.BALANCED, Verdict.UNDONE}


def batches(
    connection: Connection, scope: tuple[str | None, str | None, str | None], *, verdict: str | None, limit: int, offset: int
) -> list[BatchRow]:
    """The rows of the batches in scope (None: any), the most recently touched first."""
    query = _query(scope, verdict).limit(limit).offset(offset)
    return [_row(row) for row in connection.execute(query).mappings()]


def _query(scope: tuple[str | None, str | None, str | None], verdict: str | None) -> Select[Any]:
    opening, last, judged, other = (LEDGER.alias(name) for name in ("opening", "last", "judged", "other"))
    wanted = zip(KEY, scope, strict=True)
    touched = (
        select(*(LEDGER.c[name] for name in KEY), func.max(LEDGER.c.seq).label("seq"))
        .where(LEDGER.c.step == ADMIT, LEDGER.c.kind.in_([Kind.INTENT.value, Kind.ADOPTED.value]))
        .where(*(LEDGER.c[name] == value for name, value in wanted if value))
        .group_by(*(LEDGER.c[name] for name in KEY))
        .subquery("touched")
    )
    newest = (
        select(*(LEDGER.c[name] for name in (*KEY, "attempt", "run_id")))
        .join(touched, and_(*(LEDGER.c[name] == touched.c[name] for name in (*KEY, "seq"))))
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
            *(newest.c[name] for name in (*KEY, "attempt", "run_id")),
            *(last.c.seq, last.c.at.label("last_at"), opening.c.at.label("opened_at"), opening.c.input_hash),
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
    if row["verdict"] and row["verdict"] not in {verdict.value for verdict in Verdict}:
        raise by_newer(row["vendor"], row["batch_id"], f"verdict {row['verdict']!r}")
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
