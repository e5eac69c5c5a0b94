"""How files come and go at Fenergo: through the API below a limit, and over signed links of 30 seconds above it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ferry.core.api import How, VendorApi, is_success
from ferry.core.errors import VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.exchange import SAVED, Exchange, Saved
from ferry.core.model import Receipt, Run
from ferry.core.wire import httpx
from ferry.vendors.fenergo.shapes import LIMIT_TEXT, TooManyRows, UploadStyle, link_in, wrapped

RENEWALS = 3  # new links asked for after a 403 from storage, which means expired or altered [G]
SHORT = 4096  # bytes; a limit error is shorter than this, and only such a file is read for its text

Links = Callable[[], Exchange[str]]


class FenergoTransfers(VendorApi):
    """Uploads and downloads. A signed link is asked for and used in one breath, and never leaves the exchange."""

    vendor = "fenergo"
    command: str
    version: str
    uploads: UploadStyle

    def upload(self, run: Run, source: Path, name: str, receipt: Receipt) -> Exchange[Receipt]:
        """Register one file for its table and send its bytes; the link is asked for again when it has expired [A-4]."""
        if self.version == "v1":
            return (yield from self._upload_v1(run, source, name, receipt))
        path, body = f"{self.command}/migration/{quote(run.ref)}/add-file", {"fileName": name, "tableName": receipt.table}

        def link() -> Exchange[str]:
            answer = yield from self._call("add file", "PUT", path, repeatable=True, json={"data": body})
            return link_in(wrapped(answer, "add file"), "add file")

        yield from self._send_file(link, source, receipt.size)
        return receipt

    def _upload_v1(self, run: Run, source: Path, name: str, receipt: Receipt) -> Exchange[Receipt]:
        """v1 takes the file itself, as a form; streamed too, because httpx reads multipart files in chunks [D C1]."""
        path = f"{self.command}/migration/{quote(run.ref)}/add-file"
        with source.open("rb") as body:

            def build() -> httpx.Request:
                body.seek(0)
                form = {"Data.File": (name, body, "text/csv")}
                return self._build("PUT", path, {"data": {"Data.TableName": receipt.table}, "files": form})

            yield from self._ask("add file", build, How(), repeatable=True)
        return receipt

    def _send_file(self, link: Links, source: Path, size: int) -> Exchange[None]:
        kind = self.uploads.content_type
        headers = {"Content-Length": str(size), **({"Content-Type": kind} if kind else {})}

        def put(url: str) -> httpx.Request:
            return httpx.Request(self.uploads.method, url, headers=headers, content=_chunks(source))

        answer = yield from self._by_link("upload", link, put, None)
        if answer.content and "xml" not in answer.headers.get("content-type", ""):  # S3 says nothing, or XML [G]
            raise VendorNonsense(
                "The upload was answered by something that is not the vendor's storage, so the file may not have arrived. "
                "Look for a proxy between this machine and the storage; then clear the task: the file is sent again."
            )

    def _fetch(self, what: str, link: Links, to: Path) -> Exchange[Saved]:
        answer = yield from self._by_link(what, link, lambda url: httpx.Request("GET", url), to)
        saved: Saved = answer.extensions[SAVED]
        return saved

    def _by_link(
        self, what: str, link: Links, build: Callable[[str], httpx.Request], to: Path | None
    ) -> Exchange[httpx.Response]:
        """Ask for a link and use it at once, again on 403; the link goes without credentials, which storage refuses [G]."""
        how = How(accept=lambda answer: is_success(answer) or answer.status_code == 403, save_to=to, anonymous=True)
        for _ in range(RENEWALS):
            url = yield from link()
            answer = yield from self._ask(what, lambda url=url: build(url), how, repeatable=True)  # type: ignore[misc]
            if answer.is_success:
                return answer
        raise VendorUnavailable(
            f"Storage refused {RENEWALS} fresh links in a row for {what} (HTTP 403). Check this machine's clock, and the upload "
            "verb and content type of the connection; the step may be tried again."
        )

    def _download(self, what: str, path: str, to: Path, **parts: Any) -> Exchange[Saved]:
        """A file that comes through the API itself; its content type is mislabelled, so only its bytes count [D Q]."""
        headers = {"Accept": "*/*"}
        try:
            answer = yield from self._call(what, "GET", path, repeatable=True, save_to=to, headers=headers, **parts)
        except VendorRefused as refused:
            if LIMIT_TEXT in refused.message.lower():
                raise TooManyRows(refused.message, **refused.facts) from None
            raise
        saved: Saved = answer.extensions[SAVED]
        if saved.size < SHORT and LIMIT_TEXT in to.read_text("utf-8", "replace").lower():  # the limit error on a 200
            to.unlink()
            raise TooManyRows(f"Fenergo will not send more than 30000 rows in answer to {what}; the signed link is used.")
        return saved


def _chunks(source: Path, size: int = 1024 * 1024) -> Iterable[bytes]:
    with source.open("rb") as body:
        while chunk := body.read(size):
            yield chunk
