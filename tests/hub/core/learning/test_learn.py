"""Whatever stands in the history: no attack that is known is ever allowed by what is learned from it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from common.command.grammar import BadLine, tokenize
from common.policy.check import Policy, check
from common.policy.escapes import _LINES, SECRETS, find_escapes
from common.policy.file import load_policy_bytes
from common.roles import ROLES
from hub.cli.policy_learn import with_proposal
from hub.core.learning.learn import MAX_PROPOSALS
from hub.core.learning.proposal import Evidence, Proposal
from tests.hub.cli.test_policy_check import BENIGN, HOSTILE
from tests.hub.core.learning.histories import DEFAULTS, asked, learn_from, policy_file

Argv = tuple[str, ...]


def _vectors(lines: Sequence[str]) -> list[Argv]:
    found = []
    for line in lines:
        try:
            found.append(tuple(tokenize(line)))
        except BadLine:
            continue
    return found


def _paths(argv: Argv) -> Argv:
    """As somebody who wants to be learned from writes it: with the program's path."""
    return argv if argv[0].startswith("/") else (f"/usr/bin/{argv[0]}", *argv[1:])


ESCAPES = [(f"/usr/bin/{name}", *words) for name, lines in _LINES.items() for _, words in lines]
ESCAPES += [("/usr/bin/cat", secret) for secret in SECRETS]
ATTACKS = [*map(_paths, _vectors(HOSTILE)), *ESCAPES]
ASKING = policy_file(DEFAULTS).content.policy
ASK_RULES = frozenset(rule.id for rule in ASKING.rules if rule.verdict == "ask")


@cache
def _before(argv: Argv) -> str:
    return check(ASKING, argv, roles=ROLES, agent="web-1", labels={}).kind


def _with(proposals: Sequence[Proposal]) -> Policy:
    text = DEFAULTS
    for one in proposals:
        text = with_proposal(text, one)
    return load_policy_bytes(text.encode(), "policy.toml")


def _hold(evidence: Sequence[Evidence]) -> int:
    """Learns with every word of an admin that can be had; returns how much was proposed."""
    learned = learn_from(DEFAULTS, evidence, reads=ASK_RULES)
    assert len(learned.proposals) <= MAX_PROPOSALS
    if not learned.proposals:
        return 0
    policy = _with(learned.proposals)
    for argv in ATTACKS:
        now = check(policy, argv, roles=ROLES, agent="web-1", labels={})
        assert now.kind != "allow" or _before(argv) == "allow", argv
    for argv in ESCAPES:
        assert check(policy, argv, roles=ROLES, agent="web-1", labels={}).kind == _before(argv), argv
    assert {one for one in find_escapes(policy) if one.rule.startswith("learned")} == set()
    return len(learned.proposals)


def test_a_thousand_planted_approvals_of_every_attack_allow_none() -> None:
    """Trust: each attack of the kept lists, said yes to a thousand times by two people, and refused as often, beside
    what people ask for every day.
    """
    planted = [row for argv in ATTACKS for row in asked(argv, 6, "approved")]
    planted += [row for argv in ATTACKS for row in asked(argv, 6, start=10)]
    planted += [row for argv in map(_paths, _vectors(BENIGN)) for row in asked(argv, 6, "approved")]
    planted += asked("/usr/bin/docker exec web sh", 1000, "approved")
    assert _hold(planted) > 0


words = st.sampled_from([word for argv in ATTACKS for word in argv[1:]] + ["status", "-l", "20", "/srv/app/x", "nginx"])
programs = st.sampled_from(sorted({argv[0] for argv in ATTACKS} | {"/usr/bin/systemctl", "/usr/bin/tool"}))
made_up = st.tuples(programs, st.lists(words, max_size=4)).map(lambda made: (made[0], *made[1]))
outcomes = st.sampled_from(["approved", "refused", "other"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.sampled_from(ATTACKS), made_up), outcomes, st.integers(1, 40)), max_size=30),
    st.randoms(use_true_random=False),
)
def test_no_history_allows_an_attack(history: list[tuple[Argv, str, int]], shuffle: random.Random) -> None:
    """Trust: attacks, parts of them put together anew, in any number and order, with any outcome."""
    evidence = [row for argv, outcome, times in history for row in asked(argv, times, outcome)]  # type: ignore[arg-type]
    shuffle.shuffle(evidence)
    _hold(evidence)


def test_what_is_allowed_already_and_what_models_wanted_is_not_proposed() -> None:
    """Only what asks, or what no rule is about."""
    learned = learn_from(DEFAULTS, asked("/usr/bin/uptime", 50))
    assert (learned.proposals, learned.skipped) == ((), ())


def test_what_is_not_proposed_is_told_with_its_reason_and_how_often() -> None:
    """The most frequent first."""
    learned = learn_from(DEFAULTS, [*asked("tool x", 3), *asked("/usr/bin/env x", 7)])
    assert [(one.requests, one.command) for one in learned.skipped] == [(7, "/usr/bin/env x"), (3, "tool x")]
