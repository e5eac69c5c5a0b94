"""The zip of an import is looked through before a password is asked for: everything wrong is found, and every record counted."""

import io
import zipfile

import pytest

from ferry.core.findings import Findings, Level
from ferry.vendors.dmm.datazip import is_system, look_into

HEAD = "Id,Name,CreatedOn\n"
ROW = "1,N'Blue Van',2031-02-03T04:05:06\n"


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def pair(entity="Customer", data=HEAD + ROW):
    return {f"{entity}_Struct.dmm": "<made up/>", f"{entity}_Data.csv": data}


@pytest.fixture
def look(tmp_path):
    """What is found in a zip, and what it holds."""

    def looked(files, **how):
        path, findings = tmp_path / "z.zip", Findings()
        path.write_bytes(files if isinstance(files, bytes) else zipped(files))
        found = look_into(path, findings, name="lists/data.zip", **how)
        assert list(tmp_path.iterdir()) == [path]
        return found, findings

    return looked


@pytest.fixture
def faults(look):
    """The findings alone: level, code, entity and line."""
    return lambda files, **how: [(one.level, one.code, one.table, one.line) for one in look(files, **how)[1].kept]


def error(code, table="", line=0):
    return (Level.ERROR, code, table, line)


def warning(code, table=""):
    return (Level.WARNING, code, table, 0)


# Good ones


def test_a_good_zip_has_no_findings_and_its_records_are_counted(look):
    found, findings = look(pair() | pair("Product", HEAD + ROW * 3))
    assert findings.kept == []
    assert found.records == findings.records == {"Customer": 1, "Product": 3}


def test_the_zip_of_the_documentation_is_a_good_one(look):
    """A zip made by hand has descriptions of its entities, and none of the system's tables."""
    found, findings = look(pair() | {"ossys_User_Data.csv": "Id,Name\n1,N'a'\n2,N'b'\n"})
    assert findings.count(Level.ERROR) == 0
    assert found.records == {"Customer": 1, "ossys_User": 2}


def test_records_of_system_tables_are_counted_apart(look):
    found, _ = look(pair() | pair("ossys_User", HEAD + ROW * 4) | pair("OSSYS_Email", HEAD + ROW * 2))
    assert (found.count(system=True), found.count(system=False)) == (7, 1)


@pytest.mark.parametrize(
    ("name", "is_it"), [("ossys_User", True), ("OSSYS_USER", True), ("ossysUser", False), ("My_ossys_User", False), ("", False)]
)
def test_a_system_table_is_known_by_how_its_name_begins(name, is_it):
    assert is_system(name) is is_it


COUNTED = {
    "line feeds": (HEAD + ROW * 2, 2),
    "carriage returns": ((HEAD + ROW * 2).replace("\n", "\r\n"), 2),
    "no end of the last line": ((HEAD + ROW * 2)[:-1], 2),
    "empty lines": (HEAD + "\n" + ROW + "\n\n" + ROW + "\n", 2),
    "a line break in quotes": (HEAD + "1,\"N'Blue\nVan\r\n\r\nof Ann'\",2031-02-03T04:05:06\n" + ROW, 2),
    "commas and quotes": (HEAD + '1,"N\'Blue, ""Van""\'",2031-02-03T04:05:06\n', 1),
    "apostrophes": (HEAD + "1,N'O''Neill',2031-02-03T04:05:06\n", 1),
    "accents": (HEAD + "1,N'Größe Ł 東京',2031-02-03T04:05:06\n", 1),
    "empty values": (HEAD + ",,\n", 1),
    "a mark of the byte order": ("\ufeff" + HEAD + ROW, 1),
    "one column": ("Id\n1\n2\n3\n", 3),
    "nothing after a record's quote": (HEAD + '1,"N\'a\'",""', 1),
}


@pytest.mark.parametrize(("data", "number"), COUNTED.values(), ids=COUNTED)
def test_records_are_counted_and_not_lines(look, data, number):
    found, findings = look(pair(data=data))
    assert findings.kept == []
    assert found.records == {"Customer": number}


