"""What is sent to a Library, how often, and what is believed afterwards: the vendor's verbs, played by hand."""

import pytest
from tests.playing import body_of, calls, lost, play, said

from ferry.core.api import Patience
from ferry.core.errors import AnswerLost, NotFound, VendorRefused, VendorUnavailable
from ferry.core.model import Run, RunState
from ferry.core.wire import httpx
from ferry.vendors.microstrategy.api import MicroStrategyApi
from ferry.vendors.microstrategy.library import PAGE, PAUSES, SessionEnded

A, B = "A1" * 16, "B2" * 16
RUN, GROUP, FILE = Run(f"{A}:{B}"), Run(f"migrationGroups/{A}:{B}"), Run("files/bWln:eA==")
ONE, MANY = f"/api/migrations/{A}:{B}", f"/api/migrationGroups/{A}:{B}"
SALES = "C3" * 16
KINDS = pytest.mark.parametrize(("run", "path"), [(RUN, ONE), (GROUP, MANY)], ids=["migration", "group"])


@pytest.fixture
def api():
    return MicroStrategyApi("https://lib.example", patience=Patience(tries=2, seconds=60.0, first=0.0))


def over():
    return said(401, {"code": "ERR009", "message": "The user's session has expired, please reauthenticate"})


def no(status=400, code="ERR006", message="Not in this state."):
    return said(status, {"code": code, "message": message})


def shown(run=RUN, package="created", importing="pending", request="pending", undo="pending", **more):
    """The record, as a migration or as a group of one."""
    halves = {"packageInfo": {"status": package}, "importInfo": {"status": importing}}
    asked = {"importRequestStatus": request, "undoRequestStatus": undo}
    if run is GROUP:
        return said(200, {"id": f"{A}:{B}", "migrations": [halves]} | asked | more)
    halves["importInfo"] |= asked
    return said(200, {"id": f"{A}:{B}"} | halves | more)


def changes(asks):
    return [line for line in calls(asks) if not line.startswith("GET")]


# Once

UNREPEATABLE = {
    "create": lambda api: api.create({"packageInfo": {}}, "migration", SALES),
    "create group": lambda api: api.create({"migrations": []}, "group"),
    "reuse": lambda api: api.reuse(A, {}, SALES),
    "edit": lambda api: api.edit(RUN, {}, SALES),
    "edit group": lambda api: api.edit(GROUP, {}),
    "import": lambda api: api.import_run(RUN, {}, SALES),
    "import group": lambda api: api.import_run(GROUP, {}),
    "import file": lambda api: api.import_file(FILE, {}, SALES),
    "undo": lambda api: api.undo(RUN, SALES),
    "undo group": lambda api: api.undo(GROUP),
}
EVERY = pytest.mark.parametrize("verb", UNREPEATABLE.values(), ids=UNREPEATABLE)
LOST = {
    "timeout": lost(),
    "hung up": lost(httpx.RemoteProtocolError),
    "500": said(500),
    "504": said(504, raw=b"<html>"),
    "408": said(408),
}


@EVERY
@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
def test_what_must_happen_once_is_not_sent_again_when_its_answer_was_lost(api, verb, answer):
    with pytest.raises(AnswerLost) as caught:
        play(verb(api), answer)
    assert len(caught.value.asks) == 1


@EVERY
def test_a_connection_that_was_never_made_is_no_lost_answer(api, verb):
    with pytest.raises(VendorUnavailable, match="nothing was sent"):
        play(verb(api), lost(httpx.ConnectError), lost(httpx.ConnectError))


@EVERY
def test_a_clear_no_is_told_at_once(api, verb):
    with pytest.raises(VendorRefused, match=r"HTTP 400: ERR006: Not in this state\. Correct what it names"):
        play(verb(api), no())


@pytest.mark.parametrize("name", ["create", "create group", "reuse", "import file", "import", "import group"])
@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b'"x"', b'{"migrations": []}', b'{"id": "x", "migrations": [5]}'])
def test_an_answer_that_names_nothing_counts_as_lost(api, name, raw):
    with pytest.raises(AnswerLost, match="looked up"):
        play(UNREPEATABLE[name](api), said(201, raw=raw))


@pytest.mark.parametrize("name", ["create", "create group", "reuse", "edit", "edit group", "import file", "undo", "undo group"])
def test_a_session_that_ends_under_a_call_leaves_the_decision_to_who_can_look(api, name):
    with pytest.raises(SessionEnded) as caught:
        play(UNREPEATABLE[name](api), over())
    assert len(caught.value.asks) == 1


# Headers and bodies


@pytest.mark.parametrize("name", [name for name in UNREPEATABLE if "group" not in name])
def test_what_concerns_a_project_names_it_in_the_header(api, name):
    ask = next(UNREPEATABLE[name](api))
    assert ask.request.headers["X-MSTR-ProjectID"] == SALES
    assert ask.request.headers["Prefer"] == "respond-async"


