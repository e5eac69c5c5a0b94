"""Files that come back from Fenergo, and the one that must never overwrite: read by name, kept raw, shown safely."""

from __future__ import annotations

import csv
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferry.core.csvfile import neutralise, restore
from ferry.core.errors import BadInput, VendorNonsense
from ferry.vendors.fenergo.findings import Code, Findings, Level
from ferry.vendors.fenergo.records import MigratedRecord, layout_of, read_records, reported
from ferry.vendors.fenergo.references import check_references, count_error_lines, error_lines
from ferry.vendors.fenergo.triage import human_copy, remedied_by, report_markdown, triage
from ferry.vendors.fenergo.workbook import read_workbook

ERROR_HEAD = [
    "tableName",
    "alternateId",
    "parentAlternateId",
    "rowNumber",
    "fieldName",
    "fieldValue",
    "errorCode",
    "errorMessage",
]
UUID = "3f1d6a52-0c1e-4f0c-b7b7-6a2f4b9c77{:02}"


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def errors(path: Path, *rows: tuple[str, str, str, str, str]) -> Path:
    """An error file of rows table, key, field, value, code."""
    return write(path, ERROR_HEAD, ([t, k, "", "1", f, v, c, "Some words"] for t, k, f, v, c in rows))


class TestRecords:
    @pytest.mark.parametrize(
        "text",
        [
            'tableName,alternateId,fenxId\nCompany,"C,1",F-1\n',
            '\ufeff"Table Name","External ID","Entity Id","more"\r\n"Company","C,1","F-1","x"\r\n',
            '"fenx_id","TABLE_NAME","ALTERNATE_ID"\n"F-1","Company","C,1"\n',
            '"id","alternateId","fenergoId","table"\n"7","C,1","F-1","Company"\n',
        ],
    )
    def test_columns_are_found_by_name_in_every_spelling(self, tmp_path, text):
        path = tmp_path / "records.csv"
        path.write_bytes(text.encode())
        assert list(read_records(path)) == [MigratedRecord("Company", "C,1", "F-1")]

    def test_a_file_without_alternate_ids_is_kept_and_not_guessed_at(self, tmp_path):
        path = tmp_path / "records.csv"
        path.write_text("tableName,key\nCompany,SECRET\n")
        with pytest.raises(VendorNonsense, match=r"records\.csv has no column .* kept as it came") as error:
            layout_of(path)
        assert "SECRET" not in str(error.value)

    def test_a_file_without_tables_or_fenx_ids_still_has_keys(self, tmp_path):
        path = tmp_path / "records.csv"
        path.write_text("alternateId\nC-1\n")
        assert reported(path).table_column is None
        assert list(read_records(path)) == [MigratedRecord("", "C-1", "")]


