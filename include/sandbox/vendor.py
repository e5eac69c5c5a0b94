"""What a vendor's sandbox looks like to the program that mounts it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from starlette.routing import BaseRoute

from sandbox.clock import Clock
from sandbox.switches import Switch, Switches


class VendorSandbox(ABC):
    """A vendor played from its contract. A module `ferry.vendors.<name>.sandbox` names its subclass `SANDBOX`.

    `routes` are served below `/<name>`, `control_routes` below `/_sandbox/<name>`. A sandbox keeps what it holds in `folder`,
    tells time only by `clock`, and lets every quirk depend on a switch, read when it is needed and never remembered.
    """

    name: ClassVar[str]
    SWITCHES: ClassVar[tuple[Switch, ...]] = ()

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
