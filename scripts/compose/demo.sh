#!/bin/sh
# `make demo-compose`: bring the services up, wait until they are healthy, and play the demo from a container beside them.
set -eu
cd "$(dirname "$0")/../.."
[ -f .env ] || { echo "There is no .env yet. Run make env first: it writes one with strong secrets." >&2; exit 2; }
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi
export COMPOSE_PROFILES=rehearsal
$compose up --detach --build
exec $compose --profile demo run --no-deps --rm demo
