"""`Txn`: everything that can be asked and changed inside one transaction, room by room."""

from __future__ import annotations

from hub.store.access import AccessRoom
from hub.store.boards import BoardRoom
from hub.store.claims import ClaimRoom
from hub.store.events import EventRoom
from hub.store.jobs import JobRoom
from hub.store.outbox import OutboxRoom
from hub.store.output import OutputRoom
from hub.store.papers import PaperRoom
from hub.store.people import PeopleRoom
from hub.store.requests import RequestRoom
from hub.store.switches import SwitchRoom
from hub.store.windows import WindowRoom


class Txn(
    RequestRoom,
    JobRoom,
    ClaimRoom,
    OutputRoom,
    OutboxRoom,
    PeopleRoom,
    AccessRoom,
    SwitchRoom,
    PaperRoom,
    WindowRoom,
    BoardRoom,
    EventRoom,
):
    """One unit's view of the store. It is good only inside the unit that was given it.

    Reading verbs give records or None; saving verbs raise Conflict where the row has moved on. A unit that raises has
    changed nothing.
    """
