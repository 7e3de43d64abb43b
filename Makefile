# distill_tune from a fresh clone: all it takes is make and Python 3.11 or newer.
#   make search                                    the embedded default: digits, about half a minute
#   make search ARGS="search_spaces/original_request.toml --time 5m"
#   make test ARGS="tests/config -k ranges"        any pytest arguments
#   make search PYTHON=python3.12                  another Python for the environment

PYTHON ?= python3
ARGS ?=
IN_TWO := --numprocesses 2 --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help search test check lint format benchmarks data clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

search: .venv/.installed  ## search the best student: make search ARGS="search_spaces/original_request.toml --time 5m"
	@$(BIN)/python -m distill_tune.search $(ARGS)

# Hundreds of processes import the same modules: whoever comes first compiles them for all.
test: .venv/.dev  ## run the tests in two processes; with ARGS, one pytest is run as they say
	@PYTHONDONTWRITEBYTECODE= $(if $(strip $(ARGS)),,OMP_NUM_THREADS=1) $(BIN)/python -m pytest $(or $(strip $(ARGS)),$(IN_TWO))

check: lint test  ## run every checker and the tests

lint: .venv/.dev  ## run the checkers: formatting, ruff, mypy, import-linter
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.dev  ## format the code and mend what ruff can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

benchmarks: .venv/.dev  ## run every script of benchmarks/ that measures, one after the other
	@set -e; for script in $(filter-out %/tensorboard_pictures.py,$(wildcard benchmarks/[!_]*.py)); do \
		echo "== $$script"; $(BIN)/python "$$script"; done

clean:  ## remove caches and build leftovers; .venv/, data/ and results/ stay
	@rm -rf build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- The environment. A stamp file records that what pyproject.toml asks for is installed.

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=$$($(PYTHON) --version 2>&1) || found="no Python that runs"; \
		echo "distill_tune needs Python 3.11 or newer, but $(PYTHON) is $$found: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; \
		exit 2; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: pyproject.toml .venv/.created
	@echo "Installing PyTorch, Ray and Optuna into .venv/ (once; some minutes)"
	@$(PIP) -e .
	@touch $@

.venv/.dev: pyproject.toml .venv/.created
	@echo "Installing PyTorch, Ray, Optuna and what tests and checkers need into .venv/ (once; some minutes)"
	@$(PIP) -e '.[dev]'
	@touch .venv/.installed $@

# ---- Public data in data/, from Debian's packages, without root. Existing files are left alone.

FASHION_MNIST := data/fashion-mnist/train-labels-idx1-ubyte.gz
LETTER := data/letter/LetterRecognition.rda

data: $(FASHION_MNIST) $(LETTER)  ## put Fashion-MNIST (31 MB) and UCI Letter (1 MB) into data/
	@echo "data/fashion-mnist/ and data/letter/ are there."

$(FASHION_MNIST):
	$(call from_debian,dataset-fashion-mnist,usr/share/datasets/fashion-mnist/*.gz,https://github.com/zalandoresearch/fashion-mnist (the four IDX files))

$(LETTER):
	$(call from_debian,r-cran-mlbench,usr/lib/R/site-library/mlbench/data/LetterRecognition.rda,https://cran.r-project.org/package=mlbench (data/LetterRecognition.rda))

# $(1): the package, $(2): the files wanted from it, $(3): where else to get them.
define from_debian
	@command -v apt-get dpkg-deb >/dev/null || { echo "No apt-get here: put into $(@D)/ what is at $(3)." >&2; exit 1; }
	@mkdir -p $(@D)
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && cd "$$work" && { \
		apt-get download -qq -o APT::Sandbox::User=root $(1) || { \
			echo "apt-get cannot get $(1): run 'apt-get update' as root, or put into $(@D)/ what is at $(3)." >&2; exit 1; }; } \
		&& dpkg-deb -x ./*.deb . && cp $(2) "$(CURDIR)/$(@D)/"
endef
