"""docker-compose for real: the demo while every service is killed in turn, storage without a shared disk, and what is left.

Needs a Docker engine, an hour's patience on a small machine, and `FERRY_COMPOSE=1`:

    FERRY_COMPOSE=1 make test ARGS="tests/compose -n 0 --log-cli-level=WARNING"
"""

import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("FERRY_COMPOSE"), reason="needs a Docker engine; FERRY_COMPOSE=1 says that there is one"
    ),
    pytest.mark.xdist_group("compose"),
    pytest.mark.timeout(3600),
]
log = logging.getLogger(__name__)
WELL = ("postgres", "redis", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "sandbox")
KILLED = ("redis", "api-server", "scheduler", "dag-processor", "postgres", "triggerer", "worker")
PAUSE, AWAY = 12.0, 20.0
"""Seconds before a service is killed, and until somebody starts it again."""
GOOD = "Every batch ended as announced, the vendor holds what was sent, the ledger's chains hold."
NUMBERS = "starts sent twice: 0   worker slots held while waiting: 0   rows unaccounted for: 0"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def docker(*command: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *command], capture_output=True, text=True, check=False)
    assert not (check and done.returncode), f"docker {' '.join(command)}: {done.stderr}"
    return done.stdout + done.stderr


class Project:
    """One set of containers, with secrets of its own."""

    def __init__(self, folder: Path, *files: str, **settings: str) -> None:
        (folder / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "env.py", folder / "scripts")
        shutil.copy(ROOT / ".env.example", folder)
        subprocess.run([sys.executable, "-I", folder / "scripts" / "env.py"], check=True)
        self.env, self.name = folder / ".env", f"ferry{os.urandom(3).hex()}"
        text = self.env.read_text()
        for name, value in {"AIRFLOW_PORT": str(free_port()), **settings}.items():
            text = re.sub(rf"(?m)^{name}=.*$", lambda _, name=name, value=value: f"{name}={value}", text)
        self.env.write_text(text)
        self.files = ["docker-compose.yaml", *files]
        self.secrets = [
            value for name, value in re.findall(r"(?m)^(\w+)=(.*)$", text) if re.search("(PASSWORD|SECRET|KEY)$", name)
        ]

    def command(self, *command: str) -> list[str]:
        files = [part for name in self.files for part in ("--file", name)]
        return ["docker-compose", "--env-file", str(self.env), "--project-name", self.name, *files, *command]

    def compose(self, *command: str) -> str:
        done = subprocess.run(self.command(*command), cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-4000:]}"
        return done.stdout

    def up(self) -> None:
        self.compose("up", "--detach", "--build")
        self.wait_until_well()

    def containers(self, service: str = "") -> list[str]:
        asked = ["--filter", f"label=com.docker.compose.project={self.name}"]
        asked += ["--filter", f"label=com.docker.compose.service={service}"] if service else []
        return sorted(docker("ps", "--all", "--quiet", *asked).split())

    def wait_until_well(self, seconds: float = 400.0) -> None:
        until = time.monotonic() + seconds
        while ill := self.ill():
            assert time.monotonic() < until, f"not healthy: {ill}"
            time.sleep(3)

    def ill(self) -> list[str]:
        states = json.loads(docker("inspect", *self.containers()))
        return [one["Name"] for one in states if (one["State"].get("Health") or {"Status": "healthy"})["Status"] != "healthy"]

    def demo(self, meanwhile=lambda _: None) -> tuple[int, str]:
        command = self.command("--profile", "demo", "run", "--no-deps", "--rm", "-T", "demo")
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            told: list[str] = []
            reader = Thread(target=lambda: told.extend(self.read(process.stdout)))
            reader.start()
            meanwhile(told)
            process.wait(1800)
            reader.join()
        return process.returncode, "".join(told)

    @staticmethod
    def read(stream):
        for line in stream:
            log.warning("%s", line.rstrip())
            yield line

    def logs(self) -> str:
        return "".join(docker("logs", one) for one in self.containers())

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("compose") / "project")
    try:
        made.up()
        yield made
    finally:
        made.down()


