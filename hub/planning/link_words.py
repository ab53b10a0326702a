"""`link 7k3mq-9fxp2`: the code that `answerback whoami --link` printed, as it is said in chat. Pure."""

from __future__ import annotations

import re
from typing import Final

from hub.planning.runbooks.tokens import fold_width

_CODE: Final = r"(?=[0-9a-z-]{0,11}[0-9])(?P<first>[0-9a-z]{5})[-\u2010-\u2015]?(?P<second>[0-9a-z]{5})(?![0-9a-z])"
_SAID: Final = re.compile(rf"(?:link|绑定|綁定)[\s:]{{0,4}}(?:{_CODE}|(?P<gone>\*{{6}}))[\s.!]*", re.IGNORECASE)
_WITHIN: Final = re.compile(rf"(?:link|绑定|綁定)[\s:]{{0,4}}(?P<code>{_CODE})", re.IGNORECASE)


def link_code(text: str) -> str | None:
    """The code that a message gives, "" where it was taken out before the message was stored; None for any other."""
    found = _SAID.fullmatch(fold_width(text.strip()))
    if found is None:
        return None
    return "" if found["gone"] else f"{found['first']}{found['second']}".lower()


def without_link_code(text: str, mask: str) -> str:
    """`text` for storing: a code is a secret while it holds."""
    found = _WITHIN.search(fold_width(text))
    return text if found is None else text[: found.start("code")] + mask + text[found.end("code") :]
