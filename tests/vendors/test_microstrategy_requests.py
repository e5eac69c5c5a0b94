"""What is asked for again until the record shows it: import and undo requests, certifications, validations; and files."""

import pytest
from tests.playing import body_of, calls, lost, play, said

from ferry.core.api import Patience
from ferry.core.errors import AnswerLost, NotFound, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.model import Run, RunState
from ferry.vendors.microstrategy.api import MicroStrategyApi
from ferry.vendors.microstrategy.library import PAUSES

A, B = "A1" * 16, "B2" * 16
RUN, GROUP, FILE = Run(f"{A}:{B}"), Run(f"migrationGroups/{A}:{B}"), Run("files/bWln:eA==")
ONE, MANY = f"/api/migrations/{A}:{B}", f"/api/migrationGroups/{A}:{B}"
FILES = "/api/mstrServices/library/storage/sharedFileStore/files"
KINDS = pytest.mark.parametrize(("run", "path"), [(RUN, ONE), (GROUP, MANY)], ids=["migration", "group"])


@pytest.fixture
def api():
    return MicroStrategyApi("https://lib.example", patience=Patience(tries=2, seconds=60.0, first=0.0))


def over():
    return said(401, {"code": "ERR009", "message": "The user's session has expired, please reauthenticate"})


def no(message="Not in this state."):
    return said(400, {"code": "ERR006", "message": message})


def shown(run=RUN, request="pending", undo="pending", words=("imported",), certified=None):
    """The record, as a migration or as a group with a member for each word."""
    asked = {"importRequestStatus": request, "undoRequestStatus": undo}
    told = {"certification": certified} if certified else {}
    if run is GROUP:
        every = [{"packageInfo": {"status": "created"}, "importInfo": {"status": word}} for word in words]
        return said(200, {"id": f"{A}:{B}", "migrations": every} | asked | told)
    return said(200, {"packageInfo": {"status": "created"} | told, "importInfo": {"status": words[0]} | asked})


def changes(asks):
    return [body_of(ask) for ask in asks if ask.request.method == "PATCH"]


def asked_for(run, word, request="importRequestStatus"):
    return {request: word} if run is GROUP else {"importInfo": {request: word}}


# Locking


@KINDS
def test_an_import_is_requested_and_then_approved_in_the_shape_of_its_kind(api, run, path):
    request = [shown(run), said(200, {}), shown(run, "requested")]
    approval = [shown(run, "requested"), said(202), shown(run, "approved")]
    record, asks = play(api.lock(run), shown(run), *request, *approval, shown(run, "approved"))
    assert changes(asks) == [asked_for(run, "requested"), asked_for(run, "approved")]
    assert {ask.request.url.path for ask in asks} == {path}
    assert calls(asks)[-1] == f"GET {path}?showContent=all"
    assert record["id" if run is GROUP else "packageInfo"]


@KINDS
def test_what_is_requested_already_is_only_approved(api, run, path):
    _, asks = play(api.lock(run), *[shown(run, "requested")] * 3, said(200), *[shown(run, "approved")] * 2)
    assert changes(asks) == [asked_for(run, "approved")]


@KINDS
def test_what_is_approved_already_is_left_alone(api, run, path):
    assert changes(play(api.lock(run), *[shown(run, "approved")] * 4)[1]) == []


@pytest.mark.parametrize("answer", [lost(), said(500), over(), no()], ids=["lost", "500", "session over", "refused"])
def test_whether_a_request_arrived_is_read_in_the_record_and_not_in_the_answer(api, answer):
    requested, approved = shown(RUN, "requested"), shown(RUN, "approved")
    _, asks = play(api.lock(RUN), shown(), shown(), answer, requested, requested, answer, approved, approved)
    assert len(changes(asks)) == 2


def test_a_request_that_did_not_arrive_is_sent_again(api):
    looks = [shown(), shown(), lost(), shown(), over(), shown(), said(200), shown(RUN, "requested")]
    _, asks = play(api.lock(RUN), *looks, *[shown(RUN, "approved")] * 2)
    assert changes(asks) == [asked_for(RUN, "requested")] * 3


