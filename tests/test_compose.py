"""docker-compose.yaml and `make env`, as far as they can be held to something without Docker."""

import json
import re
import shutil
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
import yaml

from ferry.vendors import all_vendors

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docker-compose.yaml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SECRETS = (
    "POSTGRES_PASSWORD",
    "LEDGER_PASSWORD",
    "REDIS_PASSWORD",
    "JWT_SECRET",
    "API_SECRET_KEY",
    "FERNET_KEY",
    "ADMIN_PASSWORD",
)
AIRFLOWS_OWN = {"AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}


def values(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


EXAMPLE = values((ROOT / ".env.example").read_text())


# The file


def test_every_variable_has_its_line_in_the_example_and_the_other_way_round():
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT)) == set(EXAMPLE) - {"COMPOSE_PROFILES"}


def test_no_secret_has_a_default_and_the_file_refuses_to_be_read_without_one():
    wanted = {name for name in EXAMPLE if name.endswith(("PASSWORD", "SECRET", "KEY"))}
    assert wanted == set(SECRETS)
    assert [name for name in SECRETS if f"${{{name}:?" not in TEXT or f"${{{name}:-" in TEXT or EXAMPLE[name]] == []


def test_whoever_has_no_env_is_told_what_to_do_before_anything_else():
    first = re.search(r"\$\{[A-Z_]+:\?([^}]+)\}", TEXT)
    assert first is not None
    assert "make env" in first[1]


def test_nothing_but_airflows_pages_is_published_and_they_on_this_machine_only():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]}


def test_everything_restarts_keeps_its_logs_short_and_says_whether_it_is_well():
    once = {"airflow-init", "demo"}
    assert {name for name, service in SERVICES.items() if service["restart"] != "unless-stopped"} == once
    assert [name for name, service in SERVICES.items() if service["logging"]["options"].keys() != {"max-size", "max-file"}] == []
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == once


def test_nobody_is_root_and_nobody_may_become_it():
    assert {service["user"] for service in OURS.values()} == {"${AIRFLOW_UID:-50000}:0"}
    assert all(service["cap_drop"] == ["ALL"] and service["security_opt"] for service in OURS.values())


def test_workers_know_nothing_of_airflows_own_secrets():
    assert AIRFLOWS_OWN & set(SERVICES["worker"]["environment"]) == set()
    assert "POSTGRES_PASSWORD" not in str(SERVICES["worker"])
    assert set(SERVICES["scheduler"]["environment"]) >= AIRFLOWS_OWN, "the names are right"


def test_only_who_talks_to_the_vendors_has_their_credentials():
    known = {
        f"AIRFLOW_CONN_{name.upper()}" for vendor in all_vendors().values() for name in vendor.sandbox_connections("http://x")
    }
    who = {name for name, service in SERVICES.items() if known & set(service.get("environment", {}))}
    assert who == {"worker", "triggerer"}
    assert all(known <= set(SERVICES[name]["environment"]) for name in who)


def test_who_only_reads_batches_or_evidence_cannot_write_there():
    writers = {name for name, service in SERVICES.items() if any(one.endswith("/evidence") for one in service.get("volumes", []))}
    assert writers == {"worker", "triggerer"}


def test_there_are_two_of_each_that_waits_or_works():
    assert {name: service["scale"] for name, service in SERVICES.items() if "scale" in service} == {"triggerer": 2, "worker": 2}


# The image


def test_the_image_takes_only_what_is_pinned_and_nothing_that_is_private():
    told = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"pip install (?!--no-cache-dir --no-deps)", told) == []
    assert "ARG" not in told
    assert {".env", "var", ".git"} <= set((ROOT / ".dockerignore").read_text().splitlines())


def test_the_examples_connections_lead_to_the_sandbox_as_the_vendors_cards_say():
    known = {}
    for vendor in all_vendors().values():
        known |= vendor.sandbox_connections("http://sandbox:8765")
    told = re.findall(r"AIRFLOW_CONN_(\w+): \$\{(\w+_CONNECTION):\?", TEXT)
    mine = {name.lower(): json.loads(EXAMPLE[variable].strip("'")) for name, variable in told if name != "FERRY_STORAGE"}
    assert mine == known


# make env


@pytest.fixture
def place(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "env.py", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def make_env(place: Path) -> str:
    done = subprocess.run([sys.executable, "-I", place / "scripts" / "env.py"], capture_output=True, text=True, check=True)
    return done.stdout


def test_make_env_fills_in_every_secret_with_one_of_its_own_that_only_the_owner_reads(place):
    told = make_env(place)
    mine = values((place / ".env").read_text())
    assert set(mine) == set(EXAMPLE)
    assert len({mine[name] for name in SECRETS}) == len(SECRETS)
    assert min(len(mine[name]) for name in SECRETS) >= 44
    assert len(urlsafe_b64decode(mine["FERNET_KEY"])) == 32
    assert stat.S_IMODE((place / ".env").stat().st_mode) == 0o600
    assert [name for name in SECRETS if mine[name] in told] == []


def test_two_installations_have_nothing_secret_in_common(place):
    make_env(place)
    first = values((place / ".env").read_text())
    (place / ".env").unlink()
    make_env(place)
    second = values((place / ".env").read_text())
    assert [name for name in SECRETS if first[name] == second[name]] == []


def test_nobody_runs_as_root_though_root_calls_it(place):
    make_env(place)
    assert int(values((place / ".env").read_text())["AIRFLOW_UID"]) > 0


def test_what_is_in_env_already_stays_and_what_a_newer_ferry_needs_is_added(place):
    mine = place / ".env"
    mine.write_text('POSTGRES_PASSWORD=kept\n# a word of my own\nDOMO_CONNECTION=\'{"conn_type": "domo"}\'\n')
    told = make_env(place)
    found = values(mine.read_text())
    assert (found["POSTGRES_PASSWORD"], found["DOMO_CONNECTION"]) == ("kept", '\'{"conn_type": "domo"}\'')
    assert "# a word of my own" in mine.read_text()
    assert set(found) == set(EXAMPLE)
    assert "REDIS_PASSWORD" in told
    before = mine.read_text()
    assert "stays as it is" in make_env(place)
    assert mine.read_text() == before
