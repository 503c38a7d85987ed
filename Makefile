# From a fresh Debian or Ubuntu machine to a tested package. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# rustup's default place, for a shell that has not read its profile again.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The interpreter .venv is made from; the first suitable one when not given.
export PYTHON
VENV := .venv
PY := $(VENV)/bin/python
# cargo with the environment of the build, so that nothing is compiled twice.
CARGO := $(PY) tools/pythy_build.py cargo
# Arguments for pytest, as in: make test-python PYTEST="-k readme"
PYTEST ?=
FUZZ_SECONDS ?= 60

# Directories too, so that a deleted file is a change.
SOURCES := $(shell find src valgrind-supp) build.rs Cargo.toml Cargo.lock pyproject.toml tools/pythy_build.py
BUILT := python/pythy/_native.abi3.so python/pythy/bin/pythy-worker python/pythy/valgrind-supp/interpreter.supp
STARTED := $(shell date +%s)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: system $(VENV)/.package ## Set up the machine and .venv, build the release and install it there

.PHONY: demo
demo: build ## Run the main job on planted defects and on zlib, and show the reports
	$(PY) demo/run.py

.PHONY: test
test: build lint docs test-rust test-python ## Run all gates and all tests, on every CPython of the machine
	@echo
	@cat build/logs/summary.txt
	@echo "make test: all passed in $$(( ($$(date +%s) - $(STARTED) + 59) / 60 )) min (limit 30)"

.PHONY: bench
bench: build ## Measure calls beside a hand-written extension, cffi and ctypes, and the making of interfaces
	@tools/setup.sh bench
	$(PY) benches/calls.py
	$(PY) benches/interfaces.py
	$(PY) benches/isolated.py
	$(PY) benches/checked.py
	$(PY) benches/suites.py

.PHONY: fuzz
fuzz: build ## Let libFuzzer find what a worker may send that a parent does not stand (FUZZ_SECONDS=60)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --quiet cargo-fuzz
	@mkdir -p build/fuzz/corpus build/fuzz/found
	PYTHY_FUZZ_SEEDS=$(CURDIR)/build/fuzz/corpus $(CARGO) fuzz run --fuzz-dir tests/fuzz --target-dir build/fuzz/target --sanitizer none frames \
		$(CURDIR)/build/fuzz/corpus -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 -malloc_limit_mb=300 -artifact_prefix=$(CURDIR)/build/fuzz/found/

.PHONY: lint
lint: build ## Check format and lints of Rust and Python
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --all-targets -- -D warnings
	$(CARGO) clippy --quiet --all-targets --features python -- -D warnings
	@# Everything outside src/python is Python-free, and so is what it depends on.
	! $(CARGO) tree --edges normal,build,dev --prefix none | grep pyo3
	$(PY) -m ruff check
	$(PY) -m ruff format --check

.PHONY: docs
docs: build ## Build the documentation into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

.PHONY: format
format: build ## Format Rust and Python
	$(CARGO) fmt
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

.PHONY: test-rust
test-rust: build ## Run the Rust tests, without the python feature
	$(CARGO) test --quiet

.PHONY: test-python
test-python: build ## Run the Python tests in .venv, then on every other CPython (PYTEST="-k name")
	@tools/setup.sh libraries
	$(PY) tools/test_pythons.py $(PYTEST)

.PHONY: env
env: system $(VENV)/.dependencies ## Print the variables cargo needs here: eval "$(make -s env)"
	@$(PY) tools/pythy_build.py env

.PHONY: clean
clean: ## Remove all that was built, .venv included
	rm -rf $(VENV) build target python/pythy/bin python/pythy/valgrind-supp $(wildcard python/pythy/_native*.so) .pytest_cache .ruff_cache

.PHONY: system
system:
	@tools/setup.sh

# The stamps lie in .venv: whoever removes or remakes it removes them too.
$(VENV)/.dependencies: pyproject.toml | system
	$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	$(PY) -m pip install --quiet --group dev
	@touch $@

$(VENV)/.package: $(VENV)/.dependencies $(SOURCES) $(if $(filter-out $(wildcard $(BUILT)),$(BUILT)),rebuild)
	@echo "building the release (a few minutes the first time)"
	$(PY) -m pip install --quiet --no-build-isolation --editable .
	@touch $@

.PHONY: rebuild
rebuild:
