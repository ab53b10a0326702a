"""What a terminal can show, told from its locale, and what stands for the rest. Pure but for `register_fallback`.

A terminal that is not UTF-8 gets plain signs for ours and "?" for what it has no sign for: never a UnicodeEncodeError,
and never bytes that it would show as something else. Files and pipes are UTF-8 unless the interpreter was told
otherwise, which then counts for them too.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Final

FALLBACK: Final = "answerback-signs"
"""The name of the error handler for streams, see `register_fallback`."""
UTF_8: Final = "utf-8"
UNSET: Final = ""
"""The encoding of the C locale, which says nothing of the terminal."""
SIGNS: Final[Mapping[str, str]] = {
    "…": "...", "–": "-", "—": "-", "−": "-", "·": ".", "•": "*", "×": "x", "→": "->", "←": "<-", "↑": "^", "↓": "v",
    "“": '"', "”": '"', "‘": "'", "’": "'", "≥": ">=", "≤": "<=", "≠": "!=", "✓": "+", "✗": "x", "│": "|", "─": "-",
    "：": ":", "，": ",", "。": ".", "；": ";", "（": "(", "）": ")", "？": "?", "！": "!", "「": '"', "」": '"',
}  # fmt: skip
"""Signs of our own sentences and tables, in ASCII."""


def terminal_encoding(environment: Mapping[str, str], stream: str | None, *, assumed: bool) -> str:
    """The encoding of the terminal: that of its stream where it is not UTF-8; else what the locale names, since a
    locale that is not installed leaves the stream at UTF-8. UNSET for the C locale.

    `assumed`: UTF-8 is the interpreter's own assumption (`sys.flags.utf8_mode`), which may have set LC_CTYPE.
    """
    found = normalize(stream or "")
    if found not in (UNSET, UTF_8):
        return found
    if environment.get("PYTHONUTF8") == "1":
        return UTF_8
    by_us = assumed and environment.get("LC_CTYPE") == "C.UTF-8"
    names = (environment.get("LC_ALL"), None if by_us else environment.get("LC_CTYPE"), environment.get("LANG"))
    locale = next((name for name in names if name), "")
    if locale in ("", "C", "POSIX"):
        return UNSET
    charset = locale.partition("@")[0].partition(".")[2]
    if not charset:  # `de_DE` means ISO 8859-1; a locale of today says UTF-8
        return "ascii" if assumed else found or UTF_8
    return normalize(charset) or "ascii"


def normalize(name: str) -> str:
    """The codec's own name; UNSET where there is no such codec."""
    try:
        return codecs.lookup(name).name if name else UNSET
    except LookupError:
        return UNSET


def can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeError:
        return False
    return True


def register_fallback() -> None:
    """Makes FALLBACK known to streams."""
    codecs.register_error(FALLBACK, _replace)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    signs = "".join(SIGNS.get(char, "?") for char in text)
    return signs if can_encode(signs, error.encoding) else "?" * len(text), error.end
