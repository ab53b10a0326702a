"""What a unit of work knows beside the store: policy, runbooks, people and machines as of one moment.

Units run in the store's writer thread while the event loop goes on changing the registries. Each unit therefore gets a
`WorldSnapshot`, taken in the event loop when the unit is made. It holds references to immutable parts that all units
share until one of them is replaced: taking it copies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from common.plan import Step
from common.policy.check import Policy, Verdict
from common.policy.rules import Idempotence
from hub.core.judgement import bind_policy
from hub.core.records import Request
from hub.core.who_may import needed_role, with_names
from hub.engine.recovery_state import RecoveryState
from hub.identity.agents import AgentRegistry, MachinesSnapshot
from hub.identity.people import PeopleDirectory, PeopleSnapshot
from hub.planning.chain import PlannerChain


@dataclass(frozen=True, slots=True)
class WorldSnapshot:
    policy: Policy
    chain: PlannerChain
    people: PeopleSnapshot
    machines: MachinesSnapshot
    recovering: bool = False  # the hub was restored from a backup and no admin has looked yet

    def checker(self, person: str, tainted: bool, now: float | None = None) -> Callable[[Step, str], Verdict]:
        """Policy of a moment bound to a person's roles and the machines' labels, for `hub.core.judgement.judge`. Where
        a role is wanting the reason says who has it. Without a moment: what is so at any time of the week.
        """
        check = bind_policy(self.policy, self.people.roles(person), self.machines.labels, tainted, now)

        def check_and_name(step: Step, target: str) -> Verdict:
            verdict = check(step, target)
            role = needed_role(verdict.reason) if verdict.kind == "deny" else ""
            return replace(verdict, reason=with_names(verdict.reason, self.people.holders(role))) if role else verdict

        return check_and_name

    def is_critical(self, request: Request) -> bool:
        """Whether a rule of the policy of now wants the approvals of this request's plan signed by the people, at
        whatever time of the week.
        """
        if request.plan is None:
            return False
        roles, tainted = self.people.roles(request.person), request.plan.tainted
        check = bind_policy(self.policy.widest, roles, self.machines.labels, tainted)
        return any(check(step, target).checks.persons for step in request.plan.steps for target in step.targets)

    def to_wake(self, request: Request, step: Step, targets: Sequence[str], now: float) -> list[str]:
        """Of these machines those that are woken for a step, by what the policy says now. Of a policy in which no rule
        says so none is asked about.
        """
        if request.plan is None or not any(rule.wake for rule in self.policy.rules):
            return []
        roles, tainted = self.people.roles(request.person), request.plan.tainted
        check = bind_policy(self.policy, roles, self.machines.labels, tainted, now)
        return [target for target in targets if check(step, target).wake]

    def idempotence(self, request: Request, step: Step, agent: str, now: float) -> Idempotence:
        """Whether a job of this step may be tried again by itself, by what the policy says now."""
        if request.plan is None or not any(rule.idempotent for rule in self.policy.rules):
            return ""
        roles, tainted = self.people.roles(request.person), request.plan.tainted
        verdict = bind_policy(self.policy, roles, self.machines.labels, tainted, now)(step, agent)
        return "" if verdict.kind == "deny" else verdict.idempotent


def snapshot_source(
    policy: Callable[[], Policy],
    chain: Callable[[], PlannerChain],
    people: PeopleDirectory,
    fleet: AgentRegistry,
    recovery: RecoveryState | None = None,
) -> Callable[[], WorldSnapshot]:
    """Takes a snapshot; for the event loop, which owns all of them."""
    state = recovery or RecoveryState()
    return lambda: WorldSnapshot(policy(), chain(), people.snapshot, fleet.snapshot, state.active)
