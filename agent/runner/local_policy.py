"""trust.json (whose orders this machine takes) and policy.toml (which ones), reloaded when they change.

The hub cannot overrule the local policy: `deny` refuses, `ask` requires as many proven approvals (`approvals`) in the
signed order as the rule says, and a rule that inserts options or variables requires them in the order. It judges
programs and not people: roles are the hub's, so every role counts as held. While a file cannot be read every order is
refused, with its name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from agent import log
from agent.approvers import ADD_HINT, Approvers, load_approvers
from agent.machine_policy import READ_ONLY, MachinePolicy, read_machine_policy
from agent.runner.approvals import count_approvals, count_own_approvals
from agent.runner.job_user import MAKE_HINT, JobUser, JobUsers
from agent.runner.used_approvals import UsedApprovals
from agent.runner.verify import BadTrust, OrderRefusal, Trust, parse_trust
from common.catalogue import Sentence
from common.errors import UserError
from common.link.messages import MAX_REASON
from common.plan import Order
from common.policy.check import DEFAULT_RULE, Policy, Verdict, check
from common.policy.machine_checks import MachineChecks, read_checks
from common.read_file import read_bytes
from common.roles import ROLES

T = TypeVar("T")


class LocalPolicy:
    """Both files, in the runner's folder; each method reloads its file where it has changed."""

    def __init__(self, folder: Path, users: JobUsers | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` is this machine's own: by it the windows of its rules hold, whatever the hub says the time is."""
        self.users = users or JobUsers.of("")
        self._clock = clock
        self._trust = _WatchedFile(folder / "trust.json", "signature", parse_trust)
        self._file = folder / "policy.toml"
        self._approvers = folder / "approvers.json"
        self._used = UsedApprovals(folder / "critical-started")
        self._policy = _WatchedFile(self._file, "policy", read_machine_policy)

    def reload(self) -> None:
        """Reads both files now, whether they changed or not; the log says what came of it."""
        for watched in (self._trust, self._policy):
            watched.reload()

    def problem(self) -> str:
        """Why every order is refused now, whatever it is; "" where it is not."""
        found = (watched.get() for watched in (self._trust, self._policy))
        return next((one.reason for one in found if isinstance(one, OrderRefusal)), "")

    def trust(self) -> Trust | OrderRefusal:
        return self._trust.get()

    def check(self, order: Order, now: float) -> OrderRefusal | None:
        """Why the local policy refuses the order, None where it does not."""
        policy, trust = self._policy.get(), self._trust.get()
        if isinstance(policy, OrderRefusal):
            return policy
        if isinstance(trust, OrderRefusal):
            return trust
        refusal = check_policy(policy.policy, order, trust.keys, now, self._clock())
        if refusal is not None:
            return self._with_cure(refusal, policy)
        refusal = check_user(policy.policy, order, self.users, self._clock())
        return refusal or self._check_critical(policy.policy, order, now)

    def use(self, order: Order, now: float) -> OrderRefusal | None:
        """Right before the start of an order that is not refused: what people signed for it is used up, on disk."""
        policy = self._policy.get()
        if isinstance(policy, OrderRefusal) or not persons_needed(_judge(policy.policy, order, self._clock()), order):
            return policy if isinstance(policy, OrderRefusal) else None
        try:
            self._used.use(order, min(now, self._clock()))  # forgotten by neither clock too early
        except OSError as error:
            why = error.strerror or str(error)
            return OrderRefusal("disk", f"that its approvals are used up cannot be written down: {why}")
        return None

    def _check_critical(self, policy: Policy, order: Order, now: float) -> OrderRefusal | None:
        verdict = _judge(policy, order, self._clock())
        if not persons_needed(verdict, order):
            return None
        try:
            if self._used.is_used(order):
                return OrderRefusal("policy", "what people signed for it has been used on this machine: ask anew")
            approvers = load_approvers(self._approvers)
        except OSError as error:
            return OrderRefusal("policy", f"whether its approvals are used up cannot be read: {error.strerror}")
        except UserError as error:
            return OrderRefusal("policy", str(error)[:MAX_REASON])
        # The hub says what its clock is: one in somebody's hands must not turn it back to what people signed long ago.
        return check_critical(verdict, order, approvers, max(now, self._clock()))

    def user_of(self, order: Order, checks: MachineChecks) -> JobUser | OrderRefusal:
        """As whom an order runs; `checks` are the local policy's, which may have changed since it was asked last."""
        if "root" in (checks.run_as, read_checks(order.checks).run_as):
            return self.users.own
        return self.users.others or _nobody()

    def machine_checks(self, order: Order) -> MachineChecks | OrderRefusal:
        """What the local policy wants looked at before the start of an order that it does not refuse."""
        policy = self._policy.get()
        if isinstance(policy, OrderRefusal):
            return policy
        verdict = _judge(policy.policy, order, self._clock())
        if verdict.kind == "deny":
            return self._with_cure(_policy_refusal(verdict.reason), policy)
        if verdict.script is not None and verdict.script.use != order.script:
            why = f"rule {verdict.rule} of this machine names another content of the script {verdict.script.name}"
            return OrderRefusal("policy", why)
        return verdict.checks

    def _with_cure(self, refusal: OrderRefusal, policy: MachinePolicy) -> OrderRefusal:
        """What whoever has the machine would do to allow it, whole although the reason may be cut for it."""
        cure = f"; to allow it, on the machine: a rule in {self._file}"
        cure += ", or `answerback-agent policy use trust-hub`" if policy.profile == READ_ONLY else ""
        return OrderRefusal(refusal.code, refusal.reason[: MAX_REASON - len(cure)] + cure)


def check_policy(
    policy: Policy, order: Order, keys: Mapping[str, bytes], now: float, wall: float | None = None
) -> OrderRefusal | None:
    """`keys` are the hub's, by which approvals are proven; `now` is its clock, `wall` this machine's."""
    verdict = _judge(policy, order, wall)
    if verdict.kind == "deny":
        return _policy_refusal(verdict.reason)
    if verdict.argv != order.argv or dict(verdict.env) != dict(order.env):
        return OrderRefusal(
            "policy", f"rule {verdict.rule} of this machine would run it with other options or variables"
        )
    if verdict.time_limit is not None and order.time_limit > verdict.time_limit:
        return OrderRefusal(
            "policy", f"rule {verdict.rule} of this machine allows {verdict.time_limit} s, not {order.time_limit}"
        )
    if verdict.output_cap is not None and order.output_cap > verdict.output_cap:
        return OrderRefusal("policy", f"rule {verdict.rule} of this machine keeps {verdict.output_cap} bytes at most")
    return _check_approvals(verdict, order, keys, now) if verdict.kind == "ask" else None


def persons_needed(verdict: Verdict, order: Order) -> int:
    """How many people must have signed the order's plan themselves, by the stricter of the two policies."""
    return max(verdict.checks.persons, read_checks(order.checks).persons)


def check_critical(verdict: Verdict, order: Order, approvers: Approvers, now: float) -> OrderRefusal | None:
    """Why the order is refused although the hub has approvals for it: too few people that this machine knows have
    signed this plan.
    """
    needed, asks = persons_needed(verdict, order), verdict.kind == "ask"
    own, factor = asks and verdict.own_approval, asks and verdict.second_factor
    found = count_own_approvals(order, approvers, own_approval=own, second_factor=factor, now=now)
    if len(found.people) >= needed:
        return None
    reason = f"it is critical and wants {needed} approvals signed by people's own keys, the order has "
    if not approvers:
        return OrderRefusal("policy", f"{reason}none that this machine knows: {ADD_HINT}")
    return OrderRefusal("policy", "; ".join((f"{reason}{len(found.people)}", *found.excluded))[:MAX_REASON])


def check_user(policy: Policy, order: Order, users: JobUsers, wall: float | None = None) -> OrderRefusal | None:
    """Why a command that needs root does not run as root here, or one that needs none has nobody to run as; both
    policies say whether it does.
    """
    verdict, asked, uid = _judge(policy, order, wall), read_checks(order.checks).run_as, users.own.uid
    if "root" not in (asked, verdict.checks.run_as):
        if users.others is not None:
            return None
        return _nobody()
    if verdict.checks.run_as != "root" and verdict.rule != DEFAULT_RULE:
        return OrderRefusal("policy", f'rule {verdict.rule} of this machine does not say run_as = "root"')
    if uid == 0:
        return None
    cure = "start it as root with the drop-in answerback-runner.root.conf (systemd/README.md)"
    return OrderRefusal("policy", f"it needs root, and the runner of this machine is user {uid}: {cure}")


def _nobody() -> OrderRefusal:
    return OrderRefusal("policy", f"it needs no root, and no user is known whose such jobs are here: {MAKE_HINT}")


def _judge(policy: Policy, order: Order, wall: float | None) -> Verdict:
    return check(policy, order.argv, roles=ROLES, agent=order.agent, labels={}, cwd=order.cwd, env=order.env, now=wall)


def _check_approvals(verdict: Verdict, order: Order, keys: Mapping[str, bytes], now: float) -> OrderRefusal | None:
    found = count_approvals(
        order, keys, own_approval=verdict.own_approval, second_factor=verdict.second_factor, now=now
    )
    if len(found.people) >= verdict.approvers:
        return None
    reason = (
        f"rule {verdict.rule} of this machine wants {verdict.approvers} approvals, the order has {len(found.people)}"
    )
    if order.approvals and not order.proofs:
        return OrderRefusal("policy", f"{reason} with a proof; upgrade the hub, which sends none")
    return OrderRefusal("policy", "; ".join((reason, *found.excluded))[:MAX_REASON])


def _policy_refusal(reason: Sentence) -> OrderRefusal:
    return OrderRefusal("policy", f"this machine's own policy: {reason}")


class _WatchedFile(Generic[T]):
    """One file and its parsed value: stat() on every use, read where size, times or inode changed."""

    def __init__(self, path: Path, code: str, parse: Callable[[bytes], T]) -> None:
        self._path = path
        self._code = code  # of the refusals while it cannot be read
        self._parse = parse
        self._stamp: tuple[int, ...] = ()
        self._value: T | OrderRefusal | None = None

    def get(self) -> T | OrderRefusal:
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
            if self._value is None or stamp != self._stamp:
                self._value, self._stamp = self._read(), stamp
        except OSError as error:
            self._value = None
            return OrderRefusal(self._code, f"{self._path} on this machine cannot be read: {error.strerror}")
        return self._value

    def reload(self) -> None:
        self._value = None
        found = self.get()
        if self._value is None and isinstance(found, OrderRefusal):  # not even opened, which `get` does not log
            log.error("rules.broken", file=self._path, why=found.reason)

    def _read(self) -> T | OrderRefusal:
        try:
            value = self._parse(read_bytes(self._path, trusted=True))
        except (UserError, BadTrust) as error:
            return self._reject(str(error).removeprefix(f"{self._path}: "))
        log.info("rules.read", file=self._path)
        return value

    def _reject(self, why: str) -> OrderRefusal:
        log.error("rules.broken", file=self._path, why=why)
        return OrderRefusal(self._code, f"{self._path} on this machine cannot be used: {why}")
