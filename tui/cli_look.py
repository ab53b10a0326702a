"""answerback agents, jobs, job, requests, request, queue: looking around."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import click

from common.errors import UserError
from common.filter_match import is_stuck
from common.text import clean
from tui import show
from tui.cli_base import Context, json_option, number_of, pass_context, saved_view, to_json, view_option
from tui.client import CallRefused, Client
from tui.streams import Streams

filter_argument = click.argument("filter", metavar="[FILTER]", nargs=-1)
PAGE: Final = 500


async def filtered(client: Client, verb: str, words: Sequence[str], limit: int, sort: str = "") -> list[dict[str, Any]]:
    """What fits a filter, page by page. A filter that does not read is shown with the place."""
    text = " ".join(words)
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        try:
            page = await client.call(verb, filter=text, sort=sort, lo=len(found), limit=min(PAGE, limit - len(found)))
        except CallRefused as error:
            if error.code != "filter":
                raise
            position, _, reason = str(error).partition(": ")
            place = " " * show.width(clean(text)[: int(position)]) if position.isdigit() else ""
            raise UserError(f"{clean(text)}\n            {place}^ {reason}", "") from None
        if not page:
            break
        found += page
    return found


@click.command("agents", short_help="Machines: online, labels, load, what waits.")
@filter_argument
@view_option
@json_option
@pass_context
def agents_command(context: Context, filter: tuple[str, ...], view: str, as_json: bool) -> None:  # noqa: A002
    """Machines: online, labels, load, what waits for them; with FILTER only those that fit it.

    \b
    answerback agents
    answerback agents 'state:offline label:env=prod'
    answerback agents --json | jq '.[] | select(.online | not) | .name'
    """

    saved, sort = saved_view(context, view, "agents")

    async def act(client: Client) -> int:
        if filter or view:
            found = await filtered(client, "agents", [*saved, *filter], 10_000, sort)
        else:
            found = page = await client.call("agents")
            while page:
                page = await client.call("agents", after=found[-1]["name"])
                if page and page[0]["name"] <= found[-1]["name"]:  # a hub that knows no pages gives them all each time
                    break
                found += page
        if as_json:
            click.echo(to_json(found))
            return 0
        now = time.time() + client.clock_offset
        rows = []
        for agent in found:
            state = "online" if agent["online"] else "OFFLINE"
            if agent["state"] != "active":
                state = agent["state"].upper()
            if agent.get("draining"):
                state += ", DRAINING"
            if agent["paused_by"]:
                state += f", PAUSED by {agent['paused_by']}"
            seen = "now" if agent["online"] else show.age(now - agent["last_seen"]) if agent["last_seen"] else "never"
            labels = " ".join(f"{key}={value}" for key, value in sorted(agent["labels"].items()))
            load = agent["vitals"].get("load1")
            rows.append(
                [
                    agent["name"],
                    state,
                    seen,
                    str(agent["queued"]),
                    "-" if load is None else f"{load:.2f}",
                    agent["version"],
                    labels,
                ]
            )
        head = ["NAME", "STATE", "SEEN", "QUEUED", "LOAD", "VERSION", "LABELS"]
        nobody = "no machine fits" if filter or view else "no machine has joined yet: answerback-hub token --agent NAME"
        click.echo(show.table(head, rows) or nobody)
        return 0

    context.run(act)


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
    context: Context,
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

    saved, order = saved_view(context, view, "jobs")

    async def act(client: Client) -> int:
        if filter or sort or view:
            options = {"state": ",".join(states), "agent": agent, "user": person}
            words = [*saved, *filter, *(f"{name}:{value}" for name, value in options.items() if value)]
            found = await filtered(client, "jobs", words, limit, sort or order)
        else:
            args: dict[str, Any] = {"limit": limit, "agent": agent, "person": person}
            if states:
                args["states"] = list(states)
            found = await client.call("jobs", **args)
        if as_json:
            click.echo(to_json(found))
            return 0
        now = time.time() + client.clock_offset
        rows = [
            [
                job["id"][-10:],
                f"r{job.get('number', '?')}",
                state_of(job, now),
                show.age(now - job["queued_at"]),
                job["agent"],
                job["person"],
                show.command(job.get("argv")),
            ]
            for job in found
        ]
        click.echo(show.table(["JOB", "REQUEST", "STATE", "AGE", "AGENT", "WHO", "COMMAND"], rows) or "no job matches")
        return 0

    context.run(act)


def state_of(job: dict[str, Any], now: float) -> str:
    """A job's state, and what a person should know of it beside."""
    if job["cancel_asked_at"] and not job["ended_at"]:
        return f"{job['state']} (cancel asked)"
    return f"{job['state']}, STUCK" if is_stuck(job, now) else str(job["state"])


