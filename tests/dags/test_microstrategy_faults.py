"""The fault table: every call to a Library, every way it can go wrong, and what must become of the batch.

No package is made twice, nothing is imported or undone twice, nothing is imported without an approval, no object is lost. What
recovers by itself does; what does not is red with a sentence that helps, and goes on when the fault is gone and the red task is
cleared.
"""

import re
from functools import partial

import pytest
from libraries import MIGRATE, SALES
from weather import ACTIONS, ENDS, Call, Chapter, Words, cases, first_red, grid, in_passing, in_the_end

from ferry.ledger.entries import Verdict

EDIT, CERTIFY = "edit_microstrategy", "certify_microstrategy"
LIBRARY = "MicroStrategyLibrary/api"
ONE = f"/{LIBRARY}/migrations/" + "?" * 65  # a migration's id, and nothing after it
SOURCE, TARGET = f"*/source{ONE}", f"*/target{ONE}"
FILES = f"*/target/{LIBRARY}/mstrServices/library/storage/sharedFileStore/files"

CALLS = {
    "login": Call("migrate", "open_run", "POST", f"*/source/{LIBRARY}/auth/login", "log in", ""),
    "login_wait": Call(
        "migrate", "await_prepared", "POST", f"*/source/{LIBRARY}/auth/login", "log in, in the midst of a wait", ""
    ),
    "projects": Call("migrate", "check_batch", "GET", f"*/target/{LIBRARY}/projects", "list the projects", "projects"),
    "create": Call("migrate", "open_run", "POST", f"*/source/{LIBRARY}/migrations", "create the migration", "create"),
    "create_group": Call(
        "group", "open_run", "POST", f"*/source/{LIBRARY}/migrationGroups", "create the group of migrations", "create"
    ),
    "look_made": Call("migrate", "await_prepared", "GET", SOURCE, "wait until the package is made", "record"),
    "aim": Call("migrate", "validate_package", "PATCH", SOURCE, "say where the package is to go", "aim"),
    "validate": Call("migrate", "validate_package", "PUT", f"{TARGET}/validation", "have the target try the import", "validate"),
    "note": Call(
        "migrate", "validate_package", "PATCH", SOURCE, "have the source note the validation", "note_validation", skip=1
    ),
    "look_valid": Call("migrate", "await_validation", "GET", SOURCE, "wait for the end of the validation", "record"),
    "content": Call("migrate", "check_package", "GET", SOURCE, "read what is in the package", "record"),
    "certify": Call(
        "migrate", "certify_package", "PATCH", f"{SOURCE}/packageInfo/certification", "certify the package", "certify"
    ),
    "request": Call("migrate", "lock_package", "PATCH", SOURCE, "request the import", "_ask_for"),
    "approve": Call("migrate", "lock_package", "PATCH", SOURCE, "approve the import", "_ask_for", skip=1),
    "record": Call("migrate", "start_run", "GET", SOURCE, "read the package just before its import", "record"),
    "import": Call("migrate", "start_run", "PUT", TARGET, "import the package", "_import"),
    "import_group": Call("group", "start_run", "PUT", f"*/target/{LIBRARY}/migrationGroups/*", "import the group", "_import"),
    "look_import": Call("migrate", "await_run", "GET", TARGET, "wait for the end of the import", "record"),
    "reported": Call("migrate", "reconcile", "GET", TARGET, "read what the target holds", "record"),
    "delete": Call("migrate", "clean_up", "DELETE", f"*/target/{LIBRARY}/migrations", "delete the migration's record", "_delete"),
    "logout": Call("migrate", "open_run", "POST", "*/auth/logout", "log out", "logout"),
    "failure": Call("undone", "fetch_errors", "GET", TARGET, "read why the import failed", "record"),
    "undo_asked": Call("undone", "undo_run", "PATCH", TARGET, "request the undo", "_ask_for"),
    "undo": Call("undone", "undo_run", "PATCH", TARGET, "approve the undo, which begins it", "undo", skip=1),
    "look_undo": Call("undone", "await_undo", "GET", TARGET, "wait for the end of the undo", "record"),
    "undone": Call("undone", "confirm_undo", "GET", TARGET, "read what the target shows of the undo", "record"),
    "download": Call("file", "upload_batch", "GET", "*/binary", "download the package file", "download"),
    "register": Call("file", "upload_batch", "POST", FILES, "register the package file", "_registered"),
    "upload": Call("file", "upload_batch", "PUT", f"{FILES}/*/binary", "upload the package file", "upload"),
    "import_file": Call("file", "start_run", "POST", f"*/target/{LIBRARY}/migrations", "import the package file", "_import_file"),
    "look_file": Call("file", "await_run", "GET", TARGET, "wait for the end of the file's import", "record"),
    "edit": Call("edit", "edit_run", "PUT", f"{SOURCE}/packageInfo", "edit the migration", "edit"),
    "look_edit": Call("edit", "await_prepared", "GET", SOURCE, "wait until the edited package is made", "record"),
    "said": Call(
        "certify",
        "certify_package",
        "PATCH",
        f"{SOURCE}/packageInfo/certification",
        "change a certification at the source",
        "certify",
    ),
    "synced": Call(
        "sync",
        "sync_certification",
        "PATCH",
        f"{TARGET}/packageInfo/certification",
        "replay a certification on the target",
        "certify",
    ),
}
ENDED = '{"code": "ERR009", "message": "The user\'s session has expired, please reauthenticate"}'
WEATHER = ACTIONS | {"over": {"action": "status", "status": 401, "body": ENDED}}
# One word for each end. `ok`: the batch balances, or its import fails and is undone as its journey has it. `asks`: a person is
# asked whether the import began. All others are red, and the first red task says:
SAYS = {
    "away": r"(could not be reached|gave no whole answer|HTTP 429|session ended before).*may be tried again\.$",
    "who": r"HTTP 40[13]: (Unauthorized|Forbidden)\. Check credentials and permissions of the connection\.$",
    "where": r"is no MicroStrategy Library.*Check the base URL of the connection",
    "login": r"refused the login.*Check user, password and login mode of the connection\.$",
    "twice": r"was lost twice, and (none of that name is there|its record shows none|its record is as it was)",
    "thrice": r"three times and its (record|file store) does not show it",
    "odd": r"not JSON.*Check that the connection's base URL leads to the vendor",
    "proxy": r"answered by something that is not MicroStrategy.*Look for a proxy in between; then clear the task\.$",
    "late": r"did not end within .* Nothing is started again\.$",
}

