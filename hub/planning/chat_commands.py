"""Chat commands: decisions on earlier requests, and questions about the hub.

    approve r42 [k7f2] [code]   reject r42 [why]   cancel r42   retry r42   yes
    批准 r42 [k7f2] [验证码]     拒绝 r42 [原因]     取消 r42     重试 r42    好
    link r42 (链接 r42): a page on which to decide, for chats without buttons
    r42   status [r42]   show r42   output r42   more r42 [page]   file r42
    jobs   history   machines   whoami   hi   help [topic]
    r42   状态 [r42]     查看 r42   输出 r42     更多 r42 [页]   文件 r42
    任务   历史      机器       我是谁   你好  帮助 [主题]

A request is `r42`, `#42`, "r 42", "request 42", 第42号 or `42`. Without one, approve, reject, cancel and status apply
to the only open one of the conversation. The whole message must have one of these forms, with courtesy at its ends:
"approve the budget" has none. A question decides nothing: "reject r42?" is answered with what to write. A message with
a second factor's code is stored without it (`redact`). `k7f2` is the code that the question printed
(`hub.core.approval`); what may stand behind `approve r42` is decided in `_approve` alone.

Commands about drafts of runbooks are in `draft_commands`, about machines in `machine_commands`; the words of all of
them in `chat_words`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.command.lookalikes import ascii_digits
from hub.core.outcome import CannotPlan, ChatCommand, ChatVerb, PlanningContext, PlanningOutcome
from hub.planning import draft_commands, standing_commands
from hub.planning.chat_words import (
    ALL_OF_THEM,
    DECIDING,
    END,
    HEAD,
    HELP,
    HELP_ABOUT,
    MAX_TOPIC_WORDS,
    MAX_WHOLE,
    NUMBER_NEEDED,
    PLACEHOLDERS,
    REQUEST,
    THIS_ONE,
    VERB_OF,
    alone_verb,
    is_marked,
    is_question,
)
from hub.planning.link_words import without_link_code
from hub.planning.runbooks.spelling import is_typo
from hub.planning.runbooks.tokens import fold_width

MAX_REASON: Final = 500
REDACTED: Final = "******"
"""Replaces the digits of a code in the text that is stored."""

_CODE: Final = re.compile(
    r"[,:]?\s*(?:with\s+)?(?:code|验证码|驗證碼|动态码)?\s*:?\s*([0-9]{3}[ -]?[0-9]{3}|[0-9]{8})", re.I
)
_PLAN_CODE: Final = re.compile(
    r"[,:]?\s*([b-df-hj-np-tv-z][0-9][b-df-hj-np-tv-z][0-9])(?![0-9A-Za-z_-])", re.IGNORECASE
)
_HIDDEN: Final = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*"
_DIGITS: Final = re.compile(
    rf"(?<![0-9A-Za-z#._-])(?:[0-9](?:{_HIDDEN}[0-9]){{5,7}}|[0-9]{{3}}[ -][0-9]{{3}})(?![0-9A-Za-z_-]|\.[0-9A-Za-z_])"
)
_SHAPE: Final = re.compile(
    rf"(?<![0-9A-Za-z#._-])(?:[0-9](?:{_HIDDEN}[0-9]){{5}}|[0-9]{{3}}[ -][0-9]{{3}})(?![0-9A-Za-z_-]|\.[0-9A-Za-z_])"
)
_CODE_CANDIDATE: Final = re.compile(
    r"approve|批准|同意|通过|code|totp|otp|验证码|驗證碼|动态码|(?<![a-z])r\s?#?[0-9]|第\s?[0-9]|\A[\s0-9-]+\Z",
    re.IGNORECASE,
)
_CODE_WANTED: Final = re.compile(r"[\s,:]*\[?<?(?:code|验证码)>?\]?[\s.!]*\Z", re.IGNORECASE)
_ANOTHER: Final = re.compile(
    rf"[\s,]{{0,4}}(?P<joint>and|or|[和与或及、&+/])?[\s,]{{0,4}}{REQUEST.pattern}", re.IGNORECASE
)
_SHOULD: Final = re.compile(
    rf"(?:should|shall|may|can|must)\s{{1,3}}(?:i|we)\s{{1,3}}(?P<verb>approve|reject|cancel|retry)\s{{1,3}}{REQUEST.pattern}"
    rf"|(?:要不要|是否|能不能|可以|该不该)\s{{0,3}}(?P<zh>批准|拒绝|取消|重试)"
    rf"\s{{0,3}}{REQUEST.pattern.replace('?P<', '?P<zh_')}",
    re.IGNORECASE,
)
_SLIP: Final = re.compile(rf"(?P<word>[a-z]{{4,9}})\s{{1,3}}{REQUEST.pattern}", re.IGNORECASE)
_SLIPS: Final = ("approve", "reject", "cancel", "status", "retry", "output")
_AGREEING: Final = re.compile(rf"(?P<word>.{{1,20}}?)[\s,.!]{{0,4}}{REQUEST.pattern}", re.IGNORECASE)


_AS_DECISION: Final[dict[ChatVerb, ChatVerb]] = {"yes": "approve", "no": "reject"}
_BEHIND: Final = re.compile(
    rf"{REQUEST.pattern}\s{{0,3}}[,:]?\s{{0,3}}(?:is\s)?(?P<word>[^0-9\s].{{0,20}})", re.IGNORECASE
)
_NOT: Final = re.compile(
    r"(?:(?:i|we)\s{1,3})?(?:don['’]?t|do\s{1,3}not|never|not|can['’]?t|cannot|can\s{1,3}not|won['’]?t)\s{1,3}approve"
    rf"\s{{1,3}}{REQUEST.pattern}"
    r"|我?\s{0,3}(?:不|别|不要|不能|不想|勿)\s{0,3}(?:批准|同意|通过)\s{0,3}"
    rf"{REQUEST.pattern.replace('?P<', '?P<zh_')}",
    re.IGNORECASE,
)
_ITS_OUTPUT: Final = re.compile(
    r"\s{0,3}(?:'s|’s|的)?\s{0,3}(?:output|results?|输出|輸出|结果|結果)[\s.!?]*\Z", re.IGNORECASE
)
_PAGE: Final = re.compile(r"[\s,]*(?:page|p\.?|第)?\s*([1-9][0-9]{0,3})\s*(?:页|頁)?[\s.!]*", re.IGNORECASE)
_AS_FILE: Final = re.compile(
    r"\s{0,3}(?:as\s{1,3}(?:a\s{1,3})?(?:text\s{1,3})?file|(?:的)?(?:文件|檔案|附件))[\s.!?]*", re.IGNORECASE
)
_PAGE_LINK: Final = re.compile(rf"(?:link|链接|連結)\s{{0,3}}[:：]?\s{{0,3}}{REQUEST.pattern}[\s.!]*", re.IGNORECASE)


class ChatCommandPlanner:
    """The planner of chat commands."""

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        written = context.text.strip()
        if written.startswith("@"):
            return None
        text = fold_width(written)
        if (about_draft := draft_commands.parse_draft_command(text, written)) is not None:
            return about_draft
        if (allowing := standing_commands.parse_standing_command(text)) is not None:
            return allowing
        if (page := _PAGE_LINK.fullmatch(text)) is not None:
            return ChatCommand("page", int(page["number"]))
        if (whole := _whole_message(text, context)) is not None:
            return whole
        if (about_request := _about_request(text, written)) is not None:
            return about_request
        return _help(text) or _nearly(text)


def redact(text: str) -> str:
    """`text` for storing: without codes, of second factors and of links, which are secret while they are valid."""
    text = without_link_code(text, REDACTED)
    folded = ascii_digits(fold_width(text))
    if not _CODE_CANDIDATE.search(folded):
        return text
    parts, at = [], 0
    for found in _DIGITS.finditer(folded):
        parts += [text[at : found.start()], REDACTED]
        at = found.end()
    return "".join(parts) + text[at:]


def without_code_shapes(text: str) -> str:
    """`text` without what has the shape of a code of six digits and stands by itself, whatever it is. Of a command for
    named machines (`@web-1 tail -n 100000 …`) it is an argument, and stays.
    """
    if text.lstrip().startswith("@"):
        return text
    parts, at = [], 0
    for found in _SHAPE.finditer(ascii_digits(fold_width(text))):
        parts += [text[at : found.start()], REDACTED]
        at = found.end()
    return "".join(parts) + text[at:]


# ---- whole messages


def _whole_message(text: str, context: PlanningContext) -> PlanningOutcome | None:
    """Messages that say one thing: jobs, yes, hello, r42."""
    verb = alone_verb(text)
    if verb in ("yes", "no") and _answers_model(context):
        return None
    if verb is not None:
        return ChatCommand(verb)
    request = REQUEST.match(text)
    if request is not None and request["mark"].strip() and END.match(text[request.end() :].rstrip("? ")):
        return ChatCommand("status", int(request["number"]))
    return None


def _answers_model(context: PlanningContext) -> bool:
    """Whether a model asked this person something last: a plain "yes" is the model's then."""
    own = [exchange for exchange in context.history if exchange.own]
    return bool(own) and own[-1].asks


