"""Policy with a person bound to it, as plans are judged by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from common.plan import Step
from common.policy import Policy, Verdict, check


def checker(
    policy: Policy, roles: Collection[str], labels: Callable[[str], Mapping[str, str]], tainted: bool
) -> Callable[[Step, str], Verdict]:
    """What `policy` says to a step on a machine, for whoever has these roles; `labels` are those of a machine."""

    def of(step: Step, target: str) -> Verdict:
        return check(
            policy,
            step.argv,
            roles=roles,
            agent=target,
            labels=labels(target),
            cwd=step.cwd,
            env=step.env,
            tainted=tainted,
        )

    return of
