"""The commands of `answerback` by name, each loaded when it is asked for: `answerback run` does not wait for what the
others need. Their help loads all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Final

import click

PLACES: Final = {
    "agents": "lists:agents_command",
    "allowed": "standing:allowed_command",
    "approve": "act:approve_command",
    "approvers": "approvers:approvers_group",
    "audit": "audit:audit_command",
    "broadcast": "control:broadcast_command",
    "cancel": "act:cancel_command",
    "chat": "chat:chat_command",
    "console": "console:console_command",
    "disallow": "standing:disallow_command",
    "drain": "control:drain_command",
    "edit": "control:edit_command",
    "inlets": "inlets:inlets_command",
    "job": "records:job_command",
    "jobs": "lists:jobs_command",
    "passkey": "passkey:passkey_group",
    "pause": "act:pause_command",
    "priority": "control:priority_command",
    "queue": "lists:queue_command",
    "reject": "act:reject_command",
    "request": "records:request_command",
    "requests": "lists:requests_command",
    "resume": "act:resume_command",
    "retry": "run:retry_command",
    "run": "run:run_command",
    "runbook": "runbooks:runbook_group",
    "settle": "act:settle_command",
    "take-back": "control:take_back_command",
    "undrain": "control:undrain_command",
    "wake": "wake:wake_command",
    "watch": "watch:watch_command",
    "whoami": "whoami:whoami_command",
}
"""Command -> module of `tui.cli`, and what it is called there."""


class LazyCommands(MutableMapping[str, click.Command]):
    """As click keeps a group's commands; those of PLACES are loaded by the first look at them."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command | None] = dict.fromkeys(PLACES)

    def __getitem__(self, name: str) -> click.Command:
        command = self._loaded[name]
        if command is None:
            module, _, attribute = PLACES[name].partition(":")
            command = self._loaded[name] = getattr(import_module(f"tui.cli.{module}"), attribute)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)
