"""Signed links: where they may lead, and that nothing of ours goes along."""

import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.loopback import answer, loopback

from ferry.core.errors import VendorNonsense, VendorUnavailable
from ferry.core.wire import httpx
from ferry.steps.links import LinkRules, LinkTransport, link_client

TIMEOUT = httpx.Timeout(5.0)
REBOUND = "storage.vendor.example"
"""A public name that an attacker's, or a careless vendor's, name server sends to our own machines."""


@pytest.fixture
def storage():
    with loopback() as server:
        yield server.will(answer(200, b"file"))


@pytest.fixture
def resolve(monkeypatch):
    """What the name server answers, by name; all other names resolve as they do."""
    known, real = {}, socket.getaddrinfo

    def looked_up(host, port, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            return real(host, port, *args, **kwargs)
        if not known[name]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return known


def get(url, *hosts, sandbox=False, **how):
    with link_client(LinkRules(hosts, sandbox), TIMEOUT) as client:
        return client.send(httpx.Request("GET", url, **how))


class Nowhere(httpx.BaseTransport):
    """The wire: keeps what would have been sent."""

    def __init__(self):
        self.sent = []

    def handle_request(self, request):
        self.sent.append(request)
        return httpx.Response(200)


def pinned(url, *hosts):
    wire = Nowhere()
    LinkTransport(LinkRules(hosts), wire).handle_request(httpx.Request("GET", url))
    return wire.sent[0]


# Where a link may lead


@pytest.mark.parametrize("url", ["http://bucket.s3.amazonaws.com/x", "ftp://bucket.s3.amazonaws.com/x", "file:///etc/passwd"])
def test_only_https_is_used(url):
    with pytest.raises(VendorNonsense, match="is not https; it was not used"):
        pinned(url, "*")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "amazonaws.com.evil.example", "amazonaws.com", "x.amazonaws.com.", "notamazonaws.com", "8.8.8.8"],
)
def test_a_host_that_the_connection_does_not_list_is_refused(host, resolve):
    with pytest.raises(VendorNonsense, match=r"'Hosts of signed links' \(\*\.amazonaws\.com\); it was not used"):
        pinned(f"https://{host}/x?X-Amz-Signature=secret", "*.amazonaws.com")


def test_the_refusal_does_not_show_the_signature():
    with pytest.raises(VendorNonsense) as caught:
        pinned("https://evil.example/x?X-Amz-Signature=secret", "*.amazonaws.com")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://evil.example\\@b.amazonaws.com/x", "https://b.amazonaws.com@evil.example/x", "https:///x"]
)
def test_a_host_that_hides_is_not_taken_for_another(url, resolve):
    """Whatever is shown to the check is what is connected to."""
    resolve |= {"evil.example": ["93.184.216.34"], "b.amazonaws.com": ["52.1.1.1"]}
    try:
        request = pinned(url, "*.amazonaws.com")
    except (VendorNonsense, httpx.InvalidURL, httpx.UnsupportedProtocol):
        return
    assert request.url.host == "52.1.1.1"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.5",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 (an address that must be refused)
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "ff02::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_a_name_that_resolves_to_our_own_networks_is_refused(address, resolve):
    resolve[REBOUND] = [address]
    with pytest.raises(VendorNonsense, match="an internal address; it was not used"):
        pinned(f"https://{REBOUND}/x", "*.vendor.example")


def test_one_internal_address_among_public_ones_is_enough_to_refuse(resolve):
    resolve[REBOUND] = ["93.184.216.34", "10.0.0.5"]
    with pytest.raises(VendorNonsense, match=r"10\.0\.0\.5, an internal address"):
        pinned(f"https://{REBOUND}/x", "*.vendor.example")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1"])
def test_loopback_by_any_name_is_refused_even_if_listed(host):
    with pytest.raises((VendorNonsense, VendorUnavailable)):
        pinned(f"https://{host}/x", "*")


def test_a_name_that_does_not_resolve_may_be_tried_later(resolve):
    resolve[REBOUND] = []
    with pytest.raises(VendorUnavailable, match=f"{REBOUND}, does not resolve") as caught:
        pinned(f"https://{REBOUND}/x", "*.vendor.example")
    assert caught.value.retry_later


