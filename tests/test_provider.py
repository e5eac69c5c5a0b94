"""Ferry as Airflow's provider manager sees it: the command line, the form, and what reading it costs."""

import json
import subprocess
import sys
from functools import cache
from importlib.resources import files

import jsonschema
import pytest

from ferry.provider import DISTRIBUTION, get_provider_info
from ferry.vendors import all_vendors

VENDORS = list(all_vendors())
SECRET = ("password", "secret", "token", "key", "credential")
NOT_SECRET = {"token_url"}


# Airflow's commands take seconds each, and are cached by the process that asked.
asks_airflow = pytest.mark.xdist_group("providers")


@cache
def airflow(*command):
    """What `airflow providers ... --output json` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", *command, "--output", "json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout[done.stdout.index("[") :])


@asks_airflow
def test_airflow_lists_ferry_among_its_providers():
    (mine,) = [row for row in airflow("list") if row["package_name"] == DISTRIBUTION]
    assert mine["version"] == get_provider_info()["versions"][0]
    assert "account for every record" in mine["description"]


@asks_airflow
@pytest.mark.parametrize("vendor", VENDORS)
def test_airflow_finds_the_hook_of_every_vendor(vendor):
    (mine,) = [row for row in airflow("hooks") if row["connection_type"] == vendor]
    card = all_vendors()[vendor]
    assert mine["package_name"] == DISTRIBUTION
    assert mine["hook_name"] == card.title
    assert mine["class"] == card.hook


@cache
def forms():
    """What the provider manager itself knows of every vendor, as the api-server asks it; in a process of its own."""
    code = (
        "import json, sys\n"
        "from airflow.providers_manager import ProvidersManager\n"
        "manager = ProvidersManager()\n"
        "def told(vendor):\n"
        "    hook = manager.hooks[vendor]\n"
        "    widgets = [key for key in manager.connection_form_widgets if key.startswith(f'extra__{vendor}__')]\n"
        "    behaviour = manager.field_behaviours.get(vendor)\n"
        "    return [hook.hook_name, hook.connection_testable, sorted(widgets), behaviour]\n"
        f"print(json.dumps({{vendor: told(vendor) for vendor in {VENDORS}}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@asks_airflow
@pytest.mark.parametrize("vendor", VENDORS)
def test_airflow_imports_the_hook_and_reads_its_form(vendor):
    name, testable, widgets, behaviour = forms()[vendor]
    card = all_vendors()[vendor]
    assert (name, testable) == (card.title, True)
    assert widgets == sorted(f"extra__{vendor}__{field}" for field in card.fields)
    assert behaviour["relabeling"] == card.behaviour["relabeling"]


def test_the_provider_info_is_what_airflows_schema_demands():
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


FORMS = [(kind, name) for kind in get_provider_info()["connection-types"] for name in kind["conn-fields"]]


@pytest.mark.parametrize(("kind", "name"), FORMS, ids=[f"{kind['connection-type']}.{name}" for kind, name in FORMS])
def test_every_field_is_labelled_typed_and_may_be_left_empty(kind, name):
    form = kind["conn-fields"][name]
    assert form["label"][:1].isupper()
    assert form["description"].endswith(".")
    assert form["schema"]["type"][-1] == "null"
    jsonschema.Draft202012Validator.check_schema(form["schema"])
    assert jsonschema.Draft202012Validator(form["schema"]).is_valid(None)


@pytest.mark.parametrize(("kind", "name"), FORMS, ids=[f"{kind['connection-type']}.{name}" for kind, name in FORMS])
def test_what_is_secret_is_hidden(kind, name):
    """Airflow stores `password` encrypted and never shows it; an extra that is secret must at least be a password field."""
    if any(word in name for word in SECRET) and name not in NOT_SECRET:
        assert kind["conn-fields"][name]["schema"].get("format") == "password"


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_form_names_the_standard_fields_as_the_vendor_does(vendor):
    behaviour = all_vendors()[vendor].behaviour
    assert "extra" in behaviour["hidden-fields"]  # nobody types JSON
    assert behaviour["relabeling"]["password"]
    assert not set(behaviour["hidden-fields"]) & set(behaviour["relabeling"])


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_secret_of_the_sandbox_is_in_the_password_field_only(vendor):
    for told in all_vendors()[vendor].sandbox_connections("http://127.0.0.1:1").values():
        assert told["conn_type"] == vendor
        secret = told.get("password")
        assert secret
        assert secret not in json.dumps({key: value for key, value in told.items() if key != "password"})


def test_reading_the_provider_info_loads_nothing_heavy():
    code = (
        "import sys, json; from ferry.provider import get_provider_info; get_provider_info()\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "ferry" in loaded
    assert not loaded & {"airflow", "httpx", "pydantic", "sqlalchemy", "pandas", "duckdb", "yaml", "upath", "fastapi"}
