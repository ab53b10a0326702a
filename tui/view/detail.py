"""A job, a request, a machine or an event in full, as lines to read. Pure.

What an approval is about is exact and complete: argument vectors are never cut, only wrapped. All else from outside
is one safe line each.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from common.api.agents import AgentView, VitalsView
from common.api.codec import encode
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.plans import AnyStep, StepView
from common.api.requests import ApprovalView, RequestDetails, RequestFields
from common.catalogue import translate
from common.machine.end_notes import note_sentences
from common.machine.redelivery import redelivery_sentence
from common.policy.protections import told_variables
from common.text import clean, escape_argv
from common.values import format_duration, split_duration
from tui.model.window import Row
from tui.text import tables
from tui.text.format import (
    PaneLine,
    RenderContext,
    fit_samples,
    format_age,
    format_latency,
    format_moment,
    format_number,
    format_percent,
    highest,
    join_nonempty,
    one_line,
    sparkline,
)
from tui.text.tables import cell_width
from tui.view.columns import (
    agent_state,
    format_away,
    format_labels,
    job_state,
    machine_names,
    request_state,
)
from tui.view.events import event_key_order, event_subject, event_tone, event_words, format_event_value

MAX_RAW: Final = 2_000
"""Lines of a raw record."""
VITAL_CELLS: Final = 8
"""Cells of a value before its graph."""
MIN_GRAPH: Final = 12
HIGH_MEMORY: Final = 90.0
"""Percent of memory or disk from which on it is a warning."""
FACT_ORDER: Final = ("os", "kernel", "arch", "cpus", "memory", "hostname", "address", "python")
PROGRAM_FACTS: Final = frozenset({"boot", "wake"})
"""What a machine says of itself that only programs compare; it stands in the raw record."""
FACT_LABEL_WIDTH: Final = 11
"""Cells of a fact's name."""


def fact_line(ctx: RenderContext, key: str, value: str, tone: Any = "") -> PaneLine:
    """`machine    web-1`: the name of a fact, padded by cells, and the fact."""
    name = translate(ctx.language, f"console_fact_{key}")
    return PaneLine(name + " " * max(1, FACT_LABEL_WIDTH - cell_width(name)) + value, tone, indent=FACT_LABEL_WIDTH)


# ---- plans


def group_hash(plan_hash: str) -> str:
    """The hash in groups that can be read aloud: 4be1 90c2 … (the first 16 of 64)."""
    text = one_line(plan_hash or "-", 64)
    return " ".join(text[at : at + 4] for at in range(0, min(16, len(text)), 4))


def plan_lines(steps: Sequence[AnyStep], ctx: RenderContext) -> list[PaneLine]:
    """Exactly what would run."""
    lines: list[PaneLine] = []
    if any(step.is_cut for step in steps):
        lines.append(PaneLine(translate(ctx.language, "console_plan_cut"), "warn"))
    for index, step in enumerate(steps, 1):
        if len(steps) > 1:
            lines.append(PaneLine(translate(ctx.language, "console_step_of", step=index, steps=len(steps)), "head"))
        lines.append(PaneLine(tables.quote_command(step.argv, step.filters), "key", "|"))
        lines.append(fact_line(ctx, "runs_on", ", ".join(one_line(name, 64) for name in step.targets)))
        if step.cwd:
            lines.append(fact_line(ctx, "folder", escape_argv([step.cwd])[1:-1]))
        limits = format_duration(step.time_limit)
        if isinstance(step, StepView):
            if step.script is not None and step.script.word < len(step.argv):
                name = one_line(step.argv[step.script.word], 200)
                told = translate(ctx.language, "ask_script", name=name, digest=one_line(step.script.sha256, 64))
                lines.append(PaneLine(told, "key"))
            for name, value in told_variables(sorted(step.env.items())):
                lines.append(fact_line(ctx, "variable", escape_argv([f"{name}={value}"])[1:-1]))
            cap = translate(ctx.language, "console_output_cap", size=tables.format_size(step.output_cap))
            limits += f"  {cap}"
        lines.append(fact_line(ctx, "limit", limits))
    return lines


