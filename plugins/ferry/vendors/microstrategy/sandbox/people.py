"""The made-up people and projects: the same on both sides, but for what differs on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in. Architects build packages; administrators hold every privilege besides [A15]."""

    id: str
    login: str
    full_name: str
    administrator: bool

    @property
    def initials(self) -> str:
        """The first letters of the names."""
        return "".join(word[0] for word in self.full_name.split())

    def short(self) -> dict[str, str]:
        """As a creator."""
        return {"id": self.id, "name": self.full_name}

    def operator(self) -> dict[str, str]:
        """As whoever certified."""
        return {"id": self.id, "name": self.login, "fullName": self.full_name}

    def info(self) -> dict[str, str]:
        """As the session calls tell it [D]."""
        return {"id": self.id, "fullName": self.full_name, "initials": self.initials}


@dataclass(frozen=True, slots=True)
class Project:
    """A project of one environment."""

    id: str
    name: str

    def short(self) -> dict[str, str]:
        """As records name it."""
        return {"id": self.id, "name": self.name}

    def document(self) -> dict[str, Any]:
        """As the project calls tell it."""
        more = {"alias": "", "description": f"{self.name}, made up", "status": 0, "acg": 255, "type": 32}
        return {"id": self.id, "name": self.name, **more}


ADMINISTRATOR = User("54F3D26011D2896560009A8E67019608", "administrator", "Ada Min", administrator=True)
ARCHITECT = User("7C1F2B8E4D3A4F6E9A0B1C2D3E4F5A6B", "architect", "Archie Tekt", administrator=False)
USERS = {user.login: user for user in (ADMINISTRATOR, ARCHITECT)}

SALES = Project("A1111111111111111111111111111111", "Sales")
FINANCE = Project("B2222222222222222222222222222222", "Finance")
MARKETING_SOURCE = Project("C3333333333333333333333333333333", "Marketing")
MARKETING_TARGET = Project("D4444444444444444444444444444444", "Marketing")
HR = Project("E5555555555555555555555555555555", "HR")

PROJECTS = {
    "source": {project.id: project for project in (SALES, FINANCE, MARKETING_SOURCE, HR)},
    "target": {project.id: project for project in (SALES, FINANCE, MARKETING_TARGET)},
}
