"""Sent versus reported, record by record: every key that was sent gets exactly one fate, or the batch does not balance.

DuckDB joins straight from the CSV files by (table, key), spilling to disk, so the number of records does not matter.
Keys are never collapsed: the same key twice is two records, on either side. Nothing but keys leaves the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ferry.core.errors import BadInput
from ferry.core.model import Counts
from ferry.ledger.csvdb import MEMORY, number, run_sql, scan, text, workbench

if TYPE_CHECKING:
    import duckdb

AccountedBy = Literal["key", "parent"]

_REPORTS = ("accepted", "rejected", "waived")


@dataclass(frozen=True, slots=True)
class SentFile:
    """One file as it was sent. `parent_column` names the owner's key for rows the vendor may not list by themselves.

    `records`, if known from the checks, must be what is read here: two readers that disagree would prove nothing.
    """

    table: str
    path: Path
    key_column: str
    parent_column: str | None = None
    records: int | None = None


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Keys the vendor reported, or a person waived. Without a table column, a key counts for the one table that sent it."""

    path: Path
    key_column: str
    table_column: str | None = None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The verdict on every record, in counts; the keys themselves are in `files`."""

    counts: Counts
    per_table: dict[str, Counts]
    accounted_by: dict[str, AccountedBy]
    """By table: by its own keys, or, where the vendor lists none of them, through the record that owns the row."""
    extra: int = 0
    """Keys the vendor reports that were not sent."""
    surplus: int = 0
    """Keys the vendor reports more often than they were sent."""
    contradictions: int = 0
    """Keys reported both as accepted and as rejected; they count as rejected."""
    duplicates: int = 0
    """Keys that stand more than once on either side."""
    by_run: int = 0
    """Accepted records whose owner is not in the batch, so that only the run's own word vouches for them."""
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """True only if every record arrived or was waived, and the vendor reports nothing else."""
        return self.counts.all_arrived and not (self.extra or self.surplus or self.contradictions)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for ledger and evidence: counts, and the files by name without their folder."""
        return asdict(self) | {"balanced": self.balanced, "files": {name: path.name for name, path in self.files.items()}}


def reconcile(
    sent: Sequence[SentFile],
    *,
    accepted: Sequence[KeyFile] = (),
    rejected: Sequence[KeyFile] = (),
    waived: Sequence[KeyFile] = (),
    out: Path,
    run_vouches: bool = False,
    memory: str = MEMORY,
) -> Reconciliation:
    """Join what was sent with what was reported, and write missing, extra, duplicate and rejected keys as CSV into `out`.

    A run that was refused as a whole has no accepted files; all that the vendor does not name as rejected is unprocessed.
    Rows that the vendor lists nowhere by themselves arrived if the record that owns them did, and else are unprocessed.
    `run_vouches` says that the vendor takes all or nothing and said it took all: then rows owned by a record outside the
    batch count as accepted. Otherwise they are unprocessed, because nobody named them.

    Measured on 2 cores (scripts/bench_reconcile.py): a million companies and as many addresses take about 3.5 s and 320 MiB,
    pandas 6 s and 830 MiB; three million of each, spilling, still fit into 340 MiB.
    """
    with workbench(memory) as con:
        _load_reported(con, "accepted", accepted)
        _load_reported(con, "rejected", rejected)
        _load_reported(con, "waived", waived)
        by = _load_sent(con, sent)
        _count_reported(con)
        _decide(con, run_vouches=run_vouches)
        return _result(con, by, out)


def write_keys(file: SentFile, to: Path) -> Path:
    """A copy of a file's keys, and of its owners' keys if it has them, as `key` and `parent`: what was sent, for later.

    The batch's own files may be corrected while a run is under way; what is reconciled is what was sent.
    """
    columns = "key, parent" if file.parent_column else "key"
    source = scan(file.path, key=file.key_column, parent=file.parent_column)
    with workbench() as con:
        target = f"{text(str(to))} (format csv, header true, force_quote *)"
        run_sql(con, f"copy (select {columns} from {source}) to {target}", file.path)  # noqa: S608 (quoted)
    return to


def _load_reported(con: duckdb.DuckDBPyConnection, name: str, files: Sequence[KeyFile]) -> None:
    con.execute(f"create table {name}_raw (tab varchar, key varchar)")
    for file in files:
        source = scan(file.path, tab=file.table_column, key=file.key_column)
        run_sql(con, f"insert into {name}_raw select tab, key from {source}", file.path)  # noqa: S608 (names are ours)


def _norm(table: str) -> str:
    """Vendors write a table's name with other case, spaces and underscores than they took it."""
    return table.replace(" ", "").replace("_", "").casefold()


