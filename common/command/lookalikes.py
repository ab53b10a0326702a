"""Characters that are not what they seem: invisible, blanks that are no space, and those that pass for ASCII. Pure.

A chat, a web page or a telephone puts them into text, and so does somebody who wants a name read as another one. They
are never taken for what they look like; whoever trips over one says which it is and where:

    plain_twin     the text as it looks, for "did you mean"; never to be run without a person's word
    find_oddity    the first such character, and how to say it
    find_disguised the first in a command's words that may deceive whoever reads or approves it
    find_suspicious
                   the first where no writing has it: a hidden one, or a look-alike letter within an ASCII word

Chinese and other writing is no oddity by itself, and neither is an emoji with its joiners (`without_emoji_joiners`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from common.catalogue import Sentence
from common.command.grammar import describe_character, is_visible
from common.text import clean

MAX_WORD: Final = 40  # characters of the word beside it, in an answer

_LETTERS: Final = {
    "аа": "a", "ɑα": "a", "ϲс": "c", "ԁ": "d", "еҽ": "e", "ɡց": "g", "һհ": "h", "іιı": "i", "јϳ": "j", "кκ": "k",
    "ӏǀ": "l", "ոп": "n", "оοօ": "o", "рρ": "p", "ԛ": "q", "г": "r", "ѕ": "s", "τ": "t", "սυ": "u", "νѵ": "v", "ԝ": "w",
    "хχ": "x", "уγ": "y", "АΑ": "A", "ВΒ": "B", "СϹ": "C", "ЕΕ": "E", "НΗ": "H", "ІΙ": "I", "Ј": "J", "КΚ": "K",
    "МΜ": "M", "Ν": "N", "ОΟ": "O", "РΡ": "P", "Ѕ": "S", "ТΤ": "T", "УΥ": "Y", "ХΧ": "X", "Ζ": "Z",
}  # fmt: skip
_SIGNS: Final = {
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63": "-",
    "\u2018\u2019\u201b\u2032": "'",
    "\u201c\u201d\u201e\u201f\u2033": '"',
    "\u2044\u2215": "/",
    "\u2216": "\\",
    "\u2236\ua789": ":",
    "\u2024": ".",
    "\u2217\u204e": "*",
    "\u223c\u301c": "~",
    "\u2223": "|",
    "\u201a": ",",
}
_TWINS: Final = {char: twin for table in (_LETTERS, _SIGNS) for chars, twin in table.items() for char in chars}
_LONG_OPTION: Final = re.compile(r"(?<!\S)[\u2013\u2014](?=[A-Za-z]{2})")
"""Two hyphens before an option, which telephones turn into one dash."""
_DISGUISED_SIGN: Final = re.compile(
    "\\A[\u2010-\u2015\u2212\ufe58\ufe63]|(?<=[!-~])[\u2010\u2011\u2212\u2044\u2215\u2216\u2024\u2217\u2223\u2236\ua789]"
    "|[\u2010\u2011\u2044\u2215\u2216\u2024\u2217\u2223\u2236\ua789](?=[!-~])"
)
"""Signs that pass for a hyphen before an option, or for a sign of paths and names within an ASCII word."""
_EMOJI_JOINERS: Final = re.compile(
    "(?<=[\u2190-\u2bff\u3030\U0001f000-\U0001faff])[\ufe0e\ufe0f\u200d\u20e3\U0001f3fb-\U0001f3ff]+"
)
_WORD: Final = re.compile(r"\S+")
_RUN: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Oddity:
    """One character that is not what it seems; `position` is its index in the text."""

    position: int
    character: str
    twin: str  # what it looks like; " " for a blank, "" for what cannot be seen
    sentence: Sentence


def plain_twin(text: str) -> str:
    """`text` as it looks: hidden characters left out, blanks as spaces, look-alikes as their ASCII twins."""
    if text.isascii() and text.isprintable():
        return text
    text = _LONG_OPTION.sub("--", text)
    return "".join(char if _is_plain(char) else _twin(char) if _is_odd(char) else char for char in text)


def find_oddity(text: str) -> Oddity | None:
    """The first oddity of `text`, and the sentence that names it."""
    for position, char in enumerate(text):
        if not _is_plain(char) and _is_odd(char):
            return Oddity(position, char, _twin(char), _named(text, position, _twin(char)))
    return None


def find_suspicious(text: str) -> Oddity | None:
    """The first hidden character, or the first look-alike letter in a word that also has ASCII ones."""
    if text.isascii() and text.isprintable():
        return None
    for word in _WORD.finditer(text):
        mixed = any(char.isascii() and char.isalnum() for char in word[0])
        for position, char in enumerate(word[0], word.start()):
            if not is_visible(char) or (mixed and char.isalpha() and _is_odd(char) and not _is_wide(char)):
                return Oddity(position, char, _twin(char), _named(text, position, _twin(char)))
    return None


def find_disguised(words: Iterable[str]) -> Oddity | None:
    """The first character of a command's words that may deceive who reads them: a hidden one, or a sign that
    passes for an option's hyphen or a path's slash, or a look-alike in a run of letters that has ASCII ones too or
    nothing but look-alikes.
    """
    for word in words:
        if word.isascii() and word.isprintable():
            continue
        for position, char in enumerate(word):
            if char != " " and not is_visible(char):
                return Oddity(position, char, _twin(char), _named(word, position, _twin(char)))
        if (sign := _DISGUISED_SIGN.search(word)) is not None:
            return Oddity(sign.start(), sign[0], _twin(sign[0]), _named(word, sign.start(), _twin(sign[0])))
        for run in _RUN.finditer(word):
            odd = [at for at, char in enumerate(run[0], run.start()) if not char.isascii() and _is_odd(char)]
            if odd and (len(odd) == len(run[0]) or any(map(str.isascii, run[0]))):
                return Oddity(odd[0], word[odd[0]], _twin(word[odd[0]]), _named(word, odd[0], _twin(word[odd[0]])))
    return None


def with_oddity(said: Sentence, oddity: Oddity) -> Sentence:
    """A sentence about a text, with its odd character named; once."""
    return said if said.key == "odd_beside" else Sentence("odd_beside", {"said": said, "found": oddity.sentence})


def ascii_digits(text: str) -> str:
    """`text` with every writing's digits as ASCII ones; the length stays."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def without_emoji_joiners(text: str) -> str:
    """`text` without the invisible characters that belong to emoji: 👍️ and 👍🏽 are 👍."""
    return text if text.isascii() else _EMOJI_JOINERS.sub("", text)


