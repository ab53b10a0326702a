"""The inlets of hub.toml, each with its platform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.errors import UserError
from hub import config as hub_config
from hub.chat.platforms.base import Platform
from hub.chat.platforms.registry import find_platform, table_of
from hub.config import HubConfig
from hub.core.callback_url import parse_allowed_host
from hub.core.inlet_table import InletTable
from hub.core.outcome import BOT

_BOT_NAME: Final = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Inlet:
    """One configured entrance for a chat, and the hosts its replies may go to."""

    name: str
    platform: Platform
    reply_hosts: tuple[str, ...] = ()  # see hub/core/callback_url.py
    rate: float = 500.0  # messages a second, sustained
    burst: float = 2_000.0  # messages at once
    body_limit: int = 256 * 1024  # bytes
    id_scope: str = "inlet"  # within what ids of messages are unique: inlet | conversation
    bot: str = BOT  # what it is called there
    answer: str = "everything"  # what is answered there: everything | mentions | commands
    table: InletTable | None = None  # what it was made of


def create_platform(table: InletTable, folder: Path) -> Platform:
    """The platform of an inlet; `folder` is that of hub.toml. Raises UserError."""
    kind = find_platform(table.platform, folder)
    if not table.secrets and table.secret_file is not None:  # a platform may do without one
        raise UserError("there is no secret", "write it into the inlet's secret_file")
    return kind.create(table)


def load_config(path: Path) -> HubConfig:
    """hub.toml with the keys of all platforms that there are; see `hub.config.load`."""
    return hub_config.load(path, table_of)


def build_inlets(config: HubConfig) -> dict[str, Inlet]:
    """The inlets of hub.toml, by name; raises UserError that names the inlet."""
    inlets = {}
    for name, table in config.inlets.items():
        try:
            platform = create_platform(table, config.folder.path)
            for entry in table.reply_hosts:
                parse_allowed_host(entry)
            if _BOT_NAME.fullmatch(table.bot) is None:
                raise UserError("bot is no name", "write one word of letters, digits, - and _, up to 64, without @")
        except UserError as error:
            raise UserError(f"[inlets.{name}] {error.problem}", error.cure) from None
        inlets[name] = Inlet(
            name,
            platform,
            (*table.reply_hosts, *platform.hosts),
            config.rate(name),
            config.http.burst,
            config.body_limit(name),
            table.id_scope,
            table.bot,
            table.answer,
            table,
        )
    return inlets
