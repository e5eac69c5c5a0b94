"""The forks of Fenergo's road: remedies, second triggers, changed inputs, and every reading of what the vendor left open."""

import json
import os

import pytest

from ferry.ledger.entries import Verdict

KEYS = '"alternateId","sourceAlternateId","targetAlternateId","associationType","ownershipPercentage"\n'
COMPANY = '"alternateId","legalEntityName","countryOfIncorporation"\n'
MIGRATE = "migrate_fenergo"


def attempts(house, batch_id="b"):
    return [(attempt.attempt.number, attempt.verdict) for attempt in house.standing(batch_id).attempts]


def migrations(house):
    return house.control("GET", "/fenergo/state", params={"records": "none"})["migrations"]


def balances(house, driver, batch_id="b", **conf):
    run = driver.play(MIGRATE, batch_id=batch_id, **conf)
    assert run.state == "success", run
    house.holds(batch_id)
    assert house.last(batch_id).verdict is Verdict.BALANCED
    return run


def hand_made(house, table, **more):
    return house.control("POST", "/fenergo/records", json={"tableName": table, "name": "Made by hand", **more})["fenxId"]


# Alternate ids


def test_alternate_ids_remedy_a_refusal_and_the_second_attempt_balances(house, driver):
    folder = house.demo_batch("clients-alternate")
    made = json.loads((folder / "hand_made.json").read_text("utf-8"))
    for record in made:
        house.control("POST", "/fenergo/records", json=record)
    run = driver.play(MIGRATE, run_id="clients-alternate.1", batch_id="clients-alternate")
    assert run.state == "success", "\n".join(other.messages for other in driver.runs.values())
    assert attempts(house, "clients-alternate") == [(1, Verdict.REFUSED), (2, Verdict.BALANCED)]
    assert run.states["next_attempt"] == "success"
    second = driver.runs[MIGRATE, "clients-alternate.2"]
    assert (second.state, second.states["ingest_alternate_ids"]) == ("success", "skipped")
    state = house.control("GET", "/fenergo/state")
    assert (len(state["migrations"]), len(state["ingestions"]), state["overwrites"]) == (2, 1, [])
    given = {row["fenxId"]: row["alternateId"] for row in state["records"]["Company"]}
    assert all(given[record["fenxId"]] for record in made)
    assert house.ledger.verify() == []
    first = house.standing("clients-alternate").attempts[0]
    assert first.counts.adds_up
    assert first.reason.endswith("Its alternate ids are ingested now; attempt 2 follows.")


def owned_by_hand(house, batch_id, ids):
    """A company owned by somebody whom only `ids` can name."""
    files = {
        "company.csv": ("Company", COMPANY + '"N-1","New","PL"\n'),
        "association.csv": ("Associations", KEYS + '"R-1","HAND-1","N-1","Shareholder","24"\n'),
    }
    section = "jurisdiction: Migration, alternate_ids: ids.csv"
    folder = house.batch(batch_id, files, section)
    rows = [f'"{table}","{key}","{fenx}"\n' for table, key, fenx in ids]
    (folder / "ids.csv").write_text('"tableName","alternateId","fenxId"\n' + "".join(rows), "utf-8")


def test_one_input_is_remedied_once(house, driver):
    owned_by_hand(house, "b", [("Product", "HAND-1", hand_made(house, "Product"))])  # an id that no association may refer to
    run = driver.play(MIGRATE, run_id="b.1", batch_id="b")
    assert run.state == "failed"
    assert attempts(house) == [(1, Verdict.REFUSED), (2, Verdict.REFUSED)], run.messages
    assert driver.runs[MIGRATE, "b.2"].states["ingest_alternate_ids"] == "skipped"
    assert len(house.control("GET", "/fenergo/state")["ingestions"]) == 1
    assert "DAG run b.2 of migrate_fenergo is red" in run.errors["next_attempt"][-1]


