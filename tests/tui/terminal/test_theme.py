"""Colours: what words say can be read in every theme."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from tui.terminal.theme import THEMES


def luminance(color: Color) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [part / 255 for part in color.rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: str(theme.name))
def test_every_tone_can_be_read_on_every_ground(theme: Theme) -> None:
    """At least 4.5 to 1 on background, surface and panel; high contrast has at least 7 to 1 for its text."""
    tones = [theme.primary, theme.secondary, theme.success, theme.warning, theme.error, theme.foreground]
    tones.append(theme.variables["tone-dim"])
    for ground in (theme.background, theme.surface, theme.panel):
        assert ground is not None
        for tone in tones:
            assert tone is not None
            assert contrast(tone, ground) >= (7 if theme.name.endswith("contrast") else 4.5), (tone, ground)
