"""A job, a request, a machine or an event in full, as lines to read. Pure.

What an approval is about is exact and complete: argument vectors are never cut, only wrapped. All else from outside
is one safe line each.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from common.catalogue import say
from common.text import clean, escape_argv
from tui import show
from tui.format import Line, Look, age, command, latency, moment, number, one_line, percent
from tui.model import Row
from tui.rows import (
    agent_state,
    event_order,
    event_words,
    is_cut,
    job_state,
    labels,
    machine_count,
    machines_of,
    number_or_none,
    request_state,
    steps_of,
    targets_of,
    vital,
)
from tui.show import width

MAX_RAW: Final = 2_000
"""Lines of a raw record."""
FACT: Final = 11
"""Cells of a fact's name."""


def fact(look: Look, key: str, value: str, tone: Any = "") -> Line:
    """`machine    web-1`: the name of a fact, padded by cells, and the fact."""
    name = say(look.language, f"console_fact_{key}")
    return Line(name + " " * max(1, FACT - width(name)) + value, tone, indent=FACT)


# ---- what another version of the hub may say


def items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def rows_in(value: Any) -> list[Row]:
    return [row for row in items(value) if isinstance(row, Mapping)]


def size(value: Any) -> str:
    return show.size(number_or_none(value) or 0)


# ---- plans


def hash_words(plan_hash: Any) -> str:
    """The hash in groups that can be read aloud: 4be1 90c2 … (the first 16 of 64)."""
    text = one_line(plan_hash or "-", 64)
    return " ".join(text[at : at + 4] for at in range(0, min(16, len(text)), 4))


def plan_lines(steps: Sequence[Mapping[str, Any]], look: Look) -> list[Line]:
    """Exactly what would run."""
    lines: list[Line] = []
    if is_cut({"plan": {"steps": list(steps)}}):
        lines.append(Line(say(look.language, "console_plan_cut"), "warn"))
    for index, step in enumerate(steps, 1):
        if len(steps) > 1:
            lines.append(Line(say(look.language, "console_step_of", step=index, steps=len(steps)), "head"))
        lines.append(Line(escape_argv([str(word) for word in items(step.get("argv"))]), "key", "|"))
        targets = [one_line(name, 64) for name in targets_of(step)]
        lines.append(fact(look, "runs_on", ", ".join(targets)))
        if step.get("cwd"):
            lines.append(fact(look, "folder", escape_argv([str(step["cwd"])])[1:-1]))
        for name, value in sorted(mapping(step.get("env")).items(), key=str):
            lines.append(fact(look, "variable", escape_argv([f"{name}={value}"])[1:-1]))
        limits = f"{one_line(step.get('time_limit', '-'), 12)} s"
        if step.get("output_cap") is not None:
            limits += f"  {say(look.language, 'console_output_cap', size=size(step['output_cap']))}"
        lines.append(fact(look, "limit", limits))
    return lines


def approve_lines(request: Row, look: Look, person: str) -> list[Line]:
    """All that a person must know before saying yes, and the plan itself."""
    language = look.language
    asked = (
        f"{one_line(request.get('person') or '?', 64)}  {moment(number_or_none(request.get('received_at')), look.now)}"
    )
    if request.get("inlet"):
        asked += f"  {one_line(request['inlet'], 32)}"
    lines = [fact(look, "asked_by", asked)]
    if request.get("text"):
        lines.append(fact(look, "said", one_line(request["text"], 1_000)))
    lines += plan_lines(steps_of(request), look)  # before all else: on a small screen it must not be out of sight
    plan = request.get("plan") if isinstance(request.get("plan"), dict) else {}
    source = one_line((plan or {}).get("source", "-"), 64)
    if (plan or {}).get("tainted"):
        source += "  " + say(language, "console_tainted")
    lines.append(fact(look, "planned_by", source, "warn" if (plan or {}).get("tainted") else ""))
    lines.append(fact(look, "machines", reach(request, look)))
    if request.get("reason"):
        why = one_line(request["reason"], 600)
        lines.append(
            fact(look, "why_asked", f"{why} ({one_line(request['rule'], 64)})" if request.get("rule") else why, "warn")
        )
    lines.append(fact(look, "needs", needs_words(request, look, person)))
    lines += [
        fact(look, "approved_by", approval_words(given, look), "ok") for given in rows_in(request.get("approvals"))
    ]
    lines.append(fact(look, "plan", f"sha256 {hash_words(request.get('plan_hash'))}"))
    lines += [fact(look, "differs", one_line(note), "warn") for note in items(request.get("differs"))]
    return lines


def reach(request: Row, look: Look) -> str:
    """How many machines, and how many of them are there."""
    names = machines_of(request)
    count = machine_count(request)
    text = ", ".join(names[:3]) if count <= 3 else say(look.language, "console_machines", count=number(count))
    online = number_or_none(request.get("online"))
    if online is None:
        return text
    missing = count - int(online)
    key = "console_reach_all" if missing <= 0 else "console_reach_some"
    return say(look.language, key, machines=text, online=number(online), offline=number(max(0, missing)))


