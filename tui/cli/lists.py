"""answerback agents, jobs, requests, queue: lists, and how much waits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import click

from common.api import verbs
from common.api.agents import AgentView
from common.api.arguments import NoArgs
from common.api.constraints import BadValue
from common.api.jobs import JobView
from common.api.overview import QueueView
from common.api.queries import AgentsArgs, Filtered, JobsArgs, RequestsArgs
from common.api.requests import RequestView
from common.api.verb import A, R, Verb
from common.errors import UserError
from common.machine.absence import absence_text, clock_text
from common.text import clean
from common.times import format_moment, local_zone
from common.values import format_took
from tui.cli.context import CliContext, json_option, load_saved_view, pass_context, print_json, view_option
from tui.client.client import Client
from tui.client.errors import CallRefused, InvalidCall
from tui.text import tables

F = TypeVar("F", bound=Filtered)
T = TypeVar("T")

filter_argument = click.argument("filter", metavar="[FILTER]", nargs=-1)
PAGE_ROWS: Final = 500
MAX_AGENTS: Final = 10_000


async def fetch_filtered(client: Client, verb: Verb[F, tuple[T, ...]], args: F, limit: int) -> tuple[T, ...]:
    """What fits the filter of `args`, page by page, at most `limit`. A filter that cannot be read raises UserError
    that shows the place.
    """
    found: list[T] = []
    while len(found) < limit:
        changes: dict[str, Any] = {"lo": len(found), "limit": min(PAGE_ROWS, limit - len(found))}
        try:
            page = await client.call(verb, replace(args, **changes))
        except CallRefused as error:
            if error.code != "filter":
                raise
            raise _filter_error(clean(args.filter or ""), str(error)) from None
        if not page:
            break
        found += page
    return tuple(found)


def _filter_error(text: str, reason: str) -> UserError:
    """The filter with a mark at the position that the hub named."""
    position, _, words = reason.partition(": ")
    place = " " * tables.cell_width(text[: int(position)]) if position.isdigit() else ""
    return UserError(f"{text}\n            {place}^ {words}", "")


def with_states(verb: Verb[A, R], states: Sequence[str]) -> A:
    """The verb's arguments with these states, as a person wrote them; raises InvalidCall where one is none."""
    try:
        return verb.decode_args({"states": list(states)} if states else {})
    except BadValue as error:
        raise InvalidCall(str(error)) from None


def filter_words(**options: str) -> list[str]:
    """Options as words of the filter language; those that were not given are left out."""
    return [f"{name}:{value}" for name, value in options.items() if value]


# ---- agents


@click.command("agents", short_help="Machines: online, labels, load, what waits.")
@filter_argument
@click.option("--all", "everything", is_flag=True, help="also revoked ones; certificates' ends, both versions")
@view_option
@json_option
@pass_context
def agents_command(
    context: CliContext,
    filter: tuple[str, ...],  # noqa: A002
    everything: bool,
    view: str,
    as_json: bool,
) -> None:
    """Machines: online, labels, load, what waits for them; with FILTER only those that fit it.

    \b
    answerback agents
    answerback agents --all
    answerback agents 'state:offline label:env=prod'
    answerback agents --json | jq '.[] | select(.online | not) | .name'
    """

    saved, sort = load_saved_view(context, view, "agents")

    async def show(client: Client) -> int:
        if filter or view:
            args = AgentsArgs(filter=" ".join([*saved, *filter]), sort=sort)
            found = await fetch_filtered(client, verbs.AGENTS, args, MAX_AGENTS)
        else:
            found = await fetch_agents(client)
        if as_json:
            print_json(found)
            return 0
        now = time.time() + client.clock_offset
        if everything:
            click.echo(tables.render_table(ALL_HEAD, [all_agent_cells(agent) for agent in found]))
            return 0
        head = ["NAME", "STATE", "SEEN", "QUEUED", "LOAD", "VERSION", "LABELS"]
        nobody = "no machine fits" if filter or view else "no machine has joined yet: answerback-hub token --agent NAME"
        click.echo(tables.render_table(head, [agent_cells(agent, now) for agent in found]) or nobody)
        return 0

    context.run(show)


