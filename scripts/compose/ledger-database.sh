#!/bin/sh
# Run once by the postgres image, on an empty data volume: the ledger gets a database and a user of its own, never Airflow's.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set password="$LEDGER_PASSWORD" <<'SQL'
CREATE USER ledger PASSWORD :'password';
CREATE DATABASE ledger OWNER ledger;
REVOKE CONNECT ON DATABASE ledger FROM PUBLIC;
SQL
