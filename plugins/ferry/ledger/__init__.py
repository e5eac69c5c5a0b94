"""The ledger (one fact per entry, appended, never changed) and the evidence beside it. No Airflow in here."""