def test_an_id_that_is_known_is_never_ingested_again(house, driver):
    house.batch("earlier", {"company.csv": ("Company", COMPANY + '"HAND-1","Known","PL"\n')})
    balances(house, driver, "earlier")
    house.batch("b", {"company.csv": ("Company", COMPANY + '"N-1","New","PL"\n')})
    owned_by_hand(
        house, "b", [("Company", "HAND-2", hand_made(house, "Company")), ("Company", "HAND-1", hand_made(house, "Company"))]
    )
    refer = KEYS + '"R-1","HAND-2","N-1","Shareholder","24"\n'
    (house.home / "batches/fenergo/b/association.csv").write_text(refer, "utf-8")
    run = driver.play(MIGRATE, run_id="b.1", batch_id="b")
    assert run.state == "failed"
    (said,) = run.errors["ingest_alternate_ids"]
    assert said == (
        "The alternate-id file ids.csv was not sent: 1 error and 0 warnings (ID_KNOWN x 1 in ids.csv, column alternateId). "
        f"All findings are in fenergo/{house.environment.replace(':', '_')}/b/1/ingest_alternate_ids/findings.csv. "
        "The vendor would overwrite without a word; correct the file and trigger again."
    )
    assert house.requests("POST", "/record-reference-ingestion") == []
    assert attempts(house) == [(1, Verdict.REFUSED)]


# Attempts


def test_a_balanced_batch_is_left_alone(house, driver):
    house.batch("b")
    balances(house, driver)
    asked = len(house.control("GET", "/requests"))
    again = driver.play(MIGRATE, batch_id="b")
    assert again.state == "success"
    assert set(again.states.values()) == {"success", "skipped"}
    assert [task for task, state in again.states.items() if state == "success"] == ["admit_batch"]
    assert len(house.control("GET", "/requests")) == asked
    assert attempts(house) == [(1, Verdict.BALANCED)]


def test_force_is_the_only_way_to_send_a_balanced_batch_again(house, driver):
    house.batch("b")
    balances(house, driver)
    balances(house, driver, force_new_attempt=True)
    assert attempts(house) == [(1, Verdict.BALANCED), (2, Verdict.BALANCED)]
    opening = house.last("b").openings[0]
    assert (opening.origin.who, opening.note) == ("Petra", "new attempt forced by Petra; fenergo batch b, attempt 1 was balanced")
    assert len({start["path"] for start in house.starts()}) == 2


def test_a_corrected_batch_is_a_new_attempt_in_a_new_migration(house, driver):
    section = "jurisdiction: Migration, checks: report"
    house.batch("b", {"company.csv": ("Company", COMPANY + '"C-1","Odd","Atlantis"\n')}, section)
    assert driver.play(MIGRATE, batch_id="b").state == "failed"
    house.batch("b", {"company.csv": ("Company", COMPANY + '"C-1","Odd","PL"\n')}, section)
    balances(house, driver)
    first, second = house.standing("b").attempts
    assert (first.verdict, second.verdict) == (Verdict.REFUSED, Verdict.BALANCED)
    assert first.ref != second.ref
    assert first.input_hash != second.input_hash


def test_files_that_change_after_admission_are_not_sent(house, driver):
    folder = house.batch("b")

    def touch():
        with (folder / "company.csv").open("a", encoding="utf-8") as file:
            file.write('"C-3","Late","PL","","","",""\n')

    run = driver.play(MIGRATE, batch_id="b", before={"upload_batch": touch})
    (said,) = run.errors["upload_batch"]
    assert said == (
        "The files of fenergo batch b, attempt 1 changed after it was admitted; nothing more is sent for it. "
        "Trigger the batch again: the new files are a new attempt."
    )
    assert house.requests("PUT", "/add-file") == house.starts() == []
    balances(house, driver)
    assert attempts(house) == [(1, Verdict.SUPERSEDED), (2, Verdict.BALANCED)]


