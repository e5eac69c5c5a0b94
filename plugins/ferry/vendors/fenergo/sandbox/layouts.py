"""How the error file and the records file are written, in several header variants: the vendor shows both only as pictures."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ERROR_COLUMNS = (
    "tableName",
    "alternateId",
    "parentAlternateId",
    "rowNumber",
    "fieldName",
    "fieldValue",
    "errorCode",
    "errorMessage",
)
RECORD_COLUMNS = ("tableName", "alternateId", "fenxId")
ALIASES = {"alternateId": "externalId", "fenxId": "entityId", "tableName": "entityType"}
ENCODING_BOM = "\ufeff"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]], layout: str) -> int:
    """Write a file in one of the variants, row by row; answers how many rows it has."""
    count = 0
    places = [place for place, name in enumerate(columns) if layout != "no_key" or "lternateId" not in name]
    extra = ["sandbox"] if layout == "extra" else []
    with path.open("w", encoding="utf-8", newline="") as file:
        if layout == "bom":
            file.write(ENCODING_BOM)
        writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL if layout == "unquoted" else csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([_header(columns[place], layout) for place in places] + ["sourceSystem" for _ in extra])
        for row in rows:
            writer.writerow([row[place] for place in places] + extra)
            count += 1
    return count


def _header(name: str, layout: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    if layout == "spaced":
        return words.title()
    if layout == "snake":
        return words.replace(" ", "_").lower()
    return ALIASES.get(name, name) if layout == "alias" else name