def test_a_request_that_never_shows_is_given_up_and_may_be_tried_later(api):
    with pytest.raises(VendorUnavailable, match=r"asked to set importRequestStatus to requested three times .* does not show it"):
        play(api.lock(RUN), shown(), shown(), said(200), shown(), lost(), shown(), said(200), shown())


def test_a_refused_approval_is_told_in_the_vendors_words_once_the_record_agrees(api):
    with pytest.raises(VendorRefused, match="The package is not created") as caught:
        play(api.lock(RUN), *[shown(RUN, "requested")] * 3, no("The package is not created."), shown(RUN, "requested"))
    assert len(changes(caught.value.asks)) == 1


@pytest.mark.parametrize("word", ["", "pending", "unknown", "escalated"])
def test_any_other_word_means_that_it_has_to_be_requested(api, word):
    exchange = api.lock(RUN)
    next(exchange)
    exchange.send(shown(RUN, word)(next(api.record(RUN))))
    ask = exchange.send(shown(RUN, word)(next(api.record(RUN))))
    assert body_of(ask) == asked_for(RUN, "requested")


@KINDS
def test_an_import_that_somebody_rejected_is_a_no_that_stays(api, run, path):
    with pytest.raises(
        VendorRefused, match=r"^Somebody rejected the import of .* in Workstation\. Nothing was requested"
    ) as caught:
        play(api.lock(run), shown(run, "rejected"))
    assert calls(caught.value.asks) == [f"GET {path}"]
    assert not caught.value.retry_later


def test_a_request_that_is_rejected_while_it_is_approved_is_told_in_the_vendors_words(api):
    looks = [shown(RUN, "requested"), shown(RUN, "requested"), shown(RUN, "requested"), no("It was rejected.")]
    with pytest.raises(VendorRefused, match=r"It was rejected\."):
        play(api.lock(RUN), *looks, shown(RUN, "rejected"))


# Undo


@pytest.mark.parametrize("run", [RUN, GROUP], ids=["migration", "group"])
@pytest.mark.parametrize(("undo", "word"), [("pending", "imported"), ("pending", "import_failed"), ("approved", "undo_failed")])
def test_an_undo_is_requested_and_anew_after_one_that_failed(api, run, undo, word):
    record, requested = shown(run, undo=undo, words=(word,)), shown(run, undo="requested", words=(word,))
    _, asks = play(api.request_undo(run), record, record, said(200), requested)
    assert changes(asks) == [asked_for(run, "requested", "undoRequestStatus")]


@pytest.mark.parametrize("run", [RUN, GROUP], ids=["migration", "group"])
@pytest.mark.parametrize(
    ("undo", "word"),
    [("requested", "imported"), ("requested", "undo_failed"), ("approved", "undoing"), ("approved", "undo_success")],
)
def test_an_undo_that_is_requested_or_under_way_is_left_alone(api, run, undo, word):
    record = shown(run, undo=undo, words=(word,))
    assert changes(play(api.request_undo(run), record, record)[1]) == []


def test_an_undo_that_failed_for_one_member_of_a_group_is_asked_for_anew(api):
    words = ("undo_success", "undo_failed")
    record = shown(GROUP, undo="approved", words=words)
    _, asks = play(api.request_undo(GROUP), record, record, said(202), shown(GROUP, undo="requested", words=words))
    assert changes(asks) == [{"undoRequestStatus": "requested"}]


def test_an_undo_that_is_still_at_work_on_another_member_is_not_asked_for_anew(api):
    record = shown(GROUP, undo="approved", words=("undo_failed", "undoing"))
    assert changes(play(api.request_undo(GROUP), record, record)[1]) == []


@KINDS
def test_an_undo_is_approved_once(api, run, path):
    seen, asks = play(api.undo(run), said(202, raw=b""))
    assert changes(asks) == [asked_for(run, "approved", "undoRequestStatus")]
    assert (seen.state, seen.word, calls(asks)) == (RunState.RUNNING, "undoing", [f"PATCH {path}"])


