# Two commands: `make demo` shows it, `make test` checks it. Both need Python 3.11 or newer and nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test compiled format lint venv bench bench-peers peers bench-growth bench-console bench-models bench-matcher bench-ocr bench-plans bench-chats faults models transcript phrases chat-cards slow mutants canaries clean

venv: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@echo "setting up $(VENV) (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@

demo: venv
	@$(BIN)/python tests/end_to_end/demo.py

# Two workers a core, since most tests wait for programs they started; the same examples every time (tests/conftest.py).
WORKERS ?= $(shell echo $$((2 * $$(nproc 2>/dev/null || echo 1))))

# Most tests make a folder and sync what they write: in memory where there is room for it. What a failed test left stays.
test slow: export PYTEST_DEBUG_TEMPROOT ?= $(shell test -w /dev/shm && test $$(stat -f -c '%a' /dev/shm) -gt 524288 && \
	echo /dev/shm || echo $${TMPDIR:-/tmp})
# Programs that tests start read their bytecode as installed ones do, instead of compiling themselves each time.
test slow: export PYTHONDONTWRITEBYTECODE =

test: venv
	@$(MAKE) --no-print-directory -j2 lint compiled
	$(BIN)/pytest -m "not slow" -n $(WORKERS) --dist loadgroup

# Beside the type check, which keeps one core busy: bytecode of the programs, and of the tests as pytest rewrites them.
# Workers that find none would each rewrite all of it. What cannot be collected is told by the run that follows.
compiled: venv
	@$(BIN)/python -m compileall -q common hub agent tui
	@$(BIN)/pytest -qq --collect-only >/dev/null 2>&1 || true

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The long runs, whole products where `test` takes pairs, and other random examples than yesterday's.
slow: venv
	$(BIN)/pytest -m "slow or hypothesis" --hypothesis-profile=random

# The tables of docs/faults.md, an hour and more: `make faults FAULTS="matrix --only F1 --count 20"` plays a part of them.
faults: venv
	@$(BIN)/python -m tests.faults $(FAULTS)

bench: venv
	$(BIN)/python tests/bench/throughput.py

# What bench-peers measures beside: OpenSSH, asyncssh, Celery with Redis.
peers:
	@PYTHON=$(PYTHON) tests/bench/peers/setup.sh .bench

# The rows of docs/performance.md: `make bench-peers ROWS="cold latency" SCALE=0.2`, or all of them, about half an hour.
bench-peers: venv peers
	@$(BIN)/python -m tests.bench.peers $(ROWS) --scale $(or $(SCALE),1) --json .bench/found.json --chart .bench/found.svg

bench-growth: venv
	@$(BIN)/python tests/bench/growth.py

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

# Faults put in on purpose: does the suite notice each? About ten minutes. `controls`: the controls of trust, each taken away.
controls: venv
	@$(BIN)/python tests/bench/mutants.py --controls

mutants: venv
	@$(BIN)/python tests/bench/mutants.py

bench-plans: venv
	@$(BIN)/python tests/bench/plans.py

bench-chats: venv
	@$(BIN)/python tests/bench/chats.py

# The default policy on a machine full of secrets, in namespaces of its own: needs root and strace. A few minutes.
canaries: venv
	@$(BIN)/python -m tests.canaries.report

# Needs `make models` once, or $$ANSWERBACK_LLAMA: messages through a real small model, with the time of every stage.
phrases: venv
	@$(BIN)/python tests/end_to_end/phrases.py

# Draws docs/chat/pictures anew, from what each platform posts; a test compares them.
chat-cards: venv
	@$(BIN)/python tests/end_to_end/chats/draw_cards.py

transcript: venv
	@$(BIN)/python tests/models/transcript.py

clean:
	rm -rf $(VENV) build dist *.egg-info
