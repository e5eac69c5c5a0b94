"""What a batch came to: the word for the whole, the errors for people, and every datasource's fate against Domo's own list."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.csvfile import neutralise, visible
from ferry.core.model import RunState
from ferry.ledger.entries import Kind
from ferry.ledger.reconciliation import KeyFile, Reconciliation, SentFile
from ferry.ledger.reconciliation import reconcile as join
from ferry.steps.waiving import waived_files
from ferry.vendors.domo.fates import Fate, fates
from ferry.vendors.domo.mapping import TABLE, Item
from ferry.vendors.domo.moving import sentence
from ferry.vendors.domo.planning import kept, plan_of, write_csv
from ferry.vendors.domo.starting import delay_of
from ferry.vendors.domo.vocabulary import COMPLETE

if TYPE_CHECKING:
    from ferry.ledger.evidence import Filed
    from ferry.steps.work import Work
    from ferry.vendors.domo.shapes import Candidates

log = logging.getLogger(__name__)
NAMED = 3
"""Datasources that a message names; all of them are in the evidence."""
WAY_ON = "clear start_run or trigger the batch again"
NEVER_SENT, LOST, REFUSED = "not sent", "answer lost", "refused"


def said_of(item: Item, known: Mapping[str, Fate]) -> str:
    """What is known of a datasource, in Domo's words where there are any."""
    fate = known.get(item.id)
    if item.already or (fate and fate.has_moved):
        return COMPLETE
    if fate is None or fate.intent is None:
        return NEVER_SENT
    if fate.is_back:
        return "reversed"
    if fate.was_turned_away:
        return REFUSED
    return LOST if fate.is_lost else fate.word or LOST


def record_end(work: Work) -> dict[str, int]:
    """How the batch's migrations ended as a whole, for the ledger and for the route; counts by what is known."""
    known = fates(work.standing)
    tally = Counter(said_of(item, known) for item in kept(work))
    word = ", ".join(f"{number:,} {name}" for name, number in sorted(tally.items()))
    work.record(Kind.RESULT, step="await_run", ref=work.standing.ref, word=word, state=_state(tally, known))
    log.info("%s: %s", work.attempt, word)
    return dict(tally)


def _state(tally: Mapping[str, int], known: Mapping[str, Fate]) -> RunState:
    if set(tally) <= {COMPLETE}:
        return RunState.SUCCEEDED
    if LOST in tally or any(fate.is_half_done for fate in known.values()):
        return RunState.FAILED_DIRTY
    return RunState.PARTIALLY_SUCCEEDED if COMPLETE in tally else RunState.FAILED_CLEAN


def fetch_errors(work: Work) -> dict[str, int]:
    """What Domo said of each datasource that is not migrated, as a file for people; how many there are of each sort."""
    known = fates(work.standing)
    bad = [item for item in kept(work) if said_of(item, known) != COMPLETE]
    rows = [_error(item, known) for item in bad]
    header = ("datasource", "state", "toe", "errorMessage", "catalog", "schema", "table", "what to do")
    with work.desk() as desk:
        path = write_csv(desk / "errors.csv", header, ([neutralise(visible(cell)) for cell in row] for row in rows))
        filed = work.evidence.file_from(work.attempt, work.step, path.name, path)
    sorts = Counter(f"{row[1]}: {_pattern(row[3])}" if row[3] else row[1] for row in rows)
    triage = "; ".join(f"{number:,} x {sort}" for sort, number in sorts.most_common(NAMED))
    more = f"; and {len(sorts) - NAMED:,} other sorts" if len(sorts) > NAMED else ""
    note = f"{len(rows):,} datasources are not migrated: {triage}{more}. Each is in {filed.path}."
    counts = Counter(row[1] for row in rows)
    work.record(Kind.RESULT, filed, note=note, data={"errors": dict(counts)})
    log.info("%s", note)
    return dict(counts)


def _error(item: Item, known: Mapping[str, Fate]) -> tuple[str, ...]:
    said, fate = said_of(item, known), known.get(item.id)
    toe, message = (fate.answer.ref, fate.answer.note) if fate and fate.answer and fate.word else ("", "")
    return item.id, said, "" if toe == item.id else toe, message, item.catalog, item.schema, item.table, _advice(fate)


def _advice(fate: Fate | None) -> str:
    if fate is None or fate.intent is None:
        return "Nothing was sent for it; clear start_run."
    if fate.is_half_done:
        return "What is built on it may be broken. Correct the cause, then clear start_run to send it again, or reverse it."
    if fate.state is RunState.FAILED_CLEAN:
        return "Nothing about it was changed. Correct the cause, then clear start_run."
    return "Look at it in Domo, then clear start_run: what is migrated is not sent again."


def _pattern(message: str) -> str:
    """A message as a sort of messages: ids and numbers differ, the cause does not."""
    return re.sub(r"\b[0-9A-Za-z-]*[0-9][0-9A-Za-z-]*\b", "#", message)[:120]


