"""The three lines that never hide, as runs of text: the top line, the status line, the line of keys. Pure.

Each run may carry what a click on it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import cell_len

from common.catalogue import translate
from tui.model.actions import ALWAYS_SHOWN, ActionEntry, first_key
from tui.model.context import ConsoleContext
from tui.text.format import (
    RenderContext,
    Tone,
    fit_cells,
    format_clock,
    format_latency,
    format_number,
    one_line,
    wrap,
    zone_mark,
)

SCREEN_MODES: Final = ("overview", "jobs", "approve", "agents", "audit", "models")
REQUIRED_VERBS: Final = {"models": "models"}
"""Screens that are there only where the hub has such a verb. They stand last, so that digits stay what they are."""
URGENT_SECONDS: Final = 120.0
"""Seconds before a plan's time runs out from which on the tab says so."""

TabSize = Literal["long", "short", "digit"]


@dataclass(frozen=True, slots=True)
class BarSpan:
    """One run of a line, and the action it stands for."""

    text: str
    tone: Tone = ""
    action_id: str = ""


def available_modes(console: ConsoleContext) -> list[str]:
    """The screens that there are at this hub."""
    return [mode for mode in SCREEN_MODES if mode not in REQUIRED_VERBS or console.supports(REQUIRED_VERBS[mode])]


def spans_width(spans: Sequence[BarSpan]) -> int:
    return sum(cell_len(span.text) for span in spans)


def action_at(spans: Sequence[BarSpan], x: int) -> str:
    """What a click on cell `x` means; "" is nothing."""
    at = 0
    for span in spans:
        at += cell_len(span.text)
        if x < at:
            return span.action_id
    return ""


def justify(spans: list[BarSpan], right: list[BarSpan], cells: int, ellipsis: str) -> list[BarSpan]:
    """Left and right parts on a line of `cells`; the left is cut, with `ellipsis` as the sign of it, where both do not
    fit.
    """
    space = cells - spans_width(spans) - spans_width(right)
    if space >= 0:
        return [*spans, BarSpan(" " * space), *right]
    room, kept = max(0, cells - spans_width(right)), list(spans)
    while kept and spans_width(kept) > room:
        last = kept.pop()
        left = room - spans_width(kept)
        if left > 0:
            kept.append(BarSpan(fit_cells(last.text, left, ellipsis=ellipsis), last.tone, last.action_id))
    return [*kept, BarSpan(" " * max(0, room - spans_width(kept))), *right]


def wrap_spans(spans: Sequence[BarSpan], cells: int, most: int) -> list[list[BarSpan]]:
    """The spans on at most `most` lines of `cells`, parted at blanks; what does not fit on the last is cut."""
    lines = wrap("".join(span.text for span in spans).strip(), max(2, cells - 1))
    found: list[list[BarSpan]] = []
    rest = list(spans)
    for line in lines[:most]:
        runs = [BarSpan(" ")]
        left = line.lstrip()
        while left and rest:
            text = rest[0].text if runs[1:] else rest[0].text.lstrip()
            part = text[: len(left)]
            if part:
                runs.append(BarSpan(part, rest[0].tone, rest[0].action_id))
            left, kept = left[len(part) :], text[len(part) :]
            rest[:1] = [BarSpan(kept, rest[0].tone, rest[0].action_id)] if kept else []
        found.append(runs)
    return found


# ---- top


def title_bar(console: ConsoleContext, mode: str, cells: int) -> list[BarSpan]:
    """` prod-1 [LIVE 12ms]  alice/operator  >1 Overview< 2 Jobs 3 Approve:3! …   14:03:22Z`

    Where one is never gives way: the titles of the other screens do, then the clock, then the person.
    """
    look = console.render_context()
    clock, zone = format_clock(look.now, look.zone), zone_mark(look.now, look.zone)
    time_now = [] if console.settings.static else [BarSpan(f"{clock}{zone} ", "dim")]
    if console.settings.slow:
        time_now = [BarSpan(f"{clock[:5]}{zone} ", "dim")]
    spans: list[BarSpan] = []
    for size, full_role, right in _TITLE_FORMS:
        tabs = [
            span
            for at, name in enumerate(available_modes(console), 1)
            for span in _tab(console, look, at, name, name == mode, size)
        ]
        spans = [*_title_head(console, full_role), BarSpan("  " if size == "long" else " "), *tabs]
        if spans_width(spans) + (spans_width(time_now) if right else 0) <= cells:
            break
    else:
        spans = [*_title_head(console, None), BarSpan(" "), *tabs]
    return justify(spans, time_now if spans_width([*spans, *time_now]) <= cells else [], cells, look.ellipsis)


_TITLE_FORMS: Final[tuple[tuple[TabSize, bool, bool], ...]] = (
    ("long", True, True),
    ("long", False, True),
    ("short", True, True),
    ("short", False, True),
    ("short", False, False),
    ("digit", False, False),
)
"""Titles of the screens, whether the role is written in full, whether the clock has its place: the first that fits."""


def _title_head(console: ConsoleContext, full_role: bool | None) -> list[BarSpan]:
    """The hub, the link and who I am; without a role and a name where `full_role` is None."""
    who = console.source.who
    head = [BarSpan(" "), BarSpan(one_line(who.hub if who else "?", 24), "head"), BarSpan(" "), link_span(console)]
    if console.settings.read_only:
        head.append(BarSpan(" " + translate(console.language, "console_read_only"), "warn"))
    if console.overview is not None and console.overview.is_recovering:
        key = "console_recovery" if full_role else "console_need_recovery"
        head.append(BarSpan(" " + translate(console.language, key), "bad"))
    if console.overview is not None and console.overview.hub.storage:
        head.append(BarSpan(" " + translate(console.language, "console_need_storage"), "bad"))
    if who is not None and full_role is not None:
        role = one_line(who.roles[-1] if who.roles else "-", 12)
        head.append(BarSpan(f" {one_line(who.person, 16)}/{role if full_role else role[:3]}"))
    return head


