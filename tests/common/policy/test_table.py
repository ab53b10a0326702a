"""Reading tables: each key once, of its kind, within its bounds, and the unknown refused by name."""

import pytest

from common.errors import UserError
from common.policy.table import MAX_LIST, MAX_TEXT, TableReader
from tests.each import each_of


def table(**data: object) -> TableReader:
    return TableReader("policy.toml", "rule x", data)


def test_values_of_their_kind() -> None:
    """Each reader gives the value, or its default where the key is not there."""
    read = table(a="text", b=5, c=True, d=["x", "y"], e={"k": "v"}, f=[{"n": 1}], g=0.5, h=["x", "x"])
    assert read.text("a") == "text"
    assert read.text("no", "default") == "default"
    assert read.integer("b", 1, 9) == 5
    assert read.integer("no", 1, 9, 3) == 3
    assert read.number("g", 0, 1) == 0.5
    assert read.boolean("c") is True
    assert read.boolean("no") is False
    assert read.text_list("d") == ("x", "y")
    assert read.text_list("no") == ()
    assert read.word_list("h") == ("x", "x")
    assert read.word_list("no") == ()
    assert read.table("e").items() == [("k", "v")]
    assert read.table("no").names() == []
    assert [entry.integer("n", 0, 9) for entry in read.tables("f")] == [1]
    assert read.tables("no") == []
    assert read.choice("a", ("text", "other")) == "text"
    read.check_unknown_keys()


@each_of(
    ("read", "value"),
    [
        *(("text", value) for value in (5, "", "x" * (MAX_TEXT + 1), "a\nb", "a\x1bb", None, ["a"])),
        *(("name", value) for value in ("a b", "-a", "a/b", "ä", "x" * 65)),
        *(("text_list", value) for value in ("a", [1], [""], ["a", "a"], ["x"] * (MAX_LIST + 1), ["a\n"])),
        *(("word_list", value) for value in ("a", [1], [""], ["x"] * (MAX_LIST + 1))),
        *(("boolean", value) for value in (1, "true", None)),
        *(("table", value) for value in (5, "a", ["a"])),
        *(("tables", value) for value in ({"a": 1}, 5, [1], [{}] * (MAX_LIST + 1))),
    ],
)
def test_b15_value_of_another_kind_is_refused(read: str, value: object) -> None:
    """The refusal names file, rule and key, and says what to write."""
    with pytest.raises(UserError) as caught:
        getattr(table(key=value), read)("key")
    assert caught.value.problem.startswith("policy.toml: rule x")
    assert "key" in caught.value.problem
    assert caught.value.cure


def test_numbers_have_bounds() -> None:
    """Out of bounds, of another kind, or a boolean."""
    for value in (0, 10, 1.5, True, "5"):
        with pytest.raises(UserError, match="whole number from 1 to 9"):
            table(key=value).integer("key", 1, 9)
    for value in (-0.1, 1.1, True, "1", float("nan")):
        with pytest.raises(UserError, match="number from 0 to 1"):
            table(key=value).number("key", 0, 1)


def test_missing_and_unknown_keys_are_named() -> None:
    """A key that must be there is asked for; one that nobody reads is refused, with the likely one."""
    with pytest.raises(UserError, match=r"policy\.toml: rule x: about: missing"):
        table().text("about")
    read = table(abuot="x")
    read.text("about", "default")
    with pytest.raises(UserError, match="abuot: unknown key: did you mean about"):
        read.check_unknown_keys()
    with pytest.raises(UserError, match="known here: about"):
        unknown = table(zzz=1)
        unknown.text("about", "default")
        unknown.check_unknown_keys()


def test_required_list_is_not_empty() -> None:
    """A list that must be there has something in it."""
    with pytest.raises(UserError):
        table(key=[]).text_list("key", None)
    with pytest.raises(UserError):
        table().text_list("key", None)
