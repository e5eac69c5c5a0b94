"""A batch: a folder with a manifest and the files it names, read strictly and hashed as a whole."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from upath import UPath

from ferry.core.errors import BadInput

MANIFEST = "manifest.yaml"
BATCH_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_CHUNK = 1024 * 1024

Folder: TypeAlias = Path | UPath
Model = TypeVar("Model", bound=BaseModel)


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in path:
        raise ValueError("must be a file name inside the batch's folder")
    return path


BatchFile: TypeAlias = Annotated[str, AfterValidator(_inside)]
"""A path below the batch's folder."""


class Strict(BaseModel):
    """Refuses unknown keys: a misspelt setting is an error, not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(Strict):
    """One file of the batch and the vendor's table it goes to."""

    path: BatchFile
    table: Annotated[str, Field(min_length=1)]


class Section(Strict):
    """A vendor's own part of the manifest; vendors subclass it."""

    own_dag: ClassVar[str] = ""
    """The DAG of a batch whose manifest names none, where that is not `migrate_<vendor>`."""

    def extra_files(self) -> list[str]:
        """Files the section names beside the manifest's list; they belong to the input hash."""
        return []

    def connections(self) -> dict[str, str]:
        """Connections the batch works with beside its own, by the role they play, for vendors that have two ends."""
        return {}

    def dags(self) -> tuple[str, ...]:
        """The DAGs that can move such a batch; empty if the vendor has only one for all, or leaves it to the DAG."""
        return ()


class Manifest(Strict):
    """What every batch says about itself. The vendor's own section stands under the vendor's name."""

    vendor: str
    due: date
    """The date whose scheduled window owns the batch."""
    connection: str
    dag: str
    """The DAG that moves the batch; `migrate_<vendor>` unless the batch is of another kind."""
    title: str = ""
    files: list[FileEntry] = []


@dataclass(frozen=True)
class Batch:
    """A batch that was read and found well-formed; its files exist."""

    batch_id: str
    folder: Folder
    manifest: Manifest
    section: Any

    def file_names(self) -> list[str]:
        """Every file that belongs to the input, in the manifest's order, each once."""
        names = [entry.path for entry in self.manifest.files] + self.section.extra_files()
        return list(dict.fromkeys(names))

    def path(self, name: str) -> Folder:
        """Where a file of the batch lies; perhaps not on this machine."""
        return self.folder / name

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """The file as a local path, for programs that need one; a remote file is copied for the time of the block."""
        source = self.path(name)
        if _is_local(source):
            yield Path(str(source).removeprefix("file://"))
            return
        with TemporaryDirectory(prefix="ferry-") as folder:
            copy = Path(folder) / PurePosixPath(name).name
            with source.open("rb") as reading, copy.open("wb") as writing:
                shutil.copyfileobj(reading, writing, _CHUNK)
            yield copy

    @cached_property
    def input_hash(self) -> str:
        """SHA-256 over the manifest and every file it names: names, lengths and contents."""
        whole = hashlib.sha256()
        for name in [MANIFEST, *self.file_names()]:
            size, digest = _digest(self.path(name))
            whole.update(f"{name}\0{size}\0{digest}\n".encode())
        return whole.hexdigest()


def read_batch(root: Folder, vendor: str, batch_id: str, section: type[Section]) -> Batch:
    """The batch of that name. BadInput names the file, line and key of the first thing that is wrong, and what to do."""
    if not BATCH_ID.fullmatch(batch_id):
        raise BadInput(
            f"{batch_id!r} is not a batch id: use lowercase letters, digits, '.', '_' and '-', beginning with a letter or digit, "
            "at most 100 characters. The batch id is the name of the batch's folder."
        )
    folder = root / vendor / batch_id
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(_unknown(root, vendor, batch_id)) from None
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{vendor}/{batch_id}/{MANIFEST} is not UTF-8 (byte {error.start}). Save it as UTF-8 and trigger again."
        ) from None
    manifest, own = parse_manifest(text, vendor, batch_id, section)
    batch = Batch(batch_id, folder, manifest, own)
    missing = [name for name in batch.file_names() if not batch.path(name).is_file()]
    if missing:
        raise BadInput(
            f"{vendor}/{batch_id}/{MANIFEST} names {', '.join(missing)}, which is not in the batch's folder. "
            "Add the file or correct the name, then trigger again.",
            batch_id=batch_id,
        )
    return batch


