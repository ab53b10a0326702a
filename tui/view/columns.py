"""The columns of every table: which fields of a row stand where, in which words, in which tone. Pure.

Rows have the types of `common.api`; what a hub does not know is a dash. The state is a word in every language;
capitals and signs emphasise it, colour only repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from common.api.agents import AgentView
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.overview import LaneView, NeedView, Overview
from common.api.requests import RequestFields, RequestRow
from common.catalogue import translate
from common.machine.absence import absence_column, absence_text, clock_column, clock_text
from tui.model.actions import Kind
from tui.model.window import Row
from tui.text.format import (
    Cell,
    RenderContext,
    Tone,
    abbreviate_command,
    fit_samples,
    format_age,
    format_command,
    format_latency,
    format_moment,
    format_number,
    format_rate,
    format_short_number,
    format_short_start,
    format_start,
    highest,
    join_nonempty,
    one_line,
    short_id,
    sparkline,
    strip_standard_folder,
)
from tui.view.column import Column
from tui.view.events import event_subject, event_words
from tui.view.states import (
    ATTENTION_TONES,
    JOB_TONES,
    LANE_TONES,
    OUTCOME_TONES,
    REQUEST_TONES,
    state_label,
)

ATTENTION_STATES: Final = {"approve": "asking", "unknown": "unknown", "stuck": "running"}
EXPIRES_SOON: Final = 120.0
# ---- jobs


def job_state(job: JobView, ctx: RenderContext) -> Cell:
    if job.cancel_asked_at is not None and not job.is_settled:
        return Cell(translate(ctx.language, "console_job_cancel_asked"), "warn")
    if job.is_queued and job.agent_paused:
        return Cell(translate(ctx.language, "console_job_paused"), "warn")
    if job.is_queued and job.is_machine_away:
        return Cell(translate(ctx.language, "console_job_offline"), "dim")
    if job.lost_contact is not None:
        return Cell(translate(ctx.language, "console_job_lost"), "bad")
    if job.is_stuck(ctx.now):
        return Cell(translate(ctx.language, "console_job_stuck"), "bad")
    return Cell(state_label(ctx.language, "job", job.state, JOB_TONES), JOB_TONES.get(job.state, ""))


def job_age(job: JobView, ctx: RenderContext) -> Cell:
    """How long ago it was asked for, whatever became of it."""
    return Cell(format_age(max(0.0, ctx.now - job.queued_at)), "dim" if job.is_settled else "")


def job_took(job: JobView, ctx: RenderContext) -> Cell:
    """How long its command took, or has been running."""
    if job.is_running and job.started_at is not None:
        return Cell(format_age(max(0.0, ctx.now - job.started_at)), "busy")
    return Cell(format_latency(job.duration))


def _job_started(job: JobView, ctx: RenderContext) -> Cell:
    return Cell(format_start(job.started_at, ctx.now, ctx.zone), "dim")


def requester(person: str, inlet: str | None) -> Cell:
    person, inlet = one_line(person or "?", 40), one_line(inlet or "", 24)
    return Cell(f"{person}@{inlet}" if inlet and inlet != "console" else person)


def _job_command(job: JobView, ctx: RenderContext) -> Cell:
    return Cell(abbreviate_command(format_command(job.argv, job.filters), ctx.ellipsis))


def _exit(job: JobView, ctx: RenderContext) -> Cell:
    if job.signal:
        return Cell(f"sig {one_line(job.signal, 4)}", "bad")
    return Cell("-" if job.exit_code is None else one_line(job.exit_code, 6), "bad" if job.exit_code else "")


JOBS: Final[tuple[Column[JobView], ...]] = (
    Column("age", 6, job_age, align_right=True, sort_key="age"),
    Column("state", 9, job_state, sort_key="state"),
    Column("took", 6, job_took, align_right=True, drop_rank=1),
    Column("started", 11, _job_started, fit=True, drop_rank=5),
    Column("job", 7, lambda job, look: Cell(short_id(job.id), "dim"), drop_rank=4),
    Column("agent", 12, lambda job, look: Cell(one_line(job.agent, 64)), flex=1, sort_key="agent"),
    Column("who", 12, lambda job, look: requester(job.person, job.inlet), flex=1, drop_rank=2, sort_key="person"),
    Column(
        "priority", 5, lambda job, look: Cell(str(job.priority)), drop_rank=6, align_right=True, sort_key="priority"
    ),
    Column("exit", 6, _exit, fit=True, drop_rank=3),
    Column("command", 16, _job_command, flex=5),
)

# ---- requests


def time_to_decide(request: RequestFields, ctx: RenderContext) -> Cell:
    """Until its time to decide is over."""
    if request.decide_by is None or not request.is_asking:
        return Cell("-")
    left = request.decide_by - ctx.now
    return Cell(format_age(left) if left > 0 else "0s", "bad" if left < EXPIRES_SOON else "")


def _request_age(request: RequestFields, ctx: RenderContext) -> Cell:
    return Cell(format_age(max(0.0, ctx.now - request.received_at)), "dim")


def request_state(request: RequestFields, ctx: RenderContext) -> Cell:
    state = request.state
    if state == "done" and request.outcome in OUTCOME_TONES:  # what did not go well is never just "done"
        label = translate(ctx.language, f"console_request_done_{request.outcome}")
        return Cell(label, OUTCOME_TONES[request.outcome])
    return Cell(state_label(ctx.language, "request", state, REQUEST_TONES), REQUEST_TONES.get(state, ""))


def request_command(request: RequestFields, ctx: RenderContext) -> Cell:
    steps = request.steps
    if not steps:
        return Cell(one_line(request.text or "-"))
    more = translate(ctx.language, "console_more_steps", count=len(steps) - 1) + " " if len(steps) > 1 else ""
    return Cell(more + abbreviate_command(format_command(steps[0].argv, steps[0].filters), ctx.ellipsis))


def machine_names(request: RequestFields) -> list[str]:
    """Its machines in safe text; in a row of a list not always all of them."""
    return [one_line(name, 64) for name in request.targets]


def _machines(request: RequestFields, ctx: RenderContext) -> Cell:
    names, count = machine_names(request), request.machine_count
    if count == 1 and names:
        return Cell(names[0])
    return Cell(translate(ctx.language, "console_machines", count=format_number(count)) if count else "-")


def _approvals_needed(request: RequestRow, ctx: RenderContext) -> Cell:
    if not request.is_asking:
        return Cell("")
    text = f"{request.given}/{request.approvers}"
    return Cell(text + (" " + translate(ctx.language, "console_with_code") if request.second_factor else ""))


REQUESTS: Final[tuple[Column[RequestRow], ...]] = (
    Column("left", 6, time_to_decide, align_right=True, sort_key="decide_by"),
    Column("state", 9, request_state, drop_rank=1, sort_key="state"),
    Column("age", 6, _request_age, align_right=True, drop_rank=3),
    Column("request", 7, lambda request, look: Cell(f"r{request.number}"), sort_key="number"),
    Column("who", 12, lambda request, look: requester(request.person, request.inlet), flex=1, sort_key="person"),
    Column("needs", 12, _approvals_needed, drop_rank=2),
    Column("machines", 12, _machines, drop_rank=1),
    Column("command", 20, request_command, flex=5),
)

# ---- machines


def agent_state(agent: AgentView, ctx: RenderContext) -> Cell:
    if not agent.is_active:
        return Cell(state_label(ctx.language, "agent", agent.state, ("locked", "revoked", "invited")), "bad")
    if agent.is_draining:
        return Cell(translate(ctx.language, "console_agent_draining"), "warn")
    if agent.is_paused:
        return Cell(translate(ctx.language, "console_agent_paused"), "warn")
    if agent.online:
        return Cell(translate(ctx.language, "console_agent_online"), "ok")
    return Cell(translate(ctx.language, "console_agent_offline"), "bad")


def format_away(agent: AgentView, ctx: RenderContext) -> str:
    """Why a machine is away, or what is wrong with one that is here; empty where nothing is."""
    if agent.absence is not None:
        return absence_text(agent.absence, lambda at: format_moment(at, ctx.now, ctx.zone), ctx.language)
    return clock_text(agent.clock_ahead or 0.0, ctx.language) if agent.is_clock_off else ""


def why_away(agent: AgentView, ctx: RenderContext) -> Cell:
    """The same for a column, without what the state says already: `expired`, `not heard since 07:55`."""
    tone: Tone = "warn" if agent.online else "bad"
    if agent.absence is not None:
        since = format_short_start(agent.absence.since, ctx.now, ctx.zone)
        text = absence_column(agent.absence, since, ctx.language)
        return Cell("" if agent.absence.code == agent.state else text, tone)
    return Cell(clock_column(agent.clock_ahead or 0.0, ctx.language) if agent.is_clock_off else "", tone)


def _memory(agent: AgentView, ctx: RenderContext) -> Cell:
    share = agent.memory
    return Cell("-" if share is None else f"{share:.0f}%", "warn" if share is not None and share >= 90 else "")


def _load(agent: AgentView, ctx: RenderContext) -> Cell:
    return Cell("-" if agent.load is None else f"{agent.load:.2f}")


def _last_seen(agent: AgentView, ctx: RenderContext) -> Cell:
    if agent.online:
        return Cell("")
    return Cell(format_age(None if agent.last_seen is None else ctx.now - agent.last_seen), "dim")


def format_labels(agent: AgentView) -> str:
    return one_line(agent.label_words)


AGENTS: Final[tuple[Column[AgentView], ...]] = (
    Column("state", 9, agent_state, sort_key="state"),
    Column(
        "rtt", 6, lambda agent, look: Cell(format_latency(agent.rtt)), align_right=True, sort_key="rtt", drop_rank=3
    ),
    Column("load", 6, _load, align_right=True, sort_key="load", drop_rank=1),
    Column("memory", 5, _memory, align_right=True, drop_rank=4),
    Column("queued", 6, lambda agent, look: Cell(format_number(agent.queued)), align_right=True, sort_key="queued"),
    Column("running", 5, lambda agent, look: Cell(format_number(agent.running)), align_right=True, drop_rank=2),
    Column("seen", 6, _last_seen, align_right=True, sort_key="last_seen", drop_rank=1),
    Column("name", 16, lambda agent, look: Cell(one_line(agent.name, 64)), flex=2, sort_key="name"),
    Column("why", 22, why_away, flex=3, fit=True),
    Column("version", 8, lambda agent, look: Cell(one_line(agent.version or "-", 16)), drop_rank=5, sort_key="version"),
    Column("labels", 12, lambda agent, look: Cell(format_labels(agent), "dim"), flex=4, drop_rank=1),
)

# ---- lanes, what needs you


def _stage(lane: LaneView, ctx: RenderContext) -> Cell:
    stages = ("received", "planning", "approval", "queued", "running", "done")
    return Cell(state_label(ctx.language, "lane", lane.stage, stages))


def lane_rows(overview: Overview, ctx: RenderContext) -> list[LaneView]:
    """The lanes, a paused queue's with who paused it, until when in the reader's time zone, and why."""
    pause = overview.hub.queue_paused
    if pause is None:
        return list(overview.lanes)
    until = why = ""
    if pause.until is not None:
        until = translate(ctx.language, "console_told_until", at=format_moment(pause.until, ctx.now, ctx.zone))
    if pause.reason:
        why = translate(ctx.language, "console_told_why", why=one_line(pause.reason, 200))
    note = translate(ctx.language, "console_lane_pause", person=one_line(pause.by or "-", 64), until=until, why=why)
    return [replace(lane, note=note) if lane.state == "paused" else lane for lane in overview.lanes]


def _lane_state(lane: LaneView, ctx: RenderContext) -> Cell:
    note = one_line(lane.note, 300)
    text = state_label(ctx.language, "lane_is", lane.state, LANE_TONES)
    return Cell(f"{text}  {note}" if note else text, LANE_TONES.get(lane.state, ""))


def _lane_latency(value: Callable[[LaneView], float | None]) -> Callable[[LaneView, RenderContext], Cell]:
    return lambda lane, look: Cell(format_latency(value(lane)))


SCALE_CELLS: Final = 6
TREND_CELLS: Final = 26
"""Cells of a trend where there is no more room."""


def _trend(lane: LaneView, ctx: RenderContext, cells: int = TREND_CELLS) -> Cell:
    """Bars over as many cells as there are, and their scale: from 0 to the highest."""
    scale = f" 0-{format_short_number(highest(lane.trend))}".ljust(SCALE_CELLS)
    bars = sparkline(fit_samples(lane.trend, cells - len(scale)), cells - len(scale), plain=ctx.ascii)
    return Cell(bars + scale, "busy")


LANES: Final[tuple[Column[LaneView], ...]] = (
    Column("lane", 9, _stage),
    Column("count", 6, lambda lane, look: Cell(format_short_number(lane.count)), align_right=True),
    Column("oldest", 6, lambda lane, look: Cell(format_age(lane.oldest)), align_right=True),
    Column("p50", 6, _lane_latency(lambda lane: lane.p50), align_right=True, drop_rank=2),
    Column("p95", 6, _lane_latency(lambda lane: lane.p95), align_right=True, drop_rank=1),
    Column("p99", 6, _lane_latency(lambda lane: lane.p99), align_right=True, drop_rank=5),
    Column("rate", 6, lambda lane, look: Cell(format_rate(lane.rate)), align_right=True, drop_rank=3),
    Column("trend", TREND_CELLS, _trend, draw=_trend, flex=1, drop_rank=4),
    Column("lane_state", 27, _lane_state, flex=2),
)


def attention_subject(need: NeedView) -> tuple[Kind, Row]:
    """What an act on an entry of the attention list is about: a request, a machine or a job, with the little of it
    that the entry says. What a newer hub lists is taken by what it names.
    """
    state = ATTENTION_STATES.get(need.kind, "active")
    if need.kind == "approve":
        return "request", RequestRow(
            id=need.id,
            number=need.number or 0,
            state=state,
            person=need.who,
            inlet=need.inlet or "",
            plan=None,
            plan_hash="",
            second_factor=bool(need.second_factor),
            approvers=need.approvers or 0,
            given=need.given or 0,
            decide_by=need.expires,
            received_at=need.since,
            text=need.text,
        )
    if need.kind == "recovery" or (need.kind == "file" and not need.agent):
        return "", need  # about the hub itself
    if not need.job and not need.number:
        if not need.agent:
            return "", need
        name = need.agent
        refuses = need.kind == "file"  # a machine that is here, and takes nothing
        return "agent", AgentView(id=name, name=name, state="active", online=refuses, draining=need.draining)
    return "job", JobView(
        id=need.id,
        request="",
        number=need.number or 0,
        agent=need.agent or "",
        person=need.who,
        inlet=need.inlet or "",
        state=state,
        queued_at=need.since,
    )


def _attention_kind(need: NeedView, ctx: RenderContext) -> Cell:
    return Cell(state_label(ctx.language, "need", need.kind, ATTENTION_TONES), ATTENTION_TONES.get(need.kind, "warn"))


def _attention_age(need: NeedView, ctx: RenderContext) -> Cell:
    if need.expires is not None:
        left = max(0.0, need.expires - ctx.now)
        return Cell(translate(ctx.language, "console_left", age=format_age(left)), "bad" if left < EXPIRES_SOON else "")
    return Cell(format_age(ctx.now - need.since))


def _attention_target(need: NeedView, ctx: RenderContext) -> Cell:
    if need.agent:
        return Cell(one_line(need.agent, 64))
    if need.inlet and not need.number and not need.job:
        return Cell(one_line(need.inlet, 64))
    count = need.count or 0
    return Cell(translate(ctx.language, "console_machines", count=format_number(count)) if count else "-")


def _attention_person(need: NeedView, ctx: RenderContext) -> Cell:
    """Nobody asked for what is about an inlet itself."""
    if need.inlet and not need.number and not need.job:
        return Cell(f"@{one_line(need.inlet, 32)}")
    return requester(need.who, need.inlet)


def _attention_command(need: NeedView, ctx: RenderContext) -> Cell:
    return Cell(abbreviate_command(strip_standard_folder(one_line(need.text or "-")), ctx.ellipsis))


def row_number(row: RequestFields | NeedView | JobView) -> str:
    """What a person calls it: r42, or the end of a job's id where it is about no request; "-" where it has neither."""
    if row.number:
        return f"r{row.number}"
    identity = row.job if isinstance(row, NeedView) else row.id if isinstance(row, JobView) else ""
    return short_id(identity) if identity else "-"


