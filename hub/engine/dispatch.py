"""Dispatch: queued jobs of a machine leased, checked once more, and signed as orders for its agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.confirmation import confirmation
from common.identity.signing import CONFIRM_PURPOSE, ORDER_PURPOSE, SigningKey
from common.link.messages import PROTOCOL, Confirm, Dispatch
from common.plan import Order
from hub.core.dispatch import decide_dispatch, order_for_protocol
from hub.core.job import Withhold
from hub.core.records import Job, Request
from hub.core.redelivery import may_take
from hub.engine.standing_approvals import StandingApprovals
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner

HUB: Final = "hub"


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
        self, agent: str, journal: str, limit: int, protocol: int = PROTOCOL, life: str = ""
    ) -> list[tuple[Dispatch, str]]:
        """Up to `limit` signed orders for the machine, each with its job's id; what may not run any more is withheld.
        `journal` and `life` are its runner's, as it reported them: one with a life waits for our confirmation.
        `protocol` is the one whose orders its runner takes.
        """
        if self._read_only():
            return []
        orders = await self._units.write(lambda uow: self._lease_orders(uow, agent, journal, limit, protocol, life))
        return [(self._sign(order_for_protocol(order, protocol)), order.job) for order in orders]

    def confirm(self, job: str, life: str, left: float) -> Confirm:
        """The word for the runner of that life that the job may start within `left` seconds of its acceptance."""
        signature = self._job_key.sign(CONFIRM_PURPOSE, confirmation(job, life, left))
        return Confirm(job, left, self._job_key.id, signature)

    def _lease_orders(
        self, uow: UnitOfWork, agent: str, journal: str, limit: int, protocol: int, life: str
    ) -> list[Order]:
        if uow.world.recovering or self._read_only():
            return []
        row = uow.txn.agent(agent)
        if row is None or not row.takes_jobs or uow.txn.queue_paused() is not None:
            return []
        orders: list[Order] = []
        for job in uow.txn.claim_jobs(agent, limit, self.epoch, journal, uow.now, life):
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

    def _sign(self, order: Order) -> Dispatch:
        data = order.to_bytes()
        return Dispatch(data, self._job_key.sign(ORDER_PURPOSE, data), self._job_key.id)


def _forged(uow: UnitOfWork, request: Request | None, job: Job) -> Sentence | None:
    """Why a job is none of this hub's making: its row, its request's, or a machine that its step does not name."""
    if request is None:
        return None  # which is another reason
    if not uow.is_authentic(job):
        return Sentence("row_forged", {"what": f"job {job.id}"})
    if not uow.is_authentic(request):
        return Sentence("row_forged", {"what": f"r{request.number}"})
    return None
