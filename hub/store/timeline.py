"""The store's own history: the starts of its hub, and what a restored backup must not use again."""

from __future__ import annotations

import json
from typing import Final

import sqlalchemy as sa

from hub.core.recovery import MAX_STARTS, Recovery, Start, parse_recovery
from hub.store.schema import requests
from hub.store.settings import SettingRepository
from hub.store.sql import Statement

_STARTS: Final = "starts"
_RECOVERY: Final = "recovery"
_EPOCH: Final = "epoch"
COUNTED: Final = ("requests", "drafts")
"""Tables whose numbers people are told."""

_HIGHEST: Final = Statement(sa.select(sa.func.max(requests.c.number)))
_SQLITE_RAISE: Final = Statement(sa.text("UPDATE sqlite_sequence SET seq = :low WHERE name = :name AND seq < :low"))
_SQLITE_BEGIN: Final = Statement(
    sa.text(
        "INSERT INTO sqlite_sequence (name, seq) SELECT :name, :low "
        "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
    )
)
_POSTGRES_RAISE: Final = {
    name: Statement(
        sa.text(
            f"SELECT setval(pg_get_serial_sequence('{name}', 'number'), "  # noqa: S608 - the two names above
            f"greatest(:low, (SELECT coalesce(max(number), 0) FROM {name})))"
        )
    )
    for name in COUNTED
}


class TimelineRepository(SettingRepository):
    begun = 0
    """The epoch of the start that this transaction has added; 0 where it added none."""

    def epoch(self) -> int:
        """The epoch of the newest start; 0 before the first."""
        return int(self.get_meta(_EPOCH) or "0")

    def starts(self) -> list[Start]:
        """In their order, the newest last."""
        return [Start(*entry) for entry in json.loads(self.get_meta(_STARTS) or "[]")]

    def add_start(self, start: Start) -> None:
        self.begun = start.epoch
        self.put_meta(_EPOCH, str(start.epoch))
        self.put_meta(_STARTS, json.dumps([*self.starts(), start][-MAX_STARTS:]))

    def recovery(self) -> Recovery | None:
        """The last one, under way or over; None where this store was never restored."""
        return parse_recovery(self.get_meta(_RECOVERY))

    def save_recovery(self, recovery: Recovery) -> None:
        self.put_meta(_RECOVERY, recovery.to_json())

    def highest_number(self) -> int:
        """Of all requests; 0 before the first."""
        return int(self._db.value(_HIGHEST) or 0)

    def raise_numbers(self, number: int) -> None:
        """The next request and the next draft get this number, or a higher one."""
        low = number - 1
        for name in COUNTED:
            if self._db.is_postgres:
                self._db.value(_POSTGRES_RAISE[name], {"low": low})
            else:
                self._db.change(_SQLITE_RAISE, {"name": name, "low": low})
                self._db.change(_SQLITE_BEGIN, {"name": name, "low": low})
