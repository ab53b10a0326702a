"""The parts of a rule by themselves; every slip that they refuse is in test_file.py, through a whole file."""

from __future__ import annotations

import pytest

from common.errors import UserError
from common.policy.file import load_policy_bytes
from common.policy.rule_parts import (
    agent_patterns,
    is_normal_path,
    merge_variables,
    option_sets,
    path_type,
    roles_of,
    sub_command,
)
from common.policy.rules import Option
from common.policy.table import PolicyMistake, TableReader


def table(**data: object) -> TableReader:
    return TableReader("policy.toml", "rule x", data)


def test_a_normal_path() -> None:
    """Absolute and in its shortest form."""
    assert all(map(is_normal_path, ("/", "/usr/bin/df")))
    assert not any(map(is_normal_path, ("", "df", "/usr/../bin/df", "//bin/df", "/bin/", "/bin/./df")))


def test_roles_and_machines_of_a_rule() -> None:
    """Operators and every machine where nothing is said; a slip is refused by name."""
    assert (roles_of(table()), agent_patterns(table())) == ({"operator"}, ())
    assert agent_patterns(table(agents=["web-*"])) == ("web-*",)
    with pytest.raises(PolicyMistake, match="'king' is not a role"):
        roles_of(table(roles=["king"]))
    with pytest.raises(PolicyMistake, match="not a name pattern"):
        agent_patterns(table(agents=["a b"]))


def test_sub_commands_and_variables() -> None:
    """A choice with its spellings; a variable is set in one place."""
    found = sub_command(table(), "?show list|status")
    assert (found.choices, found.optional) == ((("show", "list"), ("status",)), True)
    assert merge_variables(table(), (("A", "1"),), (("B", "2"),)) == (("A", "1"), ("B", "2"))
    with pytest.raises(PolicyMistake, match="sets it already"):
        merge_variables(table(), (("A", "1"),), (("A", "2"),))


def test_sets_of_options() -> None:
    """Each option by one of its spellings, given with all of them; a slip is refused by name."""
    options = (Option(("-f", "--full")), Option(("-o",)))
    assert option_sets(table(exclusive=["-f -o"]), "exclusive", options) == (("-f", "--full", "-o"),)
    with pytest.raises(PolicyMistake, match="exclusive: -x is not an option"):
        option_sets(table(exclusive=["-x"]), "exclusive", options)


def test_a_path_type_refuses_secrets_unless_it_says_so() -> None:
    """`secrets` is false where nothing is said, as `hidden` is."""
    assert not path_type(table(beneath=["/srv"])).secrets
    assert path_type(table(beneath=["/srv"], secrets=True)).secrets


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("[]", "when: not a list of texts"),
        ('["mon 08:00-08:00"]', "when: 'mon 08:00-08:00': begins when it ends"),
        ('"mon 08:00-09:00 Mars/Base"', "when: 'mon 08:00-09:00 Mars/Base': Mars/Base is no time zone"),
        (str([f"mon 08:00-09:{n:02}" for n in range(17)]), "when: more than 16 windows"),
        ("8", "when: not a list of texts"),
    ],
)
def test_windows_that_never_hold_or_are_none_are_told_with_their_line(when: str, problem: str) -> None:
    """An unknown zone, one that ends as it begins, too many: refused as the file is read, so `policy check` tells."""
    text = (
        f'default = "deny"\n[[rule]]\nid = "r"\nabout = "x"\nprogram = "/usr/bin/x"\nverdict = "allow"\nwhen = {when}\n'
    )
    with pytest.raises(UserError) as raised:
        load_policy_bytes(text.encode(), "policy.toml")
    assert f"policy.toml: line 7: rule r: {problem}" in str(raised.value)
