# Everything a person does here, by one word. Needs Python 3.11 or newer and make; nothing needs root.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:
.DELETE_ON_ERROR:

# The Python that makes the environment: the first that is new enough.
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
  $(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
DATA ?= .data
ARGS ?=

# uv trusts whom the machine trusts, as pip does: networks with a certificate authority of their own work.
export UV_SYSTEM_CERTS ?= 1

# Shared test code is found here; it is not part of what is installed.
TESTING := PYTHONPATH=tests/support $(BIN)/python -m

## For users

.PHONY: env
env: $(STAMP) ## Make the environment .venv from the lock file

$(STAMP): requirements/dev.txt requirements/uv.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Collegium needs Python 3.11 or newer: none found (make env PYTHON=/path/to/python3)" >&2; exit 1; }
	@echo "Making $(VENV) from requirements/dev.txt (about 150 MB to fetch, once) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python's venv module does not work here; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/uv.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/python -m uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q core api workers operator
	@touch $@

.PHONY: run
run: env ## Start Collegium on this machine with the examples; Ctrl-C stops it
	@$(BIN)/collegium up --manifests examples/manifests --data $(DATA) --demo 2000 $(ARGS)

## For developers

.PHONY: test
test: env ## Get the services, then run every tier of the tests (ARGS="-k words" for some)
	@$(TESTING) collegium_testing.services || test "$$COLLEGIUM_REQUIRE_SERVICES" != 1
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(ARGS)

.PHONY: test-fast
test-fast: env ## Run what needs nothing but Python: unit, contract and API tests on the embedded stack
	@COLLEGIUM_TEST_TIER=fast $(BIN)/python -m pytest tests/unit tests/contract tests/api $(ARGS)

.PHONY: lint
lint: env types ## Check style, types, layers and the project's own rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(TESTING) collegium_testing.lint

.PHONY: types
types: env ## Check the types
	@$(BIN)/mypy

.PHONY: services
services: env ## Fetch and build the real services that the tests use, once per machine
	@$(TESTING) collegium_testing.services

.PHONY: bench
bench: env ## Measure speed and memory, as ratios to a floor measured in the same run
	@PYTHONPATH=tests/support $(BIN)/python bench/ingest.py $(ARGS)
	@PYTHONPATH=tests/support $(BIN)/python bench/machine.py

.PHONY: docs
docs: env ## Write the generated reference pages anew
	@$(TESTING) collegium_testing.reference

.PHONY: lock
lock: env ## Resolve the lock files anew (ARGS=--upgrade for the newest releases)
	@$(BIN)/python requirements/lock.py $(ARGS)

.PHONY: clean
clean: ## Remove the environment and what tools left behind; data and services stay
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.PHONY: help
help: ## Show this
	@awk 'BEGIN { FS = ":.*## " } /^## / { printf "\n%s\n", substr($$0, 4) } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
