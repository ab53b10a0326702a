"""Queries and updates of enrolment tokens and of the certificates issued for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from hub.core.records import EnrolmentToken, IssuedCertificate
from hub.store.base import Repository
from hub.store.errors import Conflict
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper, from_json, to_json
from hub.store.schema import RETIRING, credentials, tokens
from hub.store.sql import Row, Statement

TOKEN: Final = Mapper(EnrolmentToken, tokens, key="hash", converters={"labels": (to_json, from_json)})
_CREDENTIAL: Final = Mapper(IssuedCertificate, credentials, key="fingerprint")

_ADD_TOKEN: Final = Statement(TOKEN.insert, ON_CONFLICT_DO_NOTHING)
_TOKEN_BY_HASH: Final = Statement(TOKEN.select.where(tokens.c.hash == sa.bindparam("hash")))
_TOKEN_GUARDS: Final = ("used_at", "expires_at", "mac")
_UNUSED_TOKENS: Final = Statement(
    TOKEN.select.where(
        tokens.c.kind == sa.bindparam("of_kind"),
        tokens.c.used_at.is_(None),
        tokens.c.created_at >= sa.bindparam("since"),
    )
    .order_by(tokens.c.created_at.desc())
    .limit(sa.bindparam("most"))
)
_TOKENS: Final = Statement(
    TOKEN.select.order_by(tokens.c.created_at.desc(), tokens.c.hash).limit(sa.bindparam("limit"))
)
_OPEN_TOKENS: Final = Statement(TOKEN.select.where(tokens.c.used_at.is_(None)).order_by(tokens.c.hash))
_PURGE_TOKENS: Final = Statement(tokens.delete().where(tokens.c.expires_at <= sa.bindparam("before")))
_PURGE_CREDENTIALS: Final = Statement(credentials.delete().where(credentials.c.not_after <= sa.bindparam("before")))
_ADD_CREDENTIAL: Final = Statement(_CREDENTIAL.insert, ON_CONFLICT_DO_NOTHING)
_BY_FINGERPRINT: Final = Statement(_CREDENTIAL.select.where(credentials.c.fingerprint == sa.bindparam("fingerprint")))
_HOLDING: Final = Statement(
    _CREDENTIAL.select.where(
        credentials.c.kind == sa.bindparam("of_kind"),
        credentials.c.name == sa.bindparam("of_name"),
        credentials.c.revoked_at.is_(None),
    ).order_by(credentials.c.fingerprint)
)
_RETIRED: Final = Statement(
    sa.select(credentials.c.name)
    .where(RETIRING, credentials.c.kind == "operator", credentials.c.retires_at <= sa.bindparam("now"))
    .distinct()
    .order_by(credentials.c.name)
)
_UNUSED_OF: Final = Statement(
    TOKEN.select.where(
        tokens.c.kind == sa.bindparam("of_kind"), tokens.c.name == sa.bindparam("of_name"), tokens.c.used_at.is_(None)
    )
)
_REVOKED: Final = Statement(
    sa.select(credentials.c.fingerprint).where(credentials.c.revoked_at >= sa.bindparam("since"))
)


_ENDS: Final = Statement(
    sa.select(credentials.c.name, sa.func.max(credentials.c.not_after))
    .where(credentials.c.kind == sa.bindparam("of_kind"), credentials.c.revoked_at.is_(None))
    .group_by(credentials.c.name)
)


_NOTE_TRUST: Final = Statement(
    credentials.update()
    .where(
        credentials.c.fingerprint == sa.bindparam("key"),
        credentials.c.kind == sa.bindparam("of_kind"),
        credentials.c.name == sa.bindparam("of_name"),
        credentials.c.trusts != sa.bindparam("digest"),
    )
    .values(trusts=sa.bindparam("digest"))
)
_NOTE_SUCCESSOR: Final = Statement(
    credentials.update()
    .where(credentials.c.fingerprint == sa.bindparam("key"))
    .values(successor=sa.bindparam("following"))
)
_FILL_ISSUER: Final = Statement(
    credentials.update().where(credentials.c.issuer == "").values(issuer=sa.bindparam("key_id"))
)
_LAST_ISSUED: Final = Statement(
    sa.select(credentials.c.issuer, sa.func.max(credentials.c.issued_at)).group_by(credentials.c.issuer)
)


class CredentialRepository(Repository):
    """Tokens that this hub did not write are as if they were not there."""

    def add_token(self, token: EnrolmentToken) -> None:
        if self._db.change(_ADD_TOKEN, TOKEN.row(replace(token, mac=self.rows.mac(token)))) != 1:
            raise Conflict("token: is there already")

    def _token(self, row: Row) -> EnrolmentToken | None:
        return self._own(lambda: TOKEN.from_row(row), "tokens", f"{row[2]} {str(row[0])[:12]}")

    def _tokens(self, rows: Iterable[Row]) -> list[EnrolmentToken]:
        return [token for token in map(self._token, rows) if token is not None]

    def _save_token(self, before: EnrolmentToken, after: EnrolmentToken) -> None:
        """Raises Conflict where it was used, voided or written by somebody else since."""
        after = self._merged(before, before, after)
        TOKEN.save(self._db, before, after, _TOKEN_GUARDS)

    def token(self, hash: str) -> EnrolmentToken | None:  # noqa: A002 - the record's word
        row = self._db.row(_TOKEN_BY_HASH, {"hash": hash})
        return None if row is None else self._token(row)

    def use_token(self, hash: str, now: float) -> bool:  # noqa: A002
        """Uses a token up; False, and nothing changes, where it is unknown, used or expired."""
        before = self.token(hash)
        if before is None or before.used_at is not None or before.expires_at <= now:
            return False
        try:
            self._save_token(before, replace(before, used_at=now))
        except Conflict:
            return False
        return True

    def unused_tokens(self, kind: str, since: float, limit: int) -> list[EnrolmentToken]:
        """Tokens made at `since` or later that nobody has used, expired ones included; the oldest of those first."""
        rows = self._db.rows(_UNUSED_TOKENS, {"of_kind": kind, "since": since, "most": limit})
        return self._tokens(reversed(rows))

    def tokens(self, limit: int) -> list[EnrolmentToken]:
        """The newest first, used and expired ones included."""
        return self._tokens(self._db.rows(_TOKENS, {"limit": limit}))

    def void_token(self, hash: str, now: float) -> None:  # noqa: A002
        """From now on the token is refused as expired; one that was used stays as it is."""
        before = self.token(hash)
        if before is not None and before.used_at is None:
            self._save_token(before, replace(before, expires_at=now))

    def void_tokens(self, now: float) -> int:
        """No invitation made before can be used any more; returns how many there were."""
        found = self._tokens(self._db.rows(_OPEN_TOKENS))
        for token in found:
            self._save_token(token, replace(token, used_at=now))
        return len(found)

    def void_tokens_of(self, kind: str, name: str, now: float) -> int:
        """The same for all of a name that nobody has used; returns how many."""
        found = self._tokens(self._db.rows(_UNUSED_OF, {"of_kind": kind, "of_name": name}))
        for token in found:
            self._save_token(token, replace(token, expires_at=now))
        return len(found)

    def purge_tokens(self, before: float) -> int:
        """Deletes tokens that expired at `before` or earlier; returns how many. Until then they are refused as
        expired.
        """
        return self._db.change(_PURGE_TOKENS, {"before": before})

    def add_credential(self, credential: IssuedCertificate) -> None:
        if self._db.change(_ADD_CREDENTIAL, _CREDENTIAL.row(credential)) != 1:
            raise Conflict(f"credential {credential.fingerprint}: is there already")

    def credential(self, fingerprint: str) -> IssuedCertificate | None:
        row = self._db.row(_BY_FINGERPRINT, {"fingerprint": fingerprint})
        return None if row is None else _CREDENTIAL.from_row(row)

    def credentials(self, kind: str | None = None, name: str | None = None) -> list[IssuedCertificate]:
        """Certificates in order of kind, name and generation, revoked ones included."""
        query = _CREDENTIAL.select.order_by(
            credentials.c.kind, credentials.c.name, credentials.c.generation, credentials.c.issued_at
        )
        if kind is not None:
            query = query.where(credentials.c.kind == kind)
        if name is not None:
            query = query.where(credentials.c.name == name)
        return _CREDENTIAL.from_rows(self._db.select(query))

    def certificate_ends(self, kind: str) -> dict[str, float]:
        """When the newest certificate of each name ends, of those that were not revoked."""
        return {str(name): float(end) for name, end in self._db.rows(_ENDS, {"of_kind": kind})}

    def purge_credentials(self, before: float) -> int:
        """Deletes certificates that expired at `before` or earlier, which nobody can use any more; returns how many."""
        return self._db.change(_PURGE_CREDENTIALS, {"before": before})

    def revoke_credentials(self, kind: str, name: str, now: float) -> list[str]:
        """Revokes all certificates of a name; returns their fingerprints, so that the caller can close their links."""
        found = self.holding_credentials(kind, name)
        for before in found:
            self.save_credential(before, replace(before, revoked_at=now))
        return [one.fingerprint for one in found]

    def holding_credentials(self, kind: str, name: str) -> list[IssuedCertificate]:
        """Those of a name that are not revoked, by fingerprint; some may have run out."""
        return _CREDENTIAL.from_rows(self._db.rows(_HOLDING, {"of_kind": kind, "of_name": name}))

    def save_credential(self, before: IssuedCertificate, after: IssuedCertificate) -> None:
        """Updates the fields that differ; raises Conflict where it was revoked meanwhile, or its end was changed."""
        _CREDENTIAL.save(self._db, before, after, ("revoked_at", "retires_at"))

    def due_retirements(self, now: float) -> list[str]:
        """People with a login that was replaced, and whose time is over."""
        return [name for (name,) in self._db.rows(_RETIRED, {"now": now})]

    def revoked_since(self, since: float) -> list[str]:
        """Fingerprints revoked at `since` or later, also by other processes, so that their links can be closed."""
        return [fingerprint for (fingerprint,) in self._db.rows(_REVOKED, {"since": since})]

    def note_trust(self, kind: str, name: str, fingerprint: str, digest: str) -> bool:
        """What the holder of a certificate trusts, who has come with it or says that they hold it; False where nothing
        changes: it is known, or it is no certificate of that name.
        """
        values = {"key": fingerprint, "of_kind": kind, "of_name": name, "digest": digest}
        return self._db.change(_NOTE_TRUST, values) == 1

    def note_successor(self, fingerprint: str, successor: str) -> None:
        self._db.change(_NOTE_SUCCESSOR, {"key": fingerprint, "following": successor})

    def fill_issuer(self, key_id: str) -> int:
        """Certificates of a version before are of the CA that there was; returns how many."""
        return self._db.change(_FILL_ISSUER, {"key_id": key_id})

    def last_issued(self) -> dict[str, float]:
        """When each CA, by its key id, last signed a certificate of a machine or person."""
        return {str(issuer): float(at) for issuer, at in self._db.rows(_LAST_ISSUED, {})}