class TestTriage:
    def test_counts_by_table_field_and_code_with_examples(self, tmp_path):
        rows = [("Company", f"C-{n}", "dateOfIncorporation", "17.03.98", "INVALID_DATE") for n in range(5)]
        rows += [
            ("Company", "C-0", "dateOfIncorporation", "x", "INVALID_DATE"),
            ("Individual", "P-1", "title", "Mister", "INVALID_LOOKUP"),
        ]
        found = triage(errors(tmp_path / "e.csv", *rows), tmp_path / "rejected.csv")
        assert (found.errors, found.rejected, found.without_key, found.only_unresolved) == (7, 6, 0, False)
        first, second = found.groups
        assert (first.table, first.field, first.code) == ("Company", "dateOfIncorporation", "INVALID_DATE")
        assert (first.errors, first.records, first.examples) == (6, 5, ("C-0", "C-1", "C-2"))
        assert (second.errors, second.examples) == (1, ("P-1",))
        with (tmp_path / "rejected.csv").open() as file:
            assert {tuple(row) for row in csv.reader(file)} == {("table", "key"), ("Individual", "P-1")} | {
                ("Company", f"C-{n}") for n in range(5)
            }

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["Company", "Person"]),
                st.sampled_from(["", "a", "b,", 'c"', "d\n"]),
                st.sampled_from(["f", "g"]),
                st.just("v"),
                st.sampled_from(["UNRESOLVED_REFERENCE", "INVALID_DATE"]),
            ),
            max_size=30,
        )
    )
    def test_agrees_with_counting_by_hand(self, rows):
        with TemporaryDirectory() as name:
            found = triage(errors(Path(name) / "e.csv", *rows))
        keyed = {(t, k): set() for t, k, *_ in rows if k}
        for t, k, _, _, code in rows:
            if k:
                keyed[t, k].add(code)
        assert {(g.table, g.field, g.code): g.errors for g in found.groups} == Counter((t, f, c) for t, _, f, _, c in rows)
        assert found.rejected == len(keyed)
        assert found.without_key == sum(1 for row in rows if not row[1])
        loose = {pair for pair, kinds in keyed.items() if kinds == {"UNRESOLVED_REFERENCE"}}
        assert (set(found.unresolved), found.unresolved_count) == (loose, len(loose))

    def test_thirty_five_thousand_errors_are_read_in_chunks(self, tmp_path):
        path = errors(tmp_path / "e.csv", *(("Company", f"C-{n}", "x", "v", f"CODE_{n % 7}") for n in range(35_001)))
        found = triage(path)
        assert (found.errors, found.rejected, len(found.groups)) == (35_001, 35_001, 7)
        assert sum(g.records for g in found.groups) == 35_001

    def test_reads_other_headers_ragged_rows_and_odd_bytes(self, tmp_path):
        path = tmp_path / "e.csv"
        path.write_bytes(
            b"\xef\xbb\xbfEntity Type,external_id,Field Name,Error Code\nCompany,C-1,name\nCompany,C-\xe9,name,BAD,more\n"
        )
        found = triage(path)
        assert [(g.code, g.examples) for g in found.groups] == [("", ("C-1",)), ("BAD", ("C-\ufffd",))]

    def test_an_unknown_layout_or_an_endless_value_is_nonsense_that_is_kept(self, tmp_path):
        path = tmp_path / "e.csv"
        path.write_text("what,where\n1,2\n")
        with pytest.raises(VendorNonsense, match="kept as it came"):
            triage(path)
        path.write_text('alternateId,errorCode\nC-1,"' + "x" * 600_000)
        with pytest.raises(VendorNonsense, match="line 2"):
            triage(path)

    def test_an_empty_error_file_says_nothing(self, tmp_path):
        found = triage(errors(tmp_path / "e.csv"))
        assert (found.errors, found.groups, found.only_unresolved) == (0, (), False)

    def test_values_stay_out_of_report_json_and_representation(self, tmp_path):
        found = triage(errors(tmp_path / "e.csv", ("Company", "C-1", "name", "SECRET", "UNRESOLVED_REFERENCE")))
        assert "SECRET" not in repr(found) + json.dumps(found.to_json()) + report_markdown(found, "b-1")

    def test_the_report_says_what_to_do_and_survives_odd_text(self, tmp_path):
        rows = [("Com|pany", "C`1", "date\nOf", "x", "INVALID_DATE"), ("Company", "C-2", "x", "C-9", "UNRESOLVED_REFERENCE")]
        text = report_markdown(
            triage(errors(tmp_path / "e.csv", *rows, ("", "", "h", "", "UNKNOWN_COLUMN"))), "clients-1", "5d0c"
        )
        assert "batch clients-1" in text
        assert "`5d0c`" in text
        assert "Com\\|pany | date Of | INVALID_DATE | 1 | 1 | `C'1`" in text
        assert "ISO 8601" in text
        assert "1 errors name no record" in text
        assert all(line.replace("\\|", "").count("|") == 8 for line in text.splitlines() if line.startswith("| "))


class TestRemedy:
    def ids(self, folder: Path, *ids: str) -> Path:
        return write(folder / "ids.csv", ["tableName", "alternateId", "fenxId"], (["Company", i, UUID.format(1)] for i in ids))

    def found(self, folder: Path, *rows: tuple[str, str, str, str, str]):
        return triage(errors(folder / "e.csv", *rows))

    def test_is_tried_if_the_file_names_every_id_that_was_missed(self, tmp_path):
        rows = [("Assoc", f"R-{n}", "source", f"M-{n % 2}", "UNRESOLVED_REFERENCE") for n in range(9)]
        assert remedied_by(self.found(tmp_path, *rows), self.ids(tmp_path, "M-1", "M-0", "M-7"))
        assert not remedied_by(self.found(tmp_path, *rows), self.ids(tmp_path, "M-1"))

    def test_is_not_tried_if_anything_else_is_wrong(self, tmp_path):
        rows = [("Assoc", "R-1", "source", "M-1", "UNRESOLVED_REFERENCE"), ("Assoc", "R-1", "share", "x", "INVALID_NUMBER")]
        assert not remedied_by(self.found(tmp_path, *rows), self.ids(tmp_path, "M-1"))

    def test_is_not_tried_if_an_error_names_no_record(self, tmp_path):
        rows = [("Assoc", "R-1", "source", "M-1", "UNRESOLVED_REFERENCE"), ("Assoc", "", "x", "", "UNKNOWN_COLUMN")]
        assert not remedied_by(self.found(tmp_path, *rows), self.ids(tmp_path, "M-1"))

    def test_knows_other_codes_if_the_manifest_does(self, tmp_path):
        path = errors(tmp_path / "e.csv", ("Assoc", "R-1", "source", "M-1", "REF_404"))
        assert remedied_by(triage(path, unresolved_codes=("ref_404",)), self.ids(tmp_path, "M-1"))


