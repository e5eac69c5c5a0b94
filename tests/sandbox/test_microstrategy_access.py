"""Logging in to the made-up MicroStrategy Libraries, keeping a session, and being refused."""

import re

import pytest
from tests.sandbox.library import HR, MARKETING, MARKETING_ON_TARGET, PASSWORDS, SALES, Library, refused

OVER = (401, "ERR009", "The user's session has expired, please reauthenticate")


@pytest.fixture
def stranger(libraries_base, both):
    library = Library(libraries_base, "source")
    yield library
    library.http.close()


def told(answer, name):
    """The Set-Cookie line of one cookie."""
    return next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}="))


# Login


def test_a_login_is_204_with_a_token_of_26_characters_in_a_header_and_no_body(stranger):
    answer = stranger.log_in()
    assert (answer.status_code, answer.content) == (204, b"")
    assert re.fullmatch(r"[0-9a-v]{26}", answer.headers["x-mstr-authtoken"])


def test_a_form_logs_in_as_json_does(stranger):
    form = {"username": "administrator", "password": PASSWORDS["administrator"], "loginMode": "1"}
    assert stranger.http.post("/auth/login", data=form).status_code == 204


def test_the_session_cookie_belongs_to_the_web_application_and_is_not_secure(stranger):
    line = told(stranger.log_in(), "JSESSIONID")
    assert line.split("; ")[1:] == ["Path=/microstrategy/source/MicroStrategyLibrary", "HttpOnly"]


def test_the_load_balancers_cookie_changes_with_every_answer(stranger):
    first = told(stranger.log_in(), "AWSALB")
    assert told(stranger.call("GET", "/status"), "AWSALB") != first


@pytest.mark.parametrize("mode", [8, 4096, 64, "x"])
def test_other_ways_to_log_in_are_refused(stranger, mode):
    assert refused(stranger.log_in(loginMode=mode)) == (401, "ERR003", "Login failed")


def test_ldap_is_a_way_to_log_in(stranger):
    assert stranger.log_in(loginMode=16).status_code == 204


@pytest.mark.parametrize(("token", "who"), [("administrator", "Ada Min"), ("architect", "Archie Tekt")])
def test_an_api_token_logs_in_as_the_users_name(stranger, token, who):
    told = {"username": f"ferry-demo-{token}-token", "password": "", "loginMode": 4096}
    assert stranger.log_in(**told).status_code == 204
    assert stranger.call("GET", "/sessions/userInfo").json()["fullName"] == who


@pytest.mark.parametrize("told", [{"username": "guess"}, {"username": "ferry-demo-administrator-token", "loginMode": 1}])
def test_an_api_token_is_good_for_its_own_mode_only(stranger, told):
    assert refused(stranger.log_in(**{"password": "", "loginMode": 4096} | told)) == (401, "ERR003", "Login failed")


@pytest.mark.parametrize("wrong", [{"password": "guess"}, {"username": "nobody"}, {"password": None}])
def test_a_wrong_password_or_name_is_refused_in_the_same_words(stranger, wrong):
    assert refused(stranger.log_in(**wrong)) == (401, "ERR003", "Login failed")


@pytest.mark.parametrize("who", ["administrator", "architect"])
def test_passwords_are_switches(libraries_base, both, who):
    both.switch(**{f"{who}_password": "another"})
    library = Library(libraries_base, "target", who)
    assert [library.log_in().status_code, library.log_in(password="another").status_code] == [401, 204]
    library.http.close()


def test_a_login_that_is_no_json_is_a_bad_request(stranger):
    assert refused(stranger.http.post("/auth/login", content=b"{"))[:2] == (400, "ERR006")


# The session


def test_a_token_without_its_session_cookie_is_no_session(both):
    both.source.http.cookies.delete("JSESSIONID")
    assert refused(both.source.call("GET", "/projects")) == OVER


def test_the_switch_lets_a_token_suffice(both):
    both.switch(cookies="ignored")
    both.source.http.cookies.clear()
    assert both.source.call("GET", "/projects").status_code == 200


@pytest.mark.parametrize("name", ["JSESSIONID", "iSession", "AWSALB"])
def test_the_switch_demands_every_cookie(both, name):
    both.switch(cookies="all")
    assert both.source.call("GET", "/projects").status_code == 200
    both.source.http.cookies.delete(name)
    assert refused(both.source.call("GET", "/projects")) == OVER


def test_a_token_of_one_environment_is_nothing_in_the_other(both):
    headers = {"X-MSTR-AuthToken": both.source.http.headers["X-MSTR-AuthToken"]}
    assert refused(both.target.call("GET", "/projects", headers=headers)) == OVER


def test_a_session_expires_without_calls(both):
    both.advance(1801)
    assert refused(both.source.call("PUT", "/sessions")) == OVER


def test_any_call_renews_a_session(both):
    both.stop_clock()
    for _ in range(3):
        both.advance(1500)
        assert both.source.call("GET", "/sessions/userInfo").status_code == 200


def test_a_session_may_be_good_for_a_few_calls_only(both):
    both.switch(session_calls=2)
    assert [both.source.call("GET", "/projects").status_code for _ in range(4)] == [200, 200, 401, 401]


