"""Which columns are kept sealed, what of its row each value is bound to, and where a statement reads and writes them.

Everything that people and machines said is sealed: messages, plans and their argument vectors, commands, output,
replies, reasons, proposed runbooks, and those audit rows that quote any of it. What filters, queues, deadlines and the
chain itself need stays plain: ids, names, states, times, numbers, digests (docs/at-rest.md).

A value is bound to its table, its column and the `row` columns here: sealed for one place it opens at no other. They
must be known when a row is inserted, so a reply, whose id the database gives, is bound to its request, inlet, kind,
moment and address. An empty text stays empty: that there is none is no secret, and nothing is spent on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from hub.store.schema import approvals, drafts, events, jobs, outbox, output, requests, standing_approvals

PLAIN_KINDS: Final = frozenset(
    {
        "agent.reported", "credential.renewed", "hub.created", "hub.restored", "hub.started", "hub.stopped",
        "job.accepted", "job.dispatched", "job.ended", "job.released", "job.started",
        "jobs.queued", "request.answered", "request.ended", "request.received",
    }
)  # fmt: skip
"""Audit rows of ids, numbers and digests alone, unless they give a reason. Any other kind is sealed, so that a new one
need not be thought of.
"""
_WORDS: Final = ('"reason":', '"notes":')
UPDATE_KEY: Final = "key"
"""The parameter that names the row of an UPDATE (`hub.store.mapping`)."""


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column whose values are sealed. `row` are the columns of its row that a value is bound to."""

    column: sa.Column[Any]
    row: tuple[sa.Column[Any], ...]

    @property
    def prefix(self) -> str:
        return f"{self.column.table.name}|{self.column.name}|"

    @property
    def binary(self) -> bool:
        return isinstance(self.column.type, sa.LargeBinary)


def _listed() -> dict[sa.Column[Any], SealedColumn]:
    reply = (outbox.c.request_id, outbox.c.inlet, outbox.c.kind, outbox.c.created_at, outbox.c.url)
    standing = tuple(standing_approvals.c[name] for name in ("request_id", "granted_at"))  # its MAC has the rest
    listed = (
        (standing_approvals.c.command, standing),
        *((requests.c[name], (requests.c.id,)) for name in ("text", "plan", "reason")),
        *((jobs.c[name], (jobs.c.id,)) for name in ("command", "reason", "notes")),
        (output.c.data, (output.c.job_id, output.c.seq)),
        (approvals.c.reason, (approvals.c.request_id, approvals.c.person)),
        (outbox.c.body, reply),
        (drafts.c.body, (drafts.c.request_id, drafts.c.by, drafts.c.at)),
        (events.c.data, (events.c.seq,)),
    )
    return {column: SealedColumn(column, row) for column, row in listed}


SEALED_COLUMNS: Final[Mapping[sa.Column[Any], SealedColumn]] = _listed()
EVENT_DATA: Final = SEALED_COLUMNS[events.c.data].prefix


class Field(NamedTuple):
    """A sealed value in the rows or the parameters of a statement: where it is, and where what it is bound to is."""

    at: Any  # index in a row, or name of a parameter
    prefix: str
    row: tuple[tuple[Any, bool], ...]  # where, and whether it is a moment
    binary: bool
    kind_at: Any = None  # of an audit row: where its kind is


class Layout(NamedTuple):
    reads: tuple[Field, ...]
    writes: tuple[Field, ...]


NOTHING: Final = Layout((), ())


def layout_of(core: Any, params: Mapping[str, Any]) -> Layout:
    """Where a statement reads and writes sealed columns; `params` are its compiled parameters. Raises ValueError where
    a value's row is not among its columns or parameters: it could not be opened, or would be written as it is.
    """
    if isinstance(core, sa.Select):
        return Layout(_reads(core), ())
    if isinstance(core, sa.Insert):
        names = {column: column.name for column in core.table.columns}
        return Layout((), _writes(core.table, names, params))
    if isinstance(core, sa.Update):
        return Layout((), _writes(core.table, {}, params))
    return NOTHING


def _reads(core: sa.Select[Any]) -> tuple[Field, ...]:
    places: dict[sa.Column[Any], int] = {}
    for index, selected in enumerate(core.selected_columns):
        for base in getattr(selected, "base_columns", ()):
            if isinstance(base, sa.Column):
                places.setdefault(base, index)
    return tuple(_field(SEALED_COLUMNS[column], places) for column in places if column in SEALED_COLUMNS)


def _writes(table: Any, names: Mapping[Any, str], params: Mapping[str, Any]) -> tuple[Field, ...]:
    fields = []
    for column in table.columns:
        sealed = SEALED_COLUMNS.get(column)
        if sealed is not None and column.name in params:
            known = names or {each: UPDATE_KEY for each in sealed.row if len(sealed.row) == 1}
            fields.append(_field(sealed, {column: column.name, **known}))
    return tuple(fields)


def _field(sealed: SealedColumn, places: Mapping[Any, Any]) -> Field:
    lacking = [column.name for column in sealed.row if column not in places]
    if lacking:
        raise ValueError(f"{sealed.prefix}: a statement has the sealed value without {', '.join(lacking)} of its row")
    row = tuple((places[column], isinstance(column.type, sa.Double)) for column in sealed.row)
    kind = places.get(events.c.kind) if sealed.column is events.c.data else None
    return Field(places[sealed.column], sealed.prefix, row, sealed.binary, kind)


def is_plain_event(kind: str, data: str) -> bool:
    """Whether an audit row quotes nobody."""
    return kind in PLAIN_KINDS and not any(words in data for words in _WORDS)


def place_of(field: Field, values: Any) -> str:
    """What a value is bound to, in words: `table|column|row`. Only the last of a row may have a bar in it."""
    if len(field.row) == 1:
        return f"{field.prefix}{values[field.row[0][0]]}"
    return field.prefix + "|".join(repr(float(values[at])) if moment else str(values[at]) for at, moment in field.row)
