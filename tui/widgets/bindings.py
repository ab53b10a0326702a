"""Textual's bindings, made from the registry of acts."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tui.model.actions import ActionScope, actions_in


def bindings_for(scope: ActionScope) -> list[BindingType]:
    """One binding an act, with its id so that a keymap can move it; what it does is the act's own action or
    `act('ID')`."""
    return [
        Binding(act.keys, act.textual_action or f"act('{act.id}')", act.id, show=False, id=act.id)
        for act in actions_in(scope)
        if act.keys
    ]
