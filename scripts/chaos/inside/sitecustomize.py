"""Python imports this in every process of a stack under chaos, because its PYTHONPATH leads here. It does nothing anywhere else.

Some modules of Ferry are armed as soon as they have been imported; nothing is imported here that the process would not import.
"""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

ARMED = ("ferry.core.exchange", "ferry.ledger.store", "ferry.ledger.evidence", "ferry.steps.work", "ferry.steps.triggers")


class Arming(MetaPathFinder):
    """Finds the modules that are to be armed, as Python would, and arms them once they have been executed."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Leave all others to those who come after."""
        spec = PathFinder.find_spec(name, path, target) if name in ARMED else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            import strikes  # type: ignore[import-not-found]  # beside this file, on the PYTHONPATH

            execute(module)
            strikes.arm(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ.get("FERRY_CHAOS"):
    sys.meta_path.insert(0, Arming())
