"""A plain client of the made-up Anon organisation, which knows its paths and nothing of Ferry."""

import time
from contextlib import contextmanager
from urllib.parse import quote

import httpx  # noqa: TID251 (the fake vendor is tested with a plain client, not with ours)

KEY = "anon_ferry_demo_key"
BASE = "/anon/api/v1/migrations"


class Organisation:
    """The organisation as a client sees it, and the control endpoints beside it. Its clock stands still."""

    def __init__(self, base):
        self.http = httpx.Client(base_url=base, timeout=20, verify=False)  # noqa: S501 (plain http)
        self.control = httpx.Client(base_url=f"{base}/_sandbox", timeout=20, verify=False)  # noqa: S501 (plain http)
        self.control.post("/reset").raise_for_status()
        self.run_at(0)

    def close(self):
        self.http.close()
        self.control.close()

    # The vendor

    def call(self, path="", method="GET", key=KEY, **how):
        headers = how.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        return self.http.request(method, f"{BASE}{path}", headers=headers, **how)

    def page(self, path="", **params):
        answer = self.call(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, path="", **params):
        """The ids on one page."""
        return [one["id"] for one in self.page(path, **params)["data"]]

    def walk(self, path="", first=1, most=50, **params):
        """The ids on each page until the first empty one."""
        pages = []
        for number in range(first, first + most):
            found = self.ids(path, page=number, **params)
            if not found:
                return pages
            pages.append(found)
        raise AssertionError("no end")

    def get(self, key):
        answer = self.call(f"/{quote(key, safe='')}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self, key):
        return self.get(key)["status"]

    def tasks(self, key):
        """The status of each task by its type of data."""
        return {one["data_type"]: one["status"] for one in self.page(f"/{key}/tasks", page_size=100)["data"]}

    def files(self, key):
        return self.page(f"/{key}/files", page_size=100)["data"]

    # Beside the vendor

    def make(self, **wish):
        """The ids of new migrations, oldest first."""
        answer = self.control.post("/anon/records", json=wish)
        assert answer.status_code == 201, answer.text
        return answer.json()["ids"]

    def one(self, story="forgets", **wish):
        (key,) = self.make(story=story, **wish)
        return key

    def act(self, key, does):
        return self.control.post(f"/anon/people/{quote(key, safe='')}", json={"does": does})

    def acts(self, key, *acts):
        for does in acts:
            assert self.act(key, does).status_code == 200

    def switch(self, **values):
        self.control.put("/anon/switches", json=values).raise_for_status()

    def advance(self, seconds):
        self.control.post("/clock", json={"advance": seconds}).raise_for_status()

    def run_at(self, speed):
        self.control.post("/clock", json={"speed": speed}).raise_for_status()

    def now(self):
        return self.control.get("/clock").json()["seconds"]

    def state(self, **query):
        return self.control.get("/anon/state", params=query).json()

    def counters(self):
        return self.state(migrations="none")["counters"]

    def until(self, happened, patience=20):
        deadline = time.monotonic() + patience
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"


def refused(answer):
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


@contextmanager
def standing_still(base):
    fresh = Organisation(base)
    try:
        yield fresh
    finally:
        fresh.close()
