# Two commands: `make demo` shows it, `make test` checks it. Both need Python 3.11 or newer and nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test format lint venv bench bench-console bench-models bench-matcher bench-ocr bench-plans models transcript slow clean

venv: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@echo "setting up $(VENV) (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@

demo: venv
	@$(BIN)/python tests/end_to_end/demo.py

test: lint
	$(BIN)/pytest -m "not slow" -n 2 --dist loadgroup

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

slow: venv
	$(BIN)/pytest -m slow

bench: venv
	$(BIN)/python tests/bench/throughput.py

bench-console: venv
	$(BIN)/python tests/bench/console.py

models:
	PYTHON=$(PYTHON) tests/models/setup.sh .models

bench-models: venv
	$(BIN)/python tests/bench/nodes.py

bench-matcher: venv
	@$(BIN)/python tests/bench/matcher.py

bench-ocr: venv
	@$(BIN)/python tests/bench/ocr.py

bench-plans: venv
	@$(BIN)/python tests/bench/plans.py

# Needs `make models` once, or $$ANSWERBACK_LLAMA: messages through a real small model, with the time of every stage.
transcript: venv
	@$(BIN)/python tests/models/transcript.py

clean:
	rm -rf $(VENV) build dist *.egg-info
