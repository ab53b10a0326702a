"""The words of chat commands, in English and Chinese: verbs, ways to name a request, courtesy, yes, questions. Pure.

Every table is of whole words and phrases in lower case, full-width signs already folded (`runbooks.tokens.fold_width`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hub.core.outcome import ChatVerb

ON_REQUESTS: Final[dict[ChatVerb, tuple[str, ...]]] = {
    "approve": ("approve", "批准", "同意", "通过", "通過"),
    "reject": ("reject", "deny", "decline", "拒绝", "拒絕", "驳回", "駁回", "否决", "否決"),
    "cancel": ("cancel", "取消", "撤销", "撤銷", "撤回"),
    "status": ("status of", "status", "状态", "狀態", "进度", "進度"),
    "show": (
        "show me",
        "show",
        "details of",
        "details",
        "显示",
        "顯示",
        "查看",
        "看看",
        "看一下",
        "看",
        "详情",
        "詳情",
    ),
    "output": (
        "show output of",
        "show the output of",
        "output of",
        "output",
        "输出",
        "輸出",
        "查看输出",
        "结果",
        "結果",
    ),
    "more": (
        "see the rest of",
        "show the rest of",
        "the rest of",
        "rest of",
        "show more of",
        "more of",
        "more",
        "更多",
        "余下",
        "其余",
        "剩下",
    ),
    "file": (
        "send the file of",
        "send file",
        "file of",
        "file",
        "download",
        "文件",
        "檔案",
        "附件",
        "下载",
        "下載",
    ),
    "retry": ("retry", "run again", "repeat", "redo", "rerun", "重试", "重試", "重跑", "再次执行", "重新执行", "再跑"),
}
"""Verbs about one request. The first four may stand without its number, the others are of other planners then."""
NUMBER_NEEDED: Final[frozenset[ChatVerb]] = frozenset({"show", "output", "more", "file", "retry"})
STOPPING: Final = ("stop", "abort", "kill", "停止", "停", "中止", "终止", "終止")
"""Cancel, where a request is named with its mark: "stop r42". "stop 42" may mean anything."""
THIS_ONE: Final = frozenset({"it", "this", "that", "this one", "that one", "它", "这个", "这条", "那个", "这一个"})
ALL_OF_THEM: Final = frozenset(
    {"all", "both", "everything", "them", "all of them", "全部", "所有", "都", "全都", "所有请求", "全部请求"}
)
DECIDING: Final[frozenset[ChatVerb]] = frozenset({"approve", "reject", "cancel", "retry"})
"""Verbs that do something: a question never does it."""

ALONE: Final[dict[ChatVerb, tuple[str, ...]]] = {
    "machines": (
        "machines", "agents", "servers", "hosts", "list machines", "show machines", "list servers", "list agents",
        "which machines", "which machines are there", "what machines are there", "which machines do you have",
        "what machines do you have", "which machines do you know", "what machines do you know",
        "which servers are there", "what servers are there", "which servers do you have", "what servers do you have",
        "machine list", "机器", "機器", "机器列表", "有哪些机器", "你有哪些机器", "都有哪些机器", "你管理哪些机器",
        "哪些机器", "有什么机器", "列出机器", "查看机器", "服务器列表", "有哪些服务器",
    ),
    "whoami": (
        "whoami", "who am i", "what may i do", "what am i allowed to do", "我是谁", "我是誰", "我有什么权限",
        "我的权限", "我能做什么",
    ),
    "status": (
        "approvals", "pending", "what is waiting", "what's waiting", "open requests", "待审批", "待批准", "审批",
    ),
    "jobs": (
        "jobs", "list jobs", "show jobs", "my jobs", "任务", "任務", "任务列表", "查看任务", "有哪些任务", "作业",
    ),
    "history": (
        "history", "show history", "my history", "recent requests", "last requests", "历史", "歷史", "历史记录",
        "查看历史", "最近的请求",
    ),
    "hello": (
        "hi", "hello", "hey", "hi there", "hello there", "hey there", "hi all", "hello all", "hi team", "hello team",
        "good morning", "good afternoon", "good evening", "morning", "yo", "how are you", "who are you",
        "what are you", "what can you do", "what can you do for me", "what do you do", "how does this work",
        "how do i use this", "what can i do here", "what can i say", "what can i ask", "/start", "start",
        "are you there", "anyone there", "anybody there", "you there", "gm", "sup", "test", "ping", "?", "??", "???",
        "你好", "您好", "你们好", "大家好", "嗨", "哈喽", "哈啰", "早", "早上好", "上午好", "下午好", "晚上好",
        "早安", "在吗", "在么", "在不在", "你是谁", "您是谁", "你是什么", "你能做什么", "你会做什么", "你可以做什么",
        "你能干什么", "你能干嘛", "你会什么", "能做什么", "怎么用", "如何使用", "怎么使用", "测试",
    ),
    "thanks": (
        "thanks", "thank you", "thx", "ty", "cheers", "many thanks", "thanks a lot", "thank you very much", "great",
        "great thanks", "nice", "cool", "perfect", "well done", "good bot", "good job", "bye", "goodbye", "see you",
        "谢谢", "謝謝", "多谢", "谢谢你", "谢谢您", "感谢", "非常感谢", "辛苦了", "辛苦", "太好了", "棒", "赞",
        "再见", "拜拜", "晚安", "🙏", "❤",
    ),
    "yes": (
        "yes", "y", "yep", "yeah", "yup", "yes please", "ok", "okay", "k", "sure", "go", "go ahead", "do it",
        "lgtm", "agreed", "confirm", "confirmed", "+1", "approved", "approve it", "yes approve", "ok approve",
        "yes go ahead", "fine", "ack", "ship it", "好", "好的", "好吧", "好啊", "是", "是的", "对", "對", "行",
        "可以", "确认", "確認", "没问题", "沒問題", "嗯", "嗯嗯", "同意了", "准", "同意执行", "执行吧", "通过", "👍",
        "✅", "👌", "🆗",
    ),
    "no": (
        "no", "n", "nope", "no thanks", "don't", "do not", "no way", "-1", "不", "不行", "不要", "不可以", "不同意",
        "否", "别", "👎", "❌",
    ),
}  # fmt: skip
"""Whole messages, with courtesy and signs at their ends; a question mark makes them no other."""

HELP: Final = (
    "help", "/help", "help me", "i need help", "commands", "list commands", "show commands", "usage", "man", "manual",
    "how do i run a command", "how do i run commands", "how can i run a command", "how to run a command",
    "帮助", "幫助", "帮帮我", "帮忙", "求助", "使用帮助", "使用说明", "说明", "手册", "命令", "命令列表", "有哪些命令",
    "怎么执行命令", "如何执行命令",
)  # fmt: skip
HELP_ABOUT: Final = re.compile(
    r"/?help\s+(?:(?:with|on|about)\s+)?(?P<en>(?!me\b).{1,40})"
    r"|how\s+(?:do|can|should|would)\s+(?:i|we)\s+(?P<how>approve|reject|cancel|retry|pause|resume)(?:\s.{0,40})?"
    r"|(?:怎么|怎样|如何)\s*(?P<how_zh>审批|批准|拒绝|暂停)(?:.{0,20})"
    r"|(?:帮助|幫助)\s*[:：]?\s*(?P<zh>.{1,40})|(?P<behind>.{1,20}?)\s*(?:的)?(?:帮助|幫助|怎么用|如何使用)",
    re.IGNORECASE,
)
MAX_TOPIC_WORDS: Final = 3
MAX_WHOLE: Final = 80
"""Characters of a message that can be one phrase of these tables."""

_BEFORE_EN: Final = (
    "please|pls|kindly|ok|okay|yes|yep|yeah|sure|alright|right|then|so|hi|hey|hello|go ahead and|go ahead|can you"
    "|could you|would you|let's|let us"
)
_BEFORE_ZH: Final = "请|麻烦|麻烦你|帮我|好的|好|是的|是|行|可以|嗯|那就|那|你好|您好"
COURTESY_BEFORE: Final = rf"(?:(?:(?:{_BEFORE_EN})(?=[\s,.!])|{_BEFORE_ZH})[\s,.!]{{0,4}}){{0,4}}"
COURTESY: Final = re.compile(COURTESY_BEFORE, re.IGNORECASE)
COURTESY_BEHIND: Final = (
    r"(?:[\s,.!~]{0,4}(?:(?<![A-Za-z])(?:please|pls|thanks|thank you|thx|now|asap|for me|then|again)(?![A-Za-z])"
    r"|吧|了|啊|哦|呀|谢谢|多谢|一下|👍|🙏|✅)){0,4}"
)
END: Final = re.compile(rf"{COURTESY_BEHIND}[\s.,!~;\"'`”’」]*\Z", re.IGNORECASE)
"""What may stand behind a command and changes nothing."""

_KIND: Final = (
    r"(?:request|req\.?|ticket)\s{0,3}(?:number|no\.?|nr\.?|id)(?![a-z])|request|req\.?|number|no\.|ticket"
    r"|请求|申请|工单|编号|第"
)
REQUEST: Final = re.compile(
    rf"(?:the\s{{1,3}})?(?P<mark>(?:{_KIND})?\s{{0,3}}第?\s{{0,3}}(?:r\s{{0,3}}[-#]?\s{{0,3}}|[#№]\s{{0,3}})?)"
    r"(?P<number>[0-9]{1,12})(?P<counted>\s{0,3}(?:号(?:请求|申请|工单)?|个请求))?(?![0-9A-Za-z_-]|\.[0-9A-Za-z])",
    re.IGNORECASE,
)
"""A request: r42, #42, 42, "r 42", "request 42", 第42号. `is_marked` tells whether it can be nothing else."""

