"""People and what they may: the one register, of hub.toml and of the store, as the commands read and change it.

Somebody who stands in hub.toml has the roles that stand there, in chat and at the console alike; a command that would
change them is refused with the file and the line, so that no command prints success and changes nothing. Somebody who
was added by command has the roles of the store. A revocation counts for both, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any, Final

from common.errors import UserError
from common.ids import is_name
from common.policy.source import Span
from common.roles import ROLES, rank
from hub.cli.admin import invite, open_store
from hub.cli.expiry import Expiry
from hub.cli.logins import Logins
from hub.config import HubConfig
from hub.core.records import IssuedCertificate, Person
from hub.identity import certificates, chat_links, recovery_codes, totp
from hub.identity.keys import load_keys
from hub.identity.people import PeopleSnapshot, snapshot
from hub.store.people import is_refused
from hub.store.transaction import Txn

MAX_NAMES: Final = 12
"""Names that an error lists."""


@dataclass(frozen=True, slots=True)
class PersonEntry:
    """One person, as `operator list` shows them."""

    name: str
    roles: tuple[str, ...]
    source: str  # "hub.toml, line 47" or "command"
    chat: tuple[str, ...]
    revoked_at: float | None
    forged: bool  # somebody else than this hub wrote their row: they have no access
    factor: str  # none | yes | new: a new one waits for its first code
    logins: Logins
    login: Expiry  # of what they can log in with longest
    ignored: tuple[str, ...] = ()  # roles in the store that hub.toml's take the place of

    def to_json(self, now: float) -> dict[str, Any]:
        return {
            "name": self.name,
            "roles": self.roles,
            "source": self.source,
            "chat": self.chat,
            "revoked_at": self.revoked_at,
            "forged": self.forged,
            "second_factor": self.factor,
            "login_until": self.login.until,
            "login_expired": self.login.has_run_out(now),
            "login_renewable_until": self.login.renewable_until,
            "ignored_roles": self.ignored,
            **self.logins.to_json(now),
        }


def list_people(config: HubConfig, now: float) -> list[PersonEntry]:
    """Everybody, also those who were revoked, by name."""

    def unit(txn: Txn) -> list[PersonEntry]:
        rows = {row.name: row for row in txn.people()}
        people = snapshot(config.people, rows.values())
        logins: dict[str, list[IssuedCertificate]] = {}
        for one in txn.credentials("operator"):
            logins.setdefault(one.name, []).append(one)
        return [
            _entry(config, people, rows.get(name), name, Logins.of(logins.get(name, ())), now)
            for name in people.names()
        ]

    with open_store(config, now) as store:
        return store.read_now(unit)


def _entry(
    config: HubConfig, people: PeopleSnapshot, row: Person | None, name: str, logins: Logins, now: float
) -> PersonEntry:
    table = config.people.get(name)
    return PersonEntry(
        name=name,
        roles=people.roles(name),
        source=place_of(config, name) if table is not None else "command",
        chat=tuple(sorted(identity for identity, owner in people.chat.items() if owner == name)),
        revoked_at=row.revoked_at if row is not None else None,
        forged=row is not None and is_refused(row),
        factor=_factor(row, now),
        logins=logins,
        login=logins.expiry(config.links.grace("operator")),
        ignored=tuple(role for role in row.roles if role not in table.roles) if row and table is not None else (),
    )


def _factor(row: Person | None, now: float) -> str:
    if row is None or not row.totp_secret:
        return "none"
    return "new" if totp.has_pending(row, now) else "yes"


def roles_of(config: HubConfig, name: str) -> tuple[str, ...]:
    """What a person may; raises UserError for one that nobody knows."""

    def unit(txn: Txn) -> tuple[str, ...]:
        people = snapshot(config.people, txn.people())
        if name not in people.names():
            raise _unknown(config, txn, name)
        return people.roles(name)

    with open_store(config, 0.0) as store:
        return store.read_now(unit)


def add(config: HubConfig, name: str, role: str | None, chat: Sequence[str], ttl: float, now: float) -> dict[str, Any]:
    """Adds a person, or takes one back who was revoked; returns their invitation to log in."""
    if not is_name(name):
        raise UserError(f"{name!r} is no name for a person", "use 1 to 64 letters, digits, dots, dashes or underscores")
    if name in config.people:
        _check_configured_role(config, name, role)
        if chat:
            raise UserError(f"{name} stands in {place_of(config, name)}", f"write chat = {list(chat)} there")
    elif role is None:
        raise UserError(f"no role for {name}", f"add --role, one of {', '.join(ROLES)}")
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            _check_chat(config, txn, name, chat)
            before = txn.person(name)
            roles = (role,) if role is not None and name not in config.people else before.roles if before else ()
            fresh = Person(name, roles, now, chat=tuple(chat))
            if before is None:
                txn.add_person(fresh)
            elif is_refused(before):
                txn.replace_person(fresh)
                txn.replace_recovery_codes(name, (), now)
            else:
                after = changed(before, roles=roles, revoked_at=None, chat=tuple(chat) or before.chat)
                txn.save_person(before, after)
            txn.audit("person.added", name, "terminal", {"role": role or "", "chat": list(chat)}, now)

        store.write_now(unit)
    return invite(config, "operator", name, {}, ttl, now)


def set_role(config: HubConfig, name: str, role: str, now: float) -> tuple[str, ...]:
    """Gives a person another role; returns those they had. Raises UserError where hub.toml says it."""
    if name in config.people:
        _check_configured_role(config, name, role)
        return tuple(config.people[name].roles)
    with open_store(config, now) as store:

        def unit(txn: Txn) -> tuple[str, ...]:
            before = txn.person(name)
            if before is None:
                raise _unknown(config, txn, name)
            if before.revoked_at is not None:
                raise UserError(f"{name} is revoked", f"answerback-hub operator add {name} --role {role}")
            txn.save_person(before, changed(before, roles=(role,)))
            txn.audit("person.role", name, "terminal", {"role": role, "before": list(before.roles)}, now)
            return before.roles

        return store.write_now(unit)


def remove(config: HubConfig, name: str, now: float) -> int:
    """Revokes a person, wherever they stand; returns how many certificates were revoked."""
    with open_store(config, now) as store:

        def unit(txn: Txn) -> int:
            if txn.person(name) is None:
                if name not in config.people:
                    raise _unknown(config, txn, name)
                txn.add_person(Person(name, (), now))
            return len(certificates.revoke(txn, "operator", name, "terminal", now))

        return store.write_now(unit)


def has_admin(config: HubConfig) -> bool:
    """Whether anybody is left who may do everything; at the hub's terminal one can always be added."""
    with open_store(config, 0.0) as store:
        return bool(snapshot(config.people, store.read_now(lambda txn: txn.people())).holders("admin"))