@KINDS
def test_an_approval_whose_session_ended_is_left_to_who_can_look(api, run, path):
    with pytest.raises(AnswerLost) as caught:
        play(api.undo(run), over())
    assert calls(caught.value.asks) == [f"PATCH {path}"]


@pytest.mark.parametrize("answer", [said(200, raw=b"<html>"), said(202, raw=b"[]")], ids=["page", "list"])
def test_an_approval_that_something_else_answered_counts_as_lost(api, answer):
    with pytest.raises(AnswerLost, match="answered by something that is not MicroStrategy"):
        play(api.undo(RUN), answer)


@KINDS
def test_a_lost_approval_is_believed_when_the_record_shows_it(api, run, path):
    found, asks = play(api.look_for_undo(run), shown(run, undo="requested"), shown(run, undo="approved", words=("undoing",)))
    assert (found.ref, found.state, found.word) == (run.ref, RunState.RUNNING, "undoing")
    assert calls(asks) == [f"GET {path}"] * 2
    assert [ask.wait for ask in asks] == list(PAUSES[:2])


def test_a_lost_approval_is_forgotten_after_a_minute_of_looking(api):
    assert play(api.look_for_undo(RUN), *[shown(undo="requested")] * len(PAUSES))[0] is None


# Certification

DONE = {
    "status": "certified",
    "operator": {"id": "u", "name": "administrator"},
    "lastUpdatedDate": "2026-11-01T00:00:00.000+0000",
}


@pytest.mark.parametrize(
    ("run", "line", "body"),
    [
        (RUN, f"PATCH {ONE}/packageInfo/certification", {"packageInfo": {"certification": {"status": "certified"}}}),
        (GROUP, f"PATCH {MANY}/certification", {"status": "certified"}),
    ],
    ids=["migration", "group"],
)
def test_a_certification_is_nested_for_a_migration_and_flat_for_a_group(api, run, line, body):
    there = shown(run, certified=DONE)
    found, asks = play(api.certify(run, {"status": "certified"}), shown(run), said(204), there, there)
    assert (calls(asks)[1], changes(asks), found) == (line, [body], DONE)
    assert asks[1].request.headers["Prefer"] == "respond-async"


def test_a_certification_on_a_target_names_operator_and_date(api):
    there = shown(certified=DONE)
    _, asks = play(api.certify(RUN, DONE), shown(), said(204), there, there)
    assert changes(asks) == [{"packageInfo": {"certification": DONE}}]


@KINDS
def test_a_certification_that_the_vendor_carries_over_has_an_empty_body(api, run, path):
    there = shown(run, certified=DONE)
    _, asks = play(api.certify(run, DONE, auto_sync=True), shown(run), said(204), there, there)
    assert changes(asks) == [{}]
    assert calls(asks)[1].endswith("/certification?autoSync=true")


@pytest.mark.parametrize(
    ("there", "status"), [(DONE, "certified"), (None, "uncertified"), ({"status": "uncertified"}, "uncertified")]
)
def test_a_certification_that_stands_already_is_not_sent(api, there, status):
    record = shown(certified=there)
    assert changes(play(api.certify(RUN, {"status": status}), record, record)[1]) == []


@pytest.mark.parametrize("answer", [lost(), over(), no(), said(204, raw=b"not JSON")])
def test_a_certification_is_read_in_the_record_and_its_answer_is_not_parsed(api, answer):
    there = shown(certified=DONE)
    assert play(api.certify(RUN, {"status": "certified"}), shown(), answer, there, there)[0] == DONE


# Validation


def test_a_migration_is_aimed_at_its_target(api):
    record, asks = play(api.aim(RUN, {"project": {"id": "p"}}), said(200, {}), shown())
    assert calls(asks) == [f"PATCH {ONE}", f"GET {ONE}?showContent=all"]
    assert changes(asks) == [{"importInfo": {"project": {"id": "p"}}}]
    assert record["importInfo"]


