"""The replacement of the hub's CA: its phases, who trusts and presents what in each, and who is not through yet. Pure.

    standby         one CA
    init            a second CA is made; everybody is told to trust both; nothing is of the new one yet
    update_clients  machines and people are given certificates of the new CA, each once it trusts both
    update_servers  the hub itself shows a certificate of the new CA
    standby         the new CA alone
    rollback        from any phase between: everything is of the old CA again, both are still trusted; then standby

The hub trusts both CAs in every phase between, so nobody is shut out by a step in either direction. The last step, in
which one CA is dropped, is the one that can: it waits until nobody needs that CA any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hub.core.records import Agent, IssuedCertificate, Person

Phase = Literal["standby", "init", "update_clients", "update_servers", "rollback"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
Which = Literal["current", "next"]

FORWARD: Final[Mapping[Phase, Phase]] = {
    "standby": "init",
    "init": "update_clients",
    "update_clients": "update_servers",
    "update_servers": "standby",
}
BACK: Final[Mapping[Phase, Phase]] = {
    "init": "rollback",
    "update_clients": "rollback",
    "update_servers": "rollback",
    "rollback": "standby",
}
TOO_OLD: Final = "-"
"""What is known of the trust of somebody whose program does not know the message `trust`."""


def issuing(phase: Phase) -> Which:
    """Which CA signs the certificates of those who trust both; of others always the current one."""
    return "next" if phase in ("update_clients", "update_servers") else "current"


def serving(phase: Phase) -> Which:
    """Which CA the hub's own certificate is of."""
    return "next" if phase == "update_servers" else "current"


@dataclass(frozen=True, slots=True)
class Holder:
    """A machine, or one login of a person, and how far it is."""

    kind: str  # agent | operator
    name: str
    issuer: str  # key id of its certificate's CA; "" not known
    trusts: str  # digest of the CAs that it trusts; "" not told yet, TOO_OLD where it cannot be
    used: bool  # it has come with this certificate, or has none of another CA that it could come with instead
    last_seen: float | None
    not_after: float
    version: str = ""


@dataclass(frozen=True, slots=True)
class Behind:
    """Somebody who would be shut out if the CA that is to go were dropped now."""

    holder: Holder
    why: Literal["too_old", "not_linked", "not_told", "not_renewed"]


def holders(
    agents: Iterable[Agent],
    people: Iterable[Person],
    certificates: Iterable[IssuedCertificate],
    now: float,
    graces: Mapping[str, float],
) -> list[Holder]:
    """Everybody who holds a certificate with which they may still come: `graces` are the seconds after it ran out for
    which it is renewed, by kind. A certificate that was renewed is not counted, nor one of a machine or person that is
    revoked.
    """
    machines = {agent.name: agent for agent in agents if agent.state == "active"}
    persons = {person.name for person in people if person.revoked_at is None}
    newest: dict[tuple[str, str, str], IssuedCertificate] = {}
    before_it: dict[str, list[IssuedCertificate]] = {}
    for one in certificates:
        known = one.name in (machines if one.kind == "agent" else persons)
        ends = one.not_after + graces.get(one.kind, 0.0)
        if one.retires_at is not None:
            ends = min(ends, one.retires_at)
        if known and one.revoked_at is None and now < ends:
            # A machine has one key at a time; a person may be logged in several times, each with a key of its own.
            before_it.setdefault(one.successor, []).append(one)
            key = (one.kind, one.name, "" if one.kind == "agent" else one.key_hash or one.fingerprint)
            before = newest.get(key)
            if before is None or (one.generation, one.issued_at) >= (before.generation, before.issued_at):
                newest[key] = one
    found = []
    for one in newest.values():
        if one.kind == "operator" and one.successor:
            continue
        machine = machines.get(one.name) if one.kind == "agent" else None
        others = before_it.get(one.fingerprint, ())
        used = bool(one.trusts) or all(other.issuer == one.issuer for other in others)
        trusts = one.trusts or next((other.trusts for other in others if other.trusts), "")
        seen = machine.last_seen if machine is not None else None
        version = machine.version if machine is not None else ""
        found.append(Holder(one.kind, one.name, one.issuer, trusts, used, seen, one.not_after, version))
    return sorted(found, key=lambda holder: (holder.kind, holder.name, holder.not_after))


def behind(everybody: Iterable[Holder], phase: Phase, target: str, digest: str) -> list[Behind]:
    """Who is not through: who has not come with a certificate of the CA with the key id `target`, or does not trust the
    set of `digest`. In `rollback` the certificate alone counts: what is gone back to was trusted all the time.
    """
    found: list[Behind] = []
    for holder in everybody:
        renewed = holder.issuer == target and holder.used
        if phase == "rollback":
            if not renewed:
                found.append(Behind(holder, "not_renewed"))
        elif holder.trusts == TOO_OLD:
            found.append(Behind(holder, "too_old"))
        elif not holder.trusts:
            found.append(Behind(holder, "not_linked"))
        elif holder.trusts != digest:
            found.append(Behind(holder, "not_told"))
        elif not renewed:
            found.append(Behind(holder, "not_renewed"))
    return found
