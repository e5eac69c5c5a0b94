"""LedgerStore: append, read, admit, intend. What must hold between several writers is held by the database's own constraints."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, insert, or_, select, text

from ferry.core.errors import LedgerConflict, LedgerError
from ferry.core.model import Attempt, RunState
from ferry.ledger import audit, listing
from ferry.ledger.admission import Admission, IsLive, Request, Rule, decide, take_up
from ferry.ledger.audit import Fault
from ferry.ledger.database import Database
from ferry.ledger.entries import (
    ADMIT,
    AGAIN,
    GENESIS,
    SEEN,
    START,
    WATCHED,
    AttemptStanding,
    Draft,
    Entry,
    Intent,
    Kind,
    LedgerFull,
    NotHolder,
    Origin,
    Standing,
    Verdict,
    fold,
)
from ferry.ledger.evidence import EvidenceStore, Sent
from ferry.ledger.listing import BatchRow
from ferry.ledger.schema import LEDGER, by_newer, from_row, newer_words, to_row

Batch = tuple[str, str, str]
TRIES = 50
"""How often a decision is taken anew because another writer was first; each time one of them has got on."""


class LedgerStore:
    """The ledger in its database: `sqlite:////path`, a plain path, or `postgresql://...`. Cheap to make, safe to share."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def __repr__(self) -> str:
        return f"LedgerStore({self.database.name})"

    def migrate(self) -> None:
        """Prepare the database; quick if it is prepared already, safe if several processes do it at once."""
        self.database.migrate()

    # Reading

    def of_batch(self, vendor: str, environment: str, batch_id: str) -> list[Entry]:
        """Every entry of one batch, oldest first."""
        with self.database.reading() as connection:
            return _entries(connection, (vendor, environment, batch_id))

    def standing(self, vendor: str, environment: str, batch_id: str) -> Standing:
        """How one batch stands; without attempts if nobody has tried it."""
        entries = self.of_batch(vendor, environment, batch_id)
        return fold(entries) if entries else Standing(vendor, environment, batch_id)

    def attempt(self, attempt: Attempt, parts: Sequence[str] = ()) -> AttemptStanding:
        """How one attempt stands; LedgerError if it was never opened.

        With `parts`, as far as these are concerned: what was sent for other parts is left out, which may be thousands of entries.
        """
        with self.database.reading() as connection:
            query = _about(len(parts)) if parts else _CHAIN
            return _attempt(_entries(connection, _batch(attempt), query, attempt=attempt.number, **_named(parts)), attempt)

    def batches(
        self,
        vendor: str | None = None,
        environment: str | None = None,
        batch_id: str | None = None,
        *,
        verdict: Verdict | Literal["none"] | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[BatchRow]:
        """One row for each batch, the most recently touched first; `verdict` is that of its newest attempt."""
        with self.database.reading() as connection:
            return listing.batches(connection, (vendor, environment, batch_id), verdict=verdict, limit=limit, offset=offset)

    def vendors(self) -> list[str]:
        """The vendors the ledger knows of."""
        with self.database.reading() as connection:
            return list(connection.scalars(select(LEDGER.c.vendor).distinct().order_by(LEDGER.c.vendor)))

    def live(self, vendor: str, environment: str) -> list[AttemptStanding]:
        """The attempts whose vendor runs must be counted as live."""
        with self.database.reading() as connection:
            return _live(connection, vendor, environment)

    def live_parts(self, attempt: Attempt, part_seconds: int | None = None) -> int:
        """How many parts of an attempt were sent, within so many seconds, and are neither answered nor left to a person."""
        with self.database.reading() as connection:
            return _live_parts(connection, attempt, part_seconds)

    def who_has(self, vendor: str, environment: str, step: str, ref: str) -> list[Attempt]:
        """The attempts of an environment in which that step came back with that ref."""
        mine = and_(LEDGER.c.vendor == vendor, LEDGER.c.environment == environment, LEDGER.c.step == step, LEDGER.c.ref == ref)
        found = select(LEDGER.c.batch_id, LEDGER.c.attempt).where(mine).distinct().order_by(LEDGER.c.batch_id, LEDGER.c.attempt)
        with self.database.reading() as connection:
            return [Attempt(vendor, environment, batch_id, number) for batch_id, number in connection.execute(found)]

    def refs(self, vendor: str, environment: str, step: str, *kinds: Kind) -> set[str]:
        """Every ref that a step came to in an environment, whatever the batch, in entries of the given kinds (any if none)."""
        mine = and_(LEDGER.c.vendor == vendor, LEDGER.c.environment == environment, LEDGER.c.step == step, LEDGER.c.ref != "")
        which = and_(mine, LEDGER.c.kind.in_([kind.value for kind in kinds])) if kinds else mine
        with self.database.reading() as connection:
            return set(connection.scalars(select(LEDGER.c.ref).where(which).distinct()))

    def forgotten(self, evidence: EvidenceStore, *batch: str) -> list[Sent]:
        """What was sent for a batch (vendor, environment, batch id), or for any, that this ledger knows nothing of.

        None in a ledger that has always been this one. One that was restored from a backup knows nothing of what came after it.
        """
        sent = evidence.intents(*batch)  # first: an intent is in the ledger before there is word of it
        if not sent:
            return []
        mine = [LEDGER.c[name] == value for name, value in zip(_KEY, batch, strict=False)]
        known = select(LEDGER.c.entry_hash).where(LEDGER.c.kind == Kind.INTENT.value, *mine)
        with self.database.reading() as connection:
            hashes = set(connection.scalars(known))
        return [one for one in sent if one.entry_hash not in hashes]

    def verify(
        self,
        vendor: str | None = None,
        environment: str | None = None,
        batch_id: str | None = None,
        *,
        evidence: Callable[[Entry], str] | None = None,
    ) -> list[Fault]:
        """Everything that is wrong with the chains (and, if `evidence` checks an entry's file, with the files); empty is good."""
        with self.database.reading() as connection:
            batches = audit.batches(connection, (vendor, environment, batch_id))
        found: list[Fault] = []
        for batch in batches:
            # One short transaction for each: hashing evidence may take long, and nobody should wait for it.
            with self.database.reading() as connection:
                rows = audit.rows(connection, batch)
            found += [Fault(*batch, seq, what) for seq, what in audit.faults_of(rows, evidence)]
        return found

    # Writing

    def append(self, draft: Draft, *, after: int | None = None) -> Entry:
        """Add one fact. With `after`, only if that is still the batch's newest number; LedgerConflict if somebody was first."""
        with self.database.writing() as connection:
            self._lock(connection, *_batch(draft.attempt))
            return _append(connection, [draft], after)[0]

    def settle(self, attempt: Attempt, verdict: Verdict, origin: Origin, **facts: Any) -> Entry:
        """Write the verdict on an attempt; `facts` are a draft's other fields, `counts` above all."""
        return self.append(
            Draft(attempt=attempt, step="settle_batch", kind=Kind.VERDICT, verdict=verdict, origin=origin, **facts)
        )

    def admit(
        self,
        vendor: str,
        environment: str,
        batch_id: str,
        input_hash: str,
        origin: Origin,
        *,
        is_live: IsLive,
        force: bool = False,
        data: dict[str, Any] | None = None,
    ) -> Admission:
        """Whether this DAG run may work on the batch, and on which attempt; decided anew whenever another writer was first.

        `is_live` is asked outside any transaction. `force` opens a new attempt whatever the last says, once for each DAG run,
        and never while another live DAG run holds the batch. `data` goes into the entry that opens or takes over an attempt.
        """
        return self._decided((vendor, environment, batch_id), decide, Request(input_hash, origin, force, data or {}), is_live)

    def take_up(self, attempt: Attempt, origin: Origin, *, is_live: IsLive, data: dict[str, Any] | None = None) -> Admission:
        """Take up an attempt again that was started, also one that was closed, to undo what it did.

        It holds the batch from then on like any other: nothing else is sent for it meanwhile. LedgerConflict if a later attempt
        was started.
        """
        return self._decided(_batch(attempt), take_up(attempt), Request("", origin, data=data or {}), is_live)

    def _decided(self, batch: Batch, rule: Rule, request: Request, is_live: IsLive) -> Admission:
        for _ in range(TRIES):
            standing = self.standing(*batch)
            decision = rule(standing, request, is_live)
            if not decision.drafts:
                return decision.admission
            try:
                with self.database.writing() as connection:
                    self._lock(connection, *batch)
                    _append(connection, decision.drafts, standing.seq)
            except LedgerConflict:
                continue
            return decision.admission
        raise LedgerConflict(
            f"{batch[0]} batch {batch[2]}: {TRIES} times another writer was first while {request.origin} asked for it. "
            "Look at the batch's ledger page for who keeps writing, then try again."
        )

    def intend(
        self,
        attempt: Attempt,
        step: str,
        *,
        origin: Origin,
        key: str = "",
        ref: str = "",
        data: dict[str, Any] | None = None,
        max_live: int | None = None,
        max_parts: int | None = None,
        part_seconds: int | None = None,
    ) -> Intent:
        """Remember that this step is about to be sent. Only the caller that gets a fresh intent may send.

        Only the DAG run that holds the attempt gets one (NotHolder). With `max_live`, at most so many attempts of the
        environment may have a live vendor run (LedgerFull names those that do). With `max_parts`, at most so many parts of the
        attempt may be unanswered at once (LedgerFull as well); those that were sent more than `part_seconds` ago do not count.
        """
        with self.database.writing() as connection:
            if max_live is not None:
                self._lock(connection, attempt.vendor, attempt.environment)
            self._lock(connection, *_batch(attempt))
            chain = _entries(connection, _batch(attempt), _WEIGHED, attempt=attempt.number, step=step, key=key)
            standing = _attempt(chain, attempt)
            known = standing.intents.get((step, key))
            if known is not None:
                return Intent(known, fresh=False, result=standing.answers.get((step, key)))
            _check_holder(fold(chain), standing, step, origin)
            if max_live is not None and not _has_place(connection, attempt):
                _check_places(_live(connection, attempt.vendor, attempt.environment), attempt, max_live)
            if max_parts is not None and (live := _live_parts(connection, attempt, part_seconds)) >= max_parts:
                raise LedgerFull(
                    f"{attempt} must wait with {key or step}: {live} of at most {max_parts} of its parts are under way.",
                    attempt=attempt.key,
                )
            draft = Draft(attempt=attempt, step=step, kind=Kind.INTENT, key=key, ref=ref, data=data or {}, origin=origin)
            return Intent(_append(connection, [draft], None)[0], fresh=True)

    def _lock(self, connection: Connection, *names: str) -> None:
        """Make writers of one batch (or environment) wait for each other until the transaction ends; SQLite does it by itself."""
        if self.database.is_postgres:
            digest = hashlib.sha256("\0".join(("ferry", *names)).encode()).digest()
            number = int.from_bytes(digest[:8], signed=True)
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def _batch(attempt: Attempt) -> Batch:
    return attempt.vendor, attempt.environment, attempt.batch_id


def _values(attempt: Attempt) -> dict[str, Any]:
    return dict(zip(_KEY, _batch(attempt), strict=True))


def _of(batch: Batch) -> ColumnElement[bool]:
    vendor, environment, batch_id = batch
    return and_(LEDGER.c.vendor == vendor, LEDGER.c.environment == environment, LEDGER.c.batch_id == batch_id)


_KEY = ("vendor", "environment", "batch_id")
_COLUMNS = tuple(LEDGER.c.keys())
# What every step asks many times is built once: to build a query costs more than to ask it.
_CHAIN = select(LEDGER).where(*(LEDGER.c[name] == bindparam(name) for name in _KEY)).order_by(LEDGER.c.seq)
_OWN = LEDGER.alias()
_SENT = (
    select(_OWN.c.step)
    .where(*(_OWN.c[name] == bindparam(name) for name in (*_KEY, "attempt")))
    .where(_OWN.c.kind == Kind.INTENT.value, _OWN.c.key != "", _OWN.c.step != ADMIT)
    .distinct()
)
_WHOLE = or_(LEDGER.c.key == "", LEDGER.c.key.startswith(AGAIN, autoescape=True), LEDGER.c.step.not_in(_SENT))
_ATTEMPT = LEDGER.c.attempt == bindparam("attempt")
_INTENDED = and_(_ATTEMPT, LEDGER.c.step == bindparam("step"), LEDGER.c.key == bindparam("key"))
_WEIGHED = _CHAIN.where(or_(_INTENDED, LEDGER.c.step == ADMIT, LEDGER.c.kind == Kind.VERDICT.value))
"""The entries that decide on one intent; a batch of thousands of parts is not read whole for each of them."""
_HEAD = select(LEDGER.c.seq, LEDGER.c.entry_hash).where(*(LEDGER.c[name] == bindparam(name) for name in _KEY))
_HEAD = _HEAD.order_by(LEDGER.c.seq.desc()).limit(1)
_OPENED = select(LEDGER.c.input_hash).where(*(LEDGER.c[name] == bindparam(name) for name in _KEY), _ATTEMPT)
_OPENED = _OPENED.where(LEDGER.c.kind == Kind.INTENT.value, LEDGER.c.step == ADMIT)
_ADD = insert(LEDGER)


@cache
def _about(number: int) -> Select[Any]:
    """The entries of an attempt without those of other than so many parts: a part has an intent of its own."""
    key, parts = LEDGER.c.key, [f"part_{place}" for place in range(number)]
    mine = (or_(key == bindparam(part), key.like(bindparam(f"again_{part}"), escape="/")) for part in parts)
    return _CHAIN.where(_ATTEMPT, or_(_WHOLE, *mine))


def _named(parts: Sequence[str]) -> dict[str, str]:
    """The values by which `_about` knows the parts."""
    exactly = {f"part_{place}": part for place, part in enumerate(parts)}
    return exactly | {f"again_{name}": re.sub("([/%_])", r"/\1", part + AGAIN) + "%" for name, part in exactly.items()}


def _has_place(connection: Connection, attempt: Attempt) -> bool:
    """True if the attempt was started and its place was not given back: `holds_place`, without reading thousands of parts."""
    mine = and_(_of(_batch(attempt)), LEDGER.c.attempt == attempt.number)
    started = select(func.max(LEDGER.c.seq)).where(mine, LEDGER.c.kind == Kind.INTENT.value, LEDGER.c.step == START)
    judged = select(LEDGER.c.seq).where(mine, LEDGER.c.kind == Kind.VERDICT.value).limit(1)
    begun = connection.scalar(started)
    if begun is None or connection.scalar(judged) is not None:
        return False
    seen = and_(LEDGER.c.step.in_(WATCHED), LEDGER.c.kind.in_([kind.value for kind in SEEN]), LEDGER.c.state.is_not(None))
    whole = or_(LEDGER.c.key == "", LEDGER.c.key.startswith(AGAIN, autoescape=True))
    newest = select(LEDGER.c.state).where(mine, seen, whole, LEDGER.c.seq > begun).order_by(LEDGER.c.seq.desc()).limit(1)
    state = connection.scalar(newest)
    try:
        return state is None or not RunState(state).is_final
    except ValueError:
        raise by_newer(attempt.vendor, attempt.batch_id, f"state {state!r}") from None


def _live_parts(connection: Connection, attempt: Attempt, part_seconds: int | None) -> int:
    """Counted by the database: an attempt of thousands of parts is not read whole for each of them."""
    sent, known = LEDGER.alias(), LEDGER.alias()
    batch = ("vendor", "environment", "batch_id", "attempt", "step", "key")
    over = select(known.c.seq).where(
        and_(*(known.c[name] == sent.c[name] for name in batch)),
        known.c.kind.in_([Kind.RESULT.value, Kind.ADOPTED.value, Kind.ASKED.value]),
    )
    mine = and_(
        sent.c.vendor == attempt.vendor,
        sent.c.environment == attempt.environment,
        sent.c.batch_id == attempt.batch_id,
        sent.c.attempt == attempt.number,
        sent.c.step != ADMIT,
        sent.c.kind == Kind.INTENT.value,
    )
    if part_seconds is not None:
        begun = (datetime.now(UTC) - timedelta(seconds=part_seconds)).isoformat(timespec="microseconds")
        mine = and_(mine, sent.c.at >= begun)
    return connection.scalar(select(func.count()).select_from(sent).where(mine, ~over.exists())) or 0


def _entries(connection: Connection, batch: Batch, query: Select[Any] = _CHAIN, **values: Any) -> list[Entry]:
    found = connection.execute(query, dict(zip(_KEY, batch, strict=True)) | values).all()
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in found]
    try:
        return [from_row(row) for row in rows]
    except (ValueError, KeyError, TypeError):
        if words := next(filter(None, map(newer_words, rows)), ""):
            raise by_newer(batch[0], batch[2], words) from None
        raise LedgerError(
            f"the ledger of {batch[0]} batch {batch[2]} holds a row that is no entry: somebody changed it by hand. "
            "Run `make verify`, which names the row; nothing is sent for this batch until it is put right from a backup."
        ) from None


