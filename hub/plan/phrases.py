"""Words around a request that do not change what it asks: courtesy, and asking to be shown.

They are taken out of messages and of examples alike, so an example need not list every way to say please. Courtesy may
stand around anything. "Show me" and "what is" only around what reads: a question about a restart is not a restart.
Whatever is not in these lists stays, and an example without it does not fit: "not", "if", "yesterday", "why".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hub.plan.slots import NEVER_VALUES
from hub.plan.words import Word, Words, split, word_set

Phrase = tuple[str, ...]


def _phrases(english: str, chinese: str) -> frozenset[Phrase]:
    """English phrases are parted by `|`, Chinese ones by spaces."""
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
"""Every machine, said in words; the pattern for it is `*`."""
NOUNS: Final = _by_first(
    _phrases("machine|server|host|node|box", "机器 服务器 主机 节点 这台机器 这台服务器 这台主机 这台")
)
"""What may stand beside a machine's name: "the server web-1", "web-1 这台机器"."""
AND: Final = _by_first(_phrases(",|and|, and|&", "和 与 跟 及 以及 还有"))
QUESTIONS: Final = frozenset("吗呢么嘛")
NEGATIONS: Final = word_set(
    "not don't dont never no nothing without stop avoid except can't cannot won't didn't doesn't shouldn't isn't "
    "不 别 勿 莫 没 甭 未 免"
)
LINKS: Final = word_set("on of for from at in to 's 在")
"""Small words that tie a machine's name to the rest."""
HOLLOW: Final = LINKS | NEVER_VALUES | word_set("怎 么 样 什 哪 些 个 多 少 有 没 是 几 了 还 最 高 谁 对 用 情 况")
"""Words that tell nothing of what is asked about."""
_ALERTS: Final = _phrases("tell me|let me know", "告诉我 通知我 提醒我 告诉我一声")
"""At the end of a message they ask to be told later: "disk full on web-1, tell me"."""
_VERBS: Final = _by_first(_phrases("free the|free a|free up|open the|open a|open up", ""))
"""An article makes a verb of "free" and "open": "free memory" is looked at, "free the memory" is to be done."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to be compared: `strict` keeps all but courtesy, `loose` drops what only asks to be shown."""

    words: tuple[Word, ...]  # all of them
    strict: tuple[Word, ...]
    loose: tuple[Word, ...]
    question: bool  # and no courtesy made it a request
    negated: bool

    @property
    def asked(self) -> bool:
        """Whether it says in so many words that it asks for something."""
        return self.question or len(self.loose) < len(self.strict) or len(self.strict) < len(self.words)


def read(text: str) -> Message | None:
    """None where the text is no plain one-line message."""
    found = split(text)
    return None if found is None else prepare(found)


def prepare(found: Words) -> Message:
    words = found.words
    question = found.question
    while words and words[-1].key in QUESTIONS:
        words, question = words[:-1], True
    requested = any(_requests(words, start) for start in range(len(words)))
    if any(tuple(word.key for word in words[-len(phrase) :]) == phrase for phrase in _ALERTS):
        words = (*words, Word("!", "!"))
    strict = _trim(_replace(drop(_replace(words, _VERBS, "!"), COURTESY), EVERY, "*"))
    return Message(
        found.words,
        strict,
        _trim(drop(strict, ASKING)),
        question and not requested,
        any(word.key in NEGATIONS for word in words),
    )


def _requests(words: Sequence[Word], start: int) -> bool:
    length = fits(words, start, COURTESY)
    return tuple(word.key for word in words[start : start + length]) in _REQUESTING


def fits(words: Sequence[Word], start: int, phrases: Mapping[str, Iterable[Phrase]]) -> int:
    """How many words the longest phrase that begins at `start` takes; 0 where none does."""
    if start >= len(words):
        return 0
    for phrase in phrases.get(words[start].key, ()):
        if len(phrase) <= len(words) - start and all(
            word == words[start + index].key for index, word in enumerate(phrase)
        ):
            return len(phrase)
    return 0


def drop(words: Sequence[Word], phrases: Mapping[str, Iterable[Phrase]]) -> tuple[Word, ...]:
    return _replace(words, phrases, "")


def _replace(words: Sequence[Word], phrases: Mapping[str, Iterable[Phrase]], by: str) -> tuple[Word, ...]:
    kept: list[Word] = []
    at = 0
    while at < len(words):
        if length := fits(words, at, phrases):
            if by:
                kept.append(Word(by, by))
            at += length
        else:
            kept.append(words[at])
            at += 1
    return tuple(kept)


def _trim(words: Sequence[Word]) -> tuple[Word, ...]:
    """Without the commas that courtesy left at the ends."""
    start, end = 0, len(words)
    while start < end and words[start].key == ",":
        start += 1
    while end > start and words[end - 1].key == ",":
        end -= 1
    return tuple(words[start:end])
