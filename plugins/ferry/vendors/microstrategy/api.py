"""MicroStrategy's verbs as exchanges: those of the source in `source_verbs`, those of the target in `target_verbs`."""

from __future__ import annotations

from ferry.vendors.microstrategy.target_verbs import TargetVerbs


class MicroStrategyApi(TargetVerbs):
    """One Library server, which may be the source, the target, or both."""
