# Everything a contributor runs. `make help` lists it.
# A fresh Debian needs: apt-get install python3 python3-venv make git ca-certificates

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit check docs facts format relock bench travel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/installed $(VENV)/tools ## lading and its tools, locked and hashed, into .venv

demo: $(VENV)/installed ## a folder becomes an image, a training run and a served model that answers
	$(BIN)/python examples/demo.py examples/digits

# Two files at a time, in their order: the longest come first, and each has engines and stores of its own.
test: setup ## the whole suite: real engines, the network, root; nothing skipped silently
	sh tests/services/install.sh
	$(PYTEST) --forbid-skips --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 25

unit: setup ## the fast tests: no network, no root, no engines
	$(PYTEST) --forbid-skips tests/unit -m "not slow and not network and not root"

check: setup ## style, types, import contracts, generated files, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/sizes.py
	$(BIN)/python -m lading.project.schema | diff - src/lading/project/schema.json
	$(BIN)/python docs/generate/reference.py --check
	$(BIN)/python docs/generate/catalogue.py --check

docs: setup ## write docs/reference and the fault catalogue from the code
	$(BIN)/python docs/generate/reference.py
	$(BIN)/python docs/generate/catalogue.py

facts: setup ## how old the CUDA facts are, and where the index says otherwise
	$(BIN)/python docs/generate/cuda_facts.py

format: setup ## put the sources in order
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

relock: setup ## newest versions into requirements/*.txt
	sh requirements/relock.sh

bench: setup ## lading beside Docker and beside the floor (needs root and docker.io)
	sh tests/services/install.sh
	PYTHONPATH=tests $(BIN)/python -m benchmarks.build

travel: setup ## images made, pushed, pulled and started beside Docker 20.10 and 26 (needs root)
	sh tests/services/install.sh
	mkdir -p build/bench
	PYTHONPATH=tests $(BIN)/python -m benchmarks.travel --json build/bench/travel.json

clean: ## remove what was made here
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# No build isolation: the build backend too is one of the locked, hashed packages.
$(VENV)/installed: $(VENV)/bin/python requirements/runtime.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/tools: $(VENV)/installed requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
