"""The fault table: every call to Fenergo, every way it can go wrong, and what must become of the batch.

Nothing is ever started twice, no row is ever lost, the ledger's chain holds. What recovers by itself does; what does not is red
with a sentence that helps, and goes on when the fault is gone and the red task is cleared.
"""

import re
from functools import partial

import pytest
from weather import ACTIONS, ENDS, Call, Chapter, Words, cases, first_red, grid, in_passing, in_the_end

from ferry.ledger.entries import Verdict

ONE = "????????-????-????-????-????????????"  # a migration's id, and nothing after it
SIGNED = "*/s3/*"


CALLS = {
    "token": Call("migrate", "open_run", "POST", "*/connect/token", "log in", ""),
    "create": Call("migrate", "open_run", "POST", "*/api/v2/migration", "create the migration", "create"),
    "look_prepared": Call(
        "migrate", "await_prepared", "GET", f"*/api/migration/{ONE}", "wait until the migration is prepared", "_migration"
    ),
    "artifacts": Call("migrate", "check_templates", "GET", "*/get-artifacts", "list the templates", "artifacts"),
    "schema": Call("migrate", "check_templates", "GET", "*/get-artifact-content", "read the schema workbook", "_download"),
    "template": Call("migrate", "check_templates", "GET", "*/get-artifact-content", "read a template", "_download", skip=1),
    "add_file": Call("migrate", "upload_batch", "PUT", "*/add-file", "announce a file and get a signed link", "upload"),
    "upload": Call("migrate", "upload_batch", "PUT", SIGNED, "send a file to the signed link", "_by_link"),
    "start": Call("migrate", "start_run", "PUT", "*/start", "start the migration", "start"),
    "look": Call("migrate", "await_run", "GET", f"*/api/migration/{ONE}", "wait for the end of the migration", "_migration"),
    "records_made": Call(
        "migrate",
        "await_records",
        "PUT",
        "*/migration-records-file-signed-url",
        "have the records file made, and wait for it",
        "_records_link",
    ),
    "records_link": Call(
        "migrate",
        "reconcile",
        "PUT",
        "*/migration-records-file-signed-url",
        "get a signed link to the records file",
        "_records_link",
    ),
    "records": Call("migrate", "reconcile", "GET", SIGNED, "read the records file", "_by_link"),
    "clean_up": Call(
        "migrate",
        "clean_up_inputs",
        "POST",
        "*/input-files-clean-up",
        "have the vendor remove its input files",
        "clean_up_inputs",
    ),
    "errors_link": Call(
        "refused", "fetch_errors", "GET", "*/get-error-file-signed-url", "get a signed link to the error file", "fetch_errors"
    ),
    "errors": Call("refused", "fetch_errors", "GET", SIGNED, "read the error file", "_by_link"),
    "ids_open": Call(
        "assign",
        "ingest_alternate_ids",
        "POST",
        "*/record-reference-ingestion",
        "open an ingestion of alternate ids",
        "open_ingestion",
    ),
    "ids_upload": Call("assign", "ingest_alternate_ids", "PUT", SIGNED, "send the alternate ids to the signed link", "_by_link"),
    "ids_execute": Call("assign", "ingest_alternate_ids", "POST", "*/execution", "execute the ingestion", "execute_ingestion"),
    "ids_look": Call("assign", "await_ingestion", "GET", "*/execution", "wait for the end of the ingestion", "look_ingestion"),
    "ids_errors": Call(
        "assign",
        "reconcile",
        "GET",
        "*/execution-error-detail-file",
        "get a signed link to the ingestion's errors",
        "fetch_ingestion_errors",
    ),
}

# One word for each end. `ok`: the batch balances, or is refused as the script has it. `asks`: a person is asked about the start.
# All others are red, and the first red task says:
SAYS = {
    "away": r"(could not be reached|gave no whole answer|HTTP 429|gave no token).*may be tried again\.$",
    "who": r"HTTP 40[13]: (Unauthorized|Forbidden)\. Check credentials and permissions of the connection\.$",
    "client": r"token endpoint refused the client credentials.*Check client id, client secret, scope and token URL",
    "links": r"Storage refused 3 fresh links in a row.*Check this machine's clock",
    "twice": r"creation of a migration for .* was lost twice\. Nothing was started; the step may be tried again",
    "odd": r"not JSON.*Check that the connection's base URL leads to the vendor",
    "proxy": r"answered by something that is not .*Look for a proxy.*clear the task",
    "blank": r"The template of table Company .*kept as it came",
    "strange": r"has no column that is known to hold alternate ids .*kept as it came",
    "late": r"did not end within .* Nothing is started again\.$",
    "unheard": r"never heard that it was to be executed: clear ingest_alternate_ids\.$",
}

ONCE = """
               before   after  429+  503      401     403     delay  cut  garbage
token          ok       ok     ok    ok       client  client  ok     ok   ok
create         ok       ok     ok    ok       ok      who     ok     ok   odd
look_prepared  ok       ok     ok    ok       ok      ok      ok     ok   ok
artifacts      ok       ok     ok    ok       ok      who     ok     ok   odd
schema         ok       ok     ok    ok       ok      who     ok     ok   ok
template       ok       ok     ok    ok       ok      who     ok     ok   blank
add_file       ok       ok     ok    ok       ok      who     ok     ok   odd
upload         ok       ok     ok    ok       who     ok      ok     ok   proxy
start          asks     ok     ok    asks     ok      who     ok     ok   asks
look           ok       ok     ok    ok       ok      ok      ok     ok   ok
records_made   ok       ok     ok    ok       ok      ok      ok     ok   ok
records_link   ok       ok     ok    ok       ok      who     ok     ok   odd
records        ok       ok     ok    ok       who     ok      ok     ok   strange
clean_up       ok       ok     ok    ok       ok      who     ok     ok   proxy
errors_link    ok       ok     ok    ok       ok      who     ok     ok   odd
errors         ok       ok     ok    ok       who     ok      ok     ok   strange
ids_open       ok       ok     ok    ok       ok      who     ok     ok   odd
ids_upload     ok       ok     ok    ok       who     ok      ok     ok   proxy
ids_execute    unheard  ok     ok    unheard  ok      who     ok     ok   unheard
ids_look       ok       ok     ok    ok       ok      ok      ok     ok   ok
ids_errors     ok       ok     ok    ok       ok      who     ok     ok   odd
"""

