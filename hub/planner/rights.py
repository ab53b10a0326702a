"""What a person may ask for, as policy has it: the rules for their roles, with the machines each is for. Pure.

Rules are told with their own scope (`web-*`, `role=db`) and not machine by machine, so that the work and the text grow
with the policy and not with the fleet. What is told here decides nothing: policy judges every plan by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Final

from common.policy import Policy, Rule, denied, for_machine, for_roles, usage
from hub.machines import Inventory

MAX_PROGRAMS: Final = 400


@dataclass(frozen=True, slots=True)
class Right:
    """One rule as a person may use it."""

    program: str  # what is written for it
    usage: str  # the rule's shape, as policy tells it to people
    brief: str  # program, sub-commands and arguments, without options
    about: str
    asks: bool  # runs only after a person's yes
    scope: str  # machines it is for, "" for every one


@dataclass(frozen=True, slots=True)
class Rights:
    """`programs` may be named; `any_path`: so may every absolute path, by a policy that allows what no rule names."""

    rights: tuple[Right, ...]
    programs: tuple[str, ...]
    any_path: bool = False


def rights_of(policy: Policy, roles: Collection[str], inventory: Inventory) -> Rights:
    """Rules that somebody with `roles` can use on at least one machine, in the policy's order."""
    there: dict[tuple[object, object], bool] = {}
    found: list[Right] = []
    for rule in policy.rules:
        if rule.verdict == "deny" or not for_roles(rule, roles):
            continue
        if denied(policy, rule.program.path) or denied(policy, rule.program.names[0]):
            continue
        scope = rule.agents, rule.labels
        if scope not in there:
            there[scope] = _somewhere(rule, inventory)
        if there[scope]:
            found.append(_right(rule))
    programs = tuple(dict.fromkeys(right.program for right in found))[:MAX_PROGRAMS]
    return Rights(tuple(found), programs, policy.default == "allow")


def _somewhere(rule: Rule, inventory: Inventory) -> bool:
    if not rule.agents and not rule.labels:
        return True
    return any(for_machine(rule, machine.name, machine.labels) for machine in inventory.machines.values())


def _right(rule: Rule) -> Right:
    words = [word.shape if not word.optional else f"[{word.shape}]" for word in rule.words]
    slots = [slot.name if slot.minimum else f"[{slot.name}]" for slot in rule.arguments]
    scope = [*rule.agents, *(f"{key}={value}" for key, value in rule.labels)]
    return Right(
        program=rule.program.names[0],
        usage=usage(rule),
        brief=" ".join([rule.program.names[0], *words, *slots]),
        about=rule.about,
        asks=rule.verdict == "ask",
        scope=" ".join(scope),
    )


def fingerprint(value: Any) -> str:
    """A digest of a tree of frozen values (a policy, runbooks): the same in every process for the same content."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """`value` as JSON has it. A function stands for itself by its name: those here are a version's own."""
    if value is None or isinstance(value, str | int | float | bool):
        return value.value if isinstance(value, Enum) else value
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_plain(getattr(value, field.name)) for field in fields(value))]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(each) for each in value), key=repr)
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    pattern = getattr(value, "pattern", None)  # a compiled regular expression
    return str(pattern) if pattern is not None else str(getattr(value, "__qualname__", type(value).__name__))
