# Every target that has a comment after two hashes is shown by `make help`.
BIN := .venv/bin
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help install up down demo check test simulate chaos bench ci

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Make .venv from requirements.lock (the other targets do it when needed)
	@ops/install.sh

up: install ## Start everything on this machine; Ctrl-C stops it (ARGS="--brokers 3 --detach")
	$(BIN)/tierflow up $(ARGS)

down: install ## Stop what `make up ARGS=--detach` started
	$(BIN)/tierflow down $(ARGS)

demo: install ## Feed real data through the whole system and check what comes out
	$(BIN)/tierflow demo $(ARGS)

check: install ## Lint, format, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## Check, then all tests against real servers that the tests start (ARGS="-k word")
	@ops/install.sh --tests
	$(BIN)/python -m tests.lanes $(ARGS)

simulate: install ## Hunt the core through random faults (ARGS="--schedules 100000 --seed 7")
	$(BIN)/tierflow simulate $(ARGS)

chaos: install ## Break everything under load and count (ARGS="--seed 7 --runs 4 --brokers 3")
	$(BIN)/python -m tests.chaos.run $(ARGS)

bench: install ## Measure throughput and latency on this machine
	$(BIN)/tierflow bench $(ARGS)

ci: test ## What continuous integration runs
