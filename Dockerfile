# Ferry's image: Airflow, exactly the pinned packages, and Ferry itself. A new version of Ferry is a new image, so that no DAG run
# meets code that changed under it.
FROM apache/airflow:3.3.2-python3.12

# New volumes take owner and mode from these folders. The group is 0, as AIRFLOW_UID's is, whatever that is set to.
USER root
RUN mkdir -p /opt/ferry/batches /opt/ferry/evidence /opt/ferry/logs && chown -R airflow:0 /opt/ferry && chmod -R 775 /opt/ferry
USER airflow
WORKDIR /opt/ferry
COPY --chown=airflow:0 requirements.txt ./
RUN grep -v '^-e' requirements.txt >pinned.txt && pip install --no-cache-dir --no-deps --requirement pinned.txt && rm pinned.txt
COPY --chown=airflow:0 pyproject.toml README.md ./
COPY --chown=airflow:0 plugins plugins
COPY --chown=airflow:0 include include
RUN pip install --no-cache-dir --no-deps --editable .
COPY --chown=airflow:0 dags dags
COPY --chown=airflow:0 scripts scripts
ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/ferry/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/ferry/plugins
