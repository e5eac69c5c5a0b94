"""Every error Ferry raises, grouped by what the caller must do next.

    FerryError
    ├── BadInput                what a person gave us is wrong: correct it (file, row, key named), trigger again
    │   └── BatchRefused        check_batch found faults before anything was sent; the findings file lists them
    ├── NotBalanced             a batch was settled and not every record arrived: its message says which and what to correct
    ├── LedgerError             the ledger refuses or cannot be reached: nothing is sent without it
    │   └── LedgerConflict      another writer was first: read again and decide again
    ├── StorageError            the place of batches or evidence, where it is no folder
    │   ├── StorageUnavailable  it gave no usable answer: wait and ask again
    │   └── StorageRefused      a clear no: correct URL, bucket, connection or rights
    ├── VendorError             the vendor, or the way to it
    │   ├── VendorUnavailable   no usable answer to a repeatable call: wait and ask again
    │   ├── AnswerLost          no answer to a call that must not be repeated: look, or ask a person; never send
    │   ├── VendorRefused       a clear no: retrying the same call cannot help
    │   │   ├── BadCredentials  the no is about who we are: correct the connection
    │   │   └── NotFound        the vendor knows no such thing (or not yet)
    │   └── VendorNonsense      an answer outside the contract: kept as evidence, needs eyes
    └── TransferBroken          a file came or went with a wrong length or hash: nothing of it is used

An error is stored as JSON with its kind, so that a task resumed elsewhere raises the same class again.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ferry.core.redact import redact, redact_json


class FerryError(Exception):
    """What happened, to what, and what to do next. Its text is redacted before anyone can log it."""

    retry_later: ClassVar[bool] = False
    """Whether the same step, tried again later, may succeed without anyone correcting anything."""

    def __init__(self, message: str, **facts: Any) -> None:
        self.message = redact(message)
        self.facts: dict[str, Any] = redact_json(facts)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.message, self.facts)

    def to_json(self) -> dict[str, Any]:
        """Kind, message and facts: all a resumed task needs to raise the same error."""
        return {"kind": type(self).__name__, "message": self.message, "facts": self.facts}

    @staticmethod
    def from_json(data: dict[str, Any]) -> FerryError:
        """The error again. A kind that this version does not know becomes VendorNonsense: red, and never retried."""
        kind = _kinds().get(str(data.get("kind")), VendorNonsense)
        return kind(str(data.get("message", "")), **(data.get("facts") or {}))


class BadInput(FerryError):
    """A manifest, file, parameter or connection is wrong; a person corrects it and triggers again."""


class BatchRefused(BadInput):
    """The checks found faults; nothing was sent."""


class NotBalanced(FerryError):
    """A batch was settled and does not balance."""


class LedgerError(FerryError):
    """The ledger cannot be used, so nothing may be sent."""

    retry_later = True


class LedgerConflict(LedgerError):
    """Another writer appended first. Read the batch again and decide again."""


class StorageError(FerryError):
    """The store of batches or evidence, or the way to it."""


class StorageUnavailable(StorageError):
    """The store gave no usable answer, after the asking again that its client does by itself."""

    retry_later = True


class StorageRefused(StorageError):
    """The store said no, or cannot be found by what it was called."""


class VendorError(FerryError):
    """The vendor, or the way to it."""


class VendorUnavailable(VendorError):
    """A repeatable call got no usable answer. `facts["retry_after"]` has the vendor's wish in seconds, if any."""

    retry_later = True


class AnswerLost(VendorError):
    """A call that must not be repeated got no answer. Whether it took effect is unknown."""


class VendorRefused(VendorError):
    """The vendor said no in words. `facts["status"]` is the HTTP status."""


class BadCredentials(VendorRefused):
    """The vendor does not let this connection in."""


class NotFound(VendorRefused):
    """The vendor knows no such thing, or does not know it yet."""


class VendorNonsense(VendorError):
    """An answer outside the contract."""


class TransferBroken(VendorError):
    """A transfer ended short, over-long or with another hash; the file was thrown away."""

    retry_later = True


def _kinds() -> dict[str, type[FerryError]]:
    found: dict[str, type[FerryError]] = {}
    waiting: list[type[FerryError]] = [FerryError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting.extend(kind.__subclasses__())
    return found


def _revive(kind: type[FerryError], message: str, facts: dict[str, Any]) -> FerryError:
    return kind(message, **facts)
