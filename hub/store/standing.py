"""Queries and updates of standing approvals (`hub.core.standing`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from hub.core.records import StandingApproval
from hub.store.base import Repository
from hub.store.mapping import Mapper, from_json, to_json
from hub.store.schema import STANDING
from hub.store.schema import standing_approvals as table
from hub.store.sql import Statement

MAX_FOUND: Final = 64
STANDING_APPROVAL: Final = Mapper(
    StandingApproval,
    table,
    key="number",
    converters={"targets": (lambda names: to_json(list(names)), lambda text: tuple(from_json(text)))},
    generated=("number",),
)
_ADD: Final = Statement(STANDING_APPROVAL.insert, " RETURNING number")
_BY_NUMBER: Final = Statement(STANDING_APPROVAL.select.where(table.c.number == sa.bindparam("number")))
_LIVE: Final = (STANDING, table.c.expires_at > sa.bindparam("now"), table.c.uses < table.c.max_uses)
_FOR: Final = Statement(
    STANDING_APPROVAL.select.where(
        *_LIVE, table.c.plan_hash == sa.bindparam("plan_hash"), table.c.person == sa.bindparam("person")
    )
    .order_by(table.c.number)
    .limit(MAX_FOUND)
)
_ALL_LIVE: Final = Statement(
    STANDING_APPROVAL.select.where(*_LIVE).order_by(table.c.expires_at).limit(sa.bindparam("limit"))
)


class StandingRepository(Repository):
    """Rows that are not this hub's are as if they were not there; `standing_approvals` gives them with the others."""

    def add_standing(self, standing: StandingApproval) -> StandingApproval:
        made = replace(standing, mac=self.rows.mac(standing))
        row = self._db.row(_ADD, STANDING_APPROVAL.row(made))
        assert row is not None  # noqa: S101 - an INSERT that is not refused returns its number
        return replace(made, number=row[0])

    def standing(self, number: int) -> StandingApproval | None:
        if not 0 < number < 2**63:
            return None
        row = self._db.row(_BY_NUMBER, {"number": number})
        found = None if row is None else STANDING_APPROVAL.from_row(row)
        return found if found is not None and self.rows.is_authentic(found) else None

    def standing_for(self, plan_hash: str, person: str, now: float) -> list[StandingApproval]:
        """Those that may count for a plan of this person, the oldest first."""
        found = self._db.rows(_FOR, {"plan_hash": plan_hash, "person": person, "now": now})
        return [one for one in STANDING_APPROVAL.from_rows(found) if self.rows.is_authentic(one)]

    def live_standing(self, now: float, limit: int = MAX_FOUND) -> list[StandingApproval]:
        """Those that are not over, the next to end first."""
        found = STANDING_APPROVAL.from_rows(self._db.rows(_ALL_LIVE, {"now": now, "limit": limit}))
        return [one for one in found if self.rows.is_authentic(one)]

    def save_standing(self, before: StandingApproval, after: StandingApproval) -> None:
        """Updates the fields that differ; raises Conflict where it was used or revoked meanwhile."""
        mac = self.rows.mac(after) if self.rows.is_authentic(before) else ""
        STANDING_APPROVAL.save(self._db, before, replace(after, mac=mac), ("uses", "revoked_at"))
