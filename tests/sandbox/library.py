"""A plain client of the two made-up MicroStrategy Libraries, which knows their paths and nothing of Ferry."""

import copy
import hashlib
from contextlib import contextmanager

import httpx  # noqa: TID251 (the fake vendor is tested with a plain client, not with ours)

SALES, FINANCE = "A1111111111111111111111111111111", "B2222222222222222222222222222222"
MARKETING, MARKETING_ON_TARGET = "C3333333333333333333333333333333", "D4444444444444444444444444444444"
HR = "E5555555555555555555555555555555"
AT_ONCE = {"package_seconds": 0.0, "validate_seconds": 0.0, "import_seconds": 0.0, "undo_seconds": 0.0}
PASSWORDS = {"administrator": "ferry-demo-administrator", "architect": "ferry-demo-architect"}
ENDS = {"environment": {"id": "https://tgt.example/MicroStrategyLibrary/", "name": "tgt"}}
STORE = "/mstrServices/library/storage/sharedFileStore/files"
REGION, PROFIT, USER = "0" * 31 + "1", "0" * 31 + "2", "0" * 31 + "3"


def thing(key=REGION, kind=12, action="replace", **more):
    return {"id": key, "type": kind, "action": action, "includeDependents": False, **more}


def toc(*content, **settings):
    return {"settings": {"defaultAction": "replace", **settings}, "content": list(content) or [thing()]}


def package(*content, kind="project", **more):
    return {"type": kind, "tocView": toc(*content), **more}


def member(project, *content, kind="project", target=None):
    if kind == "configuration":
        return {"packageInfo": package(*content, kind=kind), "importInfo": {}}
    return {
        "packageInfo": package(*content, project={"id": project}),
        "importInfo": {"project": {"id": target or project}},
    }


class Library:
    """One person's session in one environment."""

    def __init__(self, base, name, who="administrator"):
        self.root = f"/microstrategy/{name}/MicroStrategyLibrary"
        self.http = httpx.Client(base_url=f"{base}{self.root}/api", timeout=20, verify=False)  # noqa: S501 (plain http)
        self.who = who

    def log_in(self, **more):
        told = {"username": self.who, "password": PASSWORDS[self.who], "loginMode": 1} | more
        answer = self.http.post("/auth/login", json=told)
        if answer.status_code == 204:
            self.http.headers["X-MSTR-AuthToken"] = answer.headers["X-MSTR-AuthToken"]
        return answer

    def call(self, method, path, project=None, **how):
        headers = how.pop("headers", {}) | ({"X-MSTR-ProjectID": project} if project else {})
        return self.http.request(method, path, headers=headers, **how)

    def create(self, name="spring release", told=None, project=SALES, importing=None):
        body = {"packageInfo": (told or package()) | {"name": name}, "importInfo": importing or ENDS}
        return self.call("POST", "/migrations", project, json=body)

    def made(self, *args, **more):
        answer = self.create(*args, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def group(self, *members, name="quarter"):
        body = {"name": name, "sourceEnvironment": {"id": "s"}, "targetEnvironment": {"id": "t"}, "treeView": {}}
        return self.call("POST", "/migrationGroups", json=body | {"migrations": list(members)})

    def look(self, key, kind="migrations", content="all"):
        answer = self.call("GET", f"/{kind}/{key}", params={"showContent": content})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def request(self, key, word, which="importRequestStatus", project=None):
        return self.call("PATCH", f"/migrations/{key}", project, json={"importInfo": {which: word}})

    def request_group(self, key, word, which="importRequestStatus"):
        return self.call("PATCH", f"/migrationGroups/{key}", json={which: word})

    def locked(self, *args, **more):
        """A migration that was created, requested and approved."""
        key = self.made(*args, **more)
        for word in ("requested", "approved"):
            assert self.request(key, word).status_code == 200
        return key

    def locked_group(self, *members, **more):
        key = self.group(*members, **more).json()["id"]
        for word in ("requested", "approved"):
            assert self.request_group(key, word).is_success
        return key

    def undo(self, key, project=SALES):
        for word in ("requested", "approved"):
            answer = self.request(key, word, "undoRequestStatus", project)
        return answer

    def upload(self, content, kind="project", **more):
        told = {
            "name": "carried.mmp",
            "type": "migrations.packages",
            "extension": "mmp",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "extraInfo": {"packageType": kind, "packagePurpose": "object_migration"},
        }
        return self.call("POST", STORE, json=told | more)

    def send(self, file, content):
        return self.call("PUT", f"{STORE}/{file}/binary", files={"file": ("carried.mmp", content)})


class Pair:
    """Both Libraries, an administrator and an architect in each, and the control endpoints."""

    def __init__(self, base):
        self.base = base
        self.control = httpx.Client(base_url=f"{base}/_sandbox", timeout=20, verify=False)  # noqa: S501 (plain http)
        self.control.post("/reset").raise_for_status()
        self.source, self.target = Library(base, "source"), Library(base, "target")
        self.architect = Library(base, "source", "architect")
        self.architect_there = Library(base, "target", "architect")
        self.everybody = (self.source, self.target, self.architect, self.architect_there)
        for library in self.everybody:
            library.log_in()

    def close(self):
        for client in (self.control, *(library.http for library in self.everybody)):
            client.close()

    def switch(self, **values):
        self.control.put("/microstrategy/switches", json=values).raise_for_status()

    def advance(self, seconds):
        self.control.post("/clock", json={"advance": seconds}).raise_for_status()

    def stop_clock(self):
        self.control.post("/clock", json={"speed": 0}).raise_for_status()

    def state(self):
        return self.control.get("/microstrategy/state").json()

    def held(self, place="Sales", side="target"):
        return {item["id"]: item for item in self.state()[side]["objects"][place]}

    def by_hand(self, **wanted):
        return self.control.post("/microstrategy/records", json=wanted)

    def bring(self, key, project=SALES, **query):
        """PUT the source's whole record to the target, replicated."""
        body = self.source.look(key)
        body["packageInfo"]["replicated"] = True
        return self.target.call("PUT", f"/migrations/{key}", project, json=body, params=query)

    def bring_group(self, key, **query):
        body = replicated(self.source.look(key, "migrationGroups"))
        return self.target.call("PUT", f"/migrationGroups/{key}", json=body, params=query)

    def moved(self, *args, **more):
        """A migration imported on the target."""
        key = self.source.locked(*args, **more)
        assert self.bring(key).status_code == 201
        return key


def replicated(group):
    group = copy.deepcopy(group)
    for told in group["migrations"]:
        told["packageInfo"]["replicated"] = True
    return group


def refused(answer):
    """Status, code and message of a refusal."""
    told = answer.json()
    return answer.status_code, told["code"], told["message"]


@contextmanager
def pair(base):
    """Both Libraries on their first day, everybody logged in."""
    fresh = Pair(base)
    try:
        yield fresh
    finally:
        fresh.close()
