"""The engine, put together: every way into a unit of work, as the rooms above it are given it.

intake         webhooks and the operators' own requests
agent_events   what agents report
dispatcher     jobs for a link with room
recovery       whether the store is a restored backup, and what follows
units          everything else: people's actions and what time brings
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TypeVar

from common.identity.certificates import Identity
from common.identity.sealing import Sealer
from common.identity.signing import SigningKey
from common.link.lineage import Lineage
from common.link.messages import MIN_PROTOCOL, PROTOCOL, Confirm, Dispatch, Heartbeat, Hello, Message, Refuse, Renew
from hub.chat.compose import ReplyComposer
from hub.chat.confirm_links import ConfirmLinks
from hub.chat.inlets import Inlet
from hub.chat.passkey_links import PasskeyLinks
from hub.config import HubConfig
from hub.core.dispatch import ISSUED_PROTOCOL
from hub.core.echo_guard import EchoGuard
from hub.core.outcome import PlanningOutcome
from hub.core.records import Agent, Request
from hub.engine.agent_events import AgentEvent, AgentEventHandler, AgentReplies
from hub.engine.chat_actions import ChatActions
from hub.engine.code_forms import CodeForms
from hub.engine.confirm import Confirmations
from hub.engine.dispatch import Dispatcher, Places
from hub.engine.effects import Effects, GivenStamp, Leased
from hub.engine.holders import after_lock, lock_holders, note_links, note_moved
from hub.engine.intake import Intake
from hub.engine.passkeys import Passkeys
from hub.engine.picture_records import FetchPictures
from hub.engine.recovery import RecoveryControl
from hub.engine.recovery_state import RecoveryState
from hub.engine.request_actions import RequestActions
from hub.engine.said_codes import SaidCodes
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.engine.wake import Wakes
from hub.identity.agents import AgentRegistry
from hub.identity.authorities import LiveAuthorities
from hub.identity.certificates import Entrance, NotTrusted, authenticate, renew, take_over
from hub.identity.marks import MarkSealer
from hub.identity.people import PeopleDirectory
from hub.metrics import Metrics
from hub.planning.service import PlanningService
from hub.store.store import Store
from hub.store.transaction import Txn

T = TypeVar("T")


class Engine:
    def __init__(
        self,
        *,
        store: Store,
        units: UnitOfWorkRunner,
        fleet: AgentRegistry,
        people: PeopleDirectory,
        planning_service: PlanningService,
        sealer: Sealer,
        composer: ReplyComposer,
        actions: RequestActions,
        authorities: LiveAuthorities,
        job_key: SigningKey,
        epoch: int,
        echo_guard: EchoGuard,
        config: HubConfig,
        metrics: Metrics,
        clock: Callable[[], float],
        wall: Callable[[], float] | None = None,
        recovery: RecoveryState | None = None,
        inlets: Mapping[str, Inlet] = MappingProxyType({}),
        fetch_pictures: FetchPictures | None = None,
    ) -> None:
        """Without `fetch_pictures` no picture is fetched that a message only names."""
        self._config = config
        self.units = units
        self.recovery_state = recovery or RecoveryState()
        self.recovery = RecoveryControl(self.recovery_state, store, units, epoch, clock, self._set_epoch)
        self.marks = MarkSealer(job_key)
        self.on_epoch: Callable[[int], None] = lambda epoch: None  # the links', once there are any
        self._store = store
        self.confirm_links = ConfirmLinks()
        self.confirmations = Confirmations(
            store=store,
            units=units,
            actions=actions,
            links=self.confirm_links,
            public_url=lambda: self._config.http.public_url,
            inlet_of=inlets.get,
        )
        self.passkey_links = PasskeyLinks()
        self.passkeys = Passkeys(
            store=store,
            units=units,
            links=self.passkey_links,
            public_url=lambda: self._config.http.public_url,
            hub_id=authorities.now.hub,
        )
        self.code_forms = CodeForms(store=store, units=units, actions=actions, people=people, clock=clock)
        self.wakes = Wakes(units, fleet, composer, clock)
        self.dispatcher = Dispatcher(units, job_key, epoch, actions.standing, lambda: store.room.read_only)
        self.places = Places()
        self.intake = Intake(
            store=store,
            units=units,
            people=people,
            fleet=fleet,
            planning_service=planning_service,
            sealer=sealer,
            composer=composer,
            chat_actions=ChatActions(actions, composer, self.confirmations, self.wakes),
            said_codes=SaidCodes(sealer, inlets.get, lambda: self._config.http.public_url),
            echo_guard=echo_guard,
            config=config,
            metrics=metrics,
            clock=clock,
            wall=wall or clock,
            recovery=self.recovery_state,
            fetch_pictures=fetch_pictures,
            standing=actions.standing,
            dispatcher=self.dispatcher,
            places=self.places,
        )
        self.agent_events = AgentEventHandler(units, fleet, clock)
        self.standing = actions.standing
        self._authorities = authorities

    @property
    def epoch(self) -> int:
        return self.recovery.epoch

    def _set_epoch(self, epoch: int) -> None:
        self.dispatcher.epoch = epoch
        self.on_epoch(epoch)

    async def take_up(self, epoch: int) -> None:
        """The store has begun with this epoch only now: it had no room before."""
        self.recovery.take_up(epoch)
        self._set_epoch(epoch)
        await self.recovery.load()

    def sealed_mark(self) -> str:
        """How far the hub has come, as machines are told it; "" before it serves its store."""
        mark = self._store.mark()
        return "" if mark is None else self.marks.seal(mark)

    async def run(self) -> None:
        """Plans what was accepted, until cancelled."""
        await self.intake.run()

    # ---- units of work

    async def write(self, unit: Callable[[UnitOfWork], T]) -> T:
        return await self.units.write(unit)

    def publish(self, effects: Effects) -> None:
        """Publishes effects that no commit of this process has: what another process, or time, has changed."""
        self.units.publish(effects)

    # ---- for the operators' API

    def apply_outcome(self, uow: UnitOfWork, request: Request, outcome: PlanningOutcome) -> None:
        self.intake.apply_outcome(uow, request, outcome)

    def count_planning(self) -> int:
        """How many messages are being planned now."""
        return self.intake.count_planning()

    # ---- for agents' links

    async def hear(self, hello: Hello, machine: str) -> bool:
        """What a machine has heard before; True where this store does not know that hub's work. Where it proves that
        the store was restored from a backup, the recovery has begun when this returns.
        """
        return await self.recovery.hear(self.marks.open(hello.heard), hello.epoch, machine)

    async def admit(self, identity: Identity, now: float) -> None:
        """Raises NotTrusted where a certificate that TLS has verified is not valid here."""
        try:
            await self._store.read(lambda txn: authenticate(txn, identity, now))
        except NotTrusted as error:
            record = self.recovery_state.record
            if record is None or error.code != "unknown":
                raise
            await self._store.write(lambda txn: take_over(txn, identity, record, now))

    async def lock_copied(self, name: str) -> Refuse:
        """Locks a machine of which there are two; every link of that name ends."""
        return await self.units.write(lambda uow: lock_holders(uow, name))

    async def let_in(
        self,
        identity: Identity,
        now: float,
        told: Lineage | None,
        estranged: bool,
        note: Callable[[Txn, Agent], Agent] | None,
    ) -> tuple[Refuse | None, Agent | None]:
        """`admit` for a machine that opens a link, of which it may tell: the refusal where there are two of that name,
        which is locked then; else its row as `note` has written it. All of it in one transaction.
        """
        name = identity.name

        def unit(uow: UnitOfWork) -> tuple[Refuse | None, Agent | None]:
            try:
                authenticate(uow.txn, identity, now)
            except NotTrusted as error:
                record = self.recovery_state.record
                if record is None or error.code != "unknown":
                    raise
                take_over(uow.txn, identity, record, now)
            if told is not None:
                uow.count_rows_of(name, self.agent_events.rows)
                refusal = note_links(uow, name, told, estranged)
                if refusal is not None:
                    return refusal, None
            row = uow.txn.agent(name)
            return None, note(uow.txn, row) if note is not None and row is not None else None

        return await self.units.write(unit)

    async def note_moved(self, name: str, facts: Mapping[str, str]) -> None:
        """A copy of the machine's state folder was started elsewhere, and serves nothing."""
        await self.units.write(lambda uow: note_moved(uow, name, facts))

    async def handle_agent_events(
        self,
        agent: str,
        events: Sequence[AgentEvent],
        estranged: bool = False,
        life: str = "",
        protocol: int = MIN_PROTOCOL,
        sent: Collection[str] = (),
    ) -> AgentReplies:
        """`estranged`: the machine has heard a hub whose work this store does not know."""
        return await self.agent_events.handle(agent, events, estranged, life, protocol, sent)

    def heartbeat(self, agent: str, beat: Heartbeat, now: float, round_trip: float | None = None) -> None:
        self.agent_events.heartbeat(agent, beat, now, round_trip)

    async def dispatch(
        self,
        agent: str,
        journal: str,
        limit: int,
        protocol: int = PROTOCOL,
        life: str = "",
        stamp: GivenStamp | None = None,
    ) -> list[tuple[Dispatch, str]]:
        return await self.dispatcher.dispatch(agent, journal, limit, protocol, life, stamp)

    def sign(self, leased: Leased) -> list[tuple[Dispatch, str]]:
        return self.dispatcher.sign(leased)

    async def take_back(self, leased: Leased) -> None:
        await self.dispatcher.take_back(leased)

    def confirm(self, job: str, life: str, left: float, protocol: int) -> Confirm:
        """`protocol` is the one whose orders the runner takes."""
        return self.dispatcher.confirm(job, life, left) if protocol >= ISSUED_PROTOCOL else Confirm(job)

    async def renew(self, identity: Identity, message: Renew, entrance: Entrance = "link") -> Message:
        """The next certificate. A request for one that gives a copy away ends every link of that name."""
        grace = self._config.links.grace(identity.kind)

        def unit(uow: UnitOfWork) -> Message:
            record = self.recovery_state.record
            if record is not None and uow.txn.credential(identity.fingerprint) is None:
                with suppress(NotTrusted):  # which `renew` then says in its own words
                    take_over(uow.txn, identity, record, uow.wall)
            before = uow.txn.agent(identity.name)
            answer = renew(uow.txn, self._authorities.now, identity, message, uow.wall, grace=grace, entrance=entrance)
            if isinstance(answer, Refuse) and answer.code == "locked":
                uow.effects.locked.add(identity.name)
                if before is not None and before.state == "active":
                    after_lock(uow, identity.name)
            return answer

        answer, effects = await self.units.commit(unit)
        if effects.locked:
            self.units.publish(effects)
        return answer
