"""Waiting for MicroStrategy, in the triggerer."""

from __future__ import annotations

from ferry.steps.triggers import VendorProofTrigger, VendorRunTrigger
from ferry.vendors.microstrategy.hook import MicroStrategyHook


class MicroStrategyRunTrigger(VendorRunTrigger):
    """Waits for a package, a validation, an import or an undo, as the verb says; all waits on a Library share one session."""

    hook_class = MicroStrategyHook


class MicroStrategyProofTrigger(VendorProofTrigger):
    """Looks on the target for proof that an import was begun."""

    hook_class = MicroStrategyHook