def _attempt(chain: list[Entry], attempt: Attempt) -> AttemptStanding:
    mine = tuple(entry for entry in chain if entry.attempt == attempt)
    if not mine:
        raise LedgerError(
            f"{attempt} was never opened in the ledger: `{ADMIT}` comes first. Nothing was sent.", attempt=attempt.key
        )
    return AttemptStanding(mine)


def _append(connection: Connection, drafts: Iterable[Draft], after: int | None) -> list[Entry]:
    written: list[Entry] = []
    for draft in drafts:
        last = connection.execute(_HEAD, _values(draft.attempt)).one_or_none()
        seq, head = (last.seq, last.entry_hash) if last else (0, GENESIS)
        if after is not None and not written and seq != after:
            raise LedgerConflict(f"{draft.attempt}: expected entry {after} to be the newest and found {seq}. Read it again.")
        whole = _with_input(connection, draft).cleaned()
        entry = Entry.seal(whole, seq=seq + 1, at=datetime.now(UTC), prev_hash=head)
        connection.execute(_ADD, to_row(entry))
        written.append(entry)
    return written


def _with_input(connection: Connection, draft: Draft) -> Draft:
    """The draft with its attempt's input hash: an attempt is about one input, and its opening says which."""
    if draft.step == ADMIT and draft.kind is Kind.INTENT:
        return draft
    known = connection.scalar(_OPENED, _values(draft.attempt) | {"attempt": draft.attempt.number})
    if known is None:
        raise LedgerError(f"{draft.attempt} was never opened in the ledger: `{ADMIT}` comes first.", attempt=draft.attempt.key)
    if draft.input_hash not in {"", known}:
        raise LedgerError(
            f"{draft.attempt} was opened for the input {known[:12]}… and `{draft.step}` speaks of {draft.input_hash[:12]}…: "
            "the files changed on the way. Trigger the batch again: a new input is a new attempt.",
            attempt=draft.attempt.key,
        )
    return replace(draft, input_hash=known)


