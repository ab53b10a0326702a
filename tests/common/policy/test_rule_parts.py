"""The parts of a rule by themselves; every slip that they refuse is in test_file.py, through a whole file."""

from __future__ import annotations

import pytest

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