def test_strict_checks_stop_before_the_vendor_hears_anything(house, driver):
    house.demo_batch("clients-refused-early")
    assert driver.play(MIGRATE, batch_id="clients-refused-early").state == "failed"
    assert house.last("clients-refused-early").verdict is Verdict.REFUSED
    assert house.control("GET", "/requests") == []


def test_a_jurisdiction_that_the_vendor_does_not_know(house, driver):
    house.batch("b", section="jurisdiction: Atlantis")
    run = driver.play(MIGRATE, batch_id="b")
    (ref,) = [migration["id"] for migration in migrations(house)]
    (said,) = run.errors["check_templates"]
    assert said == (
        f"Fenergo could not prepare migration {ref}: No policy was found for the requested jurisdiction. Nothing was sent for "
        "fenergo batch b, attempt 1. Check the jurisdiction in the manifest and trigger the batch again."
    )
    assert attempts(house) == [(1, Verdict.REFUSED)]
    assert house.starts() == []


def test_files_with_nothing_but_a_header_are_not_sent(house, driver):
    files = {
        "company.csv": ("Company", COMPANY + '"C-1","Only","PL"\n'),
        "individual.csv": ("Individual", '"alternateId","firstName","lastName"\n'),
    }
    house.batch("b", files)
    balances(house, driver)
    assert len(house.requests("PUT", "/add-file")) == 1
    assert len(house.requests("PUT", "/company.csv")) == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_the_vendors_copies_are_removed_where_the_manifest_asks_for_it(house, driver, wanted):
    house.batch("b", section=f"jurisdiction: Migration, clean_up_inputs: {str(wanted).lower()}")
    balances(house, driver)
    assert [migration["inputFilesCleanedUp"] for migration in migrations(house)] == [wanted]


# What the vendor left open


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (
            "fail",
            "Fenergo says 'Completed' and still counts failures: {'failedEntityCount': 1}. Look at missing.csv in the evidence.",
        ),
        (
            "warn",
            (
                "Of 3 records, 2 arrived; 1 are missing and 0 were not ours. missing.csv and extra.csv in the evidence name "
                "them. Ask the vendor about them before sending again."
            ),
        ),
    ],
)
def test_completed_with_failed_records_is_no_success(house, driver, policy, reason):
    house.switch(completed_with_failed=1)
    house.batch("b", section=f"jurisdiction: Migration, on_failed_counters: {policy}")
    run = driver.play(MIGRATE, batch_id="b")
    last = house.last("b")
    assert (run.state, last.verdict, last.reason) == ("failed", Verdict.UNBALANCED, reason)
    assert (last.counts.sent, last.counts.accepted, last.counts.unprocessed) == (3, 2, 1)


@pytest.mark.parametrize(("limit", "by_link"), [(2, 0), (1, 1)], ids=["at the limit", "above it"])
@pytest.mark.parametrize("shape", [("bare", 400), ("wrapped", 413), ("bare", 200)])
def test_direct_records_up_to_the_limit_and_a_link_above_it(house, driver, limit, by_link, shape):
    house.switch(limit_rows=limit, limit_shape=shape[0], limit_status=shape[1])
    house.batch("b", section="jurisdiction: Migration, records_via: direct")
    balances(house, driver)
    assert len(house.requests("GET", "/get-migrated-records-file")) == 1
    assert len(house.requests("GET", "/MigratedRecords/data.csv")) == by_link


@pytest.mark.parametrize(("limit", "by_link"), [(1, 0), (0, 1)], ids=["at the limit", "above it"])
def test_direct_errors_up_to_the_limit_and_a_link_above_it(house, driver, limit, by_link):
    house.switch(limit_rows=limit)
    files = {"company.csv": ("Company", COMPANY + '"C-1","Odd","Atlantis"\n"C-2","Good","PL"\n')}
    house.batch("b", files, "jurisdiction: Migration, checks: report, errors_via: direct")
    assert driver.play(MIGRATE, batch_id="b").state == "failed"
    last = house.last("b")
    assert (last.verdict, last.counts.rejected, last.counts.unprocessed) == (Verdict.REFUSED, 1, 1)
    assert len(house.requests("GET", "/get-error-file")) == 1
    assert len(house.requests("GET", "/Errors/data.csv")) == by_link


