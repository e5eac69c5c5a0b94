"""What may never be logged, stored or shown: credentials, tokens, and the signatures of links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "***"

_SECRET_KEYS = re.compile(
    r"(?i)pass(word|wd)?$|secret|token|authorization|cookie|api[-_]?key|signature|credential|presignedurl|signed[-_]?url|otp|one[-_]?time"
)
_QUERY = re.compile(r"(?i)(https?://[^\s\"'<>?#]+)\?[^\s\"'<>]*")
_USERINFO = re.compile(r"(?i)([a-z][a-z0-9+.-]{0,40}://)[^/\s@]+@")
_SCHEME = r"(?:bearer|basic)\s+"
_BEARER = re.compile(rf"(?i)\b({_SCHEME})[A-Za-z0-9._~+/=*-]{{8,}}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?")
_NAME = (
    r"\b(?:client_secret|(?:access|refresh|id)_token|[a-z0-9-]{0,40}(?:auth|developer)-?token|j?sessionid|passwo?r?d|api[-_]?key|x-amz-[a-z-]{1,40}"
    r"|signature)"
    r"(?:%3D|[\"']?\s*[=:]\s*[\"']?)"
)
_ASSIGNED = re.compile(rf"(?i)({_NAME}(?:{_NAME}|{_SCHEME})*)[^\s&\"',}}]+")


def redact(text: str) -> str:
    """The text without credentials: every URL's query (it may sign) and user part, bearer tokens, JWTs, `secret=...` pairs."""
    text = _QUERY.sub(rf"\1?{HIDDEN}", text)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)  # before the next, which would take the name of a secret for a token
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    return _JWT.sub(HIDDEN, text)


def redact_json(value: Any) -> Any:
    """A copy of a JSON value in which secret-looking keys are hidden and every text is redacted."""
    if isinstance(value, Mapping):
        return {k: HIDDEN if _SECRET_KEYS.search(str(k)) and v else redact_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact_json(item) for item in value]
    return redact(value) if isinstance(value, str) else value


def bare_url(url: str) -> str:
    """Scheme, host and path of a URL: what a log line may show of a signed link."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
