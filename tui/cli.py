"""answerback: the operator's command line, and the way into the console."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import click

from common.errors import UserError
from common.version import VERSION
from tui import cli_acts, cli_audit, cli_console, cli_control, cli_look, cli_run, cli_runbooks, cli_watch
from tui.cli_base import Context, pass_context
from tui.profile import VARIABLE, default_path

TOKEN_VARIABLE: Final = "ANSWERBACK_TOKEN"  # noqa: S105 - a variable's name
MAX_TOKEN_LINE: Final = 4096


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="answerback")
@click.option(
    "--profile",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help=f"who you are and where the hub is  [default: ${VARIABLE}, else ~/.config/answerback]",
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
    Exit status: 0 done, 1 the work failed, 2 wrong usage or set-up, 3 refused by policy or rights.
    """
    context.obj = Context(profile)


@answerback.command("login", short_help="Make your profile with a token from the hub.")
@click.argument("url")
@click.option("--token", help=f"as printed; - reads it from standard input  [default: ${TOKEN_VARIABLE}]")
@click.option("--ca-pin", required=True, metavar="sha256:…", help="the hub's authority, as printed")
@click.option("--force", is_flag=True, help="replace a profile that is there")
@click.option(
    "--profile", "folder", metavar="DIR", type=click.Path(path_type=Path), help="where to  [default: as above]"
)
@pass_context
def login_command(context: Context, url: str, token: str | None, ca_pin: str, force: bool, folder: Path | None) -> None:
    """Make your profile: a key made here, a certificate from the hub. Once a machine; after that it renews itself.

    \b
    The whole line is what this prints on the hub:
      answerback-hub operator add bob --role approver
    To keep the token out of the process list:
      answerback login wss://hub.example.org:8443 --ca-pin sha256:5f0c… --token - < token
    """
    from tui.login import login  # loads cryptography

    secret = token or os.environ.get(TOKEN_VARIABLE, "")
    if secret == "-":  # noqa: S105 - standard input
        secret = sys.stdin.readline(MAX_TOKEN_LINE)
    if not secret.strip():
        raise UserError("no token", f"give --token, --token - (standard input) or ${TOKEN_VARIABLE}")
    where = (folder or context.profile or default_path()).absolute()
    made = asyncio.run(login(url, secret.strip(), ca_pin, where, force=force))
    click.echo(f"you are {made.name} at hub {made.hub}; your profile is {made.path}")
    option = "" if where == default_path().absolute() else f" --profile {where}"
    click.echo(f"  next: answerback{option} agents")


for command in (
    cli_console.console_command,
    cli_run.run_command,
    cli_run.retry_command,
    cli_look.agents_command,
    cli_look.jobs_command,
    cli_look.job_command,
    cli_look.requests_command,
    cli_look.request_command,
    cli_look.queue_command,
    cli_audit.audit_command,
    cli_watch.watch_command,
    cli_acts.approve_command,
    cli_acts.reject_command,
    cli_acts.cancel_command,
    cli_acts.settle_command,
    cli_acts.pause_command,
    cli_acts.resume_command,
    cli_control.priority_command,
    cli_control.take_back_command,
    cli_control.drain_command,
    cli_control.undrain_command,
    cli_control.edit_command,
    cli_control.broadcast_command,
    cli_runbooks.runbook_group,
):
    answerback.add_command(command)


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
        # Whoever read our output has gone; the interpreter's last flush must not complain of it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