def approval_lines(request: RequestFields, ctx: RenderContext, person: str) -> list[PaneLine]:
    """All that a person must know before saying yes, and the plan itself."""
    language, plan = ctx.language, request.plan
    asked = f"{one_line(request.person or '?', 64)}  {format_moment(request.received_at, ctx.now, ctx.zone)}"
    if request.inlet:
        asked += f"  {one_line(request.inlet, 32)}"
    lines = [fact_line(ctx, "asked_by", asked)]
    if request.text:
        lines.append(fact_line(ctx, "said", one_line(request.text, 1_000)))
    lines += plan_lines(request.steps, ctx)  # before all else: on a small screen it must not be out of sight
    source, tainted = (one_line(plan.source, 64), plan.tainted) if plan is not None else ("-", False)
    if tainted:
        source += "  " + translate(language, "console_tainted")
    lines.append(fact_line(ctx, "planned_by", source, "warn" if tainted else ""))
    lines.append(fact_line(ctx, "machines", describe_reach(request, ctx)))
    if request.reason:
        why = one_line(request.reason, 600)
        rule = f" ({one_line(request.rule, 64)})" if request.rule else ""
        lines.append(fact_line(ctx, "why_asked", why + rule, "warn"))
    lines.append(fact_line(ctx, "needs", describe_needed_approvals(request, ctx, person)))
    lines += _approved_lines(request, ctx)
    lines.append(fact_line(ctx, "plan", f"sha256 {group_hash(request.plan_hash)}"))
    return lines


def _approved_lines(request: RequestFields, ctx: RenderContext) -> list[PaneLine]:
    """Who has approved, as far as the request says it."""
    approvals = (request.approvals or ()) if isinstance(request, RequestDetails) else ()
    return [fact_line(ctx, "approved_by", describe_approval(given, ctx), "ok") for given in approvals]


def describe_reach(request: RequestFields, ctx: RenderContext) -> str:
    """The machines by name where they are few, else how many."""
    count = request.machine_count
    if count <= 3:
        return ", ".join(machine_names(request)[:3])
    return translate(ctx.language, "console_machines", count=format_number(count))


def describe_needed_approvals(request: RequestFields, ctx: RenderContext, person: str) -> str:
    language = ctx.language
    words = translate(language, "console_needs", count=request.approvers)
    if request.second_factor:
        words += "  " + translate(language, "console_needs_code")
    if not request.own_approval:
        key = "console_own_blocked" if person and person == request.person else "console_own_not"
        words += "  " + translate(language, key)
    return words


def describe_approval(given: ApprovalView, ctx: RenderContext) -> str:
    text = f"{one_line(given.person, 64)}  {format_moment(given.at, ctx.now, ctx.zone)}"
    return text + (f"  {one_line(given.via, 32)}" if given.via else "")


def diff_lines(before: str, after: str) -> list[PaneLine]:
    """What an edit changes, line by line; the sign says it, colour repeats it."""
    lines = []
    for text in list(difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=2))[2:]:
        tone: Any = {"+": "ok", "-": "bad", "@": "dim"}.get(text[:1], "")
        lines.append(PaneLine(clean(text, limit=40_000), tone, indent=2))  # a wrapped line begins with no sign
    return lines


# ---- requests


def request_lines(request: RequestFields, ctx: RenderContext) -> list[PaneLine]:
    state = request_state(request, ctx)
    lines = [fact_line(ctx, "state", state.text, state.tone)]
    if request.reason and not request.is_asking:
        lines.append(fact_line(ctx, "reason", one_line(request.reason, 600)))
    lines += approval_lines(request, ctx, "") if request.steps else approval_lines(request, ctx, "")[:-1]
    return lines


def request_timeline(request: RequestFields, ctx: RenderContext) -> list[PaneLine]:
    moments = (
        ("received", request.received_at),
        ("planned", request.planned_at),
        ("decided", request.decided_at),
        ("ended", request.ended_at),
    )
    lines = [*_timeline(moments, ctx), *_approved_lines(request, ctx)]
    for job in request.jobs if isinstance(request, RequestDetails) else ():
        state = job_state(job, ctx)
        lines.append(PaneLine(f"{one_line(job.agent, 64)}  {state.text}  {describe_end(job, ctx)}", state.tone))
        lines += note_lines(job, ctx)
    return lines


