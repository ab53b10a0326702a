"""answerback: the operator's command line, and the way into the console."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from common.errors import UserError
from common.version import VERSION
from tui import cli_acts, cli_look, cli_run
from tui.cli_base import Context, pass_context
from tui.login import login
from tui.profile import default_path


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


for command in (
    cli_run.run_command,
    cli_run.retry_command,
    cli_look.agents_command,
    cli_look.jobs_command,
    cli_look.job_command,
    cli_look.requests_command,
    cli_look.watch_command,
    cli_acts.approve_command,
    cli_acts.reject_command,
    cli_acts.cancel_command,
    cli_acts.settle_command,
    cli_acts.pause_command,
    cli_acts.resume_command,
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
        sys.exit(1)


if __name__ == "__main__":
    main()
