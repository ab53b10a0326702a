"""The commands of answerback-hub: init, serve, check, and administration (tokens, people, policy, audit).

The docstrings of commands are their help texts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import click

from common.errors import UserError
from common.process.click_program import LazyCommands, run_click
from common.values import Address, parse_address
from common.version import VERSION
from hub.cli.options import DEFAULT_CONFIG, config_file_option, config_option, config_path
from hub.config import HubConfig
from hub.core.http_table import is_loopback

MAX_STORE_URL: Final = 4096
PLACES: Final = {
    "agent": "machines:agent_group",
    "audit": "audit:audit_group",
    "backup": "backup_commands:backup_command",
    "ca": "ca:ca_group",
    "doctor": "doctor:doctor_command",
    "inlet": "inlets:inlet_group",
    "keys": "keys:keys_group",
    "models": "models:models_group",
    "operator": "people:operator_group",
    "people": "people:people_group",
    "policy": "policy:policy_group",
    "recover": "backup_commands:recover_command",
    "restore": "backup_commands:restore_command",
    "token": "machines:token_group",
    "units": "units:units_command",
}
"""Command -> module of `hub.cli`, and what it is called there: a hub that serves keeps none of them in memory."""


@click.group(
    commands=LazyCommands("hub.cli", PLACES),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
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
    Exit status: 0 done, 1 the work failed, 2 wrong usage or set-up, 3 denied by policy, 130 interrupted.
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
@click.option(
    "--store",
    metavar="URL",
    help="postgresql://USER@HOST/NAME, an empty database; - reads it from standard input  [default: SQLite in DIR]",
)
def init_command(folder: Path, admin: str | None, http: str, links: str, public: str | None, store: str | None) -> None:
    """Make keys, CA, hub.toml, policy.toml and runbooks.toml in DIR, which holds no hub yet.

    \b
    answerback-hub init /etc/answerback --admin alice
    answerback-hub init /etc/answerback --admin alice --links 0.0.0.0:8443 --public hub.example.org:8443
    answerback-hub init /etc/answerback --admin alice --store postgresql://answerback@db.example.org/answerback
    A password in the URL stands in the process list: give --store - instead, or keep it in ~/.pgpass.
    """
    now = time.time()
    if store == "-":
        store = sys.stdin.readline(MAX_STORE_URL).strip()
    from hub.cli.admin import record_init
    from hub.cli.init import init

    summary = init(
        folder,
        now=now,
        admin=admin or "",
        http=_address("--http", http),
        links=_address("--links", links),
        public=_address("--public", public) if public else None,
        store=store,
        record=lambda created: record_init(created, now),
    )
    file = summary.folder.config
    click.echo(f"made {summary.folder.path}: hub.toml, policy.toml, runbooks.toml, keys and an authority of its own")
    click.echo(f"  webhooks     http://{summary.http}/webhook/ops   signed with the secret in {summary.secret_file}")
    if not is_loopback(summary.http.host):
        click.echo(
            "               without TLS: hub.toml says behind_proxy = true; put a proxy that ends TLS in front, or set"
            " certificate_file and key_file"
        )
    click.echo(f"  machines     wss://{summary.dial_address}   authority {summary.pin}")
    if admin:
        click.echo(f"  admin        {admin}, whose console profile is {summary.folder.profile}")
    click.echo("next:")
    option = "" if str(file) == DEFAULT_CONFIG else f" --config {file}"
    click.echo(f"  answerback-hub serve{option}")
    click.echo(f"  answerback-hub token --agent NAME{option}")


def _address(option: str, text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError:
        raise UserError(f"{option} {text}: that is no address", "write HOST:PORT, for example 127.0.0.1:8080") from None


@hub.command("serve", short_help="Serve until SIGTERM or SIGINT.")
@config_option
def serve_command(config: HubConfig) -> None:
    """Serve webhooks and links until SIGTERM or SIGINT. Logs go to standard error.

    \b
    answerback-hub serve --config /etc/answerback/hub.toml

    policy.toml and runbooks.toml are read again when they change. SIGHUP (`systemctl reload answerback-hub`) reads
    hub.toml and secrets again too, and reopens the log; no link and no job is dropped. Killed at any point, the next
    start goes on where this one was. As a service: systemd/README.md.
    """
    from hub.app import serve  # the whole hub: the small commands start without it

    serve(config)


@hub.command("check", short_help="Validate every file; all that is wrong at once.")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_file_option
def check_command(config_file: str | None, as_json: bool) -> None:
    """Validate hub.toml, policy.toml, runbooks.toml, secrets and keys, each to its end: every problem with file, line
    or key, and cure. Changes nothing.

    \b
    answerback-hub check && systemctl reload answerback-hub
    Exit status: 0 all right, 2 something is wrong.
    """
    from hub.cli.file_check import check_all, show_report

    show_report(check_all(config_path(config_file)), as_json)


def main() -> None:
    """Runs the command line and exits; how errors are told is in `common.process.program`."""
    sys.exit(run_click("answerback-hub", hub))


if __name__ == "__main__":
    main()
