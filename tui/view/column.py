"""Which columns fit a width, and where. Pure.

A column that holds names is as wide as what is in it, so that the columns which matter less find room too; the last one
that stretches takes what is left over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.cells import cell_len

from common.catalogue import Language, translate
from tui.text.format import Cell, RenderContext

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column. What changes often belongs to the left: a line is rendered from the table's left edge on."""

    key: str  # of its title in the catalogue, console_col_KEY
    width: int  # cells, enough for its title in both languages
    render: Callable[[T, RenderContext], Cell]
    flex: int = 0  # its share of what is left over
    drop_rank: int = 0  # the higher, the earlier it goes where there is no room; 0 stays
    align_right: bool = False
    sort_key: str = ""  # the hub's name to sort by; "" cannot
    fit: bool = False  # as wide as what is in it, though it does not stretch
    draw: Callable[[T, RenderContext, int], Cell] | None = None  # in place of `render`, for what uses all of its cells

    def title(self, language: Language) -> str:
        return translate(language, f"console_col_{self.key}")


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    column: Column[Any]
    x: int
    width: int

    def render(self, row: Any, ctx: RenderContext) -> Cell:
        draw = self.column.draw
        return self.column.render(row, ctx) if draw is None else draw(row, ctx, self.width)


GUTTER = 1


def layout_columns(
    columns: Sequence[Column[Any]], width: int, content: Mapping[str, int] | None = None
) -> list[PlacedColumn]:
    """Columns left to right after the gutter with one blank between, dropped by rank until they fit, then stretched.

    `content` is the widest that was seen in a column, by its key: without it columns stretch by their share alone.
    """
    content, kept = content or {}, list(columns)
    while _min_width(kept, content) > width and any(column.drop_rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.drop_rank))
    sizes = _stretch(kept, max(0, width - _min_width(kept, content)), content)
    placed, x = [], GUTTER
    for column, size in zip(kept, sizes, strict=True):
        placed.append(PlacedColumn(column, x, max(1, min(size, width - x))))
        x += size + 1
        if x >= width:
            break
    return placed


def fitted_columns(columns: Sequence[Column[Any]]) -> list[Column[Any]]:
    """Those whose width follows what is in them."""
    last = next((column for column in reversed(columns) if column.flex), None)
    return [column for column in columns if column is not last and column.draw is None and (column.fit or column.flex)]


def measure_content(
    placed: Sequence[PlacedColumn],
    fitted: Sequence[Column[Any]],
    rows: Sequence[Sequence[Cell]],
    known: Mapping[str, int],
    language: Language,
) -> dict[str, int]:
    """The widest of each fitted column's title and cells, and of what was known before: a column does not shrink while
    rows come and go.
    """
    content = dict(known)
    for at, column in enumerate(place.column for place in placed) if rows else ():
        if column in fitted:
            title = cell_len(column.title(language)) + bool(column.sort_key)
            content[column.key] = max(content.get(column.key, title), *(cell_len(cells[at].text) for cells in rows))
    return content


def _stretch(columns: Sequence[Column[Any]], spare: int, content: Mapping[str, int]) -> list[int]:
    """The widths with what is left over shared out: first names get what is in them, up to twice their width; then by
    `flex`, no column getting more than what is in it but the last that stretches.
    """
    sizes = [_least(column, content) for column in columns]
    stretching = [index for index, column in enumerate(columns) if column.flex]
    for index in stretching[:-1]:
        column = columns[index]
        if column.key in content:
            grown = min(spare, max(0, min(content[column.key], 2 * column.width) - sizes[index]))
            sizes[index] += grown
            spare -= grown
    wanted = {index: content.get(columns[index].key, spare + sizes[index]) for index in stretching}
    if stretching:
        wanted[stretching[-1]] = spare + sizes[stretching[-1]]
    while spare and stretching:
        total, given = sum(columns[index].flex for index in stretching), 0
        for index in stretching:
            share = max(0, min(spare * columns[index].flex // total, wanted[index] - sizes[index]))
            sizes[index] += share
            given += share
        spare -= given
        stretching = [index for index in stretching if sizes[index] < wanted[index]]
        if not given:
            break
    return sizes


def _least(column: Column[Any], content: Mapping[str, int]) -> int:
    return min(column.width, content.get(column.key, column.width))


def _min_width(columns: Sequence[Column[Any]], content: Mapping[str, int]) -> int:
    return GUTTER + sum(_least(column, content) for column in columns) + max(0, len(columns) - 1)
