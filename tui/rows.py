"""The columns of every table: which fields of a row stand where, in which words, in which tone. Pure.

A row is what the hub says of a job, a request, a machine, a lane or an event (`hub.views`); a field that an older
hub does not say is a
dash. The state is a word in every language; capitals and signs weigh it, colour only repeats it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from common.catalogue import say
from common.filter_match import is_stuck
from tui.commands import SETTLED, Kind
from tui.format import (
    Cell,
    Look,
    Tone,
    age,
    brief,
    clock,
    command,
    is_date,
    latency,
    moment,
    number,
    one_line,
    rate,
    short_id,
    short_number,
    shorter,
    spark,
)
from tui.model import Row
from tui.widgets.columns import Column

JOB_TONES: Final[dict[str, Tone]] = {
    "running": "busy",
    "succeeded": "ok",
    "failed": "bad",
    "timed_out": "bad",
    "unknown": "bad",
    "not_started": "warn",
    "expired": "warn",
    "cancelled": "dim",
    "queued": "",
    "leased": "",
    "accepted": "busy",
}
REQUEST_TONES: Final[dict[str, Tone]] = {
    "asking": "warn",
    "working": "busy",
    "done": "ok",
    "refused": "bad",
    "rejected": "bad",
    "expired": "warn",
    "cancelled": "dim",
    "received": "",
}
LANE_TONES: Final[dict[str, Tone]] = {"ok": "", "slow": "warn", "waiting": "warn", "paused": "warn", "stuck": "bad"}
NEED_TONES: Final[dict[str, Tone]] = {
    "approve": "warn",
    "unknown": "bad",
    "stuck": "bad",
    "anomaly": "bad",
    "drain": "",
    "offline": "dim",
}
NEED_STATES: Final = {"approve": "asking", "unknown": "unknown", "stuck": "running"}
SOON: Final = 120.0
A_DATE: Final = 1_000_000_000.0
"""A number of an event's from which on it is a moment, in seconds since the epoch."""


def number_or_none(value: Any) -> float | None:
    """A number that can be shown, whatever the hub says."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else None


def word(language: Any, kind: str, value: Any, known: Any) -> str:
    """The catalogue's word for a state; as the hub says it, made safe, where a newer hub has one that is not in it."""
    text = str(value)
    return say(language, f"console_{kind}_{text}") if text in known else one_line(text, 20)


# ---- jobs


def job_state(row: Row, look: Look) -> Cell:
    state = str(row.get("state", "?"))
    tone = JOB_TONES.get(state, "")
    if row.get("cancel_asked_at") and state not in SETTLED:
        return Cell(say(look.language, "console_job_cancel_asked"), "warn")
    if state == "queued" and row.get("agent_paused"):
        return Cell(say(look.language, "console_job_paused"), "warn")
    if state == "queued" and row.get("agent_online") is False:
        return Cell(say(look.language, "console_job_offline"), "dim")
    if _stuck(row, look):
        return Cell(say(look.language, "console_job_stuck"), "bad")
    return Cell(word(look.language, "job", state, JOB_TONES), tone)


def _stuck(row: Row, look: Look) -> bool:
    """Past its time limit, or handed out and never taken up, for longer than is in order."""
    if row.get("stuck") is not None:
        return row["stuck"] is True
    times = ("started_at", "leased_at", "time_limit")
    return all(row.get(key) is None or number_or_none(row[key]) is not None for key in times) and is_stuck(
        row, look.now
    )


def job_age(row: Row, look: Look) -> Cell:
    """How long it has been in what it is in; of an ended one, how long it took."""
    state = str(row.get("state", ""))
    if state in SETTLED:
        took = number_or_none(row.get("duration"))
        return Cell(latency(took) if took is not None else "-", "dim")
    since = number_or_none(row.get("started_at") if state == "running" else row.get("queued_at"))
    return Cell(age(None if since is None else look.now - since))


def who(row: Row, look: Look) -> Cell:
    person, inlet = one_line(row.get("person") or "?", 40), one_line(row.get("inlet") or "", 24)
    return Cell(f"{person}@{inlet}" if inlet and inlet != "console" else person)


def _command(row: Row, look: Look) -> Cell:
    line = command(row.get("argv")) if row.get("argv") else shorter(one_line(row.get("text") or "-"))
    return Cell(brief(line, look.cut))


