"""`answerback-hub policy check`: the verdicts on command lines. Pure, and never raises."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from common.command.grammar import BadLine, tokenize
from common.errors import UserError
from common.policy.check import Policy, check

GRAMMAR: Final = "grammar"
"""The rule named where the grammar refuses a line, which then never reaches the policy."""


def check_lines(
    policy: Policy,
    lines: Iterable[str],
    roles: Collection[str],
    agent: str,
    labels: Mapping[str, str],
    now: float | None = None,
) -> Iterator[dict[str, str]]:
    """One row a line, in order: command, verdict, reason (English) and rule."""
    for line in lines:
        yield check_line(policy, line, roles, agent, labels, now)


def check_line(
    policy: Policy,
    line: str,
    roles: Collection[str],
    agent: str,
    labels: Mapping[str, str],
    now: float | None = None,
) -> dict[str, str]:
    try:
        argv = tokenize(line)
    except BadLine as error:
        return {"command": line, "verdict": "deny", "reason": str(error.sentence), "rule": GRAMMAR}
    verdict = check(policy, argv, roles=roles, agent=agent, labels=labels, now=now)
    return {"command": line, "verdict": verdict.kind, "reason": str(verdict.reason), "rule": verdict.rule}


def parse_moment(text: str) -> float:
    """A moment in seconds since the epoch from its ISO 8601 form, UTC where it says no zone; raises UserError."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        cure = "write it as 2026-12-05T10:12, which is UTC, or 2026-12-05T10:12+01:00"
        raise UserError(f"{text[:40]!r} is no moment", cure) from None
