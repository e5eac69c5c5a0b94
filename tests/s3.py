"""A store that speaks S3 on a loopback port: moto's server as a process of its own, with whatever rights a test gives away."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

from ferry.core.wire import httpx, trusted
from scripts.environment import free_ports, outer_environment

KEY, SECRET = "AKIACANARY0KEY00881", "canary0storage0secret0882"
AS_PATH = {"s3": {"addressing_style": "path"}}


def connection(url: str, login: str = KEY, password: str = SECRET, **extra: Any) -> dict[str, Any]:
    """What a person fills in under Admin > Connections for a store of their own."""
    told = {"endpoint_url": url, "region_name": "us-east-1", "config_kwargs": AS_PATH} | extra
    return {"conn_type": "aws", "login": login, "password": password, "extra": told}


def client(url: str, login: str = KEY, password: str = SECRET) -> Any:
    """The store as its owner sees it: by no code of ours."""
    keys = {"aws_access_key_id": login, "aws_secret_access_key": password, "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=url, config=Config(**AS_PATH), **keys)


@dataclass
class Store:
    """The server, and buckets in it."""

    url: str
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = client(self.url)

    def bucket(self) -> str:
        """A bucket of its own."""
        name = f"b{uuid4().hex}"
        self.client.create_bucket(Bucket=name)
        return name

    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]]

    def put(self, bucket: str, key: str, content: bytes | str) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def get(self, bucket: str, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def uploads(self, bucket: str) -> list[str]:
        """Names under which an upload has begun and not ended."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]

    def bring(self, folder: Path, bucket: str, prefix: str) -> None:
        """Every file of a folder."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(bucket, f"{prefix}/{path.relative_to(folder)}", path.read_bytes())

    def ask_for_rights(self, after: int = 0) -> None:
        """From so many requests on, nobody is let in whom the store does not know."""
        self._post("/moto-api/reset-auth", str(after))

    def let_all_in(self) -> None:
        self._post("/moto-api/reset-auth", "1e999")

    def _post(self, path: str, body: str) -> None:
        httpx.post(f"{self.url}{path}", content=body, trust_env=False, verify=trusted()).raise_for_status()


def command(port: int) -> list[str]:
    """How the server is started."""
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


@contextmanager
def store(log: Path) -> Iterator[Store]:
    """The server, for as long as the block runs."""
    port = free_ports(1)[0]
    with log.open("wb") as said, subprocess.Popen(command(port), stdout=said, stderr=said, env=outer_environment()) as process:
        try:
            until_it_answers(f"http://127.0.0.1:{port}")
            yield Store(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def until_it_answers(url: str) -> None:
    """Return once the server answers."""
    until = time.monotonic() + 120
    while True:
        try:
            httpx.get(f"{url}/moto-api/data.json", trust_env=False, verify=trusted(), timeout=5)
        except httpx.TransportError:
            assert time.monotonic() < until, "moto's server does not answer"
            time.sleep(0.1)
        else:
            return


def environment(monkeypatch: Any, url: str, bucket: str, **told: Any) -> str:
    """Batches and evidence in that bucket, by a connection of its own: a process keeps what it once knew of one."""
    name = f"store{uuid4().hex[:8]}"
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection(url, **told)))
    monkeypatch.setenv("FERRY_BATCHES", f"s3://{name}@{bucket}/batches")
    monkeypatch.setenv("FERRY_EVIDENCE", f"s3://{name}@{bucket}/evidence")
    return name
