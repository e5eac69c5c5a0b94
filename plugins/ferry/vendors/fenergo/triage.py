"""The error file as a person can work through it: what is wrong, how often, where to begin.

[D] The error file is a CSV that mixes tables; its columns are published as a picture only [A-28], so they are found by
name and the raw file is kept beside everything made here. Field values and messages never leave these files.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.csvfile import BrokenCsv, column_by_alias, header_of, neutralise, open_csv, records, visible
from ferry.core.errors import VendorNonsense
from ferry.vendors.fenergo.records import KEY_ALIASES, TABLE_ALIASES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CHUNK = 20_000
EXAMPLES = 3
LISTED = 10_000
"""Unresolved keys and references kept in memory; more are counted. A remedy for more than these is a batch of its own."""

ALIASES = {
    "table": TABLE_ALIASES,
    "key": KEY_ALIASES,
    "field": ("fieldName", "field", "columnName", "column", "attribute"),
    "value": ("fieldValue", "value"),
    "code": ("errorCode", "code", "errorType", "type"),
}

UNRESOLVED = ("UNRESOLVED_REFERENCE",)
"""[A-28] Codes that mean a reference led nowhere; the manifest's `unresolved_codes` says otherwise if need be."""

_NOTHING = (
    "Nothing was migrated: one error refuses the whole batch [D]. Correct the files and trigger again; "
    "all files are sent again in a new attempt."
)

HINTS = {
    "INVALID_DATE": "Write the dates as ISO 8601, `1998-03-17` [A-23].",
    "INVALID_LOOKUP": "Use a value of the lookup that the schema workbook names for this column, exactly as it is spelled there.",
    "REQUIRED": "Fill in the value; the policy requires it.",
    "UNRESOLVED_REFERENCE": "Add the record that is referred to, or correct the id. If the record was made by hand at "
    "the vendor, give it an alternate id with an alternate-id file.",
    "DUPLICATE_ALTERNATE_ID": "Give each record of the table its own alternateId.",
    "INVALID_NUMBER": "Write the number with a decimal point and within its range.",
    "INVALID_ENCODING": "Export the file again as UTF-8.",
    "UNKNOWN_COLUMN": "Remove the column, or have the policy extended and a new migration made.",
}
"""What to do about the codes we know [A-28]; any other is shown as the vendor sent it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Errors of one kind: same table, field and code."""

    table: str
    field: str
    code: str
    errors: int
    records: int
    """Distinct records with this error."""
    examples: tuple[str, ...]
    """Up to three alternate ids, to look at first."""


@dataclass(frozen=True, slots=True)
class Triage:
    """What an error file says, in counts and ids."""

    errors: int
    rejected: int
    """Distinct records (table and alternateId) with at least one error."""
    groups: tuple[Group, ...]
    unresolved: tuple[tuple[str, str], ...] = ()
    """Records (table, alternateId) that were refused for nothing but references that led nowhere; at most LISTED."""
    unresolved_count: int = 0
    missing: frozenset[str] = field(default=frozenset(), repr=False)
    """The ids that were referred to and not found; at most LISTED."""
    missing_count: int = 0
    without_key: int = 0
    """Errors that name no record: about a file or a header."""
    rejected_file: Path | None = None
    """CSV table,key of every rejected record, for reconciliation; a record may stand in it more than once."""

    @property
    def only_unresolved(self) -> bool:
        """True if nothing is wrong but references, so that alternate ids may be the whole remedy."""
        return self.errors > 0 and self.without_key == 0 and self.rejected == self.unresolved_count

    def to_json(self) -> dict[str, Any]:
        """Counts and groups for the ledger's facts; the example ids are the report's, for ids belong in evidence only."""
        names = ("table", "field", "code", "errors", "records")
        groups = [{name: getattr(group, name) for name in names} for group in self.groups]
        numbers = {
            name: getattr(self, name) for name in ("errors", "rejected", "unresolved_count", "missing_count", "without_key")
        }
        return numbers | {"only_unresolved": self.only_unresolved, "groups": groups}


