"""Denials by name alone, as elements of a file; types, programs and rules are tried whole in test_file.py."""

from __future__ import annotations

import pytest

from common.policy.check import check
from common.policy.elements import NO_REASON, ElementParser, deny_rule
from common.policy.file import load_policy_bytes
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
