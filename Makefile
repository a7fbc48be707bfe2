# Targets that need packages update .venv and node_modules first. While the requirements are unchanged, this does nothing
# and needs no network.

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := tests/servers/node_modules
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The first interpreter that is new enough and can create an environment; Debian's needs the package python3-venv for it.
PYTHON ?= $(shell for python in python3.11 python3 python3.14 python3.13 python3.12; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

.DEFAULT_GOAL := help
.PHONY: help run convex-dev supabase-dev test simulate peers lint format conformance bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/runtime.stamp ## serve the application; set HOST and PORT in the environment
	$(BIN)/python app.py

convex-dev: $(PACKAGES)/stamp ## serve the Convex functions on this machine, for `make run`; set CONVEX_DEV_PORT for another port
	$(BIN)/python -m tests.servers.convex_deployment

supabase-dev: $(PACKAGES)/stamp ## serve a Supabase project on this machine, for `make run`; set SUPABASE_DEV_PORT for another port
	$(BIN)/python -m tests.servers.supabase_api

# Each process keeps its part of the tests in their order, so that servers that a folder shares are started once. There is
# two more than most machines have cores, because many tests wait.
test: lint $(PACKAGES)/stamp ## check style and types, then run all tests
	$(BIN)/pytest --numprocesses 4 --dist worksteal

SEED ?= $(shell date +%s)
simulate: $(VENV)/dev.stamp ## try random histories of sync; set SEED to repeat a run, SYNC_HISTORIES for another number than 5000
	@echo 'SEED=$(SEED)'
	SYNC_HISTORIES=$${SYNC_HISTORIES:-5000} $(BIN)/pytest tests/integration/sync/test_random_histories.py --hypothesis-seed=$(SEED)

# About 900 MB; each in an environment of its own, because they need different versions of the same packages.
peers: .peers/praval/stamp .peers/convergence/stamp ## test storage with the frameworks Praval and Convergence, which it installs
	$(BIN)/pytest tests/peers

.peers/%/stamp: tests/peers/%.txt | $(VENV)/dev.stamp
	$(BIN)/python -m venv .peers/$*
	.peers/$*/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

lint: $(VENV)/dev.stamp ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/dev.stamp ## sort imports and format the code
	$(BIN)/ruff check --select I --fix
	$(BIN)/ruff format

conformance: $(VENV)/dev.stamp ## write docs/reference/backends.md, the features of each backend
	$(BIN)/python -m tests.contract.conformance

bench: $(VENV)/bench.stamp $(PACKAGES)/stamp ## run the benchmarks against other libraries
	$(BIN)/python -m benchmarks

clean: ## delete caches; the environment stays
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/runtime.stamp: requirements.txt
$(VENV)/dev.stamp: requirements-dev.txt requirements.txt
$(VENV)/bench.stamp: benchmarks/requirements.txt requirements-dev.txt requirements.txt

$(VENV)/%.stamp: | $(BIN)/python
	$(PIP) install -r $<
	@touch $@

$(PACKAGES)/stamp: tests/servers/package-lock.json | $(VENV)/dev.stamp
	$(BIN)/python -m tests.servers.node ci
	@touch $@

# Delete an incomplete environment, because the next run would use it.
$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer with venv is needed; on Debian: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