ONCE = """
              before  after  429+  503   401    403    delay  cut  garbage  over
login         ok      ok     ok    ok    where  where  ok     ok   where    login
login_wait    ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
projects      ok      ok     ok    ok    who    who    ok     ok   odd      ok
create        ok      ok     ok    ok    who    who    ok     ok   ok       ok
create_group  ok      ok     ok    ok    who    who    ok     ok   ok       ok
look_made     ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
aim           ok      ok     ok    ok    who    who    ok     ok   ok       ok
validate      ok      ok     ok    ok    who    who    ok     ok   proxy    ok
note          ok      ok     ok    ok    who    who    ok     ok   ok       ok
look_valid    ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
content       ok      ok     ok    ok    who    who    ok     ok   odd      ok
certify       ok      ok     ok    ok    who    who    ok     ok   ok       ok
request       ok      ok     ok    ok    who    who    ok     ok   ok       ok
approve       ok      ok     ok    ok    who    who    ok     ok   ok       ok
record        ok      ok     ok    ok    who    who    ok     ok   odd      ok
import        asks    ok     ok    asks  who    who    asks   ok   asks     ok
import_group  asks    ok     ok    asks  who    who    asks   ok   asks     ok
look_import   ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
reported      ok      ok     ok    ok    who    who    ok     ok   odd      ok
delete        ok      ok     ok    ok    who    who    ok     ok   proxy    ok
logout        ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
failure       ok      ok     ok    ok    who    who    ok     ok   odd      ok
undo_asked    ok      ok     ok    ok    who    who    ok     ok   ok       ok
undo          ok      ok     ok    ok    who    who    ok     ok   ok       ok
look_undo     ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
undone        ok      ok     ok    ok    who    who    ok     ok   odd      ok
download      ok      ok     ok    ok    who    who    ok     ok   proxy    ok
register      ok      ok     ok    ok    who    who    ok     ok   ok       ok
upload        ok      ok     ok    ok    who    who    ok     ok   proxy    ok
import_file   asks    ok     ok    asks  who    who    asks   ok   asks     asks
look_file     ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
edit          ok      ok     ok    ok    who    who    ok     ok   ok       ok
look_edit     ok      ok     ok    ok    ok     ok     ok     ok   ok       ok
said          ok      ok     ok    ok    who    who    ok     ok   ok       ok
synced        ok      ok     ok    ok    who    who    ok     ok   ok       ok
"""

ALWAYS = """
              before  429+    403     garbage over
login         away    away    where   where   login
login_wait    late    -       where   where   login
projects      away    -       who     odd     away
create        twice   away    who     twice   twice
create_group  twice   -       who     twice   twice
look_made     late    -       who     odd     late
aim           away    -       who     thrice  away
validate      away    -       who     proxy   away
note          away    -       who     thrice  away
look_valid    late    -       who     odd     late
content       away    -       who     odd     away
certify       thrice  -       who     thrice  thrice
request       thrice  -       who     thrice  thrice
approve       thrice  -       who     thrice  thrice
record        away    -       who     odd     away
import        asks    away    who     asks    asks
import_group  asks    -       who     asks    asks
look_import   late    late    who     odd     late
reported      away    -       who     odd     away
delete        away    -       who     proxy   away
logout        ok      ok      ok      ok      ok
failure       away    -       who     odd     away
undo_asked    thrice  -       who     thrice  thrice
undo          twice   -       who     twice   twice
look_undo     late    -       who     odd     late
undone        away    -       who     odd     away
download      away    -       who     proxy   away
register      thrice  -       who     thrice  thrice
upload        away    away    who     proxy   away
import_file   asks    -       who     asks    asks
look_file     late    -       who     odd     late
edit          twice   -       who     twice   twice
look_edit     late    -       who     odd     late
said          thrice  -       who     thrice  thrice
synced        thrice  -       who     thrice  thrice
"""

