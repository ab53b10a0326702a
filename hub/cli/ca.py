"""`answerback-hub ca`: the CA of the hub's own; what it does is in `ca_rotation` beside this.

The docstrings of commands are their help texts.
"""

from __future__ import annotations

import json
import time
from typing import Final

import click

from common.errors import UserError
from common.times import format_moment, local_zone
from common.values import parse_duration_option
from hub.cli import ca_rotation
from hub.cli.ca_rotation import CaReport
from hub.cli.options import config_file_option, config_option, table_lines
from hub.config import HubConfig

MAX_LISTED: Final = 50
MAX_WITHIN: Final = 7 * 24 * 3600.0
_MEANS: Final = {
    "standby": "one CA",
    "init": "a new CA is made, and everybody is told to trust both",
    "update_clients": "machines and people get certificates of the new CA",
    "update_servers": "the hub shows a certificate of the new CA",
    "rollback": "everything is of the old CA again; both are still trusted",
}
_within = click.option("--within", metavar="TIME", help="in each phase, wait so long for those who are not through")
_force = click.option("--force", is_flag=True, help="go on without those who are not through: they must join anew")
_json = click.option("--json", "as_json", is_flag=True, help="one JSON object")


@click.group("ca", short_help="The hub's CA: where it stands, its replacement, the way back.")
@config_file_option
@click.pass_context
def ca_group(context: click.Context, config_file: str | None) -> None:
    """The CA that certifies machines, people and the hub itself. Its keys are never shown.

    \b
    answerback-hub ca status            where it stands, who is not through yet, the next command
    answerback-hub ca rotate            the next step of its replacement; the hub serves meanwhile
    answerback-hub ca rotate --all --within 30m   all steps, waiting for everybody in between
    answerback-hub ca rollback          back to the CA of before
    docs/ca-rotation.md says who trusts and shows what in each phase.
    """
    context.obj = config_file


@ca_group.command("status")
@_json
@config_option
def status_command(config: HubConfig, as_json: bool) -> None:
    """Show the phase, the CAs with their end and last use, and who is not through yet, with what to do.

    \b
    answerback-hub ca status --json | jq -r '.behind[] | .name'
    """
    report = ca_rotation.read_report(config, time.time())
    click.echo(json.dumps(report.to_json()) if as_json else "\n".join(report_lines(report)))


def report_lines(report: CaReport) -> list[str]:
    since = f" since {_moment(report.since)}" if report.since else ""
    has = {"yes": "", "no": "; the serving hub has NOT taken it up yet", "": "; no hub serves"}[report.hub]
    lines = [f"phase   {report.phase}{since}: {_MEANS[report.phase]}{has}"]
    rows = [["CA", "PIN", "UNTIL", "LAST SIGNED", "HOLDERS"]]
    for row in report.authorities:
        used = _moment(row.last_issued) if row.last_issued is not None else "never"
        rows.append([row.role, row.pin, _moment(row.not_after), used, str(row.holders)])
    lines += table_lines(rows)
    through, late = len(report.everybody) - len(report.behind), report.behind
    if report.phase == "standby":
        if late:
            lines.append(f"{len(late)} hold a certificate of a CA that is gone:")
    else:
        lines.append(f"through {through} of {len(report.everybody)}{', not yet:' if late else ''}")
    for one in late[:MAX_LISTED]:
        kind = "machine" if one.holder.kind == "agent" else "person"
        seen = f", last seen {_moment(one.holder.last_seen)}" if one.holder.last_seen else ""
        lines.append(f"  {kind} {one.holder.name}{seen}: {ca_rotation.cure_of(one)}")
    if len(late) > MAX_LISTED:
        lines.append(f"  and {len(late) - MAX_LISTED} more: --json has them all")
    if report.following:
        lines.append(f"next    {report.following}")
        if report.phase != "rollback":
            lines.append("back    answerback-hub ca rollback")
    return lines


@ca_group.command("rotate")
@click.option("--all", "through", is_flag=True, help="all steps to the end, not one  [--within 10m]")
@_within
@_force
@_json
@config_option
def rotate_command(config: HubConfig, through: bool, within: str | None, force: bool, as_json: bool) -> None:
    """Make the next step of a replacement of the CA; begins one where none is under way. No link and no job is dropped.

    \b
    answerback-hub ca rotate                       init, update_clients, update_servers, and the end, one a time
    answerback-hub ca rotate --all --within 1h     all of them; stops, and says who, where somebody is not through
    The last step drops the old CA. It is refused while anybody would be shut out by it, unless --force is given.
    """
    seconds = _seconds(within or ("10m" if through else ""))
    done = ca_rotation.rotate(config, through=through, within=seconds, force=force, told=_teller(as_json))
    _show(config, as_json)
    if done.phase == "standby" and not as_json:
        click.echo(f"join and login commands that were printed before need the pin {done.current.pin}: print new ones")
        click.echo("make a backup now: one from before has a CA that nobody trusts any more")


@ca_group.command("rollback")
@_within
@_force
@_json
@config_option
def rollback_command(config: HubConfig, within: str | None, force: bool, as_json: bool) -> None:
    """Go back to the CA of before, from any phase of a replacement. Once everybody is back, run it again to end it.

    \b
    answerback-hub ca rollback
    answerback-hub ca rollback --within 10m        waits for everybody, and ends it
    """
    ca_rotation.roll_back(config, within=_seconds(within or ""), force=force, told=_teller(as_json))
    _show(config, as_json)


def _teller(as_json: bool) -> ca_rotation.Told:
    return lambda done: None if as_json else click.echo(f"{done.phase}: {_MEANS[done.phase]}")


def _show(config: HubConfig, as_json: bool) -> None:
    report = ca_rotation.read_report(config, time.time())
    click.echo(json.dumps(report.to_json()) if as_json else "\n".join(report_lines(report)[1:]))


def _seconds(text: str) -> float:
    if not text:
        return 0.0
    seconds = float(parse_duration_option("--within", text))
    if not 0 < seconds <= MAX_WITHIN:
        raise UserError(f"--within {text[:40]} is out of range", "give 1s to 7d")
    return seconds


def _moment(at: float) -> str:
    return format_moment(at, None, local_zone, seconds=False)
