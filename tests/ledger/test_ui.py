"""What only Airflow can show: its login before the plugin's pages, and its storage paths under the evidence store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, json
import httpx
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from ferry.core.model import Attempt
from ferry.ledger.evidence import EvidenceStore
from ferry_ui import FerryPlugin

(mounted,), (view,) = FerryPlugin.fastapi_apps, FerryPlugin.external_views

async def ask(path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(mounted["app"]), base_url="http://airflow") as client:
        return (await client.get(path)).status_code

def file_three(root):
    store, attempt = EvidenceStore(ObjectStoragePath(root)), Attempt("v", "h", "b", 1)
    filed = [store.file_text(attempt, "s", "n.txt", text).path for text in ("a", "b", "a")]
    return [filed, store.files_of("v", "h", "b"), store.hash_of(filed[1])]

attach("memory", conn_id="store", fs=MemoryFileSystem())
print(json.dumps({
    "prefix": mounted["url_prefix"],
    "href": view["href"],
    "strangers": [asyncio.run(ask(path)) for path in ("/", "/open", "/batch", "/pack", "/batch/a/b/c")],
    "local": file_three("file://" + __import__("os").environ["AIRFLOW_HOME"] + "/evidence"),
    "remote": file_three("memory://store@bucket/evidence"),
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    environment = os.environ | {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2] / "plugins")}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_airflows_own_login_stands_before_every_page_of_the_plugin(told):
    assert told["strangers"] == [401] * 5


def test_the_menu_entry_leads_to_where_the_page_is_mounted(told):
    assert (told["prefix"], told["href"]) == ("/ferry", "ferry/")


@pytest.mark.parametrize("where", ["local", "remote"])
def test_evidence_is_filed_through_airflows_storage_paths(told, where):
    filed, lying, digest = told[where]
    assert filed == ["v/h/b/1/s/n.txt", "v/h/b/1/s/n-2.txt", "v/h/b/1/s/n.txt"]
    assert lying == ["v/h/b/1/s/n-2.txt", "v/h/b/1/s/n.txt"]
    assert digest == "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
