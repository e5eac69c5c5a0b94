"""Every switch of Fenergo's sandbox, at least once."""

import json
from pathlib import Path

import pytest

from ferry.vendors.fenergo.sandbox import SANDBOX

BAD_COMPANY = '"alternateId","legalEntityName","countryOfIncorporation"\n"C1","","PL"\n"C2","B","PL"\n'
LIMIT_TEXT = "File Size Limit Exceeded for MigrationId: {} has more than {} records"


def records_url(tenant, migration, method="PUT"):
    return tenant.command(method, f"/migration/{migration}/migration-records-file-signed-url")


def test_the_size_rule_starts_above_the_limit_with_the_documented_text(tenant, files):
    migration = tenant.run(files)
    tenant.switch(limit_rows=5)
    assert len(tenant.records(migration)) == 5
    tenant.switch(limit_rows=4)
    answer = tenant.query(f"/migration/{migration}/get-migrated-records-file")
    assert answer.status_code == 400
    assert answer.json() == {"message": LIMIT_TEXT.format(migration, 4), "type": "Error"}
    assert tenant.http.get(records_url(tenant, migration).json()["data"]).text.count("CRM-") == 5


def test_the_size_rule_holds_for_errors_too_in_any_shape_and_status(tenant):
    migration = tenant.run({"Company": BAD_COMPANY})
    tenant.switch(limit_rows=0, limit_shape="wrapped", limit_status=413)
    answer = tenant.query(f"/migration/{migration}/get-error-file")
    assert (answer.status_code, answer.json()["messages"][0]["message"]) == (413, LIMIT_TEXT.format(migration, 0))
    url = tenant.query(f"/migration/{migration}/get-error-file-signed-url").json()["data"]
    assert "REQUIRED" in tenant.http.get(url).text


@pytest.mark.parametrize(("allowed", "put", "get"), [("both", 202, 200), ("put", 202, 405), ("get", 405, 200)])
def test_the_verb_of_the_records_link(tenant, files, allowed, put, get):
    tenant.switch(records_url_method=allowed)
    migration = tenant.run(files)
    assert records_url(tenant, migration, "PUT").status_code == put
    assert records_url(tenant, migration, "GET").status_code == get


@pytest.mark.parametrize(("how", "status", "data"), [("412", 412, {}), ("null", 202, None), ("empty", 202, "")])
def test_the_records_file_may_need_several_calls(tenant, files, how, status, data):
    tenant.switch(records_file_polls=2, records_not_ready=how)
    migration = tenant.run(files)
    for _ in range(2):
        answer = records_url(tenant, migration)
        assert (answer.status_code, answer.json()["data"]) == (status, data)
    task = {"taskName": "generate-migration-records-file", "taskStatus": "Running"}
    assert task in tenant.look(migration)["tasks"]
    assert records_url(tenant, migration).json()["data"].startswith("http")
    assert task | {"taskStatus": "Completed"} in tenant.look(migration)["tasks"]


def test_an_unstarted_migration_may_say_processing(tenant):
    tenant.switch(unstarted_word="Processing", prepare_seconds=5.0)
    migration = tenant.create()
    assert tenant.look(migration)["status"] == "Processing"
    tenant.advance(6)
    assert tenant.look(migration)["status"] == "Processing"


@pytest.mark.parametrize(("how", "status"), [("empty", 200), ("404", 404)])
def test_artifacts_before_preparation_is_done(tenant, how, status):
    tenant.switch(artifacts_early=how, prepare_seconds=5.0)
    migration = tenant.create()
    assert tenant.query(f"/migration/{migration}/get-artifacts").status_code == status
    tenant.advance(6)
    assert tenant.query(f"/migration/{migration}/get-artifacts").json()["data"]


def test_an_unknown_word_may_stand_before_the_end(tenant, files):
    tenant.switch(extra_word="Finalising", extra_word_looks=2)
    migration = tenant.create()
    tenant.upload(migration, files)
    tenant.start(migration)
    tenant.until(migration, "Finalising")
    assert [tenant.look(migration)["status"] for _ in range(2)] == ["Finalising", "Completed"]


def test_looks_can_be_made_to_wait(tenant, files):
    tenant.switch(process_looks=5)
    migration = tenant.create()
    tenant.upload(migration, files)
    tenant.start(migration)
    words = [tenant.look(migration)["status"] for _ in range(5)]
    assert words == ["Processing"] * 5
    tenant.until(migration, "Completed")


def test_time_goes_with_the_rows(tenant, files):
    tenant.http.post("/_sandbox/clock", json={"speed": 0})
    tenant.switch(rows_per_second=0.5)
    migration = tenant.create()
    tenant.upload(migration, {"Company": files["Company"]})
    tenant.start(migration)
    while not tenant.look(migration)["entityCount"]:
        pass
    tenant.advance(3)
    assert tenant.look(migration)["status"] == "Processing"
    tenant.advance(2)
    tenant.until(migration, "Completed")


