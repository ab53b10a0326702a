"""What the hub's small commands do beside a serving hub: invite, revoke, enrol, check files, read the audit.

They open the store without taking it over; every change is one transaction with its audit row, and a serving hub sees
it within two seconds.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from common.config import format_duration
from common.errors import UserError
from common.ids import is_label_value, is_name
from common.policy import Policy
from hub import audit, ca, secondfactor
from hub.config import HubConfig, load
from hub.files import read_chain, read_policy
from hub.records import Person
from hub.setup import Summary, load_keys
from hub.store.engine import Store
from hub.store.verbs import Txn

MAX_LINES_FILE: Final = 16 * 1024 * 1024
MAX_TTL: Final = 7 * 24 * 3600.0


@contextmanager
def opened(config: HubConfig, now: float) -> Iterator[Store]:
    store = Store.open(config.store.url, folder=config.folder.path, clock=lambda: now)
    try:
        yield store
    finally:
        store.close()


def record_init(summary: Summary, now: float) -> None:
    """Makes the store, and the admin's certificate, which `init` issued, known to it."""
    with opened(load(summary.folder.config), now) as store:

        def unit(txn: Txn) -> None:
            txn.audit("hub.created", summary.hub_id, "terminal", {"admin": summary.admin}, now)
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
    return _invite(config, "agent", name, pairs, ttl, now)


def invite_operator(config: HubConfig, name: str, role: str, ttl: float, now: float) -> dict[str, Any]:
    if not is_name(name):
        raise UserError(f"{name!r} is no name for a person", "use 1 to 64 letters, digits, dots, dashes or underscores")
    with opened(config, now) as store:

        def unit(txn: Txn) -> None:
            before = txn.person(name)
            if before is None:
                txn.add_person(Person(name, (role,), now))
            else:
                txn.save_person(before, replace(before, roles=(role,), revoked_at=None))
            txn.audit("person.added", name, "terminal", {"role": role}, now)

        store.write_now(unit)
    return _invite(config, "operator", name, {}, ttl, now)


def _invite(
    config: HubConfig, kind: ca.Joining, name: str, labels: dict[str, str], ttl: float, now: float
) -> dict[str, Any]:
    if not 1 <= ttl <= MAX_TTL:
        raise UserError(f"--ttl {format_duration(ttl)} is out of range", "use 1s to 7d; 10m is plenty for a paste")
    with opened(config, now) as store:
        token = store.write_now(lambda txn: ca.make_token(txn, kind, name, labels, ttl, "terminal", now))
    pin, url = load_keys(config).authority.pin, f"wss://{config.links.reach}"
    program = "answerback-agent join" if kind == "agent" else "answerback login"
    return {
        "name": name,
        "kind": kind,
        "url": url,
        "token": token,
        "ca_pin": pin,
        "expires_at": now + ttl,
        "command": f"{program} {url} --token {token} --ca-pin {pin}",
    }


def revoke(config: HubConfig, kind: ca.Joining, name: str, now: float) -> int:
    """How many certificates were taken back; raises UserError where there is nobody of that name."""
    with opened(config, now) as store:
        return len(store.write_now(lambda txn: ca.revoke(txn, kind, name, "terminal", now)))


def enrol(config: HubConfig, name: str, now: float) -> str:
    """Seals a new second factor for a person; the URI is shown once and kept nowhere."""
    keys = load_keys(config)
    sealed, uri = secondfactor.enrol(keys.sealer, name, f"Answerback {keys.hub_id}")
    with opened(config, now) as store:

        def unit(txn: Txn) -> None:
            before = txn.person(name)
            if before is None and name not in config.people:
                raise UserError(
                    f"there is no person {name}", "add them to [people] in hub.toml, or with `operator add`"
                )
            if before is None:
                txn.add_person(Person(name, (), now, totp_secret=sealed))
            else:
                txn.save_person(
                    before,
                    replace(before, totp_secret=sealed, totp_last_step=0, totp_failures=0, totp_locked_until=0.0),
                )
            txn.audit("person.second_factor", name, "terminal", {}, now)

        store.write_now(unit)
    return uri


