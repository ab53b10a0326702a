"""Which earlier messages of the conversation go into a prompt. Pure.

As few as possible: what is left out cannot mislead, does not taint, and does not prevent a cache hit for a repeated
question. A message that names a machine and refers to nothing gets none. One that refers to something gets the person's
own earlier messages; those of others only where the person has written nothing in the conversation yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hub.core.inventory import Inventory
from hub.core.outcome import Exchange, PlanningContext
from hub.planning.runbooks.tokens import fold_width

MAX_HISTORY: Final = 6
_SHORT_WORDS: Final = 4
_SHORT_HAN: Final = 8
_BACK_REFERENCES: Final = re.compile(
    r"\b(?:it|its|them|they|same|again|also|too|instead|others?|another|either|neither)\b"
    r"|^\W*(?:and|or|then|but|what about|how about)\b"
    r"|它|他们|再|也|同样|一样|刚才|刚刚|继续|换成|改成|呢|另外|其他|其它",
    re.IGNORECASE,
)
"""Words that refer to something earlier, whatever else the message contains."""
_WEAK_BACK_REFERENCES: Final = re.compile(
    r"\b(?:that|this|those|these|there|previous|earlier|last|above|before|still|both|yes|no|ok|okay|sure)\b"
    r"|那|这|该|还|上面|之前|上次|然后|是的|对|好的|不是|不用",
    re.IGNORECASE,
)
"""Words that do so unless a machine is named: "the last 20 lines on web-1" is complete in itself."""
_HAN: Final = re.compile(r"[\u3400-\u9fff]")
_WORD: Final = re.compile(r"[A-Za-z0-9._/*=-]+", re.ASCII)


def relevant_history(context: PlanningContext) -> tuple[Exchange, ...]:
    """The earlier exchanges that are needed to understand this message, the newest last."""
    thread = [one for one in context.history if one.text.strip()]
    own = [one for one in thread if one.own]
    recent = (own or thread)[-MAX_HISTORY:]
    if not recent:
        return ()
    answers_a_question = bool(own) and own[-1].asks
    return tuple(recent) if answers_a_question or refers_to_history(context.text, context.inventory) else ()


def refers_to_history(text: str, inventory: Inventory) -> bool:
    """Whether the message may refer to something earlier in the conversation."""
    text = fold_width(text).strip()
    if _BACK_REFERENCES.search(text):
        return True
    words = _WORD.findall(text)
    if any(_is_machine(word, inventory) for word in words):
        return False
    if _WEAK_BACK_REFERENCES.search(text):
        return True
    return len(words) <= _SHORT_WORDS and len(_HAN.findall(text)) <= _SHORT_HAN


def _is_machine(word: str, inventory: Inventory) -> bool:
    word = word.strip(".-")
    return word in inventory.machines or word.casefold() in inventory.by_casefold or "=" in word or "*" in word


def is_tainted(history: Sequence[Exchange]) -> bool:
    """Whether the included exchanges contain text that is not the requester's own."""
    return any(not one.own or one.tainted or (one.plan is not None and one.plan.tainted) for one in history)
