"""Waiting for Fenergo, in the triggerer."""

from __future__ import annotations

from ferry.steps.triggers import VendorProofTrigger, VendorRunTrigger
from ferry.vendors.fenergo.hook import FenergoHook


class FenergoRunTrigger(VendorRunTrigger):
    """Waits for a migration, its preparation, its records file or an ingestion, as the verb says."""

    hook_class = FenergoHook


class FenergoProofTrigger(VendorProofTrigger):
    """Looks for proof that a migration was started."""

    hook_class = FenergoHook
