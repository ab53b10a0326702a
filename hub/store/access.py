"""The verbs of invitations (tokens) and of what they become (credentials)."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from hub.records import Credential, Token
from hub.store.errors import Conflict
from hub.store.mapping import OR_NOTHING, Mapper, from_json, to_json
from hub.store.room import Room
from hub.store.schema import credentials, tokens
from hub.store.sql import Statement

_TOKEN: Final = Mapper(Token, tokens, key="hash", turned={"labels": (to_json, from_json)})
_CREDENTIAL: Final = Mapper(Credential, credentials, key="fingerprint")

_ADD_TOKEN: Final = Statement(_TOKEN.insert, OR_NOTHING)
_TOKEN_BY_HASH: Final = Statement(_TOKEN.select.where(tokens.c.hash == sa.bindparam("hash")))
_USE_TOKEN: Final = Statement(
    tokens.update()
    .where(tokens.c.hash == sa.bindparam("key"), tokens.c.used_at.is_(None), tokens.c.expires_at > sa.bindparam("now"))
    .values(used_at=sa.bindparam("at"))
)
_PURGE_TOKENS: Final = Statement(tokens.delete().where(tokens.c.expires_at <= sa.bindparam("before")))
_PURGE_CREDENTIALS: Final = Statement(credentials.delete().where(credentials.c.not_after <= sa.bindparam("before")))
_ADD_CREDENTIAL: Final = Statement(_CREDENTIAL.insert, OR_NOTHING)
_BY_FINGERPRINT: Final = Statement(_CREDENTIAL.select.where(credentials.c.fingerprint == sa.bindparam("fingerprint")))
_REVOKE: Final = Statement(
    credentials.update()
    .where(
        credentials.c.kind == sa.bindparam("of_kind"),
        credentials.c.name == sa.bindparam("of_name"),
        credentials.c.revoked_at.is_(None),
    )
    .values(revoked_at=sa.bindparam("now")),
    " RETURNING fingerprint",
)
_REVOKED: Final = Statement(
    sa.select(credentials.c.fingerprint).where(credentials.c.revoked_at >= sa.bindparam("since"))
)


class AccessRoom(Room):
    def add_token(self, token: Token) -> None:
        if self._db.change(_ADD_TOKEN, _TOKEN.row(token)) != 1:
            raise Conflict("token: is there already")

    def token(self, hash: str) -> Token | None:  # noqa: A002 - the record's word
        row = self._db.row(_TOKEN_BY_HASH, {"hash": hash})
        return None if row is None else _TOKEN.record(row)

    def use_token(self, hash: str, now: float) -> bool:  # noqa: A002
        """Whether the token was good until now; it is used up by this. False: unknown, used, or expired."""
        return self._db.change(_USE_TOKEN, {"key": hash, "now": now, "at": now}) == 1

    def purge_tokens(self, before: float) -> int:
        """Forgets tokens that expired by then, and says how many. Kept a while, it is refused as expired."""
        return self._db.change(_PURGE_TOKENS, {"before": before})

    def add_credential(self, credential: Credential) -> None:
        if self._db.change(_ADD_CREDENTIAL, _CREDENTIAL.row(credential)) != 1:
            raise Conflict(f"credential {credential.fingerprint}: is there already")

    def credential(self, fingerprint: str) -> Credential | None:
        row = self._db.row(_BY_FINGERPRINT, {"fingerprint": fingerprint})
        return None if row is None else _CREDENTIAL.record(row)

    def credentials(self, kind: str | None = None, name: str | None = None) -> list[Credential]:
        """By kind, name and generation, revoked ones included."""
        query = _CREDENTIAL.select.order_by(
            credentials.c.kind, credentials.c.name, credentials.c.generation, credentials.c.issued_at
        )
        if kind is not None:
            query = query.where(credentials.c.kind == kind)
        if name is not None:
            query = query.where(credentials.c.name == name)
        return _CREDENTIAL.records(self._db.select(query))

    def purge_credentials(self, before: float) -> int:
        """Forgets certificates that expired by then, and says how many; none of them opens anything any more."""
        return self._db.change(_PURGE_CREDENTIALS, {"before": before})

    def revoke_credentials(self, kind: str, name: str, now: float) -> list[str]:
        """Revokes all that were good, and gives their fingerprints: their links are to be closed."""
        rows = self._db.rows(_REVOKE, {"of_kind": kind, "of_name": name, "now": now})
        return sorted(fingerprint for (fingerprint,) in rows)

    def revoked_since(self, since: float) -> list[str]:
        """Fingerprints revoked then or later: links that another process's revocation must end."""
        return [fingerprint for (fingerprint,) in self._db.rows(_REVOKED, {"since": since})]