def _timeline(moments: Iterable[tuple[str, float | None]], ctx: RenderContext) -> list[PaneLine]:
    """Moments in their order, each with how long it took to get there."""
    lines, last = [], None
    for name, at in moments:
        if at is None:
            continue
        took = "" if last is None else f"  +{format_latency(max(0.0, at - last))}"
        lines.append(fact_line(ctx, name, format_moment(at, ctx.now, ctx.zone) + took))
        last = at
    return lines


# ---- jobs


def describe_end(job: JobView, ctx: RenderContext) -> str:
    """How it ended, or how long it runs; asked to cancel is not cancelled."""
    language = ctx.language
    parts = []
    if job.cancel_asked_by and (job.is_queued or job.is_handed_out):
        since = format_age(ctx.now - (job.cancel_asked_at or ctx.now))
        parts.append(
            translate(language, "console_cancel_asked_by", person=one_line(job.cancel_asked_by, 64), age=since)
        )
    if job.lost_contact is not None:
        at = format_moment(job.lost_contact, ctx.now, ctx.zone)
        parts.append(translate(language, "console_lost_contact", at=at))
    elif job.is_running and job.started_at is not None:
        parts.append(translate(language, "console_running_for", age=format_age(ctx.now - job.started_at)))
    if job.exit_code is not None:
        parts.append(translate(language, "console_exit", code=one_line(job.exit_code, 6)))
    if job.signal:
        parts.append(translate(language, "console_signal", signal=one_line(job.signal, 6)))
    if job.duration is not None:
        parts.append(format_latency(job.duration))
    if job.reason:
        parts.append(one_line(job.reason, 300))
    return "  ".join(parts)


def job_lines(job: JobView, ctx: RenderContext) -> list[PaneLine]:
    state = job_state(job, ctx)
    lines = [
        fact_line(ctx, "state", f"{state.text}  {describe_end(job, ctx)}".rstrip(), state.tone),
        fact_line(ctx, "job", one_line(job.id, 40)),
        fact_line(ctx, "request", f"r{job.number}" if job.number else "-"),
        fact_line(ctx, "asked_by", one_line(job.person or "?", 64)),
        fact_line(ctx, "machine", one_line(job.agent, 64)),
        fact_line(ctx, "plan", f"sha256 {group_hash(job.plan_hash)}"),
        fact_line(ctx, "priority", str(job.priority)),
        PaneLine(tables.quote_command(job.argv, job.filters), "key", "|"),
    ]
    if job.parent:
        lines.append(fact_line(ctx, "retries", one_line(job.parent, 40)))
    if job.max_rss:
        values = {
            "user": format_latency(job.cpu_user),
            "system": format_latency(job.cpu_system),
            "memory": tables.format_size(job.max_rss),
        }
        lines.append(fact_line(ctx, "used", translate(ctx.language, "console_used", **values)))
    if job.output_digest:
        size = tables.format_size(job.output_bytes)
        lines.append(fact_line(ctx, "output", f"{size}  sha256 {group_hash(job.output_digest)}"))
    if (again := redelivery_sentence(job.redeliveries, job.redelivery_code)) is not None:
        lines.append(PaneLine(again.render(ctx.language), "warn" if job.is_open else "dim"))
    return lines + note_lines(job, ctx)


def note_lines(job: JobView, ctx: RenderContext) -> list[PaneLine]:
    """What is lost of its output, what it left running."""
    notes = note_sentences(job.notes, one_line(job.agent, 64), lambda text: one_line(text, 200))
    lines = [PaneLine(note.render(ctx.language), "warn") for note in notes]
    if job.truncated and not tables.has_loss_note(job):
        lines.append(PaneLine(translate(ctx.language, "console_truncated"), "warn"))
    return lines


