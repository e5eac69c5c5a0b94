"""What a Library's errors come to: one readable line, and the class that says what to do next. Played by hand."""

import json

import pytest
from tests.playing import play, said

from ferry.core.api import Patience
from ferry.core.errors import (
    AnswerLost,
    BadCredentials,
    NotFound,
    VendorError,
    VendorNonsense,
    VendorRefused,
    VendorUnavailable,
)
from ferry.core.model import Run
from ferry.core.wire import httpx
from ferry.vendors.microstrategy.api import MicroStrategyApi
from ferry.vendors.microstrategy.library import SessionEnded, code_of, error_in

RUN = Run("A1" * 16 + ":" + "B2" * 16)
TICKET = "0123456789abcdef0123456789abcdef"
STORAGE = {
    "unreachable": "The API requires MicroStrategy Storage Service. Please contact your administrator.",
    "newer": "The API requires Strategy Storage Service. Please contact your administrator.",
    "not configured": "The Storage Service is not configured properly, please contact your administrator to configure it",
}


@pytest.fixture
def api():
    return MicroStrategyApi("https://lib.example", patience=Patience(tries=2, seconds=60.0, first=0.0))


def error(**told):
    return {"code": "ERR006", "message": "The name is taken.", "iServerCode": -2147213784} | told


SHAPES = {
    "plain": (error(), "ERR006: The name is taken. "),
    "in a list": ({"errors": [error(), error(message="second")]}, "ERR006: The name is taken. "),
    "four digits": (error(code="ERR0006"), "ERR006: The name is taken. "),
    "with a ticket": (error(ticketId=TICKET), f"ERR006: The name is taken (ticket {TICKET}). "),
    "no code": (error(code=None), "The name is taken. "),
    "another code": (error(code="QUITE_BAD"), "The name is taken. "),
    "no message": (error(message=None), "ERR006: Bad Request. "),
    "several lines": (error(message=" (Not allowed.)\r\n\tAsk\n\n Ada. "), "ERR006: (Not allowed.) Ask Ada. "),
    "an empty list": ({"errors": []}, "Bad Request. "),
    "a list of texts": ({"errors": ["no"]}, "Bad Request. "),
    "a list": ([error()], "Bad Request. "),
    "null": (None, "Bad Request. "),
}


@pytest.mark.parametrize(("body", "line"), SHAPES.values(), ids=SHAPES)
def test_an_error_in_any_shape_is_one_readable_line(api, body, line):
    with pytest.raises(VendorRefused) as caught:
        play(api.projects(), said(400, raw=json.dumps(body).encode()))
    assert caught.value.message.startswith(f"microstrategy answered list projects with HTTP 400: {line}")
    assert len(caught.value.message.splitlines()) == 1


@pytest.mark.parametrize("raw", [b"", b"<html>Bad Gateway</html>", b"\xff\xfe\x00", b'{"code": "ERR'])
def test_an_error_without_json_has_its_status(api, raw):
    with pytest.raises(VendorUnavailable, match=r"list projects with HTTP 502: Bad Gateway\. The step may be tried again"):
        play(api.projects(), said(502, raw=raw), said(502, raw=raw))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ERR006", VendorRefused),
        (400, "ERR001", VendorRefused),
        (403, "ERR014", BadCredentials),
        (403, "ERR0017", BadCredentials),
        (401, "ERR003", BadCredentials),
        (404, "ERR004", NotFound),
        (404, "ERR006", NotFound),
        (405, "ERR001", VendorRefused),
        (429, "", VendorUnavailable),
        (500, "ERR002", VendorUnavailable),
        (503, "ERR016", VendorUnavailable),
        (302, "", VendorNonsense),
    ],
)
def test_the_class_of_an_error_goes_by_its_status(api, status, code, kind):
    answer = said(status, {"code": code, "message": "m"})
    with pytest.raises(VendorError) as caught:
        play(api.projects(), *[answer] * (2 if kind is VendorUnavailable else 1))
    assert type(caught.value) is kind


@pytest.mark.parametrize("code", ["ERR009", "ERR0009", "ERR9"])
def test_an_ended_session_is_told_by_its_code_and_tried_again_where_that_is_safe(api, code):
    ended = said(401, {"code": code, "message": "The user's session has expired, please reauthenticate"})
    assert play(api.projects(), ended, said(200, []))[0] == {}
    with pytest.raises(SessionEnded, match=r"session ended before create migration \(ERR009: The user's session has expired"):
        play(api.create({}, "migration"), ended)


