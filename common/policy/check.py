"""Allow, ask or deny: a pure function of rules and argument vector, with the nearest rule told.

The verdict looks at nothing but its arguments: no file system, no clock, no environment. It is the same on the hub that
asks for it and on the machine that checks it again. Default deny: what no rule lets through does not run.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from common.catalogue import Sentence
from common.plan import BadPlan, check_argv
from common.policy.machine_checks import NO_CHECKS, MachineChecks
from common.policy.match import RuleMatch, forbids, match_rule
from common.policy.rules import RESTRICTING, DenyRule, Idempotence, Policy, Rule, Script, VerdictKind, usage
from common.policy.types import InvalidValue, ValueType, display_word
from common.policy.windows import any_holds, holds_from, holds_until, now_words
from common.roles import rank
from common.text import clean

__all__ = [
    "DEFAULT_RULE",
    "Policy",
    "Rule",
    "Verdict",
    "VerdictKind",
    "applies_to_machine",
    "applies_to_roles",
    "check",
    "find_deny_rule",
    "merge_verdicts",
    "usage",
]

DEFAULT_RULE: Final = "default"
"""The rule named in a verdict that no rule gave."""
SHORT_NAME: Final = 3
_BY_STRICTNESS: Final[tuple[VerdictKind, ...]] = ("allow", "ask", "deny")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says to one argument vector for one person on one machine."""

    kind: VerdictKind
    reason: Sentence
    rule: str  # the rule's id, "default" where none decided
    argv: tuple[str, ...] = ()  # what would run: absolute program, inserted options; () when denied
    env: tuple[tuple[str, str], ...] = ()  # sorted; what it would have beside the runner's own environment
    approvers: int = 0  # how many people must say yes; at least 1 with `ask`, else 0
    second_factor: bool = False
    own_approval: bool = False  # the one who asks may be one of them
    time_limit: int | None = None  # seconds; None: the plan's own
    output_cap: int | None = None  # bytes; None: the plan's own
    script: Script | None = None  # which of the words of `argv` is a script that is shipped with the order
    checks: MachineChecks = NO_CHECKS  # what the machine has to look at before the start
    wake: bool = False  # a machine that sleeps is woken for it
    idempotent: Idempotence = ""  # what is unknown is tried again
    until: float | None = None  # when another verdict may be due, by the windows of rules; None: no window matters


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
    now: float | None = None,
) -> Verdict:
    """The verdict on `argv` for someone with `roles` on the machine `agent` with `labels`.

    `now` is the moment for which it is asked, for rules that hold at some times; where it is None they permit nothing
    and forbid what they forbid. Outside its windows a permission is as if it were not there, but nothing easier than it
    takes its place: what it lets through is denied then, or decided by a later rule that is at least as strict.

    `env` is what the step sets by itself. A tainted plan, one that text from no person took part in, is never allowed
    without a person's yes. A vector that was resolved by an earlier check gets the same verdict again.
    """
    try:
        check_argv(argv)
    except BadPlan as error:
        return _deny(Sentence("policy_bad_argv", {"detail": str(error)}))
    if policy.closed is not None:
        return _deny(policy.closed)
    deny = find_deny_rule(policy, argv[0])
    if deny is not None and not _is_permitted_script(policy, deny, argv, cwd):
        values = {"program": display_word(argv[0]), "about": deny.about}
        return _deny(Sentence("policy_program_denied", values), deny.id)
    for rule in policy.denying.get(argv[0], ()):
        if _denies_now(rule, now) and forbids(rule, argv, cwd) and not _scope_objection(rule, roles, agent, labels):
            return _deny(Sentence("policy_rule_denies", {"rule": rule.id, "about": rule.about}), rule.id)
    best: tuple[int, Sentence, Rule] | None = None
    outside: list[Rule] = []  # that let it through at another time
    for rule in policy.by_name.get(argv[0], ()):
        if rule.verdict == "deny":
            continue
        found = match_rule(rule, argv, cwd)
        if isinstance(found, RuleMatch):
            refusal = _scope_objection(rule, roles, agent, labels) or _directory_objection(rule.program.directory, cwd)
            refusal = refusal or _environment_objection(policy, rule.env, env)
            if refusal is None and rule.when and (now is None or not any_holds(rule.when, now)):
                refusal = _outside(rule, now)
                outside.append(rule)
            elif refusal is None and outside and not all(_no_easier(rule, other) for other in outside):
                break
            if refusal is None and found.argv != tuple(argv):
                # What counts is what would run, and a rule further up may have something to say about that.
                return check(
                    policy,
                    found.argv,
                    roles=roles,
                    agent=agent,
                    labels=labels,
                    cwd=cwd,
                    env=env,
                    tainted=tainted,
                    now=now,
                )
            if refusal is None:
                verdict = _verdict(policy, rule, found, env, tainted)
                return replace(verdict, until=_until(policy, rule, argv, cwd, now)) if policy.has_windows else verdict
            progress = len(argv) + 1
        else:
            progress, refusal = found.progress, found.reason
        if best is None or progress > best[0]:
            best = (progress, refusal, rule)
    if outside:
        return _deny(_outside(outside[0], now), outside[0].id)
    if best is not None:
        return _deny(_with_nearest_rule(best[1], best[2]))
    if policy.default == "allow":
        return _allow_by_default(policy, argv, cwd, env, tainted)
    return _deny(_unknown_program(policy, argv))