class TestCopyForPeople:
    @given(st.text(st.characters(codec="utf-8"), max_size=12))
    def test_no_cell_runs_and_none_is_lost(self, cell):
        shown = neutralise(cell)
        assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert restore(shown) == cell

    @pytest.mark.parametrize("cell", ["=1+1", "+49", "-1", "@x", "\tx", "\rx", "'=x", "''-x"])
    def test_cells_that_would_run_get_an_apostrophe(self, cell):
        assert neutralise(cell) == "'" + cell

    @pytest.mark.parametrize("cell", ["", "x", "'tis", "1-1", " =x"])
    def test_other_cells_stay(self, cell):
        assert neutralise(cell) == cell

    def test_a_file_keeps_every_cell(self, tmp_path):
        rows = [["=cmd()", "a\nb", 'q"q'], ["-1", "", "Łódź"]]
        source = write(tmp_path / "raw.csv", ["@a", "b", "c"], rows)
        copy = human_copy(source, tmp_path / "copy.csv")
        assert copy.read_bytes().startswith(b'\xef\xbb\xbf"\'@a"')
        with copy.open(encoding="utf-8-sig", newline="") as file:
            assert [[restore(cell) for cell in row] for row in csv.reader(file)] == [["@a", "b", "c"], *rows]


class TestReferenceGuard:
    def check(
        self, folder: Path, *rows: Sequence[str], known: Iterable[Path] = (), header: Sequence[str] | None = None
    ) -> Findings:
        path = write(folder / "ids.csv", header or ["tableName", "alternateId", "fenxId"], rows)
        return check_references(path, known)

    def test_a_good_file_passes(self, tmp_path):
        rows = [["Company", "C-1", UUID.format(1)], ["Entity Group", "G-1", UUID.format(2)]]
        found = self.check(tmp_path, *rows)
        assert found.summary() == []
        assert found.records == {"ids.csv": 2}

    @pytest.mark.parametrize(
        ("row", "code"),
        [
            (["company", "C-2", UUID.format(2)], Code.BAD_TABLE_NAME),
            (["EntityGroup", "C-2", UUID.format(2)], Code.BAD_TABLE_NAME),
            (["Addresses", "C-2", UUID.format(2)], Code.BAD_TABLE_NAME),
            (["Company", "", UUID.format(2)], Code.BLANK),
            (["Company", "C-2", ""], Code.BLANK),
            (["Company", "C-2 ", UUID.format(2)], Code.BLANK),
            (["Company", "C-1", UUID.format(2)], Code.ID_DUPLICATE),
            (["Individual", "C-1", UUID.format(2)], Code.ID_DUPLICATE),
            (["Company", "C-2", UUID.format(1)], Code.ID_DUPLICATE),
            (["Company", "C-2"], Code.RAGGED),
        ],
    )
    def test_each_danger_is_refused(self, tmp_path, row, code):
        found = self.check(tmp_path, ["Company", "C-1", UUID.format(1)], row)
        assert {f.code for f in found.kept if f.level is Level.ERROR} == {code}
        assert {f.row for f in found.kept} == {2}

    def test_a_fenx_id_that_is_no_uuid_is_a_warning(self, tmp_path):
        found = self.check(tmp_path, ["Company", "C-1", "17"])
        assert [(f.level, f.code) for f in found.kept] == [(Level.WARNING, Code.NOT_A_UUID)]

    @pytest.mark.parametrize("header", [["tableName", "alternateId"], ["tablename", "alternateId", "fenxId"], ["a", "b", "c"]])
    def test_the_header_must_be_exact(self, tmp_path, header):
        assert [f.code for f in self.check(tmp_path, ["Company", "C-1", "x"], header=header).kept] == [Code.BAD_HEADER]

    def test_nothing_to_assign_is_an_error(self, tmp_path):
        assert self.check(tmp_path).count(Level.ERROR) == 1
        (tmp_path / "empty.csv").touch()
        assert check_references(tmp_path / "empty.csv").count(Level.ERROR) == 1

    def test_ids_known_from_earlier_runs_are_refused_on_either_side(self, tmp_path):
        migrated = write(tmp_path / "records.csv", ["Table", "External Id", "Entity Id"], [["Company", "C-1", UUID.format(9)]])
        ingested = write(tmp_path / "earlier.csv", ["tableName", "alternateId", "fenxId"], [["Company", "C-9", UUID.format(2)]])
        rows = [["Company", f"C-{n}", UUID.format(n)] for n in (1, 2, 3)]
        found = self.check(tmp_path, *rows, known=[migrated, ingested])
        assert {(f.row, f.column, f.code) for f in found.kept} == {
            (1, "alternateId", Code.ID_KNOWN),
            (2, "fenxId", Code.ID_KNOWN),
        }

    def test_an_alternate_id_is_not_confused_with_a_fenx_id(self, tmp_path):
        known = write(tmp_path / "records.csv", ["alternateId", "fenxId"], [[UUID.format(1), "C-1"]])
        assert self.check(tmp_path, ["Company", "C-1", UUID.format(1)], known=[known]).summary() == []

    def test_an_earlier_file_that_cannot_be_read_stops_the_ingestion(self, tmp_path):
        known = tmp_path / "records.csv"
        known.write_bytes(b'"alternateId","fenxId"\n"C-1","x","y"\n')
        with pytest.raises(BadInput, match=r"records\.csv"):
            self.check(tmp_path, ["Company", "C-1", UUID.format(1)], known=[known])


