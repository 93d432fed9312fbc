# make demo and make test need Python 3.11+, make, and a package index; both make their environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Without bytecode every worker, command and daemon of the suite compiles all modules anew.
test coverage unit long: export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test coverage unit check fmt long docs audit lock clean

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

SUITE := $(BIN)/python -m pytest -q -n 4 --dist worksteal -o faulthandler_timeout=300 -m 'not long'

test: $(VENV)/.dev       ## the whole suite
	$(SUITE)

coverage: $(VENV)/.dev   ## the whole suite, and which lines and branches it misses
	$(SUITE) --cov --cov-report=term-missing:skip-covered --cov-fail-under=98

unit: $(VENV)/.dev       ## no sockets, no real time
	$(BIN)/python -m pytest -q -n 4 --dist worksteal tests/unit

check: $(VENV)/.dev      ## format, lint, types, import borders
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/towncrier build --draft --version next > /dev/null

fmt: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

long: $(VENV)/.dev       ## proofs that take minutes
	$(BIN)/python -m pytest -q -m long
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/contract --hypothesis-profile=thorough

docs: $(VENV)/.dev       ## the reference of the library and of the HTTP API, as HTML
	$(BIN)/python docs/build.py build/docs
	@echo build/docs/index.html

audit: $(VENV)/.dev $(VENV)/.audit   ## dependencies: hashes, and known holes where their list can be reached
	$(BIN)/python -m pytest -q tests/unit/test_lock.py
	$(VENV)/audit/bin/pip-audit --require-hashes --disable-pip -r requirements.lock

lock: $(VENV)/.audit     ## requirements.lock anew: the newest versions that setup.cfg takes
	sed -n '/^install_requires/,/^$$/s/^    //p' setup.cfg > $(VENV)/audit/wanted.txt
	grep '^#' requirements.lock > $(VENV)/audit/new.lock
	$(VENV)/audit/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url $(VENV)/audit/wanted.txt >> $(VENV)/audit/new.lock
	mv $(VENV)/audit/new.lock requirements.lock

$(VENV)/.audit: $(VENV)/.runtime
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit uv
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .coverage
