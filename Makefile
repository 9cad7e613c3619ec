# Everything runs in .venv, which is made on first use; `make help` lists the targets.

.DEFAULT_GOAL := help
.PHONY: help tour test lint docs notebooks bench torture lowest kernels constraints browser clean

# The first interpreter of these that is recent enough; `make PYTHON=...` chooses another.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(RECENT)' >/dev/null 2>&1 && echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
# As on a machine where no model is connected, whatever is set on this one.
UNCONNECTED := env -u OPENAI_API_KEY -u OPENAI_BASE_URL -u AZURE_OPENAI_ENDPOINT -u NBAGENTS_MODEL \
	NBAGENTS_REQUESTS=off

# $(call environment,FOLDER,WHAT): a new virtual environment with WHAT in it. uv is fast, but
# reads its own settings only: where it cannot reach an index, pip, with pip's settings, can.
define environment
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed." >&2; exit 1; }
	@echo "Setting up $(1) (once, a minute or two)"
	@$(PYTHON) -m venv --clear $(1) || { echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv \
	&& $(1)/bin/uv pip install --quiet --python $(1)/bin/python $(2) \
	|| { echo "uv could not do it; pip tries" \
	&& $(1)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1" \
	&& $(1)/bin/python -m pip install --quiet $(2); }
endef

$(READY): pyproject.toml constraints.txt
	$(call environment,$(VENV),--constraint constraints.txt --editable . --group dev --group docs)
	@touch $@

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

tour: $(READY) ## open a copy of the first notebook in JupyterLab, or run it here (HEADLESS=1)
	@$(BIN)/python tests/tour.py notebooks/01_first_chat.ipynb

# A file's tests stay together: they share a kernel or a browser.
WORKERS := --numprocesses 2 --dist loadfile --no-loadscope-reorder
test: $(READY) lint browser docs ## check everything: style, types, layers, docs, tests, notebooks
	$(BIN)/python -m pytest $(WORKERS)
	$(UNCONNECTED) $(BIN)/python -m pytest $(WORKERS) --nbval --nbval-current-env $(NOTEBOOKS)

lint: $(READY) ## check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(READY) ## build the documentation into docs/_build/html, warnings as errors
	$(BIN)/sphinx-build --fresh-env -W --keep-going -q -b html docs docs/_build/html

# Debian's Chromium, for the tests that look at what a person sees.
APT := DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 --yes </dev/null >/dev/null
browser:
	@command -v chromium >/dev/null \
	|| { test "$$(id -u)" = 0 && echo "Installing Chromium" && $(APT) update && $(APT) install --no-install-recommends chromium; } \
	|| echo "No Chromium, and it cannot be installed here: its tests are skipped, or fail with CI=true."

# Of a notebook's metadata: the rest says which Python it was run with.
KEPT := {'kernelspec', ('language_info', 'name', 'pygments_lexer')}
notebooks: $(READY) ## run the notebooks and keep their outputs in them
	$(UNCONNECTED) NBAGENTS_RENDER=final $(BIN)/jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False --ClearMetadataPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.clear_cell_metadata=False \
		--ClearMetadataPreprocessor.preserve_nb_metadata_mask="$(KEPT)" $(NOTEBOOKS)

BENCH := build/bench
$(BENCH)/.ready: pyproject.toml constraints.txt
	$(call environment,$(BENCH),--constraint constraints.txt --editable . --group dev --group bench)
	@touch $@

bench: $(BENCH)/.ready ## measure against the openai SDK, autogen-ext and panel's ChatInterface
	$(BENCH)/bin/python -m tests.benchmarks

torture: $(READY) browser ## try to break what is promised, and print every figure (many minutes)
	$(BIN)/python -m tests.torture --processes 2

LOWEST := build/lowest
$(LOWEST)/.ready: pyproject.toml
	$(call environment,$(LOWEST),--resolution lowest-direct --editable . --group dev)
	@touch $@

lowest: $(LOWEST)/.ready ## run the tests with the oldest supported versions
	$(LOWEST)/bin/python -m pytest -m "not browser"

# Kernels differ in how they end an interrupted cell and in where they send what is shown.
KERNELS := 6.31 7.3
build/kernel-%/.ready: pyproject.toml constraints.txt
	@mkdir -p build && grep -v '^ipykernel==' constraints.txt > build/kernel-$*.txt
	$(call environment,$(@D),--constraint build/kernel-$*.txt --editable . --group dev "ipykernel==$*.*")
	@touch $@

kernels: $(KERNELS:%=build/kernel-%/.ready) ## run the tests of loop and notebook with older kernels
	set -e; for kernel in $(KERNELS); do \
		build/kernel-$$kernel/bin/python -m pytest tests/loop tests/notebook; done

constraints: $(READY) ## choose new exact versions of everything
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--group dev --group docs --group bench --no-annotate --no-header --no-emit-index-url \
		--no-emit-find-links --output-file constraints.txt pyproject.toml

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist artifacts tour docs/_build docs/notebooks
