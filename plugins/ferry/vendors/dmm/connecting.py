"""A connection that is registered in DMM before the start, where nobody has done so by hand."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ferry.core.errors import AnswerLost
from ferry.core.exchange import Exchange
from ferry.core.model import Run, RunState
from ferry.steps.hook import connection_named
from ferry.vendors.dmm.manifest import NewConnection

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from ferry.steps.work import Work
    from ferry.vendors.dmm.api import DmmApi

log = logging.getLogger(__name__)
STEP = "create_connection"
PORTS = {"SQLServer": 1433, "Oracle": 1521, "MySQL": 3306}


def create_connection(work: Work) -> bool:
    """Register the connection that the manifest names, once; whether it did. What DMM says of it stands in the ledger."""
    wanted: NewConnection | None = work.batch.section.create_connection
    if wanted is None or _is_there(work, wanted):
        return False
    work.must_hold()
    credentials = connection_named(wanted.credentials)
    request, hidden = _request(wanted, credentials), tuple(filter(None, [credentials.password]))

    def register(api: DmmApi) -> Exchange[Run]:
        said = yield from api.create_connection(request, hidden)
        return Run(wanted.name, RunState.SUCCEEDED, "created", {}, said)

    entry = work.once(register)
    if entry is None:
        raise AnswerLost(
            f"DMM was asked to register connection {wanted.name!r} and its answer was lost. It is not asked again. Look at the "
            "connections in DMM's pages: if it is there, take `create_connection` out of the manifest and trigger the batch "
            "again; if not, trigger it with force_new_attempt, once no earlier attempt has left records there."
        )
    log.info("Connection %r is registered in DMM. %s", wanted.name, entry.note)
    return True


def _is_there(work: Work, wanted: NewConnection) -> bool:
    """Whether an attempt at this batch has registered it: DMM knows connections by name."""
    attempt = work.attempt
    standing = work.ledger.standing(attempt.vendor, attempt.environment, attempt.batch_id)
    made = (one.results.get((STEP, "")) for one in standing.attempts)
    return any(entry is not None and entry.ref == wanted.name and entry.state is RunState.SUCCEEDED for entry in made)


def _request(wanted: NewConnection, told: Connection) -> dict[str, Any]:
    """The body; all names but the operation's are assumed [A]."""
    common = {"Name": wanted.name, "Usage": wanted.usage, "ConnectionType": wanted.type}
    if wanted.type == "DMMREST":
        return common | {"EnvironmentUrl": told.host or "", "Token": told.password or ""}
    return common | {
        "Server": told.host or "",
        "Port": told.port or PORTS[wanted.type],
        "Database": told.schema or "",
        "Username": told.login or "",
        "Password": told.password or "",
    }
