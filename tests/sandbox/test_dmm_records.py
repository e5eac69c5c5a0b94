"""What executions do to the records of the made-up environments, and connections."""

import csv
import io
import json

import pytest
from tests.sandbox.dmm_client import KEPT, RUNTIME, Environment, unzipped, zipped

pytest_plugins = ["tests.sandbox.dmm_client"]

ODD = """Id,Name,Note,Price,Done,At
7,"N'Blue, ""big"" Van'","N'O''Mara
Grün'",9.90,True,
8,NULL,N'',-3,,2031-02-03
"""
READ = [
    {"Id": 1, "Name": 'Blue, "big" Van', "Note": "O'Mara\nGrün", "Price": 9.9, "Done": True, "At": None},
    {"Id": 2, "Name": None, "Note": "", "Price": -3, "Done": None, "At": "2031-02-03"},
]


def ids(dmm, entity, name="target"):
    return [one["Id"] for one in dmm.records(entity, name)]


def content_of(environment, *entities, **told):
    """The zip of an export, as bytes."""
    key = environment.exported(*entities, **told)
    return unzipped(environment.outputs(key, IncludeFiles="true")["ZipFile"])


def table(archive, entity):
    with archive.open(f"{entity}_Data.csv") as file:
        return list(csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline="")))


# The first day


def test_the_environments_begin_with_made_up_records(dmm):
    state = dmm.state()
    held = {name: {entity: len(rows) for entity, rows in state[name]["records"].items()} for name in ("source", "target")}
    assert held == {"source": {"ossys_User": 6, "Customer": 120, "Product": 80}, "target": {"ossys_User": 3}}


def test_made_up_names_hold_commas_quotes_and_umlauts(dmm):
    names = "".join(one["Name"] for one in dmm.records("Customer", "source"))
    assert all(letter in names for letter in ",\"'üßŁ")
    customer, product = dmm.records("Customer", "source")[0], dmm.records("Product", "source")[0]
    assert (list(customer), list(product)) == (["Id", "Code", "Name", "CreatedOn"], ["Id", "Code", "Name", "Price"])


# Imports


def test_cells_are_read_as_the_vendor_writes_them(dmm):
    dmm.target.started(zipped(Thing=ODD))
    assert dmm.records("Thing") == READ


@pytest.mark.parametrize(
    "change", [lambda text: "\ufeff" + text, lambda text: text + "\n", lambda text: text.replace("n\nG", "n G")]
)
def test_a_byte_order_mark_and_empty_lines_do_no_harm(dmm, change):
    dmm.target.started(zipped(Thing=change(ODD)))
    assert len(dmm.records("Thing")) == 2


def test_appended_records_get_new_ids_and_doing_it_again_duplicates_them(dmm):
    for _ in range(2):
        dmm.target.started(zipped(Invoice=3))
    assert ids(dmm, "Invoice") == [1, 2, 3, 4, 5, 6]
    (told,) = dmm.state()["inputs"]
    assert told["starts"] == 2


def test_a_file_without_ids_can_be_appended(dmm):
    dmm.target.started(zipped(Thing="Name\nN'x'\n"))
    assert dmm.records("Thing") == [{"Id": 1, "Name": "x"}]


def test_without_appending_the_ids_stay(dmm):
    dmm.target.started(zipped(Thing=ODD), KEPT)
    assert ids(dmm, "Thing") == [7, 8]
    dmm.target.started(zipped(Thing=ODD))
    assert ids(dmm, "Thing") == [7, 8, 9, 10]


def test_an_id_that_is_taken_is_an_error_of_its_chunk(dmm):
    dmm.switch(chunk_records=2)
    dmm.target.started(zipped(Thing="Id,Name\n3,N'first'\n"), KEPT)
    key = dmm.target.started(zipped(Thing="Id,Name\n1,N'a'\n2,N'b'\n3,N'c'\n4,N'd'\n5,N'e'\n"), KEPT)
    assert dmm.target.word(key) == "Complete"
    assert [(one["FinalReportEntity"], one["Count"]) for one in dmm.target.errors(key)] == [("Thing", "1")]
    assert sorted(ids(dmm, "Thing")) == [1, 2, 3, 5]


@pytest.mark.parametrize("text", ["Name\nN'x'\n", "Id,Name\n,N'x'\n", "Id,Name\nN'7',N'x'\n", f"Id\n{'1' * 5000}\n"])
def test_a_record_without_an_id_cannot_keep_it(dmm, text):
    key = dmm.target.started(zipped(Thing=text), KEPT)
    (error,) = dmm.target.errors(key)
    assert error["FinalReportError"] == "Cannot insert the value NULL into column 'Id'."
    assert dmm.records("Thing") == []


def test_columns_go_by_name(dmm):
    dmm.target.started(zipped(Thing="Id,A,B\n1,1,2\n"))
    dmm.target.started(zipped(Thing="B,C,A\n20,30,10\n"))
    assert dmm.records("Thing") == [{"Id": 1, "A": 1, "B": 2}, {"Id": 2, "A": 10, "B": 20, "C": 30}]


