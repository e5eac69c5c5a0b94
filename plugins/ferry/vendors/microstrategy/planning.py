"""The plan of a migration: checked once, kept by the ledger, and the same for every later step."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BatchRefused
from ferry.core.findings import Level
from ferry.core.model import Run
from ferry.steps.checking import report
from ferry.vendors.microstrategy.bodies import Member, Project, import_info
from ferry.vendors.microstrategy.checks import MOST_BYTES, check_members, check_one_library, place, project_named
from ferry.vendors.microstrategy.content import Code, Findings, MetadataObject, ObjectCheck
from ferry.vendors.microstrategy.sent import keep, keep_whole

if TYPE_CHECKING:
    from ferry.steps.work import Work

AT_SOURCE = "source"
SAID = 3
"""Findings that are told in the message itself, if there are no more."""
PACKAGE, FILE = "", "file"
"""Parts of `open_run`: the package at the source, and the file that carries it to the target."""


def check_batch(work: Work) -> dict[str, Any]:
    """All findings of the manifest, the object lists and both Libraries, as evidence; BatchRefused if there are faults."""
    if (known := work.result()) and work.standing.started:  # what was imported is not judged anew
        return {"findings": known.note}
    findings, section = Findings(), work.batch.section
    found = check_members(work.batch, findings)
    there = work.call(lambda api: api.projects())
    here = work.call(lambda api: api.projects(), at=AT_SOURCE) if section.packages or section.reuse else {}
    placed = place(found, here, there, findings)
    alone = section.package_file or section.reuse
    only = project_named(alone.target_project, there, "target", findings) if alone and alone.target_project else None
    expected = _expected(work, findings) if section.package_file else []
    if section.packages and is_one_library(work):
        check_one_library(placed, findings)
    if not findings.count(Level.ERROR):
        keep_members(work, placed)
        _keep_file(work, expected)
    projects = [places(member) for member in placed] or [{"target": asdict(only) if only else None}]
    return report(work, findings, say=SAID, records=findings.records, projects=projects, settings=section.settings())


def places(member: Member) -> dict[str, Any]:
    """A member's projects on both sides, as plain JSON."""
    return {side: asdict(found) if found else None for side, found in (("source", member.source), ("target", member.target))}


def _expected(work: Work, findings: Findings) -> list[MetadataObject]:
    told = work.batch.section.package_file
    with work.batch.local(told.file) as path:
        size = path.stat().st_size
    if not 0 < size <= MOST_BYTES:
        message = f"The package file has {size:,} bytes; the vendor takes 1 to {MOST_BYTES:,}."
        findings.add(Level.ERROR, Code.TOO_LARGE if size else Code.EMPTY_FILE, message, file=told.file)
    return ObjectCheck(told, told.target_project or told.type, findings).run(work.batch) if told.objects else []


def keep_members(work: Work, placed: list[Member]) -> None:
    """File what each package is asked to hold."""
    for number, member in enumerate(placed, 1):
        source = member.source.id if member.source else ""
        if member.spec.merge is not None:
            keep_whole(work, number, member.spec.label, "project merge")
        else:
            keep(work, number, member.spec.label, member.objects, source_project=source)


def _keep_file(work: Work, expected: list[MetadataObject]) -> None:
    if told := work.batch.section.package_file:
        table = told.target_project or told.type
        keep(work, 1, table, expected) if expected else keep_whole(work, 1, table, told.file)


def planned(work: Work) -> list[Member]:
    """The batch's packages again, with the projects that check_batch found for them."""
    checked = work.standing.results.get(("check_batch", ""))
    if checked is None:
        raise BatchRefused(f"The ledger does not know that {work.attempt} was checked; clear check_batch.")
    found = check_members(work.batch, Findings())
    projects = checked.data["projects"]
    return [
        Member(
            member.spec, member.objects, *(Project.from_json(told[side]) if told[side] else None for side in ("source", "target"))
        )
        for member, told in zip(found, projects, strict=False)
    ]


def settings(work: Work) -> dict[str, Any]:
    """The manifest's settings as they were when the batch was checked: what is changed later is another attempt's."""
    checked = work.standing.results.get(("check_batch", ""))
    if checked is None or "settings" not in checked.data:
        raise BatchRefused(f"The ledger does not know that {work.attempt} was checked; clear check_batch.")
    return dict(checked.data["settings"])


def target_project(work: Work) -> Project | None:
    """The one project that the import is about; None for the configuration and for groups, whose bodies name theirs."""
    checked = work.standing.results.get(("check_batch", ""))
    projects = checked.data.get("projects", []) if checked else []
    told = projects[0]["target"] if len(projects) == 1 else None
    return Project.from_json(told) if told else None


def package(work: Work) -> Run:
    """The package's record at the source."""
    return Run(work.standing.ref_of("open_run", PACKAGE))


def end_of(work: Work, role: str = "") -> dict[str, str]:
    """One end's environment, as records name it."""
    settings: Any = work.hook_at(role).settings
    return dict(settings.library)


def is_one_library(work: Work) -> bool:
    """Whether both ends are one environment, whatever their connections call it."""
    return end_of(work)["id"] == end_of(work, AT_SOURCE)["id"]


def aim(work: Work) -> dict[str, Any]:
    """Where a single package is to be imported."""
    return import_info(end_of(work), target_project(work))


def header(work: Work) -> str:
    """The id for the project header of calls to the target; empty where there must be none."""
    project = target_project(work)
    return project.id if project else ""
