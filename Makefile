# The two commands of the README, and what they are made of. Both work in a fresh checkout with nothing installed:
#
#   make demo           environment, install, then the whole way on the shipped CT; opens napari where there is a screen
#   make demo VIEW=0    the same without a window
#   make test           environment, install, then linters and every test
#
#   make lint           ruff, mypy, import-linter, bandit and the plugin manifest
#   make docs           the pages of docs/ as HTML into out/docs; a dead link or picture is an error
#   make tour           drives the plugin through all its tabs on a screen, and takes the pictures of the user guide
#   make audit          known weaknesses of the locked packages, where the service can be asked
#   make lock           requirements.lock anew, after a change of the dependencies
#   make test-core      tests of the core and of the plugin's models, without Qt
#   make test-plugin    tests of the plugin in a viewer, in a virtual screen
#   make picture        the demo, and its picture and figures into docs/img for the README
#   make clean          everything that can be made again, the environment included

SHELL := /bin/bash
PYTHON ?= python3
VIEW ?= 1
OUT ?= out/demo

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Qt and a virtual screen cost seconds per test file, so the core runs without their pytest plugins.
NO_QT := -p no:napari -p no:xvfb -p no:pytest-qt
PLUGIN_TESTS := tests/gui
PYTEST := $(BIN)/python -m pytest --cov --cov-report=
# A file's tests stay together, as they share what is dear; one thread for each process, as most tests are Python.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Tests of studies flush thousands of files to the disk; in memory, where there is room for them, that costs no time.
IN_MEMORY := $(shell [[ -w /dev/shm && "$$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)" -ge 8388608 ]] \
	&& echo PYTEST_DEBUG_TEMPROOT=/dev/shm)

.PHONY: demo picture test lint docs tour audit lock test-core test-plugin install clean
.DEFAULT_GOAL := test

demo: $(INSTALLED)
	$(BIN)/ctinv demo --out "$(OUT)" $(if $(filter 0,$(VIEW)),--no-view,--view)

picture: $(INSTALLED)
	rm -rf out/picture
	$(BIN)/ctinv demo --out out/picture --no-view
	cp out/picture/overview.png out/picture/overview.json docs/img/

test: lint docs audit test-core test-plugin
	$(BIN)/python -m coverage report --skip-covered --skip-empty

install: $(INSTALLED)

# The manifest is copied on installation, so a change of it needs an installation too. Everything comes from the lock, by
# hash; torch alone does not, as its build belongs to the machine, and its version is pinned in constraints.txt.
$(INSTALLED): pyproject.toml constraints.txt requirements.lock napari.yaml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: ctinv needs Python 3.11 or newer; name one with make PYTHON=python3.12 $(MAKECMDGOALS)."; exit 1; }
	@echo "installing into $(VENV); the first time takes some minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -qq -c constraints.txt torch
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check -qq
	touch $(INSTALLED)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari.yaml --imports
	$(BIN)/bandit -q -c pyproject.toml -r src napari_ctinv scripts

# -n and -W: a link to a page, a heading or a picture that is not there fails, and so does a page that no contents list.
docs: $(INSTALLED)
	$(BIN)/python -m sphinx -n -W --keep-going -q -b html docs out/docs

# A virtual screen where there is one, so that the pictures do not depend on the desk.
SCREEN := $(if $(shell command -v xvfb-run),xvfb-run -a -s "-screen 0 1400x900x24")

tour: $(INSTALLED)
	$(SCREEN) $(BIN)/python docs/tour.py --out docs/img/tour

audit: $(INSTALLED)
	$(BIN)/python scripts/audit.py

lock:
	$(BIN)/uv pip compile -q pyproject.toml --group dev $(addprefix --extra ,all bundle onnx train validate) \
		--universal --python-version 3.11 --generate-hashes --constraint constraints.txt \
		--no-header --no-annotate --no-emit-package torch --output-file requirements.lock

test-core: $(INSTALLED)
	$(BIN)/python -m coverage erase
	OMP_NUM_THREADS=1 $(IN_MEMORY) $(PYTEST) $(NO_QT) $(PARALLEL) -o tmp_path_retention_policy=failed $(addprefix --ignore=,$(PLUGIN_TESTS)) tests

test-plugin: $(INSTALLED)
	@if .ci/x_libraries; then \
		echo "$(PYTEST) --cov-append $(PLUGIN_TESTS)"; $(PYTEST) --cov-append $(PLUGIN_TESTS); \
	elif [[ "$${CI:-}" == true ]]; then exit 1; fi

clean:
	rm -rf $(VENV) out build dist .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
