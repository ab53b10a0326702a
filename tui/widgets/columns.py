"""Which columns fit a width, and where. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.catalogue import Language, say
from tui.format import Cell, Look
from tui.model import Row


@dataclass(frozen=True, slots=True)
class Column:
    """One column. What changes often belongs to the left: a line is rendered from the table's left edge on."""

    key: str  # of its title in the catalogue, console_col_KEY
    width: int  # cells, enough for its title in both languages
    cell: Callable[[Row, Look], Cell]
    flex: int = 0  # its share of what is left over
    drop: int = 0  # the higher, the earlier it goes where there is no room; 0 stays
    right: bool = False
    sort: str = ""  # the hub's name to sort by; "" cannot

    def title(self, language: Language) -> str:
        return say(language, f"console_col_{self.key}")


@dataclass(frozen=True, slots=True)
class Placed:
    column: Column
    x: int
    width: int


GUTTER = 1


def lay_out(columns: Sequence[Column], width: int) -> list[Placed]:
    """Columns left to right after the gutter with one blank between, dropped by rank until they fit, then stretched."""
    kept = list(columns)
    while _needed(kept) > width and any(column.drop for column in kept):
        kept.remove(max(kept, key=lambda column: column.drop))
    spare, flex = max(0, width - _needed(kept)), sum(column.flex for column in kept)
    placed, x, given = [], GUTTER, 0
    for column in kept:
        share = spare * column.flex // flex if flex else 0
        given += share
        size = column.width + share
        placed.append(Placed(column, x, max(1, min(size, width - x))))
        x += size + 1
        if x >= width:
            break
    return placed


def _needed(columns: Sequence[Column]) -> int:
    return GUTTER + sum(column.width for column in columns) + max(0, len(columns) - 1)
