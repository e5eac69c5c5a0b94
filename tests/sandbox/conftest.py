"""A sandbox on a loopback port for each vendor, and a plain client that knows Fenergo's paths and nothing of Ferry."""

import csv
import io

import httpx  # noqa: TID251  # the fake vendor is tested with a plain client, not with ours
import pytest
from tests.sandbox import anon_client, library
from tests.sandbox import instance as domo

from sandbox.server import running

pytest.register_assert_rewrite("tests.sandbox.dmm_client")  # its fixtures are loaded by the tests of DMM's sandbox

TENANT = "11111111-2222-3333-4444-555555555555"
SECRET = {"grant_type": "client_credentials", "client_id": "ferry-demo", "client_secret": "ferry-demo-secret"}
COMMAND = "/fenergo/datamigrationcommand/api/v2"
COMMAND_V1 = "/fenergo/datamigrationcommand/api"
QUERY = "/fenergo/datamigrationquery/api"
AT_ONCE = {"prepare_seconds": 0.0, "process_seconds": 0.0, "ingestion_seconds": 0.0}

FILES = {
    "Company": (
        '"alternateId","legalEntityName","countryOfIncorporation","entityCategory","dateOfIncorporation","businessLines","leiCode"\n'
        '"CRM-C-0001","Łódź Tramway Holdings S.A.","PL","GENERAL","1998-03-17","Leasing|Transport",""\n'
        '"CRM-C-0002","Orchard ""Blue"" Ltd","IE","","2007-11-30","Retail",""\n'
    ),
    "Individual": (
        '"alternateId","title","firstName","lastName","dateOfBirth","nationality"\n'
        '"CRM-P-0101","Ms","Zoë","Ngũgĩ","1974-06-02","KE"\n'
        '"CRM-P-0102","Mr","Piotr","Żak","1981-12-19","PL"\n'
    ),
    "Addresses": (
        '"alternateId","parentAlternateId","addressType","line1","city","postalCode","country"\n'
        '"CRM-A-9001","CRM-C-0001","Registered","ul. Kwiatowa 7","Łódź","90-001","PL"\n'
    ),
    "Associations": (
        '"alternateId","sourceAlternateId","targetAlternateId","associationType","ownershipPercentage"\n'
        '"CRM-R-0001","CRM-P-0101","CRM-C-0001","Shareholder","25"\n'
    ),
}


