"""How long the reconciliation of N companies and N addresses takes, and what it needs: DuckDB (ours) against pandas.

    python scripts/bench_reconcile.py 1000000

Each runs in a process of its own, so that peak memory is its own too. The last line is the ratio.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ferry.ledger.reconciliation import KeyFile, SentFile, reconcile


def write_files(folder: Path, rows: int) -> None:
    """Companies and addresses as sent, and the records file the vendor would give: one company in 1000 is missing."""
    with (folder / "company.csv").open("w", newline="") as sent, (folder / "records.csv").open("w", newline="") as reported:
        company, record = csv.writer(sent, quoting=csv.QUOTE_ALL), csv.writer(reported, quoting=csv.QUOTE_ALL)
        company.writerow(["alternateId", "legalEntityName", "countryOfIncorporation", "dateOfIncorporation"])
        record.writerow(["tableName", "alternateId", "fenxId"])
        for n in range(rows):
            company.writerow([f"CRM-C-{n:08}", f'Orchard "{n}" Ltd, Łódź', "PL", "1998-03-17"])
            if n % 1000:
                record.writerow(["Company", f"CRM-C-{n:08}", f"{n * 2654435761 % 2**64:032x}"])
    with (folder / "addresses.csv").open("w", newline="") as sent:
        address = csv.writer(sent, quoting=csv.QUOTE_ALL)
        address.writerow(["alternateId", "parentAlternateId", "line1", "city", "country"])
        address.writerows([f"CRM-A-{n:08}", f"CRM-C-{n:08}", f"ul. Kwiatowa {n}", "Łódź", "PL"] for n in range(rows))


def with_duckdb(folder: Path) -> list[int]:
    """The product's own reconciliation: sent, accepted, unprocessed."""
    sent = [
        SentFile("Company", folder / "company.csv", "alternateId"),
        SentFile("Addresses", folder / "addresses.csv", "alternateId", "parentAlternateId"),
    ]
    done = reconcile(sent, accepted=[KeyFile(folder / "records.csv", "alternateId", "tableName")], out=folder / "out")
    return [done.counts.sent, done.counts.accepted, done.counts.unprocessed]


def with_pandas(folder: Path) -> list[int]:
    """The same answer as most people would write it."""
    import pandas as pd

    company = pd.read_csv(folder / "company.csv", dtype=str, keep_default_na=False)
    address = pd.read_csv(folder / "addresses.csv", dtype=str, keep_default_na=False)
    records = pd.read_csv(folder / "records.csv", dtype=str, keep_default_na=False)
    met = company.merge(records, on="alternateId", how="left", indicator=True)
    fates = met[["alternateId", "_merge"]].rename(columns={"alternateId": "owner"})
    owned = address.merge(fates, left_on="parentAlternateId", right_on="owner", how="left")
    missing = pd.concat([met.loc[met["_merge"] != "both", "alternateId"], owned.loc[owned["_merge"] != "both", "alternateId"]])
    missing.sort_values().to_csv(folder / "missing-pandas.csv", index=False)
    sent = len(company) + len(address)
    return [sent, sent - len(missing), len(missing)]


def peak_mib() -> int:
    """Peak memory of this process in MiB. Not by getrusage, whose figure begins with that of the process it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def measured(way: str, folder: Path) -> None:
    """Run one way in this process and print seconds, peak memory in MiB and the counts as JSON."""
    begun = time.perf_counter()
    counts = with_duckdb(folder) if way == "duckdb" else with_pandas(folder)
    seconds = time.perf_counter() - begun
    peak = peak_mib()
    print(json.dumps({"way": way, "seconds": round(seconds, 1), "peak_mib": peak, "counts": counts}))


def bench(rows: int) -> None:
    """Both ways on the same files; fails if they disagree."""
    with TemporaryDirectory(prefix="ferry-bench-") as name:
        write_files(Path(name), rows)
        results = []
        for way in ("duckdb", "pandas"):
            done = subprocess.run([sys.executable, __file__, way, name], capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout))
            print(f"{way:7} {results[-1]['seconds']:6.1f} s   {results[-1]['peak_mib']:6,} MiB peak   {2 * rows:,} records")
    ours, theirs = results
    if ours["counts"] != theirs["counts"]:
        sys.exit(f"The two ways disagree: {ours['counts']} and {theirs['counts']} (sent, accepted, unprocessed).")
    time_ratio, memory_ratio = theirs["seconds"] / ours["seconds"], theirs["peak_mib"] / ours["peak_mib"]
    print(f"pandas needs {time_ratio:.1f} x the time and {memory_ratio:.1f} x the memory")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measured(sys.argv[1], Path(sys.argv[2]))
    else:
        bench(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