def test_failed_counters_may_be_real(tenant):
    tenant.switch(failed_counters="real")
    seen = tenant.look(tenant.run({"Company": BAD_COMPANY}))
    assert (seen["status"], seen["entityCount"], seen["failedEntityCount"], seen["migratedEntityCount"]) == ("Failed", 2, 1, 0)


def test_completed_may_hide_failures(tenant, files):
    tenant.switch(completed_with_failed=1)
    migration = tenant.run(files)
    seen = tenant.look(migration)
    assert (seen["status"], seen["failedAssociationCount"], seen["migratedAssociationCount"]) == ("Completed", 1, 0)
    assert len(tenant.records(migration)) == 4
    assert "Associations" not in tenant.state()["records"]


def test_the_query_service_lags_behind(tenant):
    tenant.http.post("/_sandbox/clock", json={"speed": 0})
    tenant.switch(read_lag_seconds=5.0)
    migration = tenant.create()
    assert tenant.query(f"/migration/{migration}").status_code == 404
    assert tenant.query(f"/migration/{migration}/get-artifacts").status_code == 404
    tenant.switch(not_found="null")
    assert tenant.query(f"/migration/{migration}").json() == {"data": None, "messages": None}
    tenant.advance(5)
    assert tenant.look(migration)["id"] == migration
    tenant.upload(migration, {"Company": BAD_COMPANY})
    assert tenant.look(migration)["dataMigrationFilesDto"] == []
    tenant.advance(5)
    assert len(tenant.look(migration)["dataMigrationFilesDto"]) == 1


def test_links_live_as_long_as_the_switches_say(tenant, files):
    tenant.switch(upload_url_seconds=100, download_url_seconds=50)
    assert "X-Amz-Expires=100&" in tenant.link(tenant.create(), "Company")
    assert "X-Amz-Expires=50&" in records_url(tenant, tenant.run(files)).json()["data"]


def test_client_and_tenant_can_be_others(tenant):
    tenant.switch(client_id="me", client_secret="mine", tenant="22222222-2222-3333-4444-555555555555")
    data = {"grant_type": "client_credentials"}
    assert tenant.http.post("/fenergo/connect/token", data=data, auth=("ferry-demo", "ferry-demo-secret")).status_code == 400
    assert tenant.http.post("/fenergo/connect/token", data=data, auth=("me", "mine")).status_code == 200
    assert tenant.query("/migration/x").status_code == 403


def test_tokens_end_early_by_time_or_by_calls(tenant):
    tenant.switch(token_seconds=10)
    tenant.log_in()
    assert tenant.query("/migration/x").status_code == 404
    tenant.advance(11)
    assert tenant.query("/migration/x").status_code == 401
    tenant.switch(token_calls=2)
    tenant.log_in()
    assert [tenant.query("/migration/x").status_code for _ in range(3)] == [404, 404, 401]


def test_the_token_endpoint_may_be_throttled(tenant):
    tenant.switch(token_throttle=2)
    data = {"grant_type": "client_credentials"}
    auth = ("ferry-demo", "ferry-demo-secret")
    statuses = [tenant.http.post("/fenergo/connect/token", data=data, auth=auth).status_code for _ in range(2)]
    assert statuses == [200, 429]


def test_the_rate_limit_answers_429(tenant):
    tenant.switch(requests_per_second=3)
    statuses = [tenant.query("/migration/x").status_code for _ in range(20)]
    assert 429 in statuses
    assert statuses[0] == 404


def test_every_nth_call_may_be_refused(tenant):
    tenant.switch(inject_every=3, inject_status=500)
    assert [tenant.query("/migration/x").status_code for _ in range(6)] == [404, 404, 500, 404, 404, 500]


@pytest.mark.parametrize(("version", "v1", "v2"), [("none", 202, 202), ("v1", 410, 202), ("v2", 202, 410)])
def test_a_version_may_be_gone(tenant, version, v1, v2):
    tenant.switch(gone_version=version)
    old = tenant.http.post(
        "/fenergo/datamigrationcommand/api/migration",
        json={"data": {"jurisdictions": ["Migration"]}},
        headers=tenant.headers,
    )
    new = tenant.command("POST", "/migration", json={"data": {"jurisdiction": "Migration"}})
    assert (old.status_code, new.status_code) == (v1, v2)
    for answer in (old, new):
        if answer.status_code == 410:
            assert answer.json()["messages"][0]["errorCode"] == "OBSOLETE_ENDPOINT"


def test_the_old_version_takes_files_through_the_gateway(tenant, files):
    base = "/fenergo/datamigrationcommand/api/migration"
    body = {"data": {"jurisdictions": ["Migration"]}}
    migration = tenant.http.post(base, json=body, headers=tenant.headers).json()["data"]
    answer = tenant.http.put(
        f"{base}/{migration}/add-file",
        files={"Data.File": ("company.csv", files["Company"].encode())},
        data={"Data.TableName": "Company"},
        headers=tenant.headers,
    )
    assert (answer.status_code, answer.json()["data"]) == (202, migration)
    assert tenant.http.put(f"{base}/{migration}/start", headers=tenant.headers).status_code == 202
    assert tenant.until(migration, "Completed")["migratedEntityCount"] == 2
    assert tenant.http.put(f"{base}/{migration}/add-file", headers=tenant.headers).status_code == 400


