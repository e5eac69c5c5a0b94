"""The verbs of the target: importing, undoing, and packages that come as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from ferry.core.api import How, json_of
from ferry.core.errors import AnswerLost, NotFound, VendorNonsense, VendorUnavailable
from ferry.core.exchange import Exchange
from ferry.core.model import Run, RunState
from ferry.core.wire import httpx
from ferry.vendors.microstrategy.library import ASYNC, PAUSES, SessionEnded, heard, object_in, project_header
from ferry.vendors.microstrategy.shapes import GOING, Json, Ref, import_word, members, part, request_word, seen_import, seen_undo
from ferry.vendors.microstrategy.source_verbs import LISTS, SourceVerbs
from ferry.vendors.microstrategy.vocabulary import GROUP, UPLOADED

FILES = "/api/mstrServices/library/storage/sharedFileStore/files"


class TargetVerbs(SourceVerbs):
    """What is done where packages are applied."""

    # Importing what the source made ----------------------------------------------------------------------------------

    def import_run(self, run: Run, body: Json, project_id: str = "", *, keep_undo: bool = True) -> Exchange[Run]:
        """Import once. A session that ends under the call proves nothing: the record is watched for a minute, then it is sent."""
        try:
            return (yield from self._import(run, body, project_id, keep_undo=keep_undo))
        except SessionEnded:
            for pause in PAUSES:
                seen = yield from self.look_started(run, pause)
                if seen.state is not RunState.QUEUED:
                    return seen
            return (yield from self._import(run, body, project_id, keep_undo=keep_undo))

    def _import(self, run: Run, body: Json, project_id: str, *, keep_undo: bool) -> Exchange[Run]:
        what, ref = "import package", Ref.parse(run.ref)
        headers = ASYNC | (project_header(project_id) if ref.kind != GROUP else {})
        params = {"generateUndo": str(keep_undo).lower()}
        answer = yield from self._call(what, "PUT", ref.path, repeatable=False, json=dict(body), params=params, headers=headers)
        try:
            seen = seen_import(run, object_in(json_of(answer, what), what))
        except VendorNonsense as odd:
            raise AnswerLost(f"{odd.message} Whether the import began is looked up.") from None
        return replace(seen, state=RunState.QUEUED)

    def look(self, run: Run) -> Exchange[Run]:
        """The import as the target shows it: word, state, progress, and the vendor's reason if it failed."""
        if Ref.parse(run.ref).kind != "file":
            return seen_import(run, (yield from self.record(run, whole=False)))
        if found := (yield from self._of_file(run)):
            return found
        raise NotFound(f"The target shows no import of the package file {run.ref} (yet).", status=404)

    def look_started(self, run: Run, after: float = 0.0) -> Exchange[Run]:
        """After a lost answer: QUEUED while the target keeps no record, or one that is pending; else the import as it stands."""
        try:
            if Ref.parse(run.ref).kind == "file":
                return (yield from self.look(run))
            return seen_import(run, (yield from self.record(run, whole=False, after=after)))
        except NotFound:
            return replace(run, state=RunState.QUEUED)

    # Taking it back --------------------------------------------------------------------------------------------------

    def request_undo(self, run: Run) -> Exchange[None]:
        """Ask for the undo of an import; nothing happens before it is approved [D]. One that failed is asked for anew."""
        words = {import_word(one) for one in members((yield from self.record(run, whole=False)))}
        over = "undo_failed" in words and not words & GOING
        yield from self._ask_for(run, "undoRequestStatus", "requested", enough=() if over else ("approved",))

    def undo(self, run: Run, project_id: str = "") -> Exchange[Run]:
        """Approve the undo, once, which begins it. The target project's header is a must here [D]."""
        ref, change = Ref.parse(run.ref), {"undoRequestStatus": "approved"}
        body, headers = (change, ASYNC) if ref.kind == GROUP else ({"importInfo": change}, ASYNC | project_header(project_id))
        answer = yield from self._call("approve undo", "PATCH", ref.path, repeatable=False, json=body, headers=headers)
        heard(answer, "approve undo", lost=True)
        return replace(run, state=RunState.RUNNING, word="undoing")

    def look_undo(self, run: Run) -> Exchange[Run]:
        """The undo as the target shows it."""
        return seen_undo(run, (yield from self.record(run, whole=False)))

    def look_for_undo(self, run: Run) -> Exchange[Run | None]:
        """After a lost approval: the undo if it was approved; None if a minute of looking shows that it was not."""
        for pause in PAUSES:
            record = yield from self.record(run, whole=False, after=pause)
            if request_word(record, "undoRequestStatus") == "approved":
                return seen_undo(run, record)
        return None

    # Dry run ---------------------------------------------------------------------------------------------------------

    def validate(self, run: Run, body: Json, project_id: str = "") -> Exchange[None]:
        """Have the target try the import without committing anything [D]; it needs not know the migration yet."""
        path, headers = f"{Ref.parse(run.ref).path}/validation", ASYNC | project_header(project_id)
        answer = yield from self._call("validate package", "PUT", path, repeatable=True, json=dict(body), headers=headers)
        heard(answer, "validate package")

    # Packages that come as files -------------------------------------------------------------------------------------

    def upload(self, source: Path, about: Json) -> Exchange[Run]:
        """Put a package file into the target's file store, streamed; a file of that name that is there is filled again."""
        file_id = yield from self._registered(about)
        with source.open("rb") as body:

            def build() -> httpx.Request:
                url = f"{self.base_url}{FILES}/{quote(file_id, safe='')}/binary"
                return httpx.Request("PUT", url, files={"file": (str(about["name"]), body, "application/octet-stream")})

            answer = yield from self._ask("upload package", build, How(), repeatable=True)
        heard(answer, "upload package")
        return Run(str(Ref("file", file_id)))

    def _registered(self, about: Json) -> Exchange[str]:
        """The id of the file of that name; one that is not there is registered, and found by its name if the answer is lost."""
        what, lost = "register package file", ""
        for left in (3, 2, 1, 0):
            if known := (yield from self._file(lambda row: row.get("name") == about["name"])):
                return str(known["id"])
            try:
                if left:
                    answer = yield from self._call(what, "POST", FILES, repeatable=False, json=dict(about))
                    heard(answer, what, lost=True)
            except AnswerLost as error:
                lost = f" {error.message}"
        raise VendorUnavailable(f"MicroStrategy was asked to {what} three times and its file store does not show it.{lost}")

    def import_file(self, run: Run, import_info: Json, project_id: str = "") -> Exchange[Run]:
        """Import an uploaded package, once: this call itself begins the import, already approved [D]; every such call another."""
        storage = {"sharedFileStore": {"files": {"id": Ref.parse(run.ref).id}}}
        body = {"packageInfo": {"storage": storage, "purpose": UPLOADED}, "importInfo": dict(import_info)}
        return (yield from self._import_file(body, project_id))

    def _import_file(self, body: Json, project_id: str) -> Exchange[Run]:
        what, headers = "import package file", ASYNC | project_header(project_id)
        answer = yield from self._call(what, "POST", LISTS["migration"], repeatable=False, json=dict(body), headers=headers)
        made, brief = self._brief(answer, what, "migration")
        return replace(seen_import(made, brief), state=RunState.QUEUED)  # its package is locked from birth, which ends nothing

    def _of_file(self, run: Run) -> Exchange[Run | None]:
        """The import of an uploaded file, found by the file's name, which is this attempt's alone [A]; None if there is none."""
        file_id = Ref.parse(run.ref).id
        file = yield from self._file(lambda row: row.get("id") == file_id)
        if file is None:
            return None
        rows = yield from self._pages("list migrations", LISTS["migration"], {"packageInfo.purpose": UPLOADED})
        found = next((row for row in rows if part(row, "packageInfo").get("name") == file.get("name")), None)
        return seen_import(Run(str(found.get("id"))), found) if found else None

    def _file(self, wanted: Callable[[Json], bool]) -> Exchange[Json | None]:
        rows = yield from self._pages("list files", FILES, {"type": "migrations.packages"})
        return next((row for row in rows if wanted(row)), None)

    def delete_file(self, run: Run) -> Exchange[None]:
        """Remove an uploaded package from the file store; one that is gone is as good."""
        yield from self._delete("delete package file", f"{FILES}/{quote(Ref.parse(run.ref).id, safe='')}")
