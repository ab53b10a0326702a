"""The files that say whom and what this machine obeys: trust.json and policy.toml, read again when they change.

The local policy has the last word and the hub cannot overrule it: `deny` refuses, `ask` wants as many approvals in
the signed order as the rule says, and a rule that would insert options or variables wants them there. It judges
programs and not people, since the roles are the hub's, so every role counts as held. A file that cannot be read
refuses everything, and says which file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from agent import log
from agent.runner.guard import BadTrust, Refusal, Trust, parse_trust
from common.catalogue import Sentence
from common.errors import UserError
from common.plan import Order
from common.policy import Policy, Verdict, check
from common.policy_file import parse_policy

MAX_FILE: Final = 1024 * 1024
_ROLES: Final = ("viewer", "operator", "approver", "admin")
T = TypeVar("T")


class Rules:
    """Both files, in the runner's folder."""

    def __init__(self, folder: Path) -> None:
        self._trust = _File(folder / "trust.json", "signature", parse_trust)
        self._policy = _File(
            folder / "policy.toml",
            "policy",
            lambda data: parse_policy(tomllib.loads(data.decode("utf-8")), "policy.toml"),
        )

    def trust(self) -> Trust | Refusal:
        return self._trust.get()

    def objection(self, order: Order) -> Refusal | None:
        """Why the local policy does not let the order through, None if it does."""
        policy = self._policy.get()
        return policy if isinstance(policy, Refusal) else judge_locally(policy, order)


def judge_locally(policy: Policy, order: Order) -> Refusal | None:
    verdict = check(policy, order.argv, roles=_ROLES, agent=order.agent, labels={}, cwd=order.cwd, env=order.env)
    if verdict.kind == "deny":
        return _refusal(verdict.reason)
    if verdict.argv != order.argv or dict(verdict.env) != dict(order.env):
        return Refusal("policy", f"rule {verdict.rule} of this machine would run it with other options or variables")
    if verdict.time_limit is not None and order.time_limit > verdict.time_limit:
        return Refusal(
            "policy", f"rule {verdict.rule} of this machine allows {verdict.time_limit} s, not {order.time_limit}"
        )
    if verdict.output_cap is not None and order.output_cap > verdict.output_cap:
        return Refusal("policy", f"rule {verdict.rule} of this machine keeps {verdict.output_cap} bytes at most")
    return _approvals(verdict, order) if verdict.kind == "ask" else None


def _approvals(verdict: Verdict, order: Order) -> Refusal | None:
    people = {person for person, _ in order.approvals}
    if not verdict.own_approval:
        people.discard(order.person)
    if len(people) >= verdict.approvers:
        return None
    return Refusal(
        "policy",
        f"rule {verdict.rule} of this machine wants {verdict.approvers} approvals, the order has {len(people)}",
    )


def _refusal(reason: Sentence) -> Refusal:
    return Refusal("policy", f"this machine's own policy: {reason}")


class _File(Generic[T]):
    """One file and what it parses to; looked at on every use, read when it has changed."""

    def __init__(self, path: Path, code: str, parse: Callable[[bytes], T]) -> None:
        self._path = path
        self._code = code  # of the refusals while it cannot be read
        self._parse = parse
        self._stamp: tuple[int, ...] = ()
        self._value: T | Refusal | None = None

    def get(self) -> T | Refusal:
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
            if self._value is None or stamp != self._stamp:
                self._value, self._stamp = self._read(), stamp
        except OSError as error:
            self._value = None
            return Refusal(self._code, f"{self._path} on this machine cannot be read: {error.strerror}")
        return self._value

    def _read(self) -> T | Refusal:
        with self._path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            return self._broken(f"larger than {MAX_FILE} bytes")
        try:
            value = self._parse(data)
        except (UserError, BadTrust, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            return self._broken(str(error))
        log.info("rules.read", file=self._path)
        return value

    def _broken(self, why: str) -> Refusal:
        log.error("rules.broken", file=self._path, why=why)
        return Refusal(self._code, f"{self._path} on this machine cannot be used: {why}")
