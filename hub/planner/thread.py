"""Which earlier messages a model reads along with a new one. Pure.

As few as can be: what is not read cannot mislead, does not taint, and does not keep a repeated question from its cached
plan. A message that names a machine and refers to nothing stands alone. One that refers to something is read with the
person's own earlier messages; with those of others only where the person has said nothing here yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hub.machines import Inventory
from hub.plan.outcome import Context, Exchange
from hub.plan.words import fold_width

MOST: Final = 6
_SHORT_WORDS: Final = 4
_SHORT_HAN: Final = 8
_REFERS: Final = re.compile(
    r"\b(?:it|its|them|they|same|again|also|too|instead|others?|another|either|neither)\b"
    r"|^\W*(?:and|or|then|but|what about|how about)\b"
    r"|它|他们|再|也|同样|一样|刚才|刚刚|继续|换成|改成|呢|另外|其他|其它",
    re.IGNORECASE,
)
"""Words that mean something said before, whatever else there is in the message."""
_MAY_REFER: Final = re.compile(
    r"\b(?:that|this|those|these|there|previous|earlier|last|above|before|still|both|yes|no|ok|okay|sure)\b"
    r"|那|这|该|还|上面|之前|上次|然后|是的|对|好的|不是|不用",
    re.IGNORECASE,
)
"""Words that do unless a machine is named: "the last 20 lines on web-1" stands alone."""
_HAN: Final = re.compile(r"[\u3400-\u9fff]")
_WORD: Final = re.compile(r"[A-Za-z0-9._/*=-]+", re.ASCII)


def read_along(context: Context) -> tuple[Exchange, ...]:
    """What was said before and is needed to understand this message, the newest last."""
    thread = [one for one in context.thread if one.text.strip()]
    own = [one for one in thread if one.own]
    read = (own or thread)[-MOST:]
    if not read:
        return ()
    answers_a_question = bool(own) and own[-1].asks
    return tuple(read) if answers_a_question or refers(context.text, context.inventory) else ()


def refers(text: str, inventory: Inventory) -> bool:
    """Whether the message may mean something that was said before."""
    text = fold_width(text).strip()
    if _REFERS.search(text):
        return True
    words = _WORD.findall(text)
    if any(_is_machine(word, inventory) for word in words):
        return False
    if _MAY_REFER.search(text):
        return True
    return len(words) <= _SHORT_WORDS and len(_HAN.findall(text)) <= _SHORT_HAN


def _is_machine(word: str, inventory: Inventory) -> bool:
    word = word.strip(".-")
    return word in inventory.machines or word.casefold() in inventory.folded or "=" in word or "*" in word


def taints(read: Sequence[Exchange]) -> bool:
    """Whether what is read along holds text that is not of the person who speaks."""
    return any(not one.own or one.tainted or (one.plan is not None and one.plan.tainted) for one in read)
