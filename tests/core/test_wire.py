"""Whom TLS trusts: shared by all clients of a process, and as strict as the HTTP library makes it."""

import ssl
from pathlib import Path

import certifi
import pytest

from ferry.core.wire import trusted


@pytest.fixture(autouse=True)
def forgotten():
    """What is remembered for the process is made anew before and after a test that bends the environment."""
    trusted.cache_clear()
    yield
    trusted.cache_clear()


@pytest.mark.parametrize("trust_env", [True, False])
def test_whom_tls_trusts_is_read_once_and_checked_always(trust_env):
    found = trusted(trust_env=trust_env)
    assert found is trusted(trust_env=trust_env)
    assert (found.verify_mode, found.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert found.cert_store_stats()["x509_ca"] > 50


def test_only_who_trusts_the_environment_trusts_its_certificates(monkeypatch, tmp_path):
    bundle = Path(certifi.where()).read_text("ascii")
    one, end = tmp_path / "one.pem", "-----END CERTIFICATE-----\n"
    one.write_text(bundle[bundle.index("-----BEGIN") : bundle.index(end)] + end, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(one))
    assert trusted().cert_store_stats()["x509"] == 1
    assert trusted(trust_env=False).cert_store_stats()["x509"] > 50
