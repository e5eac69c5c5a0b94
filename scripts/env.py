"""`make env`: writes .env from .env.example, with strong secrets. What is in .env already stays as it is."""

from __future__ import annotations

import os
import re
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")
SECRET = re.compile(r"(PASSWORD|SECRET|KEY)$")
NOBODY = 50000
"""Airflow's own user in its image; files of root's would be no better for that."""


def main() -> None:
    """Nothing but the standard library: this comes before anything is installed."""
    example, mine = ROOT / ".env.example", ROOT / ".env"
    known = dict(LINE.findall(mine.read_text(encoding="utf-8"))) if mine.exists() else {}
    text = example.read_text(encoding="utf-8")
    missing = [name for name, _ in LINE.findall(text) if name not in known]
    if not known:
        write(mine, LINE.sub(filled, text))
        print(f"Wrote {mine}. Airflow's pages: user admin, password ADMIN_PASSWORD in that file.")
    elif missing:
        lines = "".join(f"{filled(found)}\n" for found in LINE.finditer(text) if found[1] in missing)
        write(
            mine, f"{mine.read_text(encoding='utf-8').rstrip()}\n\n# Added by make env; .env.example says what they are.\n{lines}"
        )
        print(f"Added to {mine}: {', '.join(missing)}. The rest is as it was.")
    else:
        print(f"{mine} has everything already, and stays as it is.")


def filled(line: re.Match[str]) -> str:
    """The line with what only this installation can know."""
    name, value = line.groups()
    if name == "AIRFLOW_UID":
        return f"{name}={os.getuid() or NOBODY}"
    if value or not SECRET.search(name):
        return line[0]
    raw = secrets.token_bytes(32)
    return f"{name}={urlsafe_b64encode(raw).decode() if name == 'FERNET_KEY' else raw.hex()}"


def write(path: Path, text: str) -> None:
    """A file that only its owner may read, whole or not at all."""
    part = path.with_name(".env.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    main()