def kill_each(project: Project):
    """Kill every container of every service in turn while the demo is being played; start it again a little later."""

    def meanwhile(told: list[str]) -> None:
        while not any("attempt 1" in line for line in list(told)):
            time.sleep(0.5)
        for service in KILLED:
            for container in project.containers(service):
                time.sleep(PAUSE)
                log.warning("docker kill %s %s", service, container)
                docker("kill", container)
                time.sleep(AWAY)
                docker("start", container)

    return meanwhile


def test_all_services_are_healthy(project):
    states = json.loads(docker("inspect", *project.containers()))
    there = [one["Config"]["Labels"]["com.docker.compose.service"] for one in states]
    assert set(WELL) <= set(there)
    assert (there.count("worker"), there.count("triggerer")) == (2, 2)
    assert {one["State"]["ExitCode"] for one in states} == {0}


def test_the_demo_ends_as_announced_though_every_service_is_killed_in_turn(project):
    code, told = project.demo(kill_each(project))
    assert code == 0
    assert GOOD in told
    assert NUMBERS in told
    project.wait_until_well()


def test_both_workers_and_both_triggerers_had_something_to_do(project):
    for service in ("worker", "triggerer"):
        for container in project.containers(service):
            assert re.search("succeeded|Trigger|trigger", docker("logs", container))


def test_no_log_and_no_file_that_is_kept_holds_a_secret(project):
    assert [secret for secret in project.secrets if secret in project.logs()] == []
    worker = project.containers("worker")[0]
    kept = "cat /dev/stdin >/tmp/secrets; grep --recursive --files-with-matches --fixed-strings --file=/tmp/secrets /opt/ferry"
    asked = ["docker", "exec", "--interactive", worker, "sh", "-c", kept]
    found = subprocess.run(asked, input="\n".join(project.secrets), capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, ""), "grep says 1 where it found nothing"


def test_the_image_holds_no_secret_and_no_env(project):
    image = re.search(r"(?m)^FERRY_IMAGE=(.*)$", project.env.read_text())[1]
    told = docker("image", "inspect", image) + docker("history", "--no-trunc", image)
    assert [secret for secret in project.secrets if secret in told] == []
    listed = docker(
        "run", "--rm", "--entrypoint", "find", image, "/opt/ferry", "-name", ".env*", "-o", "-name", "var", "-o", "-name", ".git"
    )
    assert listed == ""


def test_a_second_demo_says_that_there_is_nothing_new_to_see(project):
    code, told = project.demo()
    assert code == 1
    assert "down -v" in told


def test_nothing_is_left_after_down(project):
    project.down()
    mine = f"label=com.docker.compose.project={project.name}"
    left = [
        docker(kind, "ls", *more, "--quiet", "--filter", mine)
        for kind, *more in (["container", "--all"], ["volume"], ["network"])
    ]
    assert left == ["", "", ""]


def test_without_a_shared_disk_everything_goes_through_the_bucket(tmp_path):
    """Two workers, two triggerers, an api-server: each on a file system of its own, with an S3-compatible store between them."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", str(port)]  # noqa: S104 (containers ask it)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as store:
        secret = os.urandom(20).hex()
        told = {
            "endpoint_url": f"http://store:{port}",
            "region_name": "us-east-1",
            "config_kwargs": {"s3": {"addressing_style": "path"}},
        }
        connection = {"conn_type": "aws", "login": "ferry-store", "password": secret, "extra": told}
        settings = {
            "STORAGE_CONNECTION": f"'{json.dumps(connection)}'",
            "FERRY_BATCHES": "s3://ferry_storage@ferry/batches",
            "FERRY_EVIDENCE": "s3://ferry_storage@ferry/evidence",
            "REMOTE_LOGGING": "true",
            "REMOTE_LOGS": "s3://ferry/logs",
        }
        project = Project(tmp_path / "project", "tests/compose/s3.yaml", **settings)
        try:
            make_bucket(port)
            project.up()
            code, said = project.demo()
            assert code == 0
            assert GOOD in said
            assert NUMBERS in said
            assert [one for one in [*project.secrets, secret] if one in project.logs()] == []
            for service in ("worker", "triggerer"):
                for container in project.containers(service):
                    assert docker("exec", container, "find", "/opt/ferry/batches", "/opt/ferry/evidence", "-type", "f") == ""
        finally:
            project.down()
            store.terminate()


def make_bucket(port: int) -> None:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    until = time.monotonic() + 30
    while True:
        try:
            client.create_bucket(Bucket="ferry")
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return
