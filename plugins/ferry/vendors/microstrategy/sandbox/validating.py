"""Validation: the work is done on the target, and the source learns of it through the shared storage [D]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from starlette.responses import Response
from starlette.routing import Route

from ferry.vendors.microstrategy.sandbox import catalogue as lists
from ferry.vendors.microstrategy.sandbox.answers import CLOCKS_APART, FILE_UNREADABLE, broken, storage_fault
from ferry.vendors.microstrategy.sandbox.asking import Json, optional_part, part, text
from ferry.vendors.microstrategy.sandbox.environment import Environment
from ferry.vendors.microstrategy.sandbox.gateway import Call, Gateway
from ferry.vendors.microstrategy.sandbox.record import Migration
from ferry.vendors.microstrategy.sandbox.storage import Verdict

CLOCK_TOLERANCE = 300  # seconds [D]


def validate(target: Environment, others: Mapping[str, Environment], key: str, name: str, project: str | None) -> None:
    """Begin on the target; a repeat while it runs changes nothing."""
    switches, running = target.switches, target.storage.verdicts.get(key)
    if _clocks_apart(target) and switches.text("clock_skew_answer") == "refused":
        raise broken(CLOCKS_APART)
    if running is not None and running.status == "validating":
        return
    target.tally.counters["validations"] += 1
    verdict = target.storage.verdicts[key] = Verdict()
    waiting = [(home, home.migrations[key]) for home in others.values() if key in home.migrations]

    def finish(at: float) -> None:
        verdict.message = _judged(target, name, project)
        verdict.status = "validation_failed" if verdict.message else "validated"
        for home, record in waiting:
            deliver(home, record, at)

    # The result shows on the source's record, so the looks that hold it back are taken there.
    subject, looks = (waiting[0][1], switches.integer("status_looks")) if waiting else (verdict, 0)
    target.agenda.begin(subject, target.now() + switches.number("validate_seconds"), looks, finish)


def _judged(target: Environment, name: str, project: str | None) -> str:
    glob = target.switches.text("fail_validation")
    if _clocks_apart(target):
        return CLOCKS_APART
    if project is not None and target.project_named(project) is None:
        return f"The project {project} does not exist in this environment."
    return "An object cannot be imported." if glob and fnmatchcase(name, glob) else ""


def _clocks_apart(target: Environment) -> bool:
    return target.switches.number("clock_skew_seconds") > CLOCK_TOLERANCE


def await_verdict(home: Environment, record: Migration) -> None:
    """Show `validating` on the source until the target's result is there; one that was shown before does not count again."""
    stamp = home.stamp()
    record.validation = {"status": "validating", "progress": 0, "creationDate": stamp, "lastUpdatedDate": stamp, "message": ""}
    # The answer to this very call still says validating.
    home.agenda.begin(record, home.now(), 0, lambda at: deliver(home, record, at))


def deliver(home: Environment, record: Migration, at: float) -> None:
    """Take a finished verdict over, once, if the record waits for one."""
    verdict = home.storage.verdicts.get(record.id)
    waiting = record.validation is not None and record.validation["status"] == "validating"
    if record.validation is None or not waiting or verdict is None or verdict.taken or verdict.status == "validating":
        return
    verdict.taken = True
    record.validation |= {
        "status": verdict.status,
        "progress": 100,
        "lastUpdatedDate": home.stamp(at),
        "message": verdict.message,
    }


def validation_routes(base: str, gateway: Gateway, everywhere: Callable[[], Mapping[str, Environment]]) -> list[Route]:
    """The target's half of a validation; it may never have seen the migration [D]."""

    async def put(call: Call) -> Response:
        call.administrators_only()  # [D]
        call.prefer()
        body = await call.body()
        package, importing = part(body, "packageInfo"), part(body, "importInfo")
        _check_request(call, body, package, importing)
        project = optional_part(importing, "project").get("id")
        name = str(package.get("name") or "") or _name_of(everywhere(), call.id())
        validate(call.home, everywhere(), call.id(), name, project)
        return Response(status_code=202)  # without a body [D]

    return [Route(f"{base}/migrations/{{id}}/validation", gateway.guard(put, storage=True), methods=["PUT"])]


def _check_request(call: Call, body: Json, package: Json, importing: Json) -> None:
    for name in ("id", "type", "status"):
        text(package, name)
    part(package, "environment")
    part(importing, "environment")
    if text(body, "id") != call.id() or call.id() != f"{package['id']}:{text(importing, 'id')}":
        raise broken("The ids of the body are not those of the path.")
    own = call.home.migrations.get(call.id())
    if package.get("purpose") == lists.UPLOADED or (own is not None and own.uploaded):
        raise broken("An uploaded package cannot be validated.")  # [D]
    if (own.package.status if own else package["status"]) != "created":
        raise broken("Only a package that is created can be validated.")  # [D]
    if not call.home.storage.has(text(part(package, "storage"), "path")):
        raise storage_fault(FILE_UNREADABLE)


def _name_of(everywhere: Mapping[str, Environment], key: str) -> str:
    # The documented request has no name; the target would read it from the package.
    return next((home.migrations[key].package.name for home in everywhere.values() if key in home.migrations), "")
