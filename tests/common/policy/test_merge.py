"""Later defaults in an edited policy file."""

from __future__ import annotations

from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from common.policy.merge import HEAD, merge, split_blocks

DEFAULTS = resources.files("hub").joinpath("defaults", "policy.toml").read_text(encoding="utf-8")
BASE = """# What may run.
default = "deny"

# Counts.
[types]
count = 1

[[rule]]
id = "a"
program = "/bin/a"
[rule.options]
"-x" = "word"

# Second.
[[rule]]
id = "b"
program = "/bin/b"

[[deny]]
id = "shells"
names = ["sh"]
"""


def test_a_file_is_cut_into_its_tables() -> None:
    """Comments go with the table below them, sub-tables with their rule; put together they are the file again."""
    blocks = split_blocks(BASE)
    assert [block.name for block in blocks] == [HEAD, "types", "rule a", "rule b", "deny shells"]
    assert "rule.options" in blocks[2].text
    assert blocks[3].text.startswith("# Second.")
    for text in (BASE, DEFAULTS, "", "a = 1", '[[rule]]\nid="x"\n[[rule]]\nid="x"'):
        assert "".join(block.text for block in split_blocks(text)) == text
        names = [block.name for block in split_blocks(text)]
        assert len(set(names)) == len(names)


def test_each_side_keeps_its_changes() -> None:
    """Theirs where nobody touched a table, mine where only I did; new ones come behind what they follow."""
    mine = BASE.replace('"/bin/b"', '"/opt/b"')
    theirs = BASE.replace("count = 1", "count = 2").replace("# Second.", '[[rule]]\nid = "new"\n\n# Second.')
    done = merge(BASE, mine, theirs)
    assert (done.updated, done.added, done.removed, done.conflicts) == (("types",), ("rule new",), (), ())
    assert "count = 2" in done.text
    assert '"/opt/b"' in done.text
    assert done.text.index('"a"') < done.text.index('"new"') < done.text.index('"b"')


def test_what_both_changed_stays_and_is_told() -> None:
    """Nobody's rule is overwritten; both texts are there to decide."""
    mine, theirs = BASE.replace('"/bin/b"', '"/opt/b"'), BASE.replace('"/bin/b"', '"/usr/bin/b"')
    done = merge(BASE, mine, theirs)
    (conflict,) = done.conflicts
    assert (conflict.name, done.text, done.updated) == ("rule b", mine, ())
    assert "/opt/b" in conflict.mine
    assert "/usr/bin/b" in conflict.theirs
    assert merge(BASE, theirs, theirs).conflicts == ()


def test_what_was_taken_out_stays_out() -> None:
    """By people: unless it changed since, then they are asked. By the defaults: where nobody touched it."""
    without = BASE[: BASE.index("# Second.")] + BASE[BASE.index("[[deny]]") :]
    assert merge(BASE, without, BASE).text == without
    (conflict,) = merge(BASE, without, BASE.replace('"/bin/b"', '"/usr/bin/b"')).conflicts
    assert (conflict.name, conflict.mine) == ("rule b", "")
    gone = merge(BASE, BASE, without)
    assert (gone.removed, gone.text) == (("rule b",), without)
    touched = BASE.replace('"/bin/b"', '"/opt/b"')
    (conflict,) = merge(BASE, touched, without).conflicts
    assert (conflict.name, conflict.theirs) == ("rule b", "")


def test_without_a_base_a_difference_is_a_conflict() -> None:
    """Nobody can say who changed it: the file's stays. What is not in the file counts as new."""
    mine = BASE.replace('"/bin/b"', '"/opt/b"').replace("count = 1", "count = 1  ")
    done = merge(None, mine, BASE.replace("[[deny]]", '[[rule]]\nid = "new"\n\n[[deny]]'))
    assert ([one.name for one in done.conflicts], done.added) == (["rule b"], ("rule new",))
    own = f'{BASE}\n[[rule]]\nid = "mine"\n'
    assert merge(None, own, BASE).text == own


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_the_same_again_changes_nothing(first: list[int], second: list[int]) -> None:
    """Whatever either side did, merging once more finds nothing to do, and no table of people's is lost."""

    def edited(which: list[int], word: str) -> str:
        text = BASE
        for number in which:
            text = text.replace(('"/bin/a"', '"/bin/b"', "count = 1", '["sh"]')[number], f'"{word}{number}"', 1)
        return text

    mine, theirs = edited(first, "mine"), edited(second, "theirs")
    done = merge(BASE, mine, theirs)
    assert all(f'"mine{number}"' in done.text for number in first)
    again = merge(theirs, done.text, theirs)
    assert (again.text, again.updated, again.added, again.removed) == (done.text, (), (), ())
