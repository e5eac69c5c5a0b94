"""The bare client for signed links: no credentials, no redirects, and only to hosts that the connection allows."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from ferry.core.errors import VendorNonsense, VendorUnavailable
from ferry.core.wire import httpx, trusted

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class LinkRules:
    """Where a signed link may lead: host patterns, and whether the sandbox's http and loopback are allowed."""

    hosts: Sequence[str] = ()
    sandbox: bool = False


class LinkTransport(httpx.BaseTransport):
    """Checks a link *after* resolving its host and connects to the very address it checked, so no name can change in between.

    The path and query go out byte for byte as the vendor wrote them: a signature covers them.
    """

    def __init__(self, rules: LinkRules, inner: httpx.BaseTransport) -> None:
        self._rules, self._inner = rules, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Check, resolve, check again, and send to the address that passed."""
        url = request.url
        self._check_scheme_and_host(url)
        address = self._resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
        pinned = httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,  # Host stays the name: it is what the link is signed for
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host, "target": url.raw_path},
        )
        answer = self._inner.handle_request(pinned)
        answer.request = request
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _check_scheme_and_host(self, url: httpx.URL) -> None:
        if url.scheme != "https" and not self._rules.sandbox:
            raise VendorNonsense(
                f"A signed link to {url.host} is not https; it was not used. Only a sandbox connection allows http."
            )
        allowed = self._rules.sandbox and _is_loopback(url.host)
        if not allowed and not any(fnmatch(url.host.lower(), pattern.lower()) for pattern in self._rules.hosts):
            raise VendorNonsense(
                f"A signed link leads to {url.host}, which the connection does not list under 'Hosts of signed links' "
                f"({', '.join(self._rules.hosts) or 'none'}); it was not used. Add the host if it is the vendor's storage."
            )

    def _resolve(self, host: str, port: int) -> str:
        try:
            found = {str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except OSError as error:
            raise VendorUnavailable(
                f"The host of a signed link, {host}, does not resolve ({error.strerror}). Try again later."
            ) from None
        for address in sorted(found):
            if not self._rules.sandbox and not _is_public(address):
                raise VendorNonsense(
                    f"The host of a signed link, {host}, resolves to {address}, an internal address; it was not used."
                )
        return min(found)


def _is_public(address: str) -> bool:
    """Whether an address is out there; one that only wraps an IPv4 address is what it wraps."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        wrapped = ipaddress.IPv4Address(found.packed[-4:]) if found in _NAT64 else found.ipv4_mapped or found.sixtofour
        if wrapped is not None:
            return wrapped.is_global and not wrapped.is_multicast
    return found.is_global and not found.is_multicast


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def link_client(rules: LinkRules, timeout: httpx.Timeout) -> httpx.Client:
    """A client without default headers, cookies, redirects or environment settings, bound to the rules."""
    transport = httpx.HTTPTransport(verify=trusted(trust_env=False), trust_env=False)
    client = httpx.Client(transport=LinkTransport(rules, transport), timeout=timeout, trust_env=False)
    client.headers.clear()
    return client
