"""Messages that lean on the one before: "and on web-2?", "what about memory?", "again", "web-2 呢", "再看看内存".

They mean the last plan of the same person in this conversation. One plan at most comes of it, and only where it reads:

    other machines     the same commands there, where they ran without a person's yes and their runbook changes nothing
    another reading    "memory" with the machines of before, as if it had been written out, by a runbook that reads
    once more          the same again, under the same conditions

What would change something is answered with the words that ask for it outright. A message that can be read in no such
way, or that says anything beside it, is left to the next planner.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from common.catalogue import Sentence
from common.plan import Plan
from hub.machines import NoTarget, is_expression, resolve
from hub.plan.match import Runbooks, is_name_of_machine
from hub.plan.outcome import Cannot, Context, Exchange, Outcome, Planned
from hub.plan.phrases import AND, NEGATIONS, fits
from hub.plan.words import Word, split

MAX_LENGTH: Final = 120
"""Characters. What is longer says what it wants itself."""
MOST_MARKS: Final = 3  # one after the other, on either side

_HAN: Final = re.compile(r"[\u3400-\u9fff]")
_MARKED: Final = re.compile(
    r"\s*(?:ok(?:ay)?\s*,?\s+)?(?:and|also|then|now|plus|same|the same|likewise|ditto|again|once more|one more time"
    r"|repeat|what about|how about|what's|try|switch to|do|run|refresh)\b"
    r"|.*\b(?:too|as well|again|instead|also|once more|likewise)[\s.!?]*\Z"
    r"|\s*(?:那|再|也|还|换|同样|一样|继续|另外|然后|顺便|刷新|重新)"
    r"|.*(?:呢|也一样|也看看|也看一下|再来一次|再看一次|再查一次|一次|一遍)[\s.!?。！？]*\Z",
    re.IGNORECASE | re.DOTALL,
)


def refers(text: str) -> bool:
    """Whether a message may lean on the one before. Cheap, and rather too often: reading the thread decides."""
    return len(text) <= MAX_LENGTH and _MARKED.match(text) is not None


def _forms(english: str, chinese: str) -> tuple[tuple[str, ...], ...]:
    """Phrases as words: English ones are parted by `|`, Chinese ones by spaces; the longest first."""
    phrases = [tuple(one.split()) for one in english.split("|") if one] + [tuple(one) for one in chinese.split()]
    return tuple(sorted(phrases, key=len, reverse=True))


_BEFORE: Final = _forms(
    "and|and also|and now|and then|also|now|then|same|the same|same again|the same again|same thing|the same thing"
    "|likewise|do the same|do that|do it|run that|run it|run the same|repeat that|repeat it|what about|how about"
    "|and what about|and how about|try|try it|switch to|plus|once more|again|ok and|okay and|ok|ditto|check",
    "那 那么 那看看 那看下 还有 还要看 还想看 换 换成 换到 同样 同样看看 同样在 一样 另外 另外看 另外看看 "
    "然后 然后看看 再 再看 再看看 再看下 再看一下 再查 再查查 再查下 再查一下 再检查 再检查一下 再在 "
    "再帮我看看 再帮我看下 也 也看 也看看 也看下 也查 也查下 也查一下 也在 也要看 也帮我看看 顺便看看 顺便看下",
)
_LINK: Final = _forms("on|for|at|in|with|to|of", "在 对 到")
_BEHIND: Final = _forms(
    "too|as well|also|again|once more|instead|please|likewise|now|next|then|one more time",
    "呢 的 吧 上 上呢 的呢 上的呢 那边呢 那台呢 这台呢 情况呢 怎么样 又怎么样 一下 看看 看一下 看下 上看看 上看一下 "
    "也看看 也看一下 也看下 也查一下 也一样 也来一次 也要 上也看看 上也看一下 上也看下 上也一样 上也来一次 "
    "再来一次 上再来一次 上再看看",
)
_AGAIN: Final = frozenset(
    _forms(
        "again|once more|one more time|same again|the same again|repeat|repeat that|do it again|do that again"
        "|run it again|run that again|again please|once more please|check again|try again|refresh|and again|and now",
        "再来一次 再来一遍 再看一次 再看一遍 再查一次 再查一遍 再看看 再看一下 再查一下 再试一次 再跑一次 "
        "再执行一次 重新看一下 刷新 刷新一下 再一次",
    )
)
_EMPTY: Final = frozenset(_forms("it|that|this|things|the|there", "它 这 那 情况 一下 看看"))
"""What may be left between the words around it, and says nothing."""


@dataclass(frozen=True, slots=True)
class Last:
    """The plan that is meant."""

    exchange: Exchange
    plan: Plan

    @property
    def targets(self) -> tuple[str, ...] | None:
        """Its machines, where all its steps have the same."""
        first = self.plan.steps[0].targets
        return first if all(step.targets == first for step in self.plan.steps) else None


class FollowUps:
    """The planner of such messages. The thread is in the context only in the slow lane; without it only what names its
    machines after all ("and disk on web-2") is understood.
    """

    def __init__(self, runbooks: Runbooks) -> None:
        self._runbooks = runbooks
        self._changes = {runbook.name: runbook.changes for runbook in runbooks.all}

    def plan(self, context: Context) -> Outcome | None:
        if not refers(context.text):
            return None
        found = split(context.text)
        if found is None or any(word.key in NEGATIONS for word in found.words):
            return None
        if isinstance(self._runbooks.plan(context), Planned):
            return None  # it leans on nothing
        last = _last(context.thread)
        if tuple(word.key for word in found.words) in _AGAIN:
            return None if found.question or last is None else self._same(last, last.targets)
        marked, rest = _without_marks(found.words)
        if not marked or not rest or tuple(word.key for word in rest) in _EMPTY:
            return None
        elsewhere = None if last is None else self._elsewhere(rest, last, context)
        return elsewhere or self._otherwise(rest, last, context)

    # ---- the same, on other machines

    def _elsewhere(self, rest: Sequence[Word], last: Last, context: Context) -> Outcome | None:
        expression = _expression(_skip(rest, _LINK))
        if expression is None:
            return None
        try:
            targets = resolve(expression, context.inventory)
        except NoTarget as error:
            meant = is_name_of_machine(expression) or "," in expression
            return Cannot(error.sentence, "target") if meant else None
        return self._same(last, targets)

    def _same(self, last: Last, targets: tuple[str, ...] | None) -> Outcome | None:
        """The last plan on these machines; or the words that ask for it, where it does not only read."""
        if targets is None or last.targets is None:
            return None
        if not self._reads(last):
            return _outright(last.plan, targets)
        steps = tuple(replace(step, targets=targets) for step in last.plan.steps)
        by_model = last.plan.source.startswith("model:")  # what it said of the other machine says nothing of this one
        explanation = "" if by_model else last.plan.explanation
        return Planned(replace(last.plan, steps=steps, explanation=explanation))

    def _reads(self, last: Last) -> bool:
        """Whether it changed nothing, as far as is known: its runbook says so, or policy let it run by itself."""
        kind, _, name = last.plan.source.partition(":")
        if kind == "runbook":
            return self._changes.get(name) is False
        return not last.exchange.asked

    # ---- something else, on the same machines

    def _otherwise(self, rest: Sequence[Word], last: Last | None, context: Context) -> Outcome | None:
        """What the words mean with the machines of before in them, or by themselves where they name some."""
        text = _joined(rest)
        whole = self._runbooks.plan(replace(context, text=text, thread=()))
        if isinstance(whole, Planned):
            return self._if_it_reads(whole, text)
        if last is None or last.targets is None:
            return None
        where = ",".join(last.targets)
        outcomes: dict[object, tuple[Planned, str]] = {}
        for written in _written_out(text, where):
            outcome = self._runbooks.plan(replace(context, text=written, thread=()))
            if isinstance(outcome, Planned) and outcome.plan.targets == last.targets:
                outcomes.setdefault((outcome.plan.source, outcome.plan.steps), (outcome, written))
        if len(outcomes) != 1:
            return None
        ((outcome, written),) = outcomes.values()
        return self._if_it_reads(outcome, written)

    def _if_it_reads(self, outcome: Planned, written: str) -> Outcome:
        if self._changes.get(outcome.plan.source.removeprefix("runbook:")) is False:
            return outcome
        return Cannot(Sentence("followup_changes", {"phrase": written}), "question")


def _last(thread: Sequence[Exchange]) -> Last | None:
    """The newest plan of the person's own: what others asked for is not theirs to go on with. None where a model's
    question came after it: then the message is the answer to that.
    """
    for exchange in reversed(thread):
        if exchange.own and exchange.asks:
            return None
        if exchange.own and exchange.plan is not None:
            return Last(exchange, exchange.plan)
    return None


def _outright(plan: Plan, targets: Sequence[str]) -> Cannot | None:
    """How to ask for it outright: as a command."""
    if len(plan.steps) > 1:
        return Cannot(Sentence("followup_whole"), "question")
    phrase = f"@{','.join(targets)} {shlex.join(plan.steps[0].argv)}"
    return Cannot(Sentence("followup_changes", {"phrase": phrase}), "question")


# ---- words


def _skip(words: Sequence[Word], phrases: Iterable[tuple[str, ...]]) -> Sequence[Word]:
    """Without the longest of the phrases that it begins with."""
    for phrase in phrases:
        if tuple(word.key for word in words[: len(phrase)]) == phrase:
            return words[len(phrase) :]
    return words


def _cut(words: Sequence[Word], phrases: Iterable[tuple[str, ...]]) -> Sequence[Word]:
    """Without the longest of the phrases that it ends with."""
    for phrase in phrases:
        if tuple(word.key for word in words[len(words) - len(phrase) :]) == phrase and len(phrase) <= len(words):
            return words[: len(words) - len(phrase)]
    return words


def _without_marks(words: Sequence[Word]) -> tuple[bool, Sequence[Word]]:
    """Whether there was a mark of leaning on what came before, and what is between the marks."""
    rest = words
    for _ in range(MOST_MARKS):  # "ok, and the same on web-2 too, please"
        rest = _cut(_skip(rest, _BEFORE), _BEHIND)
        rest = rest[1:] if len(rest) < len(words) and rest and rest[0].key == "," else rest
        rest = rest[:-1] if len(rest) < len(words) and rest and rest[-1].key == "," else rest
    return len(rest) < len(words), rest


def _expression(words: Sequence[Word]) -> str | None:
    """The machines that the words name, where they name nothing else: "web-2", "web-1 and db-1", "role=web"."""
    parts: list[str] = []
    at = 0
    while at < len(words):
        if parts:
            connector = fits(words, at, AND)
            if not connector:
                return None
            at += connector
        part = words[at].raw.removeprefix("@") if at < len(words) else ""
        if not is_expression(part):
            return None
        parts.append(part)
        at += 1
    return ",".join(parts) or None


def _joined(words: Sequence[Word]) -> str:
    text = ""
    for word in words:
        blank = text and word.raw not in (",", "'s") and not (_HAN.match(text[-1]) and _HAN.match(word.raw))
        text += f" {word.raw}" if blank else word.raw
    return text


def _written_out(text: str, where: str) -> Iterator[str]:
    """The same with the machines named, in the ways that people name them."""
    if _HAN.search(text):
        yield from (f"{where} 的{text}", f"{where} {text}", f"{where} 上 {text}")
    else:
        yield from (f"{text} on {where}", f"{text} of {where}", f"{where} {text}")