def _number_tables(con: duckdb.DuckDBPyConnection, sent: Sequence[SentFile]) -> set[str]:
    """Give every table a number (joins on numbers are twice as fast), whoever names it, and say which ones the vendor lists."""
    reported = " union ".join(f"select distinct tab, '{name}' as by from {name}_raw" for name in _REPORTS)  # noqa: S608 (constants)
    spellings = con.execute(reported).fetchall()
    names = {_norm(file.table): file.table for file in reversed(sent)}
    names = names | {_norm(tab): tab for tab, _ in spellings if _norm(tab) not in names}
    ids = {norm: place for place, norm in enumerate(sorted(names))}
    con.execute("create table tables (id smallint, name varchar)")
    con.execute("create table spelled (id smallint, tab varchar)")
    con.executemany("insert into tables values (?, ?)", [[ids[norm], name] for norm, name in names.items()] or [[-1, ""]])
    spelled = {(ids[_norm(tab)], tab) for tab, _ in spellings} | {(ids[_norm(file.table)], file.table) for file in sent}
    con.executemany("insert into spelled values (?, ?)", [list(pair) for pair in spelled] or [[-1, ""]])
    return {_norm(tab) for tab, by in spellings if by == "accepted"}


def _load_sent(con: duckdb.DuckDBPyConnection, sent: Sequence[SentFile]) -> dict[str, AccountedBy]:
    """Load what was sent, and say by what each table is accounted for: a table the vendor lists is, by its own keys."""
    listed = _number_tables(con, sent)
    con.execute("create table sent (tab smallint, key varchar, parent varchar)")
    by: dict[str, AccountedBy] = {}
    for file in sent:
        by_parent = file.parent_column is not None and _norm(file.table) not in listed
        by[file.table] = "parent" if by_parent else "key"
        source = scan(file.path, key=file.key_column, parent=file.parent_column if by_parent else None)
        columns = f"(select id from spelled where tab = {text(file.table)}), key, {'parent' if by_parent else 'null'}"  # noqa: S608 (quoted)
        added = run_sql(con, f"insert into sent select {columns} from {source}", file.path).fetchone()  # noqa: S608 (quoted)
        _same_number(file, int(added[0]) if added else 0)
    return by


def _same_number(file: SentFile, read: int) -> None:
    if file.records is not None and read != file.records:
        raise BadInput(
            f"{file.path.name} (table {file.table}): {read:,} records are read here, {file.records:,} were counted before. "
            "Was the file changed in between? Look for line breaks inside values and for stray quotes."
        )


def _count_reported(con: duckdb.DuckDBPyConnection) -> None:
    """Count how often each key is reported. A key without a table belongs to the one table that sent it, if it is one."""
    is_nameless = bool(number(con, "select count(*) from spelled where tab = ''"))
    for name in _REPORTS:
        con.execute(
            f"create table {name} as select s.id as tab, r.key, count(*) as n "  # noqa: S608 (constants)
            f"from {name}_raw r join spelled s on s.tab = r.tab group by all"
        )
        con.execute(f"drop table {name}_raw")
        nameless = "(select id from spelled where tab = '')"
        if is_nameless and number(con, f"select count(*) from {name} where tab = {nameless}"):  # noqa: S608 (constants)
            con.execute(
                f"create or replace table {name} as with alone as (select key, min(tab) as tab from sent group by key "  # noqa: S608
                f"having count(distinct tab) = 1) select if(r.tab = {nameless}, coalesce(a.tab, r.tab), r.tab) as tab, r.key, "
                f"sum(r.n)::bigint as n from {name} r left join alone a on a.key = r.key group by all"
            )


