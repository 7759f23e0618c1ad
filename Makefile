# setup: an environment in .venv    demo: see it work    test: the test suite
# lint: style, types, walls and manifest    bench: the benchmarks    clean: drop .venv and caches
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
SCREEN := -screen 0 1280x800x24
PYTEST_ARGS ?=
# Side by side on all cores; windows stay together on one. "make test PYTEST_JOBS=" runs one after the other.
PYTEST_JOBS ?= -n auto --dist loadgroup
DEMO_ARGS ?=

# A virtual display only where Linux has no real one.
ifeq ($(shell uname -s),Linux)
ifeq ($(DISPLAY)$(WAYLAND_DISPLAY),)
ON_DISPLAY := xvfb-run -a -s "$(SCREEN)"
endif
endif

.PHONY: setup demo test lint bench clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

# Made anew only when a requirement changes, so that a second `make setup` takes no time.
$(STAMP): pyproject.toml constraints.txt .ci/system-libraries
	@.ci/system-libraries
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "napari-apprentice needs Python 3.11 or later; found $$($(PYTHON) -V). Run: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,test]'
	@touch $@

demo: setup
	$(BIN)/napari-apprentice demo $(DEMO_ARGS)

test: setup
	@$(ON_DISPLAY) $(BIN)/python -m pytest $(PYTEST_JOBS) $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cmp napari.yaml src/napari_apprentice/napari.yaml
	$(BIN)/npe2 validate napari.yaml
	$(BIN)/npe2 validate napari-apprentice

bench: setup
	@set -e; shopt -s nullglob; for script in benchmarks/[!_]*.py; do echo "== $$script"; $(ON_DISPLAY) $(BIN)/python "$$script"; done

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