def _denies_now(rule: Rule, now: float | None) -> bool:
    return not rule.when or now is None or any_holds(rule.when, now)


def _no_easier(rule: Rule, other: Rule) -> bool:
    """Whether the rule asks for at least what the other one does."""
    if rule.verdict != "ask":
        return other.verdict != "ask"
    return other.verdict != "ask" or (
        rule.approvers >= other.approvers
        and rule.second_factor >= other.second_factor
        and rule.critical >= other.critical
        and rule.own_approval <= other.own_approval
    )


def _outside(rule: Rule, now: float | None) -> Sentence:
    windows = clean(", ".join(window.text for window in rule.when), limit=200)
    if now is None:
        return Sentence("policy_outside_unknown", {"rule": rule.id, "windows": windows})
    return Sentence("policy_outside", {"rule": rule.id, "windows": windows, "now": now_words(rule.when, now)})


def _until(policy: Policy, rule: Rule, argv: Sequence[str], cwd: str, now: float | None) -> float | None:
    """Until when a verdict holds: the end of the rule's windows, or the beginning of those of a denial."""
    if now is None:
        return None
    moments = [holds_until(rule.when, now)] if rule.when else []
    moments += [
        holds_from(one.when, now) for one in policy.denying.get(argv[0], ()) if one.when and forbids(one, argv, cwd)
    ]
    return min(moments, default=None)


def find_deny_rule(policy: Policy, program: str) -> DenyRule | None:
    """The deny that names the program."""
    return next((one for one in policy.denies if program in one.programs or _any_name(program, one.names)), None)


def _is_permitted_script(policy: Policy, deny: DenyRule, argv: Sequence[str], cwd: str) -> bool:
    """A denial by name is of what people ask a program to run; a script that a rule knows by its content is no such
    thing. One of the program's path, or of the script's name, counts for the script too.
    """
    if argv[0] in deny.programs:
        return False
    for rule in policy.by_name.get(argv[0], ()):
        script = rule.script
        if script is not None and isinstance(match_rule(rule, argv, cwd), RuleMatch):
            program = rule.program.path
            return not any(program in one.programs or _any_name(script.name, one.names) for one in policy.denies)
    return False


def applies_to_roles(rule: Rule, roles: Collection[str]) -> bool:
    """Whether the rule is for people with these roles."""
    needed = rank(_lowest_role(rule))
    return any(rank(role) >= needed for role in roles)