def _help(text: str) -> ChatCommand | None:
    if len(text) > MAX_WHOLE:
        return None
    bare = text.rstrip("?.! ").casefold()
    if bare in HELP or (END.sub("", bare, count=1) in HELP):
        return ChatCommand("help")
    found = HELP_ABOUT.fullmatch(text.rstrip("?.! "))
    if found is None:
        return None
    topic = next(one for one in found.group("en", "how", "how_zh", "zh", "behind") if one is not None).strip()
    return ChatCommand("help", phrase=topic) if len(topic.split()) <= MAX_TOPIC_WORDS else None


# ---- about one request


def _about_request(text: str, written: str) -> PlanningOutcome | None:
    found = HEAD.match(text)
    if found is None:
        return None
    word = found["verb"].lower()
    verb = VERB_OF.get(word, "cancel")
    rest = found["rest"]
    if rest[:1].isalnum() and word.isascii() and REQUEST.match(rest) is None:
        return None  # "statuses", "approved"; but `approve42` is typed in haste
    body = rest.strip(" \t\n,:")
    asked = is_question(body)
    if END.match(body.rstrip("? ") if verb == "status" else body) and word in VERB_OF:
        if verb in ("output", "more", "file"):
            return CannotPlan(Sentence("act_number", {"verb": _verb(verb)}), "act")
        return None if verb in NUMBER_NEEDED else ChatCommand(verb)
    if (without := _without_number(verb, word, body)) is not None:
        return without
    request = REQUEST.match(body)
    if request is None:
        bare_question = asked and verb in DECIDING and END.match(body.rstrip("?吗么呢 "))
        return CannotPlan(Sentence("act_question_bare", {"verb": _verb(verb)}), "question") if bare_question else None
    if word not in VERB_OF and not is_marked(request):
        return None  # "stop 2 services"
    after = body[request.end() :]
    if asked and verb in DECIDING and (is_marked(request) or END.match(after.rstrip("?吗么呢 "))):
        return _question(verb, int(request["number"]))
    # The same place in the original message: `fold_width` keeps positions.
    behind = written.rstrip()[len(text.rstrip()) - len(after.rstrip()) :] if after.strip() else ""
    return _of_request(verb, request, after, behind)


