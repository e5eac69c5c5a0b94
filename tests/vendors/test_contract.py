"""What holds for every vendor, found by its folder: a run ends in the state its vendor reports, whoever waits for it.

A new vendor brings a sandbox with SCRIPTS and is tested here without an edit.
"""

import asyncio
import importlib
import json
import time

import httpx  # noqa: TID251 (the sandbox's control endpoints are no vendor: no client of ours knows them)
import pytest

from ferry.core.model import Run, RunState
from ferry.steps.operators import AttemptStep
from ferry.vendors import all_vendors
from sandbox.server import running

VENDORS = list(all_vendors())


def scripts(vendor):
    return importlib.import_module(f"ferry.vendors.{vendor}.sandbox").SANDBOX.SCRIPTS


def hook_class(vendor):
    path, _, name = all_vendors()[vendor].hook.rpartition(".")
    return getattr(importlib.import_module(path), name)


def operators(vendor):
    found = vars(importlib.import_module(f"ferry.vendors.{vendor}.operators")).values()
    mine = [kind for kind in found if isinstance(kind, type) and kind.__module__.endswith(f"{vendor}.operators")]
    return [kind for kind in mine if issubclass(kind, AttemptStep)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox")) as base, httpx.Client(base_url=f"{base}/_sandbox") as control:
        yield control


@pytest.fixture
def connections(sandbox, monkeypatch):
    """Every vendor's own connections to the sandbox, without our rate limits."""
    sandbox.post("/reset").raise_for_status()
    base = str(sandbox.base_url).removesuffix("/_sandbox/")
    for card in all_vendors().values():
        for name, told in card.sandbox_connections(base).items():
            quick = told | {"extra": told.get("extra", {}) | {"requests_per_second": 0}}
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(quick))
    return {vendor: list(card.sandbox_connections(base)) for vendor, card in all_vendors().items()}


def as_worker(kind, conn_id, run):
    hook = kind(conn_id)
    while not run.state.is_final:
        run = hook.call(lambda api, run=run: api.look(run))
        yield run


def as_triggerer(kind, conn_id, run):
    async def once(run):
        hook = await kind.aopen(conn_id)
        return await hook.acall(lambda api: api.look(run))

    while not run.state.is_final:
        run = asyncio.run(once(run))
        yield run


@pytest.mark.parametrize("play", [as_worker, as_triggerer], ids=["worker", "triggerer"])
@pytest.mark.parametrize(("vendor", "script"), [(vendor, script) for vendor in VENDORS for script in scripts(vendor)])
def test_a_run_ends_in_the_state_its_vendor_reports(vendor, script, play, sandbox, connections):
    begun = sandbox.post(f"/{vendor}/scripts/{script}").json()
    seen, deadline = [], time.monotonic() + 20
    for run in play(hook_class(vendor), scripts(vendor)[script].connection or f"{vendor}_default", Run(begun["ref"])):
        seen.append(run)
        assert time.monotonic() < deadline, f"still {run.word!r}"
    assert seen[-1].state is RunState(begun["ends"])
    assert seen[-1].ref == begun["ref"]
    assert seen[-1].word
    assert [run.state for run in seen[:-1] if run.state.is_final] == []
    assert all(isinstance(number, int) for number in seen[-1].counters.values())


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_scripts_show_success_and_failure(vendor):
    ends = {RunState(script.ends) for script in scripts(vendor).values()}
    assert RunState.SUCCEEDED in ends
    assert ends & {RunState.FAILED_CLEAN, RunState.FAILED_DIRTY}
    assert all(state.is_final for state in ends)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_connections_to_the_sandbox_work(vendor, connections):
    assert connections[vendor]
    for name in connections[vendor]:
        ok, said = hook_class(vendor)(name).test_connection()
        assert ok, said


@pytest.mark.parametrize("vendor", VENDORS)
def test_card_hook_and_form_name_the_same_vendor(vendor):
    card, hook = all_vendors()[vendor], hook_class(vendor)
    assert (card.name, hook.vendor, hook.conn_type) == (vendor, vendor, vendor)
    assert set(card.fields) <= set(hook.settings_class.model_fields)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_step_leads_to_its_own_vendor(vendor):
    assert operators(vendor)
    for kind in operators(vendor):
        assert kind.hook_path == all_vendors()[vendor].hook, kind.__name__
        assert kind.hook_class() is hook_class(vendor), kind.__name__
        if hasattr(kind, "trigger_path"):
            module, _, name = kind.trigger_path.rpartition(".")
            trigger = getattr(importlib.import_module(module), name)
            assert trigger.hook_class is hook_class(vendor), kind.__name__


def test_a_script_nobody_wrote_is_refused(sandbox):
    answer = sandbox.post(f"/{VENDORS[0]}/scripts/nothing")
    assert answer.status_code == 400
    assert next(iter(scripts(VENDORS[0]))) in answer.json()["error"]
