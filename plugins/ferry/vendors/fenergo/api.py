"""Fenergo's verbs as exchanges, with the readings we chose where the vendor's pages contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ferry.core.api import Patience
from ferry.core.errors import AnswerLost, NotFound, VendorNonsense
from ferry.core.exchange import Exchange, Saved
from ferry.core.model import Run, RunState
from ferry.core.wire import httpx
from ferry.vendors.fenergo.shapes import (
    COMMAND,
    COUNTERS,
    KINDS,
    QUERY,
    Artifact,
    Ingestion,
    TooManyRows,
    UploadStyle,
    Words,
    count_in,
    heard,
    is_json,
    link_in,
    messages,
    rows_in,
    unwrapped,
    wrapped,
)
from ferry.vendors.fenergo.transfers import FenergoTransfers

ABSENT = frozenset({404, 405, 410})  # a verb or path that this tenant does not have
NOBODY = "00000000-0000-0000-0000-000000000000"
NOT_READY = 412  # on the records link only; the vendor does not say when


class FenergoApi(FenergoTransfers):
    """The Data Migration Command and Query services of one tenant."""

    def __init__(
        self,
        base_url: str,
        *,
        version: str = "v2",
        words: Words = Words(),
        uploads: UploadStyle = UploadStyle(),
        patience: Patience = Patience(),
    ) -> None:
        super().__init__(base_url, patience=patience)
        self.version, self.command, self.words, self.uploads = version, COMMAND[version], words, uploads

    # A migration's life ---------------------------------------------------------------------------------------------

    def create(self, jurisdiction: str, product_jurisdiction: str | None = None) -> Exchange[Run]:
        """Create a migration. A lost answer may leave an unstarted one behind, which does no harm [A-35]."""
        data: dict[str, Any] = {"jurisdiction": jurisdiction}
        if product_jurisdiction:
            data["productJurisdiction"] = product_jurisdiction
        body = {"data": {"jurisdictions": [jurisdiction]} if self.version == "v1" else data}
        answer = yield from self._call("create migration", "POST", f"{self.command}/migration", repeatable=False, json=body)
        ref = wrapped(answer, "create migration")
        if not isinstance(ref, str) or not ref:
            raise VendorNonsense("Fenergo accepted the migration and gave no id; look in FenX for an unstarted migration.")
        return Run(ref)

    def look(self, run: Run) -> Exchange[Run]:
        """The migration as the query side shows it: word, state, counters. NotFound while it does not show it yet."""
        found = yield from self._migration(run)
        word = str(found.get("status") or "")
        counters = {name: count_in(found.get(name), name) for name in COUNTERS}  # every counter is optional [D SEED]
        state = self.words.state(word)
        if state is RunState.SUCCEEDED and any(counters[f"failed{kind.title()}Count"] for kind in KINDS):
            state = RunState.PARTIALLY_SUCCEEDED  # possible for products and associations
        return replace(run, state=state, word=word, counters=counters, detail=str(found.get("errorMessage") or ""))

    def look_prepared(self, run: Run) -> Exchange[Run]:
        """SUCCEEDED once the migration can take files and be started: the rule of [A-19], never the status word alone."""
        found = yield from self._migration(run)
        word = str(found.get("status") or "")
        seen = replace(run, state=RunState.RUNNING, word=word, detail=str(found.get("errorMessage") or ""))
        if self.words.state(word) is RunState.FAILED_CLEAN:
            return replace(seen, state=RunState.FAILED_CLEAN)
        building = [task for task in rows_in(found.get("tasks"), "tasks") if str(task.get("taskName")).lower() == "build-schema"]
        if any(self.words.state(str(task.get("taskStatus") or "")) is not RunState.SUCCEEDED for task in building):
            return seen
        try:
            artifacts = yield from self.artifacts(run)
        except NotFound:
            return seen
        return replace(seen, state=RunState.SUCCEEDED) if any(a.is_template for a in artifacts) else seen

    def _migration(self, run: Run) -> Exchange[dict[str, Any]]:
        answer = yield from self._call("read migration", "GET", f"{QUERY}/migration/{quote(run.ref)}", repeatable=True)
        found = wrapped(answer, "read migration")
        if found is None:  # 200 with null means the same as 404 [D Q]
            raise NotFound(f"Fenergo does not know migration {run.ref} (yet).", status=404, ref=run.ref)
        if not isinstance(found, dict):
            raise VendorNonsense(f"Fenergo describes migration {run.ref} as {type(found).__name__} instead of an object.")
        return found

    def artifacts(self, run: Run) -> Exchange[list[Artifact]]:
        """The templates and the schema workbook that FenX generated for this migration."""
        path = f"{QUERY}/migration/{quote(run.ref)}/get-artifacts"
        answer = yield from self._call("list artifacts", "GET", path, repeatable=True)
        rows = rows_in(wrapped(answer, "list artifacts"), "artifacts")
        return [Artifact(*(str(row.get(name) or "") for name in ("type", "name", "format"))) for row in rows]

    def download_artifact(self, run: Run, artifact: Artifact, to: Path) -> Exchange[Saved]:
        """One artifact, byte for byte, in a local file."""
        path = f"{QUERY}/migration/{quote(run.ref)}/get-artifact-content"
        query = {"type": artifact.type, "name": artifact.name, "format": artifact.format}
        return (yield from self._download("download artifact", path, to, params=query))

    def start(self, run: Run) -> Exchange[Run]:
        """Start once. The status word cannot tell *started* from *preparing* [D Q]: after a lost answer we look, or ask."""
        answer = yield from self._call("start", "PUT", f"{self.command}/migration/{quote(run.ref)}/start", repeatable=False)
        if answer.content and not is_json(answer):  # no body is declared; anything but JSON is somebody else's answer
            raise AnswerLost(
                f"The start of migration {run.ref} was answered by something that is not Fenergo; it counts as unknown."
            )
        return replace(run, state=RunState.QUEUED)

    def look_started(self, run: Run) -> Exchange[Run]:
        """After a lost answer: QUEUED while nothing proves a start, else the run as it stands.

        Proof is an end, a counted record, or a word other than the one seen just before the start; `Processing` alone
        is none, because an unstarted migration may say so too [D Q].
        """
        seen = yield from self.look(run)
        moved = bool(run.word) and seen.word.lower() != run.word.lower()
        proof = seen.state.is_final or moved or any(seen.counters.values())
        return seen if proof else replace(seen, word=run.word, state=RunState.QUEUED)

    def clean_up_inputs(self, run: Run) -> Exchange[None]:
        """Have FenX remove its copy of the input files, which hold personal data. Repeating it is harmless [I]."""
        path = f"{self.command}/migration/{quote(run.ref)}/input-files-clean-up"
        answer = yield from self._call("clean up input files", "POST", path, repeatable=True, json={"data": {"force": False}})
        heard(answer, "The clean-up of the input files")

    # What became of the records -------------------------------------------------------------------------------------

    def fetch_errors(self, run: Run, to: Path, via: str = "signed_url") -> Exchange[Saved]:
        """The error file of a failed migration. NotFound where there is none: a failure before start [A-20]."""
        path, what = f"{QUERY}/migration/{quote(run.ref)}/get-error-file", "ask for the error file"
        if via == "direct":
            try:
                return (yield from self._download("read error file", path, to))
            except TooManyRows:  # more than 30000 errors: the link is compulsory [D SEED]
                pass

        def link() -> Exchange[str]:
            answer = yield from self._call(what, "GET", f"{path}-signed-url", repeatable=True)
            return link_in(wrapped(answer, what), what)

        return (yield from self._fetch("error file", link, to))

    def look_records(self, run: Run) -> Exchange[Run]:
        """SUCCEEDED once the records file is there; the first look has FenX make it [D C2]. The link is thrown away."""
        link = yield from self._records_link(run)
        return replace(run, state=RunState.SUCCEEDED if link else RunState.RUNNING)

    def fetch_records(self, run: Run, to: Path, via: str = "signed_url") -> Exchange[Saved]:
        """The file that pairs each alternate id with its FenX id; `look_records` says when it is there."""
        if via == "direct":
            try:
                path = f"{QUERY}/migration/{quote(run.ref)}/get-migrated-records-file"
                return (yield from self._download("read records file", path, to))
            except TooManyRows:
                pass

        def link() -> Exchange[str]:
            found = yield from self._records_link(run)
            return link_in(found, "ask for the records file")

        return (yield from self._fetch("records file", link, to))

    def _records_link(self, run: Run) -> Exchange[str | None]:
        """None while the file is not ready. PUT by both specifications, GET by the guide [D C2, SEED]; either path."""
        what, tail = "ask for the records file", f"/migration/{quote(run.ref)}/migration-records-file-signed-url"
        answer = None
        for method, command in _roads(self.command):
            answer = yield from self._call(
                what,
                method,
                f"{command}{tail}",
                repeatable=True,
                accept=lambda a: a.is_success or a.status_code in {*ABSENT, NOT_READY},
            )
            if answer.status_code not in ABSENT:
                return wrapped(answer, what) if answer.is_success else None
        status = answer.status_code if answer else 404
        raise NotFound(f"Fenergo offers no records file for migration {run.ref} by any verb or path.", status=status)

    # Alternate ids --------------------------------------------------------------------------------------------------

    def open_ingestion(self) -> Exchange[Ingestion]:
        """A new record-reference ingestion; an unused one does no harm, so the call may be repeated [I]."""
        what = "open alternate-id ingestion"
        answer = yield from self._call(what, "POST", f"{self.command}/record-reference-ingestion", repeatable=True)
        found = unwrapped(answer, what)
        if not found.get("id"):
            raise VendorNonsense("Fenergo opened an ingestion and gave no id; it is left unused, which does no harm.")
        return Ingestion(str(found["id"]), link_in(found.get("preSignedUrl"), what))

    def send_references(self, source: Path, size: int) -> Exchange[Run]:
        """Open an ingestion and send its file; where the link expired, another ingestion brings another link."""
        held: list[Ingestion] = []

        def link() -> Exchange[str]:
            held.append((yield from self.open_ingestion()))
            return held[-1].link

        yield from self._send_file(link, source, size)
        return Run(held[-1].ref)

    def execute_ingestion(self, run: Run) -> Exchange[Run]:
        """Execute once, on a snapshot of the file [D C2]. It would create *or overwrite*, so the guard comes before."""
        path = f"{self.command}/record-reference-ingestion/{quote(run.ref)}/execution"
        what = "execute alternate-id ingestion"
        answer = yield from self._call(what, "POST", path, repeatable=False, busy=frozenset({409, 429}))
        if answer.content and not is_json(answer):
            raise AnswerLost(f"The execution of ingestion {run.ref} was answered by something that is not Fenergo.")
        return run

    def look_ingestion(self, run: Run) -> Exchange[Run]:
        """Where an ingestion's execution stands; its words are undocumented and read like a migration's [A-17]."""
        what = "read alternate-id ingestion"
        path = f"{QUERY}/record-reference-ingestion/{quote(run.ref)}/execution"
        try:
            answer = yield from self._call(what, "GET", path, repeatable=True)
        except NotFound as unknown:
            advice = "If it stays so, Fenergo never heard that it was to be executed: clear ingest_alternate_ids."
            raise NotFound(f"{unknown.message} {advice}", **unknown.facts) from None
        word = str(unwrapped(answer, what).get("status") or "")
        state = self.words.state(word)  # not all-or-nothing: an ingestion that failed may have written some [I]
        return replace(run, word=word, state=RunState.FAILED_DIRTY if state is RunState.FAILED_CLEAN else state)

    def fetch_ingestion_errors(self, run: Run, to: Path) -> Exchange[Saved]:
        """The JSON-lines file of the rows an ingestion could not take [D Q]."""
        what = "ask for the ingestion's errors"
        path = f"{QUERY}/record-reference-ingestion/{quote(run.ref)}/execution-error-detail-file"

        def link() -> Exchange[str]:
            answer = yield from self._call(what, "GET", path, repeatable=True)
            return link_in(unwrapped(answer, what).get("preSignedUrl"), what)

        return (yield from self._fetch("ingestion errors", link, to))

    def ping(self) -> Exchange[None]:
        """Ask for a migration that cannot exist: a 404 in Fenergo's own words proves token, tenant and base URL."""
        answer = yield from self._call(
            "read migration", "GET", f"{QUERY}/migration/{NOBODY}", repeatable=True, accept=lambda a: a.status_code in {200, 404}
        )
        body = answer.json() if is_json(answer) else None
        if not isinstance(body, dict) or not {"data", "messages"} & set(body):
            raise VendorNonsense("Something other than Fenergo answers at this base URL. Check the base URL of the connection.")

    def explain(self, answer: httpx.Response) -> str:
        """The vendor's messages from any of its error shapes, as one line."""
        texts = list(dict.fromkeys(messages(answer)))
        if "MissingTenantHeader" in texts:
            return "MissingTenantHeader (the connection's tenant id is missing or wrong)"
        if texts and answer.status_code == 403:
            texts.append("the tenant id may be another client's")
        return "; ".join(texts) or answer.reason_phrase


def _roads(command: str) -> Iterator[tuple[str, str]]:
    yield from (("PUT", command), ("GET", command))
    yield from (("PUT", path) for path in COMMAND.values() if path != command)
