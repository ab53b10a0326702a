"""Events as people read them: what happened, in one line of words. Pure.

Each kind of event that a hub records has a sentence of the catalogue, `console_event_KIND`; a test holds the two
together. An event of a kind that this console does not know is told by its kind and its data, with sizes and moments
as people read them and without what only programs compare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.api.events import EventView
from common.catalogue import Language, sentences, translate
from common.times import Zone, is_date, utc
from tui.text.format import (
    Cell,
    RenderContext,
    Tone,
    abbreviate_command,
    format_command,
    format_moment,
    format_number,
    format_start,
    one_line,
    short_id,
)
from tui.text.tables import format_size
from tui.view.column import Column
from tui.view.states import JOB_TONES, state_label

MIN_TIMESTAMP: Final = 1_000_000_000.0
"""A number of an event's from which on it is a moment, in seconds since the epoch."""
ULID_LENGTH: Final = 26
MAX_NAMES: Final = 3
"""Machines that a line names; the others are counted."""
BAD_OUTCOMES: Final = frozenset({"failed", "timed_out", "unknown"})
BAD_ENDINGS: Final = (".refused", ".rejected", ".failed", ".unknown", ".anomaly", ".turned_away", ".locked", ".dead")
WARN_ENDINGS: Final = (".approved", ".paused", ".edited", ".cancel_asked", ".drained", ".expired", ".revoked")

HIDDEN_EVENT_KEYS: Final = frozenset({"argv", "at", "number", "before", "after"})
PROGRAM_KEYS: Final = frozenset(
    {"event", "fingerprint", "fingerprints", "output_digest", "plan_hash", "base_hash", "conversation", "nonce", "pid"}
)
"""What of an event's data only programs compare: it stands in the event's detail, not in its line."""
EVENT_KEY_ORDER: Final = {"verb": -2, "was": -1, "why": -1, "reason": -1, "of": 1, "via": 1, "from": 1}
"""What of an event's data is told before all else, and after it."""


def event_key_order(item: tuple[Any, Any]) -> int:
    """What of an event's data is told first."""
    return EVENT_KEY_ORDER.get(str(item[0]), 0)


def event_words(event: EventView, ctx: RenderContext) -> str:
    """What happened, in one line: `carol: disk on web-1`, `web-1: FAILED, pg_dump, exit 1, 366 B of output`."""
    name = event.kind.replace(".", "_")
    if f"console_event_{name}" not in sentences():
        said = format_event_data(event, ctx.ellipsis, ctx.zone)
        said = _part(ctx, "said", said=said) if said else ""
        kind = one_line(event.kind, 60).replace(".", " ").replace("_", " ")
        return translate(ctx.language, "console_told_plain", kind=kind, said=said)
    if name == "message_accepted" and _count(event.data.get("images")):
        name = "message_accepted_pictures"
    if name == "login_rotated" and not event.data.get("until"):
        name = "login_rotated_now"
    if name == "wake_ended" and event.data.get("what") == "woke":
        name = "wake_ended_woke"
    return one_line(translate(ctx.language, f"console_event_{name}", **_names(event, ctx), **_parts(event, ctx)))


def _part(ctx: RenderContext, name: str, **values: Any) -> str:
    return translate(ctx.language, f"console_told_{name}", **values)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _names(event: EventView, ctx: RenderContext) -> dict[str, str]:
    """Who, what, which; "-" is what an event does not say."""
    data, subject = event.data, one_line(event.subject or "-", 64)
    agent = event.agent or data.get("agent") or (event.actor if event.is_about_job else "")
    command = abbreviate_command(format_command(event.command), ctx.ellipsis) if event.command else ""
    plain = (
        *("what", "rule", "role", "admin", "priority", "was", "open", "jobs", "count", "given", "needed", "phase"),
        *("first", "last", "file"),
    )
    values = {name: _value(data.get(name)) for name in plain}
    return values | {
        "verdict": _word(data.get("verdict"), "console_told_verdict_", ctx.language),
        "verb": _word(data.get("verb"), "verb_", ctx.language),
        "who": one_line(event.actor or "-", 40),
        "about": short_id(subject) if len(subject) == ULID_LENGTH else subject,
        "agent": one_line(agent or "-", 40),
        "command": command or _part(ctx, "command"),
        "text": one_line(data.get("text") or "-", 300),
        "state": _state(data.get("outcome") or data.get("as"), ctx.language),
        "counts": _counts(data.get("jobs"), ctx.language),
        "count": format_number(_count(data.get("images")) or _count(data.get("count"))),
        "expires": _moment(data.get("expires_at"), ctx),
    }


