"""`python -m tests.canaries.report`: the default policy on the canary machine, as a table.

A line for each rule that allows: how many invocations were made from its grammar, how many of them the policy allows,
how many were run and how many the machine refused; and what was found. Ends with 1 where anything was.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.policy.check import Policy
from tests.canaries.judge import Finding, all_findings
from tests.canaries.machine import Invocation, Tried, absent, made_for, missing, try_all
from tests.hub.planning.defaults import default_policy

KINDS = ("leak", "program", "write", "connection", "hang")


@dataclass(frozen=True)
class Report:
    made: list[Invocation]
    tried: list[Tried]
    findings: list[Finding]

    def lines(self) -> Iterator[str]:
        made = Counter(each.rule for each in self.made)
        allowed = Counter(each.rule for each in self.made if each.verdict.kind == "allow")
        run = Counter(each.made.rule for each in self.tried if not each.refused)
        refused = Counter(each.made.rule for each in self.tried if each.refused)
        found = Counter((each.tried.made.rule, each.kind) for each in self.findings)
        yield f"{'rule':28}" + "".join(
            f"{name:>12}" for name in ("made", "allowed", "run", "refused", *(f"{k}s" for k in KINDS))
        )
        for rule in made:
            cells = (made[rule], allowed[rule], run[rule], refused[rule], *(found[rule, kind] for kind in KINDS))
            yield f"{rule:28}" + "".join(f"{cell:12}" for cell in cells)
        kinds = Counter(each.kind for each in self.findings)
        sums = (made.total(), allowed.total(), run.total(), refused.total(), *(kinds[kind] for kind in KINDS))
        yield f"{'all':28}" + "".join(f"{cell:12}" for cell in sums)


def examine(policy: Policy, count: int, seed: int, rules: Sequence[str] = ()) -> Report:
    """`count` allowed invocations of every rule with the verdict allow, or of those that are named."""
    chosen = [rule for rule in policy.rules if rule.verdict == "allow" and (not rules or rule.id in rules)]
    made = [one for rule in chosen for one in made_for(policy, rule, count, seed)]
    tried = try_all(made)
    return Report(made, tried, all_findings(tried))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.canaries.report", description=__doc__.partition("\n\n")[0])
    parser.add_argument("rules", nargs="*", help="ids of rules; without any, all that allow")
    parser.add_argument("--count", type=int, default=20, help="allowed invocations of each rule (20)")
    parser.add_argument("--seed", type=int, default=1, help="other seeds make other invocations (1)")
    given = parser.parse_args()
    if why := missing():
        print(f"the canary machine cannot be built here: {why}", file=sys.stderr)
        return 2
    policy = default_policy()
    report = examine(policy, given.count, given.seed, given.rules)
    print("\n".join(report.lines()))
    print(f"not installed here, so not run: {', '.join(absent(policy)) or 'nothing'}")
    for finding in report.findings[:50]:
        print(finding)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
