"""A rule that asks, narrowed to what people said yes to."""

from __future__ import annotations

import pytest

from common.policy.check import check
from common.policy.file import load_policy_bytes
from hub.cli.policy_learn import with_proposal
from tests.hub.core.learning.histories import DEFAULTS, asked, learn_from, policy_file

HEAD = 'default = "deny"\n[programs.tool]\npath = "/usr/bin/tool"\ninsert = ["--safe"]\n'
RULE = """
[[rule]]
id = "tool-show"
about = "shows things"
program = "tool"
verdict = "ask"
words = ["show list"]
insert = ["--no-pager"]
flags = ["-l --long", "-a"]
arguments = [{ name = "FILE", type = "any", of = ["places", "word"], min = 0, max = 3 }]
end_of_options = true
env = { LC_ALL = "C" }
time_limit = 30
[rule.options]
"-n --lines" = { type = "integer", minimum = 1, maximum = 100, default = "10" }
[types.places]
type = "path"
beneath = ["/srv"]
"""
ASKS = HEAD + RULE
SHOW = "/usr/bin/tool --safe show --no-pager"


def verdicts(text: str, *lines: str, agent: str = "web-1") -> list[str]:
    policy = load_policy_bytes(text.encode(), "policy.toml")
    return [check(policy, line.split(), roles=("operator",), agent=agent, labels={}).kind for line in lines]


def test_what_people_said_yes_to_is_allowed_and_nothing_else() -> None:
    """The rule keeps what it inserts and sets; what was not approved is asked about as before."""
    seen = asked(f"{SHOW} -l -n 20 -- /srv/a", 3, "approved") + asked(f"{SHOW} -l -n 20 -- /srv/b", 4, "approved")
    learned = learn_from(ASKS, seen, reads=frozenset({"tool-show"}))
    (one,) = learned.proposals
    assert (one.verdict, one.before, one.requests, one.approvers) == ("allow", "tool-show", 7, ("ann", "bob"))
    text = with_proposal(ASKS, one)
    assert verdicts(
        text, "tool show -l -n 20 /srv/a", "tool list --long -n 20 /srv/b", f"{SHOW} -l -n 20 -- /srv/b"
    ) == (["allow"] * 3)
    others = (
        "tool show -l /srv/a",
        "tool show -l -a -n 20 /srv/a",
        "tool show -l -n 20 /srv/c",
        "tool show -n 20 /srv/a",
    )
    assert verdicts(text, *others) == ["ask"] * 4
    assert verdicts(text, "tool show -l -n 20 /srv/a", agent="web-2") == ["ask"]
    made = load_policy_bytes(text.encode(), "policy.toml").rules[0]
    assert (made.insert, made.env, made.time_limit, made.approvers) == (("--no-pager",), (("LC_ALL", "C"),), 30, 0)


def test_what_a_default_adds_is_learned_with_it() -> None:
    """People typed no number: the vector that ran has the rule's, and so has what is allowed."""
    learned = learn_from(ASKS, asked(f"{SHOW} -n 10", 5, "approved"), reads=frozenset({"tool-show"}))
    assert verdicts(with_proposal(ASKS, learned.proposals[0]), "tool show", "tool show -n 11") == ["allow", "ask"]


@pytest.mark.parametrize(
    ("rule", "evidence", "why"),
    [
        (RULE, asked(SHOW + " -n 10", 4, "approved"), "4 approvals; 5 are needed"),
        (RULE, asked(SHOW + " -n 10", 9, "approved", approvers=("ann",)), "each command needs 2 people"),
        (RULE, asked(SHOW + " -n 10", 9, "approved") + asked(SHOW + " -n 10", 1, "rejected"), "refused it 1 times"),
        (RULE, asked(SHOW + " -n 10", 9, "other"), "each command needs 2 people"),
        (RULE.replace('"ask"', '"ask"\nsecond_factor = true'), asked(SHOW + " -n 10", 9, "approved"), "more than one"),
        (RULE.replace('"ask"', '"ask"\napprovers = 2'), asked(SHOW + " -n 10", 9, "approved"), "more than one"),
        (RULE.replace('"ask"', '"ask"\ncritical = true'), asked(SHOW + " -n 10", 9, "approved"), "more than one"),
        (RULE.replace('"ask"', '"ask"\nrun_as = "root"'), asked(SHOW + " -n 10", 9, "approved"), "as root"),
    ],
)
def test_less_than_enough_is_not_learned_from(rule: str, evidence: list, why: str) -> None:  # type: ignore[type-arg]
    """Trust: too few, too few people, a single no, or a rule that wants more than a yes keep it asking."""
    learned = learn_from(HEAD + rule, evidence, reads=frozenset({"tool-show"}))
    assert learned.proposals == ()
    assert why in learned.skipped[0].why


def test_only_what_reads_is_allowed() -> None:
    """Trust: without an admin's word only what the machines' profile lets run; restarting is never that."""
    restart = asked("/usr/bin/systemctl restart --no-ask-password nginx.service", 50, "approved")
    text = policy_file(ASKS).text
    assert learn_from(text, asked(SHOW + " -n 10", 50, "approved")).proposals == ()
    assert learn_from(DEFAULTS, restart).proposals == ()
    allows = 'program = "/usr/bin/uptime"\nverdict = "allow"'
    asking = DEFAULTS.replace(allows, allows.replace("allow", "ask"))
    assert asking != DEFAULTS
    (one,) = learn_from(asking, asked("/usr/bin/uptime -p", 5, "approved")).proposals
    assert one.verdict == "allow"


def test_what_too_few_said_yes_to_does_not_ride_along() -> None:
    """Trust: beside fifty approvals of one command stands one of another, and one that nobody answered."""
    seen = asked(SHOW + " -n 10 -- a", 50, "approved") + asked(SHOW + " -n 10 -- b", 1, "approved")
    seen += asked(SHOW + " -n 10 -- c", 9, "other")
    (one,) = learn_from(ASKS, seen, reads=frozenset({"tool-show"})).proposals
    text = with_proposal(ASKS, one)
    assert verdicts(text, *(f"tool show {word}" for word in "abc")) == ["allow", "ask", "ask"]


def test_values_and_machines_do_not_multiply() -> None:
    """Trust: a on web-1 and b on web-2 make two rules, not a rule for b on web-1."""
    seen = asked(SHOW + " -n 10 -- a", 5, "approved") + asked(SHOW + " -n 10 -- b", 5, "approved", agent="web-2")
    found = learn_from(ASKS, seen, reads=frozenset({"tool-show"})).proposals
    text = with_proposal(with_proposal(ASKS, found[0]), found[1])
    assert verdicts(text, "tool show a", "tool show b") == ["allow", "ask"]
    assert verdicts(text, "tool show a", "tool show b", agent="web-2") == ["ask", "allow"]
