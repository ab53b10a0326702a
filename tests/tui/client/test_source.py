"""The one interface of the console to its facts, and that the sources have it."""

from __future__ import annotations

import inspect

import pytest

from tests.tui.fake_source import FakeSource
from tui.client.hub_source import HubSource
from tui.client.source import LinkStatus, Source
from tui.demo.source import DemoSource


@pytest.mark.parametrize("kind", [HubSource, DemoSource, FakeSource])
def test_every_source_has_the_whole_interface(kind: type) -> None:
    """With the same parameters; what is a coroutine is one, what gives pushes gives pushes."""
    for name in ("now", "maintain_link", "retry", "call", "subscribe"):
        wanted, found = getattr(Source, name), getattr(kind, name)
        assert list(inspect.signature(found).parameters) == list(inspect.signature(wanted).parameters), name
    assert inspect.iscoroutinefunction(kind.maintain_link)  # type: ignore[attr-defined]
    assert inspect.iscoroutinefunction(kind.call)  # type: ignore[attr-defined]
    assert inspect.isasyncgenfunction(kind.subscribe)  # type: ignore[attr-defined]


def test_only_live_is_live() -> None:
    """Connecting is not live yet, lost is not live any more."""
    assert [LinkStatus(state).live for state in ("connecting", "live", "lost")] == [False, True, False]  # type: ignore[arg-type]
