"""What the policy says to lines of commands: the body of `answerback-hub policy check`. Pure, and never raises."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from common.grammar import BadLine, tokenize
from common.policy import Policy, check

GRAMMAR: Final = "grammar"
"""The rule named where a line is not of the grammar and so never reaches the policy."""


def rows(
    policy: Policy, lines: Iterable[str], roles: Collection[str], agent: str, labels: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """One row a line, in order: command, verdict, reason (English) and rule."""
    for line in lines:
        yield row(policy, line, roles, agent, labels)


def row(policy: Policy, line: str, roles: Collection[str], agent: str, labels: Mapping[str, str]) -> dict[str, str]:
    try:
        argv = tokenize(line)
    except BadLine as error:
        return {"command": line, "verdict": "deny", "reason": str(error.sentence), "rule": GRAMMAR}
    verdict = check(policy, argv, roles=roles, agent=agent, labels=labels)
    return {"command": line, "verdict": verdict.kind, "reason": str(verdict.reason), "rule": verdict.rule}
