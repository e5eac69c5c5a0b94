#!/bin/sh
# Compiles requirements.in and requirements-dev.in into exact pins for Python 3.11 and 3.12 (`make lock`).
# uv resolves for both versions at once, which pip cannot; it reads its own settings (UV_DEFAULT_INDEX ...), not pip's.
set -eu
tool=var/lock
[ -x "$tool/bin/uv" ] || { "${PYTHON:-.venv/bin/python}" -m venv "$tool" && "$tool/bin/pip" install --quiet uv==0.13.9; }
compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url "$@"
}
# The lock in place is the preference: only what requirements.in asks for moves. `make lock UPGRADE=1` takes the newest of everything.
grep -v '^-e' requirements.txt >"$tool/runtime.txt"
compile ${UPGRADE:+--upgrade} requirements.in --output-file "$tool/runtime.txt"
{ cat "$tool/runtime.txt" && echo "-e ."; } >"$tool/requirements.txt"
sed -n '/==/p' requirements-dev.txt >"$tool/dev.txt"
sed '/^-r/d' requirements-dev.in >"$tool/dev.in"
compile ${UPGRADE:+--upgrade} --constraint "$tool/runtime.txt" "$tool/runtime.txt" "$tool/dev.in" --output-file "$tool/dev.txt"
{
    head -n 2 requirements-dev.txt
    grep -vxF -f "$tool/runtime.txt" "$tool/dev.txt"
} >"$tool/requirements-dev.txt"
cp "$tool/requirements.txt" requirements.txt
cp "$tool/requirements-dev.txt" requirements-dev.txt
git --no-pager diff --stat -- requirements.txt requirements-dev.txt