# Exports


def test_an_export_holds_what_the_environment_holds(dmm):
    archive = content_of(dmm.source)
    header, *rows = table(archive, "Customer")
    assert (header, len(rows)) == (["Id", "Code", "Name", "CreatedOn"], 120)
    assert rows[0] == ["1", "N'C-0001'", "N'Grün Kettle, Iron 1'", "2031-02-03T11:05:06"]
    assert (len(table(archive, "Product")), len(table(archive, "ossys_User"))) == (81, 7)
    assert json.loads(archive.read("Customer_Struct.dmm")) == {"Entity": "Customer", "Columns": header}


def test_entities_are_named_by_texts_or_objects(dmm):
    for entities in (["Product"], [{"EntityName": "Product"}], [{"OSEntityName": "Product", "ESpaceName": "Shop"}]):
        names = {name.partition("_Data")[0] for name in content_of(dmm.source, *entities).namelist() if "_Data" in name}
        assert names == {"Product", "ossys_User"}


def test_an_export_of_the_structure_holds_no_records(dmm):
    archive = content_of(dmm.source, OnlyExportStructure=True)
    assert [len(table(archive, entity)) for entity in ("Customer", "Product", "ossys_User")] == [1, 1, 1]


def test_an_export_counts_its_records(paced):
    key = paced.source.exported("Product")
    paced.advance(2)
    assert paced.source.counters(key) == (56, 86, 2, 3)
    paced.advance(1)
    assert (paced.source.word(key), paced.source.counters(key)) == ("Complete", (86, 86, 3, 3))


def test_an_export_skips_what_fails(dmm):
    dmm.switch(entity_errors="Customer:2")
    assert len(table(content_of(dmm.source, "Customer"), "Customer")) == 21


def test_what_was_exported_can_be_imported(dmm):
    key = dmm.source.exported()
    encoded = dmm.source.outputs(key, IncludeFiles="true")["ZipFile"]
    imported = dmm.target.started(ZipFile=encoded)
    assert (dmm.target.word(imported), dmm.target.counters(imported)[:2]) == ("Complete", (206, 206))
    for entity in ("Customer", "Product"):
        assert dmm.records(entity) == dmm.records(entity, "source")
    assert len(dmm.records("ossys_User")) == 9


def test_what_was_imported_is_exported_as_it_was_written(dmm):
    dmm.target.started(zipped(Thing=ODD), KEPT)
    assert table(content_of(dmm.target, "Thing"), "Thing") == list(csv.reader(io.StringIO(ODD, newline="")))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"DBConnection": "nowhere"}, "DBConnection: there is no connection 'nowhere'."),
        ({"ExportingEntities": ["Nothing"]}, "There is no entity 'Nothing'."),
        ({"ExportingEntities": [{"ESpaceId": 1}]}, "ExportingEntities holds an entity without a name."),
        ({"ExportingEntities": "Product"}, "ExportingEntities is not a list."),
    ],
)
def test_an_export_that_makes_no_sense_ends_in_error(dmm, told, words):
    key = dmm.source.exported(**told) if "ExportingEntities" not in told else _exported_as(dmm.source, told)
    assert (dmm.source.word(key), dmm.source.message(key)["MessageText"]) == ("InError", words)


def _exported_as(environment, told):
    return environment.started(None, {"DBConnection": "Runtime Connection"} | told, "Export")


# The other types

FROM_SOURCE = RUNTIME | {"SourceDBConnection": "Runtime Connection"}


def test_a_migration_copies_tables_of_the_source_to_the_target(dmm):
    key = dmm.target.started(None, FROM_SOURCE | {"EntitiesToMigrate": ["Product"]}, "Migration")
    assert (dmm.target.word(key), dmm.target.counters(key)) == ("Complete", (80, 80, 2, 2))
    assert dmm.records("Product") == dmm.records("Product", "source")


def test_a_migration_of_everything_leaves_users_alone_unless_told(dmm):
    key = dmm.target.started(None, FROM_SOURCE, "Migration")
    assert (dmm.target.counters(key)[0], len(dmm.records("ossys_User"))) == (200, 3)
    key = dmm.target.started(None, FROM_SOURCE | {"SynchronizeUsers": True}, "Migration")
    assert (dmm.target.counters(key)[0], len(dmm.records("ossys_User"))) == (206, 9)


@pytest.mark.parametrize(
    ("clause", "left"),
    [(None, 0), ("", 0), ("Id > 100", 100), ("[Id] <= 100", 20), ("Id = 7", 119), ("Id <> 7", 1), ("id>=120", 119)],
)
def test_a_deletion_removes_records(dmm, clause, left):
    told = {
        "DestinationDBConnection": "Runtime Connection",
        "EntitiesToDelete": [{"OSEntityName": "Customer", "WhereClause": clause}],
    }
    key = dmm.source.started(None, told, "Delete")
    assert (dmm.source.word(key), dmm.source.counters(key)[0]) == ("Complete", 120 - left)
    assert len(dmm.records("Customer", "source")) == left