def test_twenty_thousand_records_are_counted(look):
    assert look(pair(data=HEAD + ROW * 20_000))[0].records == {"Customer": 20_000}


def test_an_entity_without_records_is_no_fault_beside_another(look):
    found, findings = look(pair() | pair("Product", HEAD))
    assert findings.kept == []
    assert found.records == {"Customer": 1, "Product": 0}


# Pairs and places

LAYOUT = {
    "no description": ({"Customer_Data.csv": HEAD + ROW}, [error("NO_STRUCT", "Customer")]),
    "a description of another": (
        pair() | {"Product_Data.csv": HEAD + ROW, "Products_Struct.dmm": "x"},
        [warning("NO_RECORDS"), error("NO_STRUCT", "Product")],
    ),
    "a description in another case": (
        {"customer_Struct.dmm": "x", "Customer_Data.csv": HEAD + ROW},
        [warning("NO_RECORDS"), error("NO_STRUCT", "Customer")],
    ),
    "no records": (pair() | {"Product_Struct.dmm": "x"}, [warning("NO_RECORDS")]),
    "a system table without description": (pair() | {"ossys_User_Data.csv": HEAD}, [warning("NO_STRUCT", "ossys_User")]),
    "only descriptions": ({"Customer_Struct.dmm": "x"}, [warning("NO_RECORDS"), error("NO_DATA")]),
    "nothing": ({}, [error("NO_DATA")]),
    "something else": ({"readme.txt": "x"}, [warning("UNKNOWN_FILE"), error("NO_DATA")]),
    "something beside it": (pair() | {"readme.txt": "x"}, [warning("UNKNOWN_FILE")]),
    "records by another ending": (pair() | {"Product_data.CSV": "x"}, [warning("UNKNOWN_FILE")]),
    "in a folder": (
        {f"export/{name}": content for name, content in pair().items()},
        [error("FOLDER"), error("FOLDER")],
    ),
    "in a folder of Windows": (
        {f"export\\{name}": content for name, content in pair().items()},
        [error("FOLDER"), error("FOLDER")],
    ),
    "a folder itself": (pair() | {"export/": ""}, [error("FOLDER")]),
    "no record": (pair(data=HEAD), [error("EMPTY")]),
    "no record anywhere": (pair(data=HEAD) | pair("Product", HEAD), [error("EMPTY")]),
    "no header": (pair(data=""), [error("HEADER", "Customer")]),
    "an empty first line": (pair(data="\n" + HEAD + ROW), [error("HEADER", "Customer"), warning("WIDTH", "Customer")]),
}


@pytest.mark.parametrize(("files", "expected"), LAYOUT.values(), ids=LAYOUT)
def test_files_that_are_not_as_an_export_makes_them_are_found(faults, files, expected):
    assert faults(files) == expected


NO_ZIP = {
    "nothing": b"",
    "a page": b"<html>Sign in</html>",
    "cut off": zipped(pair())[:-30],
    "one that leads elsewhere": zipped({"../Customer_Data.csv": HEAD}),
    "one name twice": zipped(pair() | {"CUSTOMER_Data.csv": HEAD, "CUSTOMER_DATA.CSV": HEAD}),
}


@pytest.mark.parametrize("content", NO_ZIP.values(), ids=NO_ZIP)
def test_what_is_no_zip_to_be_opened_is_one_finding_and_holds_nothing(look, content):
    found, findings = look(content)
    assert [(one.level, one.code, one.file) for one in findings.kept] == [(Level.ERROR, "ZIP", "lists/data.zip")]
    assert findings.kept[0].message.startswith("lists/data.zip: ")
    assert found.records == {}


