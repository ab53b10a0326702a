"""The administration commands: invite, revoke, enrol second factors, check files.

They run beside a serving hub: they open the store without its lock; every change is one transaction with its audit row,
and the serving hub notices it within two seconds.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Final

from common.errors import UserError
from common.ids import is_label_value, is_name
from common.policy.check import Policy
from common.policy.file import load_policy_bytes
from common.text import clean
from common.values import format_duration
from hub.archive.reader import AuditArchive
from hub.chat.inlets import load_config
from hub.cli.init import InitSummary
from hub.clock import hub_time_of
from hub.config import HubConfig
from hub.core import audit_chain
from hub.core.records import Agent
from hub.identity import certificates
from hub.identity.key_ring import load_sealer
from hub.identity.keys import HubKeys, load_keys
from hub.store.store import Store
from hub.store.transaction import Txn
from hub.witness.local import sign_beside
from hub.witness.signer import ANNOUNCED

MAX_LINES_FILE: Final = 16 * 1024 * 1024
MAX_TTL: Final = 7 * 24 * 3600.0


@contextmanager
def open_store(config: HubConfig, now: float) -> Iterator[Store]:
    """What a block has changed is signed as it ends: a hub that is stopped has no one else to do it."""
    folder, sealer = config.folder.path, load_sealer(config)
    store = Store.open(config.store.url, folder=folder, clock=lambda: now, sealer=sealer)
    try:
        yield store
        if store.commits:
            sign_changes(store, config, now)
    finally:
        store.close()


def sign_changes(store: Store, config: HubConfig, now: float) -> None:
    """A checkpoint of the audit. Where it cannot be, what was done is done all the same: it is told."""
    try:
        problem = sign_beside(store, config, load_keys(config), now)
    except UserError as error:
        problem = str(error)
    if problem:
        sys.stderr.write(f"answerback-hub: the audit is not signed: {clean(problem)}\n")


def record_init(summary: InitSummary, now: float) -> None:
    """Creates the store and records the admin and the certificate that `init` issued."""
    config = load_config(summary.folder.config)

    def check_empty(store: Store, txn: Txn) -> None:
        if txn.audit_head()[0]:
            raise UserError(
                f"store {store.name} holds a hub already", "name an empty database, or go on with that hub's folder"
            )

    folder, url = summary.folder.path, config.store.url
    with closing(Store.open(url, folder=folder, clock=lambda: now, look_only=True)) as store:
        store.read_now(partial(check_empty, store))  # before a key of that hub, which this one lacks, is asked for
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            check_empty(store, txn)
            pins = load_keys(config).audit.pins
            txn.audit(
                "hub.created", summary.hub_id, "terminal", {"admin": summary.admin, "audit_keys": list(pins)}, now
            )
            txn.put_meta(ANNOUNCED, next(iter(pins)))
            if summary.credential is not None and summary.person is not None:
                txn.add_person(summary.person)
                txn.add_credential(summary.credential)

        store.write_now(unit)


def invite_agent(config: HubConfig, name: str, labels: Sequence[str], ttl: float, now: float) -> dict[str, Any]:
    if not is_name(name):
        raise UserError(f"{name!r} is no machine name", "use 1 to 64 letters, digits, dots, dashes or underscores")
    pairs: dict[str, str] = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if not equals or not is_name(key) or not is_label_value(value):
            raise UserError(f"{label!r} is no label", "write --label role=web, with letters, digits, dots and dashes")
        pairs[key] = value
    return invite(config, "agent", name, pairs, ttl, now)


def invite(
    config: HubConfig, kind: certificates.JoinKind, name: str, labels: dict[str, str], ttl: float, now: float
) -> dict[str, Any]:
    check_ttl(ttl)
    with open_store(config, now) as store:
        now = hub_time_of(store, now)
        token = store.write_now(lambda txn: certificates.create_token(txn, kind, name, labels, ttl, "terminal", now))
        known = store.read_now(lambda txn: txn.agent(name)) if kind == "agent" else None
    return invitation(config, kind, name, token, now + ttl, _replaced(known, labels) if known is not None else "")


def check_ttl(ttl: float) -> None:
    """Raises UserError for seconds that no invitation may live."""
    if not 1 <= ttl <= MAX_TTL:
        raise UserError(f"--ttl {format_duration(ttl)} is out of range", "use 1s to 7d; 10m is plenty for a paste")


def invitation(
    config: HubConfig, kind: certificates.JoinKind, name: str, token: str, expires_at: float, replaces: str
) -> dict[str, Any]:
    """What the commands that invite print: the one command for the other side, and its parts."""
    pin, url = load_keys(config).authority.pin, f"wss://{config.links.dial_address}"
    program = "answerback-agent join" if kind == "agent" else "answerback login"
    return {
        "name": name,
        "kind": kind,
        "url": url,
        "token": token,
        "ca_pin": pin,
        "expires_at": expires_at,
        "replaces": replaces,
        "command": f"{program} {url} --token {token} --ca-pin {pin}",
    }


def _replaced(agent: Agent, given: Mapping[str, str]) -> str:
    """What a join under a name that is known does to the machine that has it, in one sentence; `given` are the labels
    of the invitation.
    """
    labels = " ".join(f"{key}={value}" for key, value in sorted(agent.labels.items())) or "none so far"
    if agent.state == "revoked":
        kept = f", with the labels it had ({labels})," if agent.labels and not given else ""
        return f"{agent.name} was revoked: who joins now gets the name{kept} and nothing else of it"
    locked = " and unlocks it" if agent.state == "locked" else ""
    return f"{agent.name} is known: the join replaces its certificates{locked}, and keeps its labels ({labels})"


def revoke(config: HubConfig, kind: certificates.JoinKind, name: str, now: float) -> int:
    """Revokes an agent or a person; returns how many certificates were revoked. Raises UserError for an unknown
    name.
    """
    with open_store(config, now) as store:
        now = hub_time_of(store, now)
        return len(store.write_now(lambda txn: certificates.revoke(txn, kind, name, "terminal", now)))


def labels_of(config: HubConfig, agent: str) -> dict[str, str]:
    """A machine's labels; raises UserError for one that is not known."""
    with open_store(config, 0.0) as store:
        row = store.read_now(lambda txn: txn.agent(agent))
    if row is None:
        raise UserError(f"there is no machine {agent}", "leave --agent out to judge for a machine without labels")
    return row.labels


