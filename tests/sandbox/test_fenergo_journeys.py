"""Fenergo's sandbox from end to end: what a migration does, and what it leaves."""

import io
import zipfile

import pytest

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def by_key(records):
    return {record["alternateId"]: record for record in records}


def one_error(tenant, files, table, row):
    """The single error of a migration in which one table has one changed row."""
    header = files[table].split("\n", 1)[0]
    migration = tenant.run({**files, table: f"{header}\n{row}\n"})
    assert tenant.look(migration)["status"] == "Failed"
    (error,) = tenant.errors(migration)
    return error


def test_four_tables_go_through_and_every_record_gets_a_fenx_id(tenant, files):
    migration = tenant.run(files)
    seen = tenant.look(migration)
    assert seen["status"] == "Completed"
    assert seen["completedDate"]
    assert (seen["entityCount"], seen["migratedEntityCount"], seen["failedEntityCount"]) == (4, 4, 0)
    assert (seen["associationCount"], seen["migratedAssociationCount"]) == (1, 1)
    assert [file["fileName"] for file in seen["dataMigrationFilesDto"]] == [f"{name.lower()}.csv" for name in files]
    records = tenant.records(migration)
    assert [record["alternateId"] for record in records] == [
        "CRM-C-0001",
        "CRM-C-0002",
        "CRM-P-0101",
        "CRM-P-0102",
        "CRM-R-0001",
    ]
    held = tenant.state()["records"]
    assert by_key(held["Company"])["CRM-C-0001"]["legalEntityName"] == "Łódź Tramway Holdings S.A."
    assert by_key(held["Company"])["CRM-C-0002"]["fenxId"] == by_key(records)["CRM-C-0002"]["fenxId"]
    assert by_key(held["Addresses"])["CRM-A-9001"]["city"] == "Łódź"
    export = tenant.http.get("/_sandbox/fenergo/records.csv", params={"table": "Company"}).text
    assert export.count("CRM-C-") == 2


def test_products_come_only_with_a_product_jurisdiction(tenant, files):
    text = '"alternateId","ownerAlternateId","productType","status"\n"CRM-PR-01","CRM-C-0002","Current Account","Active"\n'
    migration = tenant.run({**files, "Products": text}, productJurisdiction="Global")
    assert tenant.look(migration)["migratedProductCount"] == 1
    body = {"data": {"fileName": "p.csv", "tableName": "Products"}}
    assert tenant.command("PUT", f"/migration/{tenant.create()}/add-file", json=body).status_code == 400


def test_artifacts_are_templates_and_a_real_workbook(tenant, files):
    migration = tenant.create(productJurisdiction="Global")
    listed = tenant.query(f"/migration/{migration}/get-artifacts").json()["data"]
    assert [item["name"] for item in listed if item["type"] == "Template"] == [
        "Company",
        "Individual",
        "Addresses",
        "Products",
        "Associations",
    ]
    for item in listed:
        answer = tenant.query(f"/migration/{migration}/get-artifact-content", params=item)
        if item["type"] == "Template" and item["name"] in files:
            assert answer.text == files[item["name"]].split("\n", 1)[0] + "\n"
        elif item["type"] == "SchemaReference":
            with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
                assert b"Columns Metadata" in book.read("xl/workbook.xml")
                assert b"countryOfIncorporation" in book.read("xl/worksheets/sheet1.xml")
    answer = tenant.query(f"/migration/{migration}/get-artifact-content", params={"type": "Template", "name": "Company"})
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")
    params = {"type": "Template", "name": "Nothing", "format": "csv"}
    assert tenant.query(f"/migration/{migration}/get-artifact-content", params=params).status_code == 404


