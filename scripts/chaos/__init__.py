"""`make chaos`: a real Airflow whose processes are killed with -9 at marked points and at random, and an oracle that counts.

What is proved, and how it is kept honest:

* The oracle (`cargo.py`, `oracle.py`) reads the sandbox's state and request log. What Ferry's ledger says is compared with
  it, never the other way round.
* Processes die at marked points because `inside/` is on the PYTHONPATH of the stack: Python imports `sitecustomize` by itself,
  and that wraps a handful of Ferry's functions as they are imported. Nothing in Ferry knows of it.
* A plan is drawn from the seed before anything starts (`plan.py`): which batch meets which end, at which point, of which process.
* The same harness finds duplicates of a naive operator (`naive/`), so the proof can fail.
"""
