"""What a person is shown before an import or an undo: enough to decide, of objects only their types, and what the vendor says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ferry.core.model import Run
from ferry.ledger.entries import UNDO, Kind
from ferry.steps.undoing import undo_part
from ferry.vendors.microstrategy.making import must_be_checked
from ferry.vendors.microstrategy.planning import AT_SOURCE, end_of, package, settings
from ferry.vendors.microstrategy.shapes import can_be_undone, import_word, members, part, project_of

if TYPE_CHECKING:
    from ferry.steps.work import Work

AUTO = "The manifest says approval: auto, so nobody was asked."
_SHOWN = 40
"""Rows of a table that a person reads; the rest is counted, and listed in the evidence."""


def import_facts(work: Work) -> str:
    """What an approval of the import is about: objects by project, type and action, both ends, who asked, the validation."""
    must_be_checked(work)
    section, made = work.batch.section, package(work)
    checked = work.standing.results[("check_package", "")]
    lines = [
        f"**{plain(section.name or work.batch.manifest.title or work.attempt.batch_id)}** ({work.attempt})",
        "",
        f"* From **{_origin(work)}**",
        f"* To **{plain(end_of(work)['name'])}** ({work.attempt.environment})",
        f"* Asked for by {_asker(work)}",
        f"* Vendor's id: `{made.ref or 'none before the import'}`",
        f"* Validation on the target: {_validation(work)}",
        f"* Can be undone afterwards: {_undoable(work)}",
        "",
        *_table(checked.data.get("content") or [], ("Project", "Type", "Action", "Objects")),
        "",
        f"The objects one by one: `{checked.evidence_path}` in the evidence." if checked.evidence_path else "",
        "",
        "**Approve** locks the package and imports it at once. **Reject** sends nothing and closes this attempt.",
    ]
    return "\n".join(lines)


def undo_facts(work: Work) -> str:
    """What an approval of an undo is about: which import, how it stands, how much comes back."""
    run = Run(work.standing.ref)
    record = work.call(lambda api: api.record(run, whole=False))
    rows = [[project_of(one), import_word(one), "yes" if can_be_undone(one) else "no", _size(one)] for one in members(record)]
    reasons = {plain(str(part(one, "importInfo").get("message") or "")) for one in members(record)} - {""}
    title = plain(str(work.standing.entries[0].data.get("title") or ""))
    lines = [
        f"**{title}** ({work.attempt})" if title else f"**{work.attempt}**",
        "",
        f"* On **{plain(end_of(work)['name'])}** ({work.attempt.environment})",
        f"* Asked for by {_asker(work)}",
        f"* Vendor's id: `{run.ref}`",
        *(f"* The vendor says: {reason}" for reason in sorted(reasons)),
        "",
        *_table(rows, ("Project", "Import", "Undo package", "Bytes")),
        "",
        "**Approve** puts the objects back as they were before the import, whatever was done to them since. **Reject** sends",
        "nothing.",
    ]
    return "\n".join(lines)


def import_unattended(work: Work) -> str:
    """Why nobody needs to be asked about the import; empty to ask."""
    must_be_checked(work)
    return AUTO if settings(work)["approval"] == "auto" else ""


def undo_unattended(work: Work) -> str:
    """The same for an undo: as the manifest said when the batch was checked, or because somebody did it by hand."""
    found = work.standing.answers.get((UNDO, undo_part(work)))
    if found and found.kind is Kind.ADOPTED:
        return f"{found.note} So nobody was asked."
    return AUTO if settings(work)["approval"] == "auto" else ""


def _asker(work: Work) -> str:
    first = work.standing.openings[-1].origin
    return f"{first.who} ({first})" if first.who else f"{first}, which nobody triggered by hand"


def _validation(work: Work) -> str:
    tried = work.standing.results.get(("await_validation", ""))
    return tried.word if tried and tried.word else "not asked for"


def _undoable(work: Work) -> str:
    findings = work.standing.results[("check_batch", "")].data.get("findings") or []
    if any(finding.get("code") == "NO_UNDO" for finding in findings):
        return "**no**, a rule is keep_both"
    return "yes" if settings(work)["keep_undo"] else "**no**, the manifest says keep_undo: false"


def _size(member: Any) -> str:
    size = part(part(member, "importInfo"), "undoStorage").get("size")
    return f"{size:,}" if isinstance(size, int) else ""


def _table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> list[str]:
    if not rows:
        return []
    shown = [_row(row) for row in rows[:_SHOWN]]
    more = [f"\n... and {len(rows) - _SHOWN:,} more rows."] if len(rows) > _SHOWN else []
    return [_row(header), _row(["---"] * len(header)), *shown, *more]


def _row(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(plain(str(cell)) for cell in cells) + " |"


def _origin(work: Work) -> str:
    told = work.batch.section.package_file
    return f"file {plain(told.file)}" if told else plain(end_of(work, AT_SOURCE)["name"])


def plain(text: str) -> str:
    """Text that a page shows as it is: on one line, and nothing in it is Markdown."""
    return re.sub(r"([\\`*\[\]<>#|])", r"\\\1", " ".join(text.split()))


def import_matter(work: Work) -> str:
    """The hash of what an approval is given for."""
    checked = work.standing.results.get(("check_package", ""))
    return str(checked.data.get("fingerprint", "")) if checked else ""
