"""What is learned from, what makes it enough, and what comes of it: a rule as TOML with its evidence above it. Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from common.plan import canonical_json
from common.policy.check import Policy
from common.text import clean, toml_string
from hub.core.learning.values import NotLearned

Outcome = Literal["approved", "rejected", "refused", "other"]
MAX_MACHINES: Final = 100
MAX_EXAMPLES: Final = 3
MAX_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    """One command on one machine, as somebody asked for it, and what came of it."""

    request: str
    argv: tuple[str, ...]
    person: str
    agent: str
    outcome: Outcome
    approvers: tuple[str, ...] = ()  # who said yes to it, other than whoever asked
    roles: tuple[str, ...] = ("operator",)
    labels: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What makes evidence enough."""

    asked: int = 5  # requests
    people: int = 2  # different people: who said yes, or who asked where nobody was asked
    programs: Mapping[str, str] = field(default_factory=dict)  # paths of programs that are known by name alone
    reads: frozenset[str] = frozenset()  # rules of which an admin says that they let nothing but reading through


@dataclass(frozen=True, slots=True)
class Proposal:
    id: str
    verdict: Literal["allow", "ask"]
    before: str  # the rule that it has to stand before; "" where any place will do
    table: Mapping[str, Any]
    requests: int
    people: tuple[str, ...]
    approvers: tuple[str, ...]
    machines: tuple[str, ...]
    examples: tuple[str, ...]

    def to_toml(self) -> str:
        """The table with its evidence above it; ends with a newline."""
        asked = f"# learned: asked for {self.requests} times by {people_words(self.people)}"
        yes = f"approved by {people_words(self.approvers)}, refused by nobody"
        lines = [f"{asked}; {yes if self.approvers else 'no rule let it through'}"]
        lines += [f"#   {clean(line, limit=160)}" for line in self.examples]
        rows = [f"{_key(key)} = {_value(value)}" for key, value in self.table.items() if key != "options"]
        options = self.table.get("options", {})
        inner = ["[rule.options]", *(f"{_key(key)} = {_value(value)}" for key, value in options.items())]
        return "\n".join([*lines, "[[rule]]", *rows, *(inner if options else [])]) + "\n"

    def to_json(self) -> dict[str, Any]:
        shown = ("id", "verdict", "before", "requests", "people", "approvers", "machines", "examples")
        return {**{name: getattr(self, name) for name in shown}, "toml": self.to_toml()}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A kind of command that was asked for, and why no rule is proposed for it."""

    command: str  # an example
    requests: int
    why: str


@dataclass(frozen=True, slots=True)
class Learned:
    proposals: tuple[Proposal, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy with what its file says, table by table."""

    policy: Policy
    rules: Mapping[str, Mapping[str, Any]]  # by id
    programs: Mapping[str, str]  # names of [programs.NAME] by path


@dataclass(slots=True)
class Group:
    """Evidence of one shape; a proposal is made of all of it."""

    rows: list[tuple[Evidence, tuple[str, ...]]] = field(default_factory=list)  # with the vector as it would run

    @property
    def requests(self) -> set[str]:
        return {row.request for row, _ in self.rows}

    @property
    def approvers(self) -> tuple[str, ...]:
        return tuple(sorted({name for row, _ in self.rows if row.outcome == "approved" for name in row.approvers}))

    def requests_with(self, outcome: Outcome) -> set[str]:
        return {row.request for row, _ in self.rows if row.outcome == outcome}


def build_proposal(table: dict[str, Any], group: Group, approvers: tuple[str, ...], before: str) -> Proposal:
    machines = tuple(sorted({row.agent for row, _ in group.rows if row.agent}))
    if len(machines) > MAX_MACHINES:
        raise NotLearned(f"it was asked for on {len(machines)} machines: write the rule with labels")
    if machines:
        table["agents"] = list(machines)
    table = {key: value for key, value in table.items() if value not in ([], {}, ())}
    digest = hashlib.sha256(canonical_json({**table, "id": ""})).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9]+", "-", posixpath.basename(group.rows[0][1][0]))[:30].strip("-") or "program"
    table["id"] = f"learned-{name}-{digest}"
    examples = sorted({shlex.join(row.argv) for row, _ in group.rows})[:MAX_EXAMPLES]
    people = tuple(sorted({row.person for row, _ in group.rows if row.person}))
    kind: Literal["allow", "ask"] = "allow" if table["verdict"] == "allow" else "ask"
    return Proposal(table["id"], kind, before, table, len(group.requests), people, approvers, machines, tuple(examples))


def people_words(names: Sequence[str]) -> str:
    """How many, and who the first ones are."""
    if not names:
        return "nobody"
    shown = ", ".join(clean(name, limit=64) for name in names[:MAX_NAMES])
    more = ", …" if len(names) > MAX_NAMES else ""
    return f"{len(names)} {'person' if len(names) == 1 else 'people'} ({shown}{more})"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_]+", key) else toml_string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return toml_string(value) if isinstance(value, str) else repr(value)
