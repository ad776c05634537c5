# `make help` lists the commands. Each sets up what it needs, in a virtual environment in this directory (.venv), on a
# machine that has Python 3.11 or newer (with its venv module) and make.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The Python that makes the environment: the first of these that is new enough; `make PYTHON=/path/to/python3.13 ...` chooses.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
# What was installed last: each target is newer than what it was installed from.
RUNTIME_STAMP := $(VENV)/runtime.stamp
DEV_STAMP := $(VENV)/dev.stamp
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -qq --constraint constraints.txt

# `make test PYTEST_ARGS='-k memory'`, `make spec SPEC_ARGS='i32 --json out.json'`, `make bench BENCH_ARGS=--quick`
PYTEST_ARGS ?=
SPEC_ARGS ?=
BENCH_ARGS ?=
SECONDS ?= 60
SEED ?= 1
MUTANTS ?= 1000000

BINARYEN := binaryen@132.0.0
WASM_OPT := $(VENV)/node_modules/.bin/wasm-opt

##@ Use

.PHONY: demo
demo: $(RUNTIME_STAMP)  ## start a server, run the example modules on it, check every result
	$(BIN)/python -m examples.demo

.PHONY: bench
bench: $(DEV_STAMP)  ## measure farcall beside wasmtime, gcc -O2 and a bare gRPC server (writes bench-results.json)
	$(BIN)/python -m benchmarks --json bench-results.json $(BENCH_ARGS)

##@ Check

.PHONY: test
test: lint  ## everything that must hold before a commit: lint, then all tests
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

.PHONY: lint
lint: $(DEV_STAMP)  ## style, formatting, types, who may import whom, generated files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks examples tools
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python tools/generate_proto.py --check

.PHONY: spec
spec: $(DEV_STAMP)  ## the official WebAssembly test suite (in ../shared/testsuite, or where FARCALL_TESTSUITE says)
	$(BIN)/python -m tests.spectest $(SPEC_ARGS)

.PHONY: fuzz
fuzz: $(DEV_STAMP)  ## random and damaged modules, compared with wasmtime: SECONDS=60 SEED=1 (Binaryen's too, where npm is)
	@test -x $(WASM_OPT) || ! command -v npm >/dev/null || npm install --prefix $(VENV) --silent --no-audit --no-fund \
		--ignore-scripts $(BINARYEN) || echo 'Binaryen cannot be installed.' >&2
	$(BIN)/python -m tests.differential --seconds $(SECONDS) --first-seed $(SEED) --wasm-opt $(WASM_OPT)

.PHONY: mutants
mutants: $(DEV_STAMP)  ## damaged modules of every feature, which must harm nothing: MUTANTS=1000000 SEED=1
	$(BIN)/python -m tests.differential --mutants $(MUTANTS) --first-seed $(SEED)

##@ Rebuild what is committed

.PHONY: proto
proto: $(DEV_STAMP)  ## the Python modules of proto/farcall/v1/*.proto
	$(BIN)/python tools/generate_proto.py

.PHONY: examples
examples: $(DEV_STAMP)  ## examples/*.wasm from their C sources
	$(BIN)/python tools/compile_c.py examples

.PHONY: kernels
kernels: $(DEV_STAMP)  ## benchmarks/kernels/*.wasm from their C sources
	$(BIN)/python tools/compile_c.py kernels

.PHONY: programs
programs: $(DEV_STAMP)  ## the programs of tests/engine/host/wasi from their C sources
	$(BIN)/python tools/compile_c.py programs

.PHONY: lock
lock: python-is-usable  ## constraints.txt: the newest releases of everything, as pip resolves them now
	$(PYTHON) tools/lock.py constraints.txt

.PHONY: dist
dist: $(DEV_STAMP)  ## a wheel and a source distribution in dist/
	$(BIN)/python -m hatchling build

##@ Housekeeping

.PHONY: setup
setup: $(DEV_STAMP)  ## only install: .venv with farcall (editable) and all development tools

.PHONY: clean
clean:  ## remove the environment and everything that the other commands wrote
	rm -rf $(VENV) build dist bench-results.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help
help:  ## this list
	@awk 'BEGIN { FS = ":.*##" } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*##/ { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: python-is-usable
python-is-usable:
	@if test -z "$(PYTHON)"; then \
		echo 'farcall needs Python 3.11 or newer, and none is on PATH; `make PYTHON=/path/to/python3 ...` names one.' >&2; exit 1; fi
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo 'farcall needs Python 3.11 or newer; $(PYTHON) is' "$$("$(PYTHON)" --version 2>&1)." >&2; exit 1; fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo '$(PYTHON) has no usable venv module (on Debian and Ubuntu: apt install python3-venv).' >&2; exit 1; fi

# The build backend comes first, from the constraints too, so that building farcall resolves and fetches nothing by itself.
$(RUNTIME_STAMP): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory python-is-usable
	@echo 'Setting up $(VENV) (farcall and what it needs to run) ...'
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(INSTALL) hatchling
	@$(INSTALL) --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q engine proto client server
	@touch $@

$(DEV_STAMP): $(RUNTIME_STAMP)
	@echo 'Setting up $(VENV) (development tools) ...'
	@$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@
