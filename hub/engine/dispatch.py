"""Dispatch: queued jobs of a machine leased, checked once more, and signed as orders for its agent.

There are two ways to it. A link with room asks for what is queued (`dispatch`), in a transaction of its own. And a unit
that queues jobs leases them at once, where the links of their machines hold a place for it (`lease_in`): then what a
message asks for is accepted, planned and leased in one commit. Both lease in the same order, the queue's, and by the
same code: who stands before in the queue is handed out first. What was leased has to be sent; where it cannot be, since
its session is over and another one may be there already, it goes back into the queue (`take_back`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.confirmation import confirmation
from common.identity.signing import CONFIRM_PURPOSE, ORDER_PURPOSE, SigningKey
from common.lifecycle import JobState
from common.link.messages import PROTOCOL, Confirm, Dispatch
from common.plan import Order, Plan
from hub.core.dispatch import decide_dispatch, order_for_protocol
from hub.core.job import Release, Withhold
from hub.core.records import Job, Request
from hub.core.redelivery import may_take
from hub.engine.effects import GivenStamp, Leased, Place
from hub.engine.standing_approvals import StandingApprovals
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.store.lanes import Lane

HUB: Final = "hub"
MAX_PLACES: Final = 4
"""Machines whose jobs one unit leases besides; what is for more of them their links fetch, each in its own time."""


class Places:
    """The places that links hold for units; set by the links, once there are any."""

    def __init__(self) -> None:
        self.hold: Callable[[str], Place | None] = lambda agent: None
        self.free: Callable[[Place], None] = lambda place: None

    def hold_for(self, plan: Plan) -> list[Place]:
        """Places for the plan's first step; none where it is for many machines."""
        targets = plan.steps[0].targets if plan.steps else ()
        if len(targets) > MAX_PLACES:
            return []
        return [place for place in map(self.hold, targets) if place is not None]

    def free_all(self, places: Iterable[Place]) -> None:
        for place in places:
            self.free(place)


