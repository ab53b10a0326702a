"""Allow, ask or deny: a pure function of rules and argument vector, with the nearest rule told.

The verdict looks at nothing but its arguments: no file system, no clock, no environment. It is the same on the hub that
asks for it and on the machine that checks it again. Default deny: what no rule lets through does not run.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from common.catalogue import Sentence
from common.plan import BadPlan, check_argv
from common.policy_match import Match, match
from common.policy_rules import ROLES, Deny, Kind, Policy, Rule, usage
from common.policy_values import Misfit, Type, shown

__all__ = [
    "DEFAULT",
    "Kind",
    "Policy",
    "Rule",
    "Verdict",
    "check",
    "denied",
    "for_machine",
    "for_roles",
    "stricter",
    "usage",
]

DEFAULT: Final = "default"
"""The rule named in a verdict that no rule gave."""
_KINDS: Final[tuple[Kind, ...]] = ("allow", "ask", "deny")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says to one argument vector for one person on one machine."""

    kind: Kind
    reason: Sentence
    rule: str  # the rule's id, "default" where none decided
    argv: tuple[str, ...] = ()  # what would run: absolute program, inserted options; () when denied
    env: tuple[tuple[str, str], ...] = ()  # sorted; what it would have beside the runner's own environment
    approvers: int = 0  # how many people must say yes; at least 1 with `ask`, else 0
    second_factor: bool = False
    own_approval: bool = False  # the one who asks may be one of them
    time_limit: int | None = None  # seconds; None: the plan's own
    output_cap: int | None = None  # bytes; None: the plan's own


def check(
    policy: Policy,
    argv: Sequence[str],
    *,
    roles: Collection[str],
    agent: str,
    labels: Mapping[str, str],
    cwd: str = "",
    env: Collection[tuple[str, str]] = (),
    tainted: bool = False,
) -> Verdict:
    """The verdict on `argv` for someone with `roles` on the machine `agent` with `labels`.

    `env` is what the step sets by itself. A tainted plan, one that text from no person took part in, is never allowed
    without a person's yes. A vector that was resolved by an earlier check gets the same verdict again.
    """
    try:
        check_argv(argv)
    except BadPlan as error:
        return _deny(Sentence("policy_bad_argv", {"detail": str(error)}))
    deny = denied(policy, argv[0])
    if deny is not None:
        values = {"program": shown(argv[0]), "about": deny.about}
        return _deny(Sentence("policy_program_denied", values), deny.id)
    best: tuple[int, Sentence, Rule] | None = None
    for rule in policy.by_name.get(argv[0], ()):
        found = match(rule, argv, cwd)
        if isinstance(found, Match):
            refusal = _not_here(rule, roles, agent, labels) or _surroundings(rule.program.directory, cwd)
            refusal = refusal or _environment(policy, rule.env, env)
            if refusal is None and found.argv != tuple(argv):
                # What counts is what would run, and a rule further up may have something to say about that.
                return check(
                    policy, found.argv, roles=roles, agent=agent, labels=labels, cwd=cwd, env=env, tainted=tainted
                )
            if refusal is None:
                return _verdict(rule, found, env, tainted)
            progress = len(argv) + 1
        else:
            progress, refusal = found.progress, found.why
        if best is None or progress > best[0]:
            best = (progress, refusal, rule)
    if best is not None:
        return _deny(_nearest(best[1], best[2]))
    if policy.default == "allow":
        return _allow_by_default(policy, argv, cwd, env, tainted)
    return _deny(_unknown_program(policy, argv))


def denied(policy: Policy, program: str) -> Deny | None:
    """The deny that names the program."""
    return next((one for one in policy.denies if program in one.programs or _any_name(program, one.names)), None)


def for_roles(rule: Rule, roles: Collection[str]) -> bool:
    """Whether the rule is for people with these roles."""
    rank = max((ROLES.index(role) for role in roles if role in ROLES), default=-1)
    return rank >= ROLES.index(_lowest(rule))


def for_machine(rule: Rule, agent: str, labels: Mapping[str, str]) -> bool:
    """Whether the rule is for this machine."""
    if rule.agents and not any(_name_matches(agent, pattern) for pattern in rule.agents):
        return False
    return all(labels.get(key) == value for key, value in rule.labels)


def stricter(a: Verdict, b: Verdict) -> Verdict:
    """One verdict for several steps or machines: the sterner kind, every demand of both, the tighter limits.

    Rule, reason and vector are those of the sterner one, the first where they are alike.
    """
    if "deny" in (a.kind, b.kind):
        return a if a.kind == "deny" else b
    first = a if _KINDS.index(a.kind) >= _KINDS.index(b.kind) else b
    asking = [verdict for verdict in (a, b) if verdict.kind == "ask"]
    merged = replace(
        first,
        approvers=max(a.approvers, b.approvers),
        second_factor=a.second_factor or b.second_factor,
        own_approval=bool(asking) and all(verdict.own_approval for verdict in asking),
        time_limit=min((limit for limit in (a.time_limit, b.time_limit) if limit is not None), default=None),
        output_cap=min((cap for cap in (a.output_cap, b.output_cap) if cap is not None), default=None),
    )
    for verdict in asking:
        if _demands(verdict) == _demands(merged):
            return replace(merged, rule=verdict.rule, reason=verdict.reason)
    return replace(merged, reason=_asks(merged.rule, merged)) if asking else merged


def _demands(verdict: Verdict) -> tuple[int, bool, bool]:
    return verdict.approvers, verdict.second_factor, verdict.own_approval