def job_timeline(job: JobView, ctx: RenderContext) -> list[PaneLine]:
    moments = (
        ("queued", job.queued_at),
        ("leased", job.leased_at),
        ("accepted", job.accepted_at),
        ("started", job.started_at),
        ("ended", job.ended_at),
    )
    lines = _timeline(moments, ctx)
    if job.not_after is not None and job.is_queued:
        lines.append(fact_line(ctx, "not_after", format_moment(job.not_after, ctx.now, ctx.zone)))
    return lines


# ---- machines, events, anything


def describe_pause(agent: AgentView, ctx: RenderContext, limit: int = 300) -> str:
    """Who paused it, how long ago, until when, and why."""
    until = ""
    if agent.paused_until is not None:
        moment = format_moment(agent.paused_until, ctx.now, ctx.zone)
        until = translate(ctx.language, "console_told_until", at=moment)
    values = {
        "until": until,
        "person": one_line(agent.paused_by, 64),
        "age": format_age(ctx.now - (agent.paused_at or ctx.now)),
        "why": one_line(agent.pause_reason or "-", limit),
    }
    return translate(ctx.language, "console_paused_by", **values)


def agent_lines(
    agent: AgentView, ctx: RenderContext, vitals: VitalsView | None = None, width: int = 0
) -> list[PaneLine]:
    """How it is and how it was in the last minutes, as graphs in `width` cells, then what it is."""
    language, state = ctx.language, agent_state(agent, ctx)
    lines = [fact_line(ctx, "state", state.text, state.tone)]
    if away := format_away(agent, ctx):
        lines.append(fact_line(ctx, "away", away, "warn" if agent.online else "bad"))
    if agent.is_paused:
        lines.append(PaneLine(describe_pause(agent, ctx), "warn"))
    if agent.draining is not None:
        values = {"left": format_number(agent.draining.left), "of": format_number(agent.draining.of)}
        lines.append(PaneLine(translate(language, "console_draining", **values), "warn"))
    if not agent.online:
        past = format_age(None if agent.last_seen is None else ctx.now - agent.last_seen)
        when = format_moment(agent.last_seen, ctx.now, ctx.zone)
        lines.append(fact_line(ctx, "seen", join_nonempty((past, when if agent.last_seen is not None else ""))))
    queue = {"queued": format_number(agent.queued), "running": format_number(agent.running)}
    lines.append(fact_line(ctx, "queue", translate(language, "console_queue_of", **queue)))
    lines += vitals_lines(agent, vitals, ctx, width)
    lines += [
        fact_line(ctx, "labels", format_labels(agent) or "-"),
        fact_line(ctx, "version", one_line(agent.versions or "-", 48)),
    ]
    if agent.clock_ahead is not None:
        off = "warn" if agent.is_clock_off else ""
        lines.append(fact_line(ctx, "clock", format_offset(agent.clock_ahead), off))
    rank = {key: at for at, key in enumerate(FACT_ORDER)}
    known = sorted(agent.facts.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0]))
    lines += [PaneLine(format_fact(key, value), "dim") for key, value in known if key not in PROGRAM_FACTS]
    return lines


def format_offset(ahead: float) -> str:
    """A clock beside the hub's: `+0.3 s`, `-1 h 2 m`."""
    if abs(ahead) < 60:
        return f"{ahead:+.1f} s"
    return ("+" if ahead > 0 else "-") + " ".join(
        f"{count} {unit}" for count, unit in split_duration(round(abs(ahead))) if count
    )


def format_fact(key: str, value: str) -> str:
    """`memory: 23.5 GiB`: sizes as people read them."""
    is_size = key.startswith(("memory", "disk", "swap")) and value.isascii() and value.isdigit() and len(value) < 18
    shown = tables.format_size(int(value)) if is_size else one_line(value, 200)
    return f"{one_line(key, 40).replace('_', ' ')}: {shown}"


