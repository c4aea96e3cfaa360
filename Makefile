# One command for everything: `make` lists them. Only Python 3.11 or later is needed to begin.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
# Every framework but TensorFlow, which is large: its tests ask for it by name.
EXTRAS := sklearn,pytorch,onnx,xgboost,lightgbm,transformers,mlflow,closure,bench,dev

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-once test check containers format proto clean bench bench-binary \
	bench-delayed bench-goodput bench-gpu bench-peers bench-profile bench-selection bench-tails \
	bench-workers paper

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv with everything installed, pinned

# The build backend comes from the same pins: nothing is resolved anew on a fresh machine.
$(INSTALLED): pyproject.toml containers/python/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it: make $(MAKECMDGOALS) PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip hatchling editables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--no-build-isolation --editable containers/python --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(INSTALLED) ## serve two trained models, show it, and stay up until Ctrl-C
	@$(BIN)/python -m clipper.demo $(ARGS)

demo-once: $(INSTALLED) ## the same, but end after its checks
	@$(BIN)/python -m clipper.demo --once $(ARGS)

test: $(INSTALLED) ## run every test; TEST_REQUIRE=redis,docker fails where a service is missing
	$(BIN)/python -m pytest $(ARGS)

check: $(INSTALLED) ## format, lint, types, import contracts, generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --config pyproject.toml
	$(BIN)/python proto/generate.py --check

containers: ## build the model containers in C++ and Go (needs their toolchains: .ci/toolchains)
	$(MAKE) -C containers/cpp
	$(MAKE) -C containers/go

format: $(INSTALLED) ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(INSTALLED) ## generate code from proto/
	$(BIN)/python proto/generate.py

bench: $(INSTALLED) ## the hot path beside a bare FastAPI route (needs wrk)
	$(BIN)/python benchmarks/hot_path.py $(ARGS)

bench-workers: $(INSTALLED) ## two worker processes beside one (needs wrk)
	$(BIN)/python benchmarks/workers.py $(ARGS)

bench-binary: $(INSTALLED) ## inputs as JSON and as frames (needs wrk)
	$(BIN)/python benchmarks/binary.py $(ARGS)

bench-gpu: $(INSTALLED) ## where AIMD settles for a network on a GPU, or a small one without (needs wrk)
	$(BIN)/python benchmarks/gpu.py $(ARGS)

bench-goodput: $(INSTALLED) ## what is answered in time under overload (needs wrk; takes a quarter of an hour)
	$(BIN)/python benchmarks/goodput.py $(ARGS)

bench-profile: $(INSTALLED) ## where the time of a query goes, and what its cost grows with (needs wrk)
	$(BIN)/python benchmarks/query_cost.py $(ARGS)

bench-tails: $(INSTALLED) ## one of three replicas is slow, becomes slow, or dies (needs wrk)
	$(BIN)/python benchmarks/tails.py $(ARGS)

bench-delayed: $(INSTALLED) ## when waiting for fuller batches pays (needs wrk)
	$(BIN)/python benchmarks/delayed_batching.py $(ARGS)

bench-selection: $(INSTALLED) ## what five models and a policy cost beside one model (needs wrk)
	$(BIN)/python benchmarks/selection.py $(ARGS)

paper: $(INSTALLED) ## the paper's figures beside ours (takes a quarter of an hour)
	$(BIN)/python benchmarks/reproduce.py $(ARGS)

bench-peers: $(INSTALLED) ## beside six other serving systems, which it installs (needs wrk; takes about an hour)
	$(BIN)/python benchmarks/side_by_side.py $(ARGS)

clean: ## remove what was made
	rm -rf $(VENV) benchmarks/peers/.venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
