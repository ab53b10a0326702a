"""`Txn`: all repositories of the store on one transaction."""

from __future__ import annotations

from hub.store.archived import ArchiveRepository
from hub.store.claims import ClaimRepository
from hub.store.conversion import ConversionRepository
from hub.store.credentials import CredentialRepository
from hub.store.events import AuditRepository
from hub.store.key_changes import KeyChangeRepository
from hub.store.lists import ListRepository
from hub.store.outbox import OutboxRepository
from hub.store.output import OutputRepository
from hub.store.overview import OverviewRepository
from hub.store.passkeys import PasskeyRepository
from hub.store.people import PeopleRepository
from hub.store.requests import RequestRepository
from hub.store.retention import RetentionRepository
from hub.store.sealed import SealedRepository
from hub.store.sealing_keys import SealingKeyRepository
from hub.store.standing import StandingRepository
from hub.store.timeline import TimelineRepository


class Txn(
    RequestRepository,
    ClaimRepository,
    OutputRepository,
    OutboxRepository,
    RetentionRepository,
    PeopleRepository,
    CredentialRepository,
    PasskeyRepository,
    TimelineRepository,
    SealedRepository,
    StandingRepository,
    KeyChangeRepository,
    SealingKeyRepository,
    ConversionRepository,
    ListRepository,
    OverviewRepository,
    ArchiveRepository,
    AuditRepository,
):
    """What a unit of work reads and writes with; valid only inside that unit.

    Reading methods return records or None; saving methods raise Conflict where the row has changed since it was read. A
    unit that raises has changed nothing.
    """