@pytest.mark.parametrize(
    ("table", "row", "field", "code"),
    [
        ("Company", '"C1","A","PL","","17.03.98","",""', "dateOfIncorporation", "INVALID_DATE"),
        ("Company", '"C1","A","PL","","2023-02-30","",""', "dateOfIncorporation", "INVALID_DATE"),
        ("Company", '"C1","A","Poland","","","",""', "countryOfIncorporation", "INVALID_LOOKUP"),
        ("Company", '"C1","A","PL","","","Leasing|Chess",""', "businessLines", "INVALID_LOOKUP"),
        ("Company", '"C1","","PL","","","",""', "legalEntityName", "REQUIRED"),
        ("Company", '"C1",A,"PL","","","",""', "", "INVALID_QUOTING"),
        ("Company", '"C1",12,"PL","","","",""', "", "INVALID_QUOTING"),
        ("Company", '"C1","A","PL"', "", "REQUIRED"),
        ("Company", '"C1","A","PL","","","","","more"', "", "UNKNOWN_COLUMN"),
        ("Individual", '"P1","Mister","A","B","",""', "title", "INVALID_LOOKUP"),
        ("Addresses", '"A1","C404","Registered","x","","",""', "parentAlternateId", "UNRESOLVED_REFERENCE"),
        ("Addresses", '"A1","","Registered","x","","",""', "parentAlternateId", "REQUIRED"),
        ("Associations", '"R1","CRM-P-0101","C404","Shareholder",""', "targetAlternateId", "UNRESOLVED_REFERENCE"),
        ("Associations", '"R1","CRM-P-0101","CRM-C-0001","Friend",""', "associationType", "INVALID_LOOKUP"),
        ("Associations", '"R1","CRM-P-0101","CRM-C-0001","Shareholder","101"', "ownershipPercentage", "INVALID_NUMBER"),
        ("Associations", '"R1","CRM-P-0101","CRM-C-0001","Shareholder","half"', "ownershipPercentage", "INVALID_NUMBER"),
    ],
)
def test_one_bad_value_is_found_where_it_stands(tenant, files, *, table, row, field, code):
    others = {name: text for name, text in files.items() if name == table or table in ("Addresses", "Associations")}
    error = one_error(tenant, others, table, row)
    assert (error["tableName"], error["rowNumber"], error["fieldName"], error["errorCode"]) == (table, "1", field, code)
    assert error["errorMessage"]


def test_iso_dates_times_and_both_line_ends_are_taken(tenant):
    text = (
        '\ufeff"alternateId","legalEntityName","countryOfIncorporation","dateOfIncorporation"\r\n'
        '"C1","A","PL","1998-03-17T00:00:00.0000000"\r\n"C2","two\nlines","PL",""\r\n'
    )
    migration = tenant.run({"Company": text})
    assert tenant.look(migration)["migratedEntityCount"] == 2


def test_all_errors_of_all_tables_are_told_and_nothing_is_written(tenant, files):
    files["Company"] = files["Company"].replace("1998-03-17", "17.03.98").replace('"IE"', '"Ireland"')
    files["Individual"] = files["Individual"].replace('"Mr"', '"Mister"')
    migration = tenant.run(files)
    seen = tenant.look(migration)
    assert (seen["status"], seen["completedDate"], seen["entityCount"]) == ("Failed", None, 0)
    assert [(error["tableName"], error["alternateId"], error["errorCode"]) for error in tenant.errors(migration)] == [
        ("Company", "CRM-C-0001", "INVALID_DATE"),
        ("Company", "CRM-C-0002", "INVALID_LOOKUP"),
        ("Individual", "CRM-P-0102", "INVALID_LOOKUP"),
    ]
    assert tenant.state()["records"] == {}
    assert tenant.query(f"/migration/{migration}/get-migrated-records-file").status_code == 404
    assert tenant.command("PUT", f"/migration/{migration}/migration-records-file-signed-url").status_code == 400


def test_the_same_key_twice_in_a_file_is_an_error(tenant, files):
    files["Company"] += '"CRM-C-0001","Again","PL","","","",""\n'
    (error,) = tenant.errors(tenant.run(files))
    assert (error["rowNumber"], error["errorCode"]) == ("3", "DUPLICATE_ALTERNATE_ID")


