"""Batches and evidence on S3, or any store that speaks its language: found by an Airflow connection, its noes said in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.io import attach, get_fs
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError  # noqa: A004 (botocore's: no socket, no answer)
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem
from s3fs.core import S3_RETRYABLE_ERRORS

from ferry.core.errors import StorageError, StorageRefused, StorageUnavailable

if TYPE_CHECKING:
    from ferry.core.batch import Folder

PART = 16 * 1024 * 1024
"""Bytes of one part of an upload, and of one answer to a read: what a transfer holds in memory is a few of them."""
MOST_PARTS = 10_000
AT_ONCE = 2
UNMET = frozenset({"PreconditionFailed", "412"})
LATER = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""What a store may say differently a minute later; 409 is two writers of one name in one instant."""


def s3_path(url: str, variable: str) -> Folder:
    """The place a URL such as `s3://conn_id@bucket/prefix` names; StorageRefused if it names no usable connection.

    Without `conn_id@` the machine's own credentials are used. A process keeps the credentials it began with.
    """
    conn_id = urlsplit(url).netloc.rpartition("@")[0] or None
    store = attach("s3", conn_id)
    if not isinstance(store.__dict__.get("fs"), Storage):
        store.fs = Storage.by(conn_id, variable)
    path: Any = ObjectStoragePath(url)
    # Airflow puts its own file system there, and none where the URL names no connection or the look-up failed.
    path.__wrapped__._fs_cached = store.fs  # noqa: SLF001
    return path  # type: ignore[no-any-return]


