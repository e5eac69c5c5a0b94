from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio
import httpx
from ferry_ui import FerryPlugin

(mounted,), (view,) = FerryPlugin.fastapi_apps, FerryPlugin.external_views
assert mounted["url_prefix"] == "/ferry" and view["href"] == "ferry/" and view["destination"] == "nav"

async def ask(path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(mounted["app"]), base_url="http://airflow") as client:
        return (await client.get(path)).status_code

print([asyncio.run(ask(path)) for path in ("/", "/batch", "/pack", "/batch/a/b/c")])
"""


def test_airflows_own_login_stands_before_every_page_of_the_plugin(tmp_path):
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2] / "plugins")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["[401, 401, 401, 401]"], done.stderr
