"""answerback: the operator's command line, and the way into the console."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from common.errors import UserError
from common.text import clean, clean_output
from common.version import VERSION
from tui import show
from tui.client import Client, connect
from tui.login import login
from tui.profile import default_path, read_profile

ENDED_WELL = {"succeeded"}


class Context:
    """What the group's options say to every command."""

    def __init__(self, profile: Path | None) -> None:
        self.profile = profile

    def run(self, act: Callable[[Client], Awaitable[int | None]]) -> None:
        """Connects, acts, and exits with the act's status."""

        async def whole() -> int:
            async with connect(read_profile(self.profile)) as client:
                return await act(client) or 0

        sys.exit(asyncio.run(whole()))


pass_context = click.make_pass_decorator(Context)
json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document on standard output")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="answerback")
@click.option("--profile", metavar="DIR", type=click.Path(path_type=Path), help="who you are and where the hub is")
@click.pass_context
def answerback(context: click.Context, profile: Path | None) -> None:
    """Run commands on your machines through the hub, and step in where it waits.

    \b
      answerback agents                      which machines there are
      answerback run web-1 -- df -h          one command, its output, its exit status
      answerback jobs                        what runs and what ran
      answerback approve r42 --code 123456   say yes to exactly that plan
      answerback watch                       everything, as it happens
    Exit status: 0 done, 1 the work failed, 2 wrong usage or set-up, 3 refused by policy or rights.
    """
    context.obj = Context(profile)


@answerback.command("login")
@click.argument("url")
@click.option(
    "--token", required=True, help="as printed by answerback-hub operator add; - reads it from standard input"
)
@click.option("--ca-pin", required=True, metavar="sha256:…", help="the hub's authority, as printed")
@click.option("--force", is_flag=True, help="replace a profile that is there")
@pass_context
def login_command(context: Context, url: str, token: str, ca_pin: str, force: bool) -> None:
    """Make this person's profile: a key made here, a certificate from the hub."""
    secret = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105
    made = asyncio.run(login(url, secret, ca_pin, context.profile or default_path(), force=force))
    click.echo(f"you are {made.name} at hub {made.hub}; the profile is {made.path}")


@answerback.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
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


def to_json(data: Any) -> str:
    """JSON for scripts; bytes, which only output has, as text where they are UTF-8 and as base64 where not."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                return {"base64": base64.b64encode(value).decode()}
        raise TypeError(f"{type(value).__name__} is not JSON")

    return json.dumps(data, default=plain, ensure_ascii=True)


@answerback.command("agents")
@json_option
@pass_context
def agents_command(context: Context, as_json: bool) -> None:
    """Machines: online, labels, load, what waits for them."""

    async def act(client: Client) -> int:
        found = await client.call("agents")
        if as_json:
            click.echo(to_json(found))
            return 0
        now = time.time() + client.clock_offset
        rows = []
        for agent in found:
            state = "online" if agent["online"] else "OFFLINE"
            if agent["state"] != "active":
                state = agent["state"].upper()
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
        click.echo(show.table(head, rows) or "no machine has joined yet: answerback-hub token --agent NAME")
        return 0

    context.run(act)


@answerback.command("jobs")
@click.option("--state", "states", multiple=True, help="only these: queued, running, failed, unknown …")
@click.option("--agent", default="", metavar="NAME", help="only this machine")
@click.option("--person", default="", metavar="NAME", help="only this person's")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 500))
@json_option
@pass_context
def jobs_command(context: Context, states: tuple[str, ...], agent: str, person: str, limit: int, as_json: bool) -> None:
    """Jobs, newest first."""

    async def act(client: Client) -> int:
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
                job["state"] + (" (cancel asked)" if job["cancel_asked_at"] and not job["ended_at"] else ""),
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


@answerback.command("job")
@click.argument("job_id", metavar="ID")
@json_option
@pass_context
def job_command(context: Context, job_id: str, as_json: bool) -> None:
    """One job with its output. ID may be the last characters of it."""

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
            ("request", f"r{job.get('number', '?')} by {job['person']}"),
            ("machine", job["agent"]),
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
            click.echo(f"{name:<8} {clean(str(value))}", err=True)
        for chunk in chunks:
            write_output(chunk, "")
        return 0

    context.run(act)


@answerback.command("requests")
@click.option("--state", "states", multiple=True, help="only these: asking, working, done, refused …")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 500))
@json_option
@pass_context
def requests_command(context: Context, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Requests, newest first: who asked what, and what became of it."""

    async def act(client: Client) -> int:
        args: dict[str, Any] = {"limit": limit}
        if states:
            args["states"] = list(states)
        found = await client.call("requests", **args)
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