def _check_holder(batch: Standing, standing: AttemptStanding, step: str, origin: Origin) -> None:
    """A DAG run that was thought dead may still move; what it held has gone to another, so it must not send."""
    newest = batch.last is not None and batch.last.attempt == standing.attempt
    if newest and standing.is_open and standing.holder.same_run(origin):
        return
    why = (
        f"it is held by {standing.holder}"
        if newest and standing.is_open
        else f"it is {standing.verdict or 'no longer the newest'}"
    )
    raise NotHolder(
        f"{standing.attempt}: {origin} may not send `{step}`, because {why}. Nothing was sent; "
        "trigger the batch again if it is not balanced.",
        attempt=standing.attempt.key,
    )


def _check_places(live: list[AttemptStanding], attempt: Attempt, max_live: int) -> None:
    if len(live) < max_live:
        return
    holders = ", ".join(f"{s.attempt.batch_id} attempt {s.attempt.number} ({s.ref or 'ref not known'})" for s in live)
    raise LedgerFull(
        f"{attempt} must wait: {len(live)} of at most {max_live} vendor runs are live at {attempt.environment}: {holders}. "
        "It is asked again until one of them ends; the connection's max_live_runs says how many there may be.",
        attempt=attempt.key,
        holders=[s.attempt.key for s in live],
    )


