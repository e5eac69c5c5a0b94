"""The mapping of a Domo batch is held against its own rules: everything wrong with it is found at once, and said where."""

import csv
import json

import pytest
import yaml

from ferry.core.batch import MANIFEST, read_batch
from ferry.core.csvfile import NOT_DECODED
from ferry.core.findings import Level
from ferry.vendors.domo.manifest import DomoSection
from ferry.vendors.domo.mapping import Code, Findings, Item, MappingCheck

A, B, C = (f"7b0c1d52-8a34-4f0e-9d1b-2f6e5c4a991{n}" for n in range(3))
COLUMNS = ("id", "catalog", "schema", "table")
HEAD = "id,catalog,schema,table\n"
GOOD = f"{A},sales_db,NULL,Orders\n"
ITEM = Item(A, "sales_db", "NULL", "Orders")
BY_CHECK_OF_THE_INSTANCE = {
    Code.NO_TYPE,
    Code.NO_ACCOUNT,
    Code.ACCOUNT_AMBIGUOUS,
    Code.WRONG_ACCOUNT_TYPE,
    Code.NOT_A_CANDIDATE,
    Code.WRONG_TYPE,
    Code.ALREADY_MIGRATED,
    Code.OTHER_COORDINATES,
}


@pytest.fixture
def check(tmp_path):
    """The findings of a batch on disk, and its datasources, read as Ferry reads them."""

    def checked(datasources, files=None, top=None):
        folder = tmp_path / "domo" / "b"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
        section = {"type": "mysql-federated", "account_id": "41", "datasources": datasources}
        told = {"vendor": "domo", "domo": section} | (top or {})
        (folder / MANIFEST).write_text("due: 2026-01-01\n" + yaml.safe_dump(told, sort_keys=False))
        findings = Findings()
        return findings, MappingCheck(read_batch(tmp_path, "domo", "b", DomoSection), findings).run()

    return checked


@pytest.fixture
def check_file(check):
    """The same for a mapping in a CSV file."""
    return lambda content: check("m.csv", {"m.csv": content})


def entry(key=A, catalog="sales_db", schema="NULL", table="Orders"):
    return {"id": key, "catalog": catalog, "schema": schema, "table": table}


def found(findings):
    return [(f.level, f.code, f.row, f.line, f.column) for f in findings.kept]


def only(findings):
    (one,) = findings.kept
    return one


# Good ones


def test_a_good_file_becomes_datasources_in_its_order(check_file):
    findings, items = check_file(HEAD + f"F{B},FINANCE,Reporting,Budget Plan\n" + GOOD + f"{C},crm,NULL,Umsätze\n")
    assert found(findings) == []
    assert items == [Item(f"F{B}", "FINANCE", "Reporting", "Budget Plan"), ITEM, Item(C, "crm", "NULL", "Umsätze")]
    assert findings.records == {"datasource": 3}


def test_a_list_in_the_manifest_means_the_same(check):
    findings, items = check([entry(), entry(f"F{B}", "FINANCE", "Reporting", "BudgetPlan")])
    assert found(findings) == []
    assert items == [ITEM, Item(f"F{B}", "FINANCE", "Reporting", "BudgetPlan")]


def test_what_is_sent_for_a_datasource_are_its_three_coordinates():
    assert ITEM.coordinates == {"catalog": "sales_db", "schema": "NULL", "table": "Orders"}