def test_a_tenant_that_has_only_v1(house, driver, monkeypatch):
    told = json.loads(os.environ["AIRFLOW_CONN_FENERGO_DEFAULT"])
    told["extra"]["command_api_version"] = "v1"
    monkeypatch.setenv("AIRFLOW_CONN_FENERGO_DEFAULT", json.dumps(told))
    house.switch(gone_version="v2")
    house.batch("b")
    balances(house, driver)
    assert len(house.requests("POST", "/datamigrationcommand/api/migration")) == 1
    assert not [seen for seen in house.control("GET", "/requests") if "/v2/" in seen["path"]]
    assert house.requests("PUT", "/company.csv") == []  # through the gateway, not over a link


@pytest.mark.parametrize("method", ["put", "get"])
@pytest.mark.parametrize("not_ready", ["412", "null", "empty"])
def test_the_records_link_by_either_verb_and_in_its_own_time(house, driver, method, not_ready):
    house.switch(records_url_method=method, records_file_polls=3, records_not_ready=not_ready)
    house.batch("b")
    balances(house, driver)
    answered = house.requests(method.upper(), "/migration-records-file-signed-url")
    assert len(answered) == 5  # three that were too early, one that ended the wait, one that was used


LAYOUTS = ["standard", "spaced", "snake", "alias", "unquoted", "bom", "extra"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_records_file_in_any_layout(house, driver, layout):
    house.switch(records_layout=layout, records_include_data_groups=layout == "extra")
    house.batch("b")
    balances(house, driver)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_error_file_in_any_layout(house, driver, layout):
    house.switch(error_layout=layout)
    house.demo_batch("clients-refused")
    assert driver.play(MIGRATE, batch_id="clients-refused").state == "failed"
    last = house.last("clients-refused")
    assert last.verdict is Verdict.REFUSED
    assert (last.counts.adds_up, last.counts.accepted, last.counts.rejected) == (True, 0, 5)  # as many as were planted


@pytest.mark.parametrize(("switch", "task"), [("records_layout", "reconcile"), ("error_layout", "fetch_errors")])
def test_a_file_without_keys_is_kept_and_nothing_is_guessed(house, driver, switch, task):
    house.switch(**{switch: "no_key"})
    batch_id = "clients-refused" if task == "fetch_errors" else "b"
    folder = house.demo_batch(batch_id) if task == "fetch_errors" else house.batch(batch_id)
    assert folder.is_dir()
    run = driver.play(MIGRATE, batch_id=batch_id)
    assert "no column that is known to hold alternate ids" in run.errors[task][-1]
    assert house.last(batch_id).verdict is Verdict.UNKNOWN
    assert list(house.evidence.rglob("errors.csv" if task == "fetch_errors" else "records.csv"))


@pytest.mark.parametrize("not_found", ["404", "null"])
def test_a_query_service_that_lags_behind(house, driver, not_found):
    house.control("POST", "/clock", json={"speed": 60})
    driver.clock.pace = 0.02
    house.switch(read_lag_seconds=5.0, not_found=not_found, upload_url_seconds=3000, download_url_seconds=3000)
    house.batch("b")
    balances(house, driver)


def test_undocumented_words_are_waited_through(house, driver):
    house.switch(extra_word="Finalising", extra_word_looks=3, process_looks=2)
    house.batch("b")
    balances(house, driver)
    looks = [entry.word for entry in house.last("b").entries if entry.step == "await_run"]
    assert looks == ["Processing", "Finalising", "Completed"]
