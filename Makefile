# `make demo` and `make test` do everything on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One process for each processor, up to four, which take tests from each other when they have none left.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

PEERS ?= .venv-benchmarks
ENGINES ?= .venv-engines
PACKAGING ?= .venv-packaging
KERNELS := $(wildcard src/pushforward/kernels/csrc/*.cpp src/pushforward/kernels/csrc/*.h src/pushforward/kernels/csrc/*.inc)

.PHONY: install demo test test-all test-engines browser test-browser integrations test-integrations samplers lint docs dist test-dist bench bench-quick quality speech clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt setup.py $(KERNELS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pushforward needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "installing pushforward and PyTorch into $(VENV): this takes a few minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/python examples/coads_demo.py

test: install
	$(PYTEST)

test-all: install
	$(PYTEST) -m ''

# Ray, Spark (which needs Java) and Dask on this machine.
test-engines: $(ENGINES)/installed
	$(ENGINES)/bin/python -m pytest -m '' tests/cli/test_engines.py tests/test_clusters_page.py tests/table_models/test_scorer.py

$(ENGINES)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(ENGINES)
	@echo "Installing pushforward with Ray, Spark and Dask takes a few minutes."
	$(ENGINES)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,ray,spark,dask]'
	@touch $@

# Chromium and Node, as Debian has them, and Playwright, which drive the tests of pages and of JavaScript; without them
# these are skipped.
browser: install
	@command -v chromium >/dev/null && command -v node >/dev/null || { apt-get update -q && apt-get install -y -q chromium nodejs; } \
		|| echo "Chromium and Node are not there and cannot be installed here: tests that need them are skipped."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[browser]'

# The packages that our flows work inside. UltraNest is compiled, which takes less than a minute, once. harmonic asks for
# the setuptools that builds it and skpro for an older pandas: both run with those of the others all the same, and what
# they import is installed beside them. The tests of a package that is missing are skipped, so that each is looked for.
integrations: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[integrations,ultranest]' \
		cloudpickle colorlog distrax flax getdist tqdm
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps harmonic skpro scikit-base
	$(BIN)/python -c 'import dynesty, harmonic, lampe.inference, nessai, nflows, pocomc, pyod, pyro, sbi.inference, sdmetrics, \
		shapiq, skpro, ultranest, zuko'

test-integrations: integrations
	$(PYTEST) -m '' tests/integrations

test-browser: browser
	$(PYTEST) -m '' tests/evaluation/test_report_in_browser.py tests/evaluation/test_gallery_in_browser.py tests/exports/test_javascript_flows.py tests/exports/test_javascript_tables.py

# GetDist, emcee and ArviZ, whose chains the tests read; without them these tests are skipped.
samplers: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[samplers]'

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install
	@echo "installing what builds the documentation: this takes about a minute, once"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

# A source distribution, and a wheel for Linux whose kernels are built for all instruction sets.
dist: $(PACKAGING)/installed
	rm -rf dist build/dist
	$(PACKAGING)/bin/python -m build --outdir build/dist .
	PATH="$(CURDIR)/$(PACKAGING)/bin:$$PATH" $(PACKAGING)/bin/auditwheel repair --wheel-dir dist build/dist/*.whl
	mv build/dist/*.tar.gz dist
	$(PACKAGING)/bin/python -m twine check --strict dist/*

# What `make dist` made, installed into an empty environment, with and without a compiler.
test-dist: dist
	$(PYTHON) packaging/check_installation.py dist

$(PACKAGING)/installed: packaging/requirements.txt
	$(PYTHON) -m venv $(PACKAGING)
	$(PACKAGING)/bin/python -m pip install --quiet --requirement $<
	@touch $@

$(PEERS)/installed: benchmarks/requirements.txt
	@echo "installing what the benchmarks compare with into $(PEERS): this takes a few minutes, once"
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement $<
	@touch $@

bench: install $(PEERS)/installed
	$(BIN)/python benchmarks/speed.py $(PEERS)/bin/python
	$(BIN)/python benchmarks/directions.py
	$(BIN)/python benchmarks/variational.py energies
	$(BIN)/python benchmarks/variational.py targets

bench-quick: install $(PEERS)/installed
	$(BIN)/python benchmarks/speed.py $(PEERS)/bin/python --quick

# More than an hour on an idle machine; resumes where it was interrupted. Fetches 0.2 GB of data once.
quality: install $(PEERS)/installed
	$(BIN)/python benchmarks/datasets.py
	$(BIN)/python benchmarks/quality.py $(PEERS)/bin/python
	$(BIN)/python benchmarks/quality.py --toys

# About an hour on an idle machine; resumes where it was interrupted. Fetches 18 MB of recordings once.
speech: install
	$(BIN)/python examples/speech/experiment.py

clean:
	rm -rf $(VENV) $(PEERS) $(ENGINES) $(PACKAGING) demo build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
