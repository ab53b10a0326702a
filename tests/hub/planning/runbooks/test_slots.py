"""Typed places: what fits, and what goes into the command."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from common.values import parse_whole_seconds
from hub.planning.runbooks.slots import ACTION_WORDS, CONVERTERS, MAX_VALUE, NEVER_VALUES, RunbookSlot
from tests.each import each_of


def slot(kind: str) -> RunbookSlot:
    return RunbookSlot("x", kind, values=("Red", "blue"), low=1, high=100)


@each_of(
    ("kind", "word", "value"),
    [
        ("path", "/", "/"),
        ("path", "/var/log/", "/var/log"),
        ("path", "/etc/ssl/a+b@c.pem", "/etc/ssl/a+b@c.pem"),
        ("unit", "nginx", "nginx"),
        ("unit", "getty@tty1.service", "getty@tty1.service"),
        ("port", "80", "80"),
        ("host", "db.example.org", "db.example.org"),
        ("host", "::1", "::1"),
        ("host", "10.0.0.1", "10.0.0.1"),
        ("int", "007", "7"),
        ("enum", "red", "Red"),
        ("duration", "90", "90"),
        ("duration", "1m", "60"),
        ("size", "500M", "500M"),
        ("size", "2gb", "2G"),
        ("size", "64KiB", "64k"),
        ("size", "100", "100M"),
        ("word", "main", "main"),
        ("word", "v1.2+b3", "v1.2+b3"),
    ],
)
def test_what_fits_goes_in_its_own_form(kind: str, word: str, value: str) -> None:
    """Numbers as numbers, durations as seconds, an enum as it was written down."""
    assert slot(kind).convert(word) == value


@each_of(
    ("kind", "word"),
    [
        ("path", "var/log"),
        ("path", "/var/../etc"),
        ("path", "/a b"),
        ("path", "/a;b"),
        ("path", "/a\n"),
        ("path", "/磁盘"),
        ("unit", "-x"),
        ("unit", "a/b"),
        ("unit", "it"),
        ("unit", "everything"),
        ("size", "M"),
        ("size", "5T"),
        ("size", "-5M"),
        ("size", "5M5"),
        ("unit", "a\n"),
        ("port", "0"),
        ("port", "101"),
        ("port", "-1"),
        ("port", "１"),
        ("host", "-host"),
        ("host", "a..b"),
        ("host", "a" * 64),
        ("host", "it"),
        ("int", "1e3"),
        ("int", "1_0"),
        ("int", ""),
        ("enum", "green"),
        ("duration", "5y"),
        ("duration", "2m"),
        ("word", "--all"),
        ("word", "a b"),
        ("word", "$x"),
        ("path", "/" + "a" * MAX_VALUE),
    ],
)
def test_what_does_not_fit_has_no_value(kind: str, word: str) -> None:
    """Out of bounds, not of the form, or a word that is never a name."""
    assert slot(kind).convert(word) is None


def test_a_pattern_narrows_a_word_and_cannot_let_an_option_in() -> None:
    """The whole word must fit, and a dash at its beginning never does."""
    given_pattern = RunbookSlot("x", "word", pattern=re.compile(r"-?v[0-9]+"))
    assert given_pattern.convert("v12") == "v12"
    assert given_pattern.convert("v12x") is None
    assert given_pattern.convert("-v12") is None


@given(st.sampled_from(sorted(CONVERTERS)), st.text(max_size=20))
def test_no_value_can_become_an_option_or_two_words(kind: str, word: str) -> None:
    """Whatever is typed: no dash in front, no blank, no control character, and a value is its own value."""
    value = slot(kind).convert(word)
    if value is not None:
        assert not value.startswith("-")
        assert value.isprintable()
        assert " " not in value
        assert slot(kind).convert(value) == value


@each_of(
    ("text", "count"),
    [
        ("90", 90),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("2 days", 172_800),
        ("10 min", 600),
        ("m", None),
        ("-5", None),
    ],
)
def test_durations_as_people_write_them(text: str, count: int | None) -> None:
    """Seconds where no unit is given."""
    assert parse_whole_seconds(text) == count


def test_words_of_the_language_are_told_apart() -> None:
    """What is done to things, and what is never a thing's name; no service that people run is among them."""
    assert not ACTION_WORDS & NEVER_VALUES
    assert not (ACTION_WORDS | NEVER_VALUES) & {
        "nginx",
        "docker",
        "backup",
        "cron",
        "postgresql",
        "sshd",
        "mail",
        "web",
    }
