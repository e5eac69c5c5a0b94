"""The steps as Airflow objects: what every vendor's operators, sensors and triggers are made of."""
