"""The console's looks by name, for the command line: nothing here loads the screen's library."""

from __future__ import annotations

from typing import Final

THEME_NAMES: Final = {
    "dark": "answerback-dark",
    "light": "answerback-light",
    "contrast": "answerback-contrast",
    "ansi": "ansi-dark",
    "ansi-light": "ansi-light",
}
"""What people write -> Textual's name of it."""


def detect_theme(environment: str) -> str:
    """dark or light from COLORFGBG, which some terminals set: `15;0` is light on dark; dark where it says nothing."""
    last = environment.rpartition(";")[2]
    return "light" if last in ("7", "15") else "dark"
