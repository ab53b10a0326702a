"""Rules proposed from what was asked and what people said to it, for an admin to review. Pure.

Two kinds of proposals, each no wider than its evidence:

    allow   what a rule asks about, and people said yes to again and again: the same rule with only the sub-command,
            options and values that were seen, so it lets nothing through that this one does not. Only where it reads
            and nothing else: the machines' profile `read-only` lets it run, or an admin says so of the rule.
    ask     what no rule is about, asked for again and again: a new rule with exactly those options, values
            generalised as `values` does, on the machines that it was asked for.

History is what people wrote, so it may be hostile: how often something stands there makes no proposal wider. Denials,
rules for other people or machines, what asks for a code or several people, programs that run what they are told and
what the list of escapes knows are never worked around.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from common.errors import UserError
from common.policy.check import Policy, Verdict, check
from common.policy.escapes import find_escapes
from hub.core.learning.narrow import exact_groups, narrow_rule, read_asked, shape_of
from hub.core.learning.new_rule import NewShape, find_shape, new_rule, pooled
from hub.core.learning.proposal import Evidence, Group, Learned, PolicyText, Proposal, Skipped, Terms
from hub.core.learning.values import NotLearned

MAX_PROPOSALS: Final = 40


def learn(
    text: PolicyText,
    evidence: Iterable[Evidence],
    terms: Terms,
    read_only: Policy,
    with_rule: Callable[[Proposal], Policy],
) -> Learned:
    """What can be proposed. `read_only` is the machines' profile; `with_rule` is the policy with a proposal in its
    place, and raises UserError where that does not read.
    """
    asked = dict[tuple[str, object], Group]()
    unknown = dict[NewShape, Group]()
    skipped = dict[tuple[str, str], tuple[set[str], str]]()

    def skip(row: Evidence, kind: str, why: str) -> None:
        requests, _ = skipped.setdefault((kind, why), (set(), shlex.join(row.argv)))
        requests.add(row.request)

    for row in evidence:
        verdict = _verdict(text.policy, row)
        try:
            if verdict.kind == "ask":
                reading = read_asked(text.policy, verdict, row)
                key = (verdict.rule, shape_of(reading))
                asked.setdefault(key, Group()).rows.append((row, verdict.argv))
            elif verdict.kind == "deny":
                shape = find_shape(text, row, verdict, terms)
                unknown.setdefault(shape, Group()).rows.append((row, row.argv))
        except NotLearned as why:
            skip(row, row.argv[0], str(why))
    found: list[Proposal] = []

    def propose(make: Callable[[], Proposal], group: Group) -> None:
        try:
            proposal = make()
            _verify(with_rule(proposal), proposal, group)
            found.append(proposal)
        except NotLearned as why:
            skip_group(group, str(why))
        except UserError as error:
            skip_group(group, f"the rule would not read: {error.problem}")

    def skip_group(group: Group, why: str) -> None:
        for row, argv in group.rows:
            skip(row, shlex.join(argv[:2]), why)

    rules = {rule.id: rule for rule in text.policy.rules}
    for (rule_id, _), group in sorted(asked.items(), key=lambda one: -len(one[1].requests)):
        try:
            for one in exact_groups(rules[rule_id], group, terms):
                propose(partial(narrow_rule, text, rules[rule_id], one, terms, read_only), one)
        except NotLearned as why:
            skip_group(group, str(why))
    for group in pooled(unknown, terms):
        propose(partial(new_rule, text, group, terms), group)
    found = sorted({one.id: one for one in found}.values(), key=lambda one: (-one.requests, one.id))
    rest = [Skipped(example, len(requests), why) for (_, why), (requests, example) in skipped.items()]
    return Learned(tuple(found[:MAX_PROPOSALS]), tuple(sorted(rest, key=lambda one: (-one.requests, one.command))))


def _verdict(policy: Policy, row: Evidence) -> Verdict:
    return check(
        policy.widest, row.argv, roles=row.roles, agent=row.agent, labels=dict(row.labels), cwd=row.cwd, env=row.env
    )


def _verify(policy: Policy, proposal: Proposal, group: Group) -> None:
    """Raises NotLearned unless the rule decides what it was made from, and lets no known escape through."""
    rule = next((rule for rule in policy.rules if rule.id == proposal.id), None)
    if rule is None:
        raise NotLearned("the rule is not there")
    if find_escapes(Policy(rules=(rule,), environment=policy.environment)):
        raise NotLearned("the rule would let a known escape through")
    policy = policy.widest
    for row, argv in group.rows:
        vector = argv if argv[0].startswith("/") else (rule.program.path, *argv[1:])
        verdict = check(
            policy, vector, roles=row.roles, agent=row.agent, labels=dict(row.labels), cwd=row.cwd, env=row.env
        )
        if (verdict.rule, verdict.kind) != (proposal.id, proposal.verdict):
            raise NotLearned(f"another rule would decide it all the same ({verdict.rule})")