def test_wrong_headers_are_errors_of_row_zero(tenant):
    text = '"alternateId","legalEntityName","nickname"\n"C1","A","B"\n'
    errors = tenant.errors(tenant.run({"Company": text}))
    assert [(error["rowNumber"], error["fieldName"], error["errorCode"]) for error in errors] == [
        ("0", "nickname", "UNKNOWN_COLUMN"),
        ("0", "countryOfIncorporation", "REQUIRED"),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('"alternateId","legalEntityName","countryOfIncorporation"\n"C1","Łódź","PL"\n'.encode("iso-8859-2"), "INVALID_ENCODING"),
        (b"alternateId,legalEntityName,countryOfIncorporation\nC1,A,PL\n", "INVALID_QUOTING"),
        (b"\xff\xfe\x00", "INVALID_ENCODING"),
    ],
)
def test_files_that_are_not_quoted_utf_8_are_refused(tenant, content, code):
    errors = tenant.errors(tenant.run({"Company": content}))
    assert code in {error["errorCode"] for error in errors}


def test_a_known_key_updates_its_record_and_keeps_its_fenx_id(tenant, files):
    first = by_key(tenant.records(tenant.run(files)))
    files["Company"] = files["Company"].replace("Tramway", "Railway")
    second = by_key(tenant.records(tenant.run(files)))
    assert first == second
    held = tenant.state(table="Company")["records"]["Company"]
    assert len(held) == 2
    assert by_key(held)["CRM-C-0001"]["legalEntityName"] == "Łódź Railway Holdings S.A."


def test_migrations_at_the_same_time_do_not_mix(tenant, files):
    migrations = [tenant.create() for _ in range(6)]
    for migration in migrations:
        tenant.upload(migration, files)
    for migration in migrations:
        assert tenant.start(migration).status_code == 202
    for migration in migrations:
        assert tenant.until(migration, "Completed", "Failed")["migratedEntityCount"] == 4
    assert len({str(tenant.records(migration)) for migration in migrations}) == 1
    assert len(tenant.state()["records"]["Company"]) == 2


def test_references_resolve_to_earlier_migrations(tenant, files):
    tenant.run({"Company": files["Company"]})
    migration = tenant.run({"Addresses": files["Addresses"]})
    assert tenant.look(migration)["status"] == "Completed"


def test_associations_can_be_started_alone(tenant, files):
    migration = tenant.create()
    tenant.upload(migration, files)
    assert tenant.command("PUT", f"/migration/{migration}/startAssociation").status_code == 202
    tenant.until(migration, "Failed")
    assert {error["fieldName"] for error in tenant.errors(migration)} == {"sourceAlternateId", "targetAlternateId"}
    tenant.run({name: files[name] for name in ("Company", "Individual")})
    assert tenant.command("PUT", f"/migration/{migration}/startAssociation").status_code == 202
    assert tenant.until(migration, "Completed")["migratedAssociationCount"] == 1


def test_a_failed_migration_can_be_corrected_and_started_again(tenant, files):
    good = files["Company"]
    files["Company"] = good.replace('"PL"', '"Poland"')
    migration = tenant.run(files)
    assert tenant.command("DELETE", f"/migration/{migration}/Company").status_code == 202
    assert tenant.command("DELETE", f"/migration/{migration}/Company").status_code == 400
    tenant.upload(migration, {"Company": good})
    assert tenant.start(migration).status_code == 202
    tenant.until(migration, "Completed")
    assert tenant.state()["migrations"][0]["starts"] == 2


def test_an_unknown_jurisdiction_fails_in_preparation_without_an_error_file(tenant):
    migration = tenant.create("Atlantis")
    seen = tenant.until(migration, "Failed")
    assert seen["errorMessage"]
    assert seen["tasks"] == [{"taskName": "build-schema", "taskStatus": "Failed"}]
    assert tenant.query(f"/migration/{migration}/get-error-file").status_code == 404
    assert tenant.query(f"/migration/{migration}/get-error-file-signed-url").status_code == 404
    assert tenant.start(migration).status_code == 400