def test_a_shorter_session_says_so(both):
    both.switch(session_seconds=60)
    assert both.source.call("GET", "/sessions").json()["timeout"] == 60
    both.advance(61)
    assert refused(both.source.call("GET", "/sessions")) == OVER


def test_keeping_alive_is_204(both):
    assert both.source.call("PUT", "/sessions").status_code == 204


def test_who_i_am(both):
    seen = both.architect.call("GET", "/sessions/userInfo").json()
    assert (seen["fullName"], seen["initials"]) == ("Archie Tekt", "AT")


def test_logging_out_is_204_and_then_401(both):
    assert both.source.call("POST", "/auth/logout").status_code == 204
    assert refused(both.source.call("POST", "/auth/logout")) == OVER


@pytest.mark.parametrize(("ends", "left"), [("session", 200), ("user", 401)])
def test_logging_out_may_end_every_session_of_the_user(both, stranger, ends, left):
    both.switch(logout_ends=ends)
    stranger.log_in()
    stranger.call("POST", "/auth/logout")
    assert both.source.call("GET", "/projects").status_code == left


def test_logging_out_leaves_other_people_alone(both):
    both.switch(logout_ends="user")
    both.source.call("POST", "/auth/logout")
    assert both.architect.call("GET", "/projects").status_code == 200


def test_the_state_counts_sessions_and_logins(both):
    both.source.call("POST", "/auth/logout")
    seen = both.state()["source"]
    assert (seen["sessions"], seen["logins"]) == (1, 2)


# Projects and versions


def test_the_version_can_be_asked_for_without_a_login(stranger):
    assert stranger.call("GET", "/status").json()["iServerVersion"].startswith("11.")


def test_marketing_has_another_id_on_the_target(both):
    ids = [side.call("GET", "/projects/Marketing").json()["id"] for side in (both.source, both.target)]
    assert ids == [MARKETING, MARKETING_ON_TARGET]


def test_human_resources_exist_on_the_source_only(both):
    names = [{project["name"] for project in side.call("GET", "/projects").json()} for side in (both.source, both.target)]
    assert names[0] - names[1] == {"HR"}
    assert refused(both.target.call("GET", f"/projects/{HR}"))[:2] == (404, "ERR004")


def test_a_project_is_an_object_of_type_32(both):
    seen = both.source.call("GET", f"/objects/{SALES}", params={"type": 32}).json()
    assert (seen["id"], seen["name"], seen["type"]) == (SALES, "Sales", 32)


def test_fields_trim_an_answer(both):
    assert both.source.call("GET", "/projects/Sales", params={"fields": "id,name"}).json() == {"id": SALES, "name": "Sales"}


# Refusals


@pytest.mark.parametrize("path", ["/migration", "/nothing/at/all"])
def test_an_unknown_endpoint_says_so_in_the_vendors_words(both, path):
    assert refused(both.source.call("GET", path)) == (404, "ERR004", "HTTP 404 Not Found")


def test_a_method_that_an_endpoint_does_not_have_is_404(both):
    assert refused(both.source.call("DELETE", "/projects")) == (404, "ERR004", "HTTP 404 Not Found")


@pytest.mark.parametrize("path", ["/migrations", "/migrationGroups"])
def test_an_unknown_record_is_404_with_other_words(both, path):
    status, code, message = refused(both.source.call("GET", f"{path}/AB:CD"))
    assert (status, code) == (404, "ERR004")
    assert message.endswith("AB:CD was not found.")


def test_a_refusal_has_a_ticket(both):
    body = both.source.call("GET", "/migrations/AB:CD").json()
    assert re.fullmatch(r"[0-9a-f]{32}", body["ticketId"])


def test_the_code_may_have_four_digits(both):
    both.switch(code_zeros="ERR0006")
    assert both.source.call("GET", "/migrations/AB:CD").json()["code"] == "ERR0004"


def test_an_error_may_come_in_a_list(both):
    both.switch(error_shape="errors_list")
    assert [error["code"] for error in both.source.call("GET", "/migrations/AB:CD").json()["errors"]] == ["ERR004"]


def test_the_status_of_a_broken_rule_is_a_switch(both):
    both.switch(rule_status=409)
    assert refused(both.source.create(project=None))[0] == 409


@pytest.mark.parametrize(
    ("state", "words"),
    [("unreachable", "The API requires MicroStrategy Storage Service."), ("not_configured", "is not configured properly")],
)
def test_a_storage_service_that_is_down_is_a_500_with_the_documented_text(both, state, words):
    both.switch(storage=state)
    status, code, message = refused(both.source.create())
    assert (status, code) == (500, "ERR001")
    assert words in message


def test_records_can_be_read_while_the_storage_is_not_configured(both):
    key = both.source.made()
    both.switch(storage="not_configured")
    assert both.source.look(key)["id"] == key


def test_a_500_may_have_no_body(both):
    both.switch(storage="unreachable", bare_5xx=True)
    answer = both.source.create()
    assert (answer.status_code, answer.content) == (500, b"")