def test_ingestion_errors_are_passed_through_line_by_line(tmp_path):
    path = tmp_path / "errors.jsonl"
    path.write_bytes(
        b'{"rowNumber": 2, "tableName": "Company", "error": "Record not found"}\n\n[1]\nno json \xe9\n{"tableName": "SECRET"}'
    )
    found = list(error_lines(path))
    assert [(line.number, line.data is not None) for line in found] == [(1, True), (3, False), (4, False), (5, True)]
    assert found[1].text == "[1]"
    assert count_error_lines(path) == {"Company": 1, "other": 3}


class TestWorkbook:
    def book(self, path: Path, sheet: str, **parts: str) -> Path:
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        files = {
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>'
            '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": "<Relationships>"
            '<Relationship Id="r1" Target="/xl/worksheets/one.xml"/></Relationships>',
            "xl/worksheets/one.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
            "xl/sharedStrings.xml": f'<sst xmlns="{main}"><si><t>shared</t></si>'
            "<si><r><t>rich </t></r><r><t>text</t></r></si></sst>",
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in (files | parts).items():
                archive.writestr(name, text)
        return path

    def test_shared_inline_and_plain_cells_are_read_and_gaps_are_kept(self, tmp_path):
        sheet = (
            '<row><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c><c r="D1" t="inlineStr"><is><t>in</t></is></c></row>'
            '<row><c><v>7</v></c><c r="AB2"><v>8</v></c></row>'
        )
        assert read_workbook(self.book(tmp_path / "b.xlsx", sheet)) == {
            "S": [["shared", "", "rich text", "in"], ["7", *[""] * 26, "8"]]
        }

    def test_what_is_no_workbook_is_nonsense(self, tmp_path):
        (tmp_path / "b.xlsx").write_bytes(b"PK no")
        with pytest.raises(VendorNonsense, match="not a workbook"):
            read_workbook(tmp_path / "b.xlsx")

    @pytest.mark.parametrize("part", ["xl/worksheets/one.xml", "xl/sharedStrings.xml"])
    def test_a_bomb_is_refused_before_it_goes_off(self, tmp_path, part):
        entities = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
        with pytest.raises(VendorNonsense):
            read_workbook(self.book(tmp_path / "b.xlsx", "", **{part: entities}))
        with pytest.raises(VendorNonsense):
            read_workbook(self.book(tmp_path / "b.xlsx", "", **{part: "<x>" + " " * 9_000_000 + "</x>"}))
