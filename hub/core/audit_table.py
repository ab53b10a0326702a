"""The keys of [audit] in hub.toml: where the audit's witnesses are. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.config import setting
from common.values import Duration
from hub.core.callback_url import BadURL, CallbackUrl, parse, resolve_callback

_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class AuditTable:
    """Witnesses of the audit: where its signed checkpoints are kept outside the database, so that who rewrites it is
    found. The file always; the more of the others, and the further from this hub's hands, the better. docs/audit.md
    """

    file: Path = setting(
        Path("audit.witness"), "A file, one line a minute of work. `answerback-hub audit protect` makes it append-only."
    )
    keep: Duration = setting(
        Duration(400 * _DAY),
        "How long events are in the database, and at least as long as requests; then they go into files of `archive`. "
        "0: for ever.",
        low=0.0,
        high=3_650 * _DAY,
    )
    archive: Path = setting(
        Path("data/archive"), "The folder of those files, which nothing deletes: docs/audit.md. Copy it as a backup."
    )
    syslog: str | None = setting(None, 'The system\'s log: a socket such as "/dev/log", or "HOST:PORT" by UDP.')
    every: Duration = setting(
        Duration(600.0), "How often chat, webhook and S3 get one, where there is one.", low=1.0, high=7 * _DAY
    )
    chat: str | None = setting(
        None, 'A conversation, as "INLET:CONVERSATION", where somebody has written to the bot before.'
    )
    webhook: str | None = setting(None, "A URL that each is posted to, as JSON; https, or http to this machine.")
    webhook_token_file: Path | None = setting(None, "What is sent with it as a bearer token, mode 0600.")
    s3: str | None = setting(
        None, 'A bucket of S3 or what is like it, as "https://HOST/BUCKET" or "https://HOST/BUCKET/PREFIX".'
    )
    s3_region: str = setting("us-east-1", "Its region.")
    s3_key_file: Path | None = setting(None, "The access key: its id and its secret, a line each, mode 0600.")
    s3_retain: Duration = setting(
        Duration(0.0),
        "How long an object is locked, where the bucket has object lock; 0: not.",
        low=0.0,
        high=3_650 * _DAY,
    )


def audit_problems(audit: AuditTable, inlets: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is wrong, as (key, problem and cure). Tokens in a URL are not shown."""
    if audit.chat is not None:
        inlet, colon, conversation = audit.chat.partition(":")
        if not colon or not conversation or inlet not in inlets:
            known = ", ".join(inlets) or "none"
            yield "chat", f'"{audit.chat[:64]}" is not "INLET:CONVERSATION"; inlets here: {known}'
    if audit.syslog is not None and not re.fullmatch(r"/.{1,100}|[^\s/:]{1,253}:[0-9]{1,5}", audit.syslog):
        yield "syslog", f'"{audit.syslog[:64]}" is neither the path of a socket nor HOST:PORT'
    for key, url in (("webhook", audit.webhook), ("s3", audit.s3)):
        target = None if url is None else witness_target(url)
        if isinstance(target, str):
            yield key, target
    if audit.s3 is not None:
        if not re.fullmatch(r"https?://[^/?]+/[A-Za-z0-9._/-]{1,200}", audit.s3):
            yield "s3", 'no bucket in it; write "https://HOST/BUCKET" or "https://HOST/BUCKET/PREFIX"'
        if audit.s3_key_file is None:
            yield "s3_key_file", "missing; write the access key's id and secret into a file, a line each"


def witness_target(url: str) -> CallbackUrl | str:
    """Where a witness is called, or why it is not: https, or http to this machine; never a metadata service."""
    try:
        host = parse(url).authority
    except BadURL as error:
        return f"not a URL that can be called: {error}"
    target = resolve_callback(url, (host,), "a call")
    return target.split(", or list it in")[0] if isinstance(target, str) else target
