# Every target does its own set-up: a virtual environment in .venv, filled by pip.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: test
test: .venv/ready
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e . pytest pytest-socket pytest-timeout pytest-xdist hypothesis import-linter
	touch $@
