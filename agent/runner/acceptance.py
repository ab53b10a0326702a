"""Whether an order that is genuine is accepted: not too old, allowed here, its program in order, and room for it; and
whether it may still start when its turn comes.
"""

from __future__ import annotations

from agent.runner.journal import JournalState
from agent.runner.limits import RunnerLimits
from agent.runner.local_policy import LocalPolicy
from agent.runner.mounts import SlowMounts
from agent.runner.preparation import Terms, check_program
from agent.runner.programs import CannotRun
from agent.runner.verify import OrderRefusal, Trust, check_order
from common.plan import Order


def check_acceptance(
    order: Order,
    trust: Trust,
    *,
    journal: JournalState,
    policy: LocalPolicy,
    limits: RunnerLimits,
    slow_mounts: SlowMounts,
    load: int,
    now: float,
) -> OrderRefusal | None:
    """None where it is. `load` is how many jobs have been accepted and have not ended; `now` is by the hub's clock."""
    refusal = check_order(
        order, trust, epoch=journal.epoch, fence=journal.fence, now=now, max_ahead=limits.max_expiry_ahead
    ) or policy.check(order, now)
    if refusal is not None:
        return refusal
    checks = policy.machine_checks(order)
    if isinstance(checks, OrderRefusal):
        return checks
    user = policy.user_of(order, checks)
    if isinstance(user, OrderRefusal):
        return user
    try:
        check_program(order, Terms(checks, user), slow_mounts)
    except CannotRun as error:
        return OrderRefusal("program", str(error))
    if load >= limits.max_accepted:
        return OrderRefusal("busy", f"this machine has {limits.max_accepted} jobs already")
    return None


def check_again(order: Order, policy: LocalPolicy, now: float) -> Terms | OrderRefusal:
    """Right before the start, for the rules may have changed since: on which terms, or why it is refused. What people
    signed for it is used up.
    """
    found = policy.check(order, now) or policy.use(order, now) or policy.machine_checks(order)
    if isinstance(found, OrderRefusal):
        return found
    user = policy.user_of(order, found)
    return user if isinstance(user, OrderRefusal) else Terms(found, user)