def _without_number(verb: ChatVerb, word: str, body: str) -> PlanningOutcome | None:
    """Of "cancel it" the only open one here; "approve all", "stop it" and "stop" are answered with what to write."""
    said = END.sub("", body[:MAX_WHOLE], count=1).casefold()
    if len(body) > MAX_WHOLE or verb not in DECIDING or (not said and word in VERB_OF):
        return None
    if not said or said in ALL_OF_THEM or (said in THIS_ONE and word not in VERB_OF):
        return CannotPlan(Sentence("act_which", {"verb": _verb(verb)}), "act")
    return ChatCommand(verb) if said in THIS_ONE and verb not in NUMBER_NEEDED else None


def _of_request(verb: ChatVerb, request: re.Match[str], after: str, behind: str) -> PlanningOutcome | None:
    number, marked = int(request["number"]), is_marked(request)
    ended = END.match(after) is not None
    another = None if ended else _ANOTHER.match(after)
    if another is not None and marked and (another["joint"] or is_marked(another)):
        return CannotPlan(Sentence("act_one", {"phrase": _phrase(verb, number)}), "act")
    match verb:
        case "approve":
            return _approve(number, marked, after, ended, bare_code=not marked and len(request["number"]) == 6)
        case "reject":
            return ChatCommand("reject", number, why="" if ended else _reason(behind))
        case "show" if _ITS_OUTPUT.match(after):
            return ChatCommand("output", number)
        case "show" | "output" | "more" if _AS_FILE.fullmatch(after):
            return ChatCommand("file", number)
        case "more" if (page := _PAGE.fullmatch(after)) is not None:
            return ChatCommand("more", number, page=int(page[1]))
        case _ if ended or (verb not in DECIDING and END.match(after.rstrip("? "))):
            return ChatCommand(verb, number)
        case _:
            return CannotPlan(Sentence("act_only", {"phrase": _phrase(verb, number)}), "act") if marked else None