ALL_HEAD: Final = ["NAME", "STATE", "CERTIFICATE UNTIL", "UPLINK", "RUNNER", "LABELS"]


def all_agent_cells(agent: AgentView) -> list[str]:
    """Who may come, until when, and with which programs."""
    until = format_moment(agent.certificate_until, None, local_zone, seconds=False)
    state = "online" if agent.online else agent.state if not agent.is_active else "offline"
    return [agent.name, state, until, agent.version or "-", agent.runner_version or "-", agent.label_words or "-"]


async def fetch_agents(client: Client) -> tuple[AgentView, ...]:
    """All machines by name, page by page."""
    page = await client.call(verbs.AGENTS, AgentsArgs())
    found = list(page)
    while page:
        page = await client.call(verbs.AGENTS, AgentsArgs(after=found[-1].name))
        if page and page[0].name <= found[-1].name:  # a hub that knows no pages gives them all each time
            break
        found += page
    return tuple(found)


def agent_cells(agent: AgentView, now: float) -> list[str]:
    seen = "now" if agent.online else tables.age(now - agent.last_seen) if agent.last_seen else "never"
    load = agent.load
    return [
        agent.name,
        describe_agent(agent, now),
        seen,
        str(agent.queued),
        "-" if load is None else f"{load:.2f}",
        agent.versions,
        agent.label_words,
    ]


def describe_agent(agent: AgentView, now: float) -> str:
    """Whether it is here, why not, and what keeps jobs from it."""
    state = "online" if agent.online else "OFFLINE"
    why = agent.absence
    told = absence_text(why, lambda at: format_moment(at, now, local_zone, seconds=False), "en") if why else ""
    if told and agent.is_active:
        state += f": {told}"
    elif agent.is_clock_off and agent.is_active:
        state += f", {clock_text(agent.clock_ahead or 0.0, 'en')}"
    if not agent.is_active:
        state = agent.state.upper()
        if agent.state == "invited":
            state += f": {told}"
    if agent.is_draining:
        state += ", DRAINING"
    return f"{state}, PAUSED by {agent.paused_by}" if agent.is_paused else state


# ---- jobs


@click.command("jobs", short_help="Jobs, newest first.")
@filter_argument
@view_option
@click.option("--sort", metavar="COLUMN", default="", help="by this column; -COLUMN the other way round")
@click.option("--state", "states", multiple=True, help="only these: queued, running, failed, unknown …")
@click.option("--agent", default="", metavar="NAME", help="only this machine")
@click.option("--person", default="", metavar="NAME", help="only this person's")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 500))
@json_option
@pass_context
def jobs_command(
    context: CliContext,
    filter: tuple[str, ...],  # noqa: A002
    view: str,
    sort: str,
    states: tuple[str, ...],
    agent: str,
    person: str,
    limit: int,
    as_json: bool,
) -> None:
    """Jobs, newest first: one command on one machine each; with FILTER only those that fit it.

    \b
    answerback jobs --state running --state queued
    answerback jobs --agent web-1 --limit 5
    answerback jobs 'state:failed age<1h agent:web-eu-* !user:cron'
    answerback jobs 'took>10s label:env=prod "git pull"' --sort -took
    answerback jobs --view slow                            saved in the console with `:w slow`
    Fields: state is agent user src rb plan label id r age started ended took left exit signal pri step output
    """

    saved, order = load_saved_view(context, view, "jobs")

    async def show(client: Client) -> int:
        if filter or sort or view:
            words = [*saved, *filter, *filter_words(state=",".join(states), agent=agent, user=person)]
            args = JobsArgs(filter=" ".join(words), sort=sort or order)
            found = await fetch_filtered(client, verbs.JOBS, args, limit)
        else:
            args = replace(with_states(verbs.JOBS, states), limit=limit, agent=agent, person=person)
            found = await client.call(verbs.JOBS, args)
        if as_json:
            print_json(found)
            return 0
        now = time.time() + client.clock_offset
        click.echo(tables.render_table(JOB_HEAD, [job_cells(job, now) for job in found]) or "no job matches")
        return 0

    context.run(show)