def test_an_endpoint_that_a_library_lacks_is_told_as_its_age_or_address(api):
    with pytest.raises(NotFound, match="a Library answers that is too old for this, or whose base URL is not this one"):
        play(api.projects(), said(404, {"code": "ERR004", "message": "HTTP 404 Not Found"}))


REPEATABLE = {
    "read": lambda api: api.look(RUN),
    "list": lambda api: api.find("n", "group"),
    "delete": lambda api: api.delete(RUN),
}
ONCE = {
    "create": lambda api: api.create({}, "migration"),
    "edit": lambda api: api.edit(RUN, {}),
    "import": lambda api: api.import_run(RUN, {}),
    "undo": lambda api: api.undo(RUN),
}


@pytest.mark.parametrize("text", STORAGE.values(), ids=STORAGE)
@pytest.mark.parametrize("verb", (REPEATABLE | ONCE).values(), ids=REPEATABLE | ONCE)
@pytest.mark.parametrize(("status", "code"), [(500, "ERR001"), (503, "ERR016")])
def test_a_storage_service_that_is_down_is_a_clear_no(api, verb, text, status, code):
    """Documented texts: nothing was done, so nothing needs to be looked up, and asking again does not help either."""
    with pytest.raises(VendorRefused, match=r"Storage Service.* Have the administrator .* then clear the task") as caught:
        play(verb(api), said(status, {"code": code, "message": text, "ticketId": TICKET}))
    assert caught.value.facts["status"] == status


@pytest.mark.parametrize(
    "text",
    [
        "The package could not be written to the Storage Service.",
        "Storage Service timed out while the import was under way.",
        "An object named 'Storage Service' could not be imported.",
    ],
)
def test_any_other_trouble_with_the_storage_service_proves_nothing(api, text):
    """Only two sentences are documented as said before anything is done."""
    with pytest.raises(AnswerLost):
        play(api.import_run(RUN, {}), said(500, {"code": "ERR001", "message": text}))


@pytest.mark.parametrize("body", [None, [], "text", 5, {}, {"errors": {}}, {"code": 5}, {"code": ["ERR009"]}, {"errors": [[]]}])
def test_a_body_that_is_no_error_has_no_code(body):
    answer = httpx.Response(401, content=json.dumps(body).encode())
    assert code_of(answer) == ""
    assert not error_in(answer).get("message")


# Answers that are no errors


@pytest.mark.parametrize("raw", [b"", b"<html>Sign in</html>", b"[]", b"null", b'"text"', b"5"])
@pytest.mark.parametrize("verb", [lambda api: api.look(RUN), lambda api: api.whoami(), lambda api: api.find("n", "migration")])
def test_a_read_that_brings_no_object_is_nonsense_and_says_what_to_check(api, verb, raw):
    with pytest.raises(VendorNonsense, match=r"Check .*base URL") as caught:
        play(verb(api), said(200, raw=raw))
    assert "Sign in" not in caught.value.message


@pytest.mark.parametrize("body", [{}, {"data": None, "total": 1}, {"data": {}}])
def test_a_list_without_a_list_is_nonsense(api, body):
    with pytest.raises(VendorNonsense, match="has no list where one was due"):
        play(api.find("n", "group"), said(200, body))


@pytest.mark.parametrize("verb", [lambda api: api.edit(RUN, {}), lambda api: api.undo(RUN)], ids=["edit", "undo"])
def test_a_page_that_answers_a_change_proves_nothing(api, verb):
    with pytest.raises(VendorError, match=r"answered by something that is not MicroStrategy .* is looked up"):
        play(verb(api), said(200, raw=b"<html>Sign in</html>", headers={"Content-Type": "text/html"}))


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_that_answers_a_delete_proves_nothing(api, status):
    with pytest.raises(VendorNonsense, match="Look for a proxy in between"):
        play(api.delete(RUN), said(status, raw=b"<html>", headers={"Content-Type": "text/html"}))


def test_projects_are_told_by_name(api):
    rows = [{"id": "P1", "name": "Sales", "acg": 255}, {"id": "P2", "name": "Finance", "new": {}}, "odd"]
    assert play(api.projects(), said(200, rows))[0] == {"Sales": "P1", "Finance": "P2"}


@pytest.mark.parametrize(("body", "name"), [({"fullName": "Ada Min"}, "Ada Min"), ({}, "a user without a name")])
def test_a_user_is_told_by_the_full_name(api, body, name):
    assert play(api.whoami(), said(200, body))[0] == name


@pytest.mark.parametrize("status", [204, 401])
def test_a_logout_after_the_session_ran_out_is_as_good(api, status):
    assert play(api.logout(), said(status))[0] is None
