"""Fenergo's quirks: the shapes its pages contradict each other about, fed by hand."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferry.core.api import Patience
from ferry.core.errors import AnswerLost, FerryError, NotFound, VendorError, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.exchange import SAVED, Saved
from ferry.core.model import Receipt, Run, RunState
from ferry.core.wire import httpx
from ferry.vendors.fenergo.api import FenergoApi
from ferry.vendors.fenergo.shapes import Artifact, TooManyRows, UploadStyle, Words, messages

BASE, RUN = "https://api.example", Run("5d0c0000-0000-0000-0000-000000000000", word="Created")
QUERY, V1, V2 = f"{BASE}/datamigrationquery/api", f"{BASE}/datamigrationcommand/api", f"{BASE}/datamigrationcommand/api/v2"
LINK = "https://bucket.s3.amazonaws.com/k?X-Amz-Signature=abc"


def api(**how):
    return FenergoApi(BASE, patience=Patience(tries=2, seconds=60.0, first=0.0), **how)


def said(status=200, body=None, *, raw=None, file=None):
    """An answer as the driver would hand it in; `file` is a download."""

    def made(ask):
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        answer = httpx.Response(status, content=content, request=ask.request)
        if file is not None and ask.save_to and answer.is_success:
            ask.save_to.write_bytes(file)
            answer.extensions[SAVED] = Saved(ask.save_to, len(file), "0" * 64)
        return answer

    return made


def data(value, status=200):
    return said(status, {"data": value, "messages": None})


def play(exchange, *answers):
    """Answer asks in order; returns what the exchange returns, and the asks."""
    left, asks = list(answers), []
    try:
        ask = next(exchange)
        while True:
            asks.append(ask)
            ask = exchange.send(left.pop(0)(ask))
    except StopIteration as end:
        assert left == []
        return end.value, asks
    except FerryError as error:
        error.asks = asks  # type: ignore[attr-defined]
        raise


def calls(asks):
    return [(ask.request.method, str(ask.request.url)) for ask in asks]


# Versions


@pytest.mark.parametrize(
    ("version", "product", "body", "root"),
    [
        ("v2", None, {"data": {"jurisdiction": "Migration"}}, V2),
        ("v2", "Global", {"data": {"jurisdiction": "Migration", "productJurisdiction": "Global"}}, V2),
        ("v1", None, {"data": {"jurisdictions": ["Migration"]}}, V1),
    ],
)
def test_a_migration_is_created_in_the_words_of_its_version(version, product, body, root):
    run, asks = play(api(version=version).create("Migration", product), data(RUN.ref, 202))
    assert run.ref == RUN.ref
    assert calls(asks) == [("POST", f"{root}/migration")]
    assert json.loads(asks[0].request.content) == body


@pytest.mark.parametrize("answer", [data(None, 202), data("", 202), data({"id": "x"}, 202), data(5, 202), said(202)])
def test_a_migration_without_an_id_is_nonsense(answer):
    with pytest.raises(VendorNonsense, match="gave no id"):
        play(api().create("Migration"), answer)


def test_v2_uploads_over_a_signed_link_without_credentials(tmp_path):
    source = tmp_path / "company.csv"
    source.write_bytes(b"four")
    receipt = Receipt("Company", "company.csv", 4, "ab")
    got, asks = play(api().upload(RUN, source, "company.csv", receipt), data(LINK, 202), said())
    assert got == receipt
    assert calls(asks) == [("PUT", f"{V2}/migration/{RUN.ref}/add-file"), ("PUT", LINK)]
    assert json.loads(asks[0].request.content) == {"data": {"fileName": "company.csv", "tableName": "Company"}}
    assert [ask.anonymous for ask in asks] == [False, True]
    assert asks[1].request.headers["content-length"] == "4"
    assert asks[1].request.headers["content-type"] == "text/csv"


def test_v1_uploads_the_file_itself_as_a_form_and_again_from_its_beginning(tmp_path):
    source = tmp_path / "company.csv"
    source.write_bytes(b'"alternateId"\n"C1"\n')
    forms = []

    def read(answer):
        return lambda ask: forms.append(ask.request.read().decode()) or answer(ask)

    upload = api(version="v1").upload(RUN, source, "company.csv", Receipt("Company", "company.csv", 19, "ab"))
    _, asks = play(upload, read(said(503)), read(data(RUN.ref, 202)))
    assert calls(asks) == [("PUT", f"{V1}/migration/{RUN.ref}/add-file")] * 2
    for form in forms:
        assert 'name="Data.TableName"\r\n\r\nCompany' in form
        assert 'name="Data.File"; filename="company.csv"' in form
        assert '"C1"' in form


STYLES = [(UploadStyle("POST", None), "POST", None), (UploadStyle("PUT", "a/b"), "PUT", "a/b")]


@pytest.mark.parametrize(("style", "verb", "kind"), STYLES)
def test_verb_and_content_type_of_uploads_are_settings(tmp_path, style, verb, kind):
    source = tmp_path / "f"
    source.write_bytes(b"x")
    _, asks = play(api(uploads=style).upload(RUN, source, "f", Receipt("T", "f", 1, "")), data(LINK), said())
    assert (asks[1].request.method, asks[1].request.headers.get("content-type")) == (verb, kind)


def test_an_expired_link_is_asked_for_again(tmp_path):
    source = tmp_path / "f"
    source.write_bytes(b"x")
    upload = api().upload(RUN, source, "f", Receipt("T", "f", 1, ""))
    _, asks = play(upload, data(LINK), said(403), data(LINK + "2"), said(403), data(LINK + "3"), said())
    assert [url for _, url in calls(asks)][1::2] == [LINK, LINK + "2", LINK + "3"]


def test_a_link_that_is_always_refused_is_no_endless_loop(tmp_path):
    source = tmp_path / "f"
    source.write_bytes(b"x")
    upload = api().upload(RUN, source, "f", Receipt("T", "f", 1, ""))
    with pytest.raises(VendorUnavailable, match="refused 3 fresh links in a row for upload") as caught:
        play(upload, *[data(LINK), said(403)] * 3)
    assert "abc" not in str(caught.value)


# Error shapes


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"data": {}, "messages": [{"message": "Not found", "type": "Error", "errorCode": "X1"}]}, ["X1", "Not found"]),
        ({"data": None, "messages": [{"message": "A"}, {"message": "B", "errorCode": None}]}, ["A", "B"]),
        ({"message": "Unauthorized"}, ["Unauthorized"]),
        ({"message": "Forbidden", "type": "Error"}, ["Forbidden"]),
        (
            {"type": None, "title": "Bad Request", "status": 400, "detail": "type is required", "instance": None},
            ["Bad Request", "type is required"],
        ),
        ({"ErrorCode": "MissingTenantHeader"}, ["MissingTenantHeader"]),
        ({"error": "invalid_client", "error_description": "no such client"}, ["invalid_client", "no such client"]),
        ({"messages": None}, []),
        ({"messages": "text"}, []),
        ({"messages": 5}, []),
        ({"messages": [None, 5, "text", []]}, []),
        ([], []),
        ("text", []),
        (None, []),
    ],
)
def test_the_reason_is_found_in_any_error_shape(body, texts):
    assert list(messages(httpx.Response(400, content=b"" if body is None else json.dumps(body).encode()))) == texts


@pytest.mark.parametrize("raw", [b"", b"<html>Bad Gateway</html>", b"\xff\xfe\x00"])
def test_an_error_without_a_readable_reason_has_its_status(raw):
    with pytest.raises(VendorRefused, match="fenergo answered read migration with HTTP 400: Bad Request"):
        play(api().look(RUN), said(400, raw=raw))


def test_the_missing_tenant_is_explained():
    with pytest.raises(VendorRefused, match=r"MissingTenantHeader \(the connection's tenant id is missing or wrong\)"):
        play(api().look(RUN), said(400, {"ErrorCode": "MissingTenantHeader"}))


@pytest.mark.parametrize(
    "answer", [said(404, {"data": {}, "messages": [{"message": "no"}]}), data(None), said(200), said(200, {})]
)
def test_a_migration_that_is_not_there_yet_is_not_found_in_any_way_of_saying_so(answer):
    with pytest.raises(NotFound):
        play(api().look(RUN), answer)


NAMES = ["data", "status", "tasks", "taskName", "taskStatus", "messages", "message", "id", "preSignedUrl"]
NAMES += ["type", "name", "format", "errorMessage", "entityCount", "failedEntityCount"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "Processing", "Completed", "build-schema", LINK]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=10,
)
BODIES = st.lists(ODD | st.builds(lambda value: {"data": value}, ODD), min_size=4, max_size=4)
VERBS = ["look", "look_prepared", "look_started", "look_records", "look_ingestion", "artifacts", "create", "start"]
VERBS += ["open_ingestion", "ping"]


@settings(max_examples=150)
@pytest.mark.parametrize("verb", VERBS)
@given(bodies=BODIES, status=st.sampled_from([200, 202, 400, 404]))
def test_no_answer_whatever_its_shape_is_anything_but_an_answer_or_a_vendors_error(verb, bodies, status):
    argument = {"create": ("Migration",), "open_ingestion": (), "ping": ()}.get(verb, (RUN,))
    exchange = getattr(api(), verb)(*argument)
    left = list(bodies)
    try:
        ask = next(exchange)
        while left:
            ask = exchange.send(said(status, left.pop(0))(ask))
    except StopIteration:
        return
    except VendorError:
        return


# Reading a migration


def described(**told):
    return data({"id": RUN.ref, "status": "Processing", "tasks": [], **told})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Created", RunState.RUNNING),
        ("Processing", RunState.RUNNING),
        ("Finalising", RunState.RUNNING),
        ("", RunState.RUNNING),
        (None, RunState.RUNNING),
        ("Completed", RunState.SUCCEEDED),
        ("COMPLETED", RunState.SUCCEEDED),
        (" complete ", RunState.SUCCEEDED),
        ("Succeeded", RunState.SUCCEEDED),
        ("Failed", RunState.FAILED_CLEAN),
        ("failed", RunState.FAILED_CLEAN),
        ("Cancelled", RunState.FAILED_CLEAN),
    ],
)
def test_words_are_read_without_case_and_unknown_ones_are_progress(word, state):
    run, _ = play(api().look(RUN), described(status=word))
    assert (run.state, run.word) == (state, word or "")


def test_a_tenants_own_words_are_settings():
    words = Words(success=frozenset({"done"}), failure=frozenset({"rejected"}))
    assert words.state("Done") is RunState.SUCCEEDED
    assert words.state("Rejected") is RunState.FAILED_CLEAN
    assert words.state("Completed") is RunState.RUNNING


@pytest.mark.parametrize("counter", ["failedEntityCount", "failedProductCount", "failedAssociationCount"])
def test_a_completed_run_that_counts_failures_is_a_partial_success(counter):
    run, _ = play(api().look(RUN), described(status="Completed", **{counter: 2}))
    assert (run.state, run.counters[counter]) == (RunState.PARTIALLY_SUCCEEDED, 2)


def test_every_counter_is_optional():
    run, _ = play(api().look(RUN), described(status="Completed", entityCount=None))
    assert run.state is RunState.SUCCEEDED
    assert set(run.counters.values()) == {0}


# Whether it is prepared: the rule of assumption 19

TEMPLATES = data([{"type": "Template", "name": "Company", "format": "csv"}])
BUILDING = {"taskName": "build-schema", "taskStatus": "Running"}
BUILT = {"taskName": "build-schema", "taskStatus": "Completed"}


@pytest.mark.parametrize(
    ("migration", "artifacts", "state"),
    [
        ({"tasks": [BUILDING]}, None, RunState.RUNNING),
        ({"tasks": [BUILT]}, data([]), RunState.RUNNING),
        ({"tasks": [BUILT]}, data(None), RunState.RUNNING),
        ({"tasks": [BUILT]}, said(404), RunState.RUNNING),
        ({"tasks": [BUILT]}, data([{"type": "SchemaReference", "name": "Schema", "format": "xlsx"}]), RunState.RUNNING),
        ({"tasks": [BUILT]}, TEMPLATES, RunState.SUCCEEDED),
        ({"tasks": [BUILT], "status": "Created"}, TEMPLATES, RunState.SUCCEEDED),
        ({"tasks": []}, TEMPLATES, RunState.SUCCEEDED),
        ({"tasks": None}, TEMPLATES, RunState.SUCCEEDED),
        ({"tasks": [BUILT, BUILDING]}, None, RunState.RUNNING),
        ({"tasks": [{"taskName": "other", "taskStatus": "Running"}]}, TEMPLATES, RunState.SUCCEEDED),
        ({"tasks": [{"taskName": "build-schema", "taskStatus": None}]}, None, RunState.RUNNING),
        ({"tasks": [BUILDING], "status": "Failed", "errorMessage": "No policy"}, None, RunState.FAILED_CLEAN),
    ],
)
def test_a_migration_is_prepared_once_its_schema_is_built_and_templates_are_there(migration, artifacts, state):
    answers = [described(**migration)] + ([artifacts] if artifacts else [])
    run, _ = play(api().look_prepared(RUN), *answers)
    assert run.state is state
    assert run.detail == migration.get("errorMessage", "")


def test_templates_are_told_by_their_type():
    kinds = [Artifact(kind, "Company", "csv").is_template for kind in ("Template", "template", "SchemaReference")]
    assert kinds == [True, True, False]


# Starting


@pytest.mark.parametrize("answer", [said(202), said(200), data(RUN.ref, 202), said(202, {})])
def test_a_start_is_sent_once_and_queues_the_run(answer):
    run, asks = play(api().start(RUN), answer)
    assert run.state is RunState.QUEUED
    assert calls(asks) == [("PUT", f"{V2}/migration/{RUN.ref}/start")]


def test_a_start_answered_by_somebody_else_is_lost():
    with pytest.raises(AnswerLost, match="by something that is not Fenergo"):
        play(api().start(RUN), said(200, raw=b"<html>Please log in</html>"))


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_start_that_broke_is_lost(status):
    with pytest.raises(AnswerLost) as caught:
        play(api().start(RUN), said(status))
    assert len(caught.value.asks) == 1


@pytest.mark.parametrize(
    ("before", "now", "proof"),
    [
        ("Created", {"status": "Created"}, False),
        ("Created", {"status": "created"}, False),
        ("Created", {"status": "Processing"}, True),
        ("Processing", {"status": "Processing"}, False),  # an unstarted migration may say so too [D Q]
        ("Processing", {"status": "Processing", "entityCount": 5}, True),
        ("Processing", {"status": "Completed"}, True),
        ("Created", {"status": "Failed"}, True),
        ("", {"status": "Processing"}, False),  # nothing to compare with
        ("", {"status": "Created"}, False),
        ("", {"status": "Finalising", "migratedEntityCount": 1}, True),
    ],
)
def test_a_start_is_proved_by_an_end_a_count_or_another_word(before, now, proof):
    run, _ = play(api().look_started(Run(RUN.ref, word=before)), described(**now))
    assert (run.state is not RunState.QUEUED) is proof
    if not proof:
        assert run.word == before


# Files


LIMIT = {"message": "File Size Limit Exceeded for MigrationId: x has more than 30000 records", "type": "Error"}


@pytest.mark.parametrize("verb", ["fetch_errors", "fetch_records"])
@pytest.mark.parametrize(
    "answer",
    [
        said(400, LIMIT),
        said(413, LIMIT),
        said(422, {"data": None, "messages": [LIMIT]}),
        said(409, {"title": "Bad Request", "detail": LIMIT["message"]}),
        said(200, file=json.dumps(LIMIT).encode()),
        said(200, file=json.dumps({"data": None, "messages": [LIMIT]}).encode()),
        said(400, {"message": LIMIT["message"].upper()}),
    ],
)
def test_the_limit_is_known_by_its_text_on_any_status_and_the_link_is_used(tmp_path, verb, answer):
    to = tmp_path / "f.csv"
    saved, asks = play(getattr(api(), verb)(RUN, to, "direct"), answer, data(LINK), said(200, file=b"a,b\n"))
    assert saved.path == to
    assert [ask.anonymous for ask in asks] == [False, False, True]
    assert to.read_bytes() == b"a,b\n"


def test_a_file_that_only_speaks_of_limits_is_a_file(tmp_path):
    long = b'"tableName"\n' + b'"File size limit"\n' * 400
    saved, asks = play(api().fetch_errors(RUN, tmp_path / "f", "direct"), said(200, file=long))
    assert (saved.size, len(asks)) == (len(long), 1)


def test_another_refusal_of_a_direct_call_is_not_taken_for_the_limit(tmp_path):
    with pytest.raises(VendorRefused) as caught:
        play(api().fetch_errors(RUN, tmp_path / "f", "direct"), said(400, {"message": "no"}))
    assert not isinstance(caught.value, TooManyRows)


RECORDS = "/migration/5d0c0000-0000-0000-0000-000000000000/migration-records-file-signed-url"


@pytest.mark.parametrize(
    ("answers", "roads"),
    [
        ([data(LINK, 202)], [("PUT", V2)]),
        ([said(405), data(LINK)], [("PUT", V2), ("GET", V2)]),
        ([said(404), said(405), data(LINK)], [("PUT", V2), ("GET", V2), ("PUT", V1)]),
        ([said(410), said(410), data(LINK)], [("PUT", V2), ("GET", V2), ("PUT", V1)]),
    ],
)
def test_every_documented_road_to_the_records_is_tried(answers, roads):
    run, asks = play(api().look_records(RUN), *answers)
    assert run.state is RunState.SUCCEEDED
    assert calls(asks) == [(verb, f"{root}{RECORDS}") for verb, root in roads]


@pytest.mark.parametrize("answer", [said(412), data(None, 202), data("", 202), said(202)])
def test_records_that_are_still_being_written_are_waited_for(answer):
    run, _ = play(api().look_records(RUN), answer)
    assert run.state is RunState.RUNNING


def test_records_by_no_road_are_not_found():
    with pytest.raises(NotFound, match=r"no records file for migration 5d0c.* by any verb or path"):
        play(api().look_records(RUN), said(404), said(405), said(410))


def test_an_artifact_is_asked_for_by_all_three_of_its_names(tmp_path):
    download = api().download_artifact(RUN, Artifact("Template", "Entity Group", "csv"), tmp_path / "t")
    _, asks = play(download, said(200, file=b"a"))
    assert asks[0].request.url.params.multi_items() == [("type", "Template"), ("name", "Entity Group"), ("format", "csv")]


# Alternate ids


@pytest.mark.parametrize("wrap", [False, True])
def test_an_ingestion_is_read_wrapped_or_bare(wrap):
    def shaped(body):
        return {"data": body, "messages": None} if wrap else body

    opened, _ = play(api().open_ingestion(), said(200, shaped({"id": "i-1", "preSignedUrl": LINK})))
    assert (opened.ref, opened.link) == ("i-1", LINK)
    run, _ = play(api().look_ingestion(Run("i-1")), said(200, shaped({"status": "Completed"})))
    assert run.state is RunState.SUCCEEDED


def test_an_ingestion_without_an_id_is_nonsense():
    with pytest.raises(VendorNonsense):
        play(api().open_ingestion(), said(200, {"preSignedUrl": LINK}))


def test_a_failed_ingestion_may_have_written_some():
    run, _ = play(api().look_ingestion(Run("i-1")), said(200, {"status": "Failed"}))
    assert run.state is RunState.FAILED_DIRTY


def test_a_new_link_for_references_means_a_new_ingestion(tmp_path):
    source = tmp_path / "ids.csv"
    source.write_bytes(b"x")
    opened = [said(200, {"id": f"i-{number}", "preSignedUrl": LINK}) for number in (1, 2)]
    run, _ = play(api().send_references(source, 1), opened[0], said(403), opened[1], said(200))
    assert run.ref == "i-2"


@pytest.mark.parametrize("status", [409, 429])
def test_an_execution_that_is_turned_away_is_asked_for_again(status):
    _, asks = play(api().execute_ingestion(Run("i-1")), said(status), data("i-1", 202))
    assert len(asks) == 2


def test_an_execution_whose_answer_is_lost_is_not_sent_again():
    with pytest.raises(AnswerLost):
        play(api().execute_ingestion(Run("i-1")), said(504))
