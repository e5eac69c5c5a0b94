"""The verbs of the source: making, editing, locking, certifying and validating packages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from ferry.core.api import json_of
from ferry.core.errors import AnswerLost, VendorNonsense, VendorRefused
from ferry.core.exchange import SAVED, Exchange, Saved
from ferry.core.model import Run, RunState
from ferry.vendors.microstrategy.library import ASYNC, PAUSES, Library, heard, is_gone, object_in, project_header
from ferry.vendors.microstrategy.shapes import Json, Ref, certification, members, part, request_word, seen_package
from ferry.vendors.microstrategy.vocabulary import GROUP, PURPOSES, VALIDATION_STATES

LISTS = {"migration": "/api/migrations", "group": "/api/migrationGroups"}


class SourceVerbs(Library):
    """What is done with packages where they are made."""

    def create(self, body: Json, kind: str, project_id: str = "") -> Exchange[Run]:
        """Have a package, or a group of them, made. A lost answer leaves one behind that `find` knows by its name."""
        what = f"create {kind}"
        headers = ASYNC | (project_header(project_id) if kind != GROUP else {})  # a group's projects are in its body [D]
        answer = yield from self._call(what, "POST", LISTS[kind], repeatable=False, json=body, headers=headers)
        return self._new(answer, what, kind)

    def reuse(self, package_id: str, import_info: Json, project_id: str = "") -> Exchange[Run]:
        """Another migration of a package that exists [C]. A lost answer leaves an unused record behind, which does no harm."""
        what, headers = "reuse package", ASYNC | project_header(project_id)
        body, params = {"importInfo": import_info}, {"packageId": package_id}
        answer = yield from self._call(
            what, "POST", LISTS["migration"], repeatable=False, json=body, params=params, headers=headers
        )
        return self._new(answer, what, "migration")

    def _new(self, answer: Any, what: str, kind: str) -> Run:
        return seen_package(*self._brief(answer, what, kind))

    def _brief(self, answer: Any, what: str, kind: str) -> tuple[Run, Json]:
        """A new record's ref, and how it was told of. AnswerLost without: whatever answered, the vendor may have been reached."""
        try:
            found = object_in(json_of(answer, what), what)
            members(found)
        except VendorNonsense as odd:
            raise AnswerLost(f"{odd.message} Whether it took effect is looked up by name.") from None
        if not isinstance(found.get("id"), str) or not found["id"]:
            raise AnswerLost(f"MicroStrategy answered {what} without an id; it is looked up by name.")
        return Run(str(Ref("group" if kind == GROUP else "migration", found["id"]))), found

    def find(self, name: str, kind: str, after: float = 0.0) -> Exchange[Run | None]:
        """The migration or group of that name; None if there is none. Names are ours alone: they carry the intent's mark."""
        params = {} if kind == GROUP else {"packageInfo.purpose": ",".join(PURPOSES)}
        rows = yield from self._pages(f"list {kind}s", LISTS[kind], params, after)
        found = [row for row in rows if str((row if kind == GROUP else part(row, "packageInfo")).get("name")) == name]
        if not found:
            return None
        return seen_package(Run(str(Ref("group" if kind == GROUP else "migration", str(found[0].get("id"))))), found[0])

    def look_for(self, name: str, kind: str) -> Exchange[Run | None]:
        """The same after a lost answer: looked for over a minute, because the vendor may be late."""
        for pause in PAUSES:
            if found := (yield from self.find(name, kind, pause)):
                return found
        return None

    def look_prepared(self, run: Run) -> Exchange[Run]:
        """The package as the source shows it; SUCCEEDED once it is created."""
        return seen_package(run, (yield from self.record(run, whole=Ref.parse(run.ref).kind == GROUP)))  # [D] for groups

    def edit(self, run: Run, body: Json, project_id: str = "") -> Exchange[Run]:
        """Replace name, content and settings; the vendor makes the package anew [D]. On the source only."""
        ref = Ref.parse(run.ref)
        path = ref.path if ref.kind == GROUP else f"{ref.path}/packageInfo"
        headers = ASYNC | (project_header(project_id) if ref.kind != GROUP else {})
        answer = yield from self._call("edit package", "PUT", path, repeatable=False, json=body, headers=headers)
        heard(answer, "edit package", lost=True)
        return replace(run, state=RunState.RUNNING, word="creating")  # the answer to a group edit is undocumented

    def lock(self, run: Run) -> Exchange[Json]:
        """Request the import and approve it, one after the other [D]; the package is locked then. Returns the record, whole.

        A request that somebody rejected in Workstation is a no, and stays one.
        """
        if request_word((yield from self.record(run, whole=False))) == "rejected":
            raise VendorRefused(
                f"Somebody rejected the import of {run.ref} in Workstation. Nothing was requested or imported. Ask them; trigger "
                "the batch again for another package."
            )
        for word in ("requested", "approved"):
            yield from self._ask_for(run, "importRequestStatus", word)
        return (yield from self.record(run))

    def _ask_for(self, run: Run, request: str, word: str, *, enough: Collection[str] = ("approved",)) -> Exchange[None]:
        """Bring a request to a word; `enough` are words that mean it is there or further already."""
        ref, change = Ref.parse(run.ref), {request: word}
        body = change if ref.kind == GROUP else {"importInfo": change}

        def send() -> Exchange[Any]:
            return (yield from self._call(f"set {request}", "PATCH", ref.path, repeatable=False, json=body, headers=ASYNC))

        def is_so() -> Exchange[bool]:
            return request_word((yield from self.record(run, whole=False)), request) in {word, *enough}

        yield from self._until_so(f"set {request} to {word}", send, is_so)

    def certify(self, run: Run, told: Json, *, auto_sync: bool = False) -> Exchange[Json]:
        """Bring about a certification status; returns who is said to have certified what when.

        On a target `told` also names operator and date, so that both sides agree; with `auto_sync` the vendor copies them
        itself and takes no body [D].
        """
        ref = Ref.parse(run.ref)
        path = f"{ref.path}/certification" if ref.kind == GROUP else f"{ref.path}/packageInfo/certification"
        whole = dict(told) if ref.kind == GROUP else {"packageInfo": {"certification": dict(told)}}
        how: dict[str, Any] = {"json": {}, "params": {"autoSync": "true"}} if auto_sync else {"json": whole}

        def send() -> Exchange[Any]:
            return (yield from self._call("set certification", "PATCH", path, repeatable=False, headers=ASYNC, **how))

        def is_so() -> Exchange[bool]:
            there = certification((yield from self.record(run)))
            return bool((there.get("status") or "uncertified") == told["status"])

        yield from self._until_so(f"set the certification to {told['status']}", send, is_so)
        return certification((yield from self.record(run)))

    def aim(self, run: Run, import_info: Json) -> Exchange[Json]:
        """Point a migration at its target, which a validation needs [D]; returns the record, whole."""
        path = Ref.parse(run.ref).path
        yield from self._call("set target", "PATCH", path, repeatable=True, json={"importInfo": dict(import_info)}, headers=ASYNC)
        return (yield from self.record(run))

    def note_validation(self, run: Run) -> Exchange[None]:
        """Tell the source that its validation is under way; the result comes back to it through shared files [D]."""
        path, body = Ref.parse(run.ref).path, {"validation": {"status": "validating"}}
        before = part((yield from self.record(run, whole=False)), "validation")

        def send() -> Exchange[Any]:
            return (yield from self._call("note validation", "PATCH", path, repeatable=False, json=body, headers=ASYNC))

        def is_so() -> Exchange[bool]:  # an earlier validation's result may stand there; one note too many would wait for another
            return part((yield from self.record(run, whole=False)), "validation") != before

        yield from self._until_so("note the validation", send, is_so)

    def look_validated(self, run: Run) -> Exchange[Run]:
        """The validation as the source shows it."""
        found = part((yield from self.record(run, whole=False)), "validation")
        word = str(found.get("status") or "")
        state = VALIDATION_STATES.get(word, RunState.RUNNING)
        return replace(run, state=state, word=word, counters={}, detail=str(found.get("message") or ""))

    def download(self, run: Run, to: Path) -> Exchange[Saved]:
        """The package as a file, streamed."""
        path = f"/api/migrations/packages/{Ref.parse(run.ref).package_id}/binary"
        answer = yield from self._call("download package", "GET", path, repeatable=True, save_to=to)
        if "content-disposition" not in answer.headers:  # [C] a package always comes with it
            to.unlink(missing_ok=True)
            raise VendorNonsense(
                "Download package was answered by something that is not MicroStrategy: it names no file. Look for a proxy in "
                "between; then clear the task."
            )
        saved: Saved = answer.extensions[SAVED]
        return saved

    def delete(self, run: Run) -> Exchange[None]:
        """Remove the record, its package and its undo package from this server; one that is gone is as good [C]."""
        ref = Ref.parse(run.ref)
        path, name = (LISTS["group"], "packageGroupId") if ref.kind == GROUP else (LISTS["migration"], "packageId")
        yield from self._delete("delete migration", path, params={name: ref.package_id})

    def _delete(self, what: str, path: str, **parts: Any) -> Exchange[None]:
        accept = lambda answer: answer.is_success or is_gone(answer)  # noqa: E731
        answer = yield from self._call(what, "DELETE", path, repeatable=True, accept=accept, **parts)
        heard(answer, what)
