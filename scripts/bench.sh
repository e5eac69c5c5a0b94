#!/bin/sh
# `make bench`: every measurement, one after the other, on an otherwise idle machine.
set -eu
for bench in scripts/bench_*.py; do
    echo "== $bench"
    .venv/bin/python -m "scripts.$(basename "$bench" .py)"
done
