"""`answerback-hub policy diff`: which of the commands that were asked for lately get another verdict."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.command.grammar import BadLine, tokenize
from common.policy.check import Policy, Verdict, check
from hub.cli.admin import open_store
from hub.config import HubConfig
from hub.identity.people import snapshot
from hub.store.transaction import Txn

PAGE: Final = 500
MAX_MACHINES: Final = 20
"""Machines of one step that are judged: a step may have thousands, and policies tell few of them apart."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as somebody asked for it, for one machine."""

    argv: tuple[str, ...]
    person: str
    roles: tuple[str, ...]
    agent: str
    labels: tuple[tuple[str, str], ...]
    cwd: str = ""
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A command that gets another verdict."""

    command: str
    person: str
    agent: str
    was: str
    now: str
    reason: str  # of the new verdict
    rule: str
    count: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def recent_commands(config: HubConfig, last: int, lines: Iterable[str] | None = None) -> Counter[Asked]:
    """What the last requests asked for, refused ones too, each with how often; or the lines, as of an operator."""
    if lines is not None:
        return Counter(_of_lines(lines))

    def unit(txn: Txn) -> Counter[Asked]:
        people = snapshot(config.people, txn.people())
        labels = {agent.name: tuple(sorted(agent.labels.items())) for agent in txn.agents()}
        found: Counter[Asked] = Counter()
        before: int | None = None
        left = last
        while left > 0 and (page := txn.requests(limit=min(PAGE, left), before_number=before)):
            left, before = left - len(page), page[-1].number
            for request in page:
                if request.plan is None:
                    continue
                roles = people.roles(request.person)
                for step in request.plan.steps:
                    for agent in step.targets[:MAX_MACHINES]:
                        more = (agent, labels.get(agent, ()), step.cwd, request.plan.tainted)
                        found[Asked(step.argv, request.person, roles, *more)] += 1
        return found

    with open_store(config, 0.0) as store:
        return store.read_now(unit)


def _of_lines(lines: Iterable[str]) -> Iterable[Asked]:
    for line in lines:
        try:
            yield Asked(tuple(tokenize(line)), "operator", ("operator",), "", ())
        except BadLine:
            continue  # no policy ever sees it


def changes(before: Policy, after: Policy, asked: Mapping[Asked, int], now: float | None = None) -> list[Change]:
    """The commands whose verdict differs, or what an `ask` asks for; the most frequent first."""
    found = []
    for one, count in asked.items():
        was, then = _verdict(before, one, now), _verdict(after, one, now)
        if _words(was) != _words(then):
            command = shlex.join(one.argv)
            told = (_words(was), _words(then), str(then.reason), then.rule, count)
            found.append(Change(command, one.person, one.agent, *told))
    return sorted(found, key=lambda change: (-change.count, change.command, change.person, change.agent))


def _verdict(policy: Policy, asked: Asked, now: float | None) -> Verdict:
    return check(
        policy,
        asked.argv,
        roles=asked.roles,
        agent=asked.agent,
        labels=dict(asked.labels),
        cwd=asked.cwd,
        tainted=asked.tainted,
        now=now,
    )


def _words(verdict: Verdict) -> str:
    """The verdict, and of an `ask` how many and with what."""
    if verdict.kind != "ask":
        return verdict.kind
    more = [f"{verdict.approvers} yes"]
    more += ["a code"] if verdict.second_factor else []
    more += ["own counts"] if verdict.own_approval else []
    return f"ask ({', '.join(more)})"