def number_of(text: str) -> int:
    """r42, #42 or 42."""
    digits = text.lower().removeprefix("r").removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise UserError(
            f"{clean(text, limit=40)} is no request", "write r42, as chat and `answerback requests` show it"
        )
    return int(digits)


def act_on_request(context: Context, verb: str, request: str, as_json: bool, **args: Any) -> None:
    async def act(client: Client) -> int:
        done = await client.call(verb, number=number_of(request), **args)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@answerback.command("approve")
@click.argument("request", metavar="R")
@click.option(
    "--code", default="", help="your second factor, where the policy asks for it; - reads it from standard input"
)
@click.option("--plan", "plan_hash", default="", metavar="HASH", help="approve only if this is still the plan's hash")
@click.option("--reason", default="")
@json_option
@pass_context
def approve_command(context: Context, request: str, code: str, plan_hash: str, reason: str, as_json: bool) -> None:
    """Say yes to exactly the plan of request R."""
    secret = sys.stdin.readline().strip() if code == "-" else code
    act_on_request(context, "approve", request, as_json, code=secret, plan_hash=plan_hash, reason=reason)


@answerback.command("reject")
@click.argument("request", metavar="R")
@click.argument("why", nargs=-1)
@json_option
@pass_context
def reject_command(context: Context, request: str, why: tuple[str, ...], as_json: bool) -> None:
    """Say no to request R; WHY goes back to whoever asked."""
    act_on_request(context, "reject", request, as_json, why=" ".join(why))


@answerback.command("cancel")
@click.argument("what", metavar="R|JOB")
@click.option("--kill", is_flag=True, help="KILL at once, without TERM and grace")
@json_option
@pass_context
def cancel_command(context: Context, what: str, kill: bool, as_json: bool) -> None:
    """Cancel a request, or one job of it. Says when it is asked for; `job` tells when it has happened."""

    async def act(client: Client) -> int:
        args: dict[str, Any] = {"number": number_of(what)} if is_number(what) else {"job": what.upper()}
        done = await client.call("cancel", kill=kill, **args)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


def is_number(text: str) -> bool:
    digits = text.lower().removeprefix("r").removeprefix("#")
    return digits.isascii() and digits.isdigit() and len(digits) <= 9


@answerback.command("retry")
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


@answerback.command("settle")
@click.argument("job_id", metavar="JOB")
@click.argument("word", type=click.Choice(["done", "failed"]))
@json_option
@pass_context
def settle_command(context: Context, job_id: str, word: str, as_json: bool) -> None:
    """Your word on a job whose outcome is unknown."""

    async def act(client: Client) -> int:
        done = await client.call("settle", job=job_id.upper(), done=word == "done")
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@answerback.command("pause")
@click.argument("agent", required=False, default="")
@click.option("--reason", default="")
@json_option
@pass_context
def pause_command(context: Context, agent: str, reason: str, as_json: bool) -> None:
    """Hand out nothing new to AGENT, or to any machine where none is named. What runs goes on."""

    async def act(client: Client) -> int:
        done = await client.call("pause", agent=agent, reason=reason)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@answerback.command("resume")
@click.argument("agent", required=False, default="")
@json_option
@pass_context
def resume_command(context: Context, agent: str, as_json: bool) -> None:
    """Hand out jobs again."""

    async def act(client: Client) -> int:
        done = await client.call("resume", agent=agent)
        click.echo(to_json(done) if as_json else done["text"])
        return 0

    context.run(act)


@answerback.command("watch")
@click.option("--after", type=int, help="begin after this audit row instead of now")
@json_option
@pass_context
def watch_command(context: Context, after: int | None, as_json: bool) -> None:
    """Everything as it happens, one event a line; Ctrl-C ends it."""

    async def act(client: Client) -> int:
        args = {} if after is None else {"after": after}
        async for events in client.subscribe("watch", **args):
            for event in events:
                click.echo(to_json(event) if as_json else event_line(event))
        return 0

    context.run(act)


def event_line(event: dict[str, Any]) -> str:
    told = " ".join(f"{key}={short(value)}" for key, value in event["data"].items())
    return clean(
        f"{show.moment(event['at'])} {event['kind']} {event['subject'][-10:]} {event['actor']} {told}", limit=500
    )


def short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return show.cut(text, 80)


def main() -> None:
    """Entry point: a person's mistake is one line on standard error, never a traceback."""
    try:
        answerback(standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except UserError as error:
        click.echo(f"answerback: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()
