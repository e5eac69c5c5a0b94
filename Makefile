# Ferry's commands. `make` lists them; the work is done by scripts/.
SHELL := /bin/sh
VENV := .venv/bin/python
ROWS ?= 40000
JOBS ?= 3
PLACE ?= var/demo
N ?= 60
SEED ?= 0
.DEFAULT_GOAL := help
.PHONY: help env demo demo-compose up down test check sandbox bench chaos verify docs add-vendor batch lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.runtime ## Everything from nothing: sandbox, Airflow, every vendor's demo batches, outcome table
	@$(VENV) -m scripts.demo

env: ## .env for docker-compose: strong secrets, connections that lead to the sandbox; what is there already stays
	@$(or $(PYTHON),python3) scripts/env.py

demo-compose: ## The same demo on docker-compose: Celery, two workers, two triggerers (after make env)
	@scripts/compose/demo.sh

up: .venv/.runtime ## The same, left running: the UI on this machine only (make down ends it)
	@$(VENV) -m scripts.up

down: ## End what `make up` started
	@if [ -x $(VENV) ]; then $(VENV) -m scripts.up --down; else echo "Nothing is running."; fi

test: .venv/.dev ## The whole suite, end to end (ARGS="-k ledger" for a part)
	@$(VENV) -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

check: .venv/.dev ## ruff, mypy, import rules, generated docs up to date
	@scripts/check.sh

sandbox: .venv/.runtime ## The vendors played on a port of this machine (PORT=8765)
	@$(VENV) -m sandbox --port $(or $(PORT),8765) --data var/sandbox

bench: .venv/.dev ## The measurements behind the README's numbers
	@scripts/bench.sh

chaos: .venv/.dev ## N batches of all vendors under kill -9, judged by the vendors' own state (N=60 SEED=1 replays)
	@$(VENV) -m scripts.chaos -n $(N) --seed $(SEED) $(ARGS)

verify: .venv/.runtime ## Check every ledger chain and evidence file of PLACE=var/demo (or of connection ferry_ledger, if set here)
	@$(VENV) scripts/verify.py $(if $(AIRFLOW_CONN_FERRY_LEDGER),,--ledger $(PLACE)/ledger.db --evidence $(PLACE)/evidence) $(ARGS)

docs: .venv/.dev ## Write dags/README.md from the DAGs' own docs, docs/faults.md from the fault tests
	@$(VENV) -m scripts.docs

add-vendor: .venv/.dev ## A new vendor's folder, DAG, test and batch (NAME=x)
	@$(VENV) -m scripts.add_vendor "$(NAME)"

batch: .venv/.runtime ## A Fenergo batch of any size (ROWS=40000)
	@$(VENV) scripts/make_batch.py $(ROWS)

lock: .venv/.runtime ## Pin requirements.txt and requirements-dev.txt anew (UPGRADE=1 takes the newest of everything)
	@UPGRADE="$(UPGRADE)" scripts/lock.sh

clean: down ## Remove var/ and caches (ledger and evidence of demos included); .venv stays
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/.runtime: requirements.txt pyproject.toml
	@scripts/venv.sh requirements.txt $@

.venv/.dev: requirements-dev.txt requirements.txt pyproject.toml
	@scripts/venv.sh requirements-dev.txt $@
	@touch .venv/.runtime
