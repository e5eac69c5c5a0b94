"""What a vendor's sandbox looks like to the program that mounts it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from starlette.routing import BaseRoute

from sandbox.clock import Clock
from sandbox.switches import Switch, Switches, Value


@dataclass(frozen=True, slots=True)
class Script:
    """One way a run of the vendor can end, and how to bring a run there without any client.

    `begin` gets the vendor's sandbox and gives the run's ref; the run then ends as it would for anybody. `ends` is the house's
    word for that end (`succeeded`, `partially_succeeded`, `failed_clean`, `failed_dirty`, `cancelled`).
    """

    ends: str
    begin: Callable[[Any], Awaitable[str]]
    switches: Mapping[str, Value] = field(default_factory=dict)
    connection: str = ""
    """The connection that leads to the run; empty for `<vendor>_default`."""


class VendorSandbox(ABC):
    """A vendor played from its contract. A module `ferry.vendors.<name>.sandbox` names its subclass `SANDBOX`.

    `routes` are served below `/<name>`, `control_routes` below `/_sandbox/<name>`. A sandbox keeps what it holds in `folder`,
    tells time only by `clock`, and lets every quirk depend on a switch, read when it is needed and never remembered.
    """

    name: ClassVar[str]
    SWITCHES: ClassVar[tuple[Switch, ...]] = ()
    SCRIPTS: ClassVar[Mapping[str, Script]] = {}

    def __init__(self, clock: Clock, folder: Path, switches: Switches) -> None:
        self.clock = clock
        self.folder = folder
        self.switches = switches

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """The vendor's own paths, relative to its prefix; the most asked first."""

    def control_routes(self) -> Sequence[BaseRoute]:
        """Paths for rehearsals that the vendor does not have."""
        return ()

    @abstractmethod
    def state(self, query: Mapping[str, str]) -> Iterable[bytes] | AsyncIterable[bytes]:
        """Everything the vendor holds, as pieces of one JSON document."""

    @abstractmethod
    async def reset(self) -> None:
        """Forget everything, as on the first day. Also called once before the first request."""

    async def close(self) -> None:  # noqa: B027  # a vendor that holds nothing open need not say so
        """Let go of files and tasks; the program ends."""
