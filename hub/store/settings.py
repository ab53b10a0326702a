"""Single values: the pause of the whole queue; named values of the hub itself (`meta`)."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from hub.store.base import Repository
from hub.store.schema import meta, switches
from hub.store.sql import Statement

_QUEUE: Final = {"name": "queue"}

_SWITCH: Final = Statement(
    sa.select(switches.c.by, switches.c.at, switches.c.reason).where(switches.c.name == sa.bindparam("name"))
)
_UNTIL: Final = Statement(sa.select(switches.c.until).where(switches.c.name == sa.bindparam("name")))
_SET: Final = Statement(
    switches.insert().values({name: sa.bindparam(name) for name in ("name", "by", "at", "reason", "until")}).inline(),
    " ON CONFLICT (name) DO UPDATE SET by = excluded.by, at = excluded.at, reason = excluded.reason, "
    "until = excluded.until",
)
_UNSET: Final = Statement(switches.delete().where(switches.c.name == sa.bindparam("name")))
_GET_META: Final = Statement(sa.select(meta.c.value).where(meta.c.key == sa.bindparam("key")))
_PUT_META: Final = Statement(
    meta.insert().values({name: sa.bindparam(name) for name in ("key", "value")}).inline(),
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
)


class SettingRepository(Repository):
    def queue_paused(self) -> tuple[str, float, str] | None:
        """By whom, since when, why; None where the queue runs."""
        row = self._db.row(_SWITCH, _QUEUE)
        return None if row is None else (row[0], row[1], row[2])

    def queue_paused_until(self) -> float | None:
        """When the pause ends by itself; None where a person must end it, or the queue is not paused."""
        until: float | None = self._db.value(_UNTIL, _QUEUE)
        return until

    def pause_queue(self, by: str, now: float, reason: str, until: float | None = None) -> None:
        self._db.change(_SET, {**_QUEUE, "by": by, "at": now, "reason": reason, "until": until})

    def resume_queue(self) -> None:
        self._db.change(_UNSET, _QUEUE)

    def get_meta(self, key: str) -> str | None:
        value: str | None = self._db.value(_GET_META, {"key": key})
        return value

    def put_meta(self, key: str, value: str) -> None:
        self._db.change(_PUT_META, {"key": key, "value": value})
