"""Denials by name alone, as elements of a file; types, programs and rules are tried whole in test_file.py."""

from __future__ import annotations

import pytest

from common.errors import UserError
from common.policy.check import check
from common.policy.elements import NO_REASON, ElementParser, deny_rule
from common.policy.file import load_policy_bytes, read_policy
from common.policy.rules import REPOSITORY
from common.policy.table import PolicyMistake, TableReader

HEAD = b'default = "allow"\n'


def verdict(text: str, *argv: str, agent: str = "web-1", cwd: str = "") -> str:
    policy = load_policy_bytes(HEAD + text.encode(), "policy.toml")
    return check(policy, argv, roles=("admin",), agent=agent, labels={}, cwd=cwd).kind


def test_a_denial_needs_no_id_and_no_reason() -> None:
    """It gets an id from its place."""
    deny = ElementParser().parse_deny(TableReader("policy.toml", "deny 3", {"names": ["rm"]}))
    assert (deny.id, deny.about, deny.names) == ("deny-3", NO_REASON, {"rm"})
    with pytest.raises(PolicyMistake, match="names: missing"):
        ElementParser().parse_deny(TableReader("policy.toml", "deny 3", {"about": "x"}))


@pytest.mark.parametrize("path", ["/usr/bin/x", "/bin/x"])
def test_a_path_is_denied_in_both_folders_that_are_one(path: str) -> None:
    """/bin is /usr/bin by a link: who denies one means both; no other folder."""
    denies = f'deny = ["{path}"]\n'
    assert [verdict(denies, one) for one in ("/usr/bin/x", "/bin/x", "/opt/x")] == ["deny", "deny", "allow"]
    assert deny_rule("d", "", ["/usr/sbin/x"], []).programs == {"/usr/sbin/x", "/sbin/x"}


RULE = '[[rule]]\nprogram = "/usr/bin/systemctl"\nverdict = "deny"\n'


def test_a_rule_that_names_a_program_alone_denies_whatever_follows() -> None:
    """Without id, reason or words: with any arguments, in any directory; other programs are not meant."""
    for argv in (("/usr/bin/systemctl",), ("/usr/bin/systemctl", "restart", "x"), ("/usr/bin/systemctl", "--help")):
        assert verdict(RULE, *argv) == verdict(RULE, *argv, cwd="/srv") == "deny"
    assert verdict(RULE, "/usr/bin/df") == "allow"


def test_a_rule_that_names_a_sub_command_denies_it_with_whatever_follows() -> None:
    """Options before and after it make no difference; other sub-commands have no rule that lets them through."""
    allow = '[[rule]]\nid = "all"\nabout = "x"\nprogram = "/usr/bin/systemctl"\nverdict = "allow"\n'
    allow += 'words = ["restart|status"]\nflags = ["--now"]\nanywhere = true\n'
    allow += 'arguments = [{ name = "UNIT", type = "word", min = 0 }]\n'
    policy = allow + RULE + 'words = ["restart"]\n'
    for words in (("restart", "x"), ("--now", "restart", "x"), ("restart", "--now", "x")):
        assert verdict(allow, "/usr/bin/systemctl", *words) == "allow"
        assert verdict(policy, "/usr/bin/systemctl", *words) == "deny"
    assert verdict(policy, "/usr/bin/systemctl", "status", "restart") == "allow"


def test_a_rule_that_denies_counts_wherever_it_stands() -> None:
    """Also behind the rule that would let it through; only on the machines that it names."""
    allow = '[[rule]]\nid = "all"\nabout = "x"\nprogram = "/usr/bin/df"\nverdict = "allow"\n'
    deny = '[[rule]]\nprogram = "/usr/bin/df"\nverdict = "deny"\nagents = ["db-*"]\n'
    for text in (allow + deny, deny + allow):
        assert verdict(text, "df", agent="db-1") == "deny"
        assert verdict(text, "df", agent="web-1") == "allow"


def test_a_program_that_wants_a_repository_runs_with_the_variable_that_says_so() -> None:
    """Trust: `repository = true` travels with the order as a variable, so that it is signed and compared."""
    git = ElementParser().parse_program(
        TableReader("policy.toml", "programs git", {"path": "/usr/bin/git", "repository": True, "env": {"A": "1"}}),
        "git",
    )
    assert git.env == (("A", "1"), REPOSITORY)


def test_canonical_spellings_are_for_programs_without_clusters() -> None:
    """Where letters stand in clusters there is nothing to write anew; in a rule the key belongs to the program."""
    table = TableReader("policy.toml", "programs x", {"path": "/usr/bin/x", "canonical": True})
    with pytest.raises(PolicyMistake, match="canonical: means nothing"):
        ElementParser().parse_program(table, "x")
    text = """[programs.x]
path = "/usr/bin/x"
[[rule]]
id = "x"
about = "x"
program = "x"
verdict = "allow"
repository = true
"""
    with pytest.raises(UserError, match=r"repository: belongs to \[programs.x\]"):
        load_policy_bytes(text.encode(), "policy.toml")


def test_a_mistake_elsewhere_in_a_rule_makes_no_known_key_unknown() -> None:
    """While a broken rule is read on, `required` and `exclusive` are still keys of it."""
    text = 'default = "deny"\n[[rule]]\nid = "x"\nabout = "x"\nprogram = "/usr/bin/x"\nverdict = "no"\nflags = ["-a"]\n'
    reading = read_policy((text + 'required = ["-a"]\nexclusive = ["-a"]\n').encode(), "policy.toml")
    assert len(reading.problems) == 1
    assert "verdict" in reading.problems[0]