# For docs/faults.md
CHAPTER = Chapter(
    "microstrategy",
    CALLS,
    grid(ONCE),
    grid(ALWAYS),
    good=dict.fromkeys(("migrate", "group", "file", "edit", "certify", "sync"), "balances") | {"undone": "undone"},
    ends=ENDS
    | {
        "where": Words("red: no Library", "what answers is no MicroStrategy Library; the message says to check the base URL"),
        "login": Words("red: login refused", "the message says what to check: user, password and login mode of the connection"),
        "twice": Words("red: lost twice", "the answer was lost twice, and the Library shows nothing of what was asked for"),
        "thrice": Words(
            "red: asked three times", "asked for three times, and the Library's record or file store does not show it"
        ),
        "proxy": Words("red: a proxy's answer", "something in between has answered; the message says to look for a proxy"),
    },
    faults={"over": Words("session over", "HTTP 401 with the Library's own words for a session that has ended")},
)


def prepare(libraries, journey):
    """The batch `b` of a journey; returns the DAG that moves it."""
    if journey == "migrate":
        libraries.migration(validation=True, certify=True, clean_up=True)
    elif journey == "group":
        libraries.group()
    elif journey == "undone":
        libraries.migration(on_import_failed="undo")
        libraries.switch(fail_import="*")
    elif journey == "file":
        libraries.migration(transport="file")
    else:
        body = {"packageInfo": {"type": "project", "project": {"name": "Sales"}, "tocView": {"settings": {}, "content": []}}}
        certified = {"imported_on": "target", "certified": True} if journey == "sync" else {}
        ref = libraries.made_by_hand(kind="migration", name="by hand", body=body, **certified)
        if journey == "edit":
            libraries.batch("b", {"edit": {"migration": ref}, "packages": [SALES]}, dag=EDIT, connection="microstrategy_source")
            return EDIT
        told = {"migration": ref, "action": "approve"} | ({"replay_on": "microstrategy_target"} if certified else {})
        libraries.batch("b", {"certification": told}, dag=CERTIFY, connection="microstrategy_source")
        return CERTIFY
    return MIGRATE


def play(libraries, driver, names, action, times):
    dag = prepare(libraries, CALLS[names[0]].journey)
    if action == "delay":
        driver.clock.pace = 0.1  # the vendor is late in real time

    def strike(call):
        libraries.fault(call.method, call.path, **WEATHER[action], times=times, skip=call.skip)

    before = {CALLS[name].task: partial(strike, CALLS[name]) for name in names}
    run = driver.play(dag, batch_id="b", before=before)
    libraries.house.late_requests_are_done()
    return run


@pytest.mark.parametrize(("action", "names"), in_passing(ONCE, CALLS))
def test_faults_that_pass_by_themselves(libraries, driver, action, names):
    run = play(libraries, driver, names, action, times=1)
    ends_as(libraries, run, names[0], "ok")
    assert libraries.house.control("GET", "/microstrategy/faults") == [], "each has struck"


@pytest.mark.parametrize(("name", "action", "end"), in_the_end(ONCE, ALWAYS))
def test_one_fault_that_does_not(libraries, driver, name, action, end):
    run = play(libraries, driver, [name], action, times=1)
    ends_as(libraries, run, name, end)


@pytest.mark.parametrize(("name", "action", "end"), cases(ALWAYS))
def test_a_fault_that_lasts_until_somebody_clears_the_red_task(libraries, driver, name, action, end):
    run = play(libraries, driver, [name], action, times=None)
    ends_as(libraries, run, name, end)
    if end == "asks":
        return
    libraries.house.control("DELETE", "/microstrategy/faults")
    if end != "ok":
        driver.clear(run, first_red(run), batch_id="b")
    ends_as(libraries, run, name, "ok")


def ends_as(libraries, run, name, end):
    """The end of a DAG run, and what holds whatever the end."""
    libraries.holds()
    undone, last = CALLS[name].journey == "undone", libraries.last()
    if end == "ok":
        assert (run.state, last.verdict) == (("failed", Verdict.REFUSED) if undone else ("success", Verdict.BALANCED)), run
        assert not undone or last.word == "undo_success"
    elif end == "asks":
        assert (run.state, run.states["confirm_start"], last.verdict) == ("running", "awaiting_input", None), run
    else:
        red = first_red(run)
        assert (run.state, red) == ("failed", CALLS[name].task), run
        assert re.search(SAYS[end], run.errors[red][-1]), run.errors[red][-1]
