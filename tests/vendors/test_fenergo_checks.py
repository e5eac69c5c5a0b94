"""The checks find exactly what is wrong, say where, and never repeat a value."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferry.core.batch import Batch, read_batch
from ferry.core.csvfile import MAX_RECORD
from ferry.core.errors import BadInput
from ferry.vendors.fenergo.checks import check_files, count_records
from ferry.vendors.fenergo.dates import is_iso_date, named_like_a_date
from ferry.vendors.fenergo.findings import Findings, Level
from ferry.vendors.fenergo.manifest import FenergoSection

HEAD = b'"alternateId","legalEntityName","dateOfIncorporation"\n'
GOOD = b'"C-1","\xc5\x81\xc3\xb3d\xc5\xba, ""Blue""","1998-03-17"\n'


def batch_of(root: Path, files: Mapping[str, bytes], section: str = "", tables: Mapping[str, str] | None = None) -> Batch:
    """A batch of files; a file's table is its stem unless said otherwise."""
    folder = root / "fenergo" / "b"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["vendor: fenergo", "due: 2026-01-01", f"fenergo: {{jurisdiction: Migration{section}}}", "files:"]
    for name, content in files.items():
        (folder / name).write_bytes(content)
        if name != "alternate_ids.csv":
            lines.append(f"  - {{path: {name}, table: {(tables or {}).get(name, name.removesuffix('.csv'))}}}")
    (folder / "manifest.yaml").write_text("\n".join(lines) + "\n")
    return read_batch(root, "fenergo", "b", FenergoSection)


def codes(findings: Findings, *levels: Level) -> dict[str, int]:
    wanted = {str(level) for level in levels or tuple(Level)}
    found: Counter[str] = Counter()
    for group in findings.summary():
        if group["level"] in wanted:
            found[group["code"]] += group["count"]
    return dict(found)


def test_a_good_file_has_no_findings_and_its_records_are_counted(tmp_path):
    batch = batch_of(tmp_path, {"Company.csv": HEAD + GOOD + GOOD.replace(b"C-1", b"C-2").replace(b"Blue", b"two\r\nlines")})
    findings = check_files(batch)
    assert codes(findings) == {}
    assert findings.records == count_records(batch) == {"Company": 2}
    assert not findings.stop("strict")


