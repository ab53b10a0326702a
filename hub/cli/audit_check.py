"""What is wrong with the audit's key and witnesses, as far as it shows without sending anything."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from common.doctor.findings import Finding
from common.errors import UserError
from common.times import format_moment, local_zone
from hub.config import HubConfig
from hub.identity.keys import load_keys
from hub.witness.file import WitnessFile


def examine_witnesses(config: HubConfig) -> list[Finding]:
    """Of a hub whose hub.toml reads. Changes nothing."""
    try:
        keys = load_keys(config)
    except UserError:
        return []  # the check of the keys tells of it
    if keys.audit.key is None:
        return [Finding("audit", "warn", "the audit has no key of its own yet", "start the hub once: it makes one")]
    return [_file(WitnessFile(config.audit.file, keys.hub_id)), *_places(config)]


def _file(file: WitnessFile) -> Finding:
    name, path = "audit file", file.path
    try:
        last = file.last()
    except UserError as error:
        return Finding(name, "bad", error.problem, error.cure)
    if last is None:
        return Finding(name, "warn", f"{path} has no note of the audit", "start the hub: it writes one at once")
    if not os.access(path, os.W_OK):
        return Finding(
            name, "bad", f"{path}: not writable by user {os.geteuid()}", "run this as the hub's user, or chown it"
        )
    when = format_moment(last.at, time.time(), local_zone, seconds=False)
    kept = "append-only" if file.is_append_only() else "its owner can rewrite it: sudo answerback-hub audit protect"
    return Finding(name, "ok", f"{path}: up to row {last.seq}, {when}; {kept}")


def _places(config: HubConfig) -> Iterator[Finding]:
    audit = config.audit
    away = [name for name in ("syslog", "chat", "webhook", "s3") if getattr(audit, name) is not None]
    if not away:
        yield Finding("audit witnesses", "ok", "none away from this folder: [audit] in hub.toml names syslog, chat, S3")
    if audit.syslog is not None and audit.syslog.startswith("/"):
        yield _socket(Path(audit.syslog))


def _socket(path: Path) -> Finding:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as probe:
            probe.connect(str(path))
    except OSError as error:
        cure = "start the system's log, or set [audit] syslog to where it listens"
        return Finding("audit syslog", "bad", f"{path}: {error.strerror}", cure)
    return Finding("audit syslog", "ok", f"{path} takes messages")
