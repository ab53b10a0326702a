"""The text of a policy file: denials of one line anywhere, and what can be read of a broken one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.policy.source import Span, read_source

GOOD = 'default = "deny"\n\n[[rule]]\nid = "a"\n[rule.options]\n"-x" = "word"\n\n[types.t]\ntype = "integer"\n'


def read(text: str) -> dict[str, object]:
    return read_source(text.encode()).data


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('deny = ["rm"]', ("rm",)),
        ("deny=['rm','/usr/bin/x']", ("rm", "/usr/bin/x")),
        ('  deny = "rm"   # frozen', ("rm",)),
        ('deny = [\n  "rm",\n  "mv",\n]', ("rm", "mv")),
    ],
)
@pytest.mark.parametrize("place", ["first", "last", "between"])
def test_a_denial_of_one_line_is_legal_anywhere(line: str, names: tuple[str, ...], place: str) -> None:
    """Before, after and below other tables, also twice; what else the file says stays, with its lines."""
    head, rest = GOOD.split("\n\n", 1)
    text = {
        "first": f"{line}\n{GOOD}",
        "last": f"{GOOD}{line}\n{line}\n",
        "between": f"{head}\n\n{line}\n{rest}\n[[deny]]\nnames = ['x']\n",
    }[place]
    source = read_source(text.encode())
    assert source.problems == ()
    assert [one.names for one in source.denies] == [names] * (2 if place == "last" else 1)
    assert source.data["rule"] == [{"id": "a", "options": {"-x": "word"}}]
    assert source.denies[0].line == text[: text.index(line)].count("\n") + 1
    assert source.denies[0].comment == ("frozen" if "#" in line else "")


@pytest.mark.parametrize("line", ["deny = []", "deny = [7]", 'deny = [""]', 'deny = [{ names = ["x"] }]', "deny = rm"])
def test_what_is_no_such_line_is_left_to_toml(line: str) -> None:
    """It is no denial by names, and whatever TOML says of it counts."""
    assert read_source(f"{line}\n{GOOD}".encode()).denies == ()


def test_each_broken_table_is_told_with_its_line_and_the_others_are_read() -> None:
    """Three mistakes, three problems; a line that is no TOML costs its table no more than that line."""
    text = (
        GOOD + '[[deny]]\nnames = ["rm"]\nabout = "frozen\n[[rule]\nid = "b"\n[[rule]]\nid = = 1\n[[rule]]\nid = "c"\n'
    )
    source = read_source(text.encode())
    assert [line for line, _, _ in source.problems] == [12, 13, 16]
    assert all(cure for _, _, cure in source.problems)
    assert source.data["deny"] == [{"names": ["rm"]}]
    assert [rule.get("id") for rule in source.data["rule"]] == ["a", None, "c"]
    assert {10, 11, 12} <= source.broken
    assert not {1, 3, 4, 17} & source.broken


def test_tables_that_contradict_one_another_are_told() -> None:
    """Each is right by itself: a name that is given twice."""
    source = read_source(b'default = "deny"\n[types.t]\ntype = "word"\n[types.t]\ntype = "text"\n')
    assert [line for line, _, _ in source.problems] == [4]
    assert source.data["types"] == {"t": {"type": "word"}}


def test_bytes_that_are_no_text_are_a_problem_not_the_end() -> None:
    """The line is told; denials in other lines are read."""
    source = read_source(b'default = "deny"\nabout = "\xff"\ndeny = ["rm"]\n')
    assert source.problems[0][0] == 2
    assert source.denies[0].names == ("rm",)


def test_a_file_that_says_nothing_is_empty() -> None:
    """White space and comments are nothing; a denial alone, or a mistake, is something."""
    assert all(read_source(text).empty for text in (b"", b"\n \n", b"# was here\n", b"\xef\xbb\xbf"))
    assert not any(read_source(text).empty for text in (b"deny = ['x']", b"x = 1", b"nonsense"))


def test_lines_of_tables_and_keys() -> None:
    """A key's own line where it is set, else where its table begins."""
    span = read_source(GOOD.encode()).span
    rule = span.each("rule", 1)[0]
    assert (rule.line_of("id"), rule.line_of("about"), rule.below("options").line_of("-x")) == (4, 3, 6)
    assert span.below("types").below("t").line_of("type") == 9
    assert Span().line_of("anything") == 0


@given(st.text(alphabet="[]{}=\"'#\n abdenyrul.,1\\", max_size=200) | st.binary(max_size=80).map(repr))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str) -> None:
    """Whatever stands in the file there is no exception, and what is right alone stays right before it."""
    read(text)
    source = read_source((text + "\n" + GOOD).encode())
    assert len(source.problems) <= 50
