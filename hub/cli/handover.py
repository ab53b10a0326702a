"""`answerback-hub operator profile`: gives the admin's profile, which `init` made in the hub's folder, to its person.

The hub's folder is its own user's alone, so the admin cannot read the profile there. It is moved, not copied: of a
credential there is one, and a second use of it looks like a stolen one.
"""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import Final

import click

from common.errors import UserError
from common.files import create_folder, write_file
from common.read_file import read_bytes, read_toml
from hub.cli.options import config_option
from hub.config import HubConfig

FILES: Final = ("key.pem", "cert.pem", "certificate.json", "ca.pem", "profile.toml")  # the last one makes it a profile


def find_owner(user: str, name: str, sudo_user: str) -> pwd.struct_passwd:
    """The account that is to have it: the one that was named, whoever used sudo, or the one of the admin's own name;
    raises UserError.
    """
    for account in (user, sudo_user, name):
        if account:
            try:
                return pwd.getpwnam(account)
            except KeyError:
                if account == user:
                    raise UserError(f"there is no account {user} on this machine", "name one with --user") from None
    raise UserError(f"whose is it? there is no account {name} here", "name one with --user, or a folder with --to")


def hand_over(source: Path, target: Path, owner: tuple[int, int] | None) -> None:
    """Moves the profile; raises UserError, and then it is still where it was."""
    if os.path.lexists(target / "profile.toml"):
        raise UserError(f"{target} has a profile already", "move it away, or name another folder with --to")
    made = _missing(target)
    create_folder(target)
    for name in FILES:
        write_file(target / name, read_bytes(source / name))
    if owner is not None:
        for path in (*made, *(target / name for name in FILES)):
            os.chown(path, *owner, follow_symlinks=False)
    shutil.rmtree(source)


def _missing(path: Path) -> list[Path]:
    """The folders that would have to be made for `path`."""
    found = []
    while not os.path.lexists(path):
        found.append(path)
        path = path.parent
    return found


@click.command("profile", short_help="Give the admin's profile to their account on this machine.")
@click.option("--user", metavar="ACCOUNT", default="", help="[default: whoever used sudo, else the admin's own name]")
@click.option(
    "--to", "folder", metavar="DIR", type=click.Path(path_type=Path), help="[default: ~ACCOUNT/.config/answerback]"
)
@config_option
def profile_command(config: HubConfig, user: str, folder: Path | None) -> None:
    """Move the profile that `init --admin` made to an account of this machine, so that its person can use it.

    \b
    sudo answerback-hub operator profile                   to whoever types this
    sudo answerback-hub operator profile --user alice
    On another machine they log in with what `answerback-hub operator add NAME --role admin` prints.
    """
    source = config.folder.profile
    cure = "`answerback-hub operator add NAME --role admin` prints a login command that makes another"
    name = str(read_toml(source / "profile.toml", cure).get("name", ""))
    root = os.geteuid() == 0
    account = None if folder is not None and not user else find_owner(user, name, os.environ.get("SUDO_USER", ""))
    if account is not None and not root and account.pw_uid != os.geteuid():
        raise UserError(f"only root can give a file to {account.pw_name}", "run this with sudo")
    target = folder.absolute() if folder is not None else Path(account.pw_dir if account else "") / ".config/answerback"
    hand_over(source, target, (account.pw_uid, account.pw_gid) if root and account is not None else None)
    click.echo(f"{name}'s profile is now {target}" + (f", of the account {account.pw_name}" if account else ""))
    click.echo("  next: answerback agents" + ("" if folder is None else f" (with --profile {target})"))
