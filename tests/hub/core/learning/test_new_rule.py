"""A rule that asks, for what no rule is about."""

from __future__ import annotations

import pytest

from common.policy.check import check
from common.policy.file import load_policy_bytes
from hub.cli.policy_learn import with_proposal
from tests.hub.core.learning.histories import DEFAULTS, asked, learn_from

EMPTY = 'default = "deny"\n'


def test_what_is_asked_again_and_again_gets_a_rule_that_asks() -> None:
    """With what was seen, on the machines of then; everything else of the program stays denied."""
    seen = asked("/usr/bin/certbot certificates --cert-name=www", 3) + asked(
        "/usr/bin/certbot certificates --cert-name=api", 2, agent="web-2", start=9
    )
    (one,) = learn_from(EMPTY, seen).proposals
    assert (one.verdict, one.before, one.requests, one.machines) == ("ask", "", 5, ("web-1", "web-2"))
    policy = load_policy_bytes(with_proposal(EMPTY, one).encode(), "policy.toml")

    def kind(*argv: str, agent: str = "web-1") -> str:
        return check(policy, argv, roles=("operator",), agent=agent, labels={}).kind

    assert kind("certbot", "certificates", "--cert-name=api") == "ask"
    assert kind("certbot", "certificates", "--cert-name=api", agent="web-3") == "deny"
    assert kind("certbot", "certificates", "--cert-name=other") == "deny"
    assert kind("certbot", "renew", "--cert-name=api") == "deny"
    assert kind("certbot", "certificates", "--cert-name=api", "--force") == "deny"


def test_a_name_alone_needs_its_path_from_an_admin() -> None:
    """No path is guessed."""
    seen = asked("certbot certificates", 5)
    learned = learn_from(EMPTY, seen)
    assert learned.proposals == ()
    assert "--program NAME=PATH" in learned.skipped[0].why
    (one,) = learn_from(EMPTY, seen, programs={"certbot": "/usr/bin/certbot"}).proposals
    assert one.table["program"] == "/usr/bin/certbot"


def test_first_words_that_are_values_are_counted_together() -> None:
    """`deploy web`, `deploy db`: five requests in all, none of them often by itself."""
    seen = asked("/opt/bin/deploy web", 3) + asked("/opt/bin/deploy db", 2)
    (one,) = learn_from(EMPTY, seen).proposals
    assert "words" not in one.table
    assert one.table["arguments"] == [{"name": "VALUE", "type": "choice", "of": ["db", "web"]}]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/usr/bin/certbot x", "by 1 person (carol)"),
        ("/usr/bin/env certbot", "known as a way"),
        ("/usr/bin/python3.11 x.py", "known as a way"),
        ("/usr/bin/tee /srv/x", "known as a way"),
        ("/usr/bin/find /srv -delete", "known as a way"),
        ("/usr/bin/docker exec web ls", "known as a way"),
        ("/usr/bin/certbot run bash", "what runs anything it is told"),
        ("/tmp/tool x", "does not lie in"),
        ("/usr/bin/../bin/tool x", "does not lie in"),
        ("'/usr/bin/ df' x", "does not lie in"),
        ("/usr/bin/tool --hook=/etc/shadow", "secrets"),
        ("/usr/bin/tool -- x", "form"),
        ("/usr/bin/tool -x=y", "form"),
        ("/usr/bin/tool 'a;id'", "no plain word"),
    ],
)
def test_what_no_rule_is_proposed_for(line: str, why: str) -> None:
    """Trust: what runs or writes something else by what is known of it, odd places, secrets, free text."""
    people = ("carol",) if "certbot x" in line else ("carol", "dave")
    learned = learn_from(EMPTY, asked(line, 1000, people=people))
    assert learned.proposals == ()
    assert why in learned.skipped[0].why


def test_a_denial_and_a_rule_for_others_are_not_worked_around() -> None:
    """Trust: what is denied by name, or allowed to other people or on other machines, stays so."""
    denied = EMPTY + 'deny = ["tool"]\n'
    assert "denies it" in learn_from(denied, asked("/usr/bin/tool x", 50)).skipped[0].why
    rule = '[[rule]]\nid = "t"\nabout = "x"\nprogram = "/usr/bin/tool"\nverdict = "ask"\nwords = ["x"]\n'
    for scope in ('roles = ["admin"]', 'agents = ["db-*"]', 'labels = { role = "db" }'):
        learned = learn_from(f"{EMPTY}{rule}{scope}\n", asked("/usr/bin/tool x", 50))
        assert learned.proposals == ()
        assert "for other people, machines" in learned.skipped[0].why


def test_a_program_of_the_policy_keeps_what_its_table_says() -> None:
    """An option more of a program with a table of its own gets a rule of that table, with what it inserts and sets."""
    (one,) = learn_from(DEFAULTS, asked("/usr/bin/git var GIT_EDITOR", 5)).proposals
    assert one.table["program"] == "git"
    made = load_policy_bytes(with_proposal(DEFAULTS, one).encode(), "policy.toml").rules[-1]
    assert made.program.repository
    assert made.env


def test_a_program_of_a_known_name_in_another_folder_is_told() -> None:
    """The file would not read: `df` would mean two programs."""
    learned = learn_from(DEFAULTS, asked("/opt/bin/df x", 5))
    assert learned.proposals == ()
    assert "the name of another program" in learned.skipped[0].why