def link_span(console: ConsoleContext) -> BarSpan:
    language, link = console.language, console.link
    if link.state == "live":
        trip = "" if link.round_trip is None or console.settings.static else " " + format_latency(link.round_trip)
        return BarSpan(f"[{translate(language, 'console_link_live')}{trip}]", "ok", "go_overview")
    if link.state == "connecting":
        return BarSpan(f"[{translate(language, 'console_link_connecting')}]", "warn")
    retry = max(0, round((link.retry_at or 0) - console.now()))
    return BarSpan(
        f"[{translate(language, 'console_link_lost', age=console.lost_duration(), seconds=retry)}]", "bad", "refresh"
    )


def _tab(
    console: ConsoleContext, ctx: RenderContext, index: int, name: str, here: bool, size: TabSize
) -> list[BarSpan]:
    wide = size == "long"
    title = (
        "" if size == "digit" and not here else translate(ctx.language, f"console_tab_{'' if wide else 'short_'}{name}")
    )
    between = " " if wide else ""
    mark = ""
    if name == "approve":
        waiting, soonest = waiting_approvals(console)
        if waiting:
            mark = f":{waiting}" + ("!" if soonest is not None and soonest < URGENT_SECONDS else "")
    text = f"{index}{between}{title}{mark}"
    tone: Tone = "warn" if mark.endswith("!") else ""
    if here:
        return [BarSpan(f">{text}<" if wide else f">{text}", "head", f"go_{name}"), BarSpan(" ")]
    return [BarSpan(text, tone, f"go_{name}"), BarSpan(" ")]


def waiting_approvals(console: ConsoleContext) -> tuple[int, float | None]:
    """How many plans wait, and in how many seconds the first one's time runs out."""
    overview = console.overview
    if overview is None:
        return 0, None
    soonest = min((need.expires for need in overview.needs_you if need.expires is not None), default=None)
    return overview.asking, None if soonest is None else soonest - console.now()


# ---- status


def status_bar(console: ConsoleContext, about: str, cells: int, *, pending_moves: int = 0) -> list[BarSpan]:
    """What was last said, else what the row at hand is; at the right how the stream is doing."""
    language, said, cut = console.language, console.current_message(), console.render_context().ellipsis
    right = [] if cells < 100 else _stream_status(console)
    if not console.link.live and console.link.state == "lost":
        why = one_line(console.link.reason or "-", 200)
        text = translate(language, "console_status_lost", age=console.lost_duration(), why=why)
        if said is not None and said.tone in ("bad", "warn") and said.shown_at >= console.link.since:
            text = said.text
        return justify([BarSpan(" "), BarSpan(text, "bad")], [], cells, cut)
    if said is not None:
        undo = console.open_undo()
        way = f"  u {undo.description.render(language)}" if undo else ""
        spans = [BarSpan(" "), BarSpan(said.text, said.tone), BarSpan(way, "key", "undo")]
        if spans_width(spans) > cells - spans_width(right):
            return spans  # the line becomes as many as it takes
        return justify(spans, right, cells, cut)
    if pending_moves:
        return justify(
            [BarSpan(" "), BarSpan(translate(language, "console_held", count=pending_moves), "warn", "refresh")],
            right,
            cells,
            cut,
        )
    return justify([BarSpan(" " + about)], right, cells, cut)


def _stream_status(console: ConsoleContext) -> list[BarSpan]:
    language = console.language
    spans = []
    if not console.settings.static:
        rate = f"{console.bytes_out_rate / 1024:.1f} KiB/s {console.frame_rate:.0f}/s"
        spans.append(BarSpan(f"  {rate}  ", "dim"))
    if console.settings.slow:
        spans.append(BarSpan(translate(language, "console_slow_on") + "  ", "dim"))
    waiting, _ = waiting_approvals(console)
    if waiting:
        spans.append(
            BarSpan(
                translate(language, "console_waiting_for_you", count=format_number(waiting)) + " ", "", "go_approve"
            )
        )
    return spans


# ---- keys


def key_bar(console: ConsoleContext, entries: Sequence[ActionEntry], cells: int) -> list[BarSpan]:
    """`enter Open  a Approve …`: what is on, then greyed what is off; help and quit stay."""
    spans = [BarSpan(" ")]
    keep = [entry for entry in entries if entry.action.id in ALWAYS_SHOWN]
    tail = [span for entry in keep for span in _key(entry, console)]
    room = cells - spans_width(tail) - 1
    for entry in entries:
        if entry in keep:
            continue
        shown = _key(entry, console)
        if spans_width(spans) + spans_width(shown) > room:
            break
        spans += shown
    return justify(spans, tail, cells, console.render_context().ellipsis)


def _key(entry: ActionEntry, console: ConsoleContext) -> list[BarSpan]:
    text = entry.action.short_label(console.language) + (f" {format_number(entry.count)}" if entry.count else "")
    tone: Tone = "dim" if entry.disabled_reason is not None else ""
    return [
        BarSpan(first_key(entry.action), "dim" if entry.disabled_reason is not None else "key", entry.action.id),
        BarSpan(f" {text}", tone, entry.action.id),
        BarSpan("  "),
    ]
