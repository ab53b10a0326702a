"""answerback-hub: sets the hub up, serves it, and keeps its house (tokens, people, policy, audit)."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from common.config import Address, parse_address, parse_duration
from common.errors import UserError
from common.version import VERSION
from hub import keeping
from hub.cli_base import DEFAULT_CONFIG, config_option
from hub.cli_models import models_group
from hub.config import HubConfig
from hub.policy_check import rows
from hub.setup import init


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="answerback-hub")
def hub() -> None:
    """The hub: accepts signed chat webhooks, plans, checks, and routes commands to the agents that dialled in.

    \b
    A first hub, on this machine:
      answerback-hub init /etc/answerback --admin alice
      answerback-hub serve
      answerback-hub token --agent web-1                     (paste what it prints on web-1)
      answerback-hub operator add bob --role approver        (paste what it prints where bob works)
      answerback-hub policy check -- systemctl restart nginx (what would be allowed?)
    \b
    Every command but init reads hub.toml: --config FILE, else $ANSWERBACK_CONFIG, else /etc/answerback/hub.toml.
    Exit status: 0 done, 1 the work failed, 2 wrong usage or set-up, 3 denied by policy.
    """


@hub.command("init", short_help="Make a new hub: keys, CA and configuration in a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--admin", metavar="NAME", help="the first admin; also the user NAME of the inlet `ops`")
@click.option("--http", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT", help="where webhooks come in")
@click.option(
    "--links",
    default="127.0.0.1:8443",
    show_default=True,
    metavar="HOST:PORT",
    help="where machines and consoles dial in",
)
@click.option(
    "--public", metavar="HOST:PORT", help="how machines reach --links from where they are  [default: as --links]"
)
def init_command(folder: Path, admin: str | None, http: str, links: str, public: str | None) -> None:
    """Make keys, CA, hub.toml, policy.toml and runbooks.toml in DIR, which holds no hub yet.

    \b
    answerback-hub init /etc/answerback --admin alice
    answerback-hub init /etc/answerback --admin alice --links 0.0.0.0:8443 --public hub.example.org:8443
    """
    now = time.time()
    made = init(
        folder,
        now=now,
        admin=admin or "",
        http=_address("--http", http),
        links=_address("--links", links),
        public=_address("--public", public) if public else None,
        record=lambda summary: keeping.record_init(summary, now),
    )
    file = made.folder.config
    click.echo(f"made {made.folder.path}: hub.toml, policy.toml, runbooks.toml, keys and an authority of its own")
    click.echo(f"  webhooks     http://{made.http}/webhook/ops   signed with the secret in {made.secret_file}")
    click.echo(f"  machines     wss://{made.reach}   authority {made.pin}")
    if admin:
        click.echo(f"  admin        {admin}, whose console profile is {made.folder.profile}")
    click.echo("next:")
    option = "" if str(file) == DEFAULT_CONFIG else f" --config {file}"
    click.echo(f"  answerback-hub serve{option}")
    click.echo(f"  answerback-hub token --agent NAME{option}")


def _address(option: str, text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError:
        raise UserError(f"{option} {text}: that is no address", "write HOST:PORT, for example 127.0.0.1:8080") from None


def _seconds(option: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise UserError(f"{option} {text}: that is no duration", "write 30s, 10m or 2h") from None


@hub.command("serve", short_help="Serve until SIGTERM or SIGINT.")
@config_option
def serve_command(config: HubConfig) -> None:
    """Serve webhooks and links until SIGTERM or SIGINT. Logs go to standard error.

    \b
    answerback-hub serve --config /etc/answerback/hub.toml

    policy.toml and runbooks.toml are read again when they change; hub.toml at the next start. Killed at any point, the
    next start goes on where this one was. As a service: systemd/README.md.
    """
    from hub.app import serve  # the whole hub: the small commands start without it

    serve(config)


@hub.command("check", short_help="Validate every file; names file, key and cure.")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def check_command(config: HubConfig, as_json: bool) -> None:
    """Validate hub.toml, policy.toml, runbooks.toml, secrets and keys; names file, key and cure. Changes nothing.

    \b
    answerback-hub check && systemctl restart answerback-hub
    """
    found = keeping.check_files(config)
    if as_json:
        click.echo(json.dumps(found))
        return
    for line in found["lines"]:
        click.echo(line)


@hub.command("token", short_help="Print the one command that joins a machine.")
@click.option("--agent", required=True, metavar="NAME", help="the machine's name")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="a label; may be given several times")
@click.option("--ttl", default="10m", show_default=True, help="how long the token can be used: 30s, 10m, 2h")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def token_command(config: HubConfig, agent: str, labels: tuple[str, ...], ttl: str, as_json: bool) -> None:
    """Print the one command that joins a machine. The token works once, for this name, and not for long.

    \b
    answerback-hub token --agent web-1 --label role=web --label site=fra
    answerback-hub token --agent web-1 --json | jq -r .token
    """
    _show_invitation(
        keeping.invite_agent(config, agent, labels, _seconds("--ttl", ttl), time.time()), ttl, f"on {agent}", as_json
    )


def _show_invitation(invitation: dict[str, Any], ttl: str, where: str, as_json: bool) -> None:
    """The command alone on standard output; what to do with it beside that."""
    if as_json:
        click.echo(json.dumps(invitation))
        return
    click.echo(f"to be run {where}, once, within {ttl}:", err=True)
    click.echo(invitation["command"])


@hub.group("agent")
def agent_group() -> None:
    """Machines: revoke. (`answerback agents` lists them, `token` invites one.)"""


@agent_group.command("revoke", short_help="Take a machine's certificates back.")
@click.argument("name")
@config_option
def agent_revoke(config: HubConfig, name: str) -> None:
    """Take a machine's certificates back; its link is closed within 5 seconds. Its name may then join anew.

    \b
    answerback-hub agent revoke web-1
    """
    count = keeping.revoke(config, "agent", name, time.time())
    click.echo(f"{name} is revoked ({count} certificate{'s' if count != 1 else ''})")


@hub.group("operator")
def operator_group() -> None:
    """People at the command line and console: add, remove, totp."""


@operator_group.command("add", short_help="Add a person; print the one login command for them.")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(["viewer", "operator", "approver", "admin"]))
@click.option("--ttl", default="10m", show_default=True, help="how long the login command can be used")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def operator_add(config: HubConfig, name: str, role: str, ttl: str, as_json: bool) -> None:
    """Add a person, or give one another role, and print the one login command for them.

    \b
    answerback-hub operator add bob --role approver

    A viewer looks; an operator also runs what the policy lets them; an approver also decides on others' requests,
    pauses, settles and reads the audit; an admin may all of it. Who somebody is in chat is in hub.toml, [people.NAME].
    """
    _show_invitation(
        keeping.invite_operator(config, name, role, _seconds("--ttl", ttl), time.time()), ttl, f"by {name}", as_json
    )


@operator_group.command("remove", short_help="Revoke a person: no role, no links.")
@click.argument("name")
@config_option
def operator_remove(config: HubConfig, name: str) -> None:
    """Revoke a person: no role, no chat, no console; links are closed within 5 seconds. `operator add` undoes it.

    \b
    answerback-hub operator remove bob
    """
    count = keeping.revoke(config, "operator", name, time.time())
    click.echo(f"{name} is revoked ({count} certificate{'s' if count != 1 else ''})")


@operator_group.command("totp", short_help="Enrol a second factor: shows a QR code once.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="one JSON object with the otpauth URI")
@config_option
def operator_totp(config: HubConfig, name: str, as_json: bool) -> None:
    """Enrol a second factor: shows a QR code for an authenticator app, once, here and nowhere else.

    \b
    answerback-hub operator totp bob

    One that bob had before stops working. Codes are asked for where a rule of policy.toml says second_factor = true.
    """
    uri = keeping.enrol(config, name, time.time())
    if as_json:
        click.echo(json.dumps({"person": name, "uri": uri}))
        return
    import segno  # only for the picture

    click.echo(f"scan this as {name} with an authenticator app; it is shown only now:\n")
    segno.make(uri).terminal(out=sys.stdout, compact=True)
    click.echo(f"\n{uri}")


@hub.group("policy")
def policy_group() -> None:
    """What may run: try commands against policy.toml."""


@policy_group.command(
    "check", short_help="Verdict, reason and rule for commands.", context_settings={"ignore_unknown_options": True}
)
@click.option("--as", "person", metavar="PERSON", help="a person of hub.toml; else a plain operator")
@click.option("--agent", metavar="NAME", default="", help="the machine; else one without labels")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a command")
@click.option("--lines", metavar="FILE", help="a file of commands, one a line; - is standard input")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@config_option
def policy_check(
    config: HubConfig, person: str | None, agent: str, as_json: bool, lines: str | None, command: tuple[str, ...]
) -> None:
    """Say verdict, reason and rule for a command, without running anything.

    \b
    answerback-hub policy check -- df -h
    answerback-hub policy check --as bob --agent web-1 -- systemctl restart nginx
    answerback-hub policy check --json --lines commands.txt
    Exit status for one command: 0 allow or ask, 3 deny.
    """
    if (lines is None) == (not command):
        raise UserError("policy check takes one command after --, or --lines FILE", "see policy check --help")
    policy, roles, labels = keeping.policy_facts(config, person, agent)
    source = [keeping.join_words(command)] if lines is None else keeping.read_lines(lines)
    denied = False
    for row in rows(policy, source, roles, agent, labels):
        denied = denied or row["verdict"] == "deny"
        if as_json or lines is not None:
            click.echo(json.dumps(row, ensure_ascii=True))
        else:
            click.echo(f"{row['verdict']}: {row['reason']}" + (f"  (rule {row['rule']})" if row["rule"] else ""))
    if denied and lines is None:
        sys.exit(3)


@hub.group("audit")
def audit_group() -> None:
    """The hash-chained, signed record of everything: verify, export."""


@audit_group.command("verify", short_help="Check every hash and signature.")
@click.option(
    "--file", "exported", metavar="FILE", type=click.Path(path_type=Path), help="an exported file instead of the store"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def audit_verify(config: HubConfig, exported: Path | None, as_json: bool) -> None:
    """Check every row's hash, the chain, and every signed checkpoint; names the first bad row.

    \b
    answerback-hub audit verify
    answerback-hub audit verify --file audit.jsonl         an export, against this hub's keys
    """
    report = keeping.verify_audit(config, exported)
    if as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(report["text"])
    if not report["ok"]:
        sys.exit(1)


@audit_group.command("export", short_help="Write it as JSON lines.")
@click.option("--output", "-o", metavar="FILE", default="-", help="where to; - is standard output")
@config_option
def audit_export(config: HubConfig, output: str) -> None:
    """Write the audit as JSON lines that a stranger can verify offline.

    \b
    answerback-hub audit export -o audit.jsonl
    answerback-hub audit export | jq -c 'select(.kind == "job.started")'
    """
    try:
        with click.open_file(output, "w", encoding="utf-8") as target:
            keeping.export_audit(config, target.write)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"cannot write {output} ({error.strerror})", "name another file, or make room") from None


hub.add_command(models_group)


def main() -> None:
    """Entry point: a person's mistake is one line on standard error, never a traceback."""
    try:
        hub(standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except UserError as error:
        click.echo(f"answerback-hub: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
