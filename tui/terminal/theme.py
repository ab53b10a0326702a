"""Colours: dark, light, high contrast, and the terminal's own. They repeat what words say, so every theme says the
same."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

THEMES: Final = (
    Theme(
        name="answerback-dark",
        primary="#7aa2f7",
        secondary="#7dcfff",
        accent="#7dcfff",
        foreground="#d5dae6",
        background="#11141b",
        surface="#171b24",
        panel="#212736",
        success="#8fd08a",
        warning="#f0c674",
        error="#ff8080",
        dark=True,
        variables={"tone-dim": "#8b93a7"},
    ),
    Theme(
        name="answerback-light",
        primary="#1f4fbf",
        secondary="#0a6a8a",
        accent="#0a6a8a",
        foreground="#1b1f27",
        background="#fbfbfa",
        surface="#f1f2f4",
        panel="#e2e5ea",
        success="#1d6b28",
        warning="#8a5300",
        error="#b3141f",
        dark=False,
        variables={"tone-dim": "#5c6370"},
    ),
    Theme(
        name="answerback-contrast",
        primary="#ffffff",
        secondary="#00ffff",
        accent="#00ffff",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#1a1a1a",
        success="#00ff5f",
        warning="#ffff00",
        error="#ff9090",
        dark=True,
        variables={"tone-dim": "#d0d0d0"},
    ),
)
