"""Histories for the tests of what is learned: evidence in a line, and the policies that it is held against."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path

from common.policy.file import load_policy_bytes
from common.policy.source import read_source
from hub.cli.policy_learn import History, PolicyFile, propose, read_only_policy
from hub.core.learning.proposal import Evidence, Learned, Outcome, PolicyText, Terms

__all__ = ["DEFAULTS", "asked", "learn_from", "policy_file", "read_only_policy"]

DEFAULTS = resources.files("hub").joinpath("defaults", "policy.toml").read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def policy_file(text: str) -> PolicyFile:
    data = text.encode()
    tables = read_source(data).data
    rules = {table["id"]: table for table in tables.get("rule", ())}
    programs = {table["path"]: name for name, table in tables.get("programs", {}).items()}
    content = PolicyText(load_policy_bytes(data, "policy.toml"), rules, programs)
    return PolicyFile(Path("policy.toml"), data, content)


def asked(
    line: str | Sequence[str],
    times: int = 5,
    outcome: Outcome = "refused",
    *,
    people: Sequence[str] = ("carol", "dave"),
    approvers: Sequence[str] = ("ann", "bob"),
    agent: str = "web-1",
    start: int = 0,
) -> list[Evidence]:
    """A command asked for again and again, by these people in turn; each yes is of one of the approvers in turn."""
    argv = tuple(shlex.split(line)) if isinstance(line, str) else tuple(line)
    return [
        Evidence(
            f"{argv}-{agent}-{outcome}-{start + n}",
            argv,
            people[n % len(people)],
            agent,
            outcome,
            (approvers[n % len(approvers)],) if outcome == "approved" and approvers else (),
        )
        for n in range(times)
    ]


def learn_from(text: str, evidence: Sequence[Evidence], **terms: object) -> Learned:
    history = History(tuple(evidence), len(evidence), 0, True)
    return propose(policy_file(text), history, Terms(**terms))  # type: ignore[arg-type]
