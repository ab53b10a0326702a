"""answerback run and retry: asks for work and follows it to its end."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from itertools import chain, repeat
from typing import Any, Final

import click

from common.api.arguments import RequestArgs
from common.api.codec import encode
from common.api.jobs import JobView
from common.api.requests import RequestDetails
from common.api.work import FOLLOW, RETRY, RUN, FollowPush, RetryArgs, RunArgs, RunResult
from common.errors import EXIT_FAILED, EXIT_OK, EXIT_REFUSED
from common.text import OUTPUT_IS, clean
from tui.cli.context import (
    CliContext,
    SecondsRange,
    is_request_number,
    json_option,
    parse_request_number,
    pass_context,
    print_json,
    print_result,
    to_json,
)
from tui.cli.streams import OutputPrinter
from tui.client.client import Client
from tui.client.errors import LinkLost
from tui.text import tables

SUCCESS_STATES: Final = frozenset({"succeeded"})
RECONNECT_DELAYS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries to reach a hub that went away; the last for ever."""
WAIT_NOTICE_AFTER: Final = 2.0
"""Seconds without a push after which a person is told what the request waits for."""


class RunCommand(click.Command):
    """Takes its options on either side of TARGET. From `--`, or the command's first word, on, all words are the
    command's, whatever they look like.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = [entry for entry in self.params if isinstance(entry, click.Option) and not entry.is_flag]
        valued = {name for entry in given for name in entry.opts}
        options: list[str] = []
        target: list[str] = []
        rest = list(args)
        while rest and rest[0] != "--" and (rest[0].startswith("-") or not target):
            word = rest.pop(0)
            (options if word.startswith("-") else target).append(word)
            if word in valued and rest:
                options.append(rest.pop(0))
        return super().parse_args(ctx, [*options, *target, *(rest[1:] if rest[:1] == ["--"] else rest)])


@click.command(
    "run",
    cls=RunCommand,
    short_help="Run a command and see it through.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--timeout", type=SecondsRange(1, 86_400), help="seconds the command may run  [default: 60]")
@click.option("--in", "cwd", metavar="DIR", default="", help="the folder to run in, on the machine")
@click.option("--expect", type=click.IntRange(1, 10_000), metavar="N", help="refuse where TARGET is not N machines")
@click.option("--hold", type=SecondsRange(0, 60), metavar="S", help="seconds in which `take-back` undoes it")
@click.option("--no-wait", is_flag=True, help="print the request and leave")
@json_option
@click.argument("target")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_context
def run_command(
    context: CliContext,
    timeout: int | None,
    cwd: str,
    expect: int | None,
    hold: int | None,
    no_wait: bool,
    as_json: bool,
    target: str,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND on TARGET (a machine, web-*, role=web) and wait for its end.

    \b
    answerback run web-1 -- df -h
    answerback run 'web-*' -- uptime                      every machine so named, at once
    answerback run role=web --timeout 300 --in /srv/app -- git pull
    answerback run web-1 --json -- uptime | jq .jobs[0].output
    \b
    There is no shell on the other side: words are passed as they are, and | > $ * mean nothing there.
    Output goes to standard output as it comes; with several machines each line begins with a machine's name.
    Where the policy asks for approval this waits for it, and says so. Ctrl-C leaves, and the work goes on.
    Exit status: 0 all succeeded, 1 something failed, is unknown or lost output, 2 no such machine,
    3 refused or rejected.
    """

    async def act(client: Client) -> int:
        args = RunArgs(target=target, argv=command, timeout=timeout, cwd=cwd, expect=expect, hold=hold)
        result = await client.call(RUN, args)
        return await follow_request(context, client, result, as_json=as_json, wait=not no_wait)

    context.run(act)


async def follow_request(context: CliContext, client: Client, result: RunResult, *, as_json: bool, wait: bool) -> int:
    """Follows what was asked for to its end: output as it comes, what it waits for on standard error. The exit
    status.
    """
    request = result.request
    if request is None:
        return print_result(result, as_json)
    if request.state == "refused":
        if as_json:
            print_json(result)
        click.echo(f"answerback: refused: {clean(request.reason)}", err=True)
        return EXIT_REFUSED
    if not wait:
        if as_json:
            print_json(result)
        else:
            click.echo(f"r{request.number} {request.state}")
        return EXIT_OK
    progress = RequestProgress(request, as_json)
    if sys.stderr.isatty():
        progress.print_name()
    try:
        await follow_to_end(context, client, progress)
    except asyncio.CancelledError:
        number = f"r{request.number}"
        click.echo(f"\nanswerback: {number} goes on without you; to stop it: answerback cancel {number}", err=True)
        raise
    if as_json:
        click.echo(to_json(progress.document()))
    return print_end(progress.request)


async def follow_to_end(context: CliContext, client: Client, progress: RequestProgress) -> None:
    """Through restarts of the hub too: what was asked for runs on without it, and is followed again."""
    try:
        await _follow(client, progress)
        return
    except LinkLost as lost:
        name, number = progress.name, f"r{progress.request.number}"
        click.echo(
            f"answerback: {lost.problem}; {name} goes on, and is followed again when the hub is back "
            f"(Ctrl-C leaves; answerback request {number} looks later)",
            err=True,
        )
    for delay in chain(RECONNECT_DELAYS, repeat(RECONNECT_DELAYS[-1])):
        await asyncio.sleep(delay)
        try:
            async with context.connect() as again:
                await _follow(again, progress)
                return
        except LinkLost:
            continue


