"""Whether a batch can be sent: its own rules first, then what both Libraries know of its projects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ferry.core.batch import MANIFEST, Batch
from ferry.core.findings import Level
from ferry.vendors.microstrategy.bodies import Member, Project
from ferry.vendors.microstrategy.content import Code, Findings, ObjectCheck, check_rules, is_id, keeps_both
from ferry.vendors.microstrategy.manifest import MicroStrategySection
from ferry.vendors.microstrategy.specs import PackageSpec
from ferry.vendors.microstrategy.vocabulary import CONFIGURATION, GROUP, MERGE_ACTIONS, PROJECT, type_number

MOST_MEMBERS = 100  # [D] a server setting; this is its default
MOST_BYTES = 2 * 1024**3  # [D]
Projects = Mapping[str, str]


def check_members(batch: Batch, into: Findings) -> list[Member]:
    """The batch's packages with their objects, and everything that is wrong with them, as far as no vendor is needed."""
    section: MicroStrategySection = batch.section
    if batch.manifest.files:
        message = "`files` is not used here: name object lists as `objects` of a package, package files as `package_file`."
        into.add(Level.ERROR, Code.FILES_UNUSED, message, file=MANIFEST)
    found = [_member(batch, package, into) for package in section.packages]
    if section.record_kind == GROUP:
        _check_group(section.packages, into)
    if any(keeps_both(member.spec, list(member.objects)) for member in found):
        _no_undo(section, into)
    return found


def _member(batch: Batch, package: PackageSpec, into: Findings) -> Member:
    check_rules(package, into)
    before = into.count(Level.ERROR)
    objects = ObjectCheck(package, package.label, into).run(batch)
    if package.merge is None and not objects and into.count(Level.ERROR) == before:
        where = package.objects if isinstance(package.objects, str) else MANIFEST
        into.add(Level.ERROR, Code.NO_OBJECTS, "The package has no objects.", file=where, table=package.label)
    _check_merge(package, into)
    into.records[package.label] = len(objects) if package.merge is None else 1
    return Member(package, objects)


def _check_merge(package: PackageSpec, into: Findings) -> None:
    merge = package.merge
    if merge is None:
        return
    for action in sorted(set(merge.actions) - set(MERGE_ACTIONS)):
        message = f"merge: {action!r} is no action of a project merge. There are {', '.join(MERGE_ACTIONS)}."
        into.add(Level.ERROR, Code.BAD_ACTION, message, file=MANIFEST, table=package.label, column="merge")
    for rule in merge.types:
        if type_number(str(rule.type)) is None:
            message = f"merge: {rule.type!r} is neither the number nor the name of an object type."
            into.add(Level.ERROR, Code.BAD_TYPE, message, file=MANIFEST, table=package.label, column="merge")
    for key in [key for key in (*merge.folders, *merge.objects) if not is_id(key)]:
        message = f"merge: {key!r} is no id of a folder or an object, which has 32 hex digits; its rule would concern nothing."
        into.add(Level.ERROR, Code.BAD_ID, message, file=MANIFEST, table=package.label, column="merge")


def _check_group(packages: Sequence[PackageSpec], into: Findings) -> None:
    """The vendor's rules for groups [D]."""
    if len(packages) > MOST_MEMBERS:
        message = f"A group has at most {MOST_MEMBERS} packages; this one has {len(packages)}. Make several batches of it."
        into.add(Level.ERROR, Code.TOO_MANY, message, file=MANIFEST)
    counted = Counter(package.label.casefold() for package in packages)
    for label in sorted(name for name, number in counted.items() if number > 1):
        message = "A group has at most one package per project, and one for the configuration. Join them."
        into.add(Level.ERROR, Code.PROJECT_TWICE, message, file=MANIFEST, table=label)
    kinds = [package.type for package in packages]
    if CONFIGURATION in kinds[1:]:
        message = "The configuration package must come first, or the metadata may be corrupted."
        into.add(Level.ERROR, Code.CONFIGURATION_NOT_FIRST, message, file=MANIFEST, table=CONFIGURATION)
    names = [package.project for package in packages if package.type == PROJECT]
    if names != sorted(names):
        message = "The vendor works through a group in the order of its projects' names, whatever the order here."
        into.add(Level.NOTE, Code.ORDER, message, file=MANIFEST)


def _no_undo(section: MicroStrategySection, into: Findings) -> None:
    """`keep_both` anywhere means that the import leaves no undo package [D]."""
    message = "A rule of this batch is keep_both: the import will leave no undo package, so it cannot be taken back."
    if section.on_import_failed == "undo":
        into.add(Level.ERROR, Code.NO_UNDO, f"{message} on_import_failed: undo is not possible then.", file=MANIFEST)
    else:
        into.add(Level.WARNING, Code.NO_UNDO, message, file=MANIFEST)


def place(members: Sequence[Member], source: Projects, target: Projects, into: Findings) -> list[Member]:
    """The members with their projects on both sides; a project that a side does not have is a finding."""
    placed = []
    for member in members:
        if member.spec.type != PROJECT:
            placed.append(member)
            continue
        mine = project_named(member.spec.project, source, "source", into)
        same = (mine.id if mine.id in target.values() else mine.name) if mine else member.spec.project
        wanted = member.spec.target_project or same
        theirs = project_named(wanted, target, "target", into)
        placed.append(Member(member.spec, member.objects, mine, theirs))
    for side in ("source", "target"):
        _check_projects_once(placed, side, into)
    return placed


def _check_projects_once(placed: Sequence[Member], side: str, into: Findings) -> None:
    """At most one package per project [D], whatever the manifest calls it, on either side."""
    twice = Counter(project.id for one in placed if (project := getattr(one, side)))
    for one in placed:
        if (project := getattr(one, side)) and twice[project.id] > 1:
            message = f"Two packages of the group lead to project {project.name} on the {side}. Join them, or make two batches."
            into.add(Level.ERROR, Code.PROJECT_TWICE, message, file=MANIFEST, table=one.spec.label)


def check_one_library(placed: Sequence[Member], into: Findings) -> None:
    """Source and target may be one Library [D], but a project that is imported into itself is a slip."""
    for one in placed:
        if one.source == one.target and (one.source or one.spec.type != PROJECT):  # one that is missing on both sides is no slip
            message = "Source and target are the same: the package would be imported where it comes from. Check both connections."
            into.add(Level.ERROR, Code.SAME_PLACE, message, file=MANIFEST, table=one.spec.label)


def project_named(told: str, known: Projects, side: str, into: Findings) -> Project | None:
    """The project of that name or id; None and a finding if that side does not have it."""
    by_id = {project_id.upper(): name for name, project_id in known.items()}
    if told in known:
        return Project(known[told], told)
    if told.upper() in by_id:
        return Project(told.upper(), by_id[told.upper()])
    listed = ", ".join(sorted(known)[:10]) or "none"
    message = f"The {side} shows this user no project {told!r}; it shows {listed}{' ...' if len(known) > 10 else ''}."
    into.add(Level.ERROR, Code.NO_PROJECT, message, file=MANIFEST, table=told)
    return None
