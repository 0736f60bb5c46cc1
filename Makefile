# `make demo` and `make test` need nothing but Python 3.11 or newer with pip.
# `make test-all` also installs PyTorch, to compare with torch-fidelity.
PYTHON ?= python3
BIN := .venv/bin
REQUIREMENTS := $(shell nvidia-smi >/dev/null 2>&1 \
	&& echo requirements.txt || echo requirements-cpu.txt)
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: demo test test-quick test-all test-multihost mutants soak bench profile results gpu lint install install-test install-dev

demo: install
	$(BIN)/python run.py

test: lint
	$(PYTEST)

# While working: what compiles little and starts no processes of its own.
test-quick: install-test
	$(PYTEST) -m "not slow and not whole"

test-all: lint install-dev
	$(PYTEST) -m "slow or not slow" \
		--cov --cov-report=term --cov-fail-under=95

# Two and four processes of this machine that train one run.
test-multihost: install-test
	$(BIN)/python -m pytest -m multihost tests/process/test_hosts.py

# Faults planted in the code, one at a time: a test has to notice each.
mutants: install-test
	$(BIN)/python tests/mutants.py

# 200 kills at random moments and 20,000 dispatches: some twenty minutes.
soak: install
	$(BIN)/python benchmarks/soak.py

lint: install-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

install: .venv/installed

install-test: .venv/installed-test

install-dev: .venv/installed-dev

.venv/installed: requirements.txt requirements-cpu.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-r $(REQUIREMENTS)
	touch $@

.venv/installed-test: .venv/installed requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-test.txt
	touch $@

.venv/installed-dev: .venv/installed-test requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-dev.txt
	touch $@

# Speed beside PyTorch, and where the time of a step goes.
bench: install-dev
	$(BIN)/python benchmarks/training_speed.py

profile: install-dev
	$(BIN)/python benchmarks/profile_step.py

# docs/reproducing.md and the README's table, from the runs kept in docs/results.
results: install
	$(BIN)/python experiments/results.py

# Checks and figures on an NVIDIA GPU, with the jax that is there: of PYTHON if
# it sees a GPU, else of .venv. Installs nothing; at most 25 minutes.
gpu:
	@python=$(PYTHON); \
	$(PYTHON) -c 'import jax; assert jax.default_backend() == "gpu"' \
		2>/dev/null || ! test -x $(BIN)/python || python=$(BIN)/python; \
	exec $$python benchmarks/gpu.py $(GPU_FLAGS)