def needs_words(request: Row, look: Look, person: str) -> str:
    language = look.language
    words = say(language, "console_needs", count=one_line(request.get("approvers", "?"), 4))
    if request.get("second_factor"):
        words += "  " + say(language, "console_needs_code")
    if not request.get("own_approval"):
        key = "console_own_blocked" if person and person == request.get("person") else "console_own_not"
        words += "  " + say(language, key)
    return words


def approval_words(given: Mapping[str, Any], look: Look) -> str:
    text = f"{one_line(given.get('person', '?'), 64)}  {moment(number_or_none(given.get('at')), look.now)}"
    return text + (f"  {one_line(given['via'], 32)}" if given.get("via") else "")


def diff_lines(before: str, after: str) -> list[Line]:
    """What an edit changes, line by line; the sign says it, colour repeats it."""
    lines = []
    for text in list(difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=2))[2:]:
        tone: Any = {"+": "ok", "-": "bad", "@": "dim"}.get(text[:1], "")
        lines.append(Line(clean(text, limit=40_000), tone, indent=2))  # a wrapped line begins with no sign
    return lines


# ---- requests


def request_lines(request: Row, look: Look) -> list[Line]:
    state = request_state(request, look)
    lines = [fact(look, "state", state.text, state.tone)]
    if request.get("reason") and request.get("state") != "asking":
        lines.append(fact(look, "reason", one_line(request["reason"], 600)))
    lines += approve_lines(request, look, "")[:-1] if not steps_of(request) else approve_lines(request, look, "")
    return lines


def request_timeline(request: Row, look: Look) -> list[Line]:
    steps = [("received_at", "received"), ("planned_at", "planned"), ("decided_at", "decided"), ("ended_at", "ended")]
    lines = _timeline(request, steps, look)
    lines += [
        fact(look, "approved_by", approval_words(given, look), "ok") for given in rows_in(request.get("approvals"))
    ]
    for job in rows_in(request.get("jobs")):
        state = job_state(job, look)
        lines.append(Line(f"{one_line(job.get('agent', '?'), 64)}  {state.text}  {end_words(job, look)}", state.tone))
    return lines


def _timeline(row: Row, steps: Iterable[tuple[str, str]], look: Look) -> list[Line]:
    """Moments in their order, each with how long it took to get there."""
    lines, last = [], None
    for key, name in steps:
        at = number_or_none(row.get(key))
        if at is None:
            continue
        took = "" if last is None else f"  +{latency(max(0.0, at - last))}"
        lines.append(fact(look, name, moment(at, look.now) + took))
        last = at
    return lines


# ---- jobs


def job_head(job: Row, look: Look) -> list[Line]:
    """Two lines that say what a job is and how it is doing."""
    state = job_state(job, look)
    first = f"{one_line(job.get('agent', '?'), 64)}  {state.text}  {end_words(job, look)}".rstrip()
    return [Line(first, state.tone), Line(command(job.get("argv")), "key", "$")]


def end_words(job: Row, look: Look) -> str:
    """How it ended, or how long it runs; asked to cancel is not cancelled."""
    language, state = look.language, str(job.get("state", ""))
    parts = []
    if job.get("cancel_asked_by") and state in ("queued", "leased", "accepted", "running"):
        since = age(look.now - (number_or_none(job.get("cancel_asked_at")) or look.now))
        parts.append(say(language, "console_cancel_asked_by", person=one_line(job["cancel_asked_by"], 64), age=since))
    started = number_or_none(job.get("started_at"))
    if state == "running" and started is not None:
        parts.append(say(language, "console_running_for", age=age(look.now - started)))
    if job.get("exit_code") is not None:
        parts.append(say(language, "console_exit", code=one_line(job["exit_code"], 6)))
    if job.get("signal"):
        parts.append(say(language, "console_signal", signal=one_line(job["signal"], 6)))
    if number_or_none(job.get("duration")) is not None:
        parts.append(latency(number_or_none(job.get("duration"))))
    if job.get("reason"):
        parts.append(one_line(job["reason"], 300))
    return "  ".join(parts)


def job_lines(job: Row, look: Look) -> list[Line]:
    state = job_state(job, look)
    lines = [
        fact(look, "state", f"{state.text}  {end_words(job, look)}".rstrip(), state.tone),
        fact(look, "job", one_line(job.get("id", "?"), 40)),
        fact(look, "request", f"r{one_line(job.get('number', '?'), 12)}"),
        fact(look, "asked_by", one_line(job.get("person") or "?", 64)),
        fact(look, "machine", one_line(job.get("agent", "?"), 64)),
        fact(look, "plan", f"sha256 {hash_words(job.get('plan_hash'))}"),
        fact(look, "priority", one_line(job.get("priority", "-"), 6)),
        Line(escape_argv([str(word) for word in items(job.get("argv")) or ("-",)]), "key", "|"),
    ]
    if job.get("parent"):
        lines.append(fact(look, "retries", one_line(job["parent"], 40)))
    if number_or_none(job.get("max_rss")):
        values = {
            "user": latency(number_or_none(job.get("cpu_user"))),
            "system": latency(number_or_none(job.get("cpu_system"))),
            "memory": size(job["max_rss"]),
        }
        lines.append(fact(look, "used", say(look.language, "console_used", **values)))
    if job.get("output_digest"):
        lines.append(
            fact(look, "output", f"{size(job.get('output_bytes'))}  sha256 {hash_words(job['output_digest'])}")
        )
    if job.get("truncated"):
        lines.append(Line(say(look.language, "console_truncated"), "warn"))
    return lines