def link(config: HubConfig, name: str, identity: str, now: float) -> None:
    """A chat user, "INLET:USER", is this person from now on, also one of hub.toml; raises UserError."""
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            people = snapshot(config.people, txn.people())
            if name not in people.names():
                raise _unknown(config, txn, name)
            if people.chat.get(identity) != name:
                _check_chat(config, txn, name, (identity,))
                chat_links.link(txn, people, name, identity, "terminal", now)

        store.write_now(unit)


def unlink(config: HubConfig, name: str, identity: str, now: float) -> None:
    """Undoes `link`; raises UserError where it is not so, or stands in hub.toml."""
    if name in config.people and identity in config.people[name].chat:
        raise UserError(f"{identity} stands in {place_of(config, name)}", "take it out of `chat` there, and reload")
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            before = txn.person(name)
            if before is None or identity not in before.chat:
                known = ", ".join(before.chat if before is not None else ()) or "nobody"
                raise UserError(f"{name[:64]} is not {identity} in chat", f"by command {name[:64]} is: {known}")
            left = tuple(one for one in before.chat if one != identity)
            txn.save_person(before, changed(before, chat=left))
            txn.audit("person.unlinked", name, "terminal", {"chat": [identity]}, now)

        store.write_now(unit)


def unlink_inlet(config: HubConfig, inlet: str, now: float) -> list[str]:
    """Nobody is known any more in an inlet that goes: one of that name later may be another chat. Returns who was."""
    gone: list[str] = []
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            for before in txn.people():
                left = tuple(identity for identity in before.chat if not identity.startswith(f"{inlet}:"))
                if left != before.chat:
                    lost = [identity for identity in before.chat if identity not in left]
                    txn.save_person(before, changed(before, chat=left))
                    txn.audit("person.unlinked", before.name, "terminal", {"chat": lost}, now)
                    gone.extend(lost)

        store.write_now(unit)
    return gone


# ---- second factors


@dataclass(frozen=True, slots=True)
class FactorOffer:
    """What is shown once and stored nowhere as it is."""

    uri: str  # otpauth, the new factor's secret in it
    pending: bool  # an old factor counts until a code of the new one has been seen
    recovery_codes: tuple[str, ...]  # of a first factor; who has one keeps the codes


