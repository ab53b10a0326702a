"""Styles as a terminal takes them (ECMA-48 SGR), and the shortest way from one to the next. Pure.

A blank shows no letter, so most of its style does not: `blank` is what is left of an ink there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from rich.color import ColorSystem
from rich.style import Style

from tui.terminal.textual_private import style_bits

# Rich's attributes by bit: bold, dim, italic, underline, blink, fast blink, reverse, conceal, strike, double underline,
# framed, encircled, overlined.
_CODES: Final = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "21", "51", "52", "53")
_ON_BLANKS: Final = frozenset({"4", "7", "9", "21", "51", "52", "53"})
STYLE_CACHE_SIZE: Final = 4_096
"""Styles remembered; a console has some dozens."""


class SgrStyle:
    """Attributes and colours as SGR parameters, "" for the terminal's own colour. Equal inks are the same object."""

    __slots__ = ("attributes", "background", "blank", "foreground")

    def __init__(self, attributes: frozenset[str], fore: str, back: str) -> None:
        self.attributes = attributes
        self.foreground = fore
        self.background = back
        self.blank: SgrStyle = self

    def __repr__(self) -> str:
        return f"Ink({sorted(self.attributes)}, {self.foreground!r}, {self.background!r})"


@lru_cache(STYLE_CACHE_SIZE)
def sgr_style(attributes: frozenset[str], fore: str, back: str) -> SgrStyle:
    made = SgrStyle(attributes, fore, back)
    if not attributes & _ON_BLANKS and (attributes or fore):
        made.blank = sgr_style(frozenset(), "", back)
    return made


DEFAULT_STYLE: Final = sgr_style(frozenset(), "", "")
"""How a terminal writes after a reset."""


@lru_cache(STYLE_CACHE_SIZE)
def to_sgr(style: Style | None, system: ColorSystem = ColorSystem.TRUECOLOR) -> SgrStyle:
    """The ink of a segment; links and meta data are no part of it and never reach the terminal."""
    if style is None:
        return DEFAULT_STYLE
    bits = style_bits(style)
    attributes = frozenset(code for bit, code in enumerate(_CODES) if bits & (1 << bit))
    fore, back = style.color, style.bgcolor
    return sgr_style(
        attributes,
        "" if fore is None else ";".join(fore.downgrade(system).get_ansi_codes()),
        "" if back is None else ";".join(back.downgrade(system).get_ansi_codes(foreground=False)),
    )


@lru_cache(STYLE_CACHE_SIZE)
def sgr_transition(before: SgrStyle, after: SgrStyle) -> str:
    """The sequence after which a terminal that wrote in `before` writes in `after`."""
    if before is after:
        return ""
    if after is DEFAULT_STYLE:
        return "\x1b[m"
    whole = [*sorted(after.attributes, key=int), after.foreground, after.background]
    fresh = "\x1b[0;" + ";".join(part for part in whole if part) + "m"
    if before.attributes - after.attributes:  # taking one off has codes that terminals differ on; a reset has not
        return fresh
    parts = sorted(after.attributes - before.attributes, key=int)
    if before.foreground != after.foreground:
        parts.append(after.foreground or "39")
    if before.background != after.background:
        parts.append(after.background or "49")
    return min("\x1b[" + ";".join(parts) + "m", fresh, key=len)
