"""The buttons of a card: what they are called, and what a click on one says. Pure.

A button's value is what a person would have typed, such as "approve r42 k7f2", at most 64 bytes of ASCII. It decides
nothing by itself: who clicked comes from the verified callback, and rights, state and the plan's code are checked as
for the typed words. So a button of an old card, or a made-up value, does no more than its words would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from common.catalogue import Language, translate

MAX_VALUE: Final = 64
"""Bytes; the smallest room of all platforms (Telegram's callback_data)."""
_VALUE: Final = re.compile(r"(?:approve|reject|cancel|more|retry) r[1-9][0-9]{0,11}(?: [a-z]\d[a-z]\d)?", re.ASCII)
_STYLES: Final[dict[str, Literal["primary", "danger", "plain"]]] = {"approve": "primary", "reject": "danger"}
_CONFIRMED: Final = frozenset({"approve"})


@dataclass(frozen=True, slots=True)
class Button:
    act: str  # approve | reject | cancel | more | retry
    label: str  # in the reader's language
    value: str  # what a click says
    style: Literal["primary", "danger", "plain"]


class _Request(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def code(self) -> str: ...


class _Content(Protocol):
    """What of a `ReplyContent` is needed; platforms import this module, so it imports none of theirs."""

    @property
    def request(self) -> _Request | None: ...
    @property
    def card(self) -> bool: ...
    @property
    def actions(self) -> tuple[str, ...]: ...
    @property
    def language(self) -> Language: ...


def buttons_of(content: _Content) -> Iterator[Button]:
    """The buttons of a card, in the order in which they are shown; none where nothing can be done."""
    if content.request is None or not content.card:
        return
    for act in content.actions:
        value = f"{act} r{content.request.number}"
        if act in _CONFIRMED and content.request.code:
            value += f" {content.request.code}"
        yield Button(act, translate(content.language, f"button_{act}"), value, _STYLES.get(act, "plain"))


def clicked_approval(text: str) -> tuple[int, str] | None:
    """Number and plan's code of a click on Approve; None of any other."""
    act, _, rest = text.partition(" ")
    if act != "approve" or clicked_text(text) is None:
        return None
    number, _, code = rest.removeprefix("r").partition(" ")
    return int(number), code


def clicked_text(value: object) -> str | None:
    """What a click with this value says; None for one that no button of ours has."""
    if isinstance(value, str) and _VALUE.fullmatch(value):
        return value
    return None
