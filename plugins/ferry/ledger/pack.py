"""One batch as one zip that convinces a stranger: entries, evidence, an index, and sums to check them with.

`unzip`, then `sha256sum -c SHA256SUMS` for the files and `python3 check_chain.py` for the entries. The same ledger and
evidence always give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from ferry.ledger.chain import canonical
from ferry.ledger.entries import Standing
from ferry.ledger.evidence import EvidenceStore, chunks, safe_name

WRITTEN_AT = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip: a pack's bytes depend on its content and on nothing else."""

CHECK_CHAIN = '''\
"""Recompute the chain of ledger.jsonl with nothing but Python's standard library: python3 check_chain.py"""
import hashlib
import json
import pathlib

before, number = "0" * 64, 0
for line in pathlib.Path(__file__).with_name("ledger.jsonl").read_text(encoding="utf-8").splitlines():
    entry, number = json.loads(line), number + 1
    told = entry.pop("entry_hash")
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    computed = hashlib.sha256(text.encode()).hexdigest()
    if (entry["seq"], entry["prev_hash"], told) != (number, before, computed):
        raise SystemExit(f"entry {number}: the chain is broken here")
    before = told
print(f"{number} entries, an unbroken chain, head {before}")
'''


@dataclass
class _Pack:
    """A zip being written, and the sum of every file in it."""

    zip: zipfile.ZipFile
    folder: str
    sums: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, chunks: Iterable[bytes], promised: str = "") -> tuple[str, int]:
        """Add a file; its sum is the one the ledger promised, so that an altered file fails the stranger's check."""
        digest, size = hashlib.sha256(), 0
        info = zipfile.ZipInfo(f"{self.folder}/{name}", WRITTEN_AT)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        with self.zip.open(info, "w", force_zip64=True) as sink:
            for chunk in chunks:
                digest.update(chunk)
                size += sink.write(chunk)
        self.sums[name] = promised or digest.hexdigest()
        return digest.hexdigest(), size


def pack(store: EvidenceStore, standing: Standing, to: Path) -> Path:
    """Write the pack of one batch; streamed, under a temporary name until it is whole."""
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.part")
    try:
        with zipfile.ZipFile(part, "w") as archive:
            _fill(_Pack(archive, safe_name(f"{standing.vendor}-{standing.batch_id}")), store, standing)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return to


def _fill(into: _Pack, store: EvidenceStore, standing: Standing) -> None:
    files = list(_evidence(into, store, standing))
    into.add("ledger.jsonl", ((canonical(entry.to_json()) + "\n").encode() for entry in standing.entries))
    into.add("check_chain.py", [CHECK_CHAIN.encode()])
    index = _index(standing, files)
    into.add("index.json", [(json.dumps(index, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()])
    page = Environment(loader=PackageLoader("ferry.ledger"), autoescape=True).get_template("pack.html")
    into.add("index.html", [page.render(index=index, standing=standing).encode()])
    into.add("SHA256SUMS", [f"{sha256}  {name}\n".encode() for name, sha256 in sorted(into.sums.items())])


def _evidence(into: _Pack, store: EvidenceStore, standing: Standing) -> Iterator[dict[str, Any]]:
    """Add every file of the batch; say of each whether it is what the ledger remembers."""
    promised: dict[str, str] = {}
    for entry in standing.entries:
        if entry.evidence_path:
            promised.setdefault(entry.evidence_path, entry.evidence_hash)
    lying = set(store.files_of(standing.vendor, standing.environment, standing.batch_id))
    for path in sorted(lying | promised.keys()):
        name, told = f"evidence/{path}", promised.get(path, "")
        try:
            with store.opened(path) as source:
                sha256, size = into.add(name, chunks(source), told)
        except FileNotFoundError:
            into.sums[name] = told
            yield {"path": name, "promised": told, "sha256": "", "size": 0, "says": "missing"}
            continue
        says = "not named in the ledger" if not told else "as promised" if sha256 == told else "altered"
        yield {"path": name, "promised": told, "sha256": sha256, "size": size, "says": says}


def _index(standing: Standing, files: list[dict[str, Any]]) -> dict[str, Any]:
    attempts = [
        {
            "number": one.attempt.number,
            "input_hash": one.input_hash,
            "opened_at": one.opened_at.isoformat(),
            "holder": asdict(one.holder),
            "ref": one.ref,
            "word": one.word,
            "run_state": one.run_state,
            "verdict": one.verdict,
            "counts": one.counts.to_json(),
        }
        for one in standing.attempts
    ]
    batch = {"vendor": standing.vendor, "environment": standing.environment, "batch_id": standing.batch_id}
    chain = {"entries": len(standing.entries), "head": standing.head}
    return {"batch": batch, "chain": chain, "attempts": attempts, "evidence": files}