CONFIGURATION = {
    "create": lambda api: api.create({}, "migration"),
    "reuse": lambda api: api.reuse(A, {}),
    "edit": lambda api: api.edit(RUN, {}),
    "import": lambda api: api.import_run(RUN, {}),
    "undo": lambda api: api.undo(RUN),
    "validate": lambda api: api.validate(RUN, {}),
    "create group": lambda api: api.create({}, "group", SALES),
    "edit group": lambda api: api.edit(GROUP, {}, SALES),
    "import group": lambda api: api.import_run(GROUP, {}, SALES),
    "undo group": lambda api: api.undo(GROUP, SALES),
}


@pytest.mark.parametrize("verb", CONFIGURATION.values(), ids=CONFIGURATION)
def test_configuration_packages_and_groups_have_no_project_header(api, verb):
    assert "X-MSTR-ProjectID" not in next(verb(api)).request.headers


def test_a_new_migration_is_known_by_its_id_and_a_new_group_by_its_path(api):
    brief = {"id": f"{A}:{B}", "packageInfo": {"status": "creating", "progress": 0.0}, "importInfo": {}}
    migration, _ = play(api.create({}, "migration"), said(201, brief))
    group, _ = play(api.create({}, "group"), said(201, {"id": f"{A}:{B}", "migrations": [brief]}))
    assert [(run.ref, run.state, run.word) for run in (migration, group)] == [
        (RUN.ref, RunState.RUNNING, "creating"),
        (GROUP.ref, RunState.RUNNING, "creating"),
    ]


def test_an_import_from_a_file_is_not_over_because_its_package_is_locked(api):
    """The record is born locked and approved, and importing [D]: the first two say nothing of the import."""
    brief = {"id": f"{A}:{B}", "packageInfo": {"status": "locked"}, "importInfo": {"status": "importing"}}
    run, asks = play(api.import_file(FILE, {"environment": {}}, SALES), said(201, brief))
    assert (run.ref, run.state, run.word) == (RUN.ref, RunState.QUEUED, "importing")
    assert body_of(asks[0])["packageInfo"] == {
        "storage": {"sharedFileStore": {"files": {"id": "bWln:eA=="}}},
        "purpose": "migration_from_shared_file_store",
    }


def test_a_reuse_names_the_package_in_the_query_and_only_the_import_in_the_body(api):
    run, asks = play(
        api.reuse(A, {"environment": {"id": "t"}}), said(201, {"id": f"{A}:{B}", "packageInfo": {"status": "locked"}})
    )
    assert calls(asks) == [f"POST /api/migrations?packageId={A}"]
    assert body_of(asks[0]) == {"importInfo": {"environment": {"id": "t"}}}
    assert run.ref == RUN.ref


@KINDS
@pytest.mark.parametrize(("keep", "told"), [(True, "true"), (False, "false")])
def test_an_import_says_whether_to_keep_an_undo(api, run, path, keep, told):
    seen, asks = play(api.import_run(run, {"x": 1}, keep_undo=keep), said(202, {"importInfo": {"status": "importing"}}))
    assert calls(asks) == [f"PUT {path}?generateUndo={told}"]
    assert (seen.ref, seen.state, seen.word, body_of(asks[0])) == (run.ref, RunState.QUEUED, "importing", {"x": 1})


def test_an_edit_goes_to_the_package_and_the_edit_of_a_group_to_the_group(api):
    (one, asks), (many, more) = play(api.edit(RUN, {}), said(202, raw=b"")), play(api.edit(GROUP, {}), said(200, {}))
    assert (calls(asks), calls(more)) == ([f"PUT {ONE}/packageInfo"], [f"PUT {MANY}"])
    assert {(run.state, run.word) for run in (one, many)} == {(RunState.RUNNING, "creating")}


# An import whose session ended


@KINDS
@pytest.mark.parametrize("there", ["nothing", "pending"])
def test_an_import_that_was_not_heard_is_sent_again_once_the_record_says_so(api, run, path, there):
    record = no(404, "ERR004", "The migration was not found.") if there == "nothing" else shown(run)
    looks = [record] * len(PAUSES)
    seen, asks = play(api.import_run(run, {}), over(), *looks, said(201, {"importInfo": {"status": "importing"}}))
    line = f"PUT {path}?generateUndo=true"
    assert calls(asks) == [line, *[f"GET {path}"] * len(PAUSES), line]
    assert tuple(ask.wait for ask in asks[1:-1]) == PAUSES
    assert seen.state is RunState.QUEUED


@KINDS
@pytest.mark.parametrize("word", ["importing", "imported", "import_failed", "merging"])
def test_an_import_that_was_heard_is_not_sent_again(api, run, path, word):
    seen, asks = play(api.import_run(run, {}), over(), shown(run, "locked", word))
    assert calls(asks) == [f"PUT {path}?generateUndo=true", f"GET {path}"]
    assert (seen.ref, seen.word) == (run.ref, word)


@KINDS
@pytest.mark.parametrize("late", range(1, len(PAUSES)))
def test_an_import_that_shows_late_is_not_sent_again(api, run, path, late):
    looks = [shown(run)] * late
    seen, asks = play(api.import_run(run, {}), over(), *looks, shown(run, "locked", "importing"))
    assert (len(changes(asks)), len(asks)) == (1, late + 2)
    assert (seen.ref, seen.state) == (run.ref, RunState.RUNNING)


