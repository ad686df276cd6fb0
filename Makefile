# Every target does its own set-up in .venv and re-uses it while pyproject.toml and constraints.txt stay the same.
# Needs: Python >= 3.11 with pip. No root, no compiler.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(PYTHON) -m pip --python $(BIN)/python install --disable-pip-version-check -c constraints.txt

.PHONY: help demo test lint format serve benchmarks clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/.run  ## the main job: sample -> features -> network -> comparison -> margins -> demo/report.html
	@$(BIN)/margincast demo

serve: .venv/.run  ## the endpoint on the champion, with the clock stopped in the crash of November 2022
	@$(BIN)/margincast serve --as-of 2022-11-09T06:30Z

test: .venv/.dev  ## all tests, with coverage
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: .venv/.dev  ## formatting, lint, types, directions of import
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.dev  ## rewrite the sources in the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

benchmarks: .venv/.dev  ## speed, as a ratio to a peer in the same run
	@for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

clean:  ## remove the environment and the demo's output
	rm -rf .venv demo

# A system's Python may lack ensurepip: the environment is made without pip, and the system's pip fills it.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "margincast needs Python >= 3.11; name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv --without-pip .venv

.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing margincast into .venv (some minutes, once)"
	@$(INSTALL) -e .
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing margincast and its development tools into .venv (some minutes, once)"
	@$(INSTALL) -e '.[dev]'
	@touch $@ .venv/.run
