"""Vendor six: the smallest vendor there can be, on the house's own shared steps. Its answers are written by the tests."""

from __future__ import annotations

from dataclasses import replace

from tests.loopback import answer

from ferry.core.api import VendorApi, json_of
from ferry.core.model import RunState
from ferry.core.wire import httpx
from ferry.steps.hook import Settings, VendorHook
from ferry.steps.triggers import VendorProofTrigger, VendorRunTrigger


def word(state: str, word: str = "", **counters: int) -> bytes:
    """Six's answer to a look."""
    told = ",".join([f'"{name}": {number}' for name, number in counters.items()])
    return answer(200, f'{{"state": "{state}", "word": "{word or state.title()}", "counters": {{{told}}}}}'.encode())


class SixApi(VendorApi):
    vendor = "six"

    def look(self, run):
        found = yield from self._call("look", "GET", f"/run/{run.ref}", repeatable=True)
        told = json_of(found, "look")
        return replace(run, state=RunState(told["state"]), word=told["word"], counters=told["counters"])

    def start(self, run):
        yield from self._call("start", "PUT", f"/run/{run.ref}/start", repeatable=False)
        return replace(run, state=RunState.QUEUED)


class SixSettings(Settings):
    requests_per_second: float = 0.0


class SixHook(VendorHook[SixApi]):
    vendor = "six"
    settings_class = SixSettings

    def api(self, patience):
        return SixApi(self.settings.base_url, patience=patience)

    def auth(self):
        return httpx.Auth()

    def probe(self, api):
        yield from api._call("probe", "GET", "/probe", repeatable=True)
        return "six is there"


class SixTrigger(VendorRunTrigger):
    hook_class = SixHook


class SixProofTrigger(VendorProofTrigger):
    hook_class = SixHook