def test_an_import_whose_session_ends_twice_is_left_to_who_can_look(api):
    with pytest.raises(AnswerLost) as caught:
        play(api.import_run(RUN, {}), over(), *[shown()] * len(PAUSES), over())
    assert len(changes(caught.value.asks)) == 2


def test_an_import_keeps_its_undo_wish_when_it_is_sent_again(api):
    _, asks = play(
        api.import_run(RUN, {"x": 1}, SALES, keep_undo=False), over(), *[shown()] * len(PAUSES), said(201, {"importInfo": {}})
    )
    first, again = (ask.request for ask in asks if ask.request.method == "PUT")
    assert (first.url, first.headers["X-MSTR-ProjectID"]) == (again.url, again.headers["X-MSTR-ProjectID"])


def test_an_import_is_not_sent_again_while_the_record_cannot_be_read(api):
    with pytest.raises(VendorUnavailable) as caught:
        play(api.import_run(RUN, {}), over(), said(503), said(503))
    assert len(changes(caught.value.asks)) == 1


# Found again


def rows(*names, total=None, group=False):
    made = [{"id": f"{n}:x", "name": n} if group else {"id": f"{n}:x", "packageInfo": {"name": n}} for n in names]
    return said(200, {"data": made} | ({} if total is None else {"total": total}))


def test_a_migration_is_looked_for_under_every_purpose_on_every_page(api):
    first, second = [f"n{i}" for i in range(PAGE)], ["wanted", "other"]
    found, asks = play(api.find("wanted", "migration"), rows(*first, total=PAGE + 2), rows(*second, total=PAGE + 2))
    assert found.ref == "wanted:x"
    asked = [dict(ask.request.url.params) for ask in asks]
    assert [(one["offset"], one["limit"]) for one in asked] == [("0", "1000"), ("1000", "1000")]
    assert {one["packageInfo.purpose"] for one in asked} == {
        "object_migration,project_merge,migration_group,migration_group_child,migration_from_shared_file_store"
    }


def test_a_group_is_looked_for_by_its_own_name(api):
    found, asks = play(api.find("wanted", "group"), rows("other", "wanted", total=2, group=True))
    assert found.ref == "migrationGroups/wanted:x"
    assert calls(asks) == ["GET /api/migrationGroups?offset=0&limit=1000"]


@pytest.mark.parametrize("total", [None, "many"])
def test_a_full_page_is_not_the_last_where_the_library_gives_no_total(api, total):
    full = rows(*[f"n{i}" for i in range(PAGE)], total=total)
    assert play(api.find("wanted", "migration"), full, rows("wanted", total=total))[0].ref == "wanted:x"


@pytest.mark.parametrize("page", [rows(total=0), rows("wanted too", " wanted", "Wanted", total=3), rows(total=7), rows()])
def test_only_the_very_name_is_found(api, page):
    assert play(api.find("wanted", "migration"), page)[0] is None


def test_what_a_lost_call_may_have_made_is_looked_for_over_a_minute(api):
    nothing = rows(total=0)
    found, asks = play(api.look_for("wanted", "migration"), nothing, nothing, nothing, rows("wanted", total=1))
    assert found.ref == "wanted:x"
    assert tuple(ask.wait for ask in asks) == PAUSES
    assert sum(PAUSES) >= 60
    assert play(api.look_for("wanted", "migration"), *[nothing] * len(PAUSES))[0] is None


# Delete


@pytest.mark.parametrize(("run", "line"), [(RUN, f"migrations?packageId={A}"), (GROUP, f"migrationGroups?packageGroupId={A}")])
@pytest.mark.parametrize("answer", [said(204), no(404, "ERR006"), no(404, "ERR0006"), no(404, "ERR004"), said(404)])
def test_a_delete_names_the_package_half_and_what_is_gone_is_as_good(api, run, line, answer):
    value, asks = play(api.delete(run), answer)
    assert value is None
    assert calls(asks) == [f"DELETE /api/{line}"]


@pytest.mark.parametrize("verb", [lambda api: api.delete(RUN), lambda api: api.delete_file(FILE)], ids=["record", "file"])
def test_a_library_that_knows_no_such_call_has_deleted_nothing(api, verb):
    with pytest.raises(NotFound, match="too old for this, or whose base URL is not this one"):
        play(verb(api), no(404, "ERR004", "HTTP 404 Not Found"))


def test_a_delete_of_what_is_busy_is_refused_in_the_vendors_words(api):
    with pytest.raises(VendorRefused, match="The migration is importing"):
        play(api.delete(RUN), no(400, "ERR006", "The migration is importing."))


def test_an_uploaded_file_is_deleted_by_its_whole_id(api):
    assert calls(play(api.delete_file(FILE), said(204))[1]) == [
        "DELETE /api/mstrServices/library/storage/sharedFileStore/files/bWln%3AeA%3D%3D"
    ]
