# Everything is relative to this folder, so a path with spaces is fine.
SHELL := /bin/sh
SERVE ?= yes
PORT ?= 8000
PYTHON ?= $(shell for candidate in python3.12 python3.11 python3 python; do \
	if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; \
	then echo $$candidate; break; fi; done)
BIN := .venv/bin
VENV_PYTHON := $(BIN)/python
TESTS = $(VENV_PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
INSTALL = $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check
OFFLINE = { echo; \
	echo "The packages could not be installed (see above). Marquee needs a package registry such as PyPI:"; \
	echo "check the network, or point pip at a mirror with PIP_INDEX_URL. Then run the same command again."; \
	exit 1; }

.PHONY: help setup demo test notebooks lint types docs audit clean

help:
	@echo "make demo     set up, run the pipeline on MovieLens 100K, serve on http://127.0.0.1:$(PORT)"
	@echo "              (SERVE=no stops before serving, PORT=8080 serves elsewhere)"
	@echo "make test     set up and run the tests (COVERAGE=yes sees that they reach enough of the code)"
	@echo "make notebooks  set up, run the notebooks on MovieLens 100K, render them to docs/notebooks/*.html"
	@echo "make setup    only make .venv and install what requirements.txt pins"
	@echo "make lint     ruff and the import rule;  make types  mypy;  make audit  known vulnerabilities"
	@echo "make docs     build the documentation into site/"
	@echo "make clean    remove .venv (data, runs and releases in var/ stay)"

setup: .venv/.installed

.venv/.made:
	@test -n "$(PYTHON)" || { \
		echo "Marquee needs Python 3.11 or 3.12, and none was found. python3 here is:" \
			"$$(python3 --version 2>&1 || echo missing)."; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || { \
		echo "Marquee needs Python 3.11 or 3.12; $(PYTHON) is $$("$(PYTHON)" --version 2>&1)."; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian: python3-venv)."; exit 1; }
	@echo "Making .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear .venv
	@touch $@

# The stamps come last, so an interrupted installation is taken up again.
.venv/.installed: .venv/.made requirements.txt pyproject.toml
	@echo "Installing what requirements.txt pins: some minutes the first time"
	@$(INSTALL) -r requirements.txt || $(OFFLINE)
	@PYTHONWARNINGS=ignore $(INSTALL) --no-deps --no-build-isolation --editable . || $(OFFLINE)
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	@echo "Installing what the tests need"
	@$(INSTALL) -r requirements-dev.txt || $(OFFLINE)
	@touch $@

demo: setup
	@$(VENV_PYTHON) -m pipelines run --config ml-100k.yaml
	@if [ "$(SERVE)" != no ]; then exec $(VENV_PYTHON) -m pipelines serve --development --port $(PORT); fi

test: .venv/.installed-dev
	@$(TESTS) $(if $(COVERAGE),--cov --cov-report=term:skip-covered)

# Run as copies, because the notebooks are kept without output; plotly.js is in the pages, which open offline.
notebooks: .venv/.installed-dev
	@rm -rf build/notebooks docs/notebooks
	@mkdir -p build/notebooks
	@cp notebooks/*.ipynb build/notebooks
	@PYTHONPATH="$(CURDIR)" MARQUEE_ROOT="$(CURDIR)/var" PLOTLY_RENDERER=notebook \
		$(VENV_PYTHON) -m pytest --nbmake --overwrite --nbmake-timeout=600 build/notebooks
	@$(VENV_PYTHON) -m nbconvert --to html --log-level=ERROR --output-dir docs/notebooks build/notebooks/*.ipynb

lint: .venv/.installed-dev
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(BIN)/lint-imports

types: .venv/.installed-dev
	@$(VENV_PYTHON) -m mypy

docs: .venv/.installed-dev
	@NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --quiet
	@echo "The documentation is in site/. To read it with its search: $(VENV_PYTHON) -m http.server --directory site"

audit: .venv/.installed-dev
	@$(VENV_PYTHON) .ci/audit

clean:
	@rm -rf .venv
