"""answerback job, request: one record in full."""

from __future__ import annotations

import click

from common.api import verbs
from common.api.arguments import RequestArgs
from common.api.codec import encode
from common.api.jobs import JobDetails, JobView, OutputChunk
from common.api.plans import PlanView
from common.api.queries import JobArgs
from common.api.requests import RequestDetails
from common.api.work import JobChunk
from common.machine.redelivery import redelivery_sentence
from common.text import OUTPUT_IS, clean
from common.values import format_duration
from tui.cli.context import CliContext, json_option, parse_request_number, pass_context, print_json, to_json
from tui.cli.streams import OutputPrinter
from tui.client.client import Client
from tui.text import tables


@click.command("job", short_help="One job with its output.")
@click.argument("job_id", metavar="ID")
@json_option
@pass_context
def job_command(context: CliContext, job_id: str, as_json: bool) -> None:
    """One job with its output: facts on standard error, output on standard output. ID may be the last characters.

    \b
    answerback job K3V9TQ0Z4M
    answerback job K3V9TQ0Z4M 2>/dev/null > output.bin     byte for byte what the command wrote
    """

    async def show(client: Client) -> int:
        job, chunks = await fetch_job(client, job_id.upper())
        if as_json:
            output = b"".join(chunk.data for chunk in chunks).decode("utf-8", "replace")
            click.echo(to_json({**encode(job), "output": output, **OUTPUT_IS}))
            return 0
        for name, value in job_facts(job):
            click.echo(f"{name:<8} {clean(value, limit=100_000)}", err=True)  # whatever field it came from
        streams = OutputPrinter(named=False)
        for chunk in chunks:
            streams.write(JobChunk(job=job.id, agent=job.agent, seq=chunk.seq, stream=chunk.stream, data=chunk.data))
        return 0

    context.run(show)


async def fetch_job(client: Client, identity: str) -> tuple[JobDetails, list[OutputChunk]]:
    """A job and all of its output, part by part."""
    job = await client.call(verbs.JOB, JobArgs(id=identity))
    chunks, page = list(job.output), job.output
    while page:
        page = (await client.call(verbs.JOB, JobArgs(id=job.id, after=chunks[-1].seq))).output
        chunks += page
    return job, chunks


def job_facts(job: JobView) -> list[tuple[str, str]]:
    """Names and values, one pair a line."""
    used = f"{job.cpu_user:.3f} s user, {job.cpu_system:.3f} s system"
    if job.max_rss:  # 0: the machine could not tell
        used += f"; memory {tables.format_size(job.max_rss)}"
    written = f"{tables.format_size(job.output_bytes)}{', cut' if job.truncated else ''}  {job.output_digest[:16]}"
    again = redelivery_sentence(job.redeliveries, job.redelivery_code)
    return [
        ("job", job.id),
        ("request", f"{f'r{job.number}' if job.number else '-'} by {clean(job.person)}"),
        ("machine", clean(job.agent)),
        ("command", tables.quote_command(job.argv, job.filters)),
        ("state", tables.describe_end(job)),
        ("plan", job.plan_hash),
        ("queued", tables.format_local_time(job.queued_at)),
        *([] if again is None else [("again", again.render("en"))]),
        ("started", tables.format_local_time(job.started_at)),
        ("took", "-" if job.duration is None else f"{job.duration:.3f} s"),
        ("cpu", used),
        ("output", written),
        *(("note", line) for line in tables.describe_notes(job)),
    ]


@click.command("request", short_help="One request with its plan and jobs.")
@click.argument("request", metavar="R")
@json_option
@pass_context
def request_command(context: CliContext, request: str, as_json: bool) -> None:
    """One request: what was said, exactly what it would run or ran where, who may or must still say yes.

    \b
    answerback request r42
    answerback request r42 --json | jq .plan
    """

    async def show(client: Client) -> int:
        found = await client.call(verbs.REQUEST, RequestArgs(number=parse_request_number(request)))
        if as_json:
            print_json(found)
        else:
            click.echo("\n".join(request_lines(found)))
        return 0

    context.run(show)


def request_lines(request: RequestDetails) -> list[str]:
    """What a person must see before an approval: complete, and nothing in it hidden."""
    facts = [
        ("request", f"r{request.number} by {clean(request.person or '?')} from {clean(request.inlet)}"),
        ("said", clean(request.text, limit=500)),
        ("state", request.outcome_or_state + (f": {clean(request.reason, limit=500)}" if request.reason else "")),
    ]
    if request.rule:
        facts.append(("rule", clean(request.rule)))
    facts += plan_facts(request.plan)
    if request.plan_hash:
        facts.append(("plan", request.plan_hash))
    if request.is_asking:
        code = " with a second factor" if request.second_factor else ""
        until = tables.format_local_time(request.decide_by)
        facts.append(("waits", f"for {request.approvers} approval(s){code} until {until}"))
    lines = [f"{name:<8} {value}" for name, value in facts]
    rows = [[job.id[-10:], clean(job.agent), tables.describe_end(job)] for job in request.jobs]
    return [*lines, tables.render_table(["JOB", "AGENT", "STATE"], rows)] if rows else lines


def plan_facts(plan: PlanView | None) -> list[tuple[str, str]]:
    """Every step of the plan with all that it says."""
    facts = []
    for number, step in enumerate(plan.steps if plan is not None else (), 1):
        facts.append((f"step {number}", tables.quote_command(step.argv, step.filters)))
        facts.append(("  on", ", ".join(map(clean, step.targets))))
        if step.cwd:
            facts.append(("  in", tables.quote_command([step.cwd])))
        facts += [("  env", tables.quote_command([f"{key}={value}"])) for key, value in sorted(step.env.items())]
        facts.append(("  limit", format_duration(step.time_limit)))
    return facts
