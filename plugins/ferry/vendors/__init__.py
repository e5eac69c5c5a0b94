"""The vendors Ferry knows: one folder here that has a CARD is a vendor, and nothing is registered anywhere else."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

TEXT: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"], "minimum": 0}
WHOLE: dict[str, Any] = {"type": ["integer", "null"], "minimum": 1}
YES_NO: dict[str, Any] = {"type": ["boolean", "null"]}
"""JSON schemas of the fields that connection forms are made of; an empty field is null."""


def form_field(label: str, schema: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    """One field of a vendor's connection form; `more` are further rules of its schema."""
    return {"label": label, "description": description, "schema": {**schema, **more}}


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor's card: what the rest of the house needs to know before it opens the folder. Plain data, cheap to import."""

    name: str
    """The folder's name; also the connection type and the key of the vendor's section in a manifest."""
    title: str
    summary: str
    hook: str
    """Dotted path of the hook class."""
    fields: Mapping[str, Mapping[str, Any]]
    """The connection form's own fields: name -> label, description and JSON schema."""
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    """Hidden, renamed and hinted standard fields of the connection form."""
    sandbox_connections: Callable[[str], dict[str, dict[str, Any]]] = lambda _base_url: {}
    """The connections, by id, that lead to the sandbox at a base URL."""
    pool_slots: int = 8
    """How many worker tasks may talk to the vendor at once, over all DAG runs."""

    dag: str = ""
    """The DAG that deals with one batch; `migrate_<name>` if it says nothing."""
    dispatched: bool = True
    """Whether its batches are begun by `dispatch_batches`; not where people begin them at the vendor."""

    @property
    def dag_id(self) -> str:
        """The DAG that deals with one batch of this vendor."""
        return self.dag or f"migrate_{self.name}"

    @property
    def pool(self) -> str:
        """The pool of the vendor's worker tasks."""
        return f"{self.name}_api"

    def connection_type(self) -> dict[str, Any]:
        """The entry of Airflow's provider info that draws the connection form."""
        return {
            "connection-type": self.name,
            "hook-class-name": self.hook,
            "hook-name": self.title,
            "ui-field-behaviour": dict(self.behaviour),
            "conn-fields": {name: dict(form) for name, form in self.fields.items()},
        }


@cache
def all_vendors() -> dict[str, Vendor]:
    """Every vendor by name, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    return {name: import_module(f"{__name__}.{name}").CARD for name in names}
