"""The inlets, as the hub's verb `inlets` gives them: the columns of their table, the line above it, one in full. Pure.

Why an inlet does not work comes from its chat, and is made one safe line here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from common.api.inlets import InletView
from common.catalogue import translate
from tui.text.format import (
    Cell,
    PaneLine,
    RenderContext,
    format_age,
    format_moment,
    format_number,
    format_short_number,
    join_nonempty,
    one_line,
)
from tui.view.column import Column
from tui.view.detail import fact_line

MAX_INLETS: Final = 500
"""Inlets of one answer that are shown."""


def inlets_of(answer: Iterable[InletView]) -> list[InletView]:
    """The inlets as rows; of two with the same name the first."""
    rows: dict[str, InletView] = {}
    for inlet in answer:
        if len(rows) < MAX_INLETS:
            rows.setdefault(inlet.id, inlet)
    return list(rows.values())


def inlet_state(inlet: InletView, ctx: RenderContext) -> Cell:
    """The worst of it in a word: no messages come, replies do not arrive, it is quiet."""

    def cell(key: str, tone: str) -> Cell:
        return Cell(translate(ctx.language, f"console_inlet_{key}"), tone)  # type: ignore[arg-type]

    if inlet.problem:
        return cell("down", "bad")
    if inlet.reply_problem:
        return cell("replies_wait" if inlet.replies_waiting else "replies_lost", "bad")
    if inlet.quiet:
        return cell("quiet", "warn")
    if inlet.is_outbound:
        return cell("connecting", "") if inlet.connected_at is None else cell("connected", "ok")
    return cell("unheard", "dim") if inlet.delivered_at is None else cell("heard", "ok")


def inlet_trouble(inlet: InletView, ctx: RenderContext) -> str:
    """Why it does not work, and when it is tried again; empty where it does."""
    why = one_line(inlet.problem or inlet.reply_problem, 300)
    if inlet.problem and inlet.retry_at is not None:
        left = format_age(max(0.0, inlet.retry_at - ctx.now))
        return join_nonempty((why, translate(ctx.language, "console_inlet_retry", left=left)))
    if not why and inlet.quiet:
        return translate(ctx.language, "console_inlet_limit", limit=format_age(inlet.quiet_after))
    return why


def describe_inlets(inlets: Sequence[InletView], ctx: RenderContext) -> str:
    """`1 not well  replies that wait 3`: nothing where all is well."""
    bad = sum(bool(one.problem or one.reply_problem or one.quiet) for one in inlets)
    waiting = sum(one.replies_waiting for one in inlets)
    return join_nonempty(
        (
            translate(ctx.language, "console_inlets_bad", count=format_number(bad)) if bad else "",
            translate(ctx.language, "console_inlets_waiting", count=format_number(waiting)) if waiting else "",
        )
    )


def _last(inlet: InletView, ctx: RenderContext) -> Cell:
    return Cell(format_age(None if inlet.delivered_at is None else max(0.0, ctx.now - inlet.delivered_at)))


def _count(value: int) -> Cell:
    return Cell(format_short_number(value), "warn" if value else "dim")


INLETS: Final[tuple[Column[InletView], ...]] = (
    Column("state", 14, inlet_state),
    Column("inlet_last", 7, _last, align_right=True),
    Column("inlet_waiting", 8, lambda inlet, look: _count(inlet.replies_waiting), align_right=True),
    Column("inlet_refused", 8, lambda inlet, look: _count(inlet.refused), align_right=True, drop_rank=1),
    Column("name", 10, lambda inlet, look: Cell(one_line(inlet.name, 64)), flex=1),
    Column("inlet_platform", 10, lambda inlet, look: Cell(one_line(inlet.platform, 32), "dim"), drop_rank=3),
    Column("inlet_way", 9, lambda inlet, look: Cell(_way(inlet, look), "dim"), drop_rank=2),
    Column("why", 14, lambda inlet, look: Cell(inlet_trouble(inlet, look), inlet_state(inlet, look).tone), flex=3),
)  # fmt: skip


def _way(inlet: InletView, ctx: RenderContext) -> str:
    known = inlet.way in ("webhook", "outbound")
    return translate(ctx.language, f"console_inlet_{inlet.way}") if known else one_line(inlet.way, 16)


def inlet_lines(inlet: InletView, ctx: RenderContext) -> list[PaneLine]:
    """One inlet in full; what did not happen is left out."""
    state = inlet_state(inlet, ctx)
    lines = [fact_line(ctx, "state", state.text, state.tone)]
    if inlet.problem:
        lines.append(fact_line(ctx, "reason", one_line(inlet.problem, 300), "bad"))
    since = inlet.failed_at if inlet.problem else inlet.connected_at
    if since is not None:
        lines.append(fact_line(ctx, "inlet_since", _when(since, ctx)))
    if inlet.problem and inlet.retry_at is not None:
        tries = translate(ctx.language, "console_inlet_failures", count=format_number(inlet.failures))
        lines.append(
            fact_line(ctx, "inlet_retry", join_nonempty((format_moment(inlet.retry_at, ctx.now, ctx.zone), tries)))
        )
    lines += [
        fact_line(ctx, "inlet_platform", one_line(inlet.platform, 64)),
        fact_line(ctx, "inlet_way", _way(inlet, ctx)),
        fact_line(ctx, "inlet_answer", one_line(inlet.answer, 32)),
        fact_line(ctx, "inlet_last", _when(inlet.delivered_at, ctx)),
    ]
    if inlet.quiet_after:
        limit = translate(ctx.language, "console_inlet_limit", limit=format_age(inlet.quiet_after))
        lines.append(fact_line(ctx, "inlet_quiet", limit, "warn" if inlet.quiet else ""))
    refused = format_number(inlet.refused)
    if inlet.refused:
        refused = join_nonempty((refused, one_line(inlet.refused_code, 64), _when(inlet.refused_at, ctx)))
    lines.append(fact_line(ctx, "inlet_refused", refused))
    waiting = format_number(inlet.replies_waiting)
    if inlet.replies_since is not None:
        waiting = join_nonempty((waiting, _when(inlet.replies_since, ctx)))
    lines.append(fact_line(ctx, "inlet_waiting", waiting, "bad" if inlet.reply_problem else ""))
    if inlet.reply_problem:
        lines.append(fact_line(ctx, "reason", one_line(inlet.reply_problem, 300), "bad"))
    if inlet.replies_given_up:
        lines.append(fact_line(ctx, "inlet_lost", format_number(inlet.replies_given_up), "warn"))
    if inlet.recording:
        left = translate(ctx.language, "console_inlet_recording", count=format_number(inlet.recording))
        lines.append(fact_line(ctx, "inlet_recording", left, "warn"))
    return lines


def _when(at: float | None, ctx: RenderContext) -> str:
    """`4m12s  14:03:21Z`; "-" where it never was."""
    if at is None:
        return "-"
    return join_nonempty((format_age(max(0.0, ctx.now - at)), format_moment(at, ctx.now, ctx.zone)))
