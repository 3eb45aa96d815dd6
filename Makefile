# Every target does its own set-up: a virtual environment in .venv, filled by pip.
PYTHON ?= python3
BIN = .venv/bin
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
PIP = $(@D)/bin/python -m pip --disable-pip-version-check --quiet

# The whole test command. The environment holds neither torch nor transformers, so that this is
# the torch-free run too; a test says so.
.PHONY: test
test: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/pytest -q -n 2

# Sentences compared by the packaged MiniLM: real weights, without torch.
.PHONY: demo
demo: .venv-demo/ready
	@.venv-demo/bin/python examples/compare_sentences.py

# What `pip install silmu` brings, in packages and megabytes.
.PHONY: size
size: .venv/ready
	@$(BIN)/python tools/measure_install.py

.PHONY: build
build: .venv/ready
	$(BIN)/python -m pip wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist
	$(BIN)/python -m hatchling build --target sdist

# Debian's python3 comes without what `venv` needs.
%/bin/python:
	@$(PYTHON) -c "import ensurepip" 2>/dev/null || \
		{ $(SUDO) apt-get update && $(SUDO) apt-get install --yes python3-venv; } >&2
	@echo "setting up $*, once" >&2
	@$(PYTHON) -m venv $*
	@$@ -m pip install --quiet --upgrade "pip>=25.1"

.venv/ready: pyproject.toml | .venv/bin/python
	@$(PIP) install --editable . --group test
	@$(PIP) install --no-deps --group weights
	@touch $@

.venv-demo/ready: pyproject.toml | .venv-demo/bin/python
	@$(PIP) install --editable .
	@$(PIP) install --no-deps --group weights
	@touch $@

# The comparison of README, about an hour with its set-up. BENCH holds environments and models: 8 GB.
BENCH ?= build/bench
.PHONY: bench
bench:
	benchmarks/setup.sh $(BENCH)
	python3 benchmarks/run.py $(BENCH)
	python3 benchmarks/table.py
