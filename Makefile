# make demo   train a small world model of Super Mario Bros and show it (about ten minutes, two cores)
# make test   lint, types and tests
# make lint   ruff and mypy alone
# make bench  this machine's rates beside what they are compared with
# make clean  remove the environment and what demo made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench clean

demo: $(VENV)/installed
	$(BIN)/mario-world-model rom
	$(BIN)/mario-world-model run --preset demo --output demo

test: lint
	$(BIN)/mario-world-model rom
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo

$(VENV)/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# nes-py is a second emulator to test against. It needs a C++ compiler where it has no wheel, and pins
# libraries it does not need here: hence --no-deps, and tests that say why they are skipped without it.
$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps nes-py==8.2.1
	touch $@
