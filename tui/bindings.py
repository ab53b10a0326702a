"""Textual's bindings, made from the registry of acts."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tui.commands import Place, acts_of


def bindings(place: Place) -> list[BindingType]:
    """One binding an act, with its id so that a keymap can move it; what it does is the act's own action or
    `act('ID')`."""
    return [
        Binding(act.keys, act.action or f"act('{act.id}')", act.id, show=False, id=act.id)
        for act in acts_of(place)
        if act.keys
    ]