def triage(error_csv: Path, rejected_to: Path | None = None, unresolved_codes: Collection[str] = UNRESOLVED) -> Triage:
    """Group the errors of a file of any length, read in chunks. VendorNonsense if no column holds alternate ids."""
    import pandas as pd

    places = _places(error_csv)
    sums = _Sums({code.casefold() for code in unresolved_codes})
    with (rejected_to or Path(os.devnull)).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["table", "key"])
        for chunk in _chunks(error_csv):
            frame = pd.DataFrame(
                {name: [visible(row[i]) if i is not None else "" for row in chunk] for name, i in places.items()}
            )
            sums.add(frame)
            keyed = frame.loc[frame["key"] != "", ["table", "key"]].drop_duplicates()
            writer.writerows(keyed.itertuples(index=False, name=None))
    return sums.result(rejected_to)


def _chunks(error_csv: Path) -> Iterator[list[list[str]]]:
    rows = records(error_csv)
    try:
        while chunk := list(islice(rows, CHUNK)):
            yield chunk
    except BrokenCsv as error:
        raise VendorNonsense(f"{error_csv.name}: {error}. The error file is kept as it came; read it by hand.") from None


def remedied_by(found: Triage, alternate_ids: Path) -> bool:
    """True if references were all that was wrong, and the batch's alternate-id file names every id that was not found.

    A vendor's file that does not say which ids it missed leaves only the trial; the next attempt tells.
    """
    header = header_of(alternate_ids)
    if not found.only_unresolved or found.missing_count > LISTED or "alternateId" not in header:
        return False
    place, waiting = header.index("alternateId"), set(found.missing) - {""}
    for row in records(alternate_ids):
        waiting.discard(row[place])
    return not waiting


def human_copy(src: Path, dst: Path) -> Path:
    """The file for a spreadsheet: every cell in quotes, cells that would run as formulas preceded by an apostrophe.

    Nothing is lost: taking one apostrophe away from each cell of the form `'=`, `'+`, `'-`, `'@` gives the original text back
    (`csvfile.restore`). It begins with a byte-order mark, without which Excel takes UTF-8 for something else. Bytes that
    are no UTF-8 are shown as a replacement character; the raw file has them.
    """
    with open_csv(src, strict=False) as source, dst.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow([neutralise(visible(cell)) for cell in source.header])
        writer.writerows([neutralise(visible(cell)) for cell in row.cells] for row in source if row.cells)
    return dst


def report_markdown(found: Triage, batch_id: str, ref: str = "", limit: int = 50) -> str:
    """What to correct, for the person who has the source system: the biggest group first."""
    run = f" (migration `{ref}`)" if ref else ""
    lines = [
        f"# What to correct in batch {batch_id}",
        "",
        f"Fenergo refused the batch{run}: {found.errors:,} errors in {found.rejected:,} records. {_NOTHING}",
        "",
        "| Table | Field | Code | Errors | Records | For example | What to do |",
        "|---|---|---|---:|---:|---|---|",
        *(_line(group) for group in found.groups[:limit]),
        "",
    ]
    if more := found.groups[limit:]:
        lines += [f"{len(more):,} smaller groups with {sum(g.errors for g in more):,} errors are in the error file.", ""]
    lines += list(_closing(found))
    return "\n".join(lines)


def _line(group: Group) -> str:
    hint = HINTS.get(group.code.upper(), "The vendor's own word; its message is in the error file.")
    examples = ", ".join(f"`{_cell(example)}`" for example in group.examples)
    cells = [_cell(group.table), _cell(group.field), _cell(group.code), f"{group.errors:,}", f"{group.records:,}", examples, hint]
    return f"| {' | '.join(cells)} |"


def _closing(found: Triage) -> Iterator[str]:
    if found.without_key:
        yield f"{found.without_key:,} errors name no record; they are about a whole file or its header. Correct them first."
        yield ""
    if found.unresolved_count:
        yield (
            f"{found.unresolved_count:,} records were refused for nothing but references; {found.missing_count:,} ids are "
            "unknown to the vendor. If those records were made by hand there, an alternate-id file (`alternate_ids` in the "
            "manifest) makes them known; never use it to change an alternate id that exists."
        )
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'").replace("\n", " ").replace("\r", " ")[:80] or "-"


