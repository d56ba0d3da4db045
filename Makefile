# Every verb sets up what it needs. `make` lists the verbs.
PYTHON ?= python3.11
BIN := .venv/bin
# Processes for the quick tests. Two leave a third of two cores unused, four only cost more.
WORKERS ?= 3
# A quick test that has not ended by then [s] is stopped and named, with the stacks of its threads.
STUCK := -o faulthandler_timeout=400 -o faulthandler_exit_on_timeout=true

.DEFAULT_GOAL := help
.PHONY: help demo sim view test test-slow test-core test-lowest reliability check fmt bench soak train clean

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-11s %s\n", $$1, $$2}'

# uv installs faster than pip; it is used where it is present. Neither compiles what is installed:
# Python does it for the few modules that are imported.
UV := $(shell command -v uv)
INSTALL := $(if $(UV),$(UV) pip install -q --python .venv,$(BIN)/pip install -q --no-compile) -c constraints.txt

.venv/made:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@[ -n "$(UV)" ] || $(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; install Debian's package python3-venv"; exit 1; }
	$(if $(UV),$(UV) venv -q --seed --allow-existing --python $(PYTHON) .venv,$(PYTHON) -m venv .venv)
	touch $@

# Each verb installs once, and only what it needs: the demonstration on the terminal; the page too; all.
.venv/ready: pyproject.toml constraints.txt | .venv/made
	$(INSTALL) -e '.[sim]'
	touch $@

.venv/view: pyproject.toml constraints.txt | .venv/made
	$(INSTALL) -e '.[sim,view]'
	touch .venv/ready $@

.venv/set-up: pyproject.toml constraints.txt | .venv/made
	$(INSTALL) -e '.[sim,drake,view,print,live,ros,lerobot,rest,train,dev,dev-train]'
	touch .venv/ready .venv/view $@

demo: .venv/ready ## A simulated hand turns the block: ten goals, on the terminal only
	$(BIN)/inhand demo $(ARGS)

sim: .venv/view ## Watch the simulated hand turn the block: ten goals (ARGS="--seed 2" and more)
	$(BIN)/inhand demo --view $(ARGS)

view: .venv/view ## The same, and then the hand is yours: steer it on the page until Ctrl-C
	$(BIN)/inhand demo --view --stay $(ARGS)

soak: .venv/set-up ## Eight virtual hours and twenty real minutes of a hand without physics: does anything grow?
	nice $(BIN)/python -m benchmarks.soak $(ARGS)

train: .venv/set-up ## Train the block's policy from the beginning, or go on where it stopped
	nice $(BIN)/inhand train block-teacher
	nice $(BIN)/inhand train block-precise-teacher
	nice $(BIN)/inhand train block-precise-student
	nice $(BIN)/inhand train block-precise-refined
	$(BIN)/inhand policy export block-precise-refined --output policies/block.onnx

.PHONY: train-leap
train-leap: .venv/set-up ## The same for the LEAP hand's policy
	nice $(BIN)/inhand train leap-teacher
	nice $(BIN)/inhand train leap-student
	nice $(BIN)/inhand train leap-refined
	$(BIN)/inhand policy export leap-refined --output policies/leap-block.onnx

bench: .venv/set-up ## Measure everything beside its peer or limit; writes benchmarks/results.md
	$(BIN)/python -m benchmarks --write

# The checks use one core, so that they run beside the tests; then come the tests that measure time,
# of which only the files are read.
test: .venv/set-up ## Lint, type and test everything that is quick, in random order
	$(MAKE) --no-print-directory -j2 check test-beside
	$(BIN)/python -m pytest -q $(STUCK) -m "alone and not slow" $$(grep -rl --include='test_*.py' 'mark[.]alone' tests)

.PHONY: test-beside
test-beside: .venv/set-up
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart=0 $(STUCK) -m "not slow and not alone"

test-slow: .venv/set-up ## The tests that take minutes
	$(BIN)/python -m pytest -q -m slow

test-core: ## The quick tests of the core on another Python: make test-core PYTHON=python3.13
	PYTHON=$(PYTHON) .ci/core $(ARGS)

test-lowest: ## The quick tests with the lowest versions of all libraries, in a venv that is thrown away
	.ci/lowest $(ARGS)

reliability: .venv/set-up ## Put every fault on a running daemon's wires; writes docs/reliability.md
	INHAND_RELIABILITY=docs/reliability.md $(BIN)/python -m pytest -q -m "" tests/faults

check: .venv/set-up ## Lint, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p inhand -p benchmarks
	$(BIN)/lint-imports

fmt: .venv/set-up ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the virtual environment and caches
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache

.PHONY: bench-gpu
bench-gpu: .venv/set-up ## On a machine with an NVIDIA GPU: ten minutes of measurements; writes docs/gpu.md
	$(INSTALL) -e '.[train-gpu]'
	$(BIN)/python -m benchmarks.gpu $(ARGS)

.PHONY: install uninstall
install: ## Install the service (as root; look first: make install ARGS=--dry-run)
	systemd/install.sh install $(ARGS)

uninstall: ## Remove the service; configuration and recordings stay
	systemd/install.sh uninstall $(ARGS)

.PHONY: fuzz
fuzz: .venv/set-up ## Fuzz every reader of foreign bytes, each for an hour, with a new seed
	INHAND_FUZZ_SECONDS=$${INHAND_FUZZ_SECONDS:-3600} INHAND_FUZZ_SEED=$$(date +%s) $(BIN)/python -m pytest -q -n 2 tests/fuzz