def check_files(config: HubConfig) -> dict[str, Any]:
    """hub.toml has been read already; reads the rest. Raises UserError naming file, key and cure."""
    policy = read_policy(config.policy.file)
    chain = read_chain(config.runbooks.file)
    load_keys(config)
    found = {
        "config": str(config.path),
        "inlets": sorted(config.inlets),
        "people": sorted(config.people),
        "rules": len(policy.rules),
        "runbooks": len(chain.runbooks),
    }
    inlets = ", ".join(sorted(config.inlets)) or "none"
    people = ", ".join(sorted(config.people)) or "none"
    lines = [
        f"ok  {config.path}: inlets {inlets}; people {people}",
        f"ok  {config.policy.file}: {len(policy.rules)} rules",
        f"ok  {config.runbooks.file}: {len(chain.runbooks)} runbooks",
        f"ok  keys and authority in {config.folder.path}",
    ]
    return {**found, "lines": lines}


def policy_facts(config: HubConfig, person: str | None, agent: str) -> tuple[Policy, tuple[str, ...], dict[str, str]]:
    """Policy, the roles to judge with (a plain operator's where nobody is named), the machine's labels."""
    roles: tuple[str, ...] = ("operator",)
    labels: dict[str, str] = {}
    if person is not None:
        if person not in config.people:
            known = ", ".join(sorted(config.people)) or "none"
            raise UserError(f"there is no person {person} in {config.path}", f"known: {known}")
        roles = tuple(config.people[person].roles)
    if agent:
        with opened(config, 0.0) as store:
            row = store.read_now(lambda txn: txn.agent(agent))
        if row is None:
            raise UserError(f"there is no machine {agent}", "leave --agent out to judge for a machine without labels")
        labels = row.labels
    return read_policy(config.policy.file), roles, labels


def join_words(words: Sequence[str]) -> str:
    """One word is a whole line as a person would type it; several are words and are quoted again."""
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


def verify_audit(config: HubConfig, exported: Path | None) -> dict[str, Any]:
    """Checks the store's audit, or an exported file against this hub's keys."""
    keys = load_keys(config)
    if exported is not None:
        try:
            report = audit.verify_file(exported, keys.job_keys)
        except OSError as error:
            raise UserError(
                f"cannot read {exported} ({error.strerror})", "name a file that `audit export` wrote"
            ) from None
    else:
        with opened(config, 0.0) as store:
            report = store.read_now(
                lambda txn: audit.verify(chain(txn), checkpoints(txn), keys.job_keys, hub=keys.hub_id)
            )
    if report.ok:
        signed = f"signed up to row {report.signed_to}" if report.signed_to else "no checkpoint yet"
        text = f"the audit holds: {report.checked} rows, every hash as it should be, {signed}"
    else:
        row = f" at row {report.first_bad_seq}" if report.first_bad_seq is not None else ""
        text = f"the audit does NOT hold{row}: {report.problem}"
    return {
        "ok": report.ok,
        "checked": report.checked,
        "signed_to": report.signed_to,
        "first_bad_seq": report.first_bad_seq,
        "problem": report.problem,
        "text": text,
    }


def export_audit(config: HubConfig, write: Callable[[str], object]) -> None:
    """Writes the export line by line from one snapshot of the store."""
    keys = load_keys(config)
    with opened(config, 0.0) as store:

        def unit(txn: Txn) -> None:
            count = txn.audit_head()[0]
            for line in audit.export(chain(txn), checkpoints(txn), keys.job_keys, hub=keys.hub_id, count=count):
                write(line)

        store.read_now(unit)


def chain(txn: Txn) -> Iterator[audit.Link]:
    after = 0
    while rows := txn.chain(after_seq=after, limit=1000):
        yield from rows
        after = rows[-1].seq


def checkpoints(txn: Txn) -> Iterator[audit.Checkpoint]:
    after = 0
    while marks := txn.checkpoints(after_seq=after, limit=1000):
        yield from marks
        after = marks[-1].seq
