"""A plain client of the two made-up OutSystems environments, which knows their paths and nothing of Ferry; a plugin of the tests.

Its fixtures stand here: every `test_dmm_*.py` names this module in `pytest_plugins`.
"""

import base64
import io
import json
import time
import zipfile

import httpx  # noqa: TID251 (the fake vendor is tested with a plain client, not with ours)
import pytest

from sandbox.server import running

BASE = "/DMMAPI/rest/v1"
AT_ONCE = {"queue_seconds": 0.0, "chunk_seconds": 0.0}
RUNTIME = {"DestinationDBConnection": "Runtime Connection", "DataAppendMode": True}
KEPT = {"DestinationDBConnection": "reporting-db", "DataAppendMode": False}
ALL = dict.fromkeys(("IncludeReports", "IncludeLogs", "IncludeFiles", "IncludeErrorReport"), "true")


def zipped(**tables):
    """A zip of hand-made tables: numbers of invoices, or whole texts."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for entity, content in tables.items():
            archive.writestr(f"{entity}_Struct.dmm", "{}")
            archive.writestr(f"{entity}_Data.csv", content if isinstance(content, str) else invoices(content))
    return target.getvalue()


def invoices(number):
    return "Id,Name,Total,On\n" + "".join(f"{n},N'no {n}',{n}.50,2031-01-02T03:04:05\n" for n in range(1, number + 1))


def unzipped(encoded):
    return zipfile.ZipFile(io.BytesIO(base64.b64decode(encoded, validate=True)))


class Environment:
    """One environment as a client sees it."""

    def __init__(self, http, name):
        self.http, self.name = http, name
        self.key = f"ferry-demo-dmm-{name}"

    def call(self, method, operation, key=None, base=BASE, **how):
        headers = {"X-DMM-Token": self.key if key is None else key} | how.pop("headers", {})
        return self.http.request(method, f"/dmm/{self.name}{base}/{operation}", headers=headers, **how)

    def otp(self):
        return self.http.get("/_sandbox/dmm/otp", params={"environment": self.name}).json()["value"]

    def start(self, content=None, configuration=RUNTIME, kind="Import", otp=None, **more):
        told = {"Type": kind, "Configuration": configuration} | more
        if content is not None:
            told["ZipFile"] = base64.b64encode(content).decode()
        headers = {"X-DMM-Token-OTP": self.otp() if otp is None else otp}
        return self.call("POST", "StartExecution", headers=headers, json=told)

    def started(self, *args, **how):
        """The id of an execution that was started."""
        answer = self.start(*args, **how)
        assert answer.json()["Success"], answer.text
        return answer.json()["MainExecutionTrackerId"]

    def exported(self, *entities, **told):
        return self.started(None, {"DBConnection": "Runtime Connection", "ExportingEntities": list(entities)} | told, "Export")

    def look(self, key, **more):
        answer = self.call("GET", "GetExecutionStatus", params={"MainExecutionTrackerId": key, "IncludeReports": "true"} | more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def word(self, key):
        return self.look(key)["Status"]

    def counters(self, key):
        """Completed and total records, completed and total instructions."""
        report = self.look(key)["Report"]
        return tuple(report[f"{how}{what}"] for what in ("Records", "Instructions") for how in ("Completed", "Total"))

    def message(self, key):
        return self.look(key)["Report"]["Message"]

    def lines(self, key, **more):
        """A page of the log, and the number of pages."""
        told = self.look(key, IncludeLogs="true", **more)
        return base64.b64decode(told["Logs"]).decode().splitlines(), told["LogNumPages"]

    def outputs(self, key, **which):
        answer = self.call("GET", "GetExecutionOutputs", params={"MainExecutionTrackerId": key} | (which or ALL))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def errors(self, key):
        return json.loads(base64.b64decode(self.outputs(key)["ErrorReport"]))

    def stop(self, key):
        return self.call("POST", "StopExecution", json={"MainExecutionTrackerId": key})

    def connect(self, name, usage="Destination", kind="SQLServer", **more):
        return self.call("POST", "CreateConnection", json={"Name": name, "Usage": usage, "ConnectionType": kind} | more)


class Dmm:
    """Both environments, and the control endpoints beside them."""

    def __init__(self, base):
        self.http = httpx.Client(base_url=base, timeout=30, verify=False)  # noqa: S501 (plain http)
        self.control = httpx.Client(base_url=f"{base}/_sandbox", timeout=30, verify=False)  # noqa: S501 (plain http)
        self.source, self.target = Environment(self.http, "source"), Environment(self.http, "target")

    def forget(self):
        """The first day again; the other vendors of the sandbox hold nothing."""
        self.control.post("/reset", params={"vendor": "dmm"}).raise_for_status()
        self.control.post("/clock", json={"speed": 1}).raise_for_status()

    def close(self):
        self.http.close()
        self.control.close()

    def switch(self, **values):
        self.control.put("/dmm/switches", json=values).raise_for_status()

    def fault(self, **rule):
        self.control.post("/dmm/faults", json=rule).raise_for_status()

    def advance(self, seconds):
        self.control.post("/clock", json={"advance": seconds}).raise_for_status()

    def state(self):
        return self.control.get("/dmm/state").json()

    def records(self, entity, name="target"):
        return self.state()[name]["records"].get(entity, [])

    def until(self, happened, patience=10):
        deadline = time.monotonic() + patience
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"


@pytest.fixture(scope="session")
def dmm_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dmm")


@pytest.fixture(scope="session")
def dmm_base(dmm_folder):
    with running(dmm_folder, switches={"dmm": AT_ONCE}) as base:
        yield base


@pytest.fixture(scope="session")
def dmm_environments(dmm_base):
    both = Dmm(dmm_base)
    yield both
    both.close()


@pytest.fixture
def dmm(dmm_environments):
    """Both environments on their first day; executions take no time."""
    dmm_environments.forget()
    return dmm_environments


@pytest.fixture
def paced(dmm):
    """The same with a clock that stands still: a second in the queue, half a second a chunk.

    Tests advance it by halves and quarters, which add up exactly.
    """
    dmm.control.post("/clock", json={"speed": 0}).raise_for_status()
    dmm.switch(queue_seconds=1.0, chunk_seconds=0.5)
    return dmm


@pytest.fixture
def target(dmm):
    return dmm.target


@pytest.fixture
def source(dmm):
    return dmm.source