def parse_manifest(text: str, vendor: str, batch_id: str, section: type[Section] | None) -> tuple[Manifest, Section]:
    """Manifest and vendor section from YAML text; BadInput with file, line and key otherwise.

    Without a section class only the common part is read, for those who know no vendor.
    """
    where = f"{vendor}/{batch_id}/{MANIFEST}"
    try:
        lines, data = _loaded(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        raise BadInput(f"{where}{at}: not valid YAML: {getattr(error, 'problem', None) or error}.{_CORRECT}") from None
    if not isinstance(data, dict):
        raise BadInput(f"{where}: must be a mapping with vendor, due and files; it is {type(data).__name__}.{_CORRECT}")
    if data.get("vendor") != vendor:
        raise BadInput(f"{where}{lines.at(('vendor',))}: vendor must be {vendor!r}, the folder the batch lies in.{_CORRECT}")
    defaults = {"connection": f"{vendor}_default", "dag": (section.own_dag if section else "") or f"migrate_{vendor}"}
    common = defaults | {key: value for key, value in data.items() if key != vendor}
    manifest, problems = _checked(Manifest, common, where, lines, ())
    own, more = _checked(section, data.get(vendor) or {}, where, lines, (vendor,)) if section else (Section(), [])
    if manifest is None or own is None:
        raise BadInput(" ".join(problems + more) + _CORRECT)
    return manifest, own


def batch_ids(root: Folder, vendor: str) -> list[str]:
    """The batches that lie below a vendor's folder, by name; folders without a manifest do not count."""
    folder = root / vendor
    if not folder.is_dir():
        return []
    found = (child.name for child in folder.iterdir() if BATCH_ID.fullmatch(child.name))
    return sorted(name for name in found if (folder / name / MANIFEST).is_file())


_CORRECT = " Correct the manifest and trigger again."
_OF_A_TYPE = re.compile(r"[\[(]|^(str|int|tuple|list|dict)$")
"""Parts of pydantic's paths that name one of several types a key may have, not a key."""
_A_DATE = "must be a date such as 2026-11-01"
_PLAINLY = {
    "extra_forbidden": "no such key is known here",
    "missing": "is missing",
    "date_type": _A_DATE,
    "date_parsing": _A_DATE,
    "date_from_datetime_parsing": _A_DATE,
    "date_from_datetime_inexact": _A_DATE,
}
"""What pydantic's kinds of error mean to the person who wrote the manifest."""


def _checked(model: type[Model], data: Any, where: str, lines: _Lines, prefix: tuple[str, ...]) -> tuple[Model | None, list[str]]:
    """The part of the manifest, or everything that is wrong with it: a person corrects a file once, not key by key."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, _problems(where, lines, error, prefix)


def _problems(where: str, lines: _Lines, error: ValidationError, prefix: tuple[str, ...]) -> list[str]:
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        path = (*prefix, *_as_written(item["loc"], unknown=item["type"] == "extra_forbidden"))
        key = ".".join(str(part) for part in path)
        said = _PLAINLY.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        problems.append(f"{where}{lines.at(path)}: {key}: {said}.")
    return problems


def _as_written(way: tuple[str | int, ...], *, unknown: bool) -> Iterator[str | int]:
    """The keys on the way to what is wrong. An `unknown` one at its end was written by a person, whatever it is called."""
    for number, part in enumerate(way, 1):
        if not _OF_A_TYPE.search(str(part)) or (unknown and number == len(way)):
            yield part


def _unknown(root: Folder, vendor: str, batch_id: str) -> str:
    known = batch_ids(root, vendor)
    hint = (
        f"Known batches: {', '.join(known[:10])}{' ...' if len(known) > 10 else ''}."
        if known
        else "No batch lies there: does FERRY_BATCHES lead to the right folder?"
    )
    return f"There is no batch {batch_id!r} for {vendor}: {root / vendor / batch_id / MANIFEST} does not exist. {hint}"


def _digest(path: Folder) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with path.open("rb") as reading:
        while chunk := reading.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()


def _is_local(path: Folder) -> bool:
    return isinstance(path, Path) or getattr(path, "protocol", "") in {"", "file", "local"}


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML in which a key may stand only once; what looks like a date and is none is an error with its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 (PyYAML's signature)
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # PyYAML lets through what Python says of a 13th month
            raise yaml.constructor.ConstructorError(None, None, f"{node.value!r}: {error}", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 (PyYAML's signature)
        seen = set[Any]()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands here twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _loaded(text: str) -> tuple[_Lines, Any]:
    """Where everything stands in a YAML text, and what it says; read once for both."""
    loader, lines = _StrictLoader(text), _Lines()
    try:
        node = loader.get_single_node()
        lines.read(node)  # first: to construct a mapping may change its node
        return lines, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


class _Lines:
    """Line numbers by path of keys, so that a message can say where."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], int] = {}

    def read(self, node: yaml.Node | None, path: tuple[Any, ...] = ()) -> None:
        if node is None:
            return
        self._found.setdefault(path, node.start_mark.line + 1)
        children: Mapping[Any, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            children = {key.value: value for key, value in node.value}
            self._found.update({(*path, key.value): key.start_mark.line + 1 for key, _ in node.value})
        elif isinstance(node, yaml.SequenceNode):
            children = dict(enumerate(node.value))
        for key, child in children.items():
            self.read(child, (*path, key))

    def at(self, path: tuple[Any, ...]) -> str:
        """`, line N` of the path or its nearest known parent."""
        for length in range(len(path), 0, -1):
            if line := self._found.get(path[:length]):
                return f", line {line}"
        return ""
