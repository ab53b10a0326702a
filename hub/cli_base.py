"""What the commands of answerback-hub share: the configuration that they read."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from hub.config import HubConfig, load

DEFAULT_CONFIG: Final = "/etc/answerback/hub.toml"
config_file_option = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    help=f"hub.toml; else $ANSWERBACK_CONFIG, else {DEFAULT_CONFIG}",
)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command gets the configuration, whose file is named with --config, before it or behind it."""

    @config_file_option
    @functools.wraps(command)
    def with_config(*args: Any, config_file: str | None, **kwargs: Any) -> Any:
        above = click.get_current_context().find_object(str)  # of the group
        return command(*args, config=read_config(config_file or above), **kwargs)

    return with_config


def read_config(file: str | None) -> HubConfig:
    return load(Path(file or os.environ.get("ANSWERBACK_CONFIG") or DEFAULT_CONFIG))