def _approve(number: int, marked: bool, after: str, ended: bool, bare_code: bool) -> PlanningOutcome | None:
    plan = _PLAN_CODE.match(after)
    if plan is not None:
        rest = after[plan.end() :]
        found = _approve(number, True, rest, END.match(rest) is not None, bare_code=False)
        return replace(found, plan_code=plan[1].lower()) if isinstance(found, ChatCommand) else found
    if ended and bare_code:
        # Six digits alone may be a request or a code, and a wrong code counts against the person.
        return CannotPlan(Sentence("act_approve_which", {"digits": REDACTED}), "act")
    if ended:
        return ChatCommand("approve", number)
    if REDACTED in after:
        return CannotPlan(Sentence("act_code_gone", {"number": number}), "act")
    if _CODE_WANTED.match(after):
        return CannotPlan(Sentence("code_needed", {"number": number}), "act")
    code = _CODE.match(after)
    if code is not None and END.match(after[code.end() :]):
        return ChatCommand("approve", number, code=re.sub(r"[ -]", "", code[1]))
    return CannotPlan(Sentence("act_approve_form", {"number": number}), "act") if marked else None


def _reason(behind: str) -> str:
    why = behind.strip().lstrip(",:，：;；").strip()
    return "" if why.rstrip(".").casefold() in PLACEHOLDERS else why[:MAX_REASON]


# ---- what is meant, and not said so that it is done


def _question(verb: ChatVerb, number: int) -> CannotPlan:
    return CannotPlan(Sentence("act_question", {"phrase": _phrase(verb, number), "number": number}), "question")


def _phrase(verb: ChatVerb, number: int) -> Sentence:
    return Sentence("act_phrase", {"verb": _verb(verb), "number": number})


def _verb(verb: ChatVerb) -> Sentence:
    return Sentence(f"verb_{verb}")


def _nearly(text: str) -> CannotPlan | None:
    """What to write for "should I reject r42?", "don't approve r42", "aprove r42", "ok r42", "r42 approved"."""
    if should := _SHOULD.match(text):
        verb = VERB_OF[(should["verb"] or should["zh"]).lower()]
        return _question(verb, int(should["number"] or should["zh_number"]))
    if denied := _NOT.match(text):
        return _meant("reject", int(denied["number"] or denied["zh_number"]))
    slip = _SLIP.match(text)
    if slip is not None and is_marked(slip):
        for word in _SLIPS:
            if is_typo(slip["word"].lower(), word):
                return _meant(VERB_OF[word], int(slip["number"]))
    agreeing = _AGREEING.match(text)
    if agreeing is None or not END.match(text[agreeing.end() :]):
        agreeing = _BEHIND.fullmatch(text)
    if agreeing is not None and is_marked(agreeing):
        word = agreeing["word"].strip(" .!").casefold()
        meant = _AS_DECISION.get(alone_verb(word) or "hello", VERB_OF.get(word))
        if meant in DECIDING:
            return _meant(meant, int(agreeing["number"]))
    return None


def _meant(verb: ChatVerb, number: int) -> CannotPlan:
    phrase = _phrase(verb, number)
    return CannotPlan(Sentence("act_meant", {"phrase": phrase}), "act", meant=phrase)