class Dispatcher:
    """`epoch` is this hub's: an order of an earlier one is not started any more."""

    def __init__(
        self,
        units: UnitOfWorkRunner,
        job_key: SigningKey,
        epoch: int,
        standing: StandingApprovals,
        read_only: Callable[[], bool] = lambda: False,
    ) -> None:
        """`read_only`: the store's disk is full, and what is handed out might end where nobody can write it."""
        self._read_only = read_only
        self._standing = standing
        self._units = units
        self._job_key = job_key
        self.epoch = epoch

    async def dispatch(
        self,
        agent: str,
        journal: str,
        limit: int,
        protocol: int = PROTOCOL,
        life: str = "",
        stamp: GivenStamp | None = None,
    ) -> list[tuple[Dispatch, str]]:
        """Up to `limit` signed orders for the machine, each with its job's id; what may not run any more is withheld.
        `journal` and `life` are its runner's, as it reported them: one with a life waits for our word, which goes with
        the order where the runner has given a stamp. `protocol` is the one whose orders its runner takes.
        """
        if self._read_only():
            return []
        stamp = stamp if life else None
        orders = await self._units.write(
            lambda uow: self._lease_orders(uow, agent, journal, limit, protocol, life, stamp), Lane.JOBS
        )
        return self._signed(orders, protocol, life, stamp)

    def lease_in(self, uow: UnitOfWork, places: Sequence[Place]) -> None:
        """Leases jobs that this unit has queued, one for each of these places. A machine that has no more waiting needs
        no wake-up afterwards.
        """
        for place in places:
            if place.agent not in uow.effects.wake:
                continue  # the unit has nothing for it
            orders = self._lease_orders(uow, place.agent, place.journal, 1, place.protocol, place.life, place.stamp)
            if orders:
                uow.effects.leased.append(Leased(place, orders))
            if not uow.txn.has_claimable(place.agent, uow.now):
                uow.effects.wake.discard(place.agent)

    def sign(self, leased: Leased) -> list[tuple[Dispatch, str]]:
        """What `lease_in` leased for a machine, signed, each with its job's id."""
        return self._signed(leased.orders, leased.place.protocol, leased.place.life, leased.place.stamp)

    async def take_back(self, leased: Leased) -> None:
        """Puts what was leased and not sent back into the queue; what moved on meanwhile stays as it is."""

        def unit(uow: UnitOfWork) -> None:
            for order in leased.orders:
                job = uow.txn.job(order.job)
                if (
                    job is not None
                    and job.state is JobState.LEASED
                    and (job.epoch, job.life)
                    == (
                        order.epoch,
                        leased.place.life,
                    )
                ):
                    uow.apply_job_event(job, Release(), HUB)
                    uow.effects.wake.add(job.agent)

        await self._units.write(unit, Lane.JOBS)

    def _signed(
        self, orders: Sequence[Order], protocol: int, life: str, stamp: GivenStamp | None
    ) -> list[tuple[Dispatch, str]]:
        return [(self._sign(order_for_protocol(order, protocol), life, stamp), order.job) for order in orders]

    def confirm(self, job: str, life: str, left: float) -> Confirm:
        """The word for the runner of that life that the job may start within `left` seconds of its acceptance."""
        signature = self._job_key.sign(CONFIRM_PURPOSE, confirmation(job, life, left))
        return Confirm(job, left, self._job_key.id, signature)

    def _lease_orders(
        self,
        uow: UnitOfWork,
        agent: str,
        journal: str,
        limit: int,
        protocol: int,
        life: str,
        stamp: GivenStamp | None,
    ) -> list[Order]:
        if uow.world.recovering or self._read_only():
            return []
        row = uow.txn.agent(agent)
        if row is None or not row.takes_jobs or uow.txn.queue_paused() is not None:
            return []
        orders: list[Order] = []
        for job in uow.txn.claim_jobs(agent, limit, self.epoch, journal, uow.now, life, stamp.id if stamp else ""):
            decision = self._decide(uow, job, row.joined_at, journal, protocol)
            if isinstance(decision, Withhold):
                uow.apply_job_event(job, decision, HUB)
                uow.effects.wake.add(agent)  # there may be more behind it
                continue
            if decision.not_after < job.not_after:  # a rule's window ends before: for everybody who counts its life
                uow.txn.save_job(job, replace(job, not_after=decision.not_after))
            orders.append(replace(decision, issued_at=uow.now))
            uow.effects.changed.add(job.id)
            uow.effects.stages.append(("queue", uow.now - job.queued_at))
            data = {"agent": agent, "epoch": self.epoch, "plan_hash": job.plan_hash}
            uow.audit("job.dispatched", job.id, HUB, data)
        return orders

    def _decide(self, uow: UnitOfWork, job: Job, joined_at: float, journal: str, protocol: int) -> Order | Withhold:
        if not may_take(job, journal):
            return Withhold(str(Sentence("redelivery_elsewhere", {"agent": job.agent})))
        request = uow.txn.request(job.request_id)
        if (forged := _forged(uow, request, job)) is not None:
            return Withhold(str(forged))
        tainted = request is not None and request.plan is not None and request.plan.tainted
        approvals = uow.txn.approvals(request.id) if request is not None and request.approvers else []
        return decide_dispatch(
            request,
            job,
            approvals,
            joined_at=joined_at,
            check=uow.world.checker(job.person, tainted, uow.now),
            prover=uow.prover,
            roles_of=uow.roles_now,
            withdrawn=lambda approval: self._standing.withdrawn(uow, approval),
            now=uow.now,
            epoch=self.epoch,
            protocol=protocol,
        )

    def _sign(self, order: Order, life: str, stamp: GivenStamp | None) -> Dispatch:
        data = order.to_bytes()
        signature = self._job_key.sign(ORDER_PURPOSE, data)
        if stamp is None:
            return Dispatch(data, signature, self._job_key.id)
        left = order.not_after - stamp.at
        word = self._job_key.sign(CONFIRM_PURPOSE, confirmation(order.job, life, left, stamp.id))
        return Dispatch(data, signature, self._job_key.id, stamp.id, left, word)


def _forged(uow: UnitOfWork, request: Request | None, job: Job) -> Sentence | None:
    """Why a job is none of this hub's making: its row, its request's, or a machine that its step does not name."""
    if request is None:
        return None  # which is another reason
    if not uow.is_authentic(job):
        return Sentence("row_forged", {"what": f"job {job.id}"})
    if not uow.is_authentic(request):
        return Sentence("row_forged", {"what": f"r{request.number}"})
    return None
