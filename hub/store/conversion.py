"""Rows from before the store was sealed are sealed a few at a time, beside the load.

Every value that is written is sealed, so what is left is in rows of before: each table is gone through once, by its
key. How far is kept in `meta`, in the transaction that sealed the rows, so a hub that was killed goes on there. When
the last table is done the file still has pages with what the values were before; `Store.clean_pages` rids it of those.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from hub.store.schema import approvals, drafts, events, jobs, outbox, output, requests
from hub.store.sealed_columns import SEALED_COLUMNS, Field, is_plain_event, layout_of, place_of
from hub.store.settings import SettingRepository
from hub.store.sql import Row, Statement

MAX_BYTES: Final = 1024 * 1024
"""Of values that one step seals, about."""
DONE: Final = "done"
_META: Final = "sealing:"
PAGES: Final = "sealing:pages"
"""`meta`: the pages of before have been cleaned, too."""


class OldRows:
    """How one table is gone through."""

    def __init__(self, table: sa.Table, *key: sa.Column[Any]) -> None:
        self.name: Final = table.name
        sealed = [column for column in table.columns if column in SEALED_COLUMNS]
        bound = [row for column in sealed for row in SEALED_COLUMNS[column].row]
        kind = [events.c.kind] if table is events else []
        columns = list(dict.fromkeys([*key, *sealed, *bound, *kind]))
        after = sa.tuple_(*key) > sa.tuple_(
            *(sa.bindparam(f"after_{at}", type_=col.type) for at, col in enumerate(key))
        )
        query = sa.select(*columns).order_by(*key).limit(sa.bindparam("n"))
        self.first: Final = Statement(query, as_stored=True)
        self.next: Final = Statement(query.where(after), as_stored=True)
        self.width: Final = len(key)
        self.fields: Final[dict[str, Field]] = {
            column.name: field
            for column in sealed
            for field in layout_of(query, {}).reads
            if columns[field.at] is column
        }
        named = [column == sa.bindparam(f"key_{at}") for at, column in enumerate(key)]
        self.updates: Final = {
            name: Statement(table.update().where(*named).values({name: sa.bindparam("sealed")}), as_stored=True)
            for name in self.fields
        }


OLD_ROWS: Final = (
    OldRows(requests, requests.c.number),
    OldRows(jobs, jobs.c.id),
    OldRows(output, output.c.job_id, output.c.seq),
    OldRows(approvals, approvals.c.request_id, approvals.c.person),
    OldRows(outbox, outbox.c.id),
    OldRows(drafts, drafts.c.number),
    OldRows(events, events.c.seq),
)


class ConversionStep(NamedTuple):
    """`table` is "" where nothing is left."""

    table: str
    rows: int  # looked at
    sealed: int  # values


class ConversionRepository(SettingRepository):
    def seal_old_rows(self, limit: int = 200) -> ConversionStep:
        """Looks at up to `limit` rows of before and seals what is plain in them. Call until `table` is ""."""
        for old in OLD_ROWS:
            if self.get_meta(_META + old.name) != DONE:
                return self._step(old, limit)
        return ConversionStep("", 0, 0)

    def unsealed_tables(self) -> list[str]:
        """The tables that may have plain values of before."""
        return [old.name for old in OLD_ROWS if self.get_meta(_META + old.name) != DONE]

    def pages_clean(self) -> bool:
        return self.get_meta(PAGES) == DONE

    def _step(self, old: OldRows, limit: int) -> ConversionStep:
        reached = self.get_meta(_META + old.name)
        after = {f"after_{at}": value for at, value in enumerate(json.loads(reached))} if reached else {}
        rows = self._db.rows(old.next if reached else old.first, {**after, "n": limit})
        looked, sealed, size = 0, 0, 0
        for row in rows:
            for name, field in old.fields.items():
                value = row[field.at]
                if self._is_plain(field, value, row):
                    self._seal(old, name, field, row)
                    sealed += 1
                    size += len(value)
            looked += 1
            if size >= MAX_BYTES:
                break
        end = looked == len(rows) < limit
        where = DONE if end else json.dumps(list(rows[looked - 1][: old.width]))
        self.put_meta(_META + old.name, where)
        return ConversionStep(old.name, looked, sealed)

    def _is_plain(self, field: Field, value: Any, row: Row) -> bool:
        if not value or self._db.cipher is None:
            return False
        if field.kind_at is not None and is_plain_event(row[field.kind_at], value):
            return False
        key = self._db.cipher.key_of(value)
        return key is None or not self._db.has_data_key(key)  # a text of before may look as if it were sealed

    def _seal(self, old: OldRows, name: str, field: Field, row: Row) -> None:
        cipher = self._db.cipher
        assert cipher is not None  # noqa: S101 - nothing is plain otherwise
        place, value = place_of(field, row), row[field.at]
        sealed = cipher.seal_bytes(value, place) if field.binary else cipher.seal_text(value, place)
        keys = {f"key_{at}": row[at] for at in range(old.width)}
        self._db.change(old.updates[name], {**keys, "sealed": sealed})
