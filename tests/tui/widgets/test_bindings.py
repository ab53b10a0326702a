"""Bindings are made from the registry."""

from __future__ import annotations

from textual.binding import Binding

from tui.model.actions import actions_in
from tui.widgets.bindings import bindings_for


def test_one_binding_an_act_with_its_id() -> None:
    """So that a keymap can move it; an act without keys has none; what has no action of its own asks the screen."""
    for place in ("app", "screen", "table", "text", "output"):
        found = [binding for binding in bindings_for(place) if isinstance(binding, Binding)]  # type: ignore[arg-type]
        acts = [act for act in actions_in(place) if act.keys]  # type: ignore[arg-type]
        assert [binding.id for binding in found] == [act.id for act in acts]
        for binding, act in zip(found, acts, strict=True):
            assert (binding.key, binding.show) == (act.keys, False)
            assert binding.action == (act.textual_action or f"act('{act.id}')")