def _parts(event: EventView, ctx: RenderContext) -> dict[str, str]:
    """What an event may say besides, a reason, an end; else empty."""
    data = event.data
    why = data.get("why") or data.get("reason") or data.get("problem") or data.get("code") or ""
    needed, code, signal = _count(data.get("needed")), data.get("exit_code"), data.get("signal")
    count = _count(data.get("count"))
    end = _part(ctx, "exit", code=code) if _count(code) else ""
    end += _part(ctx, "signal", signal=signal) if _count(signal) else ""
    if _count(data.get("output_bytes")):
        end += _part(ctx, "size", size=format_size(_count(data["output_bytes"])))
    return {
        "why": _part(ctx, "why", why=one_line(why, 300)) if why and why != "ok" else "",
        "until": _part(ctx, "until", at=_moment(data["until"], ctx)) if data.get("until") else "",
        "times": _part(ctx, "times", count=format_number(count)) if count > 1 else "",
        "more": _part(ctx, "of", given=data.get("given"), needed=needed) if needed > 1 else "",
        "end": end,
    }  # fmt: skip


def _value(value: Any) -> str:
    return "-" if value is None or isinstance(value, dict | list | tuple) else one_line(value, 200)


def _word(value: Any, prefix: str, language: Language) -> str:
    """A word of ours in the reader's language; another hub's may have others, which are shown as they are."""
    key = f"{prefix}{value}"
    return translate(language, key) if isinstance(value, str) and key in sentences() else _value(value)


def _moment(value: Any, ctx: RenderContext) -> str:
    return format_moment(value, ctx.now, ctx.zone) if _is_timestamp(value) else "-"


def _state(value: Any, language: Language) -> str:
    return state_label(language, "job", value, JOB_TONES) if value else "-"


def _counts(jobs: Any, language: Language) -> str:
    """Jobs by state, `2 done, 1 FAILED`; or the machines of jobs, `web-1, web-2, db-1 +3`."""
    if not isinstance(jobs, Mapping) or not jobs:
        return "-"
    if all(isinstance(count, int) for count in jobs.values()):
        return ", ".join(f"{format_number(count)} {_state(state, language)}" for state, count in jobs.items())
    names = sorted({one_line(name, 64) for name in jobs.values()})
    more = f" +{len(names) - MAX_NAMES}" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


# ---- an event's data as such


def format_event_data(event: EventView, cut: str = "…", zone: Zone = utc) -> str:
    """An event's data on one line: the command first, without what the other columns say, what is not so, and what
    only programs compare.
    """
    parts = [abbreviate_command(format_command(event.command), cut)] if event.command else []
    for key, value in sorted(event.data.items(), key=event_key_order):
        if value in ("", None, 0) or value is False or key in HIDDEN_EVENT_KEYS or key in PROGRAM_KEYS:
            continue
        if key == "agent" and value == event.actor:
            continue
        parts.append(f"{key}={format_event_value(key, value, zone)}")
    return one_line("  ".join(parts))


def format_event_value(key: str, value: Any, zone: Zone) -> str:
    """A value of an event's data, which may be of any type."""
    if isinstance(value, dict):
        return " ".join(f"{name}:{count}" for name, count in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if _is_timestamp(value):
        return format_moment(value, 0.0, zone)
    if key.endswith("_bytes") and _count(value):
        return format_size(value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)[:8] if key.endswith("hash") else str(value)


def _is_timestamp(value: Any) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return known and value > MIN_TIMESTAMP and is_date(value)


# ---- in tables


def event_tone(event: EventView) -> Tone:
    jobs = event.data.get("jobs")
    outcomes: Sequence[Any] = tuple(jobs) if event.kind == "request.ended" and isinstance(jobs, Mapping) else ()
    if event.kind.endswith(BAD_ENDINGS) or BAD_OUTCOMES.intersection(map(str, (event.data.get("outcome"), *outcomes))):
        return "bad"
    return "warn" if event.kind.endswith(WARN_ENDINGS) else ""


def event_subject(event: EventView) -> str:
    """What it is about: r42, a machine, a person, or the end of an id."""
    if event.number:
        return f"r{event.number}"
    subject = one_line(event.subject or "-", 64)
    return short_id(subject) if len(subject) == ULID_LENGTH else subject


AUDIT: Final[tuple[Column[EventView], ...]] = (
    Column("time", 11, lambda event, look: Cell(format_start(event.at, look.now, look.zone), "dim"), fit=True),
    Column("subject", 8, lambda event, look: Cell(event_subject(event))),
    Column("event", 17, lambda event, look: Cell(one_line(event.kind, 40), event_tone(event))),
    Column("told", 34, lambda event, look: Cell(event_words(event, look)), flex=6),
    Column("actor", 12, lambda event, look: Cell(one_line(event.actor or "-", 64)), flex=1, drop_rank=1),
    Column("seq", 8, lambda event, look: Cell(str(event.seq), "dim"), drop_rank=2, align_right=True),
)
ACTIVITY: Final[tuple[Column[EventView], ...]] = (
    AUDIT[0],
    AUDIT[1],
    Column("told", 20, lambda event, look: Cell(event_words(event, look), event_tone(event)), flex=1),
)
