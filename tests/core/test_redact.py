"""Whatever text a secret hides in, it does not come out; and what is no secret stays readable."""

import base64
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ferry.core.redact import HIDDEN, bare_url, redact, redact_json

ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789-_"
SECRETS = st.text(ALPHABET, min_size=12, max_size=60).map(lambda text: f"S{text}Z")
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)

PLACES = [
    "https://b.s3.eu-west-1.amazonaws.com/a/b.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={}",
    "HTTPS://B.S3.AMAZONAWS.COM/a?sig={}",
    "GET http://127.0.0.1:8080/fenergo/s3/bucket/key%2Bplus?X-Amz-Security-Token={}&y=1 failed",
    '{{"preSignedUrl": "https://host/x?token={}"}}',
    "(https://host/x?{})",
    "https://user:{}@host.example/path",
    "postgresql+psycopg2://ferry:{}@db:5432/ledger",
    "Authorization: Bearer {}",
    "authorization: bearer {}",
    "Basic {}",
    "client_secret={}",
    "client_secret={}&grant_type=client_credentials",
    "grant_type=client_credentials&client_secret%3D{}",
    '{{"access_token":"{}","expires_in":900}}',
    "{{'access_token': '{}', 'expires_in': 900}}",
    "{{'client_secret': '{}'}}",
    'refresh_token: "{}"',
    "id_token = {}",
    "password: {}",
    "X-Amz-Signature={}",
    "X-Amz-Credential: {}",
    "api_key={}",
    "password: Bearer {}",
    "Bearer X-Amz-Credential: {}",
    "basic client_secret%3D{}",
    "password: Bearer api_key={}",
]


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=25)
@given(secret=SECRETS, before=WORDS, after=WORDS)
def test_a_secret_is_hidden_wherever_it_stands(place, secret, before, after):
    text = f"{before} {place.format(secret)} {after}"
    assert secret not in redact(text)


@given(secret=SECRETS)
def test_a_token_of_three_parts_is_hidden_without_any_word_before_it(secret):
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    text = redact(f"got {head}.{secret}.{secret}!")
    assert secret not in text
    assert head not in text


@given(text=st.text())
@example("Bearer aaaaaaaaaaaa https://a@b?c password=***")
def test_redacting_twice_is_redacting_once(text):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "fenergo batch clients-1, attempt 2: run 5d0c0000-1111-2222-3333-444444444444 is 'Processing'",
        "https://api.fenergox.com/datamigrationquery/api/migration/5d0c",
        "company.csv, row 17, column dateOfIncorporation: INVALID_DATE",
        "Check client id, client secret, scope and token URL of the connection.",
        "sent 3000 = accepted 2990 + rejected 10",
        "fenergo://127.0.0.1:8080/clients-good/1",
        "",
    ],
)
def test_what_people_need_stays(text):
    assert redact(text) == text


def test_a_link_stays_recognisable():
    assert redact("PUT https://host/a/b?sig=1 gave 403") == f"PUT https://host/a/b?{HIDDEN} gave 403"


KEYS = ["password", "client_secret", "access_token", "Authorization", "Set-Cookie", "preSignedUrl", "signed_url", "apiKey", "otp"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", ["text", 123456, ["a"], {"b": "c"}])
def test_values_of_secret_keys_are_hidden_whatever_they_are(key, value):
    assert redact_json({"deep": [{key: value}]}) == {"deep": [{key: HIDDEN}]}


@pytest.mark.parametrize("value", [None, "", 0, [], {}])
def test_an_empty_secret_shows_that_it_is_empty(value):
    assert redact_json({"password": value}) == {"password": value}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON)
def test_any_json_stays_json_and_the_original_is_untouched(value):
    before = json.dumps(value)
    again = redact_json(value)
    assert json.dumps(value) == before
    assert redact_json(again) == again
    assert type(again) is type(value)


@given(secret=SECRETS, place=st.sampled_from(PLACES))
def test_a_secret_in_a_text_deep_inside_is_hidden(secret, place):
    told = json.dumps(redact_json({"messages": [{"message": place.format(secret)}], "more": (place.format(secret),)}))
    assert secret not in told


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://user:pw@host:8443/a/b%2Bc?X-Amz-Signature=1#f", "https://host:8443/a/b%2Bc"),
        ("http://127.0.0.1/x", "http://127.0.0.1/x"),
    ],
)
def test_a_bare_url_is_scheme_host_and_path(url, bare):
    assert bare_url(url) == bare


SESSIONS = [
    "X-MSTR-AuthToken: {}",
    "x-mstr-authtoken={}",
    '{{"X-MSTR-AuthToken": "{}"}}',
    "{{'x-mstr-authtoken': '{}'}}",
    "headers={{'X-MSTR-AuthToken': '{}', 'Accept': '*/*'}}",
    "X-MSTR-IdentityToken: ignored; authToken={}",
    "X-Auth-Token: {}",
    "auth-token={}",
    "Set-Cookie: JSESSIONID={}; Path=/; HttpOnly",
    "Cookie: a=b; JSESSIONID={}",
    "jsessionid={}",
    "sessionid: {}",
]


@pytest.mark.parametrize("place", SESSIONS)
@settings(max_examples=25)
@given(secret=SECRETS)
def test_what_a_session_is_known_by_is_hidden(place, secret):
    assert secret not in redact(place.format(secret))


@pytest.mark.parametrize(
    "text",
    [
        "The author: token of thanks",
        "MicroStrategy's session ended (ERR009: The user's session has expired, please reauthenticate)",
        "session id r-1 is open",
        "X-MSTR-ProjectID: A1B2",
    ],
)
def test_what_only_sounds_like_a_session_stays_readable(text):
    assert redact(text) == text


@pytest.mark.parametrize("piece", ["a-", "x-", "auth-", "token-", "x-auth", "aaaa-bbbb-cccc-"])
def test_a_long_text_with_hyphens_takes_no_time(piece):
    """Names are looked for at each of a hundred thousand places, and each look is short."""
    began = time.process_time()
    redact(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 5
