"""The files of a migration [D2], made up when somebody lists them, and kept in a storage to which only signed links lead."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

from ferry.vendors.anon.sandbox.migration import Migration
from ferry.vendors.anon.sandbox.tasks import COMPLETE, NAMESPACE, Task
from sandbox.s3 import Store

BUCKET = "anon-files"
NAMES = ("Łucja Żak", "Zoë Ngũgĩ", "Piotr Wiśniewski", 'Ana "Nan" O\'Neill, Jr.', "李 伟")
HEADER = ("employee_id", "name", "started_on")


@dataclass(frozen=True, slots=True)
class File:
    """One file: which of the migration's it is, and the task that brought it."""

    number: int
    id: str
    data_type: str
    created: float

    @property
    def raw(self) -> bool:
        """Whether it is a raw export, as CSV, or cleaned data, as JSON (bronze and silver [D2])."""
        return self.number % 2 == 0

    @property
    def name(self) -> str:
        """Its original name."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", self.data_type).strip("_").lower()
        return f"{words}_{self.number + 1}.{'csv' if self.raw else 'json'}"

    @property
    def type(self) -> str:
        """The kind of data, with its format as the suffix if it is raw [D2]."""
        return f"{self.data_type}-CSV" if self.raw else self.data_type

    @property
    def content_type(self) -> str:
        """Its MIME type."""
        return "text/csv" if self.raw else "application/json"

    def content(self) -> bytes:
        """A few made-up people, the same at every download."""
        rows = [_person(self.number + row) for row in range(3 + self.number % 3)]
        if not self.raw:
            records = [dict(zip(HEADER, row, strict=True)) for row in rows]
            return json.dumps({"data_type": self.data_type, "records": records}, ensure_ascii=False, indent=1).encode()
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
        return text.getvalue().encode()


def _person(number: int) -> tuple[str, str, str]:
    return f"E{number:05d}", NAMES[number % len(NAMES)], f"20{10 + number % 15}-{1 + number % 12:02d}-01"


def files_of(migration: Migration, tasks: list[Task], wanted: int) -> list[File]:
    """What can be fetched now, oldest first: the files are dealt to the tasks that will bring some, and come with them [A]."""
    givers = [task for task in tasks if task.plan.gives_files]
    found = []
    for number in range(wanted if givers else 0):
        task = givers[number % len(givers)]
        if task.status == COMPLETE and task.done_at is not None:
            key = str(uuid5(NAMESPACE, f"{migration.id}/file/{number}"))
            found.append(File(number, key, task.plan.data_type, task.done_at))
    return sorted(found, key=lambda file: (file.created, file.number))


def document(file: File, migration: str, created: str, store: Store, link: Callable[[str, str], str]) -> dict[str, Any]:
    """The file as its list tells it [D2]; its bytes are in the storage from now on."""
    content, place = file.content(), f"{file.id}/{file.name}"
    path = store.path(BUCKET, place)
    if not path.exists():
        path.write_bytes(content)
    return {
        "object": "file",
        "id": file.id,
        "created": created,
        "name": file.name,
        "type": file.type,
        "content_type": file.content_type,
        "url": link(place, file.name),
        "size": len(content),
        "migration_id": migration,
    }
