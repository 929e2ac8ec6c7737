# tooltune. `make` alone lists the targets; each sets up what it needs and does nothing twice.
.DEFAULT_GOAL := help
.PHONY: help setup train eval bench preview data plan doctor report test lint clean

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Options go in ARGS: make train ARGS="cpu train.epochs=2 data.train=mine.jsonl"; RESUME=1 make train goes on.'

setup: $(READY) ## make .venv and install the tested packages (once)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 was found"; \
		echo "→ install one, or say which: make PYTHON=/path/to/python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the packages of constraints.txt into $(VENV) (about 8 GB; minutes, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,structural]" \
		--constraint constraints.txt
	@touch $@

train: $(READY) ## fine-tune: the 6gb preset with a GPU, the cpu preset without
	@$(BIN)/python -m finetune train $(ARGS)

eval: $(READY) ## generate on the test split, parse, score; base beside tuned
	@$(BIN)/python -m eval run $(ARGS)

bench: $(READY) ## speed and memory: plain Hugging Face against Unsloth
	@$(BIN)/python -m benchmarks $(ARGS)

preview: $(READY) ## what the model sees and what is trained, token by token
	@$(BIN)/python -m finetune preview $(ARGS)

data: $(READY) ## rebuild the structural dataset; ARGS="check FILE" for your own
	@$(BIN)/python -m data $(or $(ARGS),build)

plan: $(READY) ## will it fit the card, term by term, before anything is loaded
	@$(BIN)/python -m finetune plan $(ARGS)

doctor: $(READY) ## driver, card, 4-bit, libraries, memory, disk: fine, or what mends it
	@$(BIN)/python -m finetune doctor $(ARGS)

report: $(READY) ## a run's page and pictures; two runs: ARGS="RUN OTHER"
	@$(BIN)/python -m finetune report $(ARGS)

test: $(READY) ## every test that needs no GPU
	@$(BIN)/python -m pytest $(ARGS)

lint: $(READY) ## format check, lint, types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean: ## remove caches and compiled code (keeps .venv, models and runs)
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -type d -exec rm -rf {} +
