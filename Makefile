# One command each: `make demo`, `make test`.  `make help` lists the rest.
#
# Everything lives in the checkout: the environment in .venv, caches and temporary
# files in .cache.  The set-up runs once, and again when the lock file changes.

PYTHON ?= python3
ARGS   ?=

BIN   := .venv/bin
READY := .venv/.ready
CACHE := $(CURDIR)/.cache
LOCK  := requirements.lock

export CCACHE_DIR               := $(CACHE)/ccache
export MPLCONFIGDIR             := $(CACHE)/matplotlib
export PIP_CACHE_DIR            := $(CACHE)/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TMPDIR                   := $(CACHE)/tmp
export UV_CACHE_DIR             := $(CACHE)/uv
export XDG_CACHE_HOME           := $(CACHE)
export XDG_CONFIG_HOME          := $(CACHE)/config
export XDG_DATA_HOME            := $(CACHE)/share
export JAX_PLATFORMS            := cpu
export JAX_COMPILATION_CACHE_DIR := $(CACHE)/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0.3
export MLFLOW_DISABLE_TELEMETRY := true
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lock ui clean
demo test check format lock ui: | $(TMPDIR)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## create .venv with exactly the locked packages

demo: $(READY)  ## ROOT file to verified firmware block, on the embedded sample
	$(BIN)/jetlut run jsc_hlf $(ARGS)

test: $(READY)  ## all tests, with shapes and types checked
	MPLBACKEND=Agg $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
	    --basetemp $(CACHE)/pytest $(ARGS)

check: $(READY)  ## format, lint, types, import direction, dead code, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/codespell

format: $(READY)  ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The constraint: graphene, which mlflow needs, caps python-dateutil in its newer
# releases only, so the resolver would otherwise trade it for an older one.  And
# pythia8mc 8.318 came without wheels: it takes half an hour to compile.
lock: $(READY)  ## pin the newest packages that fit pyproject.toml, with hashes
	@printf 'python-dateutil<3\npythia8mc<8.318\n' >$(TMPDIR)/constraints.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest \
	    --python-version 3.11 --group dev --constraints $(TMPDIR)/constraints.txt \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	    --custom-compile-command "make lock" --output-file $(LOCK) pyproject.toml

ui: $(READY)  ## MLflow's page on the tracked runs, on this machine only
	$(BIN)/jetlut ui $(ARGS)

clean:  ## remove the environment and the caches; runs and tracking stay
	rm -rf .venv .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv itself comes through pip, by the hash in the lock file.  Where uv or its index
# cannot be reached but pip's mirror can, pip installs the same files, only slower.
$(READY): $(LOCK) pyproject.toml | $(TMPDIR)
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) on the PATH; install Python 3.11 or newer, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), which is older than the needed 3.11; say make PYTHON=/path/to/a/newer/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv module; install it (on Debian and Ubuntu the package python3-venv)" >&2; exit 1; }
	@command -v g++ >/dev/null || { echo "make: no g++ on the PATH, which the C++ emulator and the simulator are built with; install it (on Debian and Ubuntu the package g++)" >&2; exit 1; }
	@echo "setting up .venv with the packages of $(LOCK)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' $(LOCK) >$(TMPDIR)/uv.txt
	@if $(BIN)/python -m pip install --quiet --require-hashes -r $(TMPDIR)/uv.txt \
	    && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK); \
	then :; else echo "uv could not install the packages; pip does it now" >&2; \
	    $(BIN)/python -m pip install --quiet --require-hashes -r $(LOCK); fi
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(TMPDIR):
	@mkdir -p $@
