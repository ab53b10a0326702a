"""Who is who in chat, as it is said by command: links of a chat user to a person, and the codes that let people link
themselves. Each function runs in one transaction.

A code is ten characters, good once, for ten minutes, for the person who asked for it while logged in; the store has
its hash alone, and a new code takes the place of an older one. Whoever says it in a chat is that person there from then
on, so it is given to nobody else. Wrong codes are limited by who says them (`hub.engine.chat_links`): ten characters of
31 are 49 bits, and nobody has more than a few tries in ten minutes.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace
from typing import Final

from common.errors import UserError
from hub.core.records import Person
from hub.identity.people import PeopleSnapshot
from hub.store.transaction import Txn

CODE_TTL: Final = 600.0
MAX_IDENTITIES: Final = 32  # of one person, by command
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that looks like something else
_HALF: Final = 5
_META: Final = "link_codes"  # person -> [hash, when it ends]


def create_code(txn: Txn, person: str, now: float) -> tuple[str, float]:
    """A code for a person, as it is said, and when it ends."""
    code = ""
    while not any(char.isdigit() for char in code):  # that is how a message with one is recognised
        code = "".join(secrets.choice(_ALPHABET) for _ in range(2 * _HALF))
    open_codes = {name: entry for name, entry in _open_codes(txn).items() if entry[1] > now and name != person}
    txn.put_meta(_META, json.dumps({**open_codes, person: (_hash(code), now + CODE_TTL)}))
    return f"{code[:_HALF]}-{code[_HALF:]}", now + CODE_TTL


def use_code(txn: Txn, code: str, now: float) -> str:
    """Whose code it is, which uses it up; "" where there is no such code."""
    digest, open_codes = _hash(code.replace("-", "").lower()), _open_codes(txn)
    for person, (kept, ends) in open_codes.items():
        if kept == digest and now < ends:
            del open_codes[person]
            txn.put_meta(_META, json.dumps(open_codes))
            return person
    return ""


def link(txn: Txn, people: PeopleSnapshot, name: str, identity: str, by: str, now: float) -> None:
    """The chat user `identity` ("INLET:USER") is `name` from now on; raises UserError.

    `people` has those of hub.toml; what the store has is read anew.
    """
    before = txn.person(name)
    if name not in people.configured and before is None:
        raise UserError(f"there is no person {name[:64]}", "answerback-hub operator list shows who there is")
    if before is not None and before.revoked_at is not None:
        raise UserError(f"{name} is revoked", f"answerback-hub operator add {name} takes them back")
    owners = {one: row.name for row in txn.people() for one in row.chat}
    owners |= {one: owner for one, owner in people.chat.items() if owner in people.configured}
    if identity in owners:
        raise UserError(f"{identity} is {owners[identity]} already", "one chat user is one person")
    if before is None:
        before = Person(name, (), now)
        txn.add_person(before)
    if len(before.chat) >= MAX_IDENTITIES:
        raise UserError(f"{name} is {MAX_IDENTITIES} chat users already", "unlink one that is not used")
    txn.save_person(before, replace(before, chat=(*before.chat, identity)))
    txn.audit("person.linked", name, by, {"chat": identity}, now)


def _open_codes(txn: Txn) -> dict[str, tuple[str, float]]:
    return dict(json.loads(txn.get_meta(_META) or "{}"))


def _hash(code: str) -> str:
    return hashlib.sha256(f"chat link {code}".encode()).hexdigest()
