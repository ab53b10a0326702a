"""`answerback-hub agent …` and `token …`: machines and invitations, beside a serving hub."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from common.times import format_moment, local_zone
from common.values import parse_duration_option
from hub.cli import admin, fleet
from hub.cli.approver_pins import note_of, pins_of, with_pins
from hub.cli.expiry import Expiry
from hub.cli.options import config_file_option, config_option, read_config, show_invitation, table_lines
from hub.config import HubConfig

json_option = click.option("--json", "as_json", is_flag=True, help="one JSON object")
json_list_option = click.option("--json", "as_json", is_flag=True, help="one JSON list")


# ---- invitations


@click.group("token", invoke_without_command=True, short_help="Print the one command that joins a machine.")
@click.option("--agent", metavar="NAME", help="the machine's name")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="a label; may be given several times")
@click.option(
    "--approver", "approvers", multiple=True, metavar="NAME:KEY|FILE", help="whose own signatures count on it, pinned"
)
@click.option("--ttl", default="10m", show_default=True, help="how long the token can be used: 30s, 10m, 2h")
@json_option
@config_file_option
@click.pass_context
def token_group(
    context: click.Context,
    config_file: str | None,
    agent: str | None,
    labels: tuple[str, ...],
    approvers: tuple[str, ...],
    ttl: str,
    as_json: bool,
) -> None:
    """Print the one command that joins a machine; list and revoke such invitations. The token works once, for this
    name, and not for long.

    A machine that is known already joins again with it, at work or not, and keeps its labels.

    With --approver the command carries the keys of people whose own signatures the machine then counts where a rule is
    critical: NAME:KEY, or a file of the lines that `answerback whoami --approval-key` printed to each of them. Without
    it, they are those of the file `approvers` in the hub's folder.

    \b
    answerback-hub token --agent web-1 --label role=web --label site=fra
    answerback-hub token --agent web-1 --approver bob:5f0c… --approver ann:77aa…
    answerback-hub token --agent web-1 --json | jq -r .token
    answerback-hub token list
    answerback-hub token revoke web-1
    """
    if context.invoked_subcommand is not None:
        context.obj = config_file
        return
    if agent is None:
        raise click.UsageError("Missing option '--agent'.", context)
    config = read_config(config_file)
    seconds = parse_duration_option("--ttl", ttl)
    pins = pins_of(config, approvers)
    invitation = with_pins(admin.invite_agent(config, agent, labels, seconds, time.time()), pins)
    show_invitation(invitation, ttl, f"on {agent}", as_json)
    if not as_json and (note := note_of(config, pins)):
        click.echo(note, err=True)


@token_group.command("list", short_help="Invitations that can still be used, and the last ones that were.")
@json_list_option
@config_option
def token_list(config: HubConfig, as_json: bool) -> None:
    """Invitations of machines and people: who made them, until when they can be used, which were used. The token itself
    is nowhere stored: ID names it.

    \b
    answerback-hub token list --json | jq -r '.[] | select(.state == "open") | .id'
    """
    now = time.time()
    found = fleet.list_tokens(config, now)
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [("ID", "FOR", "NAME", "STATE", "UNTIL", "BY")]
    for token in found:
        until = format_moment(token["expires_at"], now, local_zone, seconds=False)
        rows.append((token["id"], token["kind"], token["name"], token["state"], until, token["by"]))
    for line in table_lines(rows):
        click.echo(line)


@token_group.command("revoke", short_help="Void invitations that were not used yet.")
@click.argument("name", metavar="NAME|ID")
@json_option
@config_option
def token_revoke(config: HubConfig, name: str, as_json: bool) -> None:
    """Void the invitations of a name, or the one with this id, that were not used yet.

    \b
    answerback-hub token revoke web-1
    """
    count = fleet.revoke_tokens(config, name, time.time())
    _say({"name": name, "revoked": count}, f"{count} invitation{'s' if count != 1 else ''} of {name} void", as_json)


# ---- machines


@click.group("agent", short_help="Machines: list, label, revoke, forget.")
def agent_group() -> None:
    """Machines: list, label, revoke, forget. (`token` invites one.)"""


@agent_group.command("list", short_help="Machines with certificates, versions and labels.")
@click.option("--all", "everything", is_flag=True, help="also those that were revoked")
@json_list_option
@config_option
def agent_list(config: HubConfig, everything: bool, as_json: bool) -> None:
    """Machines as the store has them, also while no hub serves: state, labels, when each was heard last, until when its
    certificate lasts, versions of uplink and runner.

    \b
    answerback-hub agent list --all
    answerback-hub agent list --json | jq -r '.[] | select(.certificate_until < now + 3600) | .name'
    """
    now = time.time()
    found = fleet.list_agents(config, everything, now)
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [("NAME", "STATE", "HEARD", "CERTIFICATE UNTIL", "UPLINK", "RUNNER", "LABELS")]
    for agent in found:
        heard = agent["last_seen"]
        rows.append(
            (
                agent["name"],
                agent["state"],
                "never" if heard is None else format_moment(heard, now, local_zone, seconds=False),
                _certificate(agent, now),
                agent["uplink_version"] or "-",
                agent["runner_version"] or "-",
                " ".join(f"{key}={value}" for key, value in sorted(agent["labels"].items())) or "-",
            )
        )
    for line in table_lines(rows):
        click.echo(line)


def _certificate(agent: dict[str, Any], now: float) -> str:
    if agent["state"] != "expired":
        return format_moment(agent["certificate_until"], now, local_zone, seconds=False)
    expiry = Expiry(agent["certificate_until"], agent["renewable_until"])
    return expiry.text(now, local_zone, f"answerback-hub token --agent {agent['name']}")


@agent_group.command("label", short_help="Set and take away labels of a machine.")
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="K=V|K-…")
@json_option
@config_option
def agent_label(config: HubConfig, name: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Set labels (K=V) and take them away (K-); the hub knows within two seconds, the link stays.

    \b
    answerback-hub agent label web-1 role=web site=fra old-
    """
    labels = fleet.label(config, name, changes, time.time())
    text = " ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no labels"
    _say({"name": name, "labels": labels}, f"{name}: {text}", as_json)


@agent_group.command("revoke", short_help="Take a machine's certificates back.")
@click.argument("name")
@json_option
@config_option
def agent_revoke(config: HubConfig, name: str, as_json: bool) -> None:
    """Take a machine's certificates back; its link is closed within 5 seconds. Its name may then join anew.

    \b
    answerback-hub agent revoke web-1
    """
    count = admin.revoke(config, "agent", name, time.time())
    text = f"{name} is revoked ({count} certificate{'s' if count != 1 else ''})"
    _say({"name": name, "certificates": count}, text, as_json)


@agent_group.command("forget", short_help="Take a revoked machine off the lists.")
@click.argument("name")
@json_option
@config_option
def agent_forget(config: HubConfig, name: str, as_json: bool) -> None:
    """Take a machine that was revoked off every list: a machine that is gone for good. Its jobs and the audit stay, its
    certificates stay revoked, and its name is free.

    \b
    answerback-hub agent revoke web-1 && sleep 5 && answerback-hub agent forget web-1
    """
    fleet.forget(config, name, time.time())
    _say({"name": name, "forgotten": True}, f"{name} is forgotten", as_json)


def _say(found: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(found) if as_json else text)
