# Every verb sets up what it needs by itself. Only python3 (3.11+, with venv) and make are asked of the machine.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
export DJANGO_SETTINGS_MODULE := config.settings

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test browser drill check format bench bench-live lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.lock | .venv/bin/python
	$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	@touch $@

.venv/dev.stamp: requirements-dev.lock | .venv/bin/python
	$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes -r requirements-dev.lock
	@touch $@ .venv/run.stamp

setup: .venv/run.stamp ## Make .venv and install what running needs (once)

setup-dev: .venv/dev.stamp ## The same with what tests and checks need

run: setup ## Start everything on http://127.0.0.1:8000 (HOST, PORT, BINNACLE_DATA)
	@$(BIN)/python manage.py serve

test: setup-dev ## Run the tests on SQLite, without browser and drills (ARGS="-k grid -x")
	$(PYTEST) -n 2 -m "not browser and not drill" $(ARGS)

browser: setup-dev ## Run the browser tests in Chromium
	$(PYTEST) -m "browser and not drill" tests/browser $(ARGS)

drill: setup-dev ## Run what takes minutes: memory after 5 minutes, kills, 10,000 cuts, many replays
	$(PYTEST) -m drill $(ARGS)

check: setup-dev ## Lint, format, types, import directions, migrations, API schema, deploy check, vendored files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	HOST=binnacle.example SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))')" \
		$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(PYTEST) -q tests/ops/test_vendored.py

format: setup-dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Candles per second beside backtesting.py and vectorbt (in a venv of their own)
	$(MAKE) -C bench

bench-live: setup-dev ## The live runtime on PostgreSQL and Redis: sleepers, ticks, latencies (PG_URL, ARGS="--sleepers 1000")
	$(BIN)/python -m bench.live $(ARGS)

lock: setup-dev ## Compile the lock files from pyproject.toml
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --group dev pyproject.toml -o requirements-dev.lock

clean: ## Remove the environment and caches; the data folder stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