def _live(connection: Connection, vendor: str, environment: str) -> list[AttemptStanding]:
    start, closing, opening = LEDGER.alias(), LEDGER.alias(), LEDGER.alias()
    key = ("vendor", "environment", "batch_id", "attempt")
    opened = select(func.max(opening.c.seq)).where(
        and_(*(opening.c[name] == start.c[name] for name in key)),
        and_(opening.c.step == ADMIT, opening.c.kind != Kind.VERDICT.value),  # a verdict that supersedes opens nothing
    )
    closed = select(closing.c.seq).where(
        and_(*(closing.c[name] == start.c[name] for name in key)),
        and_(closing.c.kind == Kind.VERDICT.value, closing.c.verdict.in_([v.value for v in Verdict if v.closes])),
        closing.c.seq > opened.scalar_subquery(),  # one that was taken up again is open again
    )
    started = (
        select(start.c.batch_id, start.c.attempt)
        .where(
            start.c.vendor == vendor, start.c.environment == environment, start.c.kind == Kind.INTENT.value, start.c.step == START
        )
        .where(~closed.exists())
        .distinct()
        .order_by(start.c.batch_id, start.c.attempt)
    )
    found = connection.execute(started).all()
    standings = (_attempt(_entries(connection, (vendor, environment, b)), Attempt(vendor, environment, b, n)) for b, n in found)
    return [standing for standing in standings if standing.holds_place]
