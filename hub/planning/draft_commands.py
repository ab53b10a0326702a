"""Chat commands about drafts of runbooks.

    make this a runbook NAME           make r42 a runbook NAME: clean the cache on web-1
    存为操作手册 NAME                   把 r42 做成操作手册 NAME
    drafts   show d3   accept d3   reject d3 [why]
    草稿     查看 d3   采纳 d3     拒绝 d3 [原因]

"This" is the sender's last plan. After a colon comes the phrase by which people will ask for it, needed where the
message that led to the plan is not one itself: an explicit command, a follow-up.
"""

from __future__ import annotations

import re
from typing import Final

from common.catalogue import Sentence
from hub.core.outcome import CannotPlan, ChatCommand
from hub.planning.chat_words import is_question

MAX_REASON: Final = 500
MAX_PHRASE: Final = 400
_NAME: Final = r"[A-Za-z][A-Za-z0-9_-]{0,47}"
NAME: Final = re.compile(_NAME, re.ASCII)
"""The form of a proposed runbook's name."""

_PLEASE: Final = r"(?:please\s+|请\s*)?"
_ONE: Final = r"(?:(?:r#?|#)?(?P<number>[0-9]{1,12}))"
_BOOK_ZH: Final = r"(?:(?:一个|一条|一份)\s*)?(?:操作手册|运维手册|手册|预案|runbook)"
_MAKE: Final = tuple(
    re.compile(form, re.IGNORECASE | re.DOTALL)
    for form in (
        rf"{_PLEASE}(?:make|turn|save|keep)\s+(?:this|that|it|{_ONE})\s+(?:(?:into|as)\s+)?(?:a\s+)?run-?book\b(?P<rest>.*)",
        rf"{_PLEASE}(?:把|将)\s*(?:这个|这条|它|刚才的|上一条|{_ONE})\s*(?:做成|变成|存为|存成|保存为|作为)\s*{_BOOK_ZH}(?P<rest>.*)",
        rf"{_PLEASE}(?:做成|存为|存成|保存为)\s*{_BOOK_ZH}(?P<rest>.*)",
    )
)
_CALLED: Final = re.compile(
    r"\s*(?:called\s+|named\s+|叫做|叫|名为)?\s*(?P<name>" + _NAME + r")(?:\s*:(?P<phrase>.*)|[\s.!]*)",
    re.DOTALL,
)
_END: Final = re.compile(r"[\s.!~]*\Z")
_LIST: Final = re.compile(rf"{_PLEASE}(?:drafts|list drafts|runbook drafts|草稿|草稿列表|操作手册草稿)[\s.!?]*", re.I)
_DRAFT: Final = r"\s*(?:(?:draft|草稿)\s*d?|d)#?(?P<number>[0-9]{1,9})(?![0-9A-Za-z_-]|\.[0-9A-Za-z])"
_SHOW: Final = re.compile(rf"{_PLEASE}(?:show|查看|看看)?{_DRAFT}[\s.!?]*", re.I)
_ACCEPT: Final = re.compile(rf"{_PLEASE}(?:accept|采纳|採納|接受){_DRAFT}(?P<rest>.*)", re.I | re.DOTALL)
_DECLINE: Final = re.compile(
    rf"{_PLEASE}(?:reject|decline|deny|拒绝|拒絕|驳回|駁回){_DRAFT}(?P<rest>.*)", re.I | re.DOTALL
)


def parse_draft_command(text: str, written: str) -> ChatCommand | CannotPlan | None:
    """`text` is the message with its full-width signs as ASCII, `written` the original; both stripped."""
    for form in _MAKE:
        if found := form.fullmatch(text):
            return _proposal(found, text, written)
    if _LIST.fullmatch(text):
        return ChatCommand("drafts")
    if found := _SHOW.fullmatch(text):
        return ChatCommand("draft", int(found["number"]))
    if found := _ACCEPT.fullmatch(text):
        number = int(found["number"])
        if _END.match(found["rest"]):
            return ChatCommand("accept", number)
        return CannotPlan(Sentence("draft_accept_form", {"number": number}), "act")
    if found := _DECLINE.fullmatch(text):
        if is_question(found["rest"]):
            return CannotPlan(Sentence("draft_decline_form", {"number": int(found["number"])}), "question")
        why = written[found.start("rest") :].strip().lstrip(",:，：;；").strip()
        return ChatCommand("decline", int(found["number"]), why=why[:MAX_REASON])
    return None


def _proposal(found: re.Match[str], text: str, written: str) -> ChatCommand | CannotPlan:
    rest, at = found["rest"], found.start("rest")
    called = _CALLED.fullmatch(rest)
    if called is None:
        return CannotPlan(Sentence("draft_form"), "act")
    number = found.groupdict().get("number")
    phrase = "" if called["phrase"] is None else written[at + called.start("phrase") : at + called.end("phrase")]
    return ChatCommand(
        "propose", int(number) if number else None, name=called["name"].lower(), phrase=phrase.strip()[:MAX_PHRASE]
    )