def test_endpoints_may_announce_their_end(tenant):
    assert "sunset" not in tenant.query("/migration/x").headers
    tenant.switch(sunset_headers=True)
    headers = tenant.query("/migration/x").headers
    assert headers["sunset"]
    assert headers["deprecation"]


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'{"data": {}}',
        b'{"data": {"jurisdiction": 1}}',
        b'{"data": {"jurisdiction": "Migration", "name": "x"}}',
        b'{"data": {"jurisdiction": "Migration"}, "more": 1}',
        b'{"data": {"jurisdictions": [1]}}',
    ],
)
def test_bodies_outside_the_schema_are_refused(tenant, body):
    answer = tenant.command("POST", "/migration", content=body)
    assert answer.status_code == 400
    assert answer.json()["messages"][0]["type"] == "Error"


def test_unknown_members_may_be_tolerated(tenant):
    tenant.switch(strict_fields=False)
    body = {"data": {"jurisdiction": "Migration", "name": "x"}}
    assert tenant.command("POST", "/migration", json=body).status_code == 202


@pytest.mark.parametrize(
    ("layout", "header"),
    [
        ("spaced", '"Table Name","Alternate Id","Fenx Id"'),
        ("snake", '"table_name","alternate_id","fenx_id"'),
        ("alias", '"entityType","externalId","entityId"'),
        ("unquoted", "tableName,alternateId,fenxId"),
        ("bom", '\ufeff"tableName","alternateId","fenxId"'),
        ("extra", '"tableName","alternateId","fenxId","sourceSystem"'),
        ("no_key", '"tableName","fenxId"'),
    ],
)
def test_the_headers_of_both_files_vary(tenant, files, layout, header):
    tenant.switch(records_layout=layout, error_layout=layout)
    good = tenant.query(f"/migration/{tenant.run(files)}/get-migrated-records-file").content.decode()
    assert good.splitlines()[0] == header
    assert len(good.splitlines()) == 6
    bad = tenant.query(f"/migration/{tenant.run({'Company': BAD_COMPANY})}/get-error-file").content.decode()
    assert len(bad.splitlines()[0].split(",")) == {"no_key": 6, "extra": 9}.get(layout, 8)


def test_data_groups_may_be_listed_among_the_records(tenant, files):
    tenant.switch(records_include_data_groups=True)
    assert "Addresses" in {record["tableName"] for record in tenant.records(tenant.run(files))}


def test_unquoted_files_may_be_tolerated(tenant):
    tenant.switch(require_quotes=False)
    text = "alternateId,legalEntityName,countryOfIncorporation\nC1,A,PL\n"
    assert tenant.look(tenant.run({"Company": text}))["status"] == "Completed"


def test_ingestion_answers_may_be_wrapped_and_its_word_kinder(tenant):
    tenant.switch(ingestion_word="Completed")
    _, word = tenant.ingest('"tableName","alternateId","fenxId"\n"Company","X","nonsense"\n')
    assert word == "Completed"
    tenant.switch(ingestion_wrapped=True)
    assert tenant.command("POST", "/record-reference-ingestion").json()["data"]["preSignedUrl"]


def test_a_real_30001st_row_is_one_too_many(tenant):
    header = '"alternateId","legalEntityName","countryOfIncorporation"\n'
    lines = [f'"C-{n}","A","PL"\n' for n in range(30_001)]
    allowed = tenant.run({"Company": header + "".join(lines[:-1])})
    assert len(tenant.records(allowed)) == 30_000
    refused = tenant.run({"Company": header + "".join(lines)})
    answer = tenant.query(f"/migration/{refused}/get-migrated-records-file")
    assert answer.json()["message"] == LIMIT_TEXT.format(refused, 30000)


def test_no_switch_is_forgotten_here():
    tested = Path(__file__).read_text(encoding="utf-8")
    elsewhere = {"storage_refuses_tenant", "upload_verb", "process_seconds", "ingestion_seconds"}  # other files of this folder
    missing = {switch.name for switch in SANDBOX.SWITCHES} - elsewhere
    assert {name for name in missing if name not in tested} == set()


@pytest.mark.parametrize("switch", SANDBOX.SWITCHES, ids=lambda switch: switch.name)
def test_the_readme_lists_every_switch_as_it_is(switch):
    import sandbox

    readme = Path(sandbox.__file__).with_name("README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| `{switch.name}` |"))
    wanted = json.dumps(switch.default).strip('"') or "(empty)"
    assert f"| {wanted} |" in row
    assert switch.description in row
