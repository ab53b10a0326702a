"""`answerback-hub recover`: what is in doubt after a restored backup, and the admin's word that ends it.

It runs beside a serving hub, which notices the end within two seconds, or while none serves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

from common.errors import UserError
from common.times import format_moment, local_zone
from hub.cli.admin import open_store
from hub.config import HubConfig
from hub.core.audit_chain import fork_data
from hub.core.records import AuditEvent
from hub.core.recovery import Recovery
from hub.identity import certificates
from hub.identity.keys import load_keys
from hub.store.restored import begin_recovery
from hub.store.row_key import renew_row_key
from hub.store.store import Store
from hub.store.transaction import Txn

MAX_EVENTS: Final = 10_000
MAX_LISTED: Final = 100
CAUSES: Final = {
    "store": "{witness} knows a later state of this store",
    "machine": "{witness} has heard a later state of this hub",
    "restore": "it was put back with `answerback-hub restore`",
    "admin": "an admin said so",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a restored backup leaves open."""

    recovery: Recovery
    machines: tuple[dict[str, Any], ...]  # that the backup trusts, or that came with a newer certificate
    people: tuple[dict[str, Any], ...]
    jobs: int  # that machines reported and the store did not know
    unknown: int  # whose outcome nobody knows yet

    def to_json(self) -> dict[str, Any]:
        record = self.recovery
        return {
            "recovery": record.active,
            "since": record.since,
            "cause": record.cause,
            "why": CAUSES[record.cause].format(witness=record.witness),
            "first_number": record.number,
            "ended": dict(record.counts),
            "machines": list(self.machines),
            "people": list(self.people),
            "jobs_taken": self.jobs,
            "jobs_unknown": self.unknown,
        }

    def lines(self) -> list[str]:
        record = self.recovery
        counts = {"questions": 0, "messages": 0, "jobs": 0, "tokens": 0} | record.counts
        since = format_moment(record.since, None, local_zone, seconds=False)
        why = CAUSES[record.cause].format(witness=record.witness)
        found = [
            f"this hub was restored from a backup, found {since}: {why}",
            f"  ended     {counts['questions']} questions, {counts['messages']} messages not read yet, "
            f"{counts['jobs']} jobs not ended, {counts['tokens']} invitations; people were told to ask again",
            f"  numbers   go on at r{record.number}",
            f"  jobs      {self.jobs} that only their machine knew were taken; {self.unknown} have an outcome unknown",
        ]
        found += _listed("machines", self.machines)
        found += _listed("people", self.people)
        return found


def _listed(title: str, rows: Collection[dict[str, Any]]) -> list[str]:
    lines = [f"  {title:<9} {len(rows)} that the backup trusts" + (":" if rows else "")]
    lines += [f"              {row['name']:<24} {row['note']}" for row in list(rows)[:MAX_LISTED]]
    if len(rows) > MAX_LISTED:
        lines.append(f"              and {len(rows) - MAX_LISTED} more: --json has them all")
    return lines


def read_doubt(config: HubConfig, now: float) -> Doubt | None:
    """None where this hub is not in recovery."""
    with open_store(config, now) as store:
        return store.read_now(_read)


def begin(config: HubConfig, now: float) -> None:
    """An admin knows that the store was put back, though nothing has told."""
    with open_store(config, now) as store:
        store.write_now(lambda txn: begin_recovery(txn, now, cause="admin", witness="terminal"))


def renew_key(config: HubConfig, now: float) -> None:
    """Another key for rows in place of one that is lost; nothing that is in the store starts any more, and people and
    invitations count as they are there. Raises UserError where none is lost, or a hub is running.
    """
    folder = config.folder.path
    with closing(Store.open(config.store.url, folder=folder, clock=lambda: now, look_only=True)) as store:
        if store.is_served():
            raise UserError("a hub is running with the key that is lost here", "stop it, then run this again")
    renew_row_key(folder)
    with open_store(config, now) as store:
        store.write_now(lambda txn: txn.audit("hub.row_key_renewed", "store", "terminal", {}, now))