def test_commands_out_of_turn_are_refused(tenant, files):
    tenant.switch(prepare_seconds=10.0, process_seconds=10.0)
    migration = tenant.create()
    assert tenant.start(migration).status_code == 400
    tenant.upload(migration, files)
    assert tenant.start(migration).status_code == 400
    assert tenant.look(migration)["tasks"] == [{"taskName": "build-schema", "taskStatus": "Running"}]
    tenant.advance(11)
    assert tenant.command("POST", f"/migration/{migration}/input-files-clean-up", json={"data": {}}).status_code == 400
    assert tenant.start(migration).status_code == 202
    assert tenant.start(migration).status_code == 400
    body = {"data": {"fileName": "company.csv", "tableName": "Company"}}
    assert tenant.command("PUT", f"/migration/{migration}/add-file", json=body).status_code == 400
    assert tenant.command("DELETE", f"/migration/{migration}/Company").status_code == 400
    assert tenant.command("PUT", f"/migration/{migration}/migration-records-file-signed-url").status_code == 412
    assert tenant.look(migration)["status"] == "Processing"
    tenant.advance(11)
    tenant.until(migration, "Completed")
    assert tenant.start(migration).status_code == 400


def test_a_prepared_migration_without_uploads_cannot_start(tenant):
    migration = tenant.create()
    tenant.link(migration, "Company")
    assert tenant.start(migration).status_code == 400


def test_a_table_takes_one_file_and_the_same_names_renew_the_link(tenant):
    migration = tenant.create()
    tenant.link(migration, "Company")
    assert tenant.link(migration, "Company")
    body = {"data": {"fileName": "other.csv", "tableName": "Company"}}
    assert tenant.command("PUT", f"/migration/{migration}/add-file", json=body).status_code == 400


def test_clean_up_removes_the_inputs_and_says_so(tenant, files):
    migration = tenant.run(files)
    answer = tenant.command("POST", f"/migration/{migration}/input-files-clean-up", json={"data": {"force": True}})
    assert answer.status_code == 202
    seen = tenant.look(migration)
    assert seen["inputFilesCleanedUp"] is True
    assert seen["dataMigrationFilesDto"] == []


def test_nothing_can_be_cancelled_or_listed(tenant):
    migration = tenant.create()
    assert tenant.command("DELETE", f"/migration/{migration}").status_code in (404, 405)
    assert tenant.query("/migration").status_code == 404


def test_access_needs_token_tenant_and_scope(tenant):
    url = f"/fenergo/datamigrationquery/api/migration/{UNKNOWN_ID}"
    good = tenant.headers
    answer = tenant.http.get(url, headers={"Authorization": good["Authorization"]})
    assert (answer.status_code, answer.json()) == (400, {"ErrorCode": "MissingTenantHeader"})
    answer = tenant.http.get(url, headers=good | {"Authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert tenant.http.get(url, headers=good | {"X-TENANT-ID": UNKNOWN_ID}).status_code == 403
    tenant.log_in(scope="fenx.datamigration.read")
    answer = tenant.command("POST", "/migration", json={"data": {"jurisdiction": "Migration"}})
    assert (answer.status_code, answer.json()["messages"][0]["type"]) == (403, "Forbidden")
    tenant.advance(901)
    assert tenant.query(f"/migration/{UNKNOWN_ID}").status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "fenx.datamigration.read " * 20}, "invalid_scope"),
    ],
)
def test_the_token_endpoint_refuses(tenant, form, error):
    data = {"grant_type": "client_credentials", "client_id": "ferry-demo", "client_secret": "ferry-demo-secret"}
    answer = tenant.http.post("/fenergo/connect/token", data=data | form)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_client_credentials_may_come_as_basic(tenant):
    form = {"grant_type": "client_credentials"}
    answer = tenant.http.post("/fenergo/connect/token", data=form, auth=("ferry-demo", "ferry-demo-secret"))
    assert (answer.status_code, answer.json()["expires_in"]) == (200, 900)
    answer = tenant.http.post("/fenergo/connect/token", data=form, auth=("ferry-demo", "wrong"))
    assert answer.status_code == 400