class Tenant:
    """The tenant as a client sees it, and the control endpoints beside it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.http = httpx.Client(base_url=base, timeout=20, verify=False)  # noqa: S501  # plain http; saves loading certificates
        self.headers = {"X-TENANT-ID": TENANT}

    def log_in(self, **more: str) -> None:
        answer = self.http.post("/fenergo/connect/token", data=SECRET | more)
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def command(self, method: str, path: str, **how):
        return self.http.request(method, COMMAND + path, headers=self.headers, **how)

    def query(self, path: str, **how):
        return self.http.get(QUERY + path, headers=self.headers, **how)

    def switch(self, **values) -> None:
        self.http.put("/_sandbox/fenergo/switches", json=values).raise_for_status()

    def fault(self, **rule) -> int:
        answer = self.http.post("/_sandbox/fenergo/faults", json=rule)
        answer.raise_for_status()
        return answer.json()["id"]

    def advance(self, seconds: float) -> None:
        self.http.post("/_sandbox/clock", json={"advance": seconds}).raise_for_status()

    def state(self, **query: str) -> dict:
        return self.http.get("/_sandbox/fenergo/state", params=query).json()

    def log(self, **query) -> list[dict]:
        return self.http.get("/_sandbox/requests", params={"vendor": "fenergo", **query}).json()

    def create(self, jurisdiction: str = "Migration", **more) -> str:
        answer = self.command("POST", "/migration", json={"data": {"jurisdiction": jurisdiction, **more}})
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]

    def link(self, migration: str, table: str, name: str = "") -> str:
        body = {"data": {"fileName": name or f"{table.lower()}.csv", "tableName": table}}
        answer = self.command("PUT", f"/migration/{migration}/add-file", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]

    def upload(self, migration: str, files: dict[str, str | bytes]) -> None:
        for table, content in files.items():
            url = self.link(migration, table)
            self.http.put(url, content=content if isinstance(content, bytes) else content.encode()).raise_for_status()

    def start(self, migration: str):
        return self.command("PUT", f"/migration/{migration}/start")

    def look(self, migration: str) -> dict:
        return self.query(f"/migration/{migration}").json()["data"]

    def until(self, migration: str, *words: str) -> dict:
        for _ in range(5000):
            seen = self.look(migration)
            if seen["status"] in words:
                return seen
        raise AssertionError(f"Still {seen['status']}")

    def run(self, files: dict[str, str | bytes] = FILES, **create) -> str:
        """Create, upload, start and wait for the end."""
        migration = self.create(**create)
        self.upload(migration, files)
        assert self.start(migration).status_code == 202
        self.until(migration, "Completed", "Failed")
        return migration

    def errors(self, migration: str) -> list[dict[str, str]]:
        return rows(self.query(f"/migration/{migration}/get-error-file"))

    def records(self, migration: str) -> list[dict[str, str]]:
        return rows(self.query(f"/migration/{migration}/get-migrated-records-file"))

    def ingest(self, text: str) -> tuple[str, str]:
        opened = self.command("POST", "/record-reference-ingestion").json()
        self.http.put(opened["preSignedUrl"], content=text.encode()).raise_for_status()
        assert self.command("POST", f"/record-reference-ingestion/{opened['id']}/execution").status_code == 202
        path = f"/record-reference-ingestion/{opened['id']}/execution"
        while (word := self.query(path).json()["status"]) == "Running":
            pass
        return opened["id"], word


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    answer.raise_for_status()
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.fixture(scope="session")
def fenergo_base(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), switches={"fenergo": AT_ONCE}) as base:
        yield base


@pytest.fixture
def tenant(fenergo_base):
    """A tenant on its first day, logged in."""
    fresh = Tenant(fenergo_base)
    fresh.http.post("/_sandbox/reset").raise_for_status()
    fresh.log_in()
    yield fresh
    fresh.http.close()


@pytest.fixture(scope="session")
def plain():
    """A client without any default header, as a signed link wants it."""
    with httpx.Client(timeout=20, verify=False) as client:  # noqa: S501  # plain http; saves loading certificates
        yield client


@pytest.fixture
def files():
    """Four small tables that the policy accepts."""
    return dict(FILES)


@pytest.fixture(scope="session")
def libraries_base(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), switches={"microstrategy": library.AT_ONCE}) as base:
        yield base


@pytest.fixture
def both(libraries_base):
    """Both Libraries of MicroStrategy, forgetful of what was before."""
    with library.pair(libraries_base) as libraries:
        yield libraries


@pytest.fixture(scope="session")
def domo_base(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), switches={"domo": domo.AT_ONCE}) as base:
        yield base


@pytest.fixture
def instance(domo_base):
    """Domo's instance on its first day; migrations and reversals take no time."""
    with domo.on_the_first_day(domo_base) as fresh:
        yield fresh


@pytest.fixture
def slow(instance):
    """The same with a clock that stands still, and a migration of 5 seconds, a reversal of 3."""
    instance.stop_clock()
    instance.switch(migrate_seconds=5.0, reverse_seconds=3.0)
    return instance


@pytest.fixture
def one(instance):
    """A datasource that reads MySQL."""
    return next(key for key, row in instance.mapping.items() if row["table"] == "Orders")


@pytest.fixture
def another(instance):
    """Another one."""
    return next(key for key, row in instance.mapping.items() if row["table"] == "order_lines")


@pytest.fixture
def ledger(instance):
    """A datasource that reads Snowflake."""
    return next(key for key, row in instance.mapping.items() if row["table"] == "LEDGER_01")


@pytest.fixture(scope="session")
def anon_base(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox")) as base:
        yield base


@pytest.fixture
def anon(anon_base):
    """Anon's organisation on its first day, without migrations; its clock stands still."""
    with anon_client.standing_still(anon_base) as fresh:
        yield fresh
