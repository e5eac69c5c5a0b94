#!/bin/sh
# What the stack needs once per start, before anything else of Airflow runs: its tables, one login, and the vendors' pools.
set -eu
airflow db migrate
umask 077
python - <<'PY'
import json, os, pathlib

from ferry.vendors import all_vendors

passwords = pathlib.Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
passwords.write_text(json.dumps({"admin": os.environ["ADMIN_PASSWORD"]}) + "\n")
pools = {
    vendor.pool: {"slots": vendor.pool_slots, "description": f"Tasks that talk to {vendor.title}", "include_deferred": False}
    for vendor in all_vendors().values()
}
pathlib.Path("/tmp/pools.json").write_text(json.dumps(pools))
PY
airflow pools import /tmp/pools.json
