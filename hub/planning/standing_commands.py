"""Chat commands about approvals that hold for a while.

    allow r42 for 1h [k7f2] [code]     允许 r42 1h
    allowed                            限时允许
    disallow a3                        撤回 a3

`allow` is an approval of r42, and what it says beside: the same again, by the same person, for so long.
"""

from __future__ import annotations

import re
from typing import Final

from common.catalogue import Sentence
from common.values import parse_duration
from hub.core.outcome import CannotPlan, ChatCommand

_REQUEST: Final = r"(?:r\s?#?|#)(?P<number>[0-9]{1,12})(?![0-9])"
_ALLOW: Final = re.compile(
    rf"(?:please\s+|请\s*)?(?:allow|允许|允許)\s*{_REQUEST}(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_FOR: Final = re.compile(
    r"[\s,]*(?:for\s+)?(?P<time>[0-9]{1,5}\s?(?:h|m|min|s|小时|分钟))(?![0-9A-Za-z])", re.IGNORECASE
)
_PLAN_CODE: Final = re.compile(
    r"[\s,:]*(?P<code>[b-df-hj-np-tv-z][0-9][b-df-hj-np-tv-z][0-9])(?![0-9A-Za-z_-])", re.IGNORECASE
)
_CODE: Final = re.compile(
    r"[\s,:]*(?:with\s+)?(?:code|验证码)?[\s:]*(?P<code>[0-9]{3}[ -]?[0-9]{3})(?![0-9])", re.IGNORECASE
)
_END: Final = re.compile(r"[\s.!]*")
_LIST: Final = re.compile(
    r"(?:what\s+is\s+|list\s+|show\s+)?allowed(?:\s+for\s+a\s+while)?[\s.!?]*|限时允许[\s.!?]*", re.IGNORECASE
)
_REVOKE: Final = re.compile(r"(?:please\s+|请\s*)?(?:disallow|撤回)\s*a#?(?P<number>[0-9]{1,9})[\s.!]*", re.IGNORECASE)
_UNITS: Final = {"min": "m", "小时": "h", "分钟": "m"}


def parse_standing_command(text: str) -> ChatCommand | CannotPlan | None:
    """`text` is the message with its full-width signs as ASCII, stripped."""
    if _LIST.fullmatch(text):
        return ChatCommand("allowed")
    if found := _REVOKE.fullmatch(text):
        return ChatCommand("disallow", int(found["number"]))
    if (found := _ALLOW.fullmatch(text)) is None:
        return None
    seconds: float | None = None
    plan_code = code = ""
    rest = found["rest"]
    while not _END.fullmatch(rest):
        if not plan_code and (part := _PLAN_CODE.match(rest)):
            plan_code = part["code"].lower()
        elif seconds is None and (part := _FOR.match(rest)):
            seconds = _seconds(part["time"])
        elif not code and (part := _CODE.match(rest)):
            code = re.sub(r"[ -]", "", part["code"])
        else:
            return CannotPlan(Sentence("allow_form"), "act")
        rest = rest[part.end() :]
    if not seconds:
        return CannotPlan(Sentence("allow_form"), "act")
    return ChatCommand("allow", int(found["number"]), seconds=seconds, plan_code=plan_code, code=code)


def _seconds(text: str) -> float | None:
    time = text.replace(" ", "").lower()
    for word, unit in _UNITS.items():
        time = time.replace(word, unit)
    try:
        return parse_duration(time)
    except ValueError:
        return None
