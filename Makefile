# Two commands need nothing but Rust and git: `make demo` and `make test`. Each installs the system
# packages it lacks (as root or by sudo), makes a Python environment for the AWS clients, builds, and runs.
# Build output and the Python environment live outside of the checkout, below ~/.cache/roadstead.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/roadstead/target
CACHE := $(HOME)/.cache/roadstead
VENV := $(CACHE)/venv-$(shell cksum < tools/requirements.txt | cut -d' ' -f1)
BIN := $(CARGO_TARGET_DIR)/release/roadstead
export ROADSTEAD_VENV := $(VENV)
export ROADSTEAD_BIN ?= $(BIN)

.PHONY: help setup build demo demo-down test check simulate bench lint codegen

help: ## Say what there is to make
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

setup: ## Install what is missing: system packages and the Python environment
	@tools/setup.sh "$(VENV)"

build: setup ## Build the program
	@echo "== building roadstead (the first time takes some minutes)"
	cargo build --release --locked --package cli

demo: build ## Start Roadstead and show it with the stock AWS CLI
	@tools/demo.sh up

demo-down: ## Remove all that `make demo` made
	@tools/demo.sh down

test: ## Run everything that must hold
	@tools/setup.sh "$(VENV)" test
	@tools/test.sh

check: ## Formatting, lints and unit tests of what changed
	@tools/check.sh

simulate: build ## Live through simulated histories for a night, from a seed by the clock (HOURS=8, SEED=...)
	$(BIN) simulate --seed $(or $(SEED),$$(date +%s)000) --hours $(or $(HOURS),8)

bench: build ## Measure, side by side with the peers
	@tools/bench.sh

lint: setup ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

codegen: setup ## Generate the AWS types from the installed botocore
	cargo xtask codegen --botocore "$$($(VENV)/bin/python -c 'import botocore, os; print(os.path.dirname(botocore.__file__))')"
