"""`answerback-hub policy test`: what a team expects of its policy, in a file, and what of it does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.config import load, required, setting, tables
from common.errors import UserError
from common.policy.check import Policy
from common.roles import ROLES
from hub.cli import admin, register
from hub.cli.policy_check import check_line, parse_moment
from hub.config import HubConfig


@dataclass(frozen=True, slots=True)
class ExpectTable:
    """Commands, and the verdict that they are to get."""

    verdict: Literal["allow", "ask", "deny"] = required("What they are to get.")
    commands: tuple[str, ...] = required("Command lines, as a person writes them.")
    person: str = setting("operator", "For whom: a role, or the name of a person.")
    agent: str = setting("", "On which machine; left out, on one without labels.")
    labels: tuple[str, ...] = setting((), 'Labels of the machine, as "KEY=VALUE", instead of those that it has.')
    at: str = setting("", "At which moment, for rules with `when`, as 2026-12-05T10:12+01:00; left out, now.")
    rule: str = setting("", "Which rule is to decide; left out, any.")


@dataclass(frozen=True, slots=True)
class ExpectationFile:
    """A file of expectations: tables [expect.NAME], with names of the team's choosing."""

    expect: Mapping[str, ExpectTable] = tables()


@dataclass(frozen=True, slots=True)
class Expectation:
    """One table of the file."""

    name: str
    table: ExpectTable

    @property
    def commands(self) -> tuple[str, ...]:
        return self.table.commands

    @property
    def words(self) -> str:
        """What is expected, in short."""
        return self.table.verdict + (f" by rule {self.table.rule}" if self.table.rule else "")


def read_expectations(file: Path) -> tuple[Expectation, ...]:
    """Raises UserError where the file does not read, or expects nothing: an empty test would always pass."""
    found = load(file, ExpectationFile).expect
    if not any(table.commands for table in found.values()):
        raise UserError(f"{file}: it expects nothing", "write tables [expect.NAME] with verdict and commands")
    return tuple(Expectation(name, table) for name, table in found.items())


def unmet(
    config: HubConfig, policy: Policy, expected: tuple[Expectation, ...], now: float | None = None
) -> list[dict[str, str]]:
    """The commands that get another verdict, or theirs from another rule, in the order of the file."""
    wrong: list[dict[str, str]] = []
    for one in expected:
        roles = _roles(config, one.table.person)
        labels = _labels(config, one)
        moment = parse_moment(one.table.at) if one.table.at else now
        for command in one.commands:
            row = check_line(policy, command, roles, one.table.agent, labels, moment)
            if row["verdict"] != one.table.verdict or one.table.rule not in ("", row["rule"]):
                wrong.append({"test": one.name, "as": one.table.person, "expected": one.words, **row})
    return wrong


def _roles(config: HubConfig, person: str) -> tuple[str, ...]:
    return (person,) if person in ROLES else register.roles_of(config, person)


def _labels(config: HubConfig, one: Expectation) -> dict[str, str]:
    labels: dict[str, str] = {}
    for label in one.table.labels:
        key, equals, value = label.partition("=")
        if not equals:
            raise UserError(f'[expect.{one.name}] labels: "{label}" is not "KEY=VALUE"', "write it so")
        labels[key] = value
    if labels or not one.table.agent:
        return labels
    return admin.labels_of(config, one.table.agent)
