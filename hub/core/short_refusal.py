"""A refusal in one line, for somebody who was refused just before in the same conversation. Pure.

What helps stays: of a refusal with a cure the cure, of "I did not understand" the word `help`, and a character that is
not what it seems is always named. The whole reason is in
the request and its audit row.
"""

from __future__ import annotations

import re
from typing import Final

from common.catalogue import Language, Sentence

MAX_LINE: Final = 160
"""Characters that count as one line on a telephone held upright, near enough."""
SHORTENED: Final = frozenset({"not_understood", "grammar", "command", "target", "plan"})
"""Codes of refusals that get shorter; others are questions, or are about the person."""
REPEATED_WITHIN: Final = 600.0
"""Seconds within which the next refusal is a repeated one."""
_END: Final = re.compile(r"(?<=[.;!?])\s|(?<=[。；！？])")


def short_refusal(sentence: Sentence, language: Language) -> str:
    """The refusal in one line; as it is where it is short anyway."""
    whole = sentence.render(language)
    if (len(whole) <= MAX_LINE and "\n" not in whole) or _names_a_character(sentence):
        return whole
    if sentence.key.startswith("not_understood"):
        return Sentence("not_understood_again").render(language)
    cure = sentence.values.get("cure") if sentence.key == "cured" else None
    line = (cure.render(language) if isinstance(cure, Sentence) else whole).split("\n", 1)[0]
    kept = ""
    for part in _END.split(line):
        if kept and len(kept) + len(part) > MAX_LINE:
            break
        kept = f"{kept} {part}".strip() if language == "en" else kept + part
    kept = kept.rstrip("; ")
    return kept if len(kept) <= MAX_LINE else kept[: MAX_LINE - 1] + "…"


def _names_a_character(sentence: Sentence) -> bool:
    within = sentence.values.get("said") if sentence.key == "cured" else None
    return sentence.key == "odd_beside" or (isinstance(within, Sentence) and _names_a_character(within))
