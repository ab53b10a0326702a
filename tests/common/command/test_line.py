"""A command and its filters as one line, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.command.grammar import BadLine
from common.command.line import parse_command, quote_argv, quote_command
from common.command.output_filters import BadFilter
from tests.each import each_of

LINES = {
    "df -h": (("df", "-h"), ()),
    "df -h | head -n 5": (("df", "-h"), (("head", "-n", "5"),)),
    "ps aux | grep 'two words' | wc -l": (("ps", "aux"), (("grep", "two words"), ("wc", "-l"))),
    "grep 'a|b' /var/log/syslog": (("grep", "a|b", "/var/log/syslog"), ()),
    '["df", "a\\u200bb"]': (("df", "a\u200bb"), ()),
    '["df", "a\\u200bb"] | head -n 3': (("df", "a\u200bb"), (("head", "-n", "3"),)),
}
ANY_WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
FILTERS = st.sampled_from(
    [("head", "-n", "5"), ("grep", "-F", "a|b c"), ("grep", "'"), ("grep", "`\u0430"), ("grep", "-F", "| [")]
)


@each_of(("line", "said"), LINES.items())
def test_a_line_is_read_and_written_back(line: str, said: object) -> None:
    found = parse_command(line)
    assert found == said
    assert quote_command(*found) == line


@given(argv=st.lists(ANY_WORD, min_size=1, max_size=4), filters=st.lists(FILTERS, max_size=3))
def test_every_command_has_a_line_of_its_own(argv: list[str], filters: list[tuple[str, ...]]) -> None:
    """What is shown says exactly one command, whatever its words hold; nothing invisible is in it."""
    line = quote_command(argv, filters)
    assert parse_command(line) == (tuple(argv), tuple(filters))
    assert line.isprintable()


def test_what_is_plain_is_not_shown_as_json() -> None:
    assert quote_argv(["grep", "-rn", "a b", "it's", "x|y", "*"]) == """grep -rn 'a b' 'it'"'"'s' 'x|y' '*'"""
    assert quote_argv(["ls", "a\nb"]) == '["ls", "a\\nb"]'
    assert quote_argv(["[", "a"]) == "'[' a"


def test_what_may_pass_for_something_else_is_spelt_out() -> None:
    """In the command and in its filters: a Cyrillic letter, an ideograph like a dash, two spaces, a backtick."""
    assert quote_argv(["cat", "\u0430.txt"]) == '["cat", "\\u0430.txt"]'
    assert quote_argv(["echo", "a  b"]) == '["echo", "a \\u0020b"]'
    assert quote_argv(["echo", "磁盘"]) == "echo '磁盘'"
    assert quote_command(["ls"], [("grep", "`x`")]) == 'ls | ["grep", "\\u0060x\\u0060"]'
    for filters in ([("grep", "\u0430")], [("wc", "-l"), ("grep", "`"), ("head", "-n", "5")]):
        assert parse_command(quote_command(["ls", "a | [b"], filters)) == (("ls", "a | [b"), tuple(filters))


NO_COMMANDS = [
    "",
    "|",
    "ls |",
    "| head",
    "ls || head",
    "ls | head |",
    "ls |& head",
    '["ls"',
    "[1]",
    "[]",
    '["ls"] head',
]


@each_of("line", ["ls | rm -rf x", '["ls"] | rm'])
def test_another_program_behind_it_is_no_filter(line: str) -> None:
    with pytest.raises(BadFilter):
        parse_command(line)


@each_of("line", NO_COMMANDS)
def test_what_is_no_command_is_refused(line: str) -> None:
    with pytest.raises(BadLine):
        parse_command(line)