def _verdict(rule: Rule, found: Match, env: Collection[tuple[str, str]], tainted: bool) -> Verdict:
    if rule.verdict == "deny":
        return _deny(Sentence("policy_rule_denies", {"rule": rule.id, "about": rule.about}), rule.id)
    verdict = Verdict(
        kind=rule.verdict,
        reason=Sentence("policy_allowed", {"rule": rule.id, "about": rule.about}),
        rule=rule.id,
        argv=found.argv,
        env=tuple(sorted({*rule.env, *env})),
        approvers=rule.approvers,
        second_factor=rule.second_factor,
        own_approval=rule.own_approval,
        time_limit=rule.time_limit,
        output_cap=rule.output_cap,
    )
    if tainted:
        return _with_person(verdict)
    return replace(verdict, reason=_asks(rule.id, verdict)) if rule.verdict == "ask" else verdict


def _with_person(verdict: Verdict) -> Verdict:
    """The verdict on the same in a tainted plan: someone else must look."""
    asked = replace(verdict, kind="ask", approvers=max(1, verdict.approvers), own_approval=False)
    values = {"rule": verdict.rule, "approvers": asked.approvers}
    if asked.second_factor:
        return replace(asked, reason=Sentence("policy_asks_tainted_factor", values))
    return replace(asked, reason=Sentence("policy_asks_tainted", values))


def _asks(rule: str, verdict: Verdict) -> Sentence:
    values = {"rule": rule, "approvers": verdict.approvers}
    if verdict.second_factor and verdict.own_approval:
        return Sentence("policy_asks_own_factor", values)
    if verdict.second_factor:
        return Sentence("policy_asks_factor", values)
    return Sentence("policy_asks_own" if verdict.own_approval else "policy_asks", values)


def _deny(reason: Sentence, rule: str = DEFAULT) -> Verdict:
    return Verdict("deny", reason, rule)


def _allow_by_default(
    policy: Policy, argv: Sequence[str], cwd: str, env: Collection[tuple[str, str]], tainted: bool
) -> Verdict:
    """A machine's own policy may say yes to whatever the hub has resolved; never to a name that PATH would decide."""
    program = argv[0]
    if not program.startswith("/") or posixpath.normpath(program) != program or program.startswith("//"):
        return _deny(Sentence("policy_program_not_absolute", {"program": shown(program)}))
    if cwd and (not cwd.startswith("/") or posixpath.normpath(cwd) != cwd or cwd.startswith("//")):
        return _deny(Sentence("policy_directory_misfit", {"directory": shown(cwd)}))
    refusal = _environment(policy, (), env)
    if refusal is not None:
        return _deny(refusal)
    reason = Sentence("policy_allowed_by_default", {"program": shown(program)})
    verdict = Verdict("allow", reason, DEFAULT, tuple(argv), tuple(sorted(set(env))))
    return _with_person(verdict) if tainted else verdict


def _any_name(program: str, names: frozenset[str]) -> bool:
    """Whether a deny names the program: `python` also names `python3.11`, in whatever folder and case."""
    base = posixpath.basename(program).lower()
    return base in names or base.rstrip("0123456789.-") in names


def _not_here(rule: Rule, roles: Collection[str], agent: str, labels: Mapping[str, str]) -> Sentence | None:
    """Why the rule is not for these people or this machine."""
    if not for_roles(rule, roles):
        return Sentence("policy_role", {"rule": rule.id, "role": _lowest(rule)})
    if not for_machine(rule, agent, labels):
        return Sentence("policy_machine", {"rule": rule.id, "agent": shown(agent)})
    return None


def _lowest(rule: Rule) -> str:
    """The least of the roles that a person needs one of."""
    return min(rule.roles, key=ROLES.index)


def _name_matches(name: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.ASCII) is not None


def _surroundings(directory: Type | None, cwd: str) -> Sentence | None:
    """Why the rule does not run in this directory."""
    if not cwd:
        return None
    try:
        if directory is not None and directory.fit(cwd, "") == cwd:
            return None
    except Misfit as misfit:
        return misfit.sentence
    return Sentence("policy_directory_misfit", {"directory": shown(cwd)})


def _environment(
    policy: Policy, fixed: tuple[tuple[str, str], ...], env: Collection[tuple[str, str]]
) -> Sentence | None:
    """Why the step may not set what it sets."""
    names = dict(fixed)
    for name, value in env:
        if names.get(name) == value:
            continue
        if name in names or name not in policy.environment:
            return Sentence("policy_variable", {"name": shown(name)})
        try:
            policy.environment[name].fit(value, "")
        except Misfit as misfit:
            return Sentence("policy_variable_value", {"name": shown(name), "why": misfit.sentence})
        names[name] = value
    return None


def _nearest(why: Sentence, rule: Rule) -> Sentence:
    return Sentence("policy_nearest", {"why": why, "rule": rule.id, "usage": usage(rule)})


def _unknown_program(policy: Policy, argv: Sequence[str]) -> Sentence:
    program = argv[0]
    why = Sentence("policy_program_unknown", {"program": shown(program)})
    base = posixpath.basename(program)
    if base in policy.by_name:
        rule = policy.by_name[base][0]
        values = {"program": shown(program), "name": base, "path": rule.program.path}
        return _nearest(Sentence("policy_program_other_path", values), rule)
    for rule in _near_rules(policy, base[:64]):
        return _nearest(why, rule)
    return why


def _near_rules(policy: Policy, name: str) -> Iterator[Rule]:
    """Rules that the name may have been meant for: by sub-command, then by spelling."""
    for rule in policy.rules:
        if rule.words and rule.words[-1].canonical(name):
            yield rule
    for close in difflib.get_close_matches(name, policy.by_name, n=1, cutoff=0.7):
        yield policy.by_name[close][0]