def test_a_validation_is_asked_of_the_target_with_its_project_in_the_header(api):
    _, (ask,) = play(api.validate(RUN, {"id": "x"}, "D4" * 16), said(202))
    assert calls([ask]) == [f"PUT {ONE}/validation"]
    assert (ask.request.headers["X-MSTR-ProjectID"], ask.request.headers["Prefer"]) == ("D4" * 16, "respond-async")


@pytest.mark.parametrize("answer", [said(200, {}), lost(), over()], ids=["heard", "lost", "session over"])
@pytest.mark.parametrize("before", [{}, {"status": "validation_failed"}], ids=["the first", "another"])
def test_the_source_is_told_of_a_validation_until_its_record_shows_it(api, answer, before):
    there, after = said(200, {"validation": before}), said(200, {"validation": {"status": "validating"}})
    _, asks = play(api.note_validation(RUN), there, there, answer, after)
    assert changes(asks) == [{"validation": {"status": "validating"}}]


@pytest.mark.parametrize("answer", [lost(), said(500), over()])
def test_a_validation_commits_nothing_and_may_be_asked_for_again(api, answer):
    assert len(play(api.validate(RUN, {}), answer, said(202))[1]) == 2


@pytest.mark.parametrize(
    ("told", "state", "word"),
    [
        ({}, RunState.RUNNING, ""),
        ({"validation": {"status": "validating"}}, RunState.RUNNING, "validating"),
        ({"validation": {"status": "validated", "progress": 100}}, RunState.SUCCEEDED, "validated"),
        ({"validation": {"status": "validation_failed", "message": "m"}}, RunState.FAILED_CLEAN, "validation_failed"),
        ({"validation": {"status": "postponed"}}, RunState.RUNNING, "postponed"),
    ],
)
def test_a_validation_is_over_when_its_own_status_says_so(api, told, state, word):
    seen, _ = play(api.look_validated(RUN), said(200, {"packageInfo": {"status": "created"}} | told))
    assert (seen.state, seen.word) == (state, word)


# Files

ABOUT = {"name": "b.1 abc", "type": "migrations.packages", "size": 4, "sha256": "0" * 64, "extension": "mmp"}


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "package.mmp"
    path.write_bytes(b"four")
    return path


def files(*there):
    return said(200, {"total": len(there), "data": list(there)})


MINE = {"id": "bWln:eA==", "name": "b.1 abc"}


@pytest.mark.parametrize("answer", [said(200, MINE), said(201), lost(), over(), said(200, raw=b"<html>")])
def test_a_new_file_is_registered_once_found_by_its_name_and_filled(api, package, answer):
    run, asks = play(api.upload(package, ABOUT), files(), answer, files(MINE), said(200))
    list_, place = f"GET {FILES}?offset=0&limit=1000&type=migrations.packages", f"{FILES}/bWln%3AeA%3D%3D/binary"
    assert run == FILE
    assert calls(asks) == [list_, f"POST {FILES}", list_, f"PUT {place}"]
    assert body_of(asks[1]) == ABOUT


def test_a_file_of_that_name_is_filled_again_and_not_registered_twice(api, package):
    _, asks = play(api.upload(package, ABOUT), files({"id": "o", "name": "other"}, {"id": "k", "name": "b.1 abc"}), said(200))
    assert calls(asks)[1:] == [f"PUT {FILES}/k/binary"]


@pytest.mark.parametrize("trouble", [lost(), said(503), over()])
def test_an_upload_that_broke_begins_again_from_the_first_byte(api, package, trouble):
    sent = []

    def read(answer):
        return lambda ask: sent.append(ask.request.read()) or answer(ask)

    play(api.upload(package, ABOUT), files({"id": "k", "name": "b.1 abc"}), read(trouble), read(said(200)))
    assert [b'name="file"; filename="b.1 abc"' in form and b"\r\nfour\r\n" in form for form in sent] == [True, True]