def vitals_lines(agent: AgentView, vitals: VitalsView | None, ctx: RenderContext, width: int) -> list[PaneLine]:
    """Load, memory and link, each with its value and, where the hub tells them, the last minutes with their scale."""
    high, memory = agent.memory is not None and agent.memory >= HIGH_MEMORY, agent.memory
    values: tuple[tuple[str, str, Any, str], ...] = (
        ("load", "-" if agent.load is None else f"{agent.load:.2f}", "", "load"),
        ("memory", "-" if memory is None else format_percent(memory / 100), "warn" if high else "", "memory"),
        ("link", format_latency(agent.rtt), "", "rtt"),
    )
    lines = []
    for key, now, tone, series in values:
        samples: tuple[float | None, ...] = getattr(vitals, series) if vitals is not None else ()
        top = 100.0 if series == "memory" else highest(samples)
        scale = "0-" + {"load": f"{top:.2f}", "memory": "100%", "rtt": format_latency(top)}[series]
        cells = min(len(samples), width - FACT_LABEL_WIDTH - VITAL_CELLS - len(scale) - 1)
        text = now
        if cells >= MIN_GRAPH and any(value is not None for value in samples):
            graph = sparkline(fit_samples(samples, cells), cells, plain=ctx.ascii, top=top)
            text = f"{now.ljust(VITAL_CELLS)}{graph} {scale}"
        lines.append(fact_line(ctx, key, text, tone))
    if vitals is not None and len(lines[0].text) > FACT_LABEL_WIDTH + VITAL_CELLS:
        span = format_age(vitals.slot * len(vitals.load))
        lines.append(
            PaneLine(
                " " * (FACT_LABEL_WIDTH + VITAL_CELLS) + translate(ctx.language, "console_vitals_span", age=span), "dim"
            )
        )
    if agent.disk is not None:
        tone = "warn" if agent.disk >= HIGH_MEMORY else ""
        lines.append(fact_line(ctx, "disk", format_percent(agent.disk / 100), tone))
    return lines


def event_lines(event: EventView, ctx: RenderContext) -> list[PaneLine]:
    """Why comes before what: an edit's change may be longer than the screen."""
    subject = one_line(event.subject or "-", 64)
    if event.number:
        subject = f"r{event.number}  {subject}"
    lines = [
        PaneLine(event_words(event, ctx), event_tone(event)),
        fact_line(ctx, "event", f"{one_line(event.kind, 64)}  #{event.seq}", "key"),
        fact_line(ctx, "time", format_moment(event.at, ctx.now, ctx.zone)),
        fact_line(ctx, "actor", one_line(event.actor or "-", 64)),
        fact_line(ctx, "subject", subject),
    ]
    said, edit = sorted(event.data.items(), key=event_key_order), event.edit
    if edit is not None:
        said = [item for item in said if item[0] not in ("before", "after")]
    first = sum(event_key_order(item) < 0 for item in said)
    lines += [_event_fact(*item, ctx) for item in said[:first]]
    if edit is not None:
        lines += diff_lines(*edit)
    lines += [_event_fact(*item, ctx) for item in said[first:]]
    return [*lines, fact_line(ctx, "chain", group_hash(event.hash))]


def _event_fact(key: str, value: Any, ctx: RenderContext) -> PaneLine:
    said = value
    if key == "argv" and isinstance(value, list | tuple):
        said = tables.quote_command(list(map(str, value)))
    elif isinstance(value, int | float):
        said = format_event_value(key, value, ctx.zone)
    return PaneLine(f"{one_line(key, 40)}: {one_line(said, 4_000)}")


def event_line(event: EventView, ctx: RenderContext) -> PaneLine:
    when = format_moment(event.at, ctx.now, ctx.zone)
    return PaneLine(f"{when}  {event_subject(event)}  {event_words(event, ctx)}", event_tone(event), indent=2)


def record_json(row: Row, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """A row as JSON, with the keys of the hub's API."""
    plain = encode(row)
    return json.dumps(plain, indent=indent, ensure_ascii=ascii_only, default=lambda value: f"<{type(value).__name__}>")


def raw_lines(row: Row) -> list[PaneLine]:
    """The record as the hub gave it."""
    text = record_json(row, indent=2, ascii_only=False)
    return [PaneLine(clean(line, limit=4_000)) for line in text.split("\n")[:MAX_RAW]]