@pytest.mark.parametrize(
    ("content", "level", "code", "place"),
    [
        (b"", "error", "EMPTY_FILE", (0, 0)),
        (HEAD, "note", "HEADER_ONLY", (0, 0)),
        (b"\xef\xbb\xbf" + HEAD + GOOD, "warning", "BOM", (0, 1)),
        (GOOD + GOOD, "error", "NO_KEY_COLUMN", (0, 1)),
        (HEAD.replace(b"alternateId", b"AlternateID") + GOOD, "error", "NO_KEY_COLUMN", (0, 1)),
        (HEAD.replace(b"legalEntityName", b"") + GOOD, "error", "BAD_HEADER", (0, 1)),
        (HEAD.replace(b"legalEntityName", b"alternateId") + GOOD, "error", "BAD_HEADER", (0, 1)),
        (HEAD + GOOD + b'"C-2","caf\xe9",""\n', "error", "NOT_UTF8", (2, 3)),
        ((HEAD + GOOD).decode().encode("utf-16"), "error", "NUL_BYTE", (0, 1)),
        (HEAD + GOOD + b'"C-2","a\0b",""\n', "error", "NUL_BYTE", (2, 3)),
        (HEAD + GOOD + b'"C-2","caf\xef\xbf\xbd",""\n', "warning", "DAMAGED_TEXT", (2, 3)),
        (HEAD + b'"C-0","a\nb",""\n' + b'"C-2","x"\n' + GOOD, "error", "RAGGED", (2, 4)),
        (HEAD + GOOD + b'"C-2","x","","more"\n', "error", "RAGGED", (2, 3)),
        (HEAD + GOOD + b'"C-2","x"y,""\n' + GOOD, "error", "BROKEN_CSV", (0, 3)),
        (HEAD + GOOD + b'"C-2","never closed\n' + GOOD, "error", "BROKEN_CSV", (0, 3)),
        (HEAD + GOOD + b'"C-2",a"b,""\n', "error", "BROKEN_CSV", (2, 3)),
        (HEAD + GOOD + b'"C-2","' + b"x" * MAX_RECORD + b'",""\n', "error", "BROKEN_CSV", (0, 3)),
        (HEAD + GOOD + b'"C-2","' + b"x" * 10_001 + b'",""\n', "warning", "OVER_LONG", (2, 3)),
        (HEAD + GOOD + b"C-2,x,\n", "warning", "UNQUOTED", (0, 0)),
        (HEAD + b"\n" + GOOD, "warning", "BLANK_LINE", (0, 2)),
        (HEAD + GOOD + b'" ","x",""\n', "error", "KEY_EMPTY", (2, 3)),
        (HEAD + GOOD + b'" C-2","x",""\n', "warning", "KEY_SPACES", (2, 3)),
        (HEAD + GOOD + b'"C-2","x",""\n' + GOOD, "error", "KEY_DUPLICATE", (3, 4)),
        (HEAD + GOOD + b'"C-2","x","17.03.98"\n', "warning", "BAD_DATE", (2, 3)),
        (HEAD + GOOD + b'"C-2","x|y",""\n', "note", "PIPE", (0, 0)),
    ],
)
def test_each_fault_is_found_where_it_is(tmp_path, content, level, code, place):
    findings = check_files(batch_of(tmp_path, {"Company.csv": content}))
    found = [f for f in findings.kept if f.code == code]
    assert [(f.level, (f.row, f.line)) for f in found[:1]] == [(level, place)]
    others = {other for other in codes(findings, Level.ERROR, Level.WARNING) if other != code}
    assert others <= {"UNQUOTED", "KEY_DUPLICATE"}


FAULTS = {
    "RAGGED": lambda row: row[:-1],
    "KEY_EMPTY": lambda row: ["", *row[1:]],
    "BAD_DATE": lambda row: [*row[:2], "1998-02-30", row[3]],
    "REFERENCE_UNKNOWN": lambda row: [*row[:3], "NOBODY"],
    "REFERENCE_EMPTY": lambda row: [*row[:3], ""],
    "DAMAGED_TEXT": lambda row: [row[0], "caf\ufffd", *row[2:]],
    "OVER_LONG": lambda row: [row[0], "x" * 10_001, *row[2:]],
}


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.integers(0, 59), st.sampled_from(sorted(FAULTS)), max_size=20))
def test_what_was_planted_is_what_is_found(planted):
    rows = [[f"A-{n}", 'Jo, "X"\nY', "1998-03-17", "C-1"] for n in range(60)]
    rows = [FAULTS[planted[n]](row) if n in planted else row for n, row in enumerate(rows)]
    with TemporaryDirectory() as name:
        path = Path(name) / "rows.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(["alternateId", "line1", "startDate", "parentAlternateId"])
            writer.writerows(rows)
        findings = check_files(batch_of(Path(name), {"Company.csv": HEAD + GOOD, "Addresses.csv": path.read_bytes()}))
    found = {f.row - 1: str(f.code) for f in findings.kept}
    assert found == planted
    assert codes(findings) == dict(Counter(planted.values()))
    assert findings.records == {"Company": 1, "Addresses": 60}


