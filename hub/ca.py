"""Join tokens, certificates, renewal, revocation: who becomes one of ours and who stops being it.

Pure decisions over the store's verbs; check and use are in one transaction.

    make_token   an admin's invitation: one name, one use, minutes to live; the store keeps its SHA-256
    join         the token and a signing request for a certificate; refusals raise JoinRefused and change nothing
    authenticate whether a certificate that TLS has verified still counts; raises NotTrusted and changes nothing
    renew        a new certificate for a live link; refusals are returned, since some must be committed
    revoke       ends an identity: its certificates and, by the fingerprints returned, its live links

The generation counter tells clones apart. A machine's certificates are numbered; it asks for the next one with the
number of the one it has. Two holders of one key cannot both know the newest number: whoever asks with an old one
gives the copy away, and the machine is locked until a person looks. One exception keeps a lost answer from locking
anyone: the same request again (same new key) for the number before the newest is answered again. Every renewal must
bring a new key, so a clone cannot hide in that exception.

What raises is for the caller to put into the audit, in a transaction of its own: this one is rolled back.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from common.errors import UserError
from common.identity import LIFETIME, Authority, BadRequest, Identity, identity_in, request_key
from common.ids import is_label_value, is_name
from common.messages import Join, Joined, Refuse, Renew, Renewed
from hub.records import Agent, Credential, Person, Token
from hub.store.verbs import Txn

Joining = Literal["agent", "operator"]
TOKEN_TTL: Final = 600.0
MAX_TOKEN_TTL: Final = 7 * 24 * 3600.0
MAX_LABELS: Final = 32
_TOKEN_BYTES: Final = 24  # 192 bits
_TOKEN_MARK: Final = "abt_"  # noqa: S105  scanners for leaked secrets can know it


class JoinRefused(Exception):
    """No certificate; `code` is for programs, `reason` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class NotTrusted(Exception):
    """A certificate of ours that does not count (any more); `code` is for programs, `reason` for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


def make_token(txn: Txn, kind: Joining, name: str, labels: Mapping[str, str], ttl: float, by: str, now: float) -> str:
    """A token for `name` that lives `ttl` seconds; raises UserError for a name, label or time that cannot be."""
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
    if kind == "operator" and _no_person(txn, name):
        raise UserError(f"there is no person {name}", "add the person first: answerback-hub operator add")
    # NAME.SECRET: whoever joins can read the name it is for; the secret has no dot, names may.
    token = f"{name}.{_TOKEN_MARK}{secrets.token_urlsafe(_TOKEN_BYTES)}"
    txn.add_token(Token(_hash(token), kind, name, dict(labels), now, now + ttl, by))
    txn.audit("token.made", name, by, {"kind": kind, "labels": dict(labels), "expires_at": now + ttl}, now)
    return token


def join(
    txn: Txn, authority: Authority, message: Join, job_keys: Mapping[str, bytes], hub_id: str, now: float
) -> Joined:
    """The certificate for a token and a signing request; raises JoinRefused. A token sent for a name that is not its
    own is not used up: its owner can still join.
    """
    token = txn.token(_hash(message.token))
    if token is None:
        raise JoinRefused("token_unknown", "this hub has made no such token; ask for a new one")
    if token.used_at is not None:
        raise JoinRefused("token_used", "the token has been used already; ask for a new one")
    if now >= token.expires_at:
        raise JoinRefused("token_expired", "the token has expired; ask for a new one")
    if message.name != token.name:
        raise JoinRefused("token_name", "the token is for another name; join under the name it was made for")
    if token.kind == "agent":
        before = txn.agent(token.name)
        if before is not None and before.state != "revoked":
            cure = f"have it revoked first (answerback-hub agent revoke {token.name}), or join under another name"
            raise JoinRefused("name_taken", f"there is a machine {token.name} already, {before.state}; {cure}")
    elif _no_person(txn, token.name):
        raise JoinRefused("person_unknown", f"there is no person {token.name} any more; have them added again")
    try:
        certificate, credential = _issue(authority, message.request, token.kind, token.name, 1, now)
    except BadRequest as error:
        raise JoinRefused("bad_request", str(error)) from None
    if not txn.use_token(token.hash, now):
        raise JoinRefused("token_used", "the token has been used already; ask for a new one")
    if token.kind == "agent":
        # Nothing of a revoked machine's past goes over to the new one but the name.
        fresh = Agent(token.name, token.labels, "active", now, version=message.version[:40])
        if before is None:
            txn.add_agent(fresh)
        else:
            txn.save_agent(before, fresh)
    txn.add_credential(credential)
    data = {"kind": token.kind, "fingerprint": credential.fingerprint, "invited_by": token.created_by}
    txn.audit(f"{token.kind}.joined", token.name, token.name, data, now)
    return Joined(token.name, certificate, authority.certificate, dict(job_keys), hub_id)


def authenticate(txn: Txn, identity: Identity, now: float) -> Agent | Person:
    """Whom a verified certificate stands for, at the opening of a link; raises NotTrusted."""
    credential, owner = _standing(txn, identity, now)
    if isinstance(owner, Agent) and credential.generation < owner.generation - 1:
        # The one before the newest may still come: its holder may have missed the answer to its renewal.
        raise NotTrusted("stale", f"a newer certificate of {identity.name} is in use; if this is no copy, join again")
    return owner


def renew(txn: Txn, authority: Authority, identity: Identity, message: Renew, now: float) -> Renewed | Refuse:
    """The next certificate for the link's owner, or why not. Commit either: a clone's question locks the machine.

    `message.generation` is of the certificate the asker holds now, which may be newer than the link's own.
    """
    try:
        credential, owner = _standing(txn, identity, now)
        key = request_key(message.request)
    except NotTrusted as error:
        return _refuse(txn, identity, error.code, error.reason, now)
    except BadRequest as error:
        return _refuse(txn, identity, "bad_request", str(error), now)
    newest = owner.generation if isinstance(owner, Agent) else credential.generation
    keys = {
        held.key_hash
        for held in txn.credentials(identity.kind, identity.name)
        if held.generation == newest and held.revoked_at is None
    }
    if message.generation == newest:
        if key in keys or key == credential.key_hash:
            return _refuse(txn, identity, "key_reused", "a renewal needs a new key", now)
        generation = newest + 1
    elif isinstance(owner, Agent) and message.generation == newest - 1 and key in keys:
        generation = newest  # the same question again: its answer was lost
    elif isinstance(owner, Agent):
        txn.save_agent(owner, replace(owner, state="locked"))
        data = {"presented": message.generation, "stored": newest, "fingerprint": identity.fingerprint}
        txn.audit("agent.locked", owner.name, owner.name, data, now)
        return Refuse(
            "locked",
            f"the certificate of {owner.name} was renewed elsewhere: this may be a copy, so both are locked out",
        )
    else:
        return _refuse(txn, identity, "generation", "not the generation of this certificate; log in again", now)
    certificate, issued = _issue(authority, message.request, identity.kind, identity.name, generation, now)
    txn.add_credential(issued)
    if isinstance(owner, Agent) and generation != owner.generation:
        txn.save_agent(owner, replace(owner, generation=generation))
    data = {"kind": identity.kind, "generation": generation, "fingerprint": issued.fingerprint}
    txn.audit("credential.renewed", identity.name, identity.name, data, now)
    return Renewed(certificate, generation)


def revoke(txn: Txn, kind: Joining, name: str, by: str, now: float) -> list[str]:
    """Ends an agent or a person and returns the fingerprints whose links are to be closed; raises UserError for nobody.
    Again is harmless: it revokes what has been issued since.
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
    fingerprints = txn.revoke_credentials(kind, name, now)
    txn.audit(f"{kind}.revoked", name, by, {"fingerprints": fingerprints}, now)
    return fingerprints


