"""Which machines an expression means."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.inventory import (
    MAX_SEARCHES,
    MAX_TARGETS,
    Inventory,
    Machine,
    NoTarget,
    is_selector_part,
    nearest,
    resolve,
)
from tests.each import each_of

FLEET = Inventory(
    {
        name: Machine(name, labels, online)
        for name, labels, online in (
            ("web-1", {"role": "web", "env": "prod"}, True),
            ("web-2", {"role": "web", "env": "test"}, False),
            ("db-1", {"role": "db", "env": "prod"}, True),
            ("Cache", {}, True),
        )
    }
)


@each_of(
    ("expression", "names"),
    [
        ("web-1", ("web-1",)),
        ("WEB-1", ("web-1",)),
        ("cache", ("Cache",)),
        ("web-*", ("web-1", "web-2")),
        ("Web-*", ("web-1", "web-2")),
        ("web-?", ("web-1", "web-2")),
        ("*-1", ("db-1", "web-1")),
        ("*", ("Cache", "db-1", "web-1", "web-2")),
        ("role=web", ("web-1", "web-2")),
        ("role=web,env=prod", ("web-1",)),
        ("web-1,db-1", ("db-1", "web-1")),
        ("web-1, db-1", ("db-1", "web-1")),
        ("web-1,web-*", ("web-1", "web-2")),
    ],
)
def test_an_expression_means_its_machines(expression: str, names: tuple[str, ...]) -> None:
    """Names, patterns, labels and lists, each sorted and without repeats."""
    assert resolve(expression, FLEET) == names


@each_of(
    ("expression", "key"),
    [
        ("", "target_empty"),
        (" , ", "target_empty"),
        ("web-1,", "target_gap"),
        ("web-1,,db-1", "target_gap"),
        ("web-9", "target_unknown_near"),
        ("zzzzzzzzzz", "target_unknown"),
        ("all", "target_every"),
        ("全部", "target_every"),
        ("mail-*", "target_pattern_none"),
        ("web-[12]*", "target_pattern_form"),
        ("role=mail", "target_label_value"),
        ("zone=a", "target_label_key"),
        ("role=db,env=test", "target_labels_none"),
        ("role=web,db-1", "target_mixed"),
        ("role=", "target_label_form"),
        ("role=w*", "target_label_form"),
        ("x" * 10_000, "target_too_long"),
        ("web-1,web-9", "target_unknown_near"),
        (",".join(f"w{index}*" for index in range(MAX_SEARCHES + 1)), "target_too_many_searches"),
        (",".join(["role=web"] * (MAX_SEARCHES + 1)), "target_too_many_searches"),
    ],
)
def test_what_means_no_machine_is_refused_with_its_reason(expression: str, key: str) -> None:
    """Also where only one part of a list finds nothing: an empty set never means all machines."""
    with pytest.raises(NoTarget) as caught:
        resolve(expression, FLEET)
    assert caught.value.sentence.key == key
    assert caught.value.sentence.render("zh")


def test_an_empty_inventory_says_that_nothing_has_joined() -> None:
    """Even for `*`: no machine is not every machine."""
    with pytest.raises(NoTarget) as caught:
        resolve("*", Inventory())
    assert caught.value.sentence.key == "target_no_machines"


def test_case_is_ignored_only_where_one_machine_is_left() -> None:
    """Two names that differ by case are told apart by it, and another spelling is refused."""
    twins = Inventory({name: Machine(name) for name in ("Web", "web")})
    assert resolve("web", twins) == ("web",)
    assert resolve("Web", twins) == ("Web",)
    with pytest.raises(NoTarget, match="may mean Web, web"):
        resolve("WEB", twins)


def test_more_machines_than_the_bound_are_refused() -> None:
    """A thousand from chat at most; the number is told."""
    many = Inventory({f"m-{index}": Machine(f"m-{index}") for index in range(MAX_TARGETS + 1)})
    with pytest.raises(NoTarget, match=str(MAX_TARGETS + 1)):
        resolve("*", many)
    assert len(resolve("m-*", many, limit=MAX_TARGETS + 1)) == MAX_TARGETS + 1


def test_the_nearest_names_are_suggested() -> None:
    """The answer to a misspelt name is what was probably meant."""
    with pytest.raises(NoTarget, match=r"web-1"):
        resolve("wbe-1", FLEET)
    assert nearest("web-3", ["web-1", "db-1"]) == ["web-1"]


def test_hostile_text_is_shown_harmless() -> None:
    """Control and bidirectional characters of an expression do not come back in the answer."""
    with pytest.raises(NoTarget) as caught:
        resolve("a\x1b[31m\u202eb", FLEET)
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    with pytest.raises(NoTarget) as long:
        resolve("z" * 5_000, FLEET)
    assert len(str(long.value)) < 300


def test_a_pattern_cannot_be_made_slow() -> None:
    """Stars between letters that almost fit, on a name as long as names get, end at once."""
    inventory = Inventory({"a" * 64: Machine("a" * 64)})
    began = time.process_time()
    with pytest.raises(NoTarget):
        resolve("*a" * 31 + "*b", inventory)
    assert time.process_time() - began < 0.5


@given(
    st.text("ab*?", min_size=1, max_size=8).filter(lambda pattern: set(pattern) & set("*?")),
    st.text("ab", min_size=1, max_size=8),
)
def test_a_pattern_matches_what_the_standard_library_says(pattern: str, name: str) -> None:
    """`*` and `?` mean what they mean to fnmatch, for every pattern of few letters."""
    inventory = Inventory({name: Machine(name)})
    wanted = re.fullmatch(fnmatch.translate(pattern), name) is not None
    try:
        found = resolve(pattern, inventory)
    except NoTarget:
        found = ()
    assert found == ((name,) if wanted else ())


@given(st.text(max_size=30))
def test_any_expression_gives_machines_or_a_reason(expression: str) -> None:
    """Never an empty set, never another error."""
    try:
        said = ", ".join(resolve(expression, FLEET))
    except NoTarget as error:
        said = error.sentence.render("zh")
    assert said


def test_the_form_of_an_expression() -> None:
    """What may stand as one part, whether or not the machine exists."""
    assert all(map(is_selector_part, ("web-1", "web-*", "*", "role=web", "db.prod")))
    assert not any(map(is_selector_part, ("", "-x", "a b", "=x", "role=", "磁盘", "a/b", "web-1,web-2", "don't")))


@pytest.mark.parametrize("part", ["w\u0435b-1", "web-1\u200b", "web-\u0430*", "rol\u0435=web"])
def test_a_name_with_an_odd_character_is_told_which(part: str) -> None:
    """Hidden ones and look-alikes, in names, patterns and labels."""
    with pytest.raises(NoTarget) as told:
        resolve(part, Inventory({"web-1": Machine("web-1", {"role": "web"})}))
    assert "U+" in str(told.value.sentence)
    assert "U+" in told.value.sentence.render("zh")
