"""What a MicroStrategy batch says about itself: packages to migrate, an edit of a migration, or its certification."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ferry.core.batch import Section
from ferry.vendors.microstrategy import SOURCE
from ferry.vendors.microstrategy.specs import Certification, Name, PackageFile, PackageSpec, Reuse, Which
from ferry.vendors.microstrategy.vocabulary import GROUP, MIGRATION

BESIDE = frozenset({"edit", "certification", "name", "packages", "kind"})
"""What may stand in the section of an edit or a certification."""


class MicroStrategySection(Section):
    """The `microstrategy:` section of a manifest."""

    source: Annotated[
        str, Field(default=SOURCE, min_length=1, description="Connection of the environment the packages come from")
    ]
    name: Annotated[Name | None, Field(default=None, description="Name shown at the vendor; Ferry adds batch and attempt")]
    kind: Annotated[
        Literal["migration", "group"] | None,
        Field(default=None, description="Several packages make a group, one makes a migration; `group` makes a group of one"),
    ]
    packages: tuple[PackageSpec, ...] = ()
    package_file: PackageFile | None = None
    reuse: Reuse | None = None
    edit: Which | None = None
    certification: Certification | None = None
    transport: Annotated[
        Literal["storage", "file"],
        Field(default="storage", description="`file` carries the package as a file, where the Libraries share no storage [D]"),
    ]
    approval: Annotated[
        Literal["ask", "auto"],
        Field(default="ask", description="`ask` waits for a person before the import, and before an undo; `auto` does not"),
    ]
    validation: Annotated[bool, Field(default=False, description="Have the target try the package before anyone is asked [D]")]
    keep_undo: Annotated[bool, Field(default=True, description="Have the import leave an undo package behind [D]")]
    on_import_failed: Annotated[
        Literal["settle", "undo"],
        Field(default="settle", description="`undo` takes a failed import back where it left an undo package"),
    ]
    certify: Annotated[bool, Field(default=False, description="Certify the package once it is approved, and on the target too")]
    clean_up: Annotated[
        bool, Field(default=False, description="Delete the migration on both sides once it balances; its undo goes with it")
    ]

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        wholes = {"packages": self.packages, "package_file": self.package_file, "reuse": self.reuse}
        named = [name for name, told in wholes.items() if told]
        if self.certification is not None:
            if named or self.edit is not None:
                raise ValueError("a certification stands alone: no packages, package_file, reuse or edit beside it")
        elif self.edit is not None:
            if set(named) - {"packages"} or not (named or self.name):
                raise ValueError("an edit changes `name`, `packages` or both, and nothing else")
        elif len(named) != 1:
            raise ValueError("name one of `packages`, `package_file`, `reuse`, `edit` and `certification`")
        self._fit_together()
        return self

    def _fit_together(self) -> None:
        """Refuse what the vendor would refuse, or what would be ignored: in this order, the first that is broken."""
        group, by_file, merges = self.record_kind == GROUP, self.travels_as_file, any(package.merge for package in self.packages)
        idle = sorted(self.model_fields_set - BESIDE) if self.edit or self.certification else []
        rules = {
            f"{', '.join(idle)}: has no meaning for an edit or a certification": idle,
            "a group cannot travel as a file: the vendor uploads single packages only": group and by_file,
            "a project merge is a migration of its own: groups of them are not documented": group and merges,
            "a migration has one package; several make a group": self.kind == MIGRATION and len(self.packages) > 1,
            "a package that is used once more makes a migration, not a group": self.reuse and group,
            "a package that is used once more cannot travel as a file: name its file as package_file instead": self.reuse
            and by_file,
            "a package that is used once more is locked: it can be neither validated nor certified [A8, D]": self.reuse
            and (self.validation or self.certify),
            "clean_up would delete the package of another batch: leave it out where a package is used once more": self.reuse
            and self.clean_up,
            "certify is for packages that do not travel as a file: an uploaded one is locked from birth [D]": self.certify
            and by_file,
            "validation is for single packages that do not travel as a file [D]": self.validation and (by_file or group),
            "keep_undo: false cannot be said of a package that travels as a file": by_file and not self.keep_undo,
            "on_import_failed: undo needs keep_undo: true": self.on_import_failed == "undo" and not self.keep_undo,
        }
        if broken := next((text for text, is_broken in rules.items() if is_broken), ""):
            raise ValueError(broken)

    def dags(self) -> tuple[str, ...]:
        """The DAG that such a batch is for."""
        if self.certification is not None:
            return ("certify_microstrategy",)
        return ("edit_microstrategy",) if self.edit is not None else ("migrate_microstrategy",)

    def settings(self) -> dict[str, Any]:
        """What later steps go by; kept when the batch is checked, so that a manifest changed meanwhile changes nothing."""
        names = ("approval", "keep_undo", "on_import_failed", "certify", "clean_up", "validation")
        return {name: getattr(self, name) for name in names} | {"by_file": self.travels_as_file, "reuse": self.reuse is not None}

    @property
    def record_kind(self) -> str:
        """Whether the vendor is to keep a migration or a group."""
        return self.kind or (GROUP if len(self.packages) > 1 else MIGRATION)

    @property
    def travels_as_file(self) -> bool:
        """Whether the target gets the package through its file store."""
        return self.package_file is not None or self.transport == "file"

    def extra_files(self) -> list[str]:
        """Object lists and the package file belong to the input: changing one makes a new attempt."""
        lists = [package.objects for package in self.packages]
        told: list[Any] = [*lists, *([self.package_file.objects, self.package_file.file] if self.package_file else [])]
        return [name for name in told if isinstance(name, str)]

    def connections(self) -> dict[str, str]:
        """The other ends the batch works with, by role."""
        if self.certification is not None:
            return {"target": self.certification.replay_on} if self.certification.replay_on else {}
        if self.edit is not None or self.package_file is not None:
            return {}
        return {"source": self.source}
