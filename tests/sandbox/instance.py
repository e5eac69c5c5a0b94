"""A plain client of the made-up Domo instance, which knows its paths and nothing of Ferry."""

import csv
import io
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import quote

import httpx  # noqa: TID251 (the fake vendor is tested with a plain client, not with ours)

MYSQL, SNOWFLAKE, BIGQUERY = "mysql-federated", "snowflake-federated", "bigquery-federated"
ADMIN, ANALYST = "ferry-demo-domo-token", "ferry-demo-domo-analyst"
AT_ONCE = {"migrate_seconds": 0.0, "reverse_seconds": 0.0}
BASE = "/domo/api/query/migration/federated/v1/to/v2"
ACCOUNT_OF = {MYSQL: "41", SNOWFLAKE: "58"}


class Instance:
    """The instance as a client sees it, and the control endpoints beside it."""

    def __init__(self, base):
        self.base = base
        self.http = httpx.Client(base_url=base, timeout=20, verify=False)  # noqa: S501 (plain http)
        self.control = httpx.Client(base_url=f"{base}/_sandbox", timeout=20, verify=False)  # noqa: S501 (plain http)
        self.pool = ThreadPoolExecutor(8)
        self.forget()
        self.mapping = {row["id"]: row for kind in ACCOUNT_OF for row in self.rows(kind)}

    def forget(self):
        self.control.post("/reset").raise_for_status()

    def close(self):
        self.forget()  # lets go of every POST that is still open
        self.pool.shutdown()
        self.http.close()
        self.control.close()

    # The vendor

    def call(self, method, path, token=ADMIN, **how):
        headers = how.pop("headers", {}) | ({"X-DOMO-Developer-Token": token} if token else {})
        return self.http.request(method, f"{BASE}{path}", headers=headers, **how)

    def candidates(self, account="41", **how):
        answer = self.call("GET", f"/candidates/{account}", **how)
        assert answer.status_code == 200, answer.text
        return {one["id"]: one for one in answer.json()}

    def body(self, key):
        return {name: self.mapping[key][name] for name in ("catalog", "schema", "table")}

    def migrate(self, key, account="41", **how):
        told = {"json": self.body(key)} if not {"json", "content"} & set(how) else {}
        return self.call("POST", f"/{quote(key, safe='')}/accounts/{account}", **told, **how)

    def reverse(self, key, **how):
        return self.call("POST", f"/{quote(key, safe='')}/reverse", **how)

    def behind(self, call, *args, **how):
        """The answer to come of a POST that has reached the vendor."""
        before = self.handled()
        answer = self.pool.submit(call, *args, **how)
        self.until(lambda: self.handled() > before)
        return answer

    # Beside the vendor

    def switch(self, **values):
        self.control.put("/domo/switches", json=values).raise_for_status()

    def fault(self, **rule):
        self.control.post("/domo/faults", json=rule).raise_for_status()

    def advance(self, seconds):
        self.control.post("/clock", json={"advance": seconds}).raise_for_status()

    def stop_clock(self):
        self.control.post("/clock", json={"speed": 0}).raise_for_status()

    def state(self):
        return self.control.get("/domo/state").json()

    def handled(self):
        return sum(one["migrates"] + one["reverses"] for one in self.state()["posts"])

    def of(self, part, key):
        """One datasource in a part of the state; None if it is not there."""
        return next((one for one in self.state()[part] if one["id"] == key), None)

    def posts(self, key):
        one = self.of("posts", key)
        return one["migrates"], one["reverses"], one["starts"]

    def rows(self, kind):
        answer = self.control.get("/domo/mapping.csv", params={"type": kind})
        answer.raise_for_status()
        return list(csv.DictReader(io.StringIO(answer.text)))

    def until(self, happened, patience=20):
        deadline = time.monotonic() + patience
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"


def states(*answers):
    """The final states of some POSTs."""
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    return [answer.json()["state"] for answer in answers]


def refused(answer):
    """Status and message of a refusal."""
    return answer.status_code, answer.json()["message"]


@contextmanager
def on_the_first_day(base):
    fresh = Instance(base)
    try:
        yield fresh
    finally:
        fresh.close()