def test_one_broken_entity_does_not_hide_what_is_wrong_with_the_next(look):
    held = zipped(pair() | {"Product_Data.csv": HEAD + ROW})
    content = held.replace(b"Customer_Data.csv", b"Robberys_Data.csv", 1)
    found, findings = look(content)
    assert {(one.code, one.table) for one in findings.kept} == {("ZIP", "Customer"), ("NO_STRUCT", "Product")}
    assert found.records == {"Product": 1}


# What is in the files


@pytest.mark.parametrize("place", [1, 2, 5])
def test_bytes_that_are_no_utf_8_are_told_with_their_line_and_only_once_a_file(look, place):
    lines = [line.encode() for line in [HEAD, *[ROW] * 6]]
    for bad in {place - 1, 5}:
        lines[bad] = lines[bad].replace(b"Name", b"Gr\xf6\xdfe").replace(b"Van", b"Gr\xf6\xdfe")
    found, findings = look(pair(data=b"".join(lines)) | pair("Product"))
    (one,) = findings.kept
    assert (one.level, one.code, one.table, one.line) == error("UTF8", "Customer", place)
    assert one.message == f"lists/data.zip: Customer_Data.csv, line {place}: not UTF-8."
    assert found.records == {"Customer": 6, "Product": 1}


def test_a_file_in_utf_16_is_no_utf_8(faults):
    assert error("UTF8", "Customer", 1) in faults(pair(data=(HEAD + ROW).encode("utf-16")))


def test_records_of_another_width_are_counted_and_told_once(look):
    found, findings = look(pair(data=HEAD + ROW + "1,N'a'\n" + "1,N'a',2031-02-03T04:05:06,x\n"))
    (one,) = findings.kept
    assert (one.level, one.code, one.table) == (Level.WARNING, "WIDTH", "Customer")
    assert "2 records of Customer have more or fewer values than the header" in one.message
    assert found.records == {"Customer": 3}


def test_a_quote_that_is_never_closed_is_found_where_it_begins(faults):
    assert faults(pair(data=HEAD + ROW + "2,\"N'a\n" + ROW * 20_000)) == [error("CSV", "Customer", 3)]


def test_no_value_of_a_record_is_in_a_message(look):
    data = HEAD + "canary\n" + "2,N'canary',canary\n1,N'canary',canary\n" + '"canary' * 100_000
    _, findings = look(pair(data=data), sorted_by_id=True)
    assert len(findings.kept) >= 1
    assert "canary" not in str([one.message for one in findings.kept])


# Order

SORTED = {
    "in order": ("1\n2\n10\n", True),
    "one twice": ("1\n1\n2\n", True),
    "below nothing": ("-2\n-1\n0\n", True),
    "with gaps": ("1\n\n,\n2\n", True),
    "as texts": ("N'b'\nN'a'\n", True),
    "out of order": ("2\n1\n", False),
    "in the order of texts": ("1\n10\n2\n", False),
    "out of order behind a gap": ("2\nx\n1\n", False),
    "a number of 5,000 digits": ("1\n" + "9" * 5000 + "\n2\n", True),
    "two signs": ("1\n--5\n2\n", True),
}


@pytest.mark.parametrize(("ids", "good"), SORTED.values(), ids=SORTED)
def test_where_ids_are_kept_records_come_in_their_order(faults, ids, good):
    data = "Name,Id\n" + "".join(f"N'x',{one}\n" for one in ids.splitlines())
    found = [one for one in faults(pair(data=data), sorted_by_id=True) if one[1] != "WIDTH"]
    assert found == ([] if good else [error("ORDER", "Customer")])


def test_where_records_get_new_ids_their_order_does_not_matter(faults):
    assert faults(pair(data="Id\n2\n1\n")) == []


def test_the_order_is_seen_behind_a_mark_of_the_byte_order(faults):
    assert faults(pair(data="\ufeffId\n2\n1\n"), sorted_by_id=True) == [error("ORDER", "Customer")]


def test_an_entity_without_an_id_has_no_order(faults):
    assert faults(pair(data="Code\n2\n1\n"), sorted_by_id=True) == []
