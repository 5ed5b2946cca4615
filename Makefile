# What a person does with a checkout. Every target prepares what it needs in .venv by itself; a machine needs
# nothing but make and Python 3.11 or newer with its venv module.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CODE   := actors supervisors protocols config tools tests docs/examples bulkhead.py
# The interpreters to try, in this order: `make setup PYTHON=/path/to/python3.12` puts another one first. 3.11
# leads because the figures in docs/performance.md were measured on it.
PYTHON ?=
PYTHONS := $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3

.PHONY: setup run test lint format bench requirements lock clean help

setup: $(READY) ## prepare .venv, and nothing else

# The stamp is as new as what it was made from: a second `make setup` does nothing, a changed lock reinstalls.
$(READY): requirements.lock pyproject.toml
	@if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    found=; \
	    for candidate in $(PYTHONS); do \
	        if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	            found="$$candidate"; break; \
	        fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "make setup: no Python 3.11 or newer found (tried: $(strip $(PYTHONS)))." >&2; \
	        echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; \
	        exit 1; \
	    fi; \
	    echo "setup: making $(VENV) with $$("$$found" --version)"; \
	    if ! "$$found" -m venv --clear $(VENV); then \
	        echo "make setup: $$found cannot make a virtual environment; its venv module is missing" >&2; \
	        echo "(on Debian and Ubuntu: apt-get install python3-venv)." >&2; \
	        exit 1; \
	    fi; \
	fi
	@echo "setup: downloading and installing the locked packages (a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## trade on the bundled simulator: generated market, no keys, no network
	$(BIN)/bulkhead run

# Many tests wait for real sockets and processes, so there is room for one worker more than there are cores.
JOBS ?= $(shell expr $$(nproc) + 1)
PYTEST = $(BIN)/coverage run -m pytest --basetemp="$$(mktemp -d)/pytest"

# Some tests need a processor within seconds, which the others may have. What fails beside them is told with its
# traceback, and gets one more chance alone: what fails there as well has failed.
test: setup ## every test, then the coverage gates
	@rm -f .coverage .coverage.*
	$(PYTEST) --numprocesses $(JOBS) --dist worksteal || \
	    { [ $$? -eq 1 ] && echo "test: these failed beside the others; once more, alone:" && \
	      $(PYTEST) --last-failed --last-failed-no-failures none --numprocesses 0; }
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	@$(BIN)/coverage json --quiet -o coverage.json
	$(BIN)/python -m tools.coverage_gates coverage.json

lint: setup ## style, formatting, strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)

format: setup ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## every benchmark, one JSON object each
	$(BIN)/bulkhead bench all --json

requirements: setup ## which demands are proven, by which tests
	$(BIN)/python -m tools.requirements

lock: setup ## pin again from pyproject.toml (needs a package index)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo '# Every package of `make setup`, pinned with hashes. Written by `make lock` from pyproject.toml; do not edit.' > requirements.lock.new
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-annotate --quiet >> requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## remove caches and reports; .venv and data stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov build dist coverage.json .coverage .coverage.*
	find actors supervisors protocols config tools tests -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