def applies_to_machine(rule: Rule, agent: str, labels: Mapping[str, str]) -> bool:
    """Whether the rule is for this machine."""
    if rule.agents and not any(_name_matches(agent, pattern) for pattern in rule.agents):
        return False
    return all(labels.get(key) == value for key, value in rule.labels)


def merge_verdicts(a: Verdict, b: Verdict) -> Verdict:
    """One verdict for several steps or machines: the sterner kind, every demand of both, the tighter limits.

    Rule, reason and vector are those of the sterner one, the first where they are alike.
    """
    if "deny" in (a.kind, b.kind):
        return a if a.kind == "deny" else b
    first = a if _BY_STRICTNESS.index(a.kind) >= _BY_STRICTNESS.index(b.kind) else b
    asking = [verdict for verdict in (a, b) if verdict.kind == "ask"]
    merged = replace(
        first,
        approvers=max(a.approvers, b.approvers),
        second_factor=a.second_factor or b.second_factor,
        own_approval=bool(asking) and all(verdict.own_approval for verdict in asking),
        time_limit=min((limit for limit in (a.time_limit, b.time_limit) if limit is not None), default=None),
        output_cap=min((cap for cap in (a.output_cap, b.output_cap) if cap is not None), default=None),
        until=min((until for until in (a.until, b.until) if until is not None), default=None),
    )
    for verdict in asking:
        if _demands(verdict) == _demands(merged):
            return replace(merged, rule=verdict.rule, reason=verdict.reason)
    return replace(merged, reason=_ask_reason(merged.rule, merged)) if asking else merged


def _demands(verdict: Verdict) -> tuple[int, bool, bool]:
    return verdict.approvers, verdict.second_factor, verdict.own_approval


def _verdict(policy: Policy, rule: Rule, found: RuleMatch, env: Collection[tuple[str, str]], tainted: bool) -> Verdict:
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
        script=rule.script,
        checks=MachineChecks(
            policy.denied,
            policy.real_names | rule.real_names,
            rule.sha256,
            found.paths,
            rule.by_descriptor,
            rule.run_as,
            rule.approvers if rule.critical else 0,
        ),
        wake=rule.wake,
        idempotent=rule.idempotent,
    )
    if tainted:
        return _require_approval(verdict)
    return replace(verdict, reason=_ask_reason(rule.id, verdict)) if rule.verdict == "ask" else verdict


def _require_approval(verdict: Verdict) -> Verdict:
    """The verdict on the same in a tainted plan: someone else must look."""
    asked = replace(verdict, kind="ask", approvers=max(1, verdict.approvers), own_approval=False)
    values = {"rule": verdict.rule, "approvers": asked.approvers}
    if asked.second_factor:
        return replace(asked, reason=Sentence("policy_asks_tainted_factor", values))
    return replace(asked, reason=Sentence("policy_asks_tainted", values))


def _ask_reason(rule: str, verdict: Verdict) -> Sentence:
    values = {"rule": rule, "approvers": verdict.approvers}
    if verdict.second_factor and verdict.own_approval:
        return Sentence("policy_asks_own_factor", values)
    if verdict.second_factor:
        return Sentence("policy_asks_factor", values)
    return Sentence("policy_asks_own" if verdict.own_approval else "policy_asks", values)


def _deny(reason: Sentence, rule: str = DEFAULT_RULE) -> Verdict:
    return Verdict("deny", reason, rule)


def _allow_by_default(
    policy: Policy, argv: Sequence[str], cwd: str, env: Collection[tuple[str, str]], tainted: bool
) -> Verdict:
    """A machine's own policy may say yes to whatever the hub has resolved; never to a name that PATH would decide."""
    program = argv[0]
    if not program.startswith("/") or posixpath.normpath(program) != program or program.startswith("//"):
        return _deny(Sentence("policy_program_not_absolute", {"program": display_word(program)}))
    if cwd and (not cwd.startswith("/") or posixpath.normpath(cwd) != cwd or cwd.startswith("//")):
        return _deny(Sentence("policy_directory_misfit", {"directory": display_word(cwd)}))
    refusal = _environment_objection(policy, (), env)
    if refusal is not None:
        return _deny(refusal)
    reason = Sentence("policy_allowed_by_default", {"program": display_word(program)})
    checks = MachineChecks(policy.denied, policy.real_names)
    verdict = Verdict("allow", reason, DEFAULT_RULE, tuple(argv), tuple(sorted(set(env))), checks=checks)
    return _require_approval(verdict) if tainted else verdict


