#!/bin/sh
# Makes .venv with exactly the pinned packages: `scripts/venv.sh requirements.txt STAMP`. Safe to call twice, also at once.
# Plain pip, because people behind a company mirror have configured pip. The pins are complete, so pip need not resolve (--no-deps),
# and compiling afterwards on all cores halves that part: together about 85 seconds instead of 110 on two cores.
set -eu
list=$1
stamp=$2

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

usable() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-} python3.12 python3.11 python3; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Ferry needs Python 3.11 or 3.12; this machine has: $(python3 --version 2>&1 || echo 'no python3')." \
        "Install one (for example: sudo apt-get install python3.12 python3.12-venv), or name it: make PYTHON=/path/to/python3.12 ..."
}

if command -v flock >/dev/null 2>&1 && [ -z "${FERRY_VENV_LOCKED:-}" ]; then
    FERRY_VENV_LOCKED=1 exec flock .venv.lock "$0" "$@"
fi

if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$("$python" --version) lacks its venv module. Install it (for example: sudo apt-get install python3-venv) and try again."
    "$python" -m venv .venv
fi

# requirements-dev.txt takes in requirements.txt, which alone may have changed.
if [ "$stamp" -nt "$list" ] && [ "$stamp" -nt requirements.txt ] && [ "$stamp" -nt pyproject.toml ]; then
    exit 0
fi
echo "Installing the packages of $list into .venv (once; about 90 seconds) ..."
started=$(date +%s)
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile --requirement "$list" ||
    fail "pip could not install $list. Its message stands above; if this machine has no way to the package registry, configure pip for your mirror."
# A few packages carry templates that are not valid Python; they are never imported, so their complaints do not matter.
.venv/bin/python -m compileall -q -j 0 .venv/lib/python3.*/site-packages >/dev/null 2>&1 || true
touch "$stamp"
echo "Installed in $(($(date +%s) - started)) s."
