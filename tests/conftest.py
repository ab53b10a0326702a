"""What holds for every test: signals as at a terminal, names that can be read, property tests that repeat."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import signal
from collections.abc import Generator, Iterator
from typing import Final

import pytest
import structlog
from hypothesis import settings

# A shell that runs a job in the background has it ignore SIGINT, and programs inherit that from whoever starts them.
# Tests interrupt the programs they start, which must find the signal as at a terminal. Each xdist worker does this.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Where the tests are root's, so are the jobs that they start: they look at who may do what in a test of their own.
os.environ.setdefault("ANSWERBACK_JOB_USER", "root" if os.geteuid() == 0 else "")

# The same examples in every run, so that a failure is the change's and not the day's; `make slow` tries others, with
# `--hypothesis-profile=random`. A deadline would measure how busy the machine is.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("random", deadline=None, print_blob=True, max_examples=500)
settings.load_profile("repeatable")

# Where a program has not set up its log, an error is told as a plain traceback. The default is one with every local
# variable drawn in colours: up to two seconds of a core each, for output that is shown where a test fails.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback

MAX_ID: Final = 80
"""Characters between the brackets of a parametrised test's name."""
_YOUNG: Final = 20_000
"""Objects that are made before garbage is looked for, in place of 700. The tests of the console make a million each,
and looking took a sixth of their time; what waits longer are cycles, and nothing here counts on when those go.
"""
_MAX_VALUE: Final = 32
"""Characters of one parameter in it: two of them fit."""


def short_id(text: str, limit: int = _MAX_VALUE) -> str | None:
    """Its beginning and a digest where it is longer than a name may be; None where pytest's own way will do."""
    escaped = text.encode("unicode_escape", "surrogatepass").decode("ascii")
    if len(escaped) <= limit:
        return None
    digest = hashlib.sha256(escaped.encode()).hexdigest()[:8]
    return f"{escaped[: limit - 9].rstrip(chr(92))}~{digest}"


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Text of any length can be a parameter; its name stays short. The ids of all tests go through every worker."""
    if isinstance(val, bytes):
        return short_id(val.decode("latin-1"))
    return short_id(str(val)) if type(val) in (str, int) else None


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that runs a program's entry leaves its handlers and levels to no other test."""
    root, agent = logging.getLogger(), logging.getLogger("answerback.agent")
    handlers, levels, configured = root.handlers[:], (root.level, agent.level), structlog.is_configured()
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    agent.setLevel(levels[1])
    if not configured and structlog.is_configured():
        structlog.reset_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: no garbage collection goes through it, neither now nor during the tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG, 10, 20)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fails where an id that a test names itself, or several parameters together, are longer than can be read."""
    longest = {item.nodeid[:200] for item in items if len(_parameters(item)) > MAX_ID}
    if longest:
        raise pytest.UsageError(f"ids of more than {MAX_ID} characters; give `ids`:\n" + "\n".join(sorted(longest)))


def _parameters(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return "" if callspec is None else str(callspec.id)
