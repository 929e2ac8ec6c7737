# tooltune. `make` alone lists the targets; each sets up what it needs and does nothing twice.
.DEFAULT_GOAL := help
.PHONY: help setup train eval bench preview data plan doctor report export chat serve test test-slow test-reliability test-all lint audit lock clean

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What is installed is what uv.lock names, by hash. pip does it from requirements.txt where there is no uv (or UV= says so).
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV ?= $(or $(shell command -v uv),$(BIN)/uv)
# Container images set it, and then every start compiles the libraries again: importing Unsloth takes 30 s for 14.
unexport PYTHONDONTWRITEBYTECODE
WORKERS ?= -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
ARGS ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Options go in ARGS: make train ARGS="cpu train.epochs=2 data.train=mine.jsonl"; RESUME=1 make train resumes.'

setup: $(READY) ## make .venv and install the locked packages (once)

$(READY): pyproject.toml uv.lock requirements.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 was found"; \
		echo "→ install one, or say which: make PYTHON=/path/to/python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -z "$(UV)" -o -x "$(UV)" || $(PIP) uv || echo "pip goes on without uv"
	@echo "Installing the packages of uv.lock into $(VENV) (about 8 GB; minutes, once) …"
	@test -x "$(UV)" && UV_PROJECT_ENVIRONMENT=$(VENV) "$(UV)" sync --quiet --frozen --inexact --extra dev --extra structural \
		|| { echo "pip installs them, from requirements.txt"; \
			$(PIP) --requirement requirements.txt && $(PIP) --editable ".[dev,structural]"; }
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

doctor: $(READY) ## driver, card, 4-bit, libraries, memory, disk: fine, or what to do
	@$(BIN)/python -m finetune doctor $(ARGS)

report: $(READY) ## a run's page and pictures; two runs: ARGS="RUN OTHER"
	@$(BIN)/python -m finetune report $(ARGS)

chat: $(READY) ## type requests at a run's model: its calls are carried out
	@$(BIN)/python -m finetune chat $(ARGS)

export: $(READY) ## a run for llama.cpp, Ollama, vLLM or transformers, proven; ARGS="RUN --to ollama"
	@$(BIN)/python -m finetune export $(ARGS)

serve: $(READY) ## a run's model for programs: OpenAI's API with tools, by llama.cpp
	@$(BIN)/python -m finetune serve $(ARGS)

test: $(READY) ## the quick tests, a few minutes; ARGS="tests/eval -k parse"
	@$(BIN)/python -m pytest $(WORKERS) -m "not slow" $(ARGS)

test-slow: $(READY) ## the tests that train or evaluate for long, but for those of test-reliability
	@$(BIN)/python -m pytest $(WORKERS) -m slow --ignore=tests/reliability $(ARGS)

test-reliability: $(READY) ## kills, broken files, full disks, Ctrl-C, NaN (docs/reliability.md)
	@$(BIN)/python -m pytest $(WORKERS) tests/reliability $(ARGS)

test-all: $(READY) ## every test that needs no GPU
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

lint: $(READY) ## format check, lint (bandit's rules among it), types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

audit: $(READY) ## look the locked packages up in PyPI's list of vulnerabilities (needs the network)
	@said=$$($(BIN)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes --requirement requirements.txt $(ARGS) 2>&1) \
		&& echo "$$said" || { case "$$said" in \
		*Traceback*|*"could not be audited"*) echo "error: nothing was audited: $$(echo "$$said" | tail -n 1)"; \
			echo "→ it asks pypi.org itself: run it where that is reached, past proxies and mirrors";; \
		*) echo "$$said";; esac >&2; exit 1; }

lock: $(READY) ## resolve again what pyproject.toml asks for: uv.lock and requirements.txt
	@"$(UV)" lock $(ARGS)
	@"$(UV)" export --quiet --frozen --no-emit-project --no-annotate --extra dev --extra structural \
		--output-file requirements.txt

clean: ## remove caches and compiled code (keeps .venv, models and runs)
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -type d -exec rm -rf {} +