class TestReferences:
    ADDRESS = b'"alternateId","parentAlternateId"\n"A-1","C-1"\n"A-2","C-404"\n'

    def test_outside_the_batch_are_warnings_unless_the_manifest_knows_better(self, tmp_path):
        files = {"Company.csv": HEAD + GOOD, "Addresses.csv": self.ADDRESS}
        assert codes(check_files(batch_of(tmp_path, files)), Level.WARNING) == {"REFERENCE_UNKNOWN": 1}
        assert codes(check_files(batch_of(tmp_path, files, ", references: batch_only")), Level.ERROR) == {"REFERENCE_UNKNOWN": 1}

    def test_resolve_to_records_of_earlier_migrations(self, tmp_path):
        earlier = tmp_path / "records.csv"
        earlier.write_text('Table_Name,External ID,fenxId\nCompany,C-404,"x"\n')
        batch = batch_of(tmp_path, {"Company.csv": HEAD + GOOD, "Addresses.csv": self.ADDRESS}, ", references: batch_only")
        assert codes(check_files(batch, [earlier])) == {}

    def test_to_rows_that_are_no_records_of_their_own_do_not_count(self, tmp_path):
        rows = b'"alternateId","parentAlternateId"\n"A-1","C-1"\n"A-2","A-1"\n'
        assert codes(check_files(batch_of(tmp_path, {"Company.csv": HEAD + GOOD, "Addresses.csv": rows}))) == {
            "REFERENCE_UNKNOWN": 1
        }

    def test_that_an_ingestion_would_bring_are_notes(self, tmp_path):
        files = {"Company.csv": HEAD + GOOD, "Addresses.csv": self.ADDRESS}
        files["alternate_ids.csv"] = b'"tableName","alternateId","fenxId"\n"Company","C-404","x"\n'
        findings = check_files(batch_of(tmp_path, files, ", alternate_ids: alternate_ids.csv"))
        assert codes(findings) == {"REFERENCE_BY_INGESTION": 1}
        assert findings.kept[0].level is Level.NOTE

    def test_of_both_ends_of_an_association_are_checked(self, tmp_path):
        rows = b'"alternateId","sourceAlternateId","targetAlternateId"\n"R-1","C-1","X"\n"R-2","Y","C-1"\n'
        findings = check_files(batch_of(tmp_path, {"Company.csv": HEAD + GOOD, "Associations.csv": rows}))
        assert {(f.row, f.column) for f in findings.kept} == {(1, "targetAlternateId"), (2, "sourceAlternateId")}


def test_the_same_id_may_stand_in_two_tables(tmp_path):
    assert codes(check_files(batch_of(tmp_path, {"Company.csv": HEAD + GOOD, "Individual.csv": HEAD + GOOD}))) == {}


def test_two_files_for_one_table_are_refused(tmp_path):
    files = {"one.csv": HEAD + GOOD, "two.csv": HEAD + GOOD.replace(b"C-1", b"C-2")}
    findings = check_files(batch_of(tmp_path, files, tables={"one.csv": "Company", "two.csv": "company"}))
    assert codes(findings) == {"TWO_FILES": 2}
    assert findings.stop("report")


def test_no_files_are_nothing_to_migrate(tmp_path):
    folder = tmp_path / "fenergo" / "b"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text("vendor: fenergo\ndue: 2026-01-01\nfenergo: {jurisdiction: M}\n")
    assert codes(check_files(read_batch(tmp_path, "fenergo", "b", FenergoSection))) == {"NO_FILES": 1}


def test_report_lets_the_vendor_decide_but_never_about_what_could_not_be_accounted_for(tmp_path):
    bad_reference = {"Addresses.csv": b'"alternateId","parentAlternateId"\n"A-1",""\n'}
    findings = check_files(batch_of(tmp_path, bad_reference, ", checks: report"))
    assert (findings.stop("strict"), findings.stop("report")) == (True, False)
    findings = check_files(batch_of(tmp_path, {"Addresses.csv": HEAD + GOOD + GOOD}))
    assert findings.stop("report")


def test_other_date_formats_are_a_setting(tmp_path):
    content = HEAD + GOOD.replace(b"1998-03-17", b"17.03.1998")
    assert codes(check_files(batch_of(tmp_path, {"Company.csv": content}, ", date_format: '%d.%m.%Y'"))) == {}
    with pytest.raises(BadInput, match="date_format"):
        batch_of(tmp_path, {"Company.csv": content}, ", date_format: dd.mm.yyyy")


@pytest.mark.parametrize("text", ["1998-03-17", "1998-03-17T00:00:00.0000000", "2024-02-29T23:59Z", "2024-02-29T23:59:59+01:00"])
def test_iso_dates(text):
    assert is_iso_date(text)


