"""What a person is shown before an import or an undo: enough to decide, and nothing of any object but its type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ferry.core.model import Run
from ferry.vendors.microstrategy.making import must_be_checked
from ferry.vendors.microstrategy.planning import SOURCE, library, package
from ferry.vendors.microstrategy.shapes import can_be_undone, import_word, members, part, project_of
from ferry.vendors.microstrategy.undoing import APPROVAL, UNDOES

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
        f"**{section.name or work.batch.manifest.title or work.attempt.batch_id}** ({work.attempt})",
        "",
        f"* From **{library(work, SOURCE)['name']}**"
        if not section.package_file
        else f"* From file **{section.package_file.file}**",
        f"* To **{library(work)['name']}** ({work.attempt.environment})",
        f"* Asked for by {_asker(work)}",
        f"* Vendor's id: `{made.ref or 'none before the import'}`",
        f"* Validation on the target: {_validation(work)}",
        f"* Can be undone afterwards: {_undoable(work)}",
        "",
        *_table(checked.data.get("content") or [], ("Project", "Type", "Action", "Objects")),
        "",
        f"The objects one by one: `{checked.evidence_path}` in the evidence." if checked.evidence_path else "",
        "**Approve** locks the package and imports it at once. **Reject** sends nothing and closes this attempt.",
    ]
    return "\n".join(lines)


def undo_facts(work: Work) -> str:
    """What an approval of an undo is about: which import, how it stands, how much comes back."""
    run = Run(work.standing.ref)
    record = work.call(lambda api: api.record(run, whole=False))
    rows = [[project_of(one), import_word(one), "yes" if can_be_undone(one) else "no", _size(one)] for one in members(record)]
    reasons = {str(part(one, "importInfo").get("message") or "") for one in members(record)} - {""}
    lines = [
        f"**{work.standing.entries[0].data.get('title') or work.attempt}**",
        "",
        f"* On **{library(work)['name']}** ({work.attempt.environment})",
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
    return AUTO if work.batch.section.approval == "auto" else ""


def undo_unattended(work: Work) -> str:
    """The same for an undo: as the manifest said when the import was admitted."""
    told = work.standing.entries[0].data
    approval = told[APPROVAL] if UNDOES in told else work.section.approval
    return AUTO if approval == "auto" else ""


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
    return "yes" if work.batch.section.keep_undo else "**no**, the manifest says keep_undo: false"


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
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
