# Everything a person or a machine does with this checkout. `make help` lists it.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo ui test check format docs bench growth clean

help: ## list what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(INSTALLED): requirements.txt setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

install: $(INSTALLED) ## make the virtual environment with the pinned packages

demo: $(INSTALLED) ## draw a small laboratory and four cores, and find what is in them (about 6 minutes)
	$(BIN)/icecore demo

ui: $(INSTALLED) ## open Dagster on http://127.0.0.1:3000 over ./data
	$(BIN)/icecore ui

test: $(INSTALLED) ## run every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(INSTALLED) ## lint, types, import directions, definitions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/dg check defs

format: $(INSTALLED) ## lay out the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## print docs/tables.md and the table of networks from their declarations
	$(BIN)/python -c "from pathlib import Path; from icecore_dagster.reports.dictionary import write_tables_page as w; w(Path('docs'))"
	$(BIN)/python -c "from pathlib import Path; from icecore_dagster.reports.dictionary import write_networks_table as w; w(Path('docs'))"

bench: $(INSTALLED) ## measure speed beside what people have today
	folder=$$(mktemp -d) && $(BIN)/python -m benchmarks.measure --folder $$folder; status=$$?; rm -rf $$folder; exit $$status

growth: $(INSTALLED) ## measure time, memory and disk from 1,000 to 1,000,000 particles
	folder=$$(mktemp -d) && $(BIN)/python -m benchmarks.scale.growth --folder $$folder; status=$$?; rm -rf $$folder; exit $$status

clean: ## remove the virtual environment and caches; data/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build *.egg-info
