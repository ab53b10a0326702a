"""The tables of what words mean alike."""

from __future__ import annotations

from itertools import chain

from hub.planning.runbooks import vocabulary
from hub.planning.runbooks.vocabulary import (
    BLOCKS,
    COMMON,
    END,
    HARMLESS,
    LIGHT,
    MEANINGS,
    SERVICES,
    SPANS,
    TRADITIONAL,
    UNITS,
    WEAK,
)


def test_a_phrase_has_one_meaning() -> None:
    """In no two rows, nor in two tables: which of them would be taken is nobody's guess."""
    seen: dict[vocabulary.Phrase, str] = {}
    tables = {**MEANINGS, **LIGHT, **UNITS, **SPANS, "harmless": HARMLESS, "blocks": BLOCKS}
    for meaning, phrases in tables.items():
        for phrase in phrases:
            assert seen.setdefault(phrase, meaning) == meaning, phrase
    assert len(seen) > 1_000


def test_phrases_are_as_messages_are_split() -> None:
    """English words, one Han character each, a run of letters in one piece, `$` as the end."""
    assert ("hard", "disk") in MEANINGS["disk"]
    assert ("磁", "盘") in MEANINGS["disk"]
    assert ("内", "网", "ip") in MEANINGS["address"]
    assert ("告", "诉", "我", END) in BLOCKS
    assert all(word == word.lower() for phrase in chain(*MEANINGS.values(), HARMLESS) for word in phrase)


def test_every_meaning_that_the_tables_name_is_there() -> None:
    """Weak words are meanings; light ones are not harmless too; a service's name is no common word."""
    assert MEANINGS.keys() >= WEAK
    assert not MEANINGS.keys() & LIGHT.keys()
    assert not SERVICES & COMMON


def test_traditional_characters_have_simplified_twins() -> None:
    """One for one, and none that the tables still write the old way."""
    assert "磁盤記憶體狀態".translate(TRADITIONAL) == "磁盘记忆体状态"
    written = {
        char for phrase in chain(*MEANINGS.values(), *LIGHT.values(), HARMLESS) for word in phrase for char in word
    }
    assert not written & {chr(old) for old, new in TRADITIONAL.items() if old != new}
