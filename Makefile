# One virtual environment in .venv, filled from exact pins with hashes. A stamp beside it records what was installed,
# so every target starts at once when nothing changed. Plain POSIX sh and GNU make 3.81 or newer (the one of macOS).
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run demo test check audit format docs bench drill pins clean

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What is imported is compiled once, by its first import: without it each start of a limiter takes 0.6 s longer.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for p in python3.11 python3 python3.14 python3.13 python3.12; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY      := .venv/bin/python
RUNTIME := .venv/.runtime
DEV     := .venv/.dev
CODE    := $(wildcard console.py limiter pages tests benchmarks faults examples)
# How many tests run at once (they wait more than they compute: twice the cores of a small box), and what else pytest is
# told: make test WORKERS=0 PYTEST="-k capacity -x"
WORKERS ?= 4
PYTEST  ?=
DRILL   ?=

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

run: $(RUNTIME) ## start the limiter and its console
	$(PY) console.py

demo: $(RUNTIME) ## open the console on weeks of made-up history, in a scratch database
	$(PY) -m limiter demo --open

test: $(DEV) ## run the tests
	$(PY) -m pytest -m alone --numprocesses 0 $(PYTEST) || test $$? -eq 5
	$(PY) -m pytest -m "not alone" --numprocesses $(WORKERS) $(PYTEST)

check: $(DEV) ## everything CI checks: format, lint, strict types, packages, tests
	$(PY) -m ruff format --check
	$(PY) -m ruff check
	$(PY) -m mypy $(CODE)
	$(PY) -m pip check
	$(PY) -m tests.house.audit --may-be-unreached
	$(PY) -m pytest -m alone --numprocesses 0 $(PYTEST) || $(PY) -m pytest -m alone --last-failed --numprocesses 0 $(PYTEST)
	$(PY) -m pytest -m "not alone" --numprocesses $(WORKERS) $(PYTEST) || \
		{ echo "Tried once more, alone: what failed beside other tests may have wanted the machine for itself."; \
		$(PY) -m pytest -m "not alone" --last-failed --numprocesses 0 $(PYTEST); }

audit: $(DEV) ## ask an advisory service about every pinned package; status 3 where it does not answer
	$(PY) -m tests.house.audit

format: $(DEV) ## put the code in its one format, and mend what the linter can
	$(PY) -m ruff check --fix --exit-zero
	$(PY) -m ruff format

docs: $(DEV) ## rewrite the tables and the picture that are derived from the code
	$(PY) tests/house/derived_docs.py --write

bench: $(DEV) ## measure starts a second and their latency
	$(PY) -m benchmarks

drill: $(DEV) ## break things under real limiters and write docs/faults.md (a tenth of it: DRILL="--share 0.1")
	$(PY) -m faults $(DRILL)

pins: $(DEV) ## resolve requirements*.in to exact versions anew (UPGRADE=1: to the newest)
	$(PY) -m pip install --quiet uv
	for name in requirements requirements-dev; do \
		$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade) \
			--no-emit-index-url --custom-compile-command "make pins" $$name.in --output-file $$name.txt || exit 1; done

clean: ## remove what make made, .venv included; never data/
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEV): requirements-dev.txt $(PY)
	$(PY) -m pip install --quiet --no-compile --require-hashes -r requirements-dev.txt
	@touch $(DEV) $(RUNTIME)

$(RUNTIME): requirements.txt $(PY)
	@echo "Installing the packages of requirements.txt into .venv …"
	$(PY) -m pip install --quiet --no-compile --require-hashes -r requirements.txt
	@touch $(RUNTIME)

$(PY):
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Python 3.11 or newer \
	is needed: install it, or name it with make PYTHON=/path/to/python3.11." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (on Debian and \
	Ubuntu: apt-get install python3-venv) and try again." >&2; exit 1; }
	$(PYTHON) -m venv .venv