FORMS = {
    "a byte-order mark": "\ufeff" + HEAD + GOOD,
    "CRLF": (HEAD + GOOD).replace("\n", "\r\n"),
    "both": "\ufeff" + (HEAD + GOOD).replace("\n", "\r\n"),
    "no line's end at the end": (HEAD + GOOD).rstrip(),
    "quotes": f'"id","catalog","schema","table"\n"{A}","sales_db","NULL","Orders"\n',
    "another order of columns": f"table,id,schema,catalog\nOrders,{A},NULL,sales_db\n",
    "blank lines": f"{HEAD}\n\n{GOOD}\n",
    "spaces in the header": f"id, catalog , schema,table\n{GOOD}",
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_a_file_may_come_from_a_spreadsheet(check_file, content):
    findings, items = check_file(content)
    assert (found(findings), items) == ([], [ITEM])


def test_ten_thousand_rows_are_read(check_file):
    rows = "".join(f"{A[:-5]}{number:05},sales_db,NULL,T{number}\n" for number in range(10_000))
    findings, items = check_file(HEAD + rows)
    assert (found(findings), len(items)) == ([], 10_000)
    assert (items[-1].id[-5:], items[-1].table) == ("09999", "T9999")


def test_a_fault_in_the_last_of_ten_thousand_rows_is_found_with_its_line(check_file):
    rows = "".join(f"{A[:-5]}{number:05},sales_db,NULL,T{number}\n" for number in range(9_999))
    findings, _ = check_file(f"{HEAD}{rows}{A[:-5]}00000,sales_db,NULL,T\n")
    assert found(findings) == [("error", "DUPLICATE", 10_000, 10_001, "id")]
    assert only(findings).message == "The datasource stands here a second time; the first is line 2."


NAMES = {
    "a space inside": "Budget Plan",
    "an umlaut": "Umsätze",
    "another script": "売上",
    "a quote": 'the "new" one',
    "a comma": "a, b",
    "a dot and a slash": "dbo.x/y",
    "what looks like NULL": "NULLABLE",
    "what a spreadsheet would run": "=A1",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_are_taken_exactly_as_they_stand(check, name):
    findings, (item,) = check([entry(catalog=name, schema=name, table=name)])
    assert found(findings) == []
    assert item.coordinates == {"catalog": name, "schema": name, "table": name}


def test_a_name_may_be_longer_than_an_id_and_has_an_end_all_the_same(check):
    findings, _ = check([entry(catalog="c" * 255, schema="s" * 1_024, table="t" * 1_025)])
    assert found(findings) == [("error", "NO_NAME", 1, 0, "table")]


@pytest.mark.parametrize("key", ["f7b0c1d5-0000-0000-0000-000000000000", f"F{A}", A.upper(), "12", "a/b", "ä?%"])
def test_an_id_is_opaque(check, key):
    findings, (item,) = check([entry(key)])
    assert (found(findings), item.id) == ([], key)


# Cells

CELLS = {
    "no catalog": ((A, "", "NULL", "Orders"), Code.COORDINATE_MISSING, "catalog", "catalog is missing."),
    "no table": ((A, "sales_db", "NULL", ""), Code.COORDINATE_MISSING, "table", "table is missing."),
    "a table of spaces": ((A, "sales_db", "NULL", "  "), Code.COORDINATE_MISSING, "table", "table is missing."),
    "no schema": (
        (A, "sales_db", "", "Orders"),
        Code.COORDINATE_MISSING,
        "schema",
        "schema is missing. Where the database has no",
    ),
    "a schema of spaces": ((A, "sales_db", " ", "Orders"), Code.COORDINATE_MISSING, "schema", "write the text NULL"),
    "null": (
        (A, "sales_db", "null", "Orders"),
        Code.NULL_SPELLING,
        "schema",
        "schema is not written NULL. Where the database has",
    ),
    "Null": ((A, "sales_db", "Null", "Orders"), Code.NULL_SPELLING, "schema", "Domo wants those four letters."),
    "NULL and a space": ((A, "sales_db", "NULL ", "Orders"), Code.NULL_SPELLING, "schema", "write the text NULL"),
    "a space before": ((A, " sales_db", "NULL", "Orders"), Code.SPACES, "catalog", "catalog begins or ends with a space"),
    "a space after": ((A, "sales_db", "NULL", "Orders "), Code.SPACES, "table", "names are taken exactly as they stand."),
    "a hard space after": ((A, "sales_db", "PUBLIC\u00a0", "Orders"), Code.SPACES, "schema", "begins or ends with a space"),
    "a tab inside": (
        (A, "sales_db", "NULL", "Or\tders"),
        Code.NO_NAME,
        "table",
        "table is longer than 1,024 characters, or holds",
    ),
    "a line's end inside": ((A, "sales_db", "NULL", "Or\nders"), Code.NO_NAME, "table", "holds some that no name has"),
    "no end": ((A, "c" * 100_000, "NULL", "Orders"), Code.NO_NAME, "catalog", "catalog is longer than"),
}


@pytest.mark.parametrize(("cells", "code", "column", "part"), CELLS.values(), ids=CELLS)
def test_a_wrong_cell_is_found_with_file_row_line_and_column(check_file, cells, code, column, part):
    """The first datasource's table is two lines long, and a blank line stands before the second."""
    row = ",".join(f'"{cell}"' for cell in cells)
    findings, _ = check_file(f'{HEAD}{B},crm,NULL,"Budget\nPlan"\n\n{row}\n{C},crm,NULL,leads\n')
    wrong = [f for f in findings.kept if f.row == 2]
    assert [(f.level, f.code, f.file, f.table, f.line, f.column) for f in wrong] == [
        ("error", code, "m.csv", "datasource", 5, column)
    ]
    assert wrong[0].message.startswith(f"Datasource {A}: ")
    assert part in wrong[0].message


@pytest.mark.parametrize(("cells", "code", "column", "part"), CELLS.values(), ids=CELLS)
def test_a_wrong_entry_of_the_manifest_is_found_by_its_number(check, cells, code, column, part):
    findings, _ = check([entry(B), entry(*cells), entry(C)])
    assert found(findings) == [("error", code, 2, 0, column)]
    assert (only(findings).file, only(findings).table) == (MANIFEST, "datasource")
    assert part in only(findings).message


@pytest.mark.parametrize("column", COLUMNS[1:])
def test_what_an_entry_of_the_manifest_lacks_is_missing(check, column):
    lacking = entry()
    del lacking[column]
    assert found(check([lacking])[0]) == [("error", "COORDINATE_MISSING", 1, 0, column)]


def test_the_word_null_is_explained_for_the_schema_only(check):
    findings, _ = check([entry(catalog="", schema="", table="")])
    assert [(f.column, "NULL" in f.message.removeprefix(f"Datasource {A}: ")) for f in findings.kept] == [
        ("catalog", False),
        ("schema", True),
        ("table", False),
    ]


@pytest.mark.parametrize("column", [1, 2, 3])
def test_a_name_that_is_not_utf8_says_so_and_how_to_save_the_file(check_file, column):
    cells = [A, "sales_db", "NULL", "Orders"]
    cells[column] = "Ums\udce4tze"
    findings, _ = check_file(f"{HEAD}{','.join(cells)}\n")
    name = COLUMNS[column]
    assert found(findings) == [("error", "NOT_UTF8", 1, 2, name)]
    assert only(findings).message == f"Datasource {A}: {name} holds bytes that are not UTF-8. Save the file as UTF-8."


# Ids

IDS = {
    "none": ("", "The row has no datasource id."),
    "a space": (" ", "This is no id of a datasource"),
    "a space before it": (f" {A}", "This is no id of a datasource: a UUID, perhaps with a leading F, without spaces"),
    "a space after it": (f"{A} ", "This is no id of a datasource"),
    "a tab": (f"{A}\t", "This is no id of a datasource"),
    "a hard space": (f"{A}\u00a0", "This is no id of a datasource"),
    "our own mark": (f"{A}~2", "This is no id of a datasource"),
    "too long": ("7" * 201, "This is no id of a datasource"),
}


@pytest.mark.parametrize(("key", "message"), IDS.values(), ids=IDS)
def test_an_id_that_is_none_is_found_where_it_stands(check_file, key, message):
    findings, items = check_file(f"{HEAD}{GOOD}{key},crm,NULL,leads\n")
    assert found(findings) == [("error", "BAD_ID", 2, 3, "id")]
    assert only(findings).message.startswith(message)
    assert items == [ITEM]


def test_an_id_that_is_not_utf8_is_none(check_file):
    findings, _ = check_file(f"{HEAD}{GOOD}".encode() + b"caf\xe9,crm,NULL,leads\n")
    assert found(findings) == [("error", "BAD_ID", 2, 3, "id")]


@pytest.mark.parametrize("key", ["caf\udce9", "SECRET 3", "a\nb", "7" * 100_000], ids=["not UTF-8", "words", "lines", "no end"])
def test_an_id_that_is_none_is_not_in_the_message_about_another_cell(check_file, key):
    findings, _ = check_file(f'{HEAD}"{key}",crm,null,leads\n')
    (schema,) = [f for f in findings.kept if f.column == "schema"]
    is_quoted = key in schema.message
    assert not is_quoted


def test_a_datasource_that_stands_twice_names_the_first_place(check_file):
    findings, items = check_file(f'{HEAD}{B},crm,NULL,"le\nads"\n\n{GOOD}{A},crm,NULL,leads\n{A},sales_db,NULL,Orders\n')
    twice = [f for f in findings.kept if f.code == "DUPLICATE"]
    assert [(f.level, f.row, f.line, f.column) for f in twice] == [("error", 3, 6, "id"), ("error", 4, 7, "id")]
    assert {f.message for f in twice} == {"The datasource stands here a second time; the first is line 5."}
    assert items[-1] == ITEM


def test_a_datasource_that_stands_twice_in_the_manifest_names_the_first_by_number(check):
    findings, _ = check([entry(B), entry(), entry(table="Other")])
    assert found(findings) == [("error", "DUPLICATE", 3, 0, "id")]
    assert only(findings).message == "The datasource stands here a second time; the first is number 2."


def test_ids_that_differ_in_their_f_or_case_are_two_datasources(check_file):
    findings, items = check_file(HEAD + "".join(f"{key},crm,NULL,t\n" for key in (A, f"F{A}", A.upper())))
    assert (found(findings), len(items)) == ([], 3)


# Rows and files


@pytest.mark.parametrize(("row", "has"), [(f"{B},crm,leads\n", 3), (f"{B},crm,NULL,leads,more\n", 5), (f"{B}\n", 1)])
def test_a_row_with_too_few_or_too_many_cells_is_found_and_left_out(check_file, row, has):
    findings, items = check_file(f"{HEAD}{GOOD}\n{row}{C},crm,NULL,notes\n")
    assert [(f.level, f.code, f.file, f.row, f.line) for f in findings.kept] == [("error", "RAGGED_ROW", "m.csv", 2, 4)]
    assert only(findings).message == f"The row has {has} cells, the header 4."
    assert [item.id for item in items] == [A, C]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(check_file, column):
    header = [name for name in COLUMNS if name != column]
    findings, items = check_file(f"{','.join(header)}\na,b,c\n")
    assert found(findings) == [("error", "COLUMN_MISSING", 0, 1, column)]
    assert only(findings).message == f"The column '{column}' is missing; the header must be id,catalog,schema,table."
    assert items == []


WRONG_HEADERS = {
    "nothing": "",
    "no header": GOOD,
    "capitals": "ID,CATALOG,SCHEMA,TABLE\n",
    "semicolons": HEAD.replace(",", ";") + GOOD.replace(",", ";"),
    "UTF-16": (HEAD + GOOD).encode("utf-16"),
}


@pytest.mark.parametrize("content", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_a_wrong_header_names_every_column_that_it_lacks(check_file, content):
    findings, items = check_file(content)
    missing = [f.column for f in findings.kept if f.code == "COLUMN_MISSING"]
    assert (missing, items) == ([*COLUMNS], [])


def test_a_column_that_nobody_uses_is_warned_of_and_does_no_harm(check_file):
    findings, items = check_file(f"id,name,catalog,schema,table,owner\n{A},Orders live,sales_db,NULL,Orders,me\n")
    assert found(findings) == [("warning", "COLUMN_UNKNOWN", 0, 1, "column 2"), ("warning", "COLUMN_UNKNOWN", 0, 1, "column 6")]
    assert findings.kept[0].message == "Column 2 is not used; the header is id,catalog,schema,table."
    assert findings.kept[0].value == "name", "in the findings file only: where the header is missing, it is a cell"
    assert items == [ITEM]


@pytest.mark.parametrize("column", ["id", "table"])
def test_a_column_that_stands_twice_is_a_fault(check_file, column):
    findings, items = check_file(f"id,catalog,schema,table, {column}\n{A},sales_db,NULL,Orders,other\n")
    assert found(findings) == [("error", "COLUMN_TWICE", 0, 1, column)]
    assert only(findings).message == f"The column '{column}' stands there more than once, and nobody can say which is meant."
    assert items == []


def test_a_column_that_nobody_uses_may_stand_twice(check_file):
    findings, items = check_file(f"id,note,catalog,schema,table,note\n{A},x,sales_db,NULL,Orders,y\n")
    assert {f.code for f in findings.kept} == {"COLUMN_UNKNOWN"}
    assert items == [ITEM]


def test_a_column_whose_name_is_not_utf8_can_be_told(check_file):
    findings, _ = check_file((HEAD.rstrip() + ",Gr\udcf6\udcdfe\n") + GOOD.rstrip() + ",5\n")
    told = findings.headline() + json.dumps(findings.summary(), ensure_ascii=False)
    is_writable = not NOT_DECODED.search(told)
    assert is_writable


@pytest.mark.parametrize(
    "row", [f'{B},"crm"x,NULL,leads\n', f'{B},crm,NULL,"leads\n', f'{B},crm,NULL,"leads\n{C},crm,NULL,notes\n']
)
def test_a_broken_quote_is_found_with_the_line_on_which_its_row_begins(check_file, row):
    findings, items = check_file(f"{HEAD}{GOOD}{row}")
    assert [(f.level, f.code, f.file, f.line) for f in findings.kept] == [("error", "NOT_CSV", "m.csv", 3)]
    assert only(findings).message.startswith("The file cannot be read further: ")
    assert items == [ITEM]


@pytest.mark.parametrize("header", ['"id"x,catalog,schema,table\n', '"id,catalog,schema,table\n'])
def test_a_broken_quote_in_the_header_is_found_too(check_file, header):
    findings, items = check_file(header + GOOD)
    assert [(f.level, f.code, f.file, f.line) for f in findings.kept] == [("error", "NOT_CSV", "m.csv", 1)]
    assert items == []


@pytest.mark.parametrize("content", [HEAD, f"{HEAD}\n\n", HEAD.rstrip()])
def test_a_file_without_datasources_is_a_fault(check_file, content):
    findings, _ = check_file(content)
    assert (only(findings).level, only(findings).code, only(findings).file) == ("error", "NO_DATASOURCES", "m.csv")


def test_a_file_of_nothing_but_wrong_rows_is_told_by_its_rows(check_file):
    findings, _ = check_file(f"{HEAD},crm,NULL,leads\n")
    assert found(findings) == [("error", "BAD_ID", 1, 2, "id")]


def test_files_are_not_used_here(check):
    findings, _ = check([entry()], {"o.csv": GOOD}, top={"files": [{"path": "o.csv", "table": "Orders"}]})
    assert (only(findings).level, only(findings).code, only(findings).file) == ("error", "FILES_UNUSED", MANIFEST)
    assert "name the mapping as `domo.datasources`" in only(findings).message


# All of them


def test_every_fault_is_named_at_once(check_file):
    rows = [
        f"{A},,null,Orders ",
        f"{A},crm,NULL,leads",
        f"{B},crm,NULL",
        ",crm,NULL,notes",
        f"{C},crm,,{'t' * 2000}\x07",
    ]
    findings, items = check_file("id,catalog,schema,table\n" + "\n".join(rows) + "\n")
    assert [(f.code, f.row, f.column) for f in findings.kept if f.code != "RAGGED_ROW"] == [
        ("COORDINATE_MISSING", 1, "catalog"),
        ("NULL_SPELLING", 1, "schema"),
        ("SPACES", 1, "table"),
        ("DUPLICATE", 2, "id"),
        ("BAD_ID", 4, "id"),
        ("COORDINATE_MISSING", 5, "schema"),
        ("NO_NAME", 5, "table"),
    ]
    assert [f.row for f in findings.kept if f.code == "RAGGED_ROW"] == [3]
    assert findings.count(Level.ERROR) == 8
    assert [item.id for item in items] == [A, C]


@pytest.mark.parametrize("key", ["", f"{B} x", A])
def test_a_row_without_a_usable_id_is_looked_at_to_its_end(check_file, key):
    """Or a person corrects the id, triggers again, and is told of the next cell of the same row."""
    findings, _ = check_file(f"{HEAD}{GOOD}{key},crm,null,leads\n")
    assert {f.column for f in findings.kept if f.row == 2} == {"id", "schema"}


def test_every_code_of_the_mapping_can_come_up(check, check_file):
    seen = set()
    for content in (
        f'{HEAD}{GOOD}{B},crm,NULL,"x',
        f"id,catalog,catalog,schema,name\n{GOOD}",
        f"{HEAD}{A},,null,Orders \n{A},a,b,c\n{B}\n,a,b,c\n{C},a,\udce4,c\td\n",
        HEAD,
    ):
        seen |= {f.code for f in check_file(content)[0].kept}
    seen |= {f.code for f in check([entry()], {"o.csv": GOOD}, top={"files": [{"path": "o.csv", "table": "t"}]})[0].kept}
    assert seen == set(Code) - BY_CHECK_OF_THE_INSTANCE


def test_no_cell_is_in_a_message_and_the_findings_file_has_it(check_file, tmp_path):
    findings, _ = check_file(f"{HEAD}{A}, SECRET-1,null,SECRET-2\t\nSECRET 3,a,b,c\n")
    assert len(findings.kept) == 4
    assert "SECRET" not in json.dumps([f.message for f in findings.kept] + findings.summary()) + repr(findings)
    with findings.write(tmp_path / "findings.csv").open(newline="") as file:
        assert {row["value"].strip() for row in csv.DictReader(file)} == {"SECRET-1", "null", "SECRET-2", "SECRET 3"}


def test_what_is_wrong_with_thousands_of_rows_is_counted_exactly(check_file):
    rows = "".join(f"{A[:-5]}{number:05},sales_db,,T{number}\n" for number in range(3_000))
    findings, items = check_file(HEAD + rows)
    assert (findings.count(Level.ERROR), len(items)) == (3_000, 3_000)
    assert findings.headline().startswith("3,000 errors and 0 warnings (COORDINATE_MISSING x 3,000 in m.csv, column schema)")
