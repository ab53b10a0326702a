"""The commands `backup`, `restore` and `recover`; what they do is in `backup` and `recover` beside this.

The docstrings of commands are their help texts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from common.errors import UserError
from common.read_file import read_secret
from common.times import format_moment, local_zone
from common.values import format_rounded_size
from hub.cli import backup, recover
from hub.cli.options import config_option
from hub.config import HubConfig


def _passphrase(file: Path | None, variable: str | None, *, confirm: bool) -> str:
    """Of a file, of the environment, or typed; never an argument, which other users of the machine can see."""
    if file is not None and variable is not None:
        raise UserError("--passphrase-file and --passphrase-env exclude each other", "give one of them")
    if file is not None:
        return (
            read_secret(file, "write the passphrase into it, with mode 0600").decode("utf-8", "surrogateescape").strip()
        )
    if variable is not None:
        if not (found := os.environ.get(variable, "")):
            raise UserError(f"${variable} is not set", "set it to the passphrase")
        return found
    if not sys.stdin.isatty():
        raise UserError("no passphrase", "give --passphrase-file FILE or --passphrase-env NAME")
    return str(click.prompt("passphrase", hide_input=True, confirmation_prompt=confirm, err=True))


@click.command("backup", short_help="Write this hub and its store into one file, while it serves.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--no-secrets", is_flag=True, help="leave keys and secrets out, so that no passphrase is needed")
@click.option("--passphrase-file", type=click.Path(path_type=Path), metavar="FILE", help="a file with the passphrase")
@click.option("--passphrase-env", metavar="NAME", help="the environment variable with the passphrase")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@config_option
def backup_command(
    config: HubConfig,
    file: Path,
    no_secrets: bool,
    passphrase_file: Path | None,
    passphrase_env: str | None,
    as_json: bool,
) -> None:
    """Write configuration, keys and the store as of one moment into FILE, and read it again. The hub may serve.

    \b
    answerback-hub backup /backups/hub-2030-01-31.tar
    answerback-hub backup hub.tar --passphrase-file /root/passphrase

    Keys and secrets are sealed to a passphrase that is asked for; the rest is readable, with the text of chat and
    output in it. docs/backup.md says how often, and what a restore means.
    """
    passphrase = None
    if not no_secrets:
        passphrase = backup.check_passphrase(_passphrase(passphrase_file, passphrase_env, confirm=True))
    done = backup.backup(config, file, passphrase, time.time())
    if as_json:
        click.echo(json.dumps({**asdict(done), "path": str(done.path)}))
        return
    size = format_rounded_size(done.size)
    click.echo(f"wrote {done.path}, {size}, and read it again: {done.files} files, {done.rows} audit rows")
    click.echo(f"  keys and secrets: {done.secrets}, " + ("sealed" if done.sealed else "left out"))
    for line in done.advice:
        click.echo(f"  {line}")


@click.command("restore", short_help="Put a backup into a new folder.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--passphrase-file", type=click.Path(path_type=Path), metavar="FILE", help="a file with the passphrase")
@click.option("--passphrase-env", metavar="NAME", help="the environment variable with the passphrase")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def restore_command(
    file: Path, folder: Path, passphrase_file: Path | None, passphrase_env: str | None, as_json: bool
) -> None:
    """Put the backup FILE into DIR, which must be empty or missing. The hub there starts in recovery.

    \b
    answerback-hub restore /backups/hub-2030-01-31.tar /var/lib/answerback
    answerback-hub serve --config /var/lib/answerback/hub.toml
    answerback-hub recover --config /var/lib/answerback/hub.toml
    """
    sealed = backup.is_sealed(file)
    passphrase = _passphrase(passphrase_file, passphrase_env, confirm=False) if sealed else None
    done = backup.restore(file, folder, passphrase, time.time())
    if as_json:
        click.echo(json.dumps({**asdict(done), "folder": str(done.folder)}))
        return
    made = format_moment(done.made_at, None, local_zone, seconds=False)
    click.echo(
        f"put {done.hub} of {made} into {done.folder}: {done.files} files" + (" and the store" if done.store else "")
    )
    for line in done.advice:
        click.echo(f"  {line}")
    config = done.folder / "hub.toml"
    click.echo("next:")
    click.echo(f"  answerback-hub serve --config {config}      takes messages, hands nothing out")
    click.echo(f"  answerback-hub recover --config {config}    shows what is in doubt, and lets it go on")


@click.command("recover", short_help="After a restored backup: show what is in doubt, and go on.")
@click.option("--yes", is_flag=True, help="go on without asking")
@click.option("--revoke", "revoked", multiple=True, metavar="NAME", help="a machine or person that must not come back")
@click.option("--begin", is_flag=True, help="this store was put back from a backup, though nothing has told")
@click.option("--new-row-key", "new_key", is_flag=True, help="keys/rows.key is lost: go on with a new one")
@click.option("--json", "as_json", is_flag=True, help="one JSON object; changes nothing without --yes")
@config_option
def recover_command(
    config: HubConfig, yes: bool, revoked: tuple[str, ...], begin: bool, new_key: bool, as_json: bool
) -> None:
    """Show what a restored backup leaves in doubt, and let the hub go on.

    \b
    answerback-hub recover                          shows, asks, goes on
    answerback-hub recover --revoke web-3 --yes     web-3 was revoked after the backup was made

    A hub whose store was put back notices it and hands nothing out until this is done. What was revoked after the
    backup was made is trusted again by the backup: compare the list with what you know. docs/backup.md has the rest.

    Rows of the store are authenticated with keys/rows.key. Where that is lost, put it back from a backup; where there
    is none, --new-row-key makes another: whatever waits or is planned then starts nothing, and is asked for again.
    People and invitations count as they are in the database then: look through `operator list` and `token list`.
    """
    now = time.time()
    if new_key:
        recover.renew_key(config, now)
    if begin:
        recover.begin(config, now)
    doubt = recover.read_doubt(config, now)
    if doubt is None:
        if revoked:
            raise UserError("this hub is not in recovery", "use `answerback-hub agent revoke` or `operator remove`")
        click.echo(json.dumps({"recovery": False}) if as_json else "this hub is not in recovery: nothing to do")
        return
    if as_json:
        click.echo(json.dumps(doubt.to_json()))
    else:
        for line in doubt.lines():
            click.echo(line)
    if not yes:
        if as_json:
            return
        if not sys.stdin.isatty():
            raise UserError(
                "nothing was changed", "add --yes once the list is right, and --revoke NAME for what is not"
            )
        click.confirm("are all of these to be trusted, and may the hub go on?", abort=True)
    count = recover.finish(config, revoked, now)
    if not as_json:
        gone = f"; {count} certificates revoked" if revoked else ""
        click.echo(
            f"recovered{gone}: the hub goes on within two seconds. What nobody knows: answerback jobs state:unknown"
        )
