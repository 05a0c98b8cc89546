# The two commands: `make up` runs mailops, `make test` tests it. Each makes what it needs and is missing.

# a distribution's Python is built with profile-guided optimisation, others mostly aren't and send a tenth less
PYTHON ?= $(shell for python in /usr/bin/python3 python3.11; do \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $$python && exit; \
	done; echo python3)
BIN := .venv/bin
BUNDLES := static/dist/.made
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate
# the machine's own npm, else the one that a wheel brings into the virtual environment
export PATH := $(PATH):$(CURDIR)/$(BIN)

.PHONY: up check test test-all format lock bundles bench bench-quick bench-large bench-making crash crash-short soak

up: .venv/.up $(BUNDLES)
	@exec $(BIN)/python manage.py up

check: .venv/.dev
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/djade --check --target-version 5.2 $$(git ls-files 'templates/*.html')
	$(BIN)/lint-imports
	$(BIN)/deptry .
	@for part in "" -dev -node -bench; do cp requirements$$part.txt .venv/lock$$part.txt; done
	@$(MAKE) -s lock LOCK=.venv/lock
	@for part in "" -dev -node -bench; do cmp requirements$$part.txt .venv/lock$$part.txt || { echo "The lock is out of step: run make lock"; exit 1; }; done
	@npm ci --silent --dry-run --ignore-scripts > /dev/null || { echo "package-lock.json is out of step: run npm install"; exit 1; }
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/mypy mailops tests bench

# Each worker takes half of the modules and then from the other's, so that what a module starts it starts once; and Python
# may keep what it compiled, for the many processes that tests start.
SPREAD := -n 2 --dist worksteal
test test-all: export PYTHONDONTWRITEBYTECODE :=

test: .venv/.dev $(BUNDLES) tests/node/node_modules/.made
	$(BIN)/pytest -q $(SPREAD) -m "not whole and not broad"

# The tests that start a whole mailops come one after another: two at once would measure each other. What sending workers
# run is tested a second time with gevent's threads, in which they run it.
test-all: .venv/.dev $(BUNDLES) tests/node/node_modules/.made
	$(BIN)/pytest -q $(SPREAD) -m "not whole" --nothing-skips
	$(BIN)/python -m gevent.monkey --module pytest -q -m "not whole and not broad" --nothing-skips tests/dispatch tests/transports
	$(BIN)/pytest -q -m whole --nothing-skips

# How fast it sends, next to its peers (docs/performance.md); the quick one takes a minute.
# `make bench PARTS="b e"` takes some of its figures, PARTS=--million the long ones too.
bench-quick: .venv/.up bench/.venv/.made
	@$(BIN)/python -m bench quick

bench: .venv/.up bench/.venv/.made
	@$(BIN)/python -m bench $(PARTS)

# What pages cost behind ten million messages; half an hour and 15 GB of disk.
bench-large: .venv/.up
	@$(BIN)/python -m bench.charts 10000000

bench-making: .venv/.up
	@$(BIN)/python -m bench.making

# What becomes of the mail when things break (docs/reliability.md); the receiver's log is the witness.
# `make crash FAULTS="all_workers_killed beat_killed"` plays some of the faults.
crash: .venv/.up $(BUNDLES)
	@$(BIN)/python -m bench.crash $(FAULTS)

crash-short: .venv/.up $(BUNDLES)
	@$(BIN)/python -m bench.crash --short $(FAULTS)

# An hour of sending beside a million rows and a pg_dump; `make soak MINUTES=10` for less.
MINUTES ?= 60
soak: .venv/.up
	@$(BIN)/python -m bench.crash --soak $(MINUTES)

format: .venv/.dev
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .
	-$(BIN)/djade --target-version 5.2 $$(git ls-files 'templates/*.html')

LOCK ?= requirements
lock: .venv/.dev
	$(COMPILE) pyproject.toml -o $(LOCK).txt
	$(COMPILE) pyproject.toml --group dev -c $(LOCK).txt -o $(LOCK)-dev.txt
	$(COMPILE) --group node -o $(LOCK)-node.txt
	$(COMPILE) --group bench -c $(LOCK).txt -o $(LOCK)-bench.txt

bundles: $(BUNDLES)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mailops needs Python 3.11 or later; this is " + sys.version.split()[0])'
	@echo "Making the virtual environment; this takes a minute or two, once"
	@$(PYTHON) -m venv .venv

.venv/.up: requirements.txt | .venv/bin/python
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.up
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

bench/.venv/.made: requirements-bench.txt | .venv/bin/python
	@.venv/bin/python -m venv bench/.venv
	@bench/.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

node_modules/.made: package-lock.json requirements-node.txt | .venv/.up
	@command -v npm > /dev/null || $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-node.txt
	@npm ci --loglevel=error --ignore-scripts
	@touch $@

# mail templates of other projects, which tests compile
tests/node/node_modules/.made: tests/node/package-lock.json node_modules/.made
	@cd tests/node && npm ci --loglevel=error --ignore-scripts
	@touch $@

$(BUNDLES): node_modules/.made package.json $(shell find static/src -name '*.js' -o -name '*.css')
	@npm run --silent build
	@touch $@
