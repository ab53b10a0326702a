"""The three lines that never hide, as runs of text: the top line, the status line, the line of keys. Pure.

Each run may carry what a click on it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import cell_len

from common.catalogue import say
from tui.commands import STAY, Entry, first_key
from tui.console import Console
from tui.format import Look, Tone, clock, fit, latency, number, one_line
from tui.rows import need_rows, number_or_none

MODES: Final = ("overview", "jobs", "approve", "agents", "audit", "models")
NEEDS: Final = {"models": "models"}
"""Screens that are there only where the hub has such a verb. They stand last, so that digits stay what they are."""
URGENT: Final = 120.0
"""Seconds before a plan's time runs out from which on the tab says so."""
WIDE: Final = 112

TabSize = Literal["long", "short", "digit"]


@dataclass(frozen=True, slots=True)
class Span:
    """One run of a line, and the action it stands for."""

    text: str
    tone: Tone = ""
    act: str = ""


def modes(console: Console) -> list[str]:
    """The screens that there are at this hub."""
    return [mode for mode in MODES if mode not in NEEDS or console.has(NEEDS[mode])]


def width(spans: Sequence[Span]) -> int:
    return sum(cell_len(span.text) for span in spans)


def act_at(spans: Sequence[Span], x: int) -> str:
    """What a click on cell `x` means; "" is nothing."""
    at = 0
    for span in spans:
        at += cell_len(span.text)
        if x < at:
            return span.act
    return ""


def pad(spans: list[Span], right: list[Span], cells: int, cut: str) -> list[Span]:
    """Left and right parts on a line of `cells`; the left is cut, with `cut` as the sign of it, where both do not
    fit.
    """
    space = cells - width(spans) - width(right)
    if space >= 0:
        return [*spans, Span(" " * space), *right]
    room, kept = max(0, cells - width(right)), list(spans)
    while kept and width(kept) > room:
        last = kept.pop()
        left = room - width(kept)
        if left > 0:
            kept.append(Span(fit(last.text, left, cut=cut), last.tone, last.act))
    return [*kept, Span(" " * max(0, room - width(kept))), *right]


# ---- top


def top_line(console: Console, mode: str, cells: int) -> list[Span]:
    """` prod-1 [LIVE 12ms]  alice/operator  >1 Overview< 2 Jobs 3 Approve:3! …   14:03:22Z`

    Where one is never gives way: the titles of the other screens do, then the clock, then the person.
    """
    look, who, wide = console.look(), console.source.who, cells >= WIDE
    head = [Span(" "), Span(one_line(who.hub if who else "?", 24), "head"), Span(" "), link_span(console)]
    person = []
    if who is not None:
        role = one_line(who.roles[-1] if who.roles else "-", 12)
        person = [Span(f" {one_line(who.person, 16)}/{role if wide else role[:3]}")]
    if console.settings.read_only:
        head.append(Span(" " + say(look.language, "console_read_only"), "warn"))
    between = [Span("  " if wide else " ")]
    time_now = [] if console.settings.still else [Span(clock(look.now) + "Z ", "dim")]
    if console.settings.slow:
        time_now = [Span(clock(look.now)[:5] + "Z ", "dim")]
    sizes: tuple[TabSize, ...] = ("long", "short", "digit") if wide else ("short", "digit")
    for size in sizes:
        tabs = [
            span
            for at, name in enumerate(modes(console), 1)
            for span in _tab(console, look, at, name, name == mode, size)
        ]
        if width([*head, *person, *between, *tabs]) <= cells:
            break
    else:
        person = []
    spans = [*head, *person, *between, *tabs]
    return pad(spans, time_now if width([*spans, *time_now]) <= cells else [], cells, look.cut)


def link_span(console: Console) -> Span:
    language, link = console.language, console.link
    if link.state == "live":
        trip = "" if link.round_trip is None or console.settings.still else " " + latency(link.round_trip)
        return Span(f"[{say(language, 'console_link_live')}{trip}]", "ok", "go_overview")
    if link.state == "connecting":
        return Span(f"[{say(language, 'console_link_connecting')}]", "warn")
    retry = max(0, round((link.retry_at or 0) - console.now()))
    return Span(f"[{say(language, 'console_link_lost', age=console.lost_for(), seconds=retry)}]", "bad", "refresh")


