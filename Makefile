# make demo and make test need Python 3.11+, make, and a package index; both make their environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Without bytecode every worker, command and daemon of the suite compiles all modules anew.
test unit long: export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test unit check fmt long clean

$(VENV)/.runtime: setup.cfg
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("smsgw needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(VENV)/.runtime   ## three simulated carriers, one approval, three replies
	$(BIN)/smsgw demo

test: $(VENV)/.dev       ## the whole suite
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -o faulthandler_timeout=150 \
		-m 'not long' --cov --cov-report=term-missing:skip-covered

unit: $(VENV)/.dev       ## no sockets, no real time
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/unit

check: $(VENV)/.dev      ## format, lint, types, import borders
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

long: $(VENV)/.dev       ## proofs that take minutes
	$(BIN)/python -m pytest -q -m long
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/contract --hypothesis-profile=thorough

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .coverage