def test_a_deletion_by_a_clause_it_does_not_understand_removes_nothing(dmm):
    entities = [{"OSEntityName": "Customer", "WhereClause": "1 = 1; DROP TABLE Customer"}]
    key = dmm.source.started(None, {"DestinationDBConnection": "Runtime Connection", "EntitiesToDelete": entities}, "Delete")
    assert (dmm.source.word(key), len(dmm.records("Customer", "source"))) == ("InError", 120)


def test_ids_are_not_given_twice(dmm):
    dmm.target.started(zipped(Invoice=3))
    dmm.target.started(None, {"DestinationDBConnection": "Runtime Connection", "EntitiesToDelete": ["Invoice"]}, "Delete")
    dmm.target.started(zipped(Invoice=1))
    assert ids(dmm, "Invoice") == [4]


def test_a_scrambling_counts_and_changes_nothing(dmm):
    before = dmm.records("Customer", "source")
    told = {"DBConnection": "Runtime Connection", "ScramblingEntities": [{"EntityName": "Customer", "FieldsDecision": []}]}
    key = dmm.source.started(None, told, "Scramble")
    assert (dmm.source.word(key), dmm.source.counters(key)) == ("Complete", (120, 120, 3, 3))
    assert dmm.records("Customer", "source") == before


# Connections

SECRETS = {"Password": "made-up-secret", "Token": "made-up-token"}


def test_a_connection_can_be_used_by_its_name(dmm):
    told = dmm.target.connect("eu", Server="db.example.test", Port=1433).json()
    assert told == {"Success": True, "ErrorMessage": "", "ConnectionName": "eu"}
    key = dmm.target.started(zipped(Invoice=1), {"DestinationDBConnection": "eu", "DataAppendMode": False})
    assert dmm.target.word(key) == "Complete"


def test_a_connection_is_kept_without_its_secrets(dmm):
    dmm.target.connect("eu", Server="db.example.test", **SECRETS)
    state = dmm.state()
    (kept,) = (one for one in state["target"]["connections"] if one["Name"] == "eu")
    assert kept == {"Name": "eu", "Usage": "Destination", "ConnectionType": "SQLServer", "Server": "db.example.test"}
    assert not any(secret in json.dumps(state) for secret in SECRETS.values())


def test_a_connection_is_known_in_its_own_environment_only(dmm):
    dmm.source.connect("eu")
    key = dmm.target.started(zipped(Invoice=1), {"DestinationDBConnection": "eu", "DataAppendMode": True})
    assert dmm.target.word(key) == "InError"


@pytest.mark.parametrize(
    ("name", "usage", "kind", "words"),
    [
        ("Runtime Connection", "Destination", "Oracle", "There is a connection 'Runtime Connection' already."),
        ("reporting-db", "Source", "Oracle", "There is a connection 'reporting-db' already."),
        ("x", "Destination", "MySQL", "MySQL can only be a source."),
        ("x", "Both", "Oracle", "Usage is one of Source, Destination."),
        ("x", "Source", "Access", "ConnectionType is one of SQLServer, Oracle, MySQL, DMMREST."),
    ],
)
def test_a_connection_that_makes_no_sense_is_refused(target, name, usage, kind, words):
    answer = target.connect(name, usage, kind)
    assert (answer.status_code, answer.json()) == (200, {"Success": False, "ErrorMessage": words})


def test_mysql_is_good_as_a_source(target):
    assert target.connect("x", "Source", "MySQL").json()["Success"]


@pytest.mark.parametrize("told", [{}, {"Name": ""}, {"Name": 5, "Usage": "Source", "ConnectionType": "Oracle"}])
def test_a_connection_without_a_name_is_a_400(target, told):
    assert target.call("POST", "CreateConnection", json=told).status_code == 400


def test_a_connection_that_does_not_work_is_saved_all_the_same(dmm):
    dmm.switch(connectivity="failed_saved")
    told = dmm.target.connect("eu", **SECRETS).json()
    assert (told["Success"], told["ConnectionName"]) == (True, "eu")
    assert told["ErrorMessage"].startswith("The connection was saved, but the connectivity test failed")
    assert not any(secret in told["ErrorMessage"] for secret in SECRETS.values())
    assert not dmm.target.connect("eu").json()["Success"]


def test_a_careless_vendor_repeats_secrets(dmm):
    dmm.switch(connectivity="failed_saved", echo_secrets=True)
    for told in (dmm.target.connect("eu", **SECRETS).json(), dmm.target.connect("eu", **SECRETS).json()):
        assert all(secret in told["ErrorMessage"] for secret in SECRETS.values())


def test_the_same_name_in_the_other_environment_is_another_connection(dmm):
    assert all(isinstance(one, Environment) and one.connect("eu").json()["Success"] for one in (dmm.source, dmm.target))
