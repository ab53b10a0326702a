"""A team's expectations of its policy."""

from __future__ import annotations

from pathlib import Path

from hub.cli.policy_test import Expectation, ExpectTable, read_expectations


def test_a_file_of_expectations(tmp_path: Path) -> None:
    """Tables with names of the team's choosing, in the order of the file; what is left out has its default."""
    file = tmp_path / "expect.toml"
    file.write_text("""
[expect.b]
verdict = "ask"
commands = ["reboot"]
rule = "reboot"

[expect.a]
verdict = "deny"
commands = ["x", "y"]
""")
    found = read_expectations(file)
    assert found == (
        Expectation("b", ExpectTable("ask", ("reboot",), rule="reboot")),
        Expectation("a", ExpectTable("deny", ("x", "y"))),
    )
    assert [one.words for one in found] == ["ask by rule reboot", "deny"]
    assert (found[1].table.person, found[1].commands) == ("operator", ("x", "y"))
