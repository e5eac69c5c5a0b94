"""Notifiers as a connection may name them: one that writes down what it is to say, one that cannot, and one whose person acts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from airflow.sdk import BaseNotifier


class FileNotifier(BaseNotifier):
    """Says its text in a file, a line for each time."""

    template_fields = ("text",)

    def __init__(self, *, path: str, text: str, secret: str = "") -> None:
        super().__init__()
        self.path, self.text, self.secret = path, text, secret

    def notify(self, context: Any) -> None:  # noqa: ARG002 (Airflow's signature)
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(self.text + "\n")


class BrokenNotifier(FileNotifier):
    """Cannot say anything, and says in its exception what it should not."""

    def notify(self, context: Any) -> None:  # noqa: ARG002 (Airflow's signature)
        raise ConnectionError(f"made-up: no route to {self.secret}")


class ActingNotifier(FileNotifier):
    """Whoever is told does at once what is asked for: the migration begins, and ends."""

    template_fields = ("text", "people")

    def __init__(self, *, people: str, **shared: Any) -> None:
        super().__init__(**shared)
        self.people = people

    def notify(self, context: Any) -> None:
        super().notify(context)
        for does in ("login", "finish"):
            body, kind = json.dumps({"does": does}).encode(), {"content-type": "application/json"}
            with urlopen(Request(self.people, body, kind, method="POST")):  # noqa: S310 (the sandbox's own address)
                pass