def _exit(row: Row, look: Look) -> Cell:
    if row.get("signal"):
        return Cell(f"sig {one_line(row['signal'], 4)}", "bad")
    code = row.get("exit_code")
    return Cell("-" if code is None else one_line(code, 6), "bad" if code else "")


JOBS: Final = (
    Column("age", 6, job_age, right=True, sort="age"),
    Column("state", 9, job_state, sort="state"),
    Column("job", 7, lambda row, look: Cell(short_id(row["id"]), "dim"), drop=4),
    Column("agent", 12, lambda row, look: Cell(one_line(row.get("agent", "-"), 64)), flex=1, sort="agent"),
    Column("who", 12, who, flex=1, drop=2, sort="person"),
    Column(
        "priority",
        5,
        lambda row, look: Cell(one_line(row.get("priority", "-"), 4)),
        drop=5,
        right=True,
        sort="priority",
    ),
    Column("exit", 6, _exit, drop=3),
    Column("command", 16, _command, flex=5),
)

# ---- requests


def request_left(row: Row, look: Look) -> Cell:
    """Until its time to decide is over."""
    until = number_or_none(row.get("decide_by"))
    if until is None or str(row.get("state")) != "asking":
        return Cell("-")
    left = until - look.now
    return Cell(age(left) if left > 0 else "0s", "bad" if left < SOON else "")


def request_state(row: Row, look: Look) -> Cell:
    state = str(row.get("state", "?"))
    return Cell(word(look.language, "request", state, REQUEST_TONES), REQUEST_TONES.get(state, ""))


def request_command(row: Row, look: Look) -> Cell:
    steps = steps_of(row)
    if not steps:
        return Cell(one_line(row.get("text") or "-"))
    more = say(look.language, "console_more_steps", count=len(steps) - 1) + " " if len(steps) > 1 else ""
    return Cell(more + brief(command(steps[0].get("argv")), look.cut))


def steps_of(row: Row) -> list[dict[str, Any]]:
    """The steps of a request's plan; none where it has none."""
    plan = row.get("plan")
    steps = plan.get("steps") if isinstance(plan, dict) else None
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list | tuple) else []


def machine_count(row: Row) -> int:
    """How many machines a request is for; a list's row does not name them all."""
    told = number_or_none(row.get("machines"))
    return int(told) if told is not None else len(machines_of(row))


def is_cut(row: Row) -> bool:
    """Whether the row shows less of its plan than there is: rows of lists are kept small."""
    return bool(row.get("argv_cut")) or any(
        step.get("argv_cut") or (number_or_none(step.get("target_count")) or 0) > len(targets_of(step))
        for step in steps_of(row)
    )


def targets_of(step: Row) -> list[Any]:
    """The machines of a step as the hub says them; none where it says none."""
    targets = step.get("targets")
    return list(targets) if isinstance(targets, list | tuple) else []


def machines_of(row: Row) -> list[str]:
    return sorted({one_line(name, 64) for step in steps_of(row) for name in targets_of(step)})


def _machines(row: Row, look: Look) -> Cell:
    names, count = machines_of(row), machine_count(row)
    if count == 1 and names:
        return Cell(names[0])
    return Cell(say(look.language, "console_machines", count=number(count)) if count else "-")


def _needs(row: Row, look: Look) -> Cell:
    if str(row.get("state")) != "asking":
        return Cell("")
    given = number_or_none(row.get("given")) or 0
    text = f"{int(given)}/{one_line(row.get('approvers', '?'), 3)}"
    return Cell(text + (" " + say(look.language, "console_with_code") if row.get("second_factor") else ""))


REQUESTS: Final = (
    Column("left", 6, request_left, right=True, sort="decide_by"),
    Column("state", 9, request_state, drop=1, sort="state"),
    Column("request", 7, lambda row, look: Cell(f"r{one_line(row.get('number', '?'), 12)}"), sort="number"),
    Column("who", 12, who, flex=1, sort="person"),
    Column("needs", 12, _needs, drop=2),
    Column("machines", 12, _machines, drop=1),
    Column("command", 20, request_command, flex=5),
)

# ---- machines


def agent_state(row: Row, look: Look) -> Cell:
    state = str(row.get("state", "active"))
    if state != "active":
        return Cell(word(look.language, "agent", state, ("locked", "revoked")), "bad")
    if row.get("draining"):
        return Cell(say(look.language, "console_agent_draining"), "warn")
    if row.get("paused_by"):
        return Cell(say(look.language, "console_agent_paused"), "warn")
    if row.get("online"):
        return Cell(say(look.language, "console_agent_online"), "ok")
    return Cell(say(look.language, "console_agent_offline"), "bad")


