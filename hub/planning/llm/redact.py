"""Masks what looks like a secret before a text goes into a prompt. Pure.

People paste what they should not. This knows the common forms of secrets: keys of known providers, private keys,
tokens, passwords after their name, in URLs and in options. It is a safety net under the rule that secrets do not belong
into messages, and not complete.
"""

from __future__ import annotations

import re
from typing import Final

from hub.planning.chat_commands import redact as without_code

SECRET: Final = "[secret]"  # noqa: S105  what stands in its place

_WORDS: Final = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|"
    r"credentials?|auth(?:orization)?|密码|口令|密钥|令牌|验证码)"
)
_FORMS: Final = tuple(
    re.compile(form, flags)
    for form, flags in (
        (r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,16000}?"
         r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL),
        (r"\b(?:AKIA|ASIA|LTAI|AKID)[A-Za-z0-9]{12,40}\b", 0),
        (r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|rk_live_|sk_live_|hf_|npm_|dop_v1_)"
         r"[A-Za-z0-9_-]{10,255}", 0),
        (r"\beyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{4,4000}(?:\.[A-Za-z0-9_-]{0,4000})?", 0),  # a JSON web token
        (r"(?<=://)[^\s/@:]{0,256}:[^\s/@]{1,256}(?=@)", 0),
        (r"(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{8,4000}", 0),
        # Upper case, lower case and digits in one long run: of a digest in hex there is one case only.
        (r"(?<![A-Za-z0-9+/=_.-])(?=[A-Za-z0-9+/_-]{0,128}[a-z])(?=[A-Za-z0-9+/_-]{0,128}[A-Z])(?=[A-Za-z0-9+/_-]{0,128}[0-9])"
         r"(?![A-Za-z0-9_-]{0,128}/[a-z]{2})[A-Za-z0-9+/][A-Za-z0-9+/_-]{31,4000}={0,2}", 0),
    )
)  # fmt: skip
_NAMED: Final = re.compile(
    rf"({_WORDS})(\s{{0,3}}(?:[:=：＝]|是|为|\bis\b|\bwas\b)\s{{0,3}}[\"']?)([^\s\"',;，。；]{{1,512}})", re.IGNORECASE
)
_OPTION: Final = re.compile(rf"(--?{_WORDS})([ =])([^\s\"']{{1,512}})", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` with what looks like a secret masked, codes of second factors included."""
    text = without_code(text)
    for form in _FORMS:
        text = form.sub(SECRET, text)
    text = _NAMED.sub(lambda found: found[0] if found[3] == SECRET else f"{found[1]}{found[2]}{SECRET}", text)
    return _OPTION.sub(lambda found: f"{found[1]}{found[2]}{SECRET}", text)
