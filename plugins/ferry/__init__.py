"""Ferry: vendor data migrations on Apache Airflow that start once, wait for free, and account for every record."""