def default_agent_policy() -> Policy:
    """The policy of a machine that trusts its hub: its denials name what does whatever it is told."""
    data = resources.files("common").joinpath("defaults", "agent-trust-hub.toml").read_bytes()
    return load_policy_bytes(data, "agent-trust-hub.toml")


def join_words(words: Sequence[str]) -> str:
    """A command line: one word is taken as a line as typed; several are joined with quotes."""
    return words[0] if len(words) == 1 else shlex.join(words)


def read_lines(file: str) -> Iterator[str]:
    """The lines of a file or standard input, without their newline; undecodable bytes become lone surrogates, which the
    grammar refuses by name."""
    try:
        data = sys.stdin.buffer.read(MAX_LINES_FILE + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {file} ({error.strerror})", "name a readable file, or - for standard input"
        ) from None
    if len(data) > MAX_LINES_FILE:
        raise UserError(f"{file} is larger than {MAX_LINES_FILE} bytes", "split it")
    yield from data.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")


def archive_of(config: HubConfig, keys: HubKeys) -> AuditArchive:
    """What of the audit is in files: with the database it is the whole of it."""
    return AuditArchive(config.audit.archive, keys.hub_id, keys.audit_known)


def audit_checkpoints(txn: Txn, after: int = 0) -> Iterator[audit_chain.Checkpoint]:
    while checkpoints := txn.checkpoints(after_seq=after, limit=1000):
        yield from checkpoints
        after = checkpoints[-1].seq
