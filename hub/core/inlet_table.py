"""The keys that every inlet has in hub.toml; a platform's own table adds its keys to them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from common.config import config_fields, required, setting
from common.values import Duration, Size

MAX_BODY: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class InletTable:
    """One configured entrance from chat, at /webhook/NAME."""

    platform: str = required(
        "Which chat it is: `answerback-hub inlet platforms` lists them. Or a file of your own, such as irc.py."
    )
    secret_file: Path | None = required(
        "The secret that signs messages and replies, mode 0600. Several, one a line, all hold: `inlet rotate` adds one."
    )
    reply_hosts: tuple[str, ...] = setting(
        (),
        "Hosts that replies may be posted to: HOST, HOST:PORT, or http://HOST:PORT without TLS; others are refused. "
        "127.0.0.1 is this machine, for `answerback chat`.",
    )
    updates: bool = setting(True, "Whether more than the final reply is posted: questions, progress.")
    rate: int | None = setting(None, "Messages a second; left out, that of [http].", low=1, high=100_000)
    body_limit: Size | None = setting(
        None,
        "The largest body, more where images come with messages; left out, that of [http].",
        low=1024,
        high=MAX_BODY,
    )
    id_scope: Literal["inlet", "conversation"] = setting(
        "inlet",
        'Within what ids are unique: "inlet", or "conversation" where each room has numbers of its own.',
    )
    bot: str = setting("answerback", "What the bot is called there: `@NAME` and `NAME:` before a message are left out.")
    answer: Literal["everything", "mentions", "commands"] = setting(
        "everything",
        'What is answered: "everything"; "mentions": what mentions the bot, and direct messages; "commands": those, and'
        " what is a command. Silence for the rest.",
    )
    quiet_after: Duration | None = setting(
        None,
        "After how long without a delivery log, metrics and console say that an inlet that worked is quiet; 0: never. "
        "Left out, that is learned from the hours in which something came in its last weeks.",
        low=0.0,
        high=365 * 86_400.0,
    )
    secrets: tuple[bytes, ...] = field(default=(), repr=False)  # the lines of secret_file
    other_secrets: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    """The lines of a platform's other secret files, by their keys; those keys end with `_file`."""

    def secret_lines(self) -> tuple[bytes, ...]:
        """The lines of all its secret files."""
        return (*self.secrets, *(line for lines in self.other_secrets.values() for line in lines))


def inlet_secret_files(inlet: InletTable) -> Iterator[tuple[str, Path]]:
    """The secret files that an inlet names, as (key, file): the keys of its table that end with `_file`."""
    for entry in config_fields(type(inlet)):
        value = getattr(inlet, entry.name)
        if entry.name.endswith("_file") and isinstance(value, Path):
            yield entry.name, value
