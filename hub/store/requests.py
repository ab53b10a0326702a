"""Queries and updates of requests and their approvals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from operator import attrgetter
from typing import Final

import sqlalchemy as sa

from common.approval_proof import ApprovalProof, BadProof, proofs_from_json, proofs_to_json
from common.lifecycle import RequestState
from common.plan import Plan, plan_from_json, plan_to_json
from hub.core.records import Approval, Request
from hub.store.base import Repository
from hub.store.errors import Conflict
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper, from_json, to_json
from hub.store.schema import REQUEST_OPEN, tombstones
from hub.store.schema import approvals as approval_table
from hub.store.schema import requests as table
from hub.store.sql import Statement


@lru_cache(maxsize=512)
def _load_plan(text: str | None) -> Plan | None:
    """Cached: plans are frozen, and each report of a job reads its plan again."""
    return None if text is None else plan_from_json(from_json(text))


@lru_cache(maxsize=512)
def _dump_plan(plan: Plan | None) -> str | None:
    return None if plan is None else to_json(plan_to_json(plan))


def _dump_proofs(proofs: tuple[ApprovalProof, ...]) -> str:
    return str(to_json(proofs_to_json(proofs)))


def _load_proofs(text: str) -> tuple[ApprovalProof, ...]:
    """None where the row holds anything else: an approval without a proof counts for nothing."""
    try:
        return proofs_from_json(from_json(text))
    except (BadProof, ValueError, RecursionError):
        return ()


REQUEST: Final = Mapper(
    Request,
    table,
    key="id",
    converters={"state": (attrgetter("value"), RequestState), "plan": (_dump_plan, _load_plan)},
    generated=("number",),
    unreadable={"plan": lambda text: None},  # as if there were none: the row's MAC does not fit then
)
APPROVAL: Final = Mapper(
    Approval, approval_table, key="request_id", converters={"proofs": (_dump_proofs, _load_proofs)}
)

_ADD: Final = Statement(REQUEST.insert, ON_CONFLICT_DO_NOTHING + " RETURNING number")
_BY_ID: Final = Statement(REQUEST.select.where(table.c.id == sa.bindparam("id")))
_BY_NUMBER: Final = Statement(REQUEST.select.where(table.c.number == sa.bindparam("number")))
_BY_EVENT: Final = Statement(
    sa.select(table.c.number).where(
        table.c.inlet == sa.bindparam("inlet"), table.c.event_id == sa.bindparam("event_id")
    )
)
_DELETED: Final = Statement(
    sa.select(sa.func.count())
    .select_from(tombstones)
    .where(
        sa.text("kind = 'event'"),
        tombstones.c.id == sa.bindparam("event_id"),
        tombstones.c.owner == sa.bindparam("inlet"),
    )
)
_REQUEST_BY_EVENT: Final = Statement(
    REQUEST.select.where(table.c.inlet == sa.bindparam("inlet"), table.c.event_id == sa.bindparam("event_id"))
)
_DUE: Final = Statement(
    REQUEST.select.where(sa.text("state = 'asking'"), REQUEST_OPEN, table.c.decide_by <= sa.bindparam("now"))
    .order_by(table.c.decide_by)
    .limit(sa.bindparam("limit"))
)
_RECEIVED: Final = Statement(REQUEST.select.where(sa.text("state = 'received'"), REQUEST_OPEN).order_by(table.c.number))
_COUNT: Final = Statement(sa.select(sa.func.count()).select_from(table).where(REQUEST_OPEN))
_COUNT_OF: Final = Statement(
    sa.select(sa.func.count()).select_from(table).where(REQUEST_OPEN, table.c.person == sa.bindparam("person"))
)
_ADD_APPROVAL: Final = Statement(APPROVAL.insert, ON_CONFLICT_DO_NOTHING)
_APPROVALS: Final = Statement(
    APPROVAL.select.where(approval_table.c.request_id == sa.bindparam("request_id")).order_by(
        approval_table.c.at, approval_table.c.person
    )
)


_LAST_IN: Final = Statement(
    REQUEST.select.where(table.c.inlet == sa.bindparam("inlet"), table.c.conversation == sa.bindparam("conversation"))
    .order_by(table.c.number.desc())
    .limit(1)
)


class RequestRepository(Repository):
    last_number = 0
    """The highest number that this transaction has given."""
    taken: tuple[str, str] | None = None
    """Inlet and event id of a message that this transaction takes, to be known outside the database too."""

    def add_request(self, request: Request) -> Request | None:
        """Adds a request and returns it with its number; None where (inlet, event_id) exists already or did before it
        was deleted, that is for a repeated delivery. Raises Conflict where the id belongs to another message.
        """
        request = replace(request, mac=self.rows.mac(request))
        row = self._db.row(_ADD, REQUEST.row(request))
        if row is not None:
            self.last_number = row[0]
            added = replace(request, number=row[0])
            if added.state is not RequestState.RECEIVED:  # whose MAC covers the number
                added = replace(added, mac=self.rows.mac(added))
                REQUEST.save(self._db, request, replace(added, number=request.number), ("state", "step"))
            return added
        event = {"inlet": request.inlet, "event_id": request.event_id}
        if self._db.row(_BY_EVENT, event) is None and not self._db.value(_DELETED, event):
            raise Conflict(f"request {request.id}: this id is there already, for another message")
        return None

    def request(self, id: str) -> Request | None:  # noqa: A002 - the record's word
        row = self._db.row(_BY_ID, {"id": id})
        return None if row is None else REQUEST.from_row(row)

    def request_by_event(self, inlet: str, event_id: str) -> Request | None:
        """The request of a chat's message."""
        row = self._db.row(_REQUEST_BY_EVENT, {"inlet": inlet, "event_id": event_id})
        return None if row is None else REQUEST.from_row(row)

    def request_by_number(self, number: int) -> Request | None:
        if not 0 < number < 2**63:
            return None
        row = self._db.row(_BY_NUMBER, {"number": number})
        return None if row is None else REQUEST.from_row(row)

    def save_request(self, before: Request, after: Request) -> Request:
        """Updates the fields that differ; raises Conflict where the row's state or step is not as in `before`. Returns
        `after` as it is stored.
        """
        saved = self._with_mac(before, after, self.request)
        REQUEST.save(self._db, before, saved, ("state", "step"))
        return saved

    def requests(
        self,
        states: Collection[RequestState] | None = None,
        person: str | None = None,
        limit: int = 100,
        before_number: int | None = None,
    ) -> list[Request]:
        """Newest first."""
        query = REQUEST.select.order_by(table.c.number.desc()).limit(limit)
        if states is not None:
            query = query.where(table.c.state.in_([state.value for state in states]))
        if person is not None:
            query = query.where(table.c.person == person)
        if before_number is not None:
            query = query.where(table.c.number < before_number)
        return REQUEST.from_rows(self._db.select(query))

    def last_request_in(self, inlet: str, conversation: str) -> Request | None:
        """The newest of a conversation."""
        row = self._db.row(_LAST_IN, {"inlet": inlet, "conversation": conversation})
        return None if row is None else REQUEST.from_row(row)

    def due_requests(self, now: float, limit: int = 1000) -> list[Request]:
        """Requests past their decide_by, the longest overdue first."""
        return REQUEST.from_rows(self._db.rows(_DUE, {"now": now, "limit": limit}))

    def received_requests(self) -> list[Request]:
        """Requests not planned yet, oldest first; they are planned again after a restart."""
        return REQUEST.from_rows(self._db.rows(_RECEIVED))

    def count_open_requests(self, person: str | None = None) -> int:
        value = self._db.value(_COUNT) if person is None else self._db.value(_COUNT_OF, {"person": person})
        return int(value)

    def add_approval(self, approval: Approval) -> None:
        """Adds a person's yes or no to a request; raises Conflict where that person has decided already."""
        if self._db.change(_ADD_APPROVAL, APPROVAL.row(approval)) != 1:
            raise Conflict(f"request {approval.request_id}: {approval.person} has decided already")

    def approvals(self, request_id: str) -> list[Approval]:
        """In the order they were given."""
        return APPROVAL.from_rows(self._db.rows(_APPROVALS, {"request_id": request_id}))
