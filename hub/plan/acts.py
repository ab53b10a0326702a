"""What people say about earlier requests, and to look around.

    approve r42 [code]   reject r42 [why]   cancel r42   status [r42]   machines   help   whoami
    批准 r42 [验证码]     拒绝 r42 [原因]     取消 r42     状态 [r42]     机器       帮助   我是谁

A request is `r42`, `#42` or `42`. Without one, approve, reject and cancel mean the only one that is open in the
conversation. The whole message must be of one of these forms: "approve the budget" is none. A message that holds a
second factor's code is stored without it (`redact`). What is said about drafts of runbooks is in `draft_acts`.
"""

from __future__ import annotations

import re
from typing import Final

from common.catalogue import Sentence
from hub.plan import draft_acts
from hub.plan.outcome import Act, Cannot, Context, Outcome, Verb
from hub.plan.words import fold_width

MAX_WHY: Final = 500
REDACTED: Final = "******"
"""Stands for the digits of a code in the text that is stored."""

_VERBS: Final[dict[Verb, tuple[str, ...]]] = {
    "approve": ("approve", "批准", "同意"),
    "reject": ("reject", "deny", "拒绝", "拒絕", "驳回", "駁回"),
    "cancel": ("cancel", "取消"),
    "status": ("status", "状态", "狀態"),
    "machines": ("machines", "agents", "list machines", "机器", "機器", "机器列表", "有哪些机器"),
    "help": ("help", "/help", "?", "帮助", "幫助"),
    "whoami": ("whoami", "who am i", "我是谁", "我是誰"),
}
_VERB_OF: Final[dict[str, Verb]] = {word: verb for verb, words in _VERBS.items() for word in words}
_LONGEST_FIRST: Final = sorted(_VERB_OF, key=len, reverse=True)
_PLEASE: Final = r"(?:please\s+|请\s*)?"
_HEAD: Final = re.compile(
    rf"{_PLEASE}(?P<verb>{'|'.join(map(re.escape, _LONGEST_FIRST))})(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_REQUEST: Final = re.compile(r"(?P<mark>[r#]|r#)?(?P<number>[0-9]{1,12})(?![0-9A-Za-z_-]|\.[0-9A-Za-z])", re.IGNORECASE)
_CODE: Final = re.compile(
    r"[,:]?\s*(?:with\s+)?(?:code|验证码|驗證碼|动态码)?\s*:?\s*([0-9]{3}[ -]?[0-9]{3}|[0-9]{8})", re.I
)
_DIGITS: Final = re.compile(r"(?<![0-9A-Za-z#._-])(?:[0-9]{6,8}|[0-9]{3}[ -][0-9]{3})(?![0-9A-Za-z._-])")
_MAY_HOLD_CODE: Final = re.compile(r"approve|批准|同意|code|totp|otp|验证码|驗證碼|动态码|\A[\s0-9-]+\Z", re.IGNORECASE)
_END: Final = re.compile(r"[\s.!~]*\Z")


class Acts:
    """The planner of acts."""

    def plan(self, context: Context) -> Outcome | None:
        text = fold_width(context.text).strip()
        if (about_draft := draft_acts.read(text, context.text.strip())) is not None:
            return about_draft
        found = _HEAD.match(text)
        if found is None:
            return None
        verb = _VERB_OF[found["verb"].lower()]
        rest = found["rest"]
        if rest[:1].isalnum() and found["verb"].isascii() and not _glued(rest):
            return None  # "statuses", "approved"
        if verb in ("machines", "help", "whoami"):
            return Act(verb) if _END.match(rest) else None
        body = rest.strip()
        if _END.match(body):
            return Act(verb)
        request = _REQUEST.match(body)
        if request is None:
            return None
        after = body[request.end() :]
        # The same place in the message as it was written: `fold_width` moves nothing.
        written = context.text.strip()[len(text) - len(after) :] if after else ""
        return _of_request(verb, request, after, written)


def redact(text: str) -> str:
    """`text` as it may be stored: an approval's code is a secret for as long as it is fresh."""
    folded = fold_width(text)
    if not _MAY_HOLD_CODE.search(folded):
        return text
    kept, at = [], 0
    for found in _DIGITS.finditer(folded):
        kept += [text[at : found.start()], REDACTED]
        at = found.end()
    return "".join(kept) + text[at:]


def _glued(rest: str) -> bool:
    """`approve42` and `cancelr42` are typed in haste; `approved` is another word."""
    return _REQUEST.match(rest) is not None


def _of_request(verb: Verb, request: re.Match[str], after: str, written: str) -> Outcome | None:
    number, marked = int(request["number"]), request["mark"] is not None
    ended = _END.match(after) is not None
    match verb:
        case "approve":
            return _approve(number, marked, after, ended, bare_code=not marked and len(request["number"]) == 6)
        case "reject":
            why = written.strip().lstrip(",:，：;；").strip()
            return Act("reject", number, why=why[:MAX_WHY])
        case _ if ended:
            return Act(verb, number)
        case _:
            return Cannot(Sentence(f"act_{verb}_form", {"number": number}), "act") if marked else None


def _approve(number: int, marked: bool, after: str, ended: bool, bare_code: bool) -> Outcome | None:
    if ended and bare_code:
        # Six digits alone may be a request or a code, and a wrong code counts against the person.
        return Cannot(Sentence("act_approve_which", {"digits": REDACTED}), "act")
    if ended:
        return Act("approve", number)
    if REDACTED in after:
        return Cannot(Sentence("act_code_gone", {"number": number}), "act")
    code = _CODE.match(after)
    if code is not None and _END.match(after[code.end() :]):
        return Act("approve", number, code=re.sub(r"[ -]", "", code[1]))
    return Cannot(Sentence("act_approve_form", {"number": number}), "act") if marked else None