def test_a_file_that_never_shows_is_given_up_and_may_be_tried_later(api, package):
    with pytest.raises(VendorUnavailable, match="asked to register package file three times and its file store") as caught:
        play(api.upload(package, ABOUT), *[files(), said(200, {})] * 3, files())
    assert caught.value.retry_later
    assert [ask.request.method for ask in caught.value.asks] == ["GET", "POST"] * 3 + ["GET"]


def test_a_file_that_shows_only_after_the_third_time_is_believed(api, package):
    run, asks = play(api.upload(package, ABOUT), files(), lost(), files(), over(), files(), said(500), files(MINE), said(200))
    assert run == FILE
    assert [ask.request.method for ask in asks] == [*["GET", "POST"] * 3, "GET", "PUT"]


def test_a_registration_that_is_refused_is_told_at_once(api, package):
    with pytest.raises(VendorRefused, match="Not in this state") as caught:
        play(api.upload(package, ABOUT), files(), no())
    assert len(caught.value.asks) == 2


def test_the_import_of_a_file_is_found_by_the_files_name(api):
    there = files({"id": "bWln:eA==", "name": "b.1 abc", "extraInfo": {"packageId": "PKG"}})
    row = {"id": f"{A}:{B}", "packageInfo": {"id": "PKG", "name": "b.1 abc"}, "importInfo": {"status": "importing"}}
    seen, asks = play(
        api.look_started(FILE), there, said(200, {"total": 2, "data": [{"id": "o", "packageInfo": {"name": "o"}}, row]})
    )
    assert (seen.ref, seen.state, seen.word) == (RUN.ref, RunState.RUNNING, "importing")
    assert "packageInfo.purpose=migration_from_shared_file_store" in calls(asks)[1]


@pytest.mark.parametrize("verb", ["look", "look_started"])
def test_an_import_of_the_same_package_under_another_name_is_another_batchs(api, verb):
    """The vendor knows a package by its id wherever it went; the file's name is this attempt's alone [A]."""
    there = files({"id": "bWln:eA==", "name": "b.1 abc", "extraInfo": {"packageId": "PKG"}})
    row = {"id": f"{A}:{B}", "packageInfo": {"id": "PKG", "name": "renamed"}, "importInfo": {"status": "imported"}}
    exchange = getattr(api, verb)(FILE)
    answers = [there, said(200, {"total": 1, "data": [row]})]
    if verb == "look":
        with pytest.raises(NotFound, match=r"shows no import of the package file files/bWln:eA== \(yet\)"):
            play(exchange, *answers)
    else:
        assert play(exchange, *answers)[0].state is RunState.QUEUED


def test_the_import_of_a_file_is_awaited_by_the_files_name(api):
    row = {"id": f"{A}:{B}", "packageInfo": {"name": "b.1 abc"}, "importInfo": {"status": "imported"}}
    seen, _ = play(api.look(FILE), files(MINE), said(200, {"total": 1, "data": [row]}))
    assert (seen.ref, seen.state) == (RUN.ref, RunState.SUCCEEDED)


@pytest.mark.parametrize("looks", [[files()], [files({"id": "bWln:eA==", "name": "n"}), said(200, {"total": 0, "data": []})]])
def test_a_file_that_nobody_has_imported_waits(api, looks):
    seen, _ = play(api.look_started(FILE), *looks)
    assert (seen.ref, seen.state) == (FILE.ref, RunState.QUEUED)


def test_a_package_is_downloaded_by_its_own_half_of_the_id(api, tmp_path):
    named = {"Content-Disposition": "attachment; filename=p.mmp"}
    saved, asks = play(api.download(RUN, tmp_path / "p.mmp"), said(200, file=b"four", headers=named))
    assert (calls(asks), saved.size) == ([f"GET /api/migrations/packages/{A}/binary"], 4)


def test_a_download_that_names_no_file_is_no_package_and_is_thrown_away(api, tmp_path):
    with pytest.raises(VendorNonsense, match="names no file"):
        play(api.download(RUN, tmp_path / "p.mmp"), said(200, file=b"<html>"))
    assert list(tmp_path.iterdir()) == []