def finish(config: HubConfig, revoked: Collection[str], now: float) -> int:
    """Ends the recovery; machines and people named in `revoked` are revoked first. Returns how many certificates."""
    keys = load_keys(config)
    key = keys.audit.key
    with open_store(config, now) as store:

        def unit(txn: Txn) -> int:
            record = txn.recovery()
            if record is None or not record.active:
                raise UserError("this hub is not in recovery", "there is nothing to confirm")
            if not record.voided:
                raise UserError("what was open in the backup is not ended yet", "start the hub, then run this again")
            count = sum(_revoke(txn, name, now) for name in sorted(set(revoked)))
            txn.save_recovery(replace(record, ended_at=now, ended_by="terminal"))
            data = {"revoked": sorted(set(revoked))[:100], "seconds": round(now - record.since, 1)}
            if key is not None:
                txn.audit(
                    "audit.forked", "store", "terminal", fork_data(key, keys.hub_id, _kept(txn, record), now), now
                )
            txn.audit("hub.recovered", "store", "terminal", data, now)
            return count

        return store.write_now(unit)


def _kept(txn: Txn, record: Recovery) -> int:
    """The last event that was certainly there when the backup was made. Where only a machine told, or an admin, the hub
    may have served since: then it is the last one before that start.
    """
    if record.cause in ("store", "restore"):
        return record.seq
    return max((start.seq for start in txn.starts() if start.seq <= record.seq), default=record.seq)


def _revoke(txn: Txn, name: str, now: float) -> int:
    """A machine's or a person's certificates, or both where one name is both's."""
    agent, person = txn.agent(name), txn.person(name)
    if agent is None and person is None:
        raise UserError(f"--revoke {name[:64]}: there is no machine or person of that name", "see the list above")
    count = len(certificates.revoke(txn, "agent", name, "terminal", now)) if agent is not None else 0
    return count + (len(certificates.revoke(txn, "operator", name, "terminal", now)) if person is not None else 0)


def _read(txn: Txn) -> Doubt | None:
    record = txn.recovery()
    if record is None or not record.active:
        return None
    events = txn.events(after_seq=record.seq, limit=MAX_EVENTS, kind_prefix="recovery.")
    taken = [event for event in events if event.kind == "recovery.job"]
    unknown = len(txn.unknown_jobs(1_000))
    return Doubt(record, _machines(txn, events, record), _people(txn, events), len(taken), unknown)


def _machines(txn: Txn, events: list[AuditEvent], record: Recovery) -> tuple[dict[str, Any], ...]:
    heard = {event.subject for event in events if event.kind == "recovery.machine"}
    newer = {event.subject: event for event in events if event.kind == "recovery.certificate"}
    rows = []
    for agent in txn.agents():
        if agent.state != "active":
            continue
        note = "has linked since" if agent.name in heard else "has not linked since"
        if agent.name in newer:
            note = _newer_note(newer[agent.name].data, agent.labels)
        rows.append({"name": agent.name, "note": note, "linked": agent.name in heard or agent.name in newer})
    return tuple(rows)


def _newer_note(data: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """Of a machine with a certificate that is newer than the backup; `data` is of the row that took it over."""
    joined = bool(data.get("new"))
    note = "joined after the backup" if joined else "has linked, with a newer certificate"
    if joined and data.get("labels") is None:
        return f"{note}; its certificate says no labels: set them with answerback-hub agent label"
    if data.get("labels") is None:
        return note
    shown = " ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "none"
    return f"{note}; labels of its certificate: {shown}"


def _people(txn: Txn, events: list[AuditEvent]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"name": person.name, "note": ", ".join(person.roles) or "as in hub.toml"}
        for person in txn.people()
        if person.revoked_at is None
    )
