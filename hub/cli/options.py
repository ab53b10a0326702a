"""What the commands of answerback-hub share: the option --config, invitations, tables, addresses on this machine."""

from __future__ import annotations

import functools
import json
import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from common.identity.tls import local_context
from common.values import Address
from hub.chat.inlets import load_config
from hub.config import HubConfig

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  replaced, not listened on
RELOAD: Final = "have the hub read hub.toml again: systemctl reload answerback-hub, or kill -HUP"
DEFAULT_CONFIG: Final = "/etc/answerback/hub.toml"
config_file_option = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    help=f"hub.toml; else $ANSWERBACK_CONFIG, else {DEFAULT_CONFIG}",
)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Passes the configuration to a command; --config may be given to the command or to its group."""

    @config_file_option
    @functools.wraps(command)
    def with_config(*args: Any, config_file: str | None, **kwargs: Any) -> Any:
        above = click.get_current_context().find_object(str)  # of the group
        return command(*args, config=read_config(config_file or above), **kwargs)

    return with_config


def webhook_context(config: HubConfig) -> ssl.SSLContext | None:
    """To speak to this hub's own webhooks' port; None where it is plain HTTP."""
    file = config.http.certificate_file
    return local_context(file) if file is not None else None


def read_config(file: str | None) -> HubConfig:
    return load_config(config_path(file))


def config_path(file: str | None) -> Path:
    return Path(file or os.environ.get("ANSWERBACK_CONFIG") or DEFAULT_CONFIG)


def show_invitation(invitation: dict[str, Any], ttl: str, where: str, as_json: bool) -> None:
    """The command alone on standard output, so that it can be piped; what to do with it on standard error."""
    if as_json:
        click.echo(json.dumps(invitation))
        return
    if invitation["replaces"]:
        click.echo(invitation["replaces"], err=True)
    click.echo(f"to be run {where}, once, within {ttl}:", err=True)
    click.echo(invitation["command"])


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under one another, each column as wide as its widest cell, the last one as it is."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def local_address(listen: Address) -> Address:
    """Where a program on this machine reaches what listens on `listen`: a wildcard address becomes the loopback one."""
    return listen._replace(host=_LOOPBACK.get(listen.host, listen.host))