JOB_HEAD: Final = ("JOB", "REQUEST", "STATE", "AGE", "TOOK", "AGENT", "WHO", "COMMAND")


def job_cells(job: JobView, now: float) -> list[str]:
    return [
        job.id[-10:],
        f"r{job.number}" if job.number else "-",
        describe_state(job, now),
        tables.age(now - job.queued_at),
        "-" if job.duration is None else format_took(job.duration),
        job.agent,
        job.person,
        tables.quote_command(job.argv, job.filters),
    ]


def describe_state(job: JobView, now: float) -> str:
    """A job's state, and what a person should know of it beside."""
    if job.cancel_asked_at and not job.ended_at:
        return f"{job.state} (cancel asked)"
    return f"{job.state}, STUCK" if job.is_stuck(now) else job.state


# ---- requests


@click.command("requests", short_help="Requests, newest first.")
@filter_argument
@view_option
@click.option("--state", "states", multiple=True, help="only these: asking, working, done, refused …")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 500))
@json_option
@pass_context
def requests_command(
    context: CliContext,
    filter: tuple[str, ...],  # noqa: A002
    view: str,
    states: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """Requests, newest first: who asked what, and what became of it; with FILTER only those that fit it.

    \b
    answerback requests 'state:asking left<10m'
    answerback requests --state asking                     what waits for an approval
    answerback request r42                                 one of them, with its plan
    """

    saved, sort = load_saved_view(context, view, "requests")

    async def show(client: Client) -> int:
        if filter or view:
            words = [*saved, *filter, *filter_words(state=",".join(states))]
            args = RequestsArgs(filter=" ".join(words), sort=sort)
            found = await fetch_filtered(client, verbs.REQUESTS, args, limit)
        else:
            found = await client.call(verbs.REQUESTS, replace(with_states(verbs.REQUESTS, states), limit=limit))
        if as_json:
            print_json(found)
            return 0
        now = time.time() + client.clock_offset
        head = ["REQUEST", "STATE", "AGE", "WHO", "FROM", "PLAN", "TEXT"]
        click.echo(tables.render_table(head, [request_cells(one, now) for one in found]) or "no request matches")
        return 0

    context.run(show)


def request_cells(request: RequestView, now: float) -> list[str]:
    return [
        f"r{request.number}",
        request.outcome_or_state,
        tables.age(now - request.received_at),
        request.person or "?",
        request.inlet,
        request.plan_hash[:8],
        request.text,
    ]


# ---- queue


@click.command("queue", short_help="How much waits, how long, and whether it is paused.")
@json_option
@pass_context
def queue_command(context: CliContext, as_json: bool) -> None:
    """How many jobs wait for their machines and for how long, whether the whole queue is paused, jobs by state.

    \b
    answerback queue
    answerback queue --json | jq .depth
    """

    async def show(client: Client) -> int:
        queue = await client.call(verbs.QUEUE, NoArgs())
        if as_json:
            print_json(queue)
        else:
            click.echo("\n".join(f"{name:<12} {value}" for name, value in queue_facts(queue)))
        return 0

    context.run(show)


def queue_facts(queue: QueueView) -> list[tuple[str, str]]:
    """Names and values, one pair a line."""
    paused, waited = queue.paused, ""
    if queue.oldest is not None:
        waited = f", for {tables.age(queue.now - queue.oldest)}"
    by = "no" if paused is None else f"by {clean(paused.by)}, {tables.format_local_time(paused.at)}"
    facts = [("waiting", f"{queue.depth}{waited}"), ("paused", by)]
    if paused is not None and paused.reason:
        facts.append(("reason", clean(paused.reason)))
    if queue.storage:
        facts.append(("storage", clean(queue.storage)))
    return facts + [(state, str(count)) for state, count in sorted(queue.states.items()) if count]
