"""Enrolment tokens, certificates, renewal, revocation. Each function runs in one transaction, so check and use are one.

    create_token  an admin's invitation: one name, one use, minutes to live; the store has only its SHA-256
    join          exchanges a token and a signing request for a certificate; refusals raise JoinRefused, nothing changes
    take_over     trusts a certificate of after the backup that the store was restored from; raises NotTrusted
    authenticate  whether a certificate that TLS has verified is still valid here; raises NotTrusted, nothing changes
    renew         the next certificate, over a live link or at the renewal entrance; refusals are returned, since some
                  must be committed
    revoke        ends an identity: its certificates and, by the fingerprints returned, its live links

The generation counter detects clones. An agent's certificates are numbered; it asks for the next one with the number of
the one it has. Two holders of one key cannot both know the newest number: a request with an old one reveals the copy,
and the agent is locked until a person has checked it. One exception keeps a lost answer from locking an agent: the same
request again (same new key) for the number before the newest is answered again. Every renewal must bring a new key, so
a clone cannot hide in that exception. Two holders that are linked at once are found sooner, by their links
(`hub.core.holder`), and locked in the same way (`lock_copied`).

A certificate that has run out is good for one thing, its successor, for as long as the grace of hub.toml: possession of
its key is proved in the TLS handshake, so nothing that was recorded can be played again, and everything else is checked
as over a live link. One difference: at the entrance a request with a number older than the one before the newest is
refused and locks nobody, or whoever finds an old backup of a machine could lock the machine out.

A token for a machine that is known is an admin's word that it joins anew: its labels, pause and drain stay, what it had
of certificates is revoked. One that was revoked gets nothing of the old but the name, and its labels unless the token
gives others.

The caller audits exceptions in a transaction of its own: this one is rolled back.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from common.errors import UserError
from common.identity.certificates import (
    LIFETIME,
    MAX_LABELS,
    Authority,
    BadAuthority,
    BadRequest,
    Identity,
    identity_from_pem,
    request_key,
)
from common.ids import is_label_value, is_name
from common.link.messages import Join, Joined, Refuse, Renew, Renewed
from common.times import format_iso
from common.values import format_duration
from hub.core.records import Agent, EnrolmentToken, IssuedCertificate, Person
from hub.core.recovery import Recovery
from hub.identity.authorities import Authorities
from hub.store.transaction import Txn

JoinKind = Literal["agent", "operator"]
CA_WANTED: Final = "ca_wanted"
"""In `meta`: the state of the CAs (`Authorities.state`) that the last step of a rotation has made."""
MAX_TOKEN_TTL: Final = 7 * 24 * 3600.0
Entrance = Literal["link", "renewal"]
"""Where a renewal is asked for: over a live link, or at the entrance for certificates that have run out."""
_TOKEN_BYTES: Final = 24  # 192 bits
_TOKEN_PREFIX: Final = "abt_"  # noqa: S105  lets secret scanners recognise a token


class JoinRefused(Exception):
    """A join that gets no certificate; `code` is for programs, `reason` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class NotTrusted(Exception):
    """A certificate of our CA that is not valid here (any more); `code` is for programs, `reason` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


def create_token(
    txn: Txn, kind: JoinKind, name: str, labels: Mapping[str, str], ttl: float, by: str, now: float
) -> str:
    """A token for `name` that is valid for `ttl` seconds; raises UserError for an invalid name, label or time."""
    if not is_name(name):
        raise UserError(f'"{name[:64]}" is not a name', "use 1 to 64 letters, digits, dots, dashes or underscores")
    if not 1 <= ttl <= MAX_TOKEN_TTL:
        raise UserError(f"a token cannot live {ttl:.0f} seconds", f"give 1 to {MAX_TOKEN_TTL:.0f}")
    if len(labels) > MAX_LABELS:
        raise UserError(f"{len(labels)} labels", f"give at most {MAX_LABELS}")
    for key, value in labels.items():
        if not is_name(key) or not is_label_value(value):
            raise UserError(
                f'"{key[:64]}={value[:64]}" is not a label',
                "write KEY=VALUE in letters, digits, dots, dashes, underscores",
            )
    if kind == "operator" and _is_unknown_person(txn, name):
        raise UserError(f"there is no person {name}", "add the person first: answerback-hub operator add")
    # NAME.SECRET: the joining side can read the name it is for; the secret has no dot, names may.
    token = f"{name}.{_TOKEN_PREFIX}{secrets.token_urlsafe(_TOKEN_BYTES)}"
    txn.add_token(EnrolmentToken(_hash(token), kind, name, dict(labels), now, now + ttl, by))
    txn.audit("token.made", name, by, {"kind": kind, "labels": dict(labels), "expires_at": now + ttl}, now)
    return token


def join(
    txn: Txn,
    authorities: Authorities,
    message: Join,
    job_keys: Mapping[str, bytes],
    hub_id: str,
    now: float,
    wall: float | None = None,
) -> Joined:
    """The certificate for a token and a signing request; raises JoinRefused. A token sent for a name that is not its
    own is not used up: its owner can still join. `now` is the hub's time, by which tokens live; `wall` the wall clock,
    by which certificates are valid, None: the same.

    While the CA is replaced the certificate is of the one whose pin was given out, and the answer has both.
    """
    if txn.get_meta(CA_WANTED) not in (None, authorities.state):
        raise JoinRefused("busy", "the hub's CA is being replaced this very moment; the token is good: try again")
    token = txn.token(_hash(message.token))
    if token is None:
        raise JoinRefused("token_unknown", "this hub has made no such token; ask for a new one")
    if token.used_at is not None:
        raise JoinRefused("token_used", "the token has been used already; ask for a new one")
    if now >= token.expires_at:
        raise JoinRefused("token_expired", "the token has expired; ask for a new one")
    if message.name != token.name:
        raise JoinRefused("token_name", "the token is for another name; join under the name it was made for")
    labels: dict[str, str] = {}
    if token.kind == "agent":
        before = txn.agent(token.name)
        labels = _labels_of(before, token)
    elif _is_unknown_person(txn, token.name):
        raise JoinRefused("person_unknown", f"there is no person {token.name} any more; have them added again")
    try:
        valid = now if wall is None else wall
        authority = authorities.current
        certificate, credential = _issue(authority, message.request, token.kind, token.name, 1, valid, labels)
    except BadRequest as error:
        raise JoinRefused("bad_request", str(error)) from None
    if not txn.use_token(token.hash, now):
        raise JoinRefused("token_used", "the token has been used already; ask for a new one")
    if token.kind == "agent":
        _take_in(txn, before, Agent(token.name, labels, "active", now, version=message.version[:40]), now)
    txn.add_credential(credential)
    data = {"kind": token.kind, "fingerprint": credential.fingerprint, "invited_by": token.created_by}
    if token.kind == "agent" and before is not None:
        data["replaces"] = before.state
    txn.audit(f"{token.kind}.joined", token.name, token.name, data, now)
    return Joined(token.name, certificate, authorities.bundle + authorities.proof(valid), dict(job_keys), hub_id)


def _labels_of(before: Agent | None, token: EnrolmentToken) -> dict[str, str]:
    """The labels that a machine has once it has joined: the token's beside those it had; of one that was revoked the
    token's or else those it had.
    """
    if before is None or (before.state == "revoked" and token.labels):
        return token.labels
    return {**before.labels, **token.labels}


def _take_in(txn: Txn, before: Agent | None, fresh: Agent, now: float) -> None:
    """The row of a machine that has just joined; what it had of certificates before ends here."""
    if before is None:
        txn.add_agent(fresh)
        return
    txn.revoke_credentials("agent", fresh.name, now)
    if before.state == "revoked":
        txn.save_agent(before, fresh)
        return
    kept = replace(
        before,
        labels=fresh.labels,
        state="active",
        joined_at=now,
        generation=1,
        version=fresh.version,
        links="",
        lives="",  # whichever of two was meant, what it tells next is where it goes on from
    )
    txn.save_agent(before, kept)


def authenticate(txn: Txn, identity: Identity, now: float) -> Agent | Person:
    """The agent or person of a verified certificate, when a link opens; raises NotTrusted."""
    credential, owner = _valid_credential(txn, identity, now)
    known = bool(credential.key_hash)  # of one that was taken over only its holder knows the number
    if isinstance(owner, Agent) and known and credential.generation < owner.generation - 1:
        # The one before the newest is accepted: its holder may have missed the answer to its renewal.
        raise NotTrusted("stale", _stale(identity.name))
    return owner


def take_over(txn: Txn, identity: Identity, recovery: Recovery, now: float) -> None:
    """Trusts a certificate that this hub issued after the backup was made that it was restored from; raises NotTrusted.

    A machine's is taken over in recovery, where it is handed nothing: an admin confirms it with the rest. A person's,
    and that of a machine that was away then, once the recovery is over and did not revoke their name. In recovery the
    labels are the certificate's, which are newer than the backup's; an admin sees them before they count.
    """
    if identity.not_before > recovery.since:
        raise NotTrusted("unknown", f"this hub knows no such certificate of {identity.name}")
    data: dict[str, Any] = {"kind": identity.kind, "fingerprint": identity.fingerprint}
    if identity.kind == "agent":
        agent = txn.agent(identity.name)
        if agent is None and recovery.active:
            txn.add_agent(agent := Agent(identity.name, identity.labels or {}, "active", identity.not_before))
            data |= {"new": "joined after the backup", "labels": identity.labels}
        if agent is None or agent.state != "active" or agent.joined_at > recovery.since:
            state = agent.state if agent is not None else "unknown"
            raise NotTrusted(state, f"the machine {identity.name} is {state}; an admin must let it join again")
        if recovery.active and identity.labels is not None and identity.labels != agent.labels:
            txn.save_agent(agent, replace(agent, labels=identity.labels))
            data |= {"labels": identity.labels, "before": agent.labels}
        generation = agent.generation
    else:
        if recovery.active:
            cure = "it counts again when an admin has run `answerback-hub recover`"
            raise NotTrusted("recovery", f"this hub was restored from a backup that is older than this login; {cure}")
        if _is_unknown_person(txn, identity.name):
            raise NotTrusted("revoked", f"{identity.name} has no access any more")
        generation = 1
    kind: JoinKind = "agent" if identity.kind == "agent" else "operator"
    txn.add_credential(
        IssuedCertificate(
            identity.fingerprint,
            kind,
            identity.name,
            generation,
            identity.not_before,
            identity.not_after,
            key_hash="",
            issuer=identity.issuer,
        )
    )
    txn.audit("recovery.certificate", identity.name, "hub", data, now)


def renew(
    txn: Txn,
    authorities: Authorities,
    identity: Identity,
    message: Renew,
    now: float,
    *,
    grace: float = 0.0,
    entrance: Entrance = "link",
) -> Renewed | Refuse:
    """The next certificate for the link's owner, or a refusal. Commit either: a clone's request locks the agent.

    `message.generation` is of the certificate that the requester has now, which may be newer than the link's. `grace`
    is for how many seconds after it ran out a certificate is still renewed.
    """
    answer: Renewed | Refuse
    locks = False
    try:
        credential, owner = _valid_credential(txn, identity, now, grace)
        authority = authorities.issuer_for(credential.trusts)
        answer = _next_certificate(txn, authority, credential, owner, message, now, entrance)
        locks = isinstance(answer, Refuse) and answer.code == "locked"  # which has a row of its own
    except NotTrusted as error:
        answer = Refuse(error.code, error.reason)
    except BadRequest as error:
        answer = Refuse("bad_request", str(error))
    except BadAuthority as error:
        answer = Refuse("authority", f"this hub can issue no certificates: {error}")
    if isinstance(answer, Refuse) and not locks and entrance == "link":
        data = {"code": answer.code, "kind": identity.kind}  # the entrance bounds its rows itself
        txn.audit("renewal.refused", identity.name, identity.name, data, now)
    return answer


def _next_certificate(
    txn: Txn,
    authority: Authority,
    credential: IssuedCertificate,
    owner: Agent | Person,
    message: Renew,
    now: float,
    entrance: Entrance,
) -> Renewed | Refuse:
    """`renew` for a credential that may be renewed; raises BadRequest and BadAuthority."""
    key = request_key(message.request)
    newest = owner.generation if isinstance(owner, Agent) else credential.generation
    if not credential.key_hash:
        newest = max(newest, message.generation)  # taken over after a restore: only its holder knows its number
    keys = {
        other.key_hash
        for other in txn.credentials(credential.kind, credential.name)
        if other.generation == newest and other.revoked_at is None
    }
    if message.generation == newest:
        if key in keys or key == credential.key_hash:
            return Refuse("key_reused", "a renewal needs a new key")
        generation = newest + 1
    elif isinstance(owner, Agent) and message.generation == newest - 1 and key in keys:
        generation = newest  # a repeated request: its answer was lost
    elif isinstance(owner, Agent) and (entrance == "link" or message.generation == newest - 1):
        data = {"presented": message.generation, "stored": newest, "fingerprint": credential.fingerprint}
        _lock(txn, owner, data, now)
        return Refuse(
            "locked",
            f"the certificate of {owner.name} was renewed elsewhere: this may be a copy, so both are locked out; "
            f"{again('agent', owner.name)}",
        )
    elif isinstance(owner, Agent):
        return Refuse("stale", _stale(owner.name))
    else:
        return Refuse("generation", f"not the generation of this certificate; {again('operator', owner.name)}")
    labels = owner.labels if isinstance(owner, Agent) else {}
    certificate, issued = _issue(authority, message.request, credential.kind, credential.name, generation, now, labels)
    txn.add_credential(replace(issued, retires_at=credential.retires_at))  # renewing is no way around a rotation
    txn.note_successor(credential.fingerprint, issued.fingerprint)
    if isinstance(owner, Agent) and generation != owner.generation:
        txn.save_agent(owner, replace(owner, generation=generation))
    data = {"kind": credential.kind, "generation": generation, "fingerprint": issued.fingerprint}
    if now >= credential.not_after:
        data["expired_at"] = credential.not_after
    txn.audit("credential.renewed" + "_late" * (now >= credential.not_after), owner.name, owner.name, data, now)
    return Renewed(certificate, generation)


def _lock(txn: Txn, agent: Agent, data: Mapping[str, object], now: float) -> None:
    txn.save_agent(agent, replace(agent, state="locked"))
    txn.audit("agent.locked", agent.name, agent.name, dict(data), now)


def lock_copied(txn: Txn, name: str, now: float, evidence: Mapping[str, object] | None = None) -> Refuse:
    """Locks a machine of which there are two, and gives what whoever comes as it is told."""
    agent = txn.agent(name)
    if agent is not None and agent.state == "active":
        reason = "two machines come under this name, so one of them is a copy"
        _lock(txn, agent, {"reason": reason, **(evidence or {}), "cure": again("agent", name)}, now)
    return Refuse(
        "locked",
        f"two machines come as {name}, so one of them is a copy and both are locked out; {again('agent', name)}",
    )


def revoke(txn: Txn, kind: JoinKind, name: str, by: str, now: float) -> list[str]:
    """Revokes an agent or a person and returns the fingerprints whose links must be closed; raises UserError for an
    unknown name. Repeating it revokes what has been issued since.
    """
    if kind == "agent":
        agent = txn.agent(name)
        if agent is None:
            raise UserError(f"there is no machine {name[:64]}", "see answerback agents")
        if agent.state != "revoked":
            txn.save_agent(agent, replace(agent, state="revoked"))
    else:
        person = txn.person(name)
        if person is None:
            raise UserError(f"there is no person {name[:64]}", "check the name")
        if person.revoked_at is None:
            txn.save_person(person, replace(person, revoked_at=now))
        txn.remove_passkeys(name)
    fingerprints = txn.revoke_credentials(kind, name, now)
    txn.audit(f"{kind}.revoked", name, by, {"fingerprints": fingerprints}, now)
    return fingerprints


def _valid_credential(
    txn: Txn, identity: Identity, now: float, grace: float = 0.0
) -> tuple[IssuedCertificate, Agent | Person]:
    """The credential of a certificate and its owner, both valid; raises NotTrusted. What can be cured by nobody but an
    admin is told before what the certificate's age has to do with.
    """
    credential, cure = txn.credential(identity.fingerprint), again(identity.kind, identity.name)
    if credential is None or (credential.kind, credential.name) != (identity.kind, identity.name):
        raise NotTrusted("unknown", f"this hub knows no such certificate of {identity.name}; {cure}")
    if credential.retires_at is not None and (credential.revoked_at is not None or now >= credential.retires_at):
        raise NotTrusted("revoked", _replaced(identity.name, credential.revoked_at or credential.retires_at))
    if credential.revoked_at is not None:
        raise NotTrusted("revoked", f"the certificate of {identity.name} has been revoked; {cure}")
    owner: Agent | Person | None
    if identity.kind == "agent":
        owner = txn.agent(identity.name)
        if owner is None or owner.state != "active":
            state = owner.state if owner is not None else "unknown"
            raise NotTrusted(state, f"the machine {identity.name} is {state}; {cure}")
    else:
        owner = txn.person(identity.name)
        if owner is None or owner.revoked_at is not None:
            raise NotTrusted("revoked", f"{identity.name} has no access any more; {cure}")
        cure = again("operator", identity.name, next(iter(owner.roles), "ROLE"))
    # One of the future that is known here was issued here: the clock has been set back since.
    if now >= credential.not_after + grace:
        reason = f"the certificate of {identity.name} expired at {format_iso(credential.not_after)}"
        if grace:
            reason += f", and this hub renews it for {format_duration(grace)} after that"
        raise NotTrusted("expired", f"{reason}; {cure}")
    return credential, owner


def again(kind: str, name: str, role: str = "ROLE") -> str:
    """How somebody whose certificate is good for nothing any more comes back: one command here, and the one it prints
    there.
    """
    if kind == "agent":
        return f"run `answerback-hub token --agent {name}` on the hub, and on the machine the command that it prints"
    return f"run `answerback-hub operator add {name} --role {role}` on the hub, and the command that it prints"


def _replaced(name: str, at: float) -> str:
    return (
        f"this login of {name} was replaced and ended at {format_iso(at)}: use the new one; where there is none, run"
        f" `answerback-hub operator rotate {name}` on the hub, and the command that it prints"
    )


def _stale(name: str) -> str:
    return f"a newer certificate of {name} is in use, so this may be a copy; if it is not, {again('agent', name)}"


def _issue(
    authority: Authority,
    request: bytes,
    kind: str,
    name: str,
    generation: int,
    now: float,
    labels: Mapping[str, str],
) -> tuple[bytes, IssuedCertificate]:
    """A certificate (PEM) and its row; raises BadRequest."""
    side: JoinKind = "agent" if kind == "agent" else "operator"
    carried = labels if side == "agent" else None
    certificate = authority.issue(request, kind=side, name=name, now=now, lifetime=LIFETIME[side], labels=carried)
    identity = identity_from_pem(certificate, now, side)
    key = request_key(request)
    return certificate, IssuedCertificate(
        identity.fingerprint, side, name, generation, now, identity.not_after, key_hash=key, issuer=identity.issuer
    )


def _is_unknown_person(txn: Txn, name: str) -> bool:
    person = txn.person(name)
    return person is None or person.revoked_at is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