def _any_name(program: str, names: frozenset[str]) -> bool:
    """Whether a deny names the program: `python` also names `python3.11`, in whatever folder and case."""
    base = posixpath.basename(program).lower()
    return base in names or base.rstrip("0123456789.-") in names


def _scope_objection(rule: Rule, roles: Collection[str], agent: str, labels: Mapping[str, str]) -> Sentence | None:
    """Why the rule is not for these people or this machine."""
    if not applies_to_roles(rule, roles):
        return Sentence("policy_role", {"rule": rule.id, "role": _lowest_role(rule)})
    if not applies_to_machine(rule, agent, labels):
        return Sentence("policy_machine", {"rule": rule.id, "agent": display_word(agent)})
    return None


def _lowest_role(rule: Rule) -> str:
    """The least of the roles that a person needs one of."""
    return min(rule.roles, key=rank)


def _name_matches(name: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.ASCII) is not None


def _directory_objection(directory: ValueType | None, cwd: str) -> Sentence | None:
    """Why the rule does not run in this directory."""
    if not cwd:
        return None
    try:
        if directory is not None and directory.normalize(cwd, "") == cwd:
            return None
    except InvalidValue as misfit:
        return misfit.sentence
    return Sentence("policy_directory_misfit", {"directory": display_word(cwd)})


def _environment_objection(
    policy: Policy, fixed: tuple[tuple[str, str], ...], env: Collection[tuple[str, str]]
) -> Sentence | None:
    """Why the step may not set what it sets."""
    names = dict(fixed)
    for name, value in env:
        if names.get(name) == value or (name, value) in RESTRICTING:
            continue
        if name in names or name not in policy.environment:
            return Sentence("policy_variable", {"name": display_word(name)})
        try:
            policy.environment[name].normalize(value, "")
        except InvalidValue as misfit:
            return Sentence("policy_variable_value", {"name": display_word(name), "why": misfit.sentence})
        names[name] = value
    return None


def _with_nearest_rule(why: Sentence, rule: Rule) -> Sentence:
    return Sentence("policy_nearest", {"why": why, "rule": rule.id, "usage": usage(rule)})


def _unknown_program(policy: Policy, argv: Sequence[str]) -> Sentence:
    program = argv[0]
    why = Sentence("policy_program_unknown", {"program": display_word(program)})
    base = posixpath.basename(program)
    if base in policy.by_name:
        rule = policy.by_name[base][0]
        values = {"program": display_word(program), "name": base, "path": rule.program.path}
        return _with_nearest_rule(Sentence("policy_program_other_path", values), rule)
    for rule in _near_rules(policy, base[:64]):
        return _with_nearest_rule(why, rule)
    return why


def _near_rules(policy: Policy, name: str) -> Iterator[Rule]:
    """Rules that the name may have been meant for: by sub-command, then by spelling. In a name of three letters or
    fewer only swapped and doubled ones are a slip: `rm` is not one for `rpm`.
    """
    for rule in policy.rules:
        if rule.verdict != "deny" and rule.words and rule.words[-1].canonical(name):
            yield rule
    if len(name) <= SHORT_NAME:
        slips = (one for one in policy.by_name if set(one) == set(name) and abs(len(one) - len(name)) <= 1)
        yield from (policy.by_name[one][0] for one in slips if one != name)
        return
    from difflib import get_close_matches  # for whoever is told of the nearest rule

    for close in get_close_matches(name, policy.by_name, n=1, cutoff=0.7):
        yield policy.by_name[close][0]