def _standing(txn: Txn, identity: Identity, now: float) -> tuple[Credential, Agent | Person]:
    """The credential behind a certificate and its owner, both in good standing; raises NotTrusted."""
    credential, again = txn.credential(identity.fingerprint), "join" if identity.kind == "agent" else "log in"
    if credential is None or (credential.kind, credential.name) != (identity.kind, identity.name):
        raise NotTrusted("unknown", f"this hub knows no such certificate of {identity.name}; {again} again")
    if credential.revoked_at is not None:
        raise NotTrusted("revoked", f"the certificate of {identity.name} has been revoked")
    if now >= credential.not_after:
        raise NotTrusted("expired", f"the certificate of {identity.name} has expired; {again} again")
    if identity.kind == "agent":
        agent = txn.agent(identity.name)
        if agent is None or agent.state != "active":
            state = agent.state if agent is not None else "unknown"
            raise NotTrusted(state, f"the machine {identity.name} is {state}; an admin must let it join again")
        return credential, agent
    person = txn.person(identity.name)
    if person is None or person.revoked_at is not None:
        raise NotTrusted("revoked", f"{identity.name} has no access any more")
    return credential, person


def _issue(
    authority: Authority, request: bytes, kind: str, name: str, generation: int, now: float
) -> tuple[bytes, Credential]:
    """A certificate (PEM) and its row; raises BadRequest."""
    side: Joining = "agent" if kind == "agent" else "operator"
    certificate = authority.issue(request, kind=side, name=name, now=now, lifetime=LIFETIME[side])
    identity = identity_in(certificate, now, side)
    key = request_key(request)
    return certificate, Credential(identity.fingerprint, side, name, generation, now, identity.not_after, key_hash=key)


def _refuse(txn: Txn, identity: Identity, code: str, reason: str, now: float) -> Refuse:
    txn.audit("renewal.refused", identity.name, identity.name, {"code": code, "kind": identity.kind}, now)
    return Refuse(code, reason)


def _no_person(txn: Txn, name: str) -> bool:
    person = txn.person(name)
    return person is None or person.revoked_at is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