def pressing_first(needs: Sequence[NeedView], now: float) -> list[NeedView]:
    """What is red before what is orange, and that before the rest, each part in the hub's order: on a small screen the
    first lines are all there is.
    """

    def rank(need: NeedView) -> int:
        if need.expires is not None and need.expires - now < EXPIRES_SOON:
            return 0
        return {"bad": 0, "warn": 1, "": 2}.get(ATTENTION_TONES.get(need.kind, "warn"), 3)

    return sorted(needs, key=rank)


ATTENTION: Final[tuple[Column[NeedView], ...]] = (
    Column("left_or_age", 11, _attention_age, align_right=True),
    Column("need", 9, _attention_kind),
    Column("request", 7, lambda need, look: Cell(row_number(need))),
    Column("who", 12, _attention_person, flex=1),
    Column("where", 11, _attention_target, flex=1, drop_rank=1),
    Column("command", 16, _attention_command, flex=5),
)


def row_title(row: Row) -> str:
    """What a row is called in a line about it: r41, web-1, "r7 web-1 4f2a1c"."""
    match row:
        case RequestFields():
            return row_number(row)
        case JobView():
            number = row_number(row) if row.number else ""
            return join_nonempty((number, one_line(row.agent, 64), short_id(row.id)), " ")
        case EventView():
            return event_subject(row)
        case NeedView():
            return row_number(row) if row.number else one_line(row.agent or row.id, 64)
        case LaneView():
            return one_line(row.id, 64)
        case _:
            return one_line(row.name, 64)


def rows_title(rows: Sequence[Row]) -> str:
    """What an act is about: the row where it is one, else how many there are."""
    return row_title(rows[0]) if len(rows) == 1 else format_number(len(rows))


def row_words(row: Row, ctx: RenderContext) -> str:
    """A row by its title and what it is about: `r41  systemctl reload nginx`."""
    match row:
        case RequestFields():
            about = request_command(row, ctx).text
        case JobView():
            about = _job_command(row, ctx).text
        case EventView():
            about = event_words(row, ctx)
        case NeedView():
            about = join_nonempty((_attention_kind(row, ctx).text, one_line(row.agent or "", 64), one_line(row.text)))
        case AgentView():
            about = agent_state(row, ctx).text
        case _:
            about = ""
    return join_nonempty((row_title(row), about if about != "-" else ""))