def vital(row: Row, key: str) -> float | None:
    vitals = row.get("vitals")
    return number_or_none(vitals.get(key)) if isinstance(vitals, dict) else None


def _share(row: Row, key: str) -> Cell:
    value = vital(row, key)
    return Cell("-" if value is None else f"{value:.0f}%", "warn" if value is not None and value >= 90 else "")


def _load(row: Row, look: Look) -> Cell:
    load = vital(row, "load1")
    return Cell("-" if load is None else f"{load:.2f}")


def _seen(row: Row, look: Look) -> Cell:
    if row.get("online"):
        return Cell("")
    seen = number_or_none(row.get("last_seen"))
    return Cell(age(None if seen is None else look.now - seen), "dim")


def labels(row: Row) -> str:
    found = row.get("labels")
    return (
        one_line(" ".join(f"{key}={value}" for key, value in sorted(found.items(), key=str)))
        if isinstance(found, dict)
        else ""
    )


AGENTS: Final = (
    Column("state", 9, agent_state, sort="state"),
    Column("rtt", 6, lambda row, look: Cell(latency(number_or_none(row.get("rtt")))), right=True, sort="rtt", drop=3),
    Column("load", 6, _load, right=True, sort="load", drop=1),
    Column("memory", 5, lambda row, look: _share(row, "memory"), right=True, drop=4),
    Column("queued", 6, lambda row, look: Cell(number(number_or_none(row.get("queued")))), right=True, sort="queued"),
    Column("running", 5, lambda row, look: Cell(number(number_or_none(row.get("running")))), right=True, drop=2),
    Column("seen", 6, _seen, right=True, sort="last_seen", drop=1),
    Column("name", 16, lambda row, look: Cell(one_line(row.get("name", "?"), 64)), flex=2, sort="name"),
    Column("version", 8, lambda row, look: Cell(one_line(row.get("version") or "-", 16)), drop=5, sort="version"),
    Column("labels", 12, lambda row, look: Cell(labels(row), "dim"), flex=4, drop=1),
)

# ---- audit, activity


SAID_ELSEWHERE: Final = frozenset({"argv", "at", "number", "before", "after"})
EVENT_ORDER: Final = {"verb": -2, "was": -1, "why": -1, "reason": -1, "of": 1, "via": 1, "from": 1}
"""What of an event's data is told before all else, and after it."""


def event_order(item: tuple[Any, Any]) -> int:
    """What of an event's data is told first."""
    return EVENT_ORDER.get(str(item[0]), 0)


def event_words(row: Row, cut: str = "…") -> str:
    """An event's data on one line: the command first, hashes short, without what the other columns say and what is
    not so."""
    data = row.get("data")
    if not isinstance(data, dict):
        return one_line(data) if data else ""
    argv = data.get("argv") or row.get("argv")
    parts = [brief(command(argv), cut)] if argv else []
    for key, value in sorted(data.items(), key=event_order):
        if value in ("", None) or value is False or key in SAID_ELSEWHERE:
            continue
        if key == "agent" and value == row.get("actor"):
            continue
        parts.append(f"{key}={_event_value(str(key), value)}")
    return one_line("  ".join(parts))


def _event_value(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}:{count}" for name, count in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    at = number_or_none(value)
    if at is not None and at > A_DATE and is_date(at):
        return moment(at, 0.0)
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)[:8] if key.endswith("hash") else str(value)


def event_tone(row: Row) -> Tone:
    kind = str(row.get("kind", ""))
    if kind.endswith((".refused", ".rejected", ".failed", ".unknown", ".anomaly", ".turned_away")):
        return "bad"
    if kind.endswith((".approved", ".paused", ".edited", ".cancel_asked", ".drained")):
        return "warn"
    return ""


def _subject(row: Row, look: Look) -> Cell:
    if row.get("number"):
        return Cell(f"r{one_line(row['number'], 12)}")
    subject = one_line(row.get("subject") or "-", 64)
    return Cell(short_id(subject) if len(subject) == 26 else subject)