def test_the_address_that_was_checked_is_the_one_connected_to(resolve):
    """The name server is asked once: a second answer, to another address, can do nothing."""
    resolve[REBOUND] = ["93.184.216.34"]
    request = pinned(f"https://{REBOUND}:8443/a%2Fb%2B?c=%2F%2B&d=+", "*.vendor.example")
    assert (request.url.host, request.url.port) == ("93.184.216.34", 8443)
    assert request.headers["host"] == f"{REBOUND}:8443"
    assert request.extensions["sni_hostname"] == REBOUND
    assert request.extensions["target"] == b"/a%2Fb%2B?c=%2F%2B&d=+"


# The sandbox


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_sandbox_may_be_on_loopback_and_http(storage, host):
    reply = get(storage.url.replace("127.0.0.1", host) + "/x", sandbox=True)
    assert reply.content == b"file"


def test_the_sandbox_may_be_on_the_other_loopback():
    with loopback("::1") as server:
        server.will(answer(200, b"six"))
        assert get(f"{server.url}/x", sandbox=True).content == b"six"
        assert server.asked[0].header("Host") == f"[::1]:{server.port}"


def test_a_sandbox_connection_does_not_open_other_hosts():
    with pytest.raises(VendorNonsense, match="does not list"):
        get("http://10.0.0.5/x", sandbox=True)


# What goes out


def test_nothing_of_ours_goes_along(storage):
    get(f"{storage.url}/x", sandbox=True)
    assert {name.lower() for name, _ in storage.asked[0].headers} <= {"host", "connection"}


def test_a_cookie_is_not_kept(storage):
    storage.will(answer(200, b"", "Set-Cookie: a=b; Path=/"), answer(200))
    with link_client(LinkRules(sandbox=True), TIMEOUT) as client:
        for _ in range(2):
            client.send(httpx.Request("GET", storage.url))
    assert storage.asked[1].header("Cookie") is None


def test_credentials_in_netrc_and_proxies_are_not_used(storage, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert get(f"{storage.url}/x", sandbox=True).content == b"file"
    assert storage.asked[0].header("Authorization") is None


def test_redirects_are_not_followed(storage):
    storage.will(answer(302, b"", "Location: http://169.254.169.254/latest"))
    assert get(f"{storage.url}/x", sandbox=True).status_code == 302
    assert len(storage.asked) == 1


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Bb%2Fc/d+e.csv?X-Amz-Signature=ab%2Bcd%2F&X-Amz-Date=20261121T000000Z&x=a+b",
        "/%C5%81%C3%B3d%C5%BA.csv?response-content-disposition=attachment%3B%20filename%3D%22a%20b.csv%22",
        "/a%2e%2e/b?x=%7e~&y=%41",
        "/a?b=c?d=e&&f",
        "/a//b?x=1",
    ],
)
def test_path_and_query_go_out_byte_for_byte(storage, target):
    get(f"{storage.url}{target}", sandbox=True)
    assert storage.asked[0].target == target


PIECE = r"([A-Za-z0-9_~+=&-]|%[0-9A-Fa-f]{2})"


@given(target=st.from_regex(rf"(/{PIECE}{{1,8}}){{1,6}}(\?{PIECE}{{1,40}})?", fullmatch=True))
def test_any_signed_target_goes_out_byte_for_byte(target):
    wire = Nowhere()
    LinkTransport(LinkRules(sandbox=True), wire).handle_request(httpx.Request("GET", f"http://127.0.0.1{target}"))
    assert wire.sent[0].extensions["target"].decode() == target


def test_an_upload_keeps_its_length_and_type(storage):
    with link_client(LinkRules(sandbox=True), TIMEOUT) as client:
        headers = {"Content-Length": "6", "Content-Type": "text/csv"}
        client.send(httpx.Request("PUT", f"{storage.url}/x", headers=headers, content=iter([b"abc", b"def"])))
    (asked,) = storage.asked
    assert (asked.method, asked.body) == ("PUT", b"abcdef")
    assert (asked.header("Content-Length"), asked.header("Content-Type")) == ("6", "text/csv")
    assert asked.header("Transfer-Encoding") is None


def test_the_answer_belongs_to_the_link_that_was_asked_for(storage):
    url = f"{storage.url.replace('127.0.0.1', 'localhost')}/x"
    assert re.fullmatch(rf"{url}", str(get(url, sandbox=True).request.url))