def _is_plain(char: str) -> bool:
    return " " <= char <= "~" or char == "\n"


@lru_cache(maxsize=4096)
def _is_odd(char: str) -> bool:
    return char in _TWINS or char.isspace() or not is_visible(char) or _compatible(char) != ""


def _is_wide(char: str) -> bool:
    """Full-width forms, which Chinese keyboards give; they are read as ASCII where that is safe."""
    return "\uff01" <= char <= "\uff5e"


def _twin(char: str) -> str:
    if char in _TWINS:
        return _TWINS[char]
    if char.isspace():
        return " "
    return _compatible(char) if is_visible(char) else ""


def _compatible(char: str) -> str:
    """The one ASCII character that Unicode calls the same in another shape: full width, bold, circled."""
    if unicodedata.category(char)[0] not in "LNPS":
        return ""
    if char.isdecimal() and not char.isascii():
        return str(unicodedata.decimal(char))  # another writing's digit
    same = unicodedata.normalize("NFKC", char)
    return same if len(same) == 1 and same != char and "!" <= same <= "~" else ""


def _named(text: str, position: int, twin: str) -> Sentence:
    char = text[position]
    values = {"character": describe_character(char) if not is_visible(char) else _code_and_name(char)}
    if is_visible(char):
        start = max(position - MAX_WORD, 0)
        word_start = re.search(r"\S*\Z", text[start:position])
        word = _WORD.match(text, start + (word_start.start() if word_start else 0))
        shown = clean(word[0] if word else char, limit=MAX_WORD)
        return Sentence("odd_alike", {**values, "word": shown, "twin": twin})
    before, after = _tail(text[:position].rstrip()), _head(text[position:])
    kind = "odd_blank" if twin == " " else "odd_hidden"
    if before:
        return Sentence(f"{kind}_after", {**values, "word": before})
    return Sentence(f"{kind}_before", {**values, "word": after})


def _tail(text: str) -> str:
    """The visible end of `text`: its last word."""
    shown = re.search(r"[^\s]*\Z", text[-MAX_WORD:])
    return "".join(filter(is_visible, shown[0] if shown else ""))


def _head(text: str) -> str:
    """The first visible word of `text`."""
    visible = "".join(char for char in text[: 4 * MAX_WORD] if is_visible(char) or char == " ")
    return (visible.split() or [""])[0][:MAX_WORD]


def _code_and_name(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()
