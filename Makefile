# Every target does its own set-up: virtual environments in .venv*, filled by pip.
PYTHON ?= python3
BIN = .venv/bin
LEARN = .venv-train/bin
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
PIP = $(@D)/bin/python -m pip --disable-pip-version-check --quiet

# The whole test command. What silmu's use half does is tested in .venv, which holds neither torch
# nor transformers (a test says so); what learns is tested in .venv-train.
.PHONY: test
test: .venv/ready .venv-train/ready
	$(LEARN)/ruff check
	$(LEARN)/ruff format --check
	$(LEARN)/pyright
	$(LEARN)/lint-imports
	$(LEARN)/deptry src
	$(BIN)/pytest -q -n 2 --ignore=tests/learn
	$(LEARN)/pytest -q -n 2 tests/learn
	$(LEARN)/pytest -q tests/test_openvino.py

# The whole road on real film reviews: collect, prepare, design, train, evaluate, use.
.PHONY: demo
demo: .venv-demo/ready
	@test -d runs/demo/5-report || .venv-demo/bin/silmu train $$(test -f runs/demo/run.toml \
		&& echo runs/demo || echo --config $(DEMO) --output runs/demo) >/dev/null
	@.venv-demo/bin/silmu use runs/demo/4-model \
		"I love this product! It's absolutely wonderful." \
		"I'm really disappointed. It didn't work as expected."
DEMO = recipes/text-classification/rotten-tomatoes-minilm.toml

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
	@$(PIP) install --no-deps --group real
	@touch $@

# Torch for processors only, where its makers' own index can be reached: without that pip would
# fetch gigabytes for graphics cards. `make TORCH=torch test` takes what pip finds by itself.
TORCH_INDEX = https://download.pytorch.org/whl/cpu
TORCH ?= torch==2.13.0 $(shell $(PYTHON) -c "import urllib.request as u; \
	u.urlopen('$(TORCH_INDEX)/', timeout=5); print('--index-url $(TORCH_INDEX)')" 2>/dev/null)
.venv-train/ready: pyproject.toml | .venv-train/bin/python
	@$(PIP) install $(TORCH)
	@$(PIP) install --editable '.[train,rl]' --group learn
	@$(PIP) install --no-deps --group real
	@touch $@

.venv-demo/ready: pyproject.toml | .venv-demo/bin/python
	@$(PIP) install $(TORCH)
	@$(PIP) install --editable '.[train]'
	@$(PIP) install --no-deps --group real
	@touch $@

# The comparison of README, about an hour with its set-up. BENCH holds environments and models: 8 GB.
BENCH ?= build/bench
.PHONY: bench
bench:
	benchmarks/setup.sh $(BENCH)
	python3 benchmarks/run.py $(BENCH)
	python3 benchmarks/table.py
