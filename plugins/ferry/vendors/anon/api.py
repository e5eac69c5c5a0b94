"""What Ferry asks of Anon: lists and looks. There is no verb that starts, changes or ends anything, because Anon has none [D]."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from ferry.core.api import How, Patience, VendorApi, is_success, json_of
from ferry.core.errors import NotFound, TransferBroken, VendorNonsense, VendorUnavailable
from ferry.core.exchange import SAVED, Ask, Exchange, Saved
from ferry.core.model import Run
from ferry.core.redact import HIDDEN
from ferry.core.wire import httpx
from ferry.vendors.anon.paging import Identified, walk
from ferry.vendors.anon.shapes import File, Migration, Task, items_in
from ferry.vendors.anon.vocabulary import LIST

T = TypeVar("T", bound=Identified)
PAGE_SIZE, MOST_PAGES = 50, 1000  # [A]
RENEWALS = 3
"""Links of one file that are asked for: a link's life is not documented [D2]."""
ID = "{id}"


class AnonApi(VendorApi):
    """One organisation's migrations, by its API key. Nothing but GET is ever sent."""

    vendor = "Anon"

    def __init__(
        self,
        base_url: str,
        *,
        page_size: int = PAGE_SIZE,
        most_pages: int = MOST_PAGES,
        files_path: str = "",
        tasks_path: str = "",
        secrets: tuple[str, ...] = (),
        patience: Patience = Patience(),
    ) -> None:
        super().__init__(base_url, patience=patience)
        self.page_size, self.most_pages = page_size, most_pages
        self.files_path, self.tasks_path = files_path, tasks_path
        self._secrets = secrets  # only to be hidden, should an answer ever repeat one

    def migrations(self) -> Exchange[list[Migration]]:
        """Every migration of the organisation: the list cannot be filtered [D], and its order is unknown."""
        return (yield from self._walk("the list of migrations", LIST, Migration.read))

    def migration(self, ref: str) -> Exchange[Migration]:
        """One migration; NotFound if there is none, which may be so just after its beginning [A]."""
        answer = yield from self._call("a migration", "GET", f"{LIST}/{quote(ref, safe='')}", repeatable=True)
        told = json_of(answer, "a migration")
        if not isinstance(told, Mapping):
            raise VendorNonsense("Anon's answer to a migration is not a JSON object, which is outside its contract.")
        found = Migration.read(told)
        if found.id != ref:
            raise VendorNonsense(f"Anon was asked for migration {ref} and answered with {found.id}. Nothing of it was used.")
        return found

    def look(self, run: Run) -> Exchange[Run]:
        """The migration as it is now."""
        return (yield from self.migration(run.ref)).run

    def tasks(self, ref: str) -> Exchange[list[Task]]:
        """The parts of a migration, where the connection says how to ask for them; its path is on no page we could read."""
        return (yield from self._walk("the tasks of a migration", _path(self.tasks_path, ref), Task.read))

    def files(self, ref: str) -> Exchange[list[File]]:
        """The files of a migration, where the connection says how to ask for them; each with a signed link."""
        return (yield from self._walk("the files of a migration", _path(self.files_path, ref), File.read))

    def download(self, ref: str, file: File, to: Path) -> Exchange[Saved]:
        """One file, streamed. Its link is used at once and without our key, and asked for again when storage refuses it."""
        how = How(accept=lambda answer: is_success(answer) or answer.status_code == 403, save_to=to, anonymous=True)
        for renewal in range(RENEWALS):
            link = file.url if not renewal else (yield from self._link_again(ref, file.id))
            url = _link(link, file.id)
            answer = yield from self._ask("a file", lambda url=url: httpx.Request("GET", url), how, repeatable=True)  # type: ignore[misc]
            if answer.is_success:
                return _whole(answer.extensions[SAVED], file)
        raise VendorUnavailable(
            f"Storage refused {RENEWALS} fresh links in a row for file {file.id} (HTTP 403). Check this machine's clock; "
            "the step may be tried again."
        )

    def _link_again(self, ref: str, file_id: str) -> Exchange[str]:
        found = yield from self.files(ref)
        link = next((one.url for one in found if one.id == file_id), None)
        if link is None:
            raise NotFound(f"Anon no longer lists file {file_id} of migration {ref}. Clear the task to collect what there is.")
        return link

    def probe(self) -> Exchange[str]:
        """Proves host and key with one page of the list."""
        items = yield from self._page("the list of migrations", LIST, {})
        return f"its list of migrations can be read ({len(items)} on the first page)"

    def _walk(self, what: str, path: str, read: Callable[[Mapping[str, Any]], T]) -> Exchange[list[T]]:
        def fetch(asked: Mapping[str, str]) -> Generator[Ask, httpx.Response, list[Mapping[str, Any]]]:
            return (yield from self._page(what, path, asked))

        return (yield from walk(fetch, read, page_size=self.page_size, most_pages=self.most_pages))

    def _page(self, what: str, path: str, asked: Mapping[str, str]) -> Exchange[list[Mapping[str, Any]]]:
        parts: dict[str, Any] = {"params": dict(asked)} if asked else {}
        answer = yield from self._call(what, "GET", path, repeatable=True, **parts)
        return items_in(json_of(answer, what), what)

    def explain(self, answer: httpx.Response) -> str:
        """The reason in words; the shape of an error is undocumented, so whatever is there is a hint and no more."""
        try:
            told = answer.json()
        except (ValueError, RecursionError):
            told = None
        error = told.get("error") if isinstance(told, Mapping) else None
        said = error.get("message") if isinstance(error, Mapping) else None
        text = " ".join(said.split()) if isinstance(said, str) else answer.reason_phrase
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN) if secret else text
        return text[:300]  # not before: half a key would not be known for one


def _path(template: str, ref: str) -> str:
    return template.replace(ID, quote(ref, safe=""))


def _link(told: str, file_id: str) -> httpx.URL:
    try:
        url = httpx.URL(told)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise VendorNonsense(f"Anon lists file {file_id} without a link to it. Look at Anon's dashboard, then clear the task.")
    return url


def _whole(saved: Saved, file: File) -> Saved:
    if file.size is not None and saved.size != file.size:
        saved.path.unlink(missing_ok=True)
        raise TransferBroken(
            f"File {file.id} is {file.size:,} bytes by Anon's list and {saved.size:,} came. It was thrown away; the step may be "
            "tried again."
        )
    return saved
