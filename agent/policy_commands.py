"""`answerback-agent policy show|use|check`, `approvers list|add|remove|needed`: what this machine lets a hub do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import Any, Final

from agent.approvers import (
    ADD_HINT,
    PASSKEY_TRUST,
    add_approver,
    load_known,
    remove_approver,
    set_needed,
    with_passkeys,
)
from agent.machine_policy import PROFILES, READ_ONLY, load_machine_policy, profile_policy, use_profile
from agent.state import StateFolder
from common.command.grammar import BadLine, tokenize
from common.errors import UserError
from common.identity.passkey import approver_key_text
from common.policy.check import Policy, Rule, Verdict, check, usage
from common.roles import ROLES

EXIT_DENIED: Final = 3
"""Of `policy check`, as of the hub's."""
NOTHING: Final = "no command", "answerback-agent policy check -- df -h"


def show(state: StateFolder) -> tuple[list[str], dict[str, Any]]:
    """The policy in lines for people and as JSON: profile, rules of the file's own, then those of the profile."""
    found = load_machine_policy(state.policy)
    own = found.policy.rules[: found.own_rules]
    base = found.policy.rules[found.own_rules :]
    lines = [f"{state.policy}", f"  {found.describe()}"]
    lines += _rules("rules of this machine's own, which come first:", own)
    lines += _rules(f"rules of the profile {found.profile}:", base)
    denied = sorted({name for deny in found.policy.denies for name in (*deny.names, *deny.programs)})
    if denied:
        lines += ["", f"denied whatever else is said: {', '.join(denied)}"]
    lines += ["", f"whatever no rule names: {'allowed' if found.policy.default == 'allow' else 'denied'}"]
    lines += [
        "",
        "profiles (answerback-agent policy use NAME):",
        *(f"  {name:<10} {text}" for name, text in PROFILES.items()),
    ]
    rows = [_rule_json(rule, True) for rule in own] + [_rule_json(rule, False) for rule in base]
    return lines, {"file": str(state.policy), **found.to_json(), "rules": rows, "denied": denied}


def _rules(heading: str, rules: Sequence[Rule]) -> list[str]:
    if not rules:
        return []
    width = min(24, max(len(rule.id) for rule in rules))
    return ["", heading, *(f"  {rule.verdict:<5} {rule.id:<{width}}  {usage(rule)}" for rule in rules)]


def _rule_json(rule: Rule, own: bool) -> dict[str, Any]:
    return {
        "id": rule.id,
        "about": rule.about,
        "verdict": rule.verdict,
        "program": rule.program.path,
        "usage": usage(rule),
        "own": own,
    }


def use(state: StateFolder, profile: str) -> tuple[list[str], dict[str, Any]]:
    """Changes the profile; says what holds now, and where an older file went."""
    kept = use_profile(state.policy, profile)
    found = load_machine_policy(state.policy)
    lines = [f"{state.policy}: {found.describe()}", "  it holds from the next order on"]
    if kept is not None:
        lines.append(f"  what stood there before is in {kept}: take rules over from it that this machine needs")
    return lines, {"file": str(state.policy), **found.to_json(), "kept": str(kept or "")}


def check_command(state: StateFolder, words: Sequence[str]) -> tuple[list[str], dict[str, Any], int]:
    """The verdict on a command as the hub would send it, or as people type it; nothing is run."""
    if not words:
        raise UserError(*NOTHING)
    policy = load_machine_policy(state.policy).policy
    verdict = _judge(policy, _argv(words))
    line = f"{verdict.kind}: {verdict.reason}"
    if verdict.kind == "ask":
        line += f" ({verdict.approvers} in the order)"
    body = {
        "command": list(words),
        "verdict": verdict.kind,
        "rule": verdict.rule,
        "reason": str(verdict.reason),
        "argv": list(verdict.argv),
        "approvers": verdict.approvers,
    }
    return [line], body, EXIT_DENIED if verdict.kind == "deny" else 0


def approvers(
    state: StateFolder, action: str, name: str = "", key: str = "", needed: int = 0
) -> tuple[list[str], dict[str, Any]]:
    """Lists whose own signatures count here, after `action` (list, add, remove, needed)."""
    if action == "add":
        add_approver(state.approvers, name, key)
    elif action == "remove":
        remove_approver(state.approvers, name, key)
    elif action == "needed":
        set_needed(state.approvers, needed)
    found = load_known(state.approvers)
    body = {person: [approver_key_text(one) for one in keys] for person, keys in sorted(found.people.items())}
    lines = [f"{person}  {key}" for person, keys in body.items() for key in keys]
    if by_passkey := with_passkeys(found.people):
        lines.append(f"note: {', '.join(by_passkey)}: {PASSKEY_TRUST}")
    if not lines:
        lines = [f"nobody: what a critical rule wants signed is refused; {ADD_HINT}"]
    elif action in ("list", "needed"):
        few = "" if len(found.signers) >= found.needed else f", of whom there are too few: {ADD_HINT}"
        lines.append(f"a change from afar (`answerback approvers propose`) wants {found.needed} of these people{few}")
    return lines, {"approvers": body, "needed": found.needed}


def _argv(words: Sequence[str]) -> list[str]:
    """One word with blanks in it is a line as people type it."""
    if len(words) > 1 or " " not in words[0]:
        return list(words)
    try:
        return list(tokenize(words[0]))
    except BadLine as error:
        raise UserError(str(error.sentence), "give the command's words after --") from None


def _judge(policy: Policy, argv: Sequence[str]) -> Verdict:
    """By the names that its rules and the hub's default rules have, else by the search path."""
    named = profile_policy(READ_ONLY).by_name
    first = argv[0]
    if "/" not in first and first not in policy.by_name:
        path = named[first][0].program.path if first in named else shutil.which(first)
        argv = [path or first, *argv[1:]]
    return check(policy, argv, roles=ROLES, agent="", labels={}, now=time.time())