def _tab(console: Console, look: Look, index: int, name: str, here: bool, size: TabSize) -> list[Span]:
    wide = size == "long"
    title = "" if size == "digit" and not here else say(look.language, f"console_tab_{'' if wide else 'short_'}{name}")
    between = " " if wide else ""
    mark = ""
    if name == "approve":
        waiting, soonest = waiting_approvals(console)
        if waiting:
            mark = f":{waiting}" + ("!" if soonest is not None and soonest < URGENT else "")
    text = f"{index}{between}{title}{mark}"
    tone: Tone = "warn" if mark.endswith("!") else ""
    if here:
        return [Span(f">{text}<" if wide else f">{text}", "head", f"go_{name}"), Span(" ")]
    return [Span(text, tone, f"go_{name}"), Span(" ")]


def waiting_approvals(console: Console) -> tuple[int, float | None]:
    """How many plans wait, and in how many seconds the first one's time runs out."""
    counts = console.overview.get("counts")
    if not isinstance(counts, dict):
        return 0, None
    waiting, soonest = counts.get("asking"), None
    for row in need_rows(console.overview.get("needs_you")):
        until = number_or_none(row.get("decide_by"))
        if until is not None and (soonest is None or until < soonest):
            soonest = until
    left = None if soonest is None else soonest - console.now()
    return (waiting if isinstance(waiting, int) else 0), left


# ---- status


def status_line(console: Console, about: str, cells: int, *, held: int = 0) -> list[Span]:
    """What was last said, else what the row at hand is; at the right how the stream is doing."""
    language, said, cut = console.language, console.last_said(), console.look().cut
    right = [] if cells < 100 else _stream(console)
    if not console.link.live and console.link.state == "lost":
        why = one_line(console.link.reason or "-", 200)
        text = say(language, "console_status_lost", age=console.lost_for(), why=why)
        if said is not None and said.tone in ("bad", "warn") and said.at >= console.link.since:
            text = said.text
        return pad([Span(" "), Span(text, "bad")], [], cells, cut)
    if said is not None:
        undo = console.open_undo()
        way = f"  u {undo.what.say(language)}" if undo else ""
        return pad([Span(" "), Span(said.text, said.tone), Span(way, "key", "undo")], right, cells, cut)
    if held:
        return pad([Span(" "), Span(say(language, "console_held", count=held), "warn", "refresh")], right, cells, cut)
    return pad([Span(" " + about)], right, cells, cut)


def _stream(console: Console) -> list[Span]:
    language = console.language
    spans = []
    if not console.settings.still:
        rate = f"{console.rate_out / 1024:.1f} KiB/s {console.frames:.0f}/s"
        spans.append(Span(f"  {rate}  ", "dim"))
    if console.settings.slow:
        spans.append(Span(say(language, "console_slow_on") + "  ", "dim"))
    waiting, _ = waiting_approvals(console)
    if waiting:
        spans.append(Span(say(language, "console_waiting_for_you", count=number(waiting)) + " ", "", "go_approve"))
    return spans


# ---- keys


def keys_line(console: Console, entries: Sequence[Entry], cells: int) -> list[Span]:
    """`enter Open  a Approve …`: what is on, then greyed what is off; help and quit stay."""
    spans = [Span(" ")]
    keep = [entry for entry in entries if entry.act.id in STAY]
    tail = [span for entry in keep for span in _key(entry, console)]
    room = cells - width(tail) - 1
    for entry in entries:
        if entry in keep:
            continue
        shown = _key(entry, console)
        if width(spans) + width(shown) > room:
            break
        spans += shown
    return pad(spans, tail, cells, console.look().cut)


def _key(entry: Entry, console: Console) -> list[Span]:
    text = entry.act.short(console.language) + (f" {number(entry.count)}" if entry.count else "")
    tone: Tone = "dim" if entry.off is not None else ""
    return [
        Span(first_key(entry.act), "dim" if entry.off is not None else "key", entry.act.id),
        Span(f" {text}", tone, entry.act.id),
        Span("  "),
    ]
