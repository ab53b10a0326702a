"""The hub's words that jobs may start, those that it gave ahead and those for an acceptance, and the hub's clock as the
last of them has shown it.
"""

from __future__ import annotations

import time

from agent import log
from agent.boot import since_boot
from agent.runner.jobs import RunnerJob
from agent.runner.order_life import on_confirmation
from agent.runner.stamps import Stamps
from agent.runner.verify import OrderRefusal, Trust, is_confirmed
from common.link.lineage import Lineage
from common.link.messages import Confirm, Dispatch


class Confirmations:
    def __init__(self) -> None:
        self.hub_ahead: float | None = None  # of the boot clock
        self.stamps = Stamps()

    def take_ahead(
        self, job: RunnerJob, message: Dispatch, trust: Trust | OrderRefusal, runner: Lineage | None
    ) -> bool:
        """The word that came with the order; False where there is none, or none that counts here: then the job waits
        for a confirmation. A job that was refused for a while starts by no word from before that: its order may be
        played once more while the hub has it in the queue.
        """
        made_at = self.stamps.made_at(message.stamp)
        if job.order is None or not job.order.issued_at or made_at is None or made_at <= job.refused_boot:
            return False
        word = Confirm(job.id, message.left, message.key, message.word)
        life = "" if runner is None else runner.id
        if isinstance(trust, OrderRefusal) or not is_confirmed(word, life, trust, message.stamp):
            log.warning("confirm.unauthentic", job=job.id)
            return False
        job.life = on_confirmation(
            job.life, message.left, time.time(), since_boot(), since=made_at, issued_at=job.order.issued_at
        )
        self.hub_ahead = job.life.hub_ahead
        return True

    def take(self, job: RunnerJob, message: Confirm, trust: Trust | OrderRefusal, runner: Lineage | None) -> bool:
        """What is left of the job's life, as the hub has signed it for this start of the runner; False where it has
        not. An order from before protocol 5 takes any word.
        """
        if job.order is None or not job.order.issued_at:
            return True
        if job.came_again and message.left > job.order.not_after - job.order.issued_at:
            log.warning("confirm.outdated", job=job.id)  # of the delivery before this one: its seconds count from there
            return False
        life = "" if runner is None else runner.id
        if isinstance(trust, OrderRefusal) or not is_confirmed(message, life, trust):
            log.warning("confirm.unauthentic", job=job.id)
            return False
        job.life = on_confirmation(job.life, message.left, time.time(), since_boot())
        self.hub_ahead = job.life.hub_ahead
        return True

    def hub_now(self) -> float:
        """The hub's clock; this machine's before any word has come."""
        return time.time() if self.hub_ahead is None else since_boot() + self.hub_ahead