class Storage(S3FileSystem):
    """Airflow's S3 file system, which remembers no listings, makes no buckets, and says in words what went wrong.

    A listing that is remembered hides what other workers have written since, and a check of what was altered.
    """

    cachable = False

    @classmethod
    def by(cls, conn_id: str | None, variable: str) -> Self:
        """The store an Airflow connection leads to; `variable` is the setting that names it, for messages."""
        if conn_id:
            _must_be_usable(conn_id, variable)
        try:
            given = get_fs("s3", conn_id)  # one that is refused is not kept: whoever corrects the connection need restart nothing
        except (BotoCoreError, ClientError) as error:  # a role that is to be assumed is asked for here
            raise StorageUnavailable(
                f"{_the_connection(conn_id)}, which {variable} names, gave no credentials ({type(error).__name__}). The task is "
                "tried again by itself; if this lasts, correct the connection and then clear the task."
            ) from None
        if given.anon:
            raise StorageRefused(
                f"{_the_connection(conn_id)} holds no login and password, and this machine has no credentials of its own; the "
                f"store in {variable} is not asked without. Put access key and secret there and run the task again."
            )
        store = cls(
            session=given.session,
            config_kwargs=given.config_kwargs,
            endpoint_url=given.endpoint_url,
            default_block_size=PART,
            max_concurrency=AT_ONCE,
            use_listings_cache=False,
        )
        store.reached_by = _the_connection(conn_id)
        return store

    reached_by = ""
    """By what a person finds the setting that leads here."""

    async def _call_s3(self, method: str, *more: Any, **facts: Any) -> Any:
        with self._in_words(method, facts):
            return await super()._call_s3(method, *more, **facts)

    call_s3 = sync_wrapper(_call_s3)

    async def _mkdir(self, path: str, *_: Any, **__: Any) -> None:
        """Nothing: S3 has no folders, and a bucket that is missing is a misspelt URL more often than a wish."""

    mkdir = sync_wrapper(_mkdir)

    async def _makedirs(self, path: str, *_: Any, **__: Any) -> None:
        """Nothing, for the same reason."""

    makedirs = sync_wrapper(_makedirs)

    async def _put_file(self, lpath: str, rpath: str, *more: Any, **how: Any) -> None:
        """Send a local file, in parts that are large enough for S3's ten thousand."""
        await super()._put_file(lpath, rpath, *more, **{"chunksize": part_size(Path(lpath).stat().st_size), **how})  # noqa: ASYNC240 (one look at a local file)

    put_file = sync_wrapper(_put_file)

    def _open(self, path: str, mode: str = "rb", *more: Any, **how: Any) -> Any:
        file = super()._open(path, mode, *more, **how)
        if "r" in mode:
            file.cache.fetcher = partial(self._fetched, file.bucket, file.cache.fetcher)
        return file

    def _fetched(self, bucket: str, fetch: Callable[[int, int], bytes], start: int, end: int) -> bytes:
        """A piece of a file: its body is read after the answer's head, and may break off."""
        with self._in_words("get_object", {"Bucket": bucket}):
            return fetch(start, end)

    @contextmanager
    def _in_words(self, method: str, facts: dict[str, Any]) -> Iterator[None]:
        try:
            yield
        except (OSError, BotoCoreError, ClientError, *S3_RETRYABLE_ERRORS) as error:
            said = error if isinstance(error, ClientError) else error.__cause__
            answer: dict[str, Any] = said.response if isinstance(said, ClientError) else {}
            code = str(answer.get("Error", {}).get("Code", ""))
            if "IfNoneMatch" in facts and code in UNMET:  # not every store says which condition it was
                raise FileExistsError(facts.get("Key")) from None
            if code != "NoSuchBucket" and (code in UNMET or _is_plain(error, answer)):
                raise
            status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
            what = f"{status} {code}" if status else type(error).__name__
            raise self._told(error, code, status, f"{method} in bucket {facts.get('Bucket')!r}: {what}") from None

    def _told(self, error: Exception, code: str, status: int, what: str) -> StorageError:
        where = f"{self.endpoint_url or 'AWS'} ({self.reached_by})"
        if code == "NoSuchBucket":
            return StorageRefused(
                f"The store {where} has no such bucket; {what}. Nothing was read or written, and no bucket was made: create "
                "it, or correct the URL in FERRY_BATCHES or FERRY_EVIDENCE, and run the task again."
            )
        if status in LATER or isinstance(error, (ConnectionError, *S3_RETRYABLE_ERRORS)):
            return StorageUnavailable(
                f"The store {where} gave no usable answer; {what}. A file is whole there or not there at all. The task is tried "
                "again by itself; if this lasts, look after the store and then clear the task."
            )
        if status in {401, 403}:
            return StorageRefused(
                f"The store {where} does not let us; {what}. Correct access key and secret in the connection, or grant them "
                "s3:ListBucket, s3:GetObject, s3:PutObject and s3:AbortMultipartUpload there, and run the task again."
            )
        return StorageRefused(
            f"The store {where} said no; {what}. Check endpoint, region and addressing style of the connection, and run the task "
            "again."
        )


def _is_plain(error: Exception, answer: dict[str, Any]) -> bool:
    """Whether it says what it says of a file on a disk, too: it is not there, or was replaced while it was read."""
    return isinstance(error, FileNotFoundError | FileExistsError) or (
        isinstance(error, OSError) and not answer and not isinstance(error, S3_RETRYABLE_ERRORS)
    )


def part_size(size: int) -> int:
    """Bytes of a part of a file of that size: S3 takes ten thousand parts, and five TiB in all."""
    return max(PART, math.ceil(size / MOST_PARTS))


def _must_be_usable(conn_id: str, variable: str) -> None:
    """Airflow would go on without a connection it cannot find, by the machine's own credentials or by none."""
    try:
        kind = BaseHook.get_connection(conn_id).conn_type
    except AirflowNotFoundException:
        raise StorageRefused(
            f"Airflow has no connection {conn_id!r}, which {variable} names. Nothing was read or written: create it under "
            "Admin > Connections (type Amazon Web Services), or correct the URL, and run the task again."
        ) from None
    if kind != "aws":
        raise StorageRefused(
            f"Connection {conn_id!r}, which {variable} names, is of type {kind!r}; a store at s3:// needs Amazon Web Services "
            "(aws). Nothing was read or written: correct it under Admin > Connections and run the task again."
        )


def _the_connection(conn_id: str | None) -> str:
    return f"connection {conn_id!r}" if conn_id else "this machine's own credentials"