def test_ingestion_gives_hand_made_records_an_alternate_id(tenant, files):
    hand = {"tableName": "Company", "name": "Made by hand", "fenxId": "3f1d6a52-0c1e-4f0c-b7b7-6a2f4b9c7703"}
    assert tenant.http.post("/_sandbox/fenergo/records", json=hand).json()["fenxId"] == hand["fenxId"]
    address = files["Addresses"].replace("CRM-C-0001", "CRM-C-0777")
    assert tenant.errors(tenant.run({"Addresses": address}))[0]["errorCode"] == "UNRESOLVED_REFERENCE"
    text = f'"tableName","alternateId","fenxId"\n"Company","CRM-C-0777","{hand["fenxId"]}"\n'
    ingestion, word = tenant.ingest(text)
    assert word == "Completed"
    assert tenant.query(f"/record-reference-ingestion/{ingestion}/execution-error-detail-file").status_code == 404
    assert tenant.look(tenant.run({"Addresses": address}))["status"] == "Completed"
    assert tenant.state()["overwrites"] == []


def test_ingestion_overwrites_silently_and_the_sandbox_remembers(tenant, files):
    records = by_key(tenant.records(tenant.run(files)))
    first, second = records["CRM-C-0001"]["fenxId"], records["CRM-C-0002"]["fenxId"]
    _, word = tenant.ingest(f'"tableName","alternateId","fenxId"\n"Company","CRM-C-0002","{first}"\n')
    assert word == "Completed"
    overwrites = tenant.state()["overwrites"]
    assert [(one["fenxId"], one["before"], one["after"]) for one in overwrites] == [
        (first, "CRM-C-0001", "CRM-C-0002"),
        (second, "CRM-C-0002", None),
    ]


def test_ingestion_errors_are_json_lines_behind_a_link(tenant):
    text = (
        '"tableName","alternateId","fenxId"\n"Company","X","not-a-uuid"\n'
        f'"Company","Y","{UNKNOWN_ID}"\n"Person","Z","{UNKNOWN_ID}"\n"Company","","{UNKNOWN_ID}"\n'
    )
    ingestion, word = tenant.ingest(text)
    assert word == "Failed"
    answer = tenant.query(f"/record-reference-ingestion/{ingestion}/execution-error-detail-file")
    lines = [line for line in tenant.http.get(answer.json()["preSignedUrl"]).text.splitlines() if line]
    assert len(lines) == 4
    assert '"rowNumber": 1' in lines[0]


def test_ingestion_works_on_a_snapshot_and_refuses_a_second_execution(tenant):
    tenant.switch(ingestion_seconds=60.0)
    opened = tenant.command("POST", "/record-reference-ingestion").json()
    path = f"/record-reference-ingestion/{opened['id']}/execution"
    assert tenant.command("POST", path).status_code == 400
    assert tenant.query(path).status_code == 404
    header = b'"tableName","alternateId","fenxId"\n'
    tenant.http.put(opened["preSignedUrl"], content=header)
    assert tenant.command("POST", path).status_code == 202
    tenant.http.put(opened["preSignedUrl"], content=header + b'"Company","X","nonsense"\n')
    answer = tenant.command("POST", path)
    assert (answer.status_code, answer.json()["messages"][0]["errorCode"]) == (409, "CONFLICT")
    tenant.advance(61)
    while (word := tenant.query(path).json()["status"]) == "Running":
        pass
    assert word == "Completed"
    assert tenant.state()["ingestions"][0]["rows"] == 0
    assert tenant.command("PUT", "/record-reference-ingestion").status_code == 405


@pytest.mark.parametrize(
    "body", [{"tableName": "Nothing"}, {"tableName": "Company", "fenxId": "x"}, {"tableName": "Company", "more": "x"}]
)
def test_hand_made_records_must_make_sense(tenant, body):
    assert tenant.http.post("/_sandbox/fenergo/records", json=body).status_code == 400
