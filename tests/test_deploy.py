"""What people copy to run Ferry for real says nothing that chart or Airflow would not understand, and holds no secret."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ferry.vendors import all_vendors

ROOT = Path(__file__).resolve().parent.parent
HELM = ROOT / "deploy" / "helm"
SCHEMA = json.loads((ROOT / "tests" / "deploy" / "airflow-chart-values.schema.json").read_text(encoding="utf-8"))
VALUES = (HELM / "values.yaml").read_text(encoding="utf-8")
FILES = ("deploy/helm/values.yaml", "deploy/helm/README.md", "docker-compose.yaml", ".env.example", "docs/running.md")


def values():
    return yaml.safe_load(VALUES)


def problems(told):
    validator = jsonschema.Draft7Validator(SCHEMA)
    return sorted(
        f"{'.'.join(str(step) for step in error.absolute_path)}: {error.message}" for error in validator.iter_errors(told)
    )


@pytest.fixture(scope="module")
def options():
    """Every option that the installed Airflow knows, its providers' included, by section."""
    code = (
        "import json, warnings; warnings.simplefilter('ignore')\n"
        "from airflow.configuration import conf\n"
        "print(json.dumps({s: sorted(told['options']) for s, told in conf.configuration_description.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {section.lower(): set(names) for section, names in json.loads(done.stdout.splitlines()[-1]).items()}


def variables(name):
    """The settings of Airflow that a file names as variables: section, option."""
    path = ROOT / name
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.findall(r"\bAIRFLOW__([A-Z0-9_.]+?)__([A-Z0-9_]+)\b", text)
    return {(section.lower(), option.lower()) for section, option in found}


def known(options, section, option):
    """Whether Airflow has such an option; a value may also come from a command or a secret."""
    plain = re.sub(r"_(cmd|secret)$", "", option)
    have = options.get(section, options.get(section.replace("_", "."), set()))
    return option in have or plain in have


# The chart


def test_the_schema_is_a_schema_and_finds_what_is_wrong():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    told = json.loads(json.dumps(values()))  # without what its anchors share
    told["fernetKeySecret"] = "x"  # a name that the chart does not have
    told["triggerer"]["replicas"] = "two"
    told["scheduler"]["podDisruptionBudget"]["config"] = {"maxUnavailable": 1, "minAvailable": 1}
    told["workers"]["kubernetes"]["resources"]["limits"] = {"memory": "2 GB"}
    assert len(problems(told)) == 4


def test_the_chart_takes_the_values():
    assert problems(values()) == []


def test_extra_environment_is_yaml_in_yaml():
    assert yaml.safe_load(values()["extraEnvFrom"]) == [{"secretRef": {"name": "ferry-vendors"}}]


def test_every_option_that_goes_to_the_configuration_file_exists(options):
    told = values()["config"]
    assert [f"{s}.{o}" for s, given in told.items() for o in given if not known(options, s, o)] == []


def test_the_job_gives_airflow_the_vendors_pools(tmp_path):
    """The job's own program, as the values hold it."""
    script = values()["migrateDatabaseJob"]["args"][-1]
    program = re.search(r"<<'PYTHON'\n(.*?)\nPYTHON\n", script, re.DOTALL)
    assert program is not None
    done = subprocess.run([sys.executable, "-c", program[1]], capture_output=True, text=True, check=True, cwd=tmp_path)
    pools = json.loads(done.stdout)
    assert {name: pool["slots"] for name, pool in pools.items()} == {v.pool: v.pool_slots for v in all_vendors().values()}
    assert not any(pool["include_deferred"] for pool in pools.values())
    commands = [line for line in script.splitlines() if line.startswith("airflow ")]
    assert commands == ["airflow db migrate", "airflow pools import /tmp/pools.json"]
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_the_chart_would_not_read_the_jobs_script_as_a_template():
    assert "{{" not in VALUES


def test_the_readme_makes_every_secret_that_the_values_name():
    told, readme = values(), (HELM / "README.md").read_text(encoding="utf-8")
    named = {told["fernetKeySecretName"]: {"fernet-key"}, told["apiSecretKeySecretName"]: {"api-secret-key"}}
    named |= {told["jwtSecretName"]: {"jwt-secret"}, told["data"]["metadataSecretName"]: {"connection"}}
    for item in told["secret"]:
        named.setdefault(item["secretName"], set()).add(item["secretKey"])
    for name, keys in named.items():
        made = re.search(rf"create secret generic {name}\b(.*?)(?:\n\n|\n    kubectl)", readme, re.DOTALL)
        assert made is not None, f"README.md does not say how to make {name}"
        assert keys <= set(re.findall(r"--from-(?:literal|file)=([\w-]+)=", made[1])), name
    assert "create secret generic ferry-vendors" in readme


def test_the_image_has_what_the_values_say_of_it():
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for item in values()["env"]:
        if item["name"].startswith("AIRFLOW__"):
            assert f"{item['name']}={item['value']}" in dockerfile
    assert f"FROM apache/airflow:{values()['airflowVersion']}-" in dockerfile


# All of them


@pytest.mark.parametrize("name", FILES)
def test_every_setting_of_airflow_that_is_named_exists(name, options):
    assert [f"AIRFLOW__{s}__{o}".upper() for s, o in sorted(variables(name)) if not known(options, s, o)] == []


def test_a_setting_that_does_not_exist_would_be_found(options):
    assert known(options, "core", "fernet_key_cmd")
    assert known(options, "triggerer", "capacity")
    assert known(options, "celery_broker_transport_options", "visibility_timeout")
    assert not known(options, "triggerer", "default_capacity_x")
    assert not known(options, "webserver", "nonsense")


@pytest.mark.parametrize("name", ["deploy/helm/values.yaml", "docker-compose.yaml"])
def test_no_secret_stands_in_what_is_committed(name):
    """A value that looks like a secret is a name of one, or comes from the environment."""
    text = (ROOT / name).read_text(encoding="utf-8")
    keys = re.findall(r"(?im)^\s*-?\s*\"?[\w-]*(?:password|passwd|secret_key|jwt_secret|fernet_key|token)\"?\s*:\s*(.+)$", text)
    plain = [value.strip() for value in keys if not re.match(r"""^["'&*]*\$\{|^["']?\$""", value.strip())]
    assert [value for value in plain if re.search(r"[A-Za-z0-9+/_-]{16,}", value)] == []
    assert not re.search(r"[A-Za-z0-9_-]{43}=", text), "this looks like a Fernet key"
    assert not re.search(r"(?<!sha256:)\b[0-9a-f]{32,}\b", text), "this looks like a secret of hexadecimal digits"
    assert not re.search(r"://[^/\s:$@{]+:[^/\s$@{]+@", text), "this address holds a password"


def test_the_values_take_secrets_by_name_only():
    told = values()
    assert not {"fernetKey", "apiSecretKey", "jwtSecret", "webserverSecretKey", "extraSecrets"} & set(told)
    assert set(told["data"]) == {"metadataSecretName"}
    assert not any("AIRFLOW_CONN" in item["name"] or "SECRET" in item["name"] for item in told["env"])