def job_timeline(job: Row, look: Look) -> list[Line]:
    steps = [
        ("queued_at", "queued"),
        ("leased_at", "leased"),
        ("accepted_at", "accepted"),
        ("started_at", "started"),
        ("ended_at", "ended"),
    ]
    lines = _timeline(job, steps, look)
    until = number_or_none(job.get("not_after"))
    if until is not None and job.get("state") == "queued":
        lines.append(fact(look, "not_after", moment(until, look.now)))
    return lines


# ---- machines, events, anything


def agent_lines(agent: Row, look: Look) -> list[Line]:
    language, state = look.language, agent_state(agent, look)
    lines = [fact(look, "state", state.text, state.tone)]
    if agent.get("paused_by"):
        values = {
            "person": one_line(agent["paused_by"], 64),
            "age": age(look.now - (number_or_none(agent.get("paused_at")) or look.now)),
            "why": one_line(agent.get("pause_reason") or "-", 300),
        }
        lines.append(Line(say(language, "console_paused_by", **values), "warn"))
    if isinstance(agent.get("draining"), dict):
        drain = agent["draining"]
        values = {"left": number(number_or_none(drain.get("left"))), "of": number(number_or_none(drain.get("of")))}
        lines.append(Line(say(language, "console_draining", **values), "warn"))
    seen = number_or_none(agent.get("last_seen"))
    if not agent.get("online"):
        lines.append(fact(look, "seen", age(None if seen is None else look.now - seen)))
    lines += [
        fact(
            look,
            "queue",
            say(
                language,
                "console_queue_of",
                queued=number(number_or_none(agent.get("queued"))),
                running=number(number_or_none(agent.get("running"))),
            ),
        ),
        fact(look, "link", latency(number_or_none(agent.get("rtt")))),
        fact(look, "labels", labels(agent) or "-"),
        fact(look, "version", one_line(agent.get("version") or "-", 32)),
    ]
    load, memory, disk = vital(agent, "load1"), vital(agent, "memory"), vital(agent, "disk")
    words = [
        f"load {load:.2f}" if load is not None else "",
        f"mem {percent(memory / 100)}" if memory is not None else "",
    ]
    words.append(f"disk {percent(disk / 100)}" if disk is not None else "")
    if any(words):
        lines.append(fact(look, "vitals", "  ".join(word for word in words if word)))
    facts = agent.get("facts")
    for key, value in sorted(facts.items(), key=str) if isinstance(facts, dict) else ():
        lines.append(Line(f"{one_line(key, 40)}: {one_line(value, 200)}", "dim"))
    return lines


def event_lines(event: Row, look: Look) -> list[Line]:
    """Why comes before what: an edit's change may be longer than the screen."""
    subject = one_line(event.get("subject") or "-", 64)
    if event.get("number"):
        subject = f"r{one_line(event['number'], 12)}  {subject}"
    lines = [
        fact(look, "event", f"{one_line(event.get('kind', '?'), 64)}  #{one_line(event.get('seq', '?'), 16)}", "key"),
        fact(look, "time", moment(number_or_none(event.get("at")), look.now)),
        fact(look, "actor", one_line(event.get("actor") or "-", 64)),
        fact(look, "subject", subject),
    ]
    data = event.get("data")
    if isinstance(data, dict):
        told = sorted(data.items(), key=event_order)
        before, after = data.get("before"), data.get("after")
        is_edit = isinstance(before, str) and isinstance(after, str)
        if is_edit:
            told = [item for item in told if item[0] not in ("before", "after")]
        first = sum(event_order(item) < 0 for item in told)
        lines += [_event_fact(*item) for item in told[:first]]
        if is_edit:
            lines += diff_lines(str(before), str(after))
        lines += [_event_fact(*item) for item in told[first:]]
    return [*lines, fact(look, "chain", hash_words(event.get("hash")))]


def _event_fact(key: Any, value: Any) -> Line:
    said = escape_argv(list(map(str, value))) if key == "argv" and isinstance(value, list) else value
    return Line(f"{one_line(key, 40)}: {one_line(said, 4_000)}")


def event_line(event: Row, look: Look) -> Line:
    at = moment(number_or_none(event.get("at")), look.now)
    return Line(
        f"{at}  {one_line(event.get('kind', '?'), 40)}  {one_line(event.get('actor') or '-', 40)}  {event_words(event)}"
    )


def raw_lines(row: Row) -> list[Line]:
    """The record as the hub gave it."""
    text = json.dumps(row, indent=2, ensure_ascii=False, default=lambda value: f"<{type(value).__name__}>")
    return [Line(clean(line, limit=4_000)) for line in text.split("\n")[:MAX_RAW]]
