"""The words, rules and exchanges every part shares. No Airflow, no database, no socket in here."""
