"""Links on a task: to the ledger's page and to the vendor, and to nowhere where there is nothing to see."""

from urllib.parse import unquote

import pytest
from starlette.routing import Match

from ferry.core.model import Attempt
from ferry.ledger.page import ledger_page
from ferry.steps.extra_links import LedgerLink, VendorLink
from ferry.steps.operators import ATTEMPT, VendorOperator
from ferry.vendors.fenergo.operators import FenergoOpenRunOperator


class SixOperator(VendorOperator):
    step = "open_run"
    hook_path = "tests.steps.six.SixHook"


def test_the_ledger_link_leads_to_the_batch():
    task = SixOperator(attempt="fenergo://127.0.0.1:8765/clients-1/2")
    assert LedgerLink().get_link(task, ti_key=None) == "/ferry/batch/fenergo/127.0.0.1%3A8765/clients-1"


@pytest.mark.parametrize("environment", ["api.fenergox.com", "127.0.0.1:8765", "[::1]:8765"])
def test_the_page_that_the_link_names_exists(environment):
    attempt = Attempt("fenergo", environment, "clients-1", 2)
    link = LedgerLink().get_link(SixOperator(attempt=attempt.key), ti_key=None)
    page = ledger_page(*[lambda: None] * 4)
    scope = {"type": "http", "method": "GET", "path": unquote(link.removeprefix("/ferry"))}
    (found,) = [how["path_params"] for match, how in (route.matches(scope) for route in page.routes) if match is Match.FULL]
    assert found == {"vendor": "fenergo", "environment": environment, "batch_id": "clients-1"}


@pytest.mark.parametrize("attempt", [ATTEMPT, "", "None"])
def test_a_task_without_an_attempt_has_no_links(attempt):
    task = SixOperator(attempt=attempt)
    assert LedgerLink().get_link(task, ti_key=None) == ""
    assert VendorLink().get_link(task, ti_key=None) == ""


def test_the_vendor_link_is_the_connections(ledger, connect):
    task = SixOperator(attempt=ledger.attempt.key)
    connect("six_default", conn_type="http", host="https://six.example", extra={"ui_url": "https://ui.six.example/runs"})
    assert VendorLink().get_link(task, ti_key=None) == "https://ui.six.example/runs"
    connect("six_default", conn_type="http", host="https://six.example")
    assert VendorLink().get_link(task, ti_key=None) == ""


def test_every_step_of_a_vendor_has_both_links():
    assert {link.name for link in FenergoOpenRunOperator.operator_extra_links} == {"Ledger", "Vendor"}
