"""Words around a request that do not change what it asks: courtesy, and "show me".

They are removed from messages and examples, so that an example need not list every way to say please. Courtesy is
removed everywhere; "show me" and "what is" only from what reads: a question about a restart is not a restart. All other
words stay, and an example without them does not match: "not", "if", "yesterday", "why".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hub.planning.runbooks.slots import NEVER_VALUES
from hub.planning.runbooks.tokens import MessageWord, TokenizedMessage, tokenize, word_set

Phrase = tuple[str, ...]


def _phrases(english: str, chinese: str) -> frozenset[Phrase]:
    """A set of phrases; `|` separates English ones, a space Chinese ones."""
    return frozenset(tuple(phrase.split()) for phrase in english.split("|")) | frozenset(map(tuple, chinese.split()))


def _by_first(phrases: Iterable[Phrase]) -> dict[str, tuple[Phrase, ...]]:
    """First word -> phrases, the longest first."""
    found: dict[str, tuple[Phrase, ...]] = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        found[phrase[0]] = (*found.get(phrase[0], ()), phrase)
    return found


_REQUESTING: Final = _phrases(
    "please|pls|can you|could you|would you|can you please|could you please|would you please",
    "请 麻烦 麻烦你 麻烦您 帮我 帮忙 帮我们 劳驾 能帮我 可以帮我 能不能帮我 可不可以帮我 能否帮我",
)
"""Courtesy that makes a question a request: "can you restart …?"."""

_COURTESY: Final = _phrases(
    "kindly|the|a|an|now|right now|for me|hey|hi|hello|thanks|thank you|good morning|good afternoon|good evening|hi all"
    "|hello team|hi team",
    "一下 谢谢 现在 你好 您好 的 上 吧 请问",
)
COURTESY: Final = _by_first(_REQUESTING | _COURTESY)
ASKING: Final = _by_first(
    _phrases(
        "show|show me|tell me|give me|get|get me|check|check on|list|display|print|see|let me see|look at|what is"
        "|what are|current|currently|at the moment|send me|can i see|could i see|i want to see|i would like to see"
        "|i'd like to see|i need to see|i want to know|i would like to know|i'd like to know|i need to know",
        "看 看看 看一看 看下 查 查看 查看下 查查 查下 查一查 查询 检查 显示 列出 "
        "告诉我 给我 给我看 我想看 我想知道 当前 目前",
    )
)
EVERY: Final = _by_first(
    _phrases(
        "|".join(
            f"{every} {noun}"
            for every in ("all", "every", "each")
            for noun in ("machine", "machines", "server", "servers", "host", "hosts", "node", "nodes")
        ),
        " ".join(
            every + noun for every in ("所有", "全部", "每台", "各台") for noun in ("机器", "服务器", "主机", "节点")
        ),
    )
)
"""Phrases for all machines, equal to the expression `*`."""
NOUNS: Final = _by_first(
    _phrases("machine|server|host|node|box", "机器 服务器 主机 节点 这台机器 这台服务器 这台主机 这台")
)
"""Nouns beside a machine's name: "the server web-1", "web-1 这台机器"."""
AND: Final = _by_first(_phrases(",|and|, and|&", "和 与 跟 及 以及 还有"))
QUESTIONS: Final = frozenset("吗呢么嘛")
NEGATIONS: Final = word_set(
    "not don't dont never no nothing without stop avoid except can't cannot won't didn't doesn't shouldn't isn't "
    "不 别 勿 莫 没 甭 未 免"
)
LINKS: Final = word_set("on of for from at in to 's 在")
"""Prepositions that link a machine's name to the rest."""
NO_CONTENT: Final = LINKS | NEVER_VALUES | word_set("怎 么 样 什 哪 些 个 多 少 有 没 是 几 了 还 最 高 谁 对 用 情 况")
"""Words without content: they do not say what is asked about."""
_ALERTS: Final = _phrases("tell me|let me know", "告诉我 通知我 提醒我 告诉我一声")
"""At the end of a message these ask for an alert later: "disk full on web-1, tell me"."""
_VERBS: Final = _by_first(_phrases("free the|free a|free up|open the|open a|open up", ""))
"""With an article "free" and "open" are verbs: "free memory" is a question, "free the memory" an action."""


@dataclass(frozen=True, slots=True)
class NormalizedMessage:
    """A message ready for matching: `strict` without courtesy, `loose` also without "show me" and the like."""

    words: tuple[MessageWord, ...]  # all of them
    strict: tuple[MessageWord, ...]
    loose: tuple[MessageWord, ...]
    question: bool  # and no courtesy made it a request
    negated: bool

    @property
    def is_request(self) -> bool:
        """Whether it contains a question or words of request."""
        return self.question or len(self.loose) < len(self.strict) or len(self.strict) < len(self.words)


def parse_message(text: str) -> NormalizedMessage | None:
    """The normalized message; None where the text is not one plain line."""
    found = tokenize(text)
    return None if found is None else normalize(found)


def normalize(found: TokenizedMessage) -> NormalizedMessage:
    words = found.words
    question = found.question
    while words and words[-1].key in QUESTIONS:
        words, question = words[:-1], True
    requested = any(_is_request(words, start) for start in range(len(words)))
    if any(tuple(word.key for word in words[-len(phrase) :]) == phrase for phrase in _ALERTS):
        words = (*words, MessageWord("!", "!"))
    strict = _trim(_replace(remove_phrases(_replace(words, _VERBS, "!"), COURTESY), EVERY, "*"))
    return NormalizedMessage(
        found.words,
        strict,
        _trim(remove_phrases(strict, ASKING)),
        question and not requested,
        any(word.key in NEGATIONS for word in words),
    )


def _is_request(words: Sequence[MessageWord], start: int) -> bool:
    length = match_length(words, start, COURTESY)
    return tuple(word.key for word in words[start : start + length]) in _REQUESTING


def match_length(words: Sequence[MessageWord], start: int, phrases: Mapping[str, Iterable[Phrase]]) -> int:
    """The length in words of the longest phrase that begins at `start`; 0 where none does."""
    if start >= len(words):
        return 0
    for phrase in phrases.get(words[start].key, ()):
        if len(phrase) <= len(words) - start and all(
            word == words[start + index].key for index, word in enumerate(phrase)
        ):
            return len(phrase)
    return 0


def remove_phrases(words: Sequence[MessageWord], phrases: Mapping[str, Iterable[Phrase]]) -> tuple[MessageWord, ...]:
    return _replace(words, phrases, "")


def _replace(words: Sequence[MessageWord], phrases: Mapping[str, Iterable[Phrase]], by: str) -> tuple[MessageWord, ...]:
    result: list[MessageWord] = []
    at = 0
    while at < len(words):
        if length := match_length(words, at, phrases):
            if by:
                result.append(MessageWord(by, by))
            at += length
        else:
            result.append(words[at])
            at += 1
    return tuple(result)


def _trim(words: Sequence[MessageWord]) -> tuple[MessageWord, ...]:
    """`words` without commas at either end, which removed courtesy leaves."""
    start, end = 0, len(words)
    while start < end and words[start].key == ",":
        start += 1
    while end > start and words[end - 1].key == ",":
        end -= 1
    return tuple(words[start:end])
