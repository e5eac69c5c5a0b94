"""How the ledger's own database came to look as it does (Alembic); never Airflow's."""
