"""The servers of language models, as the hub's verb `models` gives them: the columns of their table, the line above it,
one in full. Pure.

What a server says of itself, its model's name and its problem, comes from outside and is made one safe line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from common.api.models import ModelNode, ModelsView
from common.catalogue import translate
from tui.text.format import (
    Cell,
    PaneLine,
    RenderContext,
    format_latency,
    format_number,
    format_percent,
    format_rate,
    format_short_number,
    join_nonempty,
    one_line,
)
from tui.view.column import Column
from tui.view.detail import fact_line

MAX_NODES: Final = 200
"""Nodes of one answer that are shown."""


def nodes_of(answer: ModelsView) -> list[ModelNode]:
    """The nodes as rows; of two with the same id the first."""
    rows: dict[str, ModelNode] = {}
    for node in answer.nodes[:MAX_NODES]:
        rows.setdefault(node.id, node)
    return list(rows.values())


def describe_shared(answer: ModelsView, ctx: RenderContext) -> str:
    """`waiting 2  cache 41.0% hits, 34 memory, 120 disk`: who waits, and the cache of plans."""
    cache = answer.cache
    return translate(
        ctx.language,
        "console_models_shared",
        waiting=format_number(answer.waiting),
        memory=format_number(cache.memory),
        disk=format_number(cache.disk),
        ratio=format_percent(cache.hit_ratio),
    )


def node_state(node: ModelNode, ctx: RenderContext) -> Cell:
    """DOWN comes before what the breaker says: nothing goes there in either case."""
    if not node.up:
        return Cell(translate(ctx.language, "console_node_down"), "bad")
    if node.breaker == "open":
        return Cell(translate(ctx.language, "console_node_open"), "bad")
    if node.breaker == "half_open":
        return Cell(translate(ctx.language, "console_node_half_open"), "warn")
    return Cell(translate(ctx.language, "console_node_up"), "ok")


def down_reason(node: ModelNode) -> str:
    return one_line(node.problem, 300)


def _busy(node: ModelNode, ctx: RenderContext) -> Cell:
    text = f"{format_short_number(node.running)}/{format_short_number(node.parallel)}"
    return Cell(text, "busy" if node.is_full else "")


def _latency(value: Callable[[ModelNode], float | None]) -> Callable[[ModelNode, RenderContext], Cell]:
    return lambda node, look: Cell(format_latency(value(node)))


def _requests(node: ModelNode, ctx: RenderContext) -> Cell:
    return Cell(f"{format_short_number(node.ok)}/{format_short_number(node.failed)}", "warn" if node.failed else "")


def _speed(node: ModelNode, ctx: RenderContext) -> Cell:
    return Cell(format_rate(node.tokens_per_second))


def _priority(node: ModelNode, ctx: RenderContext) -> Cell:
    return Cell(format_number(node.priority))


NODES: Final[tuple[Column[ModelNode], ...]] = (
    Column("state", 12, node_state),
    Column("node_busy", 5, _busy, align_right=True),
    Column("node_speed", 6, _speed, align_right=True),
    Column("node_p50", 7, _latency(lambda node: node.first_p50), align_right=True, drop_rank=4),
    Column("node_p95", 7, _latency(lambda node: node.first_p95), align_right=True, drop_rank=5),
    Column("node_asked", 11, _requests, align_right=True, drop_rank=1),
    Column("name", 10, lambda node, look: Cell(one_line(node.name, 64)), flex=1),
    Column("node_model", 14, lambda node, look: Cell(one_line(node.model or "-", 100)), flex=1, drop_rank=2),
    Column("node_kind", 6, lambda node, look: Cell(one_line(node.kind or "-", 16), "dim"), drop_rank=6),
    Column("priority", 4, _priority, align_right=True, drop_rank=7),
    Column("node_reason", 14, lambda node, look: Cell(down_reason(node), "bad"), flex=3),
)  # fmt: skip


def node_lines(node: ModelNode, ctx: RenderContext) -> list[PaneLine]:
    """One node in full."""
    state, why = node_state(node, ctx), down_reason(node)
    first = join_nonempty((f"p50 {format_latency(node.first_p50)}", f"p95 {format_latency(node.first_p95)}"))
    return [
        fact_line(ctx, "state", state.text, state.tone),
        *([fact_line(ctx, "reason", why, "bad")] if why else []),
        fact_line(ctx, "node_breaker", one_line(node.breaker or "-", 16)),
        fact_line(ctx, "node_model", one_line(node.model or "-", 300)),
        fact_line(ctx, "node_kind", one_line(node.kind or "-", 64)),
        fact_line(ctx, "priority", format_number(node.priority)),
        fact_line(ctx, "node_busy", _busy(node, ctx).text),
        fact_line(ctx, "node_speed", format_rate(node.tokens_per_second)),
        fact_line(ctx, "node_first", first),
        fact_line(ctx, "node_asked", _requests(node, ctx).text),
    ]
