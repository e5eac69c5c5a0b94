"""Evidence: vendor answers as hashed files, filed by batch, attempt and step, written once and never overwritten."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeAlias
from uuid import uuid4

from upath import UPath

from ferry.core.errors import LedgerError
from ferry.core.model import Attempt
from ferry.core.redact import redact, redact_json
from ferry.ledger.chain import Entry

Folder: TypeAlias = Path | UPath
CHUNK = 1024 * 1024
_PART = ".part"
_SENT = "sent"
_INTENT = re.compile(r"(\d+)-(.+)-(\d+)-([0-9a-f]{64})\.json")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Filed:
    """One file of evidence: its path below the store's root (what the ledger remembers), SHA-256 and size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Sent:
    """Word of one intent, kept outside the ledger. The names are those of files: `safe_name` has been at them."""

    vendor: str
    environment: str
    batch_id: str
    attempt: int
    step: str
    seq: int
    entry_hash: str


class EvidenceStore:
    """The files beside the ledger: `<root>/<vendor>/<environment>/<batch>/<attempt>/<step>/<name>`.

    And under `<root>/sent/` word of every intent whose call was about to be made: what a ledger that was restored from a backup
    has forgotten, this remembers.

    The root is a local folder or anything fsspec knows, such as `s3://bucket/evidence`. Paths in the ledger are relative to it,
    so the store can move.
    """

    def __init__(self, root: Folder | str) -> None:
        # Airflow's ObjectStoragePath is passed on as it is: it knows its connection.
        remote = root if isinstance(root, UPath) else UPath(root)
        self._is_local = remote.protocol in {"", "file", "local"}
        self.root: UPath = UPath(Path(remote.path).resolve()) if self._is_local else remote  # a listing has whole paths

    def file_json(self, attempt: Attempt, step: str, name: str, value: Any) -> Filed:
        """File a JSON value, redacted."""
        text = json.dumps(redact_json(value), indent=2, ensure_ascii=False, default=str)
        return self._file(self._folder(attempt, step), name, [text.encode("utf-8", "backslashreplace") + b"\n"])

    def file_text(self, attempt: Attempt, step: str, name: str, text: str) -> Filed:
        """File a text, redacted."""
        return self._file(self._folder(attempt, step), name, [redact(text).encode("utf-8", "backslashreplace")])

    def file_from(self, attempt: Attempt, step: str, name: str, local_path: Path) -> Filed:
        """File a local file byte for byte, whatever its size."""
        with local_path.open("rb") as source:
            return self._file(self._folder(attempt, step), name, chunks(source))

    def file_intent(self, intent: Entry) -> None:
        """Leave word that what was intended is about to be sent; safe to repeat."""
        attempt = intent.attempt
        folder = f"{_SENT}/{self.folder_of(attempt.vendor, attempt.environment, attempt.batch_id)}"
        name = f"{attempt.number}-{safe_name(intent.step)[:32]}-{intent.seq}-{intent.entry_hash}.json"
        told = {"attempt": attempt.key, "step": intent.step, "key": intent.key, "at": intent.at, "origin": str(intent.origin)}
        self._file(folder, name, [json.dumps(redact_json(told), default=str).encode("utf-8", "backslashreplace") + b"\n"])

    def intents(self, vendor: str = "", environment: str = "", batch_id: str = "") -> list[Sent]:
        """All intents of a batch, or of all batches, of which there is word; in the order of their numbers."""
        below = self.folder_of(vendor, environment, batch_id) if vendor else ""
        found = (_sent(path.split("/")[1:]) for path in self._paths(f"{_SENT}/{below}".rstrip("/")))
        return sorted((sent for sent in found if sent), key=lambda sent: (sent.vendor, sent.environment, sent.batch_id, sent.seq))

    def folder_of(self, vendor: str, environment: str, batch_id: str) -> str:
        """Where a batch's evidence lies, relative to the root."""
        return "/".join(safe_name(part) for part in (vendor, environment, batch_id))

    def files_of(self, vendor: str, environment: str, batch_id: str) -> list[str]:
        """The paths of a batch's files, in order."""
        return sorted(self._paths(self.folder_of(vendor, environment, batch_id)))

    def _paths(self, folder: str) -> Iterator[str]:
        top = self.root / folder
        # One listing, where a walk would ask a remote store once for each file.
        found = (str(path) for path in top.fs.find(top.path))
        return (path.removeprefix(self.root.path).lstrip("/") for path in found if not path.endswith(_PART))

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """The file at a path the ledger remembers; refused if it points out of the store."""
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path or "://" in path:
            raise LedgerError(
                f"the evidence path {path!r} points out of the evidence store; nothing was read. Run `make verify`."
            )
        with (self.root / path).open("rb") as file:
            yield file

    def fetch(self, path: str, to: Path) -> Path:
        """A local copy of the file at a path the ledger remembers; returns where it lies."""
        with self.opened(path) as source, to.open("wb") as sink:
            for chunk in chunks(source):
                sink.write(chunk)
        return to

    def hash_of(self, path: str) -> str:
        """The SHA-256 of a filed file as it lies there now."""
        digest = hashlib.sha256()
        with self.opened(path) as file:
            for chunk in chunks(file):
                digest.update(chunk)
        return digest.hexdigest()

    def check(self, entry: Entry) -> str:
        """What is wrong with the file an entry names; empty if nothing is. Fits `LedgerStore.verify(evidence=...)`."""
        try:
            found = self.hash_of(entry.evidence_path)
        except FileNotFoundError:
            return f"its evidence {entry.evidence_path} is missing"
        except (OSError, LedgerError) as error:
            return f"its evidence {entry.evidence_path} cannot be read ({type(error).__name__})"
        return "" if found == entry.evidence_hash else f"its evidence {entry.evidence_path} was altered after it was filed"

    def _folder(self, attempt: Attempt, step: str) -> str:
        return f"{self.folder_of(attempt.vendor, attempt.environment, attempt.batch_id)}/{attempt.number}/{safe_name(step)}"

    def _file(self, folder: str, name: str, content: Iterable[bytes]) -> Filed:
        if self._is_local:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="ferry-evidence-") as elsewhere:
            # Beside its later name where a link can give it that name; a remote store gets the file once, when its hash is known.
            part = Path(str(self.root / folder) if self._is_local else elsewhere) / f".{uuid4().hex}{_PART}"
            try:
                sha256, size = _write(part, content, durable=self._is_local)
                path = self._name(part, folder, safe_name(name), sha256)
            finally:
                part.unlink(missing_ok=True)
        return Filed(path, sha256, size)

    def _name(self, part: Path, folder: str, name: str, sha256: str) -> str:
        """Give the written part the first name that is free, or that already holds the same content."""
        stem, dot, suffix = name.partition(".")
        for number in range(1, 10_000):
            path = f"{folder}/{stem if number == 1 else f'{stem}-{number}'}{dot}{suffix}"
            if self._claim(part, self.root / path) or self.hash_of(path) == sha256:
                return path
        raise LedgerError(
            f"{folder} holds too many different files called {name}; something files without end. Nothing was filed."
        )

    def _claim(self, part: Path, target: UPath) -> bool:
        """True if the name was free. A hard link takes it in one move, so that two writers cannot both get it.

        S3 takes a whole object under a condition, which comes to the same; an upload that breaks off leaves nothing.
        """
        if self._is_local:
            try:
                Path(str(target)).hardlink_to(part)
            except FileExistsError:
                return False
            except OSError:  # a file system without hard links: two writers of one name in one instant could still meet there
                return not target.exists() and bool(part.replace(str(target)))
            return True
        if target.exists():  # a few bytes, where the condition would be told after a whole upload
            return False
        try:
            target.fs.put_file(str(part), target.path, mode="create")
        except FileExistsError:
            return False
        return True


def _sent(parts: list[str]) -> Sent | None:
    """What a path says, or None: whatever else lies there is no word of ours."""
    if len(parts) != 4 or (found := _INTENT.fullmatch(parts[3])) is None:
        return None
    vendor, environment, batch_id, _ = parts
    attempt, step, seq, entry_hash = found.groups()
    return Sent(vendor, environment, batch_id, int(attempt), step, int(seq), entry_hash)


def safe_name(name: str) -> str:
    """A file name nobody can walk out of a folder with: letters, digits, dot, dash, underscore; at most 120 characters."""
    return _UNSAFE.sub("_", name).lstrip(".")[:120] or "unnamed"


def chunks(source: IO[bytes]) -> Iterator[bytes]:
    """The rest of a file, a piece at a time."""
    while chunk := source.read(CHUNK):
        yield chunk


def _write(path: Path, content: Iterable[bytes], *, durable: bool) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as sink:
        for chunk in content:
            digest.update(chunk)
            size += sink.write(chunk)
        if durable:
            sink.flush()
            os.fsync(sink.fileno())
    return digest.hexdigest(), size
