# `make repro` runs the pipeline, `make test` the tests that take minutes, `make test-all` every test; each sets up what
# is missing.

PYTHON ?= python3
READY := .venv/.ready

.PHONY: repro test test-all check
.DELETE_ON_ERROR:

repro: $(READY)
	@.venv/bin/python -m pipeline recover
	@.venv/bin/python -m dvc repro
	$(if $(findstring s,$(firstword -$(MAKEFLAGS))),,@.venv/bin/python -m pipeline next)

test: check
	@.venv/bin/python -m pytest -m "not whole_run"

test-all: check
	@.venv/bin/python -m pytest

check: $(READY)
	@.venv/bin/python -m ruff check
	@.venv/bin/python -m mypy

$(READY): requirements.txt constraints.txt
	@command -v git >/dev/null || { echo "git is missing: install it, DVC keeps its experiments there" >&2; exit 1; }
	@words=$$(git rev-parse --git-dir 2>&1) || { case "$$words" in \
	*safe.directory*) echo "$$words"; echo "Work as the owner of this folder; or, if you trust it, tell git so: git config --global --add safe.directory '$(CURDIR)'";; \
	*) echo "this folder is no git repository: get it with git clone$${words:+ (git says: $$words)}";; esac >&2; exit 1; }
	@command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: install Python 3.11 or newer, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing: install it (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Setting up .venv (some minutes; on Linux torch brings CUDA, several GB)"
	@"$(PYTHON)" -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@