async def _follow(client: Client, progress: RequestProgress) -> None:
    args = RequestArgs(id=progress.request.id)
    async for push in client.subscribe(FOLLOW, args, idle_timeout=WAIT_NOTICE_AFTER):
        ended = isinstance(push, FollowPush) and progress.add(push)
        print_waiting(progress.request, progress.printed, time.time() + client.clock_offset)
        if ended:
            break
        if push is None:
            progress.print_name()
    progress.streams.flush_partial()


class RequestProgress:
    """A request that is followed: as it stands, and its output, which is written as it comes or collected for JSON."""

    def __init__(self, request: RequestDetails, as_json: bool) -> None:
        self.request = request
        self.printed: set[str] = set()  # what `print_waiting` has said
        self.streams = OutputPrinter(named=len(request.targets) > 1)
        self._as_json = as_json
        self._jobs: dict[str, JobView] = {}
        self._outputs: dict[str, list[bytes]] = {}
        self._seen: dict[str, int] = {}  # job -> number of its last chunk

    @property
    def name(self) -> str:
        """What to call it later, in another terminal or after this one is gone."""
        from tui.text.format import short_id  # loads rich, and most runs need no name

        number = f"r{self.request.number}"
        jobs = self.request.jobs
        return f"{number}, job {short_id(jobs[0].id)}" if len(jobs) == 1 else number

    def print_name(self) -> None:
        """Once, on standard error: at the start for a person, for a script only where it takes a while."""
        if "name" not in self.printed and not self._as_json:
            self.printed.add("name")
            click.echo(f"answerback: {self.name}", err=True)

    def add(self, push: FollowPush) -> bool:
        """Takes a push, which has of many jobs those that have changed; whether it was the last."""
        self._jobs.update((job.id, job) for job in push.request.jobs)
        self.request = replace(push.request, jobs=tuple(self._jobs.values()))
        for chunk in push.output:
            if chunk.seq <= self._seen.get(chunk.job, 0):
                continue  # followed again, it begins at the beginning
            self._seen[chunk.job] = chunk.seq
            if self._as_json:
                self._outputs.setdefault(chunk.job, []).append(chunk.data)
            else:
                self.streams.write(chunk)
        return push.ended

    def document(self) -> dict[str, Any]:
        """The request for JSON, each job with its output as text."""
        jobs = [{**encode(job), "output": self._output_of(job), **OUTPUT_IS} for job in self.request.jobs]
        return {**encode(self.request), "jobs": jobs}

    def _output_of(self, job: JobView) -> str:
        return b"".join(self._outputs.get(job.id, ())).decode("utf-8", "replace")


def print_waiting(request: RequestDetails, printed: set[str], now: float) -> None:
    """Says once what a request waits for; `now` is the hub's clock."""
    if request.is_asking and "asking" not in printed:
        printed.add("asking")
        code = " with a second factor" if request.second_factor else ""
        click.echo(
            f"answerback: r{request.number} waits for {request.approvers} approval(s){code} until "
            f"{tables.format_local_time(request.decide_by)}; somebody else may: answerback approve r{request.number} "
            f"--plan {request.plan_hash}",
            err=True,
        )
    for job in request.jobs:
        if job.is_queued and job.id not in printed and now - job.queued_at >= WAIT_NOTICE_AFTER:
            printed.add(job.id)
            until = tables.format_local_time(job.not_after)
            click.echo(
                f"answerback: {clean(job.agent)} is away, paused or busy; the job waits for it until {until}", err=True
            )


def print_end(request: RequestDetails) -> int:
    """The exit status of a request that has ended, and on standard error why it is not 0."""
    if request.state in ("refused", "rejected", "expired", "cancelled"):
        click.echo(f"answerback: r{request.number} {request.state}: {clean(request.reason)}", err=True)
        return EXIT_REFUSED if request.state in ("refused", "rejected") else EXIT_FAILED
    return max((_print_job_end(job) for job in request.jobs), default=EXIT_OK)


def _print_job_end(job: JobView) -> int:
    """What is not as it should be with a job that has ended, and its exit status. Output that is lost is a failure of
    the whole: a script must not take half an output for all of it.
    """
    lost, lines = tables.has_lost_output(job), tables.describe_notes(job)
    if job.state not in SUCCESS_STATES or job.reason:
        lines.insert(0, tables.describe_end(job))
    elif lost:
        lines.insert(0, "done, but not all of its output is here")
    if job.truncated and not tables.has_loss_note(job):
        lines.append(
            f"of {tables.format_size(job.output_bytes)} of output only the beginning was kept: it is over its cap"
        )
    for line in lines:
        click.echo(f"answerback: {clean(job.agent)}: {line}", err=True)
    return EXIT_FAILED if lost or job.state not in SUCCESS_STATES else EXIT_OK


@click.command("retry", short_help="Ask for the same again.")
@click.argument("what", metavar="R|JOB")
@click.option("--no-wait", is_flag=True, help="print the new request and leave")
@json_option
@pass_context
def retry_command(context: CliContext, what: str, no_wait: bool, as_json: bool) -> None:
    """Ask for the same again, as a new request whose parent is the old one. Policy decides anew.

    \b
    answerback retry r42             all of request 42, on all its machines
    answerback retry K3V9TQ0Z4M      one job of it, on its machine (`answerback jobs` shows ids)
    """

    async def act(client: Client) -> int:
        number, job = (parse_request_number(what), "") if is_request_number(what) else (None, what.upper())
        result = await client.call(RETRY, RetryArgs(number=number, job=job))
        return await follow_request(context, client, result, as_json=as_json, wait=not no_wait)

    context.run(act)