ALWAYS = """
                before   429+  403     garbage
token           away     away  client  away
create          twice    away  who     odd
look_prepared   late     -     who     odd
artifacts       away     -     who     odd
template        away     -     who     blank
add_file        away     -     who     odd
upload          away     away  links   proxy
start           asks     away  who     asks
look            late     late  who     odd
records_made    late     -     who     odd
records_link    away     -     who     odd
records         away     -     links   strange
clean_up        away     -     who     proxy
errors_link     away     -     who     odd
errors          away     -     links   strange
ids_open        away     -     who     odd
ids_upload      away     -     links   proxy
ids_execute     unheard  -     who     unheard
ids_look        late     -     who     odd
ids_errors      away     -     who     odd
"""

# For docs/faults.md
CHAPTER = Chapter(
    "fenergo",
    CALLS,
    grid(ONCE),
    grid(ALWAYS),
    good={"migrate": "balances", "refused": "refused, as it should be", "assign": "balances"},
    ends=ENDS
    | {
        "client": Words("red: login refused", "the message says what to check: client id, secret, scope and token URL"),
        "links": Words("red: links refused", "storage refused three fresh links in a row; the message says to check the clock"),
        "twice": Words("red: lost twice", "the creation was sent twice at most; nothing was started, and it may be tried again"),
        "proxy": Words("red: a proxy's answer", "something in between has answered; the message says to look for a proxy"),
        "blank": Words("red: unusable template", "the template is kept as it came, and the message names its table"),
        "strange": Words("red: unusable file", "the file is kept as it came; the message says that none of its columns is known"),
        "unheard": Words(
            "red: never heard",
            "the red task is `await_ingestion`, since the vendor knows of no execution; the message says to clear "
            "`ingest_alternate_ids`",
        ),
    },
)


def prepare(house, journey):
    """The batch `b` of a journey; returns the DAG that moves it."""
    if journey == "migrate":
        house.batch("b", section="jurisdiction: Migration, clean_up_inputs: true")
    elif journey == "refused":
        rows = '"alternateId","legalEntityName","countryOfIncorporation"\n"C-1","Good","PL"\n"C-2","Bad","Atlantis"\n'
        house.batch("b", {"company.csv": ("Company", rows)}, section="jurisdiction: Migration, checks: report")
    else:
        made = house.control("POST", "/fenergo/records", json={"tableName": "Company", "name": "Made by hand"})
        house.id_batch("b", {"HAND-1": made["fenxId"]})
        return "assign_fenergo_alternate_ids"
    return "migrate_fenergo"


@pytest.mark.parametrize(("action", "names"), in_passing(ONCE, CALLS))
def test_faults_that_pass_by_themselves(house, driver, action, names):
    run = play(house, driver, names, action, times=1)
    ends_as(house, run, names[0], "ok")
    assert house.control("GET", "/fenergo/faults") == [], "each has struck"


@pytest.mark.parametrize(("name", "action", "end"), in_the_end(ONCE, ALWAYS))
def test_one_fault_that_does_not(house, driver, name, action, end):
    run = play(house, driver, [name], action, times=1)
    ends_as(house, run, name, end)


@pytest.mark.parametrize(("name", "action", "end"), cases(ALWAYS))
def test_a_fault_that_lasts_until_somebody_clears_the_red_task(house, driver, monkeypatch, name, action, end):  # noqa: PLR0917
    run = play(house, driver, [name], action, times=None)
    ends_as(house, run, name, end)
    if end == "asks":
        return
    house.control("DELETE", "/fenergo/faults")
    monkeypatch.setattr("ferry.vendors.fenergo.ingesting.LONG", 0.0)  # a person clears tasks minutes later
    driver.clear(run, "ingest_alternate_ids" if end == "unheard" else first_red(run), batch_id="b")
    ends_as(house, run, name, "ok")


def play(house, driver, names, action, times):
    dag = prepare(house, CALLS[names[0]].journey)
    if action == "delay":
        driver.clock.pace = 0.1  # the vendor is late in real time

    def strike(call):
        house.fault(call.method, call.path, **ACTIONS[action], times=times, skip=call.skip)

    before = {CALLS[name].task: partial(strike, CALLS[name]) for name in names}
    run = driver.play(dag, batch_id="b", before=before)
    house.late_requests_are_done()
    return run


def ends_as(house, run, name, end):
    """The end of a DAG run, and what holds whatever the end."""
    house.holds("b")
    journey, last = CALLS[name].journey, house.last("b")
    if end == "ok":
        assert (run.state, last.verdict) == (
            ("failed", Verdict.REFUSED) if journey == "refused" else ("success", Verdict.BALANCED)
        ), run
    elif end == "asks":
        assert (run.state, run.states["confirm_start"], last.verdict) == ("running", "awaiting_input", None), run
    else:
        red = first_red(run)
        assert run.state == "failed", run
        assert red == ("await_ingestion" if end == "unheard" else CALLS[name].task), run
        assert re.search(SAYS[end], run.errors[red][-1]), run.errors[red][-1]
