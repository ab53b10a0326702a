"""answerback run and retry: asks for work and sees it through to its end."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

import click

from common.text import clean, clean_output
from tui import show
from tui.cli_base import Context, is_number, json_option, number_of, pass_context, to_json
from tui.client import Client

ENDED_WELL: Final = frozenset({"succeeded"})


@click.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--timeout", type=click.IntRange(1, 86_400), help="seconds the command may run  [default: 60]")
@click.option("--in", "cwd", metavar="DIR", default="", help="the folder to run in, on the machine")
@click.option("--no-wait", is_flag=True, help="print the request and leave")
@json_option
@click.argument("target")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_context
def run_command(
    context: Context, timeout: int | None, cwd: str, no_wait: bool, as_json: bool, target: str, command: tuple[str, ...]
) -> None:
    """Run COMMAND on TARGET (a machine, web-*, role=web) and wait for its end.

    \b
    answerback run web-1 -- df -h
    answerback run 'web-*' -- uptime
    Where policy asks for approval this waits for it, and says so.
    """
    argv = list(command[1:] if command[:1] == ("--",) else command)

    async def act(client: Client) -> int:
        args: dict[str, Any] = {"target": target, "argv": argv, "cwd": cwd}
        if timeout is not None:
            args["timeout"] = timeout
        request = await client.call("run", **args)
        return await see_through(client, request, as_json=as_json, wait=not no_wait)

    context.run(act)


async def see_through(client: Client, request: dict[str, Any], *, as_json: bool, wait: bool) -> int:
    """Follows a request to its end: output as it comes, what it waits for on standard error."""
    number = request["number"]
    if request["state"] == "refused":
        if as_json:
            click.echo(to_json(request))
        click.echo(f"answerback: refused: {clean(request['reason'])}", err=True)
        return 3
    if not wait:
        click.echo(to_json(request) if as_json else f"r{number} {request['state']}")
        return 0
    told: set[str] = set()
    outputs: dict[str, list[bytes]] = {}
    many = len({target for step in (request["plan"] or {}).get("steps", []) for target in step["targets"]}) > 1
    async for push in client.subscribe("follow", id=request["id"]):
        request = push["request"]
        for chunk in push["output"]:
            outputs.setdefault(chunk["job"], []).append(chunk["data"])
            if not as_json:
                write_output(chunk, f"{chunk['agent']} | " if many else "")
        if not as_json:
            tell_waiting(request, told)
        if push["ended"]:
            break
    if as_json:
        for job in request["jobs"]:
            job["output"] = b"".join(outputs.get(job["id"], [])).decode("utf-8", "replace")
        click.echo(to_json(request))
    return tell_end(request, quiet=as_json)


def tell_waiting(request: dict[str, Any], told: set[str]) -> None:
    """Says once what a request waits for."""
    if request["state"] == "asking" and "asking" not in told:
        told.add("asking")
        code = " with a second factor" if request["second_factor"] else ""
        click.echo(
            f"answerback: r{request['number']} waits for {request['approvers']} approval(s){code} "
            f"until {show.moment(request['decide_by'])}; plan {request['plan_hash'][:8]}",
            err=True,
        )
    for job in request["jobs"]:
        if job["state"] == "queued" and job["id"] not in told and time.time() - job["queued_at"] > 1:
            told.add(job["id"])
            until = show.moment(job["not_after"])
            click.echo(f"answerback: {job['agent']} has not taken the job yet; it waits until {until}", err=True)


def tell_end(request: dict[str, Any], *, quiet: bool) -> int:
    """The exit status of a request that has ended, and on standard error why it is not 0."""
    if request["state"] in ("refused", "rejected", "expired", "cancelled"):
        if not quiet:
            click.echo(f"answerback: r{request['number']} {request['state']}: {clean(request['reason'])}", err=True)
        return 3 if request["state"] in ("refused", "rejected") else 1
    bad = [job for job in request["jobs"] if job["state"] not in ENDED_WELL]
    for job in bad:
        if not quiet:
            click.echo(f"answerback: {job['agent']}: {show.end_of(job)}", err=True)
    return 1 if bad else 0


def write_output(chunk: dict[str, Any], prefix: str) -> None:
    """Raw bytes into a file or pipe; made safe on a terminal or behind a machine's name."""
    stream = sys.stderr if chunk["stream"] == 2 else sys.stdout
    if not prefix and not stream.isatty():
        stream.buffer.write(chunk["data"])
    else:
        text = clean_output(chunk["data"])
        if prefix:
            text = "".join(f"{prefix}{line}\n" for line in text.splitlines())
        stream.write(text)
    stream.flush()


@click.command("retry")
@click.argument("what", metavar="R|JOB")
@click.option("--no-wait", is_flag=True, help="print the new request and leave")
@json_option
@pass_context
def retry_command(context: Context, what: str, no_wait: bool, as_json: bool) -> None:
    """Ask for the same again, as a new request whose parent is the old one. Policy decides anew."""

    async def act(client: Client) -> int:
        args: dict[str, Any] = {"number": number_of(what)} if is_number(what) else {"job": what.upper()}
        request = await client.call("retry", **args)
        return await see_through(client, request, as_json=as_json, wait=not no_wait)

    context.run(act)
