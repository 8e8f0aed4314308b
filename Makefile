# The two commands of the README, and what they are made of. Both work in a fresh checkout with nothing installed:
#
#   make demo           environment, install, then the whole way on the shipped CT; opens napari where there is a screen
#   make demo VIEW=0    the same without a window
#   make test           environment, install, then linters and every test
#
#   make lint           ruff, mypy, import-linter and the plugin manifest
#   make test-core      tests of the core, without Qt
#   make test-plugin    tests of the plugin, in a virtual screen
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
PLUGIN_TESTS := tests/plugin tests/gui
PYTEST := $(BIN)/python -m pytest --cov --cov-report=
# A file's tests stay together, as they share what is dear; one thread for each process, as most tests are Python.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.PHONY: demo picture test lint test-core test-plugin install clean
.DEFAULT_GOAL := test

demo: $(INSTALLED)
	$(BIN)/ctinv demo --out "$(OUT)" $(if $(filter 0,$(VIEW)),--no-view,--view)

picture: $(INSTALLED)
	rm -rf out/picture
	$(BIN)/ctinv demo --out out/picture --no-view
	cp out/picture/overview.png out/picture/overview.json docs/img/

test: lint test-core test-plugin
	$(BIN)/python -m coverage report --skip-covered --skip-empty

install: $(INSTALLED)

# The manifest is copied on installation, so a change of it needs an installation too. hatchling is there because
# the wheel test builds without an isolated environment.
$(INSTALLED): pyproject.toml constraints.txt napari.yaml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: ctinv needs Python 3.11 or newer; name one with make PYTHON=python3.12 $(MAKECMDGOALS)."; exit 1; }
	@echo "installing into $(VENV); the first time takes some minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq -c constraints.txt torch
	$(BIN)/python -m pip install -qq -c constraints.txt --group dev 'hatchling>=1.27' -e '.[all,bundle,onnx,train,validate]'
	touch $(INSTALLED)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari.yaml --imports

test-core: $(INSTALLED)
	$(BIN)/python -m coverage erase
	OMP_NUM_THREADS=1 $(PYTEST) $(NO_QT) $(PARALLEL) $(addprefix --ignore=,$(PLUGIN_TESTS)) tests

test-plugin: $(INSTALLED)
	@if .ci/x_libraries; then \
		echo "$(PYTEST) --cov-append $(PLUGIN_TESTS)"; $(PYTEST) --cov-append $(PLUGIN_TESTS); \
	elif [[ "$${CI:-}" == true ]]; then exit 1; fi

clean:
	rm -rf $(VENV) out build dist .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
