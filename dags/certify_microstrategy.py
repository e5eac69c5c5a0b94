"""
# MicroStrategy: certify a package

Requests, takes back, approves, rejects or removes the certification of a migration or a group at the source, and says the same
on a target that has a copy, with operator and date:

    vendor: microstrategy
    due: 2026-11-01
    dag: certify_microstrategy
    connection: microstrategy_source
    microstrategy:
      certification:
        migration: "<package id>:<import id>"      # or group: ..., or batch: <a batch of Ferry's>
        action: approve                            # request, revert, approve, reject, decertify
        replay_on: microstrategy_target            # optional
        auto_sync: false                           # true: the vendor carries operator and date over by itself

Only a package that is created can be certified at the source: once locked, it cannot be any more [D]. Architects may request and
take back; everything else needs an Administrator [D].

## When it is red

* **find_run**: the source knows no such record. Check its id, and that `connection` leads to the source.
* **check_batch**: the package is locked or still being made, or its status allows no such change. Nothing was sent.
* **certify_package**, **sync_certification**: the message has the vendor's words; a missing privilege is the usual cause.
* **settle_batch**: the certification does not stand on every side it was to. Clear the task that is named.
"""

from airflow.sdk import TriggerRule, dag

from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.vendors.microstrategy import operators as mstr


@dag(
    dag_display_name="MicroStrategy: certify a package",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("microstrategy"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "microstrategy_api"},
)
def certify_microstrategy() -> None:
    admit = mstr.MicroStrategyAdmitBatchOperator()
    find = mstr.MicroStrategyFindRecordOperator()
    check = mstr.MicroStrategyCheckCertificationOperator()
    certify = mstr.MicroStrategyCertifyRecordOperator()
    sync = mstr.MicroStrategyReplayCertificationOperator()
    reconcile = mstr.MicroStrategyReconcileCertificationOperator()
    settle = mstr.MicroStrategySettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> find >> check >> certify >> sync >> reconcile >> settle


certify_microstrategy()
