"""What can be wrong with a Fenergo batch, by code; how findings are counted and written is the house's."""

from __future__ import annotations

from enum import StrEnum

from ferry.core import findings
from ferry.core.findings import Level, Place

__all__ = ["UNACCOUNTABLE", "Code", "Findings", "Level", "Place"]


class Code(StrEnum):
    """What is wrong, in one word that can be counted."""

    NO_FILES = "NO_FILES"
    TWO_FILES = "TWO_FILES"
    EMPTY_FILE = "EMPTY_FILE"
    HEADER_ONLY = "HEADER_ONLY"
    BAD_HEADER = "BAD_HEADER"
    NO_KEY_COLUMN = "NO_KEY_COLUMN"
    BOM = "BOM"
    NOT_UTF8 = "NOT_UTF8"
    DAMAGED_TEXT = "DAMAGED_TEXT"
    NUL_BYTE = "NUL_BYTE"
    BROKEN_CSV = "BROKEN_CSV"
    UNQUOTED = "UNQUOTED"
    RAGGED = "RAGGED"
    BLANK_LINE = "BLANK_LINE"
    OVER_LONG = "OVER_LONG"
    KEY_EMPTY = "KEY_EMPTY"
    KEY_SPACES = "KEY_SPACES"
    KEY_DUPLICATE = "KEY_DUPLICATE"
    REFERENCE_EMPTY = "REFERENCE_EMPTY"
    REFERENCE_UNKNOWN = "REFERENCE_UNKNOWN"
    REFERENCE_BY_INGESTION = "REFERENCE_BY_INGESTION"
    BAD_DATE = "BAD_DATE"
    BAD_NUMBER = "BAD_NUMBER"
    BAD_LOOKUP = "BAD_LOOKUP"
    PIPE = "PIPE"
    REQUIRED = "REQUIRED"
    UNKNOWN_TABLE = "UNKNOWN_TABLE"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    MISSING_COLUMN = "MISSING_COLUMN"
    BAD_TABLE_NAME = "BAD_TABLE_NAME"
    BLANK = "BLANK"
    ID_DUPLICATE = "ID_DUPLICATE"
    ID_KNOWN = "ID_KNOWN"
    NOT_A_UUID = "NOT_A_UUID"
    NO_SCHEMA = "NO_SCHEMA"


UNACCOUNTABLE = frozenset(
    {
        Code.NO_FILES,
        Code.TWO_FILES,
        Code.EMPTY_FILE,
        Code.BAD_HEADER,
        Code.NO_KEY_COLUMN,
        Code.NOT_UTF8,
        Code.NUL_BYTE,
        Code.BROKEN_CSV,
        Code.RAGGED,
        Code.KEY_EMPTY,
        Code.KEY_DUPLICATE,
    }
)
"""Faults that no manifest can wave through: with them, nobody could say afterwards what became of each record."""


class Findings(findings.Findings):
    """The findings of one check of a Fenergo batch."""

    unaccountable = UNACCOUNTABLE