def offer_factor(config: HubConfig, name: str, now: float) -> FactorOffer:
    """Stores a new second factor for a person, sealed, and the hashes of its recovery codes."""
    keys = load_keys(config)
    sealed, uri = totp.enrol(keys.sealer, name, f"Answerback {keys.hub_id}")
    with open_store(config, now) as store:

        def unit(txn: Txn) -> FactorOffer:
            before = txn.person(name)
            if before is None and name not in config.people:
                raise _unknown(config, txn, name)
            if before is None:
                before = Person(name, (), now)
                txn.add_person(before)
            if is_refused(before):
                raise UserError(
                    f"the row of {name} was written by somebody else than this hub",
                    f"answerback-hub operator add {name} --role ROLE writes it anew",
                )
            after = totp.offer(before, sealed, now)
            txn.save_person(before, after)
            pending = totp.has_pending(after, now)
            txn.audit("person.second_factor", name, "terminal", {"pending": pending}, now)
            return FactorOffer(uri, pending, () if pending else _new_recovery_codes(txn, name, now))

        return store.write_now(unit)


def renew_recovery_codes(config: HubConfig, name: str, now: float) -> tuple[str, ...]:
    """New recovery codes, to be shown once; the old ones count no more. Raises UserError for who has no factor."""
    with open_store(config, now) as store:

        def unit(txn: Txn) -> tuple[str, ...]:
            person = txn.person(name)
            if person is None or not person.totp_secret:
                raise UserError(f"{name} has no second factor", f"answerback-hub operator totp {name} enrols one")
            return _new_recovery_codes(txn, name, now)

        return store.write_now(unit)


def _new_recovery_codes(txn: Txn, name: str, now: float) -> tuple[str, ...]:
    codes = recovery_codes.make()
    txn.replace_recovery_codes(name, [recovery_codes.digest(name, code) for code in codes], now)
    txn.audit("person.recovery_codes", name, "terminal", {"count": len(codes)}, now)
    return codes


def confirm_factor(config: HubConfig, name: str, code: str, now: float) -> None:
    """Ends the old factor with a code of the new one; raises UserError where it is none."""
    keys = load_keys(config)
    with open_store(config, now) as store:

        def unit(txn: Txn) -> str:
            before = txn.person(name)
            if before is None or not totp.has_pending(before, now):
                return f"no new second factor of {name} waits for a code"
            verdict = totp.check_code(before, keys.sealer, code, now, "console")
            txn.save_person(before, verdict.person)
            if verdict.confirmed:
                txn.audit("person.second_factor_confirmed", name, "terminal", {"via": "terminal"}, now)
                return ""
            return "that is a code of the old factor" if verdict.ok else str(verdict.reason)

        problem = store.write_now(unit)
    if problem:
        raise UserError(problem, f"answerback-hub operator totp {name} offers a new one; until then the old one counts")


def drop_factor(config: HubConfig, name: str, now: float) -> None:
    with open_store(config, now) as store:

        def unit(txn: Txn) -> None:
            before = txn.person(name)
            if before is None or not before.totp_secret:
                raise UserError(f"{name} has no second factor", "see answerback-hub operator list")
            txn.save_person(before, totp.without_factor(before))
            txn.replace_recovery_codes(name, (), now)
            txn.audit("person.second_factor_removed", name, "terminal", {}, now)

        store.write_now(unit)


# ---- where somebody stands


def place_of(config: HubConfig, name: str) -> str:
    """The file and the line where a person's roles stand."""
    try:
        lines = tuple(config.path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError):
        return str(config.path)
    line = Span(lines, 1).below("people").below(name).line_of("roles")
    return f"{config.path}, line {line}" if line else str(config.path)


def _check_configured_role(config: HubConfig, name: str, role: str | None) -> None:
    roles = config.people[name].roles
    highest = max(roles, key=rank, default="none")
    if role is not None and role != highest:
        raise UserError(
            f"{name} is {highest} in {place_of(config, name)}, and what stands there counts, here and in chat",
            f'write roles = ["{role}"] there and reload the hub (systemctl reload answerback-hub, or kill -HUP)',
        )


def _check_chat(config: HubConfig, txn: Txn, name: str, chat: Sequence[str]) -> None:
    owners = {identity: owner for owner, table in config.people.items() for identity in table.chat}
    owners |= {identity: row.name for row in txn.people() if row.name != name for identity in row.chat}
    for identity in chat:
        inlet, colon, user = identity.partition(":")
        if not colon or not user or inlet not in config.inlets:
            known = ", ".join(sorted(config.inlets)) or "none"
            raise UserError(f"--chat {identity!r} is not INLET:USER", f"inlets here: {known}")
        if identity in owners:
            raise UserError(f"--chat {identity} is {owners[identity]} already", "one chat user is one person")


def _unknown(config: HubConfig, txn: Txn, name: str) -> UserError:
    names = sorted({*config.people, *(row.name for row in txn.people())})
    known = ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
    return UserError(
        f"there is no person {name[:64]}", f"people here: {known or 'none'} (answerback-hub operator list)"
    )
