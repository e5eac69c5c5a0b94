"""Signature Version 4 for URLs: made with botocore's own signer, checked with our own reading of the algorithm.

The two are written independently of each other on purpose, so that neither can hide a mistake of the other.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

STAMP = "%Y%m%dT%H%M%SZ"
ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_LIFE = 604_800  # seconds; S3 refuses more [G]
NEEDED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")


@dataclass(frozen=True, slots=True)
class Key:
    """The made-up credentials a store signs with; the token stands for temporary ones, as the vendor's URLs carry [D]."""

    access: str
    secret: str
    token: str
    region: str = "eu-west-1"


class RefusedSignatureError(Exception):
    """A signed URL that may not be used, in S3's words: HTTP status, code, message and further XML elements."""

    def __init__(self, status: int, code: str, message: str, **details: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.details = status, code, message, details


class _SignerAt(S3SigV4QueryAuth):  # type: ignore[misc]  # botocore is untyped
    """botocore's query signer, signing for a given moment instead of the machine's clock."""

    def __init__(self, key: Key, seconds: int, moment: datetime) -> None:
        super().__init__(Credentials(key.access, key.secret, key.token), "s3", key.region, expires=seconds)
        self._stamp = moment.astimezone(UTC).strftime(STAMP)

    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = self._stamp
        super()._modify_request_before_signing(request)


def signed_url(key: Key, method: str, url: str, *, seconds: int, moment: datetime, params: dict[str, str]) -> str:
    """A URL that allows one method on one object for so many seconds after the moment."""
    request = AWSRequest(method=method, url=url, params=params)
    _SignerAt(key, seconds, moment).add_auth(request)
    return str(request.url)


def check_url(key: Key, method: str, raw_path: str, raw_query: str, *, host: str, moment: datetime) -> dict[str, str]:
    """The decoded query parameters of a URL that is signed, unaltered and in time; raises RefusedSignatureError otherwise.

    Stricter than S3 in one thing: path and query are taken byte for byte, so a client that re-encodes a URL is found out.
    """
    params = dict(parse_qsl(raw_query, keep_blank_values=True))
    if "X-Amz-Signature" not in params:
        raise RefusedSignatureError(403, "AccessDenied", "Access Denied")
    if missing := [name for name in NEEDED if not params.get(name)]:
        text = "Query-string authentication version 4 requires the parameters " + ", ".join(NEEDED)
        raise RefusedSignatureError(400, "AuthorizationQueryParametersError", text, Missing=missing[0])
    _check_time(params, moment)
    expected = _signature(key, method, raw_path, raw_query, host=host, params=params)
    if not hmac.compare_digest(expected.encode(), params["X-Amz-Signature"].encode()):
        text = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        raise RefusedSignatureError(403, "SignatureDoesNotMatch", text)
    return params


def _check_time(params: dict[str, str], moment: datetime) -> None:
    try:
        start = datetime.strptime(params["X-Amz-Date"], STAMP).replace(tzinfo=UTC).timestamp()
        life = int(params["X-Amz-Expires"])
    except ValueError as error:
        text = "X-Amz-Date must be in ISO8601 basic format and X-Amz-Expires a number."
        raise RefusedSignatureError(400, "AuthorizationQueryParametersError", text) from error
    if not 0 <= life <= LONGEST_LIFE:
        text = "X-Amz-Expires must be less than a week (in seconds); it must be non-negative."
        raise RefusedSignatureError(400, "AuthorizationQueryParametersError", text)
    if moment.timestamp() > start + life:
        ended = datetime.fromtimestamp(start + life, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        server = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        details = {"X-Amz-Expires": str(life), "Expires": ended, "ServerTime": server}
        raise RefusedSignatureError(403, "AccessDenied", "Request has expired", **details)


def _signature(key: Key, method: str, raw_path: str, raw_query: str, *, host: str, params: dict[str, str]) -> str:
    pairs = sorted(part for part in raw_query.split("&") if not part.startswith("X-Amz-Signature="))
    canonical = "\n".join(
        (method, raw_path, "&".join(pairs), f"host:{host}", "", params["X-Amz-SignedHeaders"], "UNSIGNED-PAYLOAD")
    )
    day = params["X-Amz-Date"][:8]
    scope = f"{day}/{key.region}/s3/aws4_request"
    if params["X-Amz-Credential"] != f"{key.access}/{scope}" or params["X-Amz-Algorithm"] != ALGORITHM:
        raise RefusedSignatureError(
            403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
        )
    text = "\n".join((ALGORITHM, params["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signing_key = f"AWS4{key.secret}".encode()
    for part in (day, key.region, "s3", "aws4_request"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    return hmac.new(signing_key, text.encode(), "sha256").hexdigest()


def encoded_path(path: str) -> str:
    """A path as S3 wants it in a URL: every segment percent-encoded once."""
    return quote(path, safe="/~")
