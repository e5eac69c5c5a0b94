#!/bin/sh
# `make check`: every reader that needs no running Airflow. All of them run; the exit code tells whether any complained.
set -u
failed=""
run() {
    name=$1
    shift
    echo "== $name"
    "$@" || failed="$failed $name"
}
run format .venv/bin/ruff format --check --quiet .
run ruff .venv/bin/ruff check --quiet .
run mypy .venv/bin/mypy
run imports .venv/bin/lint-imports --no-logo
run docs .venv/bin/python -m scripts.docs --check
if [ -n "$failed" ]; then
    echo "make check is red:$failed" >&2
    exit 1
fi
echo "make check is green."
