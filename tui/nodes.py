"""The servers of language models, as the hub's verb `models` tells of them (`hub.desk_models`): the columns of their
table, the line above it, one in full. Pure.

What a server says of itself, its model's name and its trouble, comes from outside and is made one safe line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.catalogue import say
from tui.detail_text import fact
from tui.format import Cell, Line, Look, joined, latency, number, one_line, percent, rate, short_number
from tui.model import Row
from tui.rows import number_or_none
from tui.widgets.columns import Column

MOST: Final = 200
"""Nodes of one answer that are looked at."""


def nodes_of(answer: Any) -> list[Row]:
    """The hub's nodes as rows with ids; what is no row is left out, and so is a second one of the same id."""
    found = answer.get("nodes") if isinstance(answer, Mapping) else None
    if not isinstance(found, list | tuple):
        return []
    rows: dict[str, Row] = {}
    for row in found[:MOST]:
        identity = str(row.get("id") or row.get("name") or "") if isinstance(row, Mapping) else ""
        if identity:
            rows.setdefault(identity, {**row, "id": identity})
    return list(rows.values())


def shared_words(answer: Any, look: Look) -> str:
    """`waiting 2  cache 41.0% hits, 34 memory, 120 disk`: who waits, and the cache of plans."""
    told = answer if isinstance(answer, Mapping) else {}
    cache = told.get("cache")
    known = cache if isinstance(cache, Mapping) else {}
    values = {key: number(number_or_none(known.get(key))) for key in ("memory", "disk")}
    values["ratio"] = percent(number_or_none(known.get("hit_ratio")))
    return say(look.language, "console_models_shared", waiting=number(number_or_none(told.get("waiting"))), **values)


def node_state(row: Row, look: Look) -> Cell:
    """DOWN comes before what the breaker says: nothing goes there in either case."""
    if row.get("up") is False:
        return Cell(say(look.language, "console_node_down"), "bad")
    if row.get("breaker") == "open":
        return Cell(say(look.language, "console_node_open"), "bad")
    if row.get("breaker") == "half_open":
        return Cell(say(look.language, "console_node_half_open"), "warn")
    return Cell(say(look.language, "console_node_up"), "ok") if row.get("up") is True else Cell("?")


def reason(row: Row) -> str:
    return one_line(row.get("problem") or "", 300)


def _busy(row: Row, look: Look) -> Cell:
    running, parallel = number_or_none(row.get("running")), number_or_none(row.get("parallel"))
    full = running is not None and parallel is not None and running >= parallel
    return Cell(f"{short_number(running)}/{short_number(parallel)}", "busy" if full else "")


def _first(key: str) -> Any:
    return lambda row, look: Cell(latency(number_or_none(row.get(key))))


def _asked(row: Row, look: Look) -> Cell:
    failed = number_or_none(row.get("failed"))
    return Cell(f"{short_number(number_or_none(row.get('ok')))}/{short_number(failed)}", "warn" if failed else "")


NODES: Final = (
    Column("state", 12, node_state),
    Column("node_busy", 5, _busy, right=True),
    Column("node_speed", 6, lambda row, look: Cell(rate(number_or_none(row.get("tokens_per_second")))), right=True),
    Column("node_p50", 7, _first("first_p50"), right=True, drop=4),
    Column("node_p95", 7, _first("first_p95"), right=True, drop=5),
    Column("node_asked", 11, _asked, right=True, drop=1),
    Column("name", 10, lambda row, look: Cell(one_line(row.get("name", "?"), 64)), flex=1),
    Column("node_model", 14, lambda row, look: Cell(one_line(row.get("model") or "-", 100)), flex=1, drop=2),
    Column("node_kind", 6, lambda row, look: Cell(one_line(row.get("kind") or "-", 16), "dim"), drop=6),
    Column(
        "priority", 4, lambda row, look: Cell(number(number_or_none(row.get("priority")))), right=True, drop=7
    ),
    Column("node_reason", 14, lambda row, look: Cell(reason(row), "bad"), flex=3),
)  # fmt: skip


def node_lines(row: Row, look: Look) -> list[Line]:
    """One node in full."""
    state, why = node_state(row, look), reason(row)
    first = joined(f"{name} {latency(number_or_none(row.get(f'first_{name}')))}" for name in ("p50", "p95"))
    return [
        fact(look, "state", state.text, state.tone),
        *([fact(look, "reason", why, "bad")] if why else []),
        fact(look, "node_breaker", one_line(row.get("breaker") or "-", 16)),
        fact(look, "node_model", one_line(row.get("model") or "-", 300)),
        fact(look, "node_kind", one_line(row.get("kind") or "-", 64)),
        fact(look, "priority", number(number_or_none(row.get("priority")))),
        fact(look, "node_busy", _busy(row, look).text),
        fact(look, "node_speed", rate(number_or_none(row.get("tokens_per_second")))),
        fact(look, "node_first", first),
        fact(look, "node_asked", _asked(row, look).text),
    ]
