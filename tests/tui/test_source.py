"""The one interface of the console to its facts, and that the sources have it."""

from __future__ import annotations

import inspect

import pytest

from tests.tui.scripted_source import ScriptedSource
from tui.demo.source import DemoSource
from tui.source import Link, Source
from tui.source_hub import HubSource


@pytest.mark.parametrize("kind", [HubSource, DemoSource, ScriptedSource])
def test_every_source_has_the_whole_interface(kind: type) -> None:
    """With the same parameters; what is a coroutine is one, what gives pushes gives pushes."""
    for name in ("now", "keep", "retry", "call", "subscribe"):
        wanted, found = getattr(Source, name), getattr(kind, name)
        assert list(inspect.signature(found).parameters) == list(inspect.signature(wanted).parameters), name
    assert inspect.iscoroutinefunction(kind.keep)  # type: ignore[attr-defined]
    assert inspect.iscoroutinefunction(kind.call)  # type: ignore[attr-defined]
    assert inspect.isasyncgenfunction(kind.subscribe)  # type: ignore[attr-defined]


def test_only_live_is_live() -> None:
    """Connecting is not live yet, lost is not live any more."""
    assert [Link(state).live for state in ("connecting", "live", "lost")] == [False, True, False]  # type: ignore[arg-type]