def late(work: Work) -> tuple[dict[str, dict[str, Any]], float]:
    """Datasources that Domo called complete and does not list as migrated yet, and until when that may be its visible delay."""
    known = {one: fate for one, fate in fates(work.standing).items() if fate.has_moved and fate.answer is not None}
    listed = _listed(work)
    missing = {one: fate for one, fate in known.items() if one in listed and not listed[one].migrated}
    newest = max((fate.answer.at for fate in missing.values() if fate.answer), default=datetime.now(UTC)).timestamp()
    wanted = {one: listed[one].to_json() for one in missing}
    return wanted, newest + delay_of(work)


def reconcile(work: Work) -> dict[str, int]:
    """Counts of the identity, in datasources: what was asked for against Domo's answers and its candidates list.

    Accepted: Domo said that it is complete (or its list proved it), and lists it as migrated. Rejected: Domo said no, or did not
    finish, or it was put back. Unprocessed: never sent, nobody knows, or the list contradicts the answer.
    """
    items, known, listed = kept(work), fates(work.standing), _listed(work)
    fate_of = {item.id: _fate(item, known, listed) for item in items}
    with work.desk() as desk:
        found = _join(work, items, fate_of, desk)
        path = write_csv(
            desk / "fates.csv", ("datasource", "fate", "said", "toe", "listed"), _rows(items, fate_of, known, listed)
        )
        filed = work.evidence.file_from(work.attempt, work.step, path.name, path)
    note = _note(items, fate_of, known, filed)
    counts = asdict(found.counts)
    work.record(Kind.RESULT, filed, note=note, counts=counts, data=found.to_json())
    log.info("%s", note)
    return counts


def _listed(work: Work) -> Candidates:
    account_id = plan_of(work).account_id
    listed: Candidates = work.call(lambda api: api.candidates(account_id))
    return listed


def _fate(item: Item, known: Mapping[str, Fate], listed: Candidates) -> str:
    said = said_of(item, known)
    if said == COMPLETE:
        return "accepted" if item.id in listed and listed[item.id].migrated else "unprocessed"
    return "unprocessed" if said in {NEVER_SENT, LOST, REFUSED} else "rejected"


def _rows(
    items: Sequence[Item], fate_of: Mapping[str, str], known: Mapping[str, Fate], listed: Candidates
) -> Iterable[tuple[str, ...]]:
    for item in items:
        answer = known[item.id].answer if item.id in known else None
        shown = ("migrated" if listed[item.id].migrated else "not migrated") if item.id in listed else "not listed"
        said = f"migrated before, by {item.already}" if item.already else said_of(item, known)
        yield item.id, fate_of[item.id], said, answer.ref if answer and answer.ref != item.id else "", shown


def _join(work: Work, items: Sequence[Item], fate_of: Mapping[str, str], desk: Path) -> Reconciliation:
    lists = desk / "lists"
    lists.mkdir()
    sent = write_csv(desk / "sent.csv", ("key",), ((item.id,) for item in items))
    reports = {
        fate: [KeyFile(write_csv(desk / f"{fate}.csv", ("table", "key"), _keys(fate_of, fate)), "key", "table")]
        for fate in ("accepted", "rejected")
    }
    found = join(
        [SentFile(TABLE, sent, "key", records=len(items))],
        accepted=reports["accepted"],
        rejected=reports["rejected"],
        waived=waived_files(work, desk),
        out=lists,
    )
    for path in found.files.values():
        work.evidence.file_from(work.attempt, work.step, path.name, path)
    return found


def _keys(fate_of: Mapping[str, str], wanted: str) -> Iterable[tuple[str, str]]:
    return ((TABLE, one) for one, fate in fate_of.items() if fate == wanted)


def _note(items: Sequence[Item], fate_of: Mapping[str, str], known: Mapping[str, Fate], filed: Filed) -> str:
    bad = [item for item in items if fate_of[item.id] != "accepted"]
    moved = f"Of {len(items):,} datasources, {len(items) - len(bad):,} are on V2."
    if not bad:
        return moved
    told = " ".join(_told(item, known) for item in bad[:NAMED])
    more = f" {len(bad) - NAMED:,} more are in {filed.path}." if len(bad) > NAMED else ""
    return f"{moved} {told}{more} What is migrated is not sent again."


def _told(item: Item, known: Mapping[str, Fate]) -> str:
    said, fate = said_of(item, known), known.get(item.id)
    if said == COMPLETE:
        toe = fate.answer.ref if fate and fate.answer else "no toe"
        return f"Domo called {item.id} complete (toe {toe}), and its list does not show it as migrated: ask Domo's support."
    if said == NEVER_SENT or fate is None:
        return f"Nothing was sent for {item.id}: {WAY_ON}."
    if said == REFUSED:
        reason = fate.answer.note if fate.answer else ""
        return f"{item.id} was turned away: {reason}" if reason else f"{item.id} was turned away: {WAY_ON}."
    if said == LOST:
        return f"Nobody knows what became of {item.id}: look at it in Domo, then {WAY_ON}."
    if said == "reversed":
        return f"{item.id} was not finished and was put back on V1: correct the cause, then {WAY_ON}."
    return sentence(item.id, fate, fate.direction, WAY_ON)