def _decide(con: duckdb.DuckDBPyConnection, *, run_vouches: bool) -> None:
    """One row per sent key with the number of its records that were accepted, rejected, waived; the rest is unprocessed."""
    con.execute("""
        create table met as select s.tab, s.key, s.parent, s.n, r.key is not null as refused,
            w.key is not null as waived_by_person, coalesce(a.n, 0) as reported
        from (select tab, key, parent, count(*) as n from sent group by all) s left join accepted a using (tab, key)
        left join rejected r using (tab, key) left join waived w using (tab, key)
    """)
    con.execute("drop table sent")
    con.execute("""
        create table fate as select *, taken as accepted, case when waived_by_person then n - taken else 0 end as waived,
            case when refused and not waived_by_person then n - taken else 0 end as rejected, false as by_run
        from (select *, case when refused then 0 else least(n, reported) end as taken from met where parent is null)
    """)
    # Only an owner that arrived speaks for its rows; a row nobody names stays unprocessed, whatever became of its owner.
    con.execute("create table owner as select key, sum(n) = sum(accepted) as arrived from fate group by key")
    con.execute(f"""
        insert into fate by name select tab, key, parent, n, refused, waived_by_person, reported, 0 as taken,
            if(arrives, n, 0) as accepted, if(waived_by_person, n, 0) as waived,
            if(refused and not waived_by_person, n, 0) as rejected, arrives and orphaned as by_run
        from (select m.*, o.key is null as orphaned,
                not (refused or waived_by_person) and coalesce(o.arrived, {str(run_vouches).lower()}) as arrives
            from met m left join owner o on o.key = m.parent where m.parent is not null)
    """)  # noqa: S608 (true or false)
    con.execute("drop table met")
    con.execute("drop table owner")


_LISTS = {
    "missing": "select tab, key, sum(n - accepted - rejected - waived)::bigint as records from fate "
    "where n > accepted + rejected + waived group by all",
    "rejected": "select tab, key, sum(rejected)::bigint as records from fate where rejected > 0 group by all",
    "duplicate": "select tab, key, sum(n)::bigint as sent, max(reported) as reported from fate group by all "
    "having sum(n) > 1 or max(reported) > 1",
    "extra": "select tab, key, n as records, 'accepted' as reported_as from accepted anti join fate using (tab, key) "
    "union all select tab, key, n, 'rejected' from rejected anti join fate using (tab, key) where key <> ''",
}

_COUNTED = {"duplicate", "extra"}
"""The lists that are looked at again once they are written."""


def _result(con: duckdb.DuckDBPyConnection, by: dict[str, AccountedBy], out: Path) -> Reconciliation:
    rows = con.execute("""
        select name, sum(n)::bigint, sum(accepted)::bigint, sum(rejected)::bigint, sum(n - accepted - rejected - waived)::bigint,
            sum(waived)::bigint from fate join tables on tables.id = fate.tab group by name order by name
    """).fetchall()
    per_table = {table: Counts() for table in by} | {row[0]: Counts(*row[1:]) for row in rows}
    total = Counts(*(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))) if rows else Counts()
    files = _write_lists(con, out)
    return Reconciliation(
        counts=total,
        per_table=per_table,
        accounted_by=by,
        files=files,
        **_numbers(con),
    )


_NUMBERS = {
    "extra": "select count(*) from lists_extra where reported_as = 'accepted'",
    "surplus": "select count(*) from lists_duplicate where reported > sent and sent > 0",
    "contradictions": "select count(*) from (select distinct tab, key from fate where refused and reported > 0)",
    "duplicates": "select count(*) from lists_duplicate",
    "by_run": "select coalesce(sum(n), 0)::bigint from fate where by_run",
}


def _numbers(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """What is wrong besides, counted: one statement, because planning costs more than counting where a batch is small."""
    found = con.execute(f"select {', '.join(f'({query})' for query in _NUMBERS.values())}").fetchone() or ()
    return {name: int(value) for name, value in zip(_NUMBERS, found, strict=True)}


def _write_lists(con: duckdb.DuckDBPyConnection, out: Path) -> dict[str, Path]:
    """The four lists as CSV, sorted, so that the same input gives the same bytes. Keys stand as sent, not neutralised."""
    out.mkdir(parents=True, exist_ok=True)
    files = {name: out / f"{name}.csv" for name in _LISTS}
    for name, path in files.items():
        source = f"({_LISTS[name]})"
        if name in _COUNTED:
            con.execute(f"create table lists_{name} as {_LISTS[name]}")
            source = f"lists_{name}"
        con.execute(
            f'copy (select name as "table", l.* exclude (tab) from {source} l join tables on tables.id = l.tab order by all) '  # noqa: S608
            f"to {text(str(path))} (format csv, header true, delimiter ',', quote '\"', escape '\"', force_quote *)"
        )
    return files
