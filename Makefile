# `make run` and `make test` each set up all they need, from a bare checkout with Python 3.11 (or newer) and make.
#
#   PYTHON=python3.12   the interpreter to build .venv with; by default the first of python3.11, python3, python3.12, …
#   CHROMIUM=/path      the browser of the browser tests
#   PROXY_NGINX=/path   the web server in front of Dagster's, in the tests of deploy/nginx
#   JOBS=4              how many tests run at once: more than there are cores, since they wait for disks and servers

PYTHON      ?=
CHROMIUM    ?= /usr/bin/chromium
PROXY_NGINX ?= /usr/sbin/nginx
JOBS        ?= 3
TESTS       ?=
WORDS       ?=
SECONDS     ?= 300

VENV := .venv
BIN  := $(VENV)/bin
HOME_FOLDER := .workflow_assets

RUN   = $(BIN)/dagster job execute -m workflow_assets.definitions -j regularisation
BENCH = $(filter-out $(addprefix benchmarks/,rounds.py soak.py),$(wildcard benchmarks/*.py))

export CHROMIUM PROXY_NGINX
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help run test tests slow simulate compile lint types format bench soak fuzz clean chromium nginx

help:  ## these lines
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

run: $(VENV)/.ready-to-run $(HOME_FOLDER)/dagster.yaml  ## run the example experiment and print its table and verdicts
	DAGSTER_HOME='$(CURDIR)/$(HOME_FOLDER)' $(RUN)

# Types are checked while the tests begin: one core would be idle.
test: lint compile chromium nginx  ## linters, types, floors and tests (TESTS=path for some of them)
	@$(MAKE) --no-print-directory --jobs=2 types tests

tests: compile
	$(BIN)/python -m pytest -n $(JOBS) $(TESTS)

slow: compile chromium nginx  ## the tests that take longer: more kills, clusters that vanish, a long search for counterexamples
	$(BIN)/python -m pytest -n $(JOBS) -m slow
	$(BIN)/python -m pytest -n $(JOBS) --timeout 3600 --hypothesis-profile=search workflow_assets_tests/properties

simulate: $(VENV)/.ready-to-test  ## how often tests err and intervals hold the truth, in 20,000 trials each (WORDS='paired_t bootstrap')
	$(BIN)/python -m workflow_assets_tests.simulations --jobs $(JOBS) $(WORDS)

compile: $(VENV)/.ready-to-test  # the tests' many processes keep nothing of what they compile
	@$(BIN)/python -m compileall -q workflow_assets workflow_assets_tests

lint: $(VENV)/.ready-to-test  ## style and floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.ready-to-test  ## static types
	$(BIN)/mypy

format: $(VENV)/.ready-to-test  ## put the code in shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.ready-to-test  ## the benchmarks, one after the other
	@set -e; for script in $(BENCH); do echo "== $$script"; $(BIN)/python $$script; done

soak: $(VENV)/.ready-to-test  ## webserver, daemon and four runs at once on the event log, for five minutes (SECONDS=60)
	$(BIN)/python benchmarks/soak.py --seconds $(SECONDS)

fuzz: SECONDS = 600
fuzz: $(VENV)/.ready-to-test  ## damaged documents for ten minutes: no crash, no hang, nothing executed (SECONDS=60)
	$(BIN)/python -m workflow_assets_tests.fuzz --seconds $(SECONDS)

clean:  ## delete .venv, caches and builds; what was computed stays in .workflow_assets
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .tmp_dagster_home_*
	rm -rf build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------------------ set-up

# uv takes 15 seconds where pip takes two minutes and a half. It does not read pip's settings: where they name another
# index, or uv finds no way to it, pip does the work, but for compiling, which it would do on one core. Templates of code
# that packages bring do not compile, which is no failure.
INSTALL = { ! $(BIN)/pip config list | grep -q '[.]index-url' && $(BIN)/pip install --quiet uv \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --editable '.[$(EXTRAS)]'; } \
	|| { $(BIN)/pip install --quiet --no-compile --editable '.[$(EXTRAS)]' \
	  && { $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true; }; }

$(VENV)/.ready-to-run: EXTRAS := examples
$(VENV)/.ready-to-run: $(BIN)/pip pyproject.toml setup.cfg
	@echo "Installing workflow_assets and its example into $(VENV); the first time takes a minute"
	@$(INSTALL)
	@touch $@

$(VENV)/.ready-to-test: EXTRAS := examples,test
$(VENV)/.ready-to-test: $(BIN)/pip pyproject.toml setup.cfg
	@echo "Installing workflow_assets with what its tests need into $(VENV); the first time takes a minute"
	@$(INSTALL)
	@touch $@ $(VENV)/.ready-to-run

# Debian keeps pip for new environments in a package of its own. As root we install it; otherwise a pip or a virtualenv
# that is already there does the same work.
$(BIN)/pip:
	@python='$(PYTHON)'; \
	for candidate in $${python:-python3.11 python3 python3.12 python3.13 python3.14 python}; do \
	  version=$$($$candidate -c 'import sys; print("%d.%d" % sys.version_info[:2]) if sys.version_info >= (3, 11) else sys.exit(1)' 2>/dev/null) \
	    && break; \
	done; \
	if [ -z "$$version" ]; then \
	  echo "No Python 3.11 or newer found$${python:+ at $$python}: install one, or name it with make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "Building $(VENV) with Python $$version ($$candidate)"; \
	log=$$($$candidate -m venv $(VENV) 2>&1) && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Debian's python$$version-venv"; \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python$$version-venv; } \
	    </dev/null >/dev/null && $$candidate -m venv $(VENV) && exit 0; \
	fi; \
	$$candidate -m pip --version >/dev/null 2>&1 && $$candidate -m venv --without-pip $(VENV) \
	  && $$candidate -m pip --python $(BIN)/python --quiet install pip && exit 0; \
	rm -rf $(VENV); \
	command -v virtualenv >/dev/null && virtualenv --quiet --python $$candidate $(VENV) && exit 0; \
	rm -rf $(VENV); \
	echo "$$log" >&2; \
	echo "Python $$version cannot build a virtual environment: install python$$version-venv (Debian, Ubuntu), pip or virtualenv" >&2; exit 1

# Dagster reads its settings from its home; this one is ignored by git, and absolute, as Dagster asks.
$(HOME_FOLDER)/dagster.yaml: dagster.yaml
	@mkdir -p $(HOME_FOLDER)
	@ln -sf ../dagster.yaml $@

chromium:
	@if [ -x '$(CHROMIUM)' ]; then exit 0; fi; \
	if [ '$(CHROMIUM)' = /usr/bin/chromium ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Debian's chromium for the browser tests"; \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium; } \
	    </dev/null >/dev/null; \
	else \
	  echo "The browser tests need Chromium at $(CHROMIUM): install the package chromium, or name one with make test CHROMIUM=/path" >&2; \
	  exit 1; \
	fi

# Debian starts what it installs, and nginx would listen on all addresses: a policy keeps it from that.
nginx:
	@if [ -x '$(PROXY_NGINX)' ] && command -v openssl >/dev/null; then exit 0; fi; \
	if [ '$(PROXY_NGINX)' = /usr/sbin/nginx ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Debian's nginx and openssl for the tests of deploy/nginx"; \
	  policy=/usr/sbin/policy-rc.d; \
	  [ -e $$policy ] || { trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' > $$policy; chmod +x $$policy; }; \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends nginx openssl; } \
	    </dev/null >/dev/null || exit 1; \
	  if [ -d /run/systemd/system ]; then systemctl --quiet disable nginx; fi; \
	else \
	  echo "The tests of deploy/nginx need nginx at $(PROXY_NGINX), and openssl: install the packages nginx and openssl," \
	    "or name an nginx with make test PROXY_NGINX=/path" >&2; \
	  exit 1; \
	fi