@pytest.mark.parametrize(
    "text", ["17.03.98", "1998-02-30", "19980317", "1998-W12-2", "1998-03-17 00:00", "1998-03-17T25:00", "１９98-03-17"]
)
def test_no_iso_dates(text):
    assert not is_iso_date(text)


@pytest.mark.parametrize("name", ["dateOfBirth", "startDate", "valid_from_date", "Date", "DATE_OF_BIRTH", "expiryDateUTC"])
def test_columns_named_like_a_date(name):
    assert named_like_a_date(name)


@pytest.mark.parametrize("name", ["lastUpdate", "mandate", "candidateName", "update"])
def test_columns_not_named_like_a_date(name):
    assert not named_like_a_date(name)


def test_no_value_is_in_messages_summaries_or_representations(tmp_path):
    secret = b"SECRET"
    content = HEAD + b'"SECRET","SECRET|\xef\xbf\xbd","SECRET"\n' * 2 + b'"SECRET\xe9","SECRET"\n' + b'"SECRET"SECRET\n'
    findings = check_files(batch_of(tmp_path, {"Company.csv": content, "Individual.csv": secret}))
    assert len(codes(findings)) >= 5
    assert "SECRET" not in repr(findings) + findings.headline() + json.dumps(findings.summary())
    assert all("SECRET" not in f.message for f in findings.kept)


def test_the_findings_file_shows_the_values_and_runs_no_formula(tmp_path):
    content = HEAD + b'"C-1","x","=1+1"\n"C-1","x","1998-03-17"\n'
    path = check_files(batch_of(tmp_path, {"Company.csv": content})).write(tmp_path / "findings.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["level"], row["code"], row["row"], row["value"]) for row in rows] == [
        ("error", "KEY_DUPLICATE", "2", "C-1"),
        ("warning", "BAD_DATE", "1", "'=1+1"),
    ]


def test_a_flood_is_counted_whole_and_kept_in_part(tmp_path):
    rows = b"".join(b'"C-%d","x","never"\n' % n for n in range(3_000)) + b'"C-1","x",""\n'
    findings = check_files(batch_of(tmp_path, {"Company.csv": HEAD + rows}))
    assert codes(findings) == {"BAD_DATE": 3_000, "KEY_DUPLICATE": 1}
    lines = findings.write(tmp_path / "findings.csv").read_text().splitlines()
    assert len(lines) == 1 + 1 + 1_000 + 1
    assert lines[1].startswith('"error","KEY_DUPLICATE"')
    assert "2,000 more findings" in lines[-1]


def test_three_hundred_thousand_rows_take_seconds_and_little_memory(tmp_path):
    """In a process of its own, for its peak memory. Far below a minute here; the limit leaves room for a busy machine."""
    folder = tmp_path / "fenergo" / "b"
    folder.mkdir(parents=True)
    with (folder / "company.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["alternateId", "legalEntityName", "country", "dateOfIncorporation", "parentAlternateId"])
        writer.writerows([f"C-{n % 299_999}", 'Łódź, "Blue" Ltd', "PL", "1998-03-17", f"X-{n}"] for n in range(300_000))
    (folder / "manifest.yaml").write_text(
        "vendor: fenergo\ndue: 2026-01-01\nfenergo: {jurisdiction: M}\nfiles: [{path: company.csv, table: C}]\n"
    )
    program = (
        "import json, resource, sys; from pathlib import Path; from ferry.core.batch import read_batch\n"
        "from ferry.vendors.fenergo.checks import check_files; from ferry.vendors.fenergo.manifest import FenergoSection\n"
        "found = check_files(read_batch(Path(sys.argv[1]), 'fenergo', 'b', FenergoSection))\n"
        "seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime\n"
        # Not ru_maxrss: it begins with the figure of the process that this one was forked from.
        "peak = Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]\n"
        "print(json.dumps([found.headline(), found.records, int(peak) // 1024, seconds]))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    headline, records, mib, seconds = json.loads(done.stdout)
    assert headline.startswith("1 error and 300,000 warnings")
    assert records == {"C": 300_000}
    assert mib < 400
    assert seconds < 30
