"""What a person may ask for: the policy's rules for their roles, each with the machines it applies to. Pure.

Rules are listed with their own scope (`web-*`, `role=db`) and not machine by machine, so that work and text grow with
the policy and not with the number of machines. The list decides nothing: policy judges every plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Final

from common.policy.check import Policy, Rule, applies_to_machine, applies_to_roles, find_deny_rule, usage
from hub.core.inventory import Inventory

MAX_PROGRAMS: Final = 400


@dataclass(frozen=True, slots=True)
class Permission:
    """One rule that a person can use."""

    program: str  # the program as it is written in a command
    usage: str  # the rule's usage line, as policy shows it to people
    brief: str  # program, sub-commands and arguments, without options
    about: str
    asks: bool  # needs approval
    scope: str  # machines it is for, "" for every one


@dataclass(frozen=True, slots=True)
class Permissions:
    """`programs` may be named; with `any_path` also every absolute path, under a policy whose default is allow."""

    rules: tuple[Permission, ...]
    programs: tuple[str, ...]
    any_path: bool = False


def permissions_for(policy: Policy, roles: Collection[str], inventory: Inventory) -> Permissions:
    """The rules that a person with `roles` can use on at least one machine, in the policy's order."""
    applicable: dict[tuple[object, object], bool] = {}
    found: list[Permission] = []
    for rule in policy.rules:
        if rule.verdict == "deny" or not applies_to_roles(rule, roles):
            continue
        if find_deny_rule(policy, rule.program.path) or find_deny_rule(policy, rule.program.names[0]):
            continue
        scope = rule.agents, rule.labels
        if scope not in applicable:
            applicable[scope] = _applies_somewhere(rule, inventory)
        if applicable[scope]:
            found.append(_permission(rule))
    programs = tuple(dict.fromkeys(permission.program for permission in found))[:MAX_PROGRAMS]
    return Permissions(tuple(found), programs, policy.default == "allow")


def _applies_somewhere(rule: Rule, inventory: Inventory) -> bool:
    if not rule.agents and not rule.labels:
        return True
    return any(applies_to_machine(rule, machine.name, machine.labels) for machine in inventory.machines.values())


def _permission(rule: Rule) -> Permission:
    words = [word.shape if not word.optional else f"[{word.shape}]" for word in rule.words]
    slots = [slot.name if slot.minimum else f"[{slot.name}]" for slot in rule.arguments]
    scope = [*rule.agents, *(f"{key}={value}" for key, value in rule.labels)]
    return Permission(
        program=rule.program.names[0],
        usage=usage(rule),
        brief=" ".join([rule.program.names[0], *words, *slots]),
        about=rule.about,
        asks=rule.verdict == "ask",
        scope=" ".join(scope),
    )


def fingerprint(value: Any) -> str:
    """A digest of a tree of frozen values (a policy, runbooks): the same in every process for the same content."""
    return hashlib.sha256(json.dumps(_as_json(value), sort_keys=True).encode()).hexdigest()


def _as_json(value: Any) -> Any:
    """`value` as JSON values. A function is represented by its name: functions change only with the version."""
    if value is None or isinstance(value, str | int | float | bool):
        return value.value if isinstance(value, Enum) else value
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_as_json(getattr(value, field.name)) for field in fields(value))]
    if isinstance(value, dict):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_as_json(each) for each in value), key=repr)
    if isinstance(value, Iterable):
        return [_as_json(each) for each in value]
    pattern = getattr(value, "pattern", None)  # a compiled regular expression
    return str(pattern) if pattern is not None else str(getattr(value, "__qualname__", type(value).__name__))
