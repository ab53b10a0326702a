"""`answerback-hub policy check`: the verdicts on command lines. Pure, and never raises."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from common.command.grammar import BadLine, tokenize
from common.policy.check import Policy, check

GRAMMAR: Final = "grammar"
"""The rule named where the grammar refuses a line, which then never reaches the policy."""


def check_lines(
    policy: Policy, lines: Iterable[str], roles: Collection[str], agent: str, labels: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """One row a line, in order: command, verdict, reason (English) and rule."""
    for line in lines:
        yield check_line(policy, line, roles, agent, labels)


def check_line(
    policy: Policy, line: str, roles: Collection[str], agent: str, labels: Mapping[str, str]
) -> dict[str, str]:
    try:
        argv = tokenize(line)
    except BadLine as error:
        return {"command": line, "verdict": "deny", "reason": str(error.sentence), "rule": GRAMMAR}
    verdict = check(policy, argv, roles=roles, agent=agent, labels=labels)
    return {"command": line, "verdict": verdict.kind, "reason": str(verdict.reason), "rule": verdict.rule}
