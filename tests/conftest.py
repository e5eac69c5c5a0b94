"""Every test run has an Airflow home of its own; it must be set before Airflow is first imported."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

HOME = Path(tempfile.mkdtemp(prefix="ferry-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
DAGS = Path(__file__).resolve().parent.parent / "dags"


def pytest_collection_modifyitems(items):
    """What takes longest comes first, lest one process is left with it when the others have nothing to do.

    Of that, first what has an Airflow of its own: beside the one that others share it would have half a machine.
    """
    items.sort(key=lambda item: (item.get_closest_marker("real") is None, "ferry" in getattr(item, "fixturenames", ())))


FOR_TESTS = {"FERRY_REQUIRE_POSTGRES", "FERRY_COMPOSE", "FERRY_LARGE_GIB"}
"""What a person or a build machine says to the tests; the rest would be settings of another Ferry."""
for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW", "FERRY_"))]:
    if name not in FOR_TESTS:
        del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(DAGS.parent / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": "",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__API_AUTH__JWT_SECRET": "made-up-for-tests-only-" + "x" * 48,
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
}


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """A store that speaks S3; each test makes a bucket of its own."""
    from tests.s3 import store

    with store(tmp_path_factory.mktemp("s3") / "moto.log") as running:
        yield running
