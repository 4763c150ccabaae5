# Two commands do everything on a fresh machine with Python 3.11 or later: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Made once the environment holds what pyproject.toml and constraints.txt ask for.
READY := $(VENV)/.ready

.PHONY: demo test lint stubs setup clean

demo: $(READY)
	$(BIN)/splitnet demo

# Two at a time, a file of tests in one process: half of their time is spent waiting. In the order of their names: files
# of few tests, which the reordering puts last, are the long ones here.
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=.:examples/pcb_inspection $(BIN)/mypy examples/pcb_inspection/*.py
	$(BIN)/lint-imports
	$(BIN)/python -m splitnet.protocol.generate --check

stubs: $(READY)
	$(BIN)/python -m splitnet.protocol.generate

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	touch $(READY)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