@click.command("job", short_help="One job with its output.")
@click.argument("job_id", metavar="ID")
@json_option
@pass_context
def job_command(context: Context, job_id: str, as_json: bool) -> None:
    """One job with its output: facts on standard error, output on standard output. ID may be the last characters.

    \b
    answerback job K3V9TQ0Z4M
    answerback job K3V9TQ0Z4M 2>/dev/null > output.bin     byte for byte what the command wrote
    """

    async def act(client: Client) -> int:
        job = await client.call("job", id=job_id.upper())
        chunks = list(job["output"])
        while chunks and job["output"]:
            more = await client.call("job", id=job["id"], after=chunks[-1]["seq"])
            job["output"] = more["output"]
            chunks += more["output"]
        if as_json:
            job["output"] = b"".join(chunk["data"] for chunk in chunks).decode("utf-8", "replace")
            click.echo(to_json(job))
            return 0
        facts = [
            ("job", job["id"]),
            ("request", f"r{job.get('number', '?')} by {clean(job['person'])}"),
            ("machine", clean(job["agent"])),
            ("command", show.command(job.get("argv"))),
            ("state", show.end_of(job)),
            ("plan", job["plan_hash"]),
            ("queued", show.moment(job["queued_at"])),
            ("started", show.moment(job["started_at"])),
            ("took", "-" if job["duration"] is None else f"{job['duration']:.3f} s"),
            (
                "cpu",
                f"{job['cpu_user']:.3f} s user, {job['cpu_system']:.3f} s system; memory {show.size(job['max_rss'])}",
            ),
            (
                "output",
                f"{show.size(job['output_bytes'])}{', cut' if job['truncated'] else ''}  {job['output_digest'][:16]}",
            ),
        ]
        for name, value in facts:
            click.echo(f"{name:<8} {clean(value, limit=100_000)}", err=True)  # whatever field it came from
        streams = Streams(named=False)
        for chunk in chunks:
            streams.write({**chunk, "job": job["id"], "agent": job["agent"]})
        return 0

    context.run(act)


@click.command("requests", short_help="Requests, newest first.")
@filter_argument
@view_option
@click.option("--state", "states", multiple=True, help="only these: asking, working, done, refused …")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 500))
@json_option
@pass_context
def requests_command(
    context: Context,
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

    saved, sort = saved_view(context, view, "requests")

    async def act(client: Client) -> int:
        if filter or view:
            words = [*saved, *filter, *([f"state:{','.join(states)}"] if states else [])]
            found = await filtered(client, "requests", words, limit, sort)
        else:
            found = await client.call("requests", limit=limit, **({"states": list(states)} if states else {}))
        if as_json:
            click.echo(to_json(found))
            return 0
        now = time.time() + client.clock_offset
        rows = [
            [
                f"r{request['number']}",
                request["state"],
                show.age(now - request["received_at"]),
                request["person"] or "?",
                request["inlet"],
                request["plan_hash"][:8],
                request["text"],
            ]
            for request in found
        ]
        click.echo(show.table(["REQUEST", "STATE", "AGE", "WHO", "FROM", "PLAN", "TEXT"], rows) or "no request matches")
        return 0

    context.run(act)


@click.command("request", short_help="One request with its plan and jobs.")
@click.argument("request", metavar="R")
@json_option
@pass_context
def request_command(context: Context, request: str, as_json: bool) -> None:
    """One request: what was said, exactly what it would run or ran where, who may or must still say yes.

    \b
    answerback request r42
    answerback request r42 --json | jq .plan
    """

    async def act(client: Client) -> int:
        found = await client.call("request", number=number_of(request))
        click.echo(to_json(found) if as_json else "\n".join(request_lines(found)))
        return 0

    context.run(act)


def request_lines(request: dict[str, Any]) -> list[str]:
    """What a person must see before an approval: complete, and nothing in it hidden."""
    facts = [
        ("request", f"r{request['number']} by {clean(request['person'] or '?')} from {clean(request['inlet'])}"),
        ("said", clean(request["text"], limit=500)),
        ("state", request["state"] + (f": {clean(request['reason'], limit=500)}" if request["reason"] else "")),
    ]
    if request["rule"]:
        facts.append(("rule", clean(request["rule"])))
    for number, step in enumerate((request["plan"] or {}).get("steps", ()), 1):
        facts.append((f"step {number}", show.command(step["argv"])))
        facts.append(("  on", ", ".join(map(clean, step["targets"]))))
        if step["cwd"]:
            facts.append(("  in", show.command([step["cwd"]])))
        facts += [("  env", show.command([f"{key}={value}"])) for key, value in sorted(step["env"].items())]
        facts.append(("  limit", f"{step['time_limit']} s"))
    if request["plan_hash"]:
        facts.append(("plan", request["plan_hash"]))
    if request["state"] == "asking":
        code = " with a second factor" if request["second_factor"] else ""
        until = show.moment(request["decide_by"])
        facts.append(("waits", f"for {request['approvers']} approval(s){code} until {until}"))
    lines = [f"{name:<8} {value}" for name, value in facts]
    rows = [[job["id"][-10:], clean(job["agent"]), show.end_of(job)] for job in request["jobs"]]
    return [*lines, show.table(["JOB", "AGENT", "STATE"], rows)] if rows else lines


@click.command("queue", short_help="How much waits, how long, and whether it is paused.")
@json_option
@pass_context
def queue_command(context: Context, as_json: bool) -> None:
    """How many jobs wait for their machines and for how long, whether the whole queue is paused, jobs by state.

    \b
    answerback queue
    answerback queue --json | jq .depth
    """

    async def act(client: Client) -> int:
        found = await client.call("queue")
        if as_json:
            click.echo(to_json(found))
            return 0
        paused, oldest = found["paused"], found["oldest"]
        facts = [
            ("waiting", f"{found['depth']}" + ("" if oldest is None else f", for {show.age(found['now'] - oldest)}")),
            ("paused", "no" if paused is None else f"by {clean(paused['by'])}, {show.moment(paused['at'])}"),
        ]
        if paused is not None and paused["reason"]:
            facts.append(("reason", clean(paused["reason"])))
        facts += [(state, str(count)) for state, count in sorted(found["states"].items()) if count]
        click.echo("\n".join(f"{name:<12} {value}" for name, value in facts))
        return 0

    context.run(act)
