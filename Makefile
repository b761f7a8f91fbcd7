# Everything a developer needs: `make` lists it. Python 3.11 or later and make are enough; the rest is fetched once, into .venv.
PYTHON ?= python3
# Test processes: more than two cores can serve, since much of what is tested waits. Each that meets a control plane test starts its own.
WORKERS ?= 5
# More words for pytest: make test ARGS="tests/state -k leases"
ARGS ?=

BIN := .venv/bin
# The stamps in .venv: its packages are those of this very dev.txt; the project itself is installed there as pyproject.toml stands.
PACKAGES := .venv/.packages-$(shell cksum <requirements/dev.txt | cut -d' ' -f1)
ENV := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(UPGRADE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env check format test acceptance demo console bench soak control-plane lock sbom clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

env: $(ENV) ## The environment .venv, made anew where requirements/dev.txt has changed

check: $(ENV) ## Lint, formatting, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(ENV) ## Put the code into its format, and repair what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# With CI=true the control plane is built first, where everybody can see it work, unless somebody brings one.
test: $(ENV) $(if $(filter true,$(CI)),$(if $(KUBEBUILDER_ASSETS),,control-plane)) ## All tests (ARGS="…" for pytest)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

acceptance: $(ENV) ## What the issues ask for: line, test, result
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q tests/acceptance $(ARGS)

demo: $(ENV) ## The main job on simulated devices, about a minute; report in build/demo
	@mkdir -p build/demo
	$(BIN)/fusion-bridge --data-dir build/demo demo

console: $(ENV) ## The demo with its console open, at http://127.0.0.1:9810/, until Ctrl-C
	@mkdir -p build/demo
	$(BIN)/fusion-bridge --data-dir build/demo demo --console

pictures: $(ENV) ## The pictures of docs/console.md, as the browser test shows them to people (needs chromium)
	PICTURES=docs/pictures $(BIN)/python -m pytest -q tests/acceptance/test_console_browser.py

bench: $(ENV) ## The figures that we publish; also in build/bench.json
	@mkdir -p build
	$(BIN)/python -m tests.bench

soak: $(ENV) ## The proofs of survival at length, an hour or more; also in build/soak.json (ARGS="--only kill --seed 7")
	$(BIN)/python -m tests.soak --long $(ARGS)

control-plane: ## Build the Kubernetes control plane for tests (needs Go; minutes, once)
	tests/control_plane/build/build.sh

lock: ## Pin what pyproject.toml asks for (needs uv; UPGRADE=--upgrade takes the newest)
	$(LOCK) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(LOCK) --extra api --extra embedded --extra aws --constraint requirements/dev.txt --no-annotate pyproject.toml -o requirements/runtime.txt
	echo hatchling | $(LOCK) --constraint requirements/dev.txt --no-annotate - -o requirements/build.txt

sbom: $(ENV) ## What the product is made of and under which licences, in build/
	$(BIN)/python .ci/sbom.py build

clean: ## Take away everything that was made here
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(ENV): pyproject.toml $(PACKAGES)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(PACKAGES):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Fusion Bridge needs Python 3.11 or later, which $(PYTHON) is not: name one, as in make PYTHON=python3.12" >&2; exit 1; }
	@echo "making .venv (about a minute, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@
