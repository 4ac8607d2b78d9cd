# Two commands: `make demo` builds and shows a model of your own, `make test` runs every test.
PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test lint bench clean

# torch first, and by itself: an open range would bring its CUDA build along
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

demo: .venv/installed
	$(BIN)/slm run examples/home-commands/pipeline.toml
	@echo
	@echo "Chat:   $(BIN)/slm chat examples/home-commands/pipeline.toml"
	@echo "Serve:  $(BIN)/slm serve examples/home-commands/pipeline.toml     then open http://127.0.0.1:8080"

test: .venv/installed-dev
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/installed-dev
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/engines.py

clean:
	rm -rf .venv examples/*/runs
