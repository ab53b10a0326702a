"""One configured inlet, and which platforms there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.errors import UserError
from hub.chat.generic import Generic
from hub.chat.platform import Platform
from hub.chat.standard import Standard
from hub.config import HubConfig
from hub.reply_url import parse_entry

PLATFORMS: Final[Mapping[str, Callable[[Sequence[bytes]], Platform]]] = {
    Generic.kind: Generic.from_secrets,
    Standard.kind: Standard.from_secrets,
}


@dataclass(frozen=True, slots=True)
class Inlet:
    """Where one chat comes in, and where its replies may go."""

    name: str
    platform: Platform
    reply_hosts: tuple[str, ...] = ()  # see hub/reply_url.py
    rate: float = 500.0  # messages a second in the long run
    burst: float = 2_000.0  # and at once
    body_limit: int = 256 * 1024  # bytes


def make_platform(kind: str, secrets: Sequence[bytes]) -> Platform:
    """The platform `kind` with the lines of the inlet's secret file; raises UserError."""
    make = PLATFORMS.get(kind)
    if make is None:
        raise UserError(f"there is no platform {kind!r}", f"use one of: {', '.join(sorted(PLATFORMS))}")
    if not secrets:
        raise UserError("there is no secret", "write a long random secret into the inlet's secret_file")
    return make(secrets)


def inlets_of(config: HubConfig) -> dict[str, Inlet]:
    """The inlets of hub.toml, by name; raises UserError that names the inlet."""
    inlets = {}
    for name, table in config.inlets.items():
        try:
            platform = make_platform(table.platform, table.secrets)
            for entry in table.reply_hosts:
                parse_entry(entry)
        except UserError as error:
            raise UserError(f"[inlets.{name}] {error.problem}", error.cure) from None
        inlets[name] = Inlet(
            name, platform, table.reply_hosts, config.rate(name), config.http.burst, config.body_limit(name)
        )
    return inlets
