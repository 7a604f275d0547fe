# make demo   train a small world model of Super Mario Bros and show it (about ten minutes, two cores)
# make test   lint, types and tests
# make test-cluster   tests on a Ray cluster of several nodes on this machine, and of torchrun
# make lint   ruff and mypy alone
# make bench  this machine's rates beside what they are compared with, into docs/performance.md and README.md
# make faults pull the plug, fuzz and sabotage for hours; `make test` has a short version
# make lock   write requirements.lock and docs/licences.md anew
# make audit  ask for known vulnerabilities of what the lock file names
# make clean  remove the environment and what demo made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

SUPPLY := .venv-supply
EXTRAS := h5py minari onnx onnxscript ray s3fs wandb

.PHONY: demo test test-cluster lint bench faults lock audit clean

demo: $(VENV)/installed
	$(BIN)/mario-world-model rom
	$(BIN)/mario-world-model run --preset demo --output demo

# One process of tests per core, each with one thread; files in their own order, which begins the longest early.
test: lint
	$(BIN)/mario-world-model rom
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-cluster: $(VENV)/installed-cluster
	$(BIN)/mario-world-model rom
	$(BIN)/python -m pytest tests/cluster

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-dev
	$(BIN)/mario-world-model rom
	$(BIN)/python -m benchmarks --demo --growth docs/performance --output docs/performance.json \
		--into docs/performance.md README.md

faults: $(VENV)/installed-dev
	$(BIN)/mario-world-model rom
	$(BIN)/python -m tests.faults.hostile
	$(BIN)/python -m tests.faults.full_disk
	$(BIN)/python -m tests.faults.workers --faults 100
	$(BIN)/python -m tests.faults.kills --kills 200
	$(BIN)/python -m tests.faults.memory --steps 20000000
	$(BIN)/python -m tests.faults.fuzz --inputs 100000

# The lock file is for every system and Python that the project runs on; the licences are those of what is installed, and
# of the extras, each alone in an environment of their own.
lock: $(VENV)/installed $(SUPPLY)/installed
	$(SUPPLY)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		requirements.txt --output-file requirements.lock
	$(SUPPLY)/bin/pip-licenses --python=$(BIN)/python --format=markdown --with-urls --ignore-packages mario-world-model \
		--output-file=docs/licences.md
	$(SUPPLY)/bin/uv venv --quiet --clear $(SUPPLY)/extras
	$(SUPPLY)/bin/uv pip install --quiet --python $(SUPPLY)/extras --no-deps $(EXTRAS)
	printf '\nExtras, which nothing installs unasked, without what they bring with them:\n\n' >> docs/licences.md
	$(SUPPLY)/bin/pip-licenses --python=$(SUPPLY)/extras/bin/python --format=markdown --with-urls >> docs/licences.md

audit: $(SUPPLY)/installed
	$(SUPPLY)/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip

$(SUPPLY)/installed: requirements-supply.txt
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-supply.txt
	touch $@

clean:
	rm -rf $(VENV) $(SUPPLY) demo

$(VENV)/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/installed-cluster: $(VENV)/installed-dev requirements-cluster.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-cluster.txt
	touch $@

# nes-py is a second emulator to test against. It needs a C++ compiler where it has no wheel, and pins
# libraries it does not need here: hence --no-deps, and tests that say why they are skipped without it.
$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps nes-py==8.2.1
	touch $@