QUESTION: Final = re.compile(r"(?:\?[\s?.!~]*|(?:吗|么|嘛|呢|行不行|可不可以)[\s?.!~]*)\Z")
PLACEHOLDERS: Final = frozenset({"why", "reason", "[why]", "<why>", "原因", "[原因]", "because"})
"""Our own words for what is to be filled in; copied as they are they say nothing."""

VERB_OF: Final[dict[str, ChatVerb]] = {word: verb for verb, words in ON_REQUESTS.items() for word in words}
_LONGEST_FIRST: Final = sorted((*VERB_OF, *STOPPING), key=len, reverse=True)
HEAD: Final = re.compile(
    rf"{COURTESY_BEFORE}(?P<verb>{'|'.join(map(re.escape, _LONGEST_FIRST))})(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
ALONE_VERB: Final[dict[str, ChatVerb]] = {word: verb for verb, words in ALONE.items() for word in words}


def is_marked(request: re.Match[str]) -> bool:
    """Whether it says that it is a request's number: 42 alone may be another one."""
    return bool(request["mark"].strip() or request["counted"])


def is_question(text: str) -> bool:
    """Whether the message asks; then nothing is done for it."""
    return QUESTION.search(text[-MAX_WHOLE:]) is not None


def alone_verb(text: str) -> ChatVerb | None:
    """The verb of a message that is one phrase of `ALONE`, with courtesy and signs at its ends."""
    if len(text) > MAX_WHOLE:
        return None
    whole = text.strip().casefold()
    asked = whole.rstrip("? ")
    for candidate in _without_ends(whole):
        if candidate in ALONE_VERB:
            return ALONE_VERB[candidate]
    if asked != whole:
        found = next((ALONE_VERB[one] for one in _without_ends(asked) if one in ALONE_VERB), None)
        return None if found in ("yes", "no") else found
    return None


def _without_ends(text: str) -> Iterator[str]:
    """The text, without signs, without courtesy behind, before, and both."""
    yield text
    bare = text.strip(" \t\n.!~,;")
    yield bare
    rest = COURTESY.sub("", bare, count=1)
    for one in (bare, rest) if any(map(str.isalnum, rest)) else (bare,):
        yield one
        ended = END.search(one)
        yield (one[: ended.start()] if ended else one).strip()
