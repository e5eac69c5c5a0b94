"""Cells of a `*_Data.csv`: texts as N'...', numbers, dates, yes or no, nothing (contract 5)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

NUMBER = re.compile(r"-?\d{1,38}(\.\d{1,38})?", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?)?|\d\d:\d\d:\d\d", re.ASCII)
NOTHING = ("", "NULL")
YES_NO = {"true": True, "false": False, "True": True, "False": False}
SHORTEST = 3  # N''


def text_cell(text: str) -> str:
    """A text as the vendor writes it [D2]; that apostrophes are doubled, as SQL does, is [A]."""
    return "N'" + text.replace("'", "''") + "'"


def is_text(cell: str) -> bool:
    """Whether a cell is N'...'."""
    return len(cell) >= SHORTEST and cell.startswith("N'") and cell.endswith("'")


def why_unreadable(cell: str) -> str:
    """What the database would say of a cell; empty if it is good."""
    if is_text(cell) or cell in NOTHING or cell in YES_NO or NUMBER.fullmatch(cell):
        return ""
    if not DATE.fullmatch(cell):
        return "Incorrect syntax: text values are written N'...'."
    try:
        datetime.fromisoformat(cell if "-" in cell else f"2000-01-01T{cell}")
    except ValueError:
        return "Conversion failed when converting date and/or time from character string."
    return ""


def value_of(cell: str) -> Any:
    """What a good cell means, as JSON; decimals become floats, dates stay texts."""
    if is_text(cell):
        return cell[2:-1].replace("''", "'")
    if cell in NOTHING:
        return None
    if cell in YES_NO:
        return YES_NO[cell]
    if NUMBER.fullmatch(cell):
        return float(cell) if "." in cell else int(cell)
    return cell
