"""A form for the code of a second factor, where a chat has such: a modal that only the person who clicked sees. Pure.

A click on Approve where the rule asks for a code opens it; opening approves nothing. It shows the plan whole, and what
it sends back names the person that it was opened for, the request, and the plan by its digest. Who sends it comes from
the verified callback. A plan that does not fit whole is not shown there: then the click is refused as without forms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from common.catalogue import Language
from hub.chat.platforms.base import CodeGiven, HttpCall, HttpResponse, ImmediateResponse, IncomingMessage, Platform
from hub.chat.platforms.outbound import SocketMode, outbound_mode

MAX_CODE: Final = 16
"""Characters of a code as it may be typed, blanks included."""
DIGEST_CHARS: Final = 32  # 128 bits in hex
NUMBER: Final = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
DIGEST: Final = re.compile(rf"[0-9a-f]{{{DIGEST_CHARS}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CodeForm:
    """What a form asks about."""

    number: int  # the request's
    digest: str  # of its plan: DIGEST_CHARS
    text: str  # what would run exactly, in the marks of `hub.core.chat_text`
    language: Language


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """What became of a sent form; `again`: another code may be tried."""

    text: str
    ok: bool
    again: bool = False
    language: Language = "en"


@runtime_checkable
class AsksForCode(Protocol):
    """A platform with such forms."""

    def open_form(self, click: IncomingMessage, form: CodeForm) -> ImmediateResponse | HttpCall | None:
        """What opens it: the answer to the click, or a call that is made before the click is answered. None where it
        cannot be opened, or the plan does not fit.
        """
        ...

    def is_opened(self, response: HttpResponse) -> bool:
        """Whether that call has opened it."""
        ...

    def answer_form(self, given: CodeGiven, answer: CodeAnswer) -> ImmediateResponse:
        """The answer to a sent form: it closes, or says what was wrong."""
        ...


def has_forms(platform: Platform) -> bool:
    """Whether a click opens one, told by webhook or heard over a socket: by a poll it may come too late."""
    mode = outbound_mode(platform)
    return isinstance(platform, AsksForCode) and (mode is None or isinstance(mode, SocketMode))


def typed_code(value: object) -> str:
    """A code as it was typed, bounded; one that is too long stays too long, and so none."""
    return value.strip()[: MAX_CODE + 1] if isinstance(value, str) else ""


def bound_to(fields: Mapping[str, Any]) -> tuple[int, str] | None:
    """Number and digest in what a form carried along; None where that is none of ours."""
    number, digest = fields.get("request"), fields.get("plan")
    if not (isinstance(number, str) and isinstance(digest, str) and NUMBER.fullmatch(number)):
        return None
    return (int(number), digest) if DIGEST.fullmatch(digest) else None
