"""answerback: the operator's command line, and the way into the console."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import click

from common.errors import UserError
from common.process.click_program import LazyCommands, run_click
from common.version import VERSION
from tui.cli.commands import PLACES
from tui.cli.context import CliContext, pass_context
from tui.client.profile import PROFILE_VARIABLE, default_path

TOKEN_VARIABLE: Final = "ANSWERBACK_TOKEN"  # noqa: S105 - a variable's name
MAX_TOKEN_LINE: Final = 4096


@click.group(
    commands=LazyCommands("tui.cli", PLACES),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(VERSION, prog_name="answerback")
@click.option(
    "--profile",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help=f"who you are and where the hub is  [default: ${PROFILE_VARIABLE}, else ~/.config/answerback]",
)
@click.pass_context
def answerback(context: click.Context, profile: Path | None) -> None:
    """Run commands on your machines through the hub, and step in where it waits.

    \b
      answerback login wss://HUB:8443 --token T --ca-pin P   once: the line that `operator add` printed
      answerback agents                      which machines there are
      answerback run web-1 -- df -h          one command, its output, its exit status
      answerback jobs                        what runs and what ran
      answerback request r42                 what r42 would do, and what became of it
      answerback approve r42 --code 123456   say yes to exactly that plan
      answerback audit kind:request.edited   who did what; here: who changed which plan
      answerback watch                       everything, as it happens
    \b
    Every command that shows something takes --json.
    Exit status: 0 done, 1 the work failed, 2 wrong usage or set-up, 3 refused by policy or rights, 130 interrupted.
    """
    context.obj = CliContext(profile)


@answerback.command("login", short_help="Make your profile with a token from the hub.")
@click.argument("url")
@click.option("--token", help=f"as printed; - reads it from standard input  [default: ${TOKEN_VARIABLE}]")
@click.option("--ca-pin", required=True, metavar="sha256:…", help="the hub's authority, as printed")
@click.option("--force", is_flag=True, help="replace a profile that is there")
@click.option(
    "--profile", "folder", metavar="DIR", type=click.Path(path_type=Path), help="where to  [default: as above]"
)
@pass_context
def login_command(
    context: CliContext, url: str, token: str | None, ca_pin: str, force: bool, folder: Path | None
) -> None:
    """Make your profile: a key made here, a certificate from the hub. Once a machine; after that it renews itself.

    \b
    The whole line is what this prints on the hub:
      answerback-hub operator add bob --role approver
    To keep the token out of the process list:
      answerback login wss://hub.example.org:8443 --ca-pin sha256:5f0c… --token - < token
    """
    from tui.client.login import login  # loads cryptography

    secret = token or os.environ.get(TOKEN_VARIABLE, "")
    if secret == "-":  # noqa: S105 - standard input
        secret = sys.stdin.readline(MAX_TOKEN_LINE)
    if not secret.strip():
        raise UserError("no token", f"give --token, --token - (standard input) or ${TOKEN_VARIABLE}")
    where = (folder or context.profile or default_path()).absolute()
    made = asyncio.run(login(url, secret.strip(), ca_pin, where, force=force))
    click.echo(f"you are {made.name} at hub {made.hub}; your profile is {made.path}")
    named = folder or context.profile
    option = f" --profile {where}" if named is not None and not _is_default(where) else ""
    click.echo(f"  next: answerback{option} agents")


def _is_default(folder: Path) -> bool:
    try:
        return folder == default_path().absolute()
    except UserError:
        return False


def main() -> None:
    """Runs the command line and exits; how errors are told is in `common.process.program`."""
    sys.exit(run_click("answerback", answerback))


if __name__ == "__main__":
    main()