AUDIT: Final = (
    Column("time", 8, lambda row, look: Cell(clock(number_or_none(row.get("at"))), "dim")),
    Column("event", 19, lambda row, look: Cell(one_line(row.get("kind", "?"), 40), event_tone(row)), flex=1),
    Column("actor", 12, lambda row, look: Cell(one_line(row.get("actor") or "-", 64)), flex=1),
    Column("subject", 12, _subject, flex=1, drop=1),
    Column("told", 16, lambda row, look: Cell(event_words(row, look.cut)), flex=6),
    Column("seq", 8, lambda row, look: Cell(one_line(row.get("seq", ""), 12), "dim"), drop=2, right=True),
)
ACTIVITY: Final = tuple(column for column in AUDIT if column.key not in ("seq",))

# ---- lanes, what needs you


def _stage(row: Row, look: Look) -> Cell:
    stages = ("received", "planning", "approval", "queued", "running", "done")
    return Cell(word(look.language, "lane", row.get("stage", "?"), stages))


def _lane_state(row: Row, look: Look) -> Cell:
    state, note = str(row.get("state", "ok")), one_line(row.get("note") or "", 120)
    text = word(look.language, "lane_is", state, LANE_TONES)
    return Cell(f"{text}  {note}" if note else text, LANE_TONES.get(state, ""))


def _lane_latency(key: str) -> Any:
    return lambda row, look: Cell(latency(number_or_none(row.get(key))))


def _trend(row: Row, look: Look) -> Cell:
    trend = row.get("trend")
    values = [number_or_none(value) for value in trend] if isinstance(trend, list | tuple) else []
    return Cell(spark(values, 20, plain=look.ascii), "busy")


LANES: Final = (
    Column("lane", 9, _stage),
    Column("count", 6, lambda row, look: Cell(short_number(number_or_none(row.get("count")))), right=True),
    Column("oldest", 6, lambda row, look: Cell(age(number_or_none(row.get("oldest")))), right=True),
    Column("p50", 6, _lane_latency("p50"), right=True, drop=2),
    Column("p95", 6, _lane_latency("p95"), right=True, drop=1),
    Column("p99", 6, _lane_latency("p99"), right=True, drop=5),
    Column("rate", 6, lambda row, look: Cell(rate(number_or_none(row.get("rate")))), right=True, drop=3),
    Column("trend", 20, _trend, drop=4),
    Column("lane_state", 27, _lane_state, flex=1),
)


def need_rows(found: Any) -> list[Row]:
    """The hub's list of what needs a person, as rows of the kind that acts take; what is no entry is left out."""
    rows: list[Row] = []
    for entry in found[:200] if isinstance(found, list | tuple) else ():
        if not isinstance(entry, Mapping):
            continue
        need = str(entry.get("kind", "?"))
        about = entry.get("job") or (f"r{entry['number']}" if entry.get("number") else entry.get("agent"))
        row = {**entry, "id": str(about), "need": need, "person": entry.get("who"), "decide_by": entry.get("expires")}
        row |= {"state": NEED_STATES.get(need, "active"), "name": entry.get("agent")}
        rows.append(row)
    return rows


def _need(row: Row, look: Look) -> Cell:
    need = str(row.get("need", "?"))
    return Cell(word(look.language, "need", need, NEED_TONES), NEED_TONES.get(need, ""))


def _need_age(row: Row, look: Look) -> Cell:
    until = number_or_none(row.get("decide_by"))
    if until is not None:
        left = max(0.0, until - look.now)
        return Cell(say(look.language, "console_left", age=age(left)), "bad" if left < SOON else "")
    since = number_or_none(row.get("since"))
    return Cell(age(None if since is None else look.now - since))


NEEDS: Final = (
    Column("left_or_age", 11, _need_age, right=True),
    Column("need", 9, _need),
    Column("request", 7, lambda row, look: Cell(f"r{one_line(row.get('number', '?'), 12)}")),
    Column("who", 12, who, flex=1),
    Column("where", 11, lambda row, look: Cell(_where(row, look)), flex=1, drop=1),
    Column("command", 16, _command, flex=5),
)


def _where(row: Row, look: Look) -> str:
    count = number_or_none(row.get("count")) or 0
    if row.get("agent"):
        return one_line(row["agent"], 64)
    return say(look.language, "console_machines", count=number(count)) if count else "-"


def title_of(kind: Kind, row: Row) -> str:
    """What a row is called in a line about it: r41, web-1, "web-1 4f2a1c"."""
    if kind == "request":
        return f"r{one_line(row.get('number') or '?', 12)}"
    if kind == "job":
        return f"{one_line(row.get('agent') or '?', 64)} {short_id(row['id'])}"
    return one_line(row.get("name") or row.get("agent") or row.get("stage") or row["id"], 64)