def _places(path: Path) -> dict[str, int | None]:
    try:
        header = header_of(path)
    except BrokenCsv as error:
        raise VendorNonsense(f"{path.name}: {error}. The error file is kept as it came; read it by hand.") from None
    names = {ours: column_by_alias(header, aliases) for ours, aliases in ALIASES.items()}
    if names["key"] is None:
        raise VendorNonsense(
            f"{path.name} has no column that is known to hold alternate ids ({len(header)} columns; known names: "
            f"{', '.join(KEY_ALIASES)}). The error file is kept as it came; read it by hand, or teach Ferry the column's name."
        )
    return {ours: header.index(name) if name is not None else None for ours, name in names.items()}


class _Sums:
    """What is kept between chunks: a frame with a row per group, eight bytes per distinct record, and a few ids."""

    def __init__(self, unresolved_codes: Collection[str]) -> None:
        self._codes = unresolved_codes
        self._errors = self._without_key = 0
        self._counts: list[pd.DataFrame] = []
        self._examples: dict[tuple[str, ...], list[str]] = {}
        self._records: dict[tuple[str, ...], list[np.ndarray[Any, Any]]] = {}
        self._dangling: dict[int, tuple[str, str]] = {}
        self._missing: set[str] = set()

    def add(self, frame: pd.DataFrame) -> None:
        """Take in a chunk with columns table, key, field, value, code."""
        import pandas as pd

        self._errors += len(frame)
        self._without_key += int((frame["key"] == "").sum())
        frame["record"] = pd.util.hash_pandas_object(frame[["table", "key"]], index=False)
        by = ["table", "field", "code"]
        self._counts.append(frame.groupby(by, sort=False).size().rename("errors").reset_index())
        keyed = frame[frame["key"] != ""]
        for names, group in keyed.groupby(by, sort=False):
            self._keep(tuple(str(name) for name in names), group)
        dangling = keyed[keyed["code"].str.casefold().isin(self._codes)]
        self._missing.update(dangling["value"].head(LISTED + 1 - len(self._missing)) if len(self._missing) <= LISTED else [])
        for record, table, key in dangling[["record", "table", "key"]].drop_duplicates().itertuples(index=False, name=None):
            if len(self._dangling) <= LISTED:
                self._dangling[int(record)] = (table, key)

    def _keep(self, names: tuple[str, ...], group: pd.DataFrame) -> None:
        examples = self._examples.setdefault(names, [])
        examples += [key for key in group["key"].unique()[: 2 * EXAMPLES] if key not in examples][: EXAMPLES - len(examples)]
        self._records.setdefault(names, []).append(group["record"].unique())

    def result(self, rejected_file: Path | None) -> Triage:
        """Everything added up."""
        distinct = {names: _distinct(parts) for names, parts in self._records.items()}
        loose = [records for names, records in distinct.items() if names[2].casefold() in self._codes]
        firm = [records for names, records in distinct.items() if names[2].casefold() not in self._codes]
        unresolved = _without(_distinct(loose), _distinct(firm))
        chosen = set(unresolved.tolist())
        return Triage(
            errors=self._errors,
            rejected=len(_distinct([*loose, *firm])),
            groups=self._groups(distinct),
            unresolved=tuple(key for record, key in self._dangling.items() if record in chosen)[:LISTED],
            unresolved_count=len(unresolved),
            missing=frozenset(self._missing),
            missing_count=len(self._missing),
            without_key=self._without_key,
            rejected_file=rejected_file,
        )

    def _groups(self, distinct: dict[tuple[str, ...], np.ndarray[Any, Any]]) -> tuple[Group, ...]:
        import pandas as pd

        if not self._counts:
            return ()
        summed = pd.concat(self._counts).groupby(["table", "field", "code"])["errors"].sum()
        groups = (
            Group(t, f, c, int(errors), len(distinct.get((t, f, c), ())), tuple(self._examples.get((t, f, c), ())))
            for (t, f, c), errors in zip(summed.index.tolist(), summed.tolist(), strict=True)
        )
        return tuple(sorted(groups, key=lambda g: (-g.errors, g.table, g.field, g.code)))


def _distinct(parts: Iterable[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    import numpy as np

    found = list(parts)
    return np.unique(np.concatenate(found)) if found else np.empty(0, dtype="uint64")


def _without(these: np.ndarray[Any, Any], those: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.setdiff1d(these, those, assume_unique=True)
