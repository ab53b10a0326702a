"""Follow-ups: "and on web-2?", "what about memory?", "again", "web-2 呢", "再看看内存".

They refer to the last plan of the same person in this conversation. They lead to at most one plan, and only to one that
reads and changes nothing:

    other machines     the same commands there, if they needed no approval and their runbook changes nothing
    another question   "memory" with the previous machines, as if written out, by a runbook that only reads
    once more          the same again, under the same conditions

Where something would be changed, the answer is the explicit phrase to send instead. A message that cannot be read in
one of these ways, or that says anything else beside it, is left to the next planner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from common.catalogue import Sentence
from common.command.line import quote_command
from common.plan import Plan
from hub.core.inventory import NoTarget, is_selector_part, resolve
from hub.core.outcome import CannotPlan, Exchange, Planned, PlanningContext, PlanningOutcome
from hub.planning.runbooks.matcher import RunbookMatcher, is_name_of_machine
from hub.planning.runbooks.phrases import AND, NEGATIONS, match_length
from hub.planning.runbooks.tokens import MessageWord, join_words, tokenize

MAX_LENGTH: Final = 120
"""Characters. A longer message is taken to be complete in itself."""
MAX_MARKERS: Final = 3  # in a row, on either side

_HAN: Final = re.compile(r"[\u3400-\u9fff]")
_MARKERS: Final = re.compile(
    r"\s*(?:ok(?:ay)?\s*,?\s+)?(?:and|also|then|now|plus|same|the same|likewise|ditto|again|once more|one more time"
    r"|repeat|retry|redo|rerun|what about|how about|what's|try|switch to|do|run|refresh)\b"
    r"|.*\b(?:too|as well|again|instead|also|once more|likewise)[\s.!?]*\Z"
    r"|\s*(?:那|再|也|还|换|重试|重跑|同样|一样|继续|另外|然后|顺便|刷新|重新)"
    r"|.*(?:呢|也一样|也看看|也看一下|再来一次|再看一次|再查一次|一次|一遍)[\s.!?。！？]*\Z",
    re.IGNORECASE | re.DOTALL,
)


def may_refer_back(text: str) -> bool:
    """Whether a message may be a follow-up. Cheap, and with false positives: the conversation decides."""
    return len(text) <= MAX_LENGTH and _MARKERS.match(text) is not None


def _forms(english: str, chinese: str) -> tuple[tuple[str, ...], ...]:
    """Phrases as words, the longest first; `|` separates English phrases, a space Chinese ones."""
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
        "|run it again|run that again|again please|once more please|retry|redo|rerun|retry that|retry it"
        "|check again|try again|refresh|and again|and now",
        "再来一次 再来一遍 再看一次 再看一遍 再查一次 再查一遍 再看看 再看一下 再查一下 再试一次 再跑一次 "
        "再执行一次 重试 重试一下 重跑 重新看一下 刷新 刷新一下 再一次",
    )
)
_EMPTY: Final = frozenset(_forms("it|that|this|things|the|there", "它 这 那 情况 一下 看看"))
"""Words without meaning that may be left once the markers are removed."""


@dataclass(frozen=True, slots=True)
class PreviousPlan:
    """The plan that a follow-up refers to."""

    exchange: Exchange
    plan: Plan

    @property
    def targets(self) -> tuple[str, ...] | None:
        """Its machines, where all its steps have the same."""
        first = self.plan.steps[0].targets
        return first if all(step.targets == first for step in self.plan.steps) else None


class FollowUpPlanner:
    """The planner of follow-ups. The context has the conversation only in slow planning; without it only messages that
    name their machines ("and disk on web-2") are understood.
    """

    def __init__(self, runbooks: RunbookMatcher) -> None:
        self._runbooks = runbooks
        self._changes = {runbook.name: runbook.changes for runbook in runbooks.runbooks}

    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        if not may_refer_back(context.text):
            return None
        found = tokenize(context.text)
        if found is None or any(word.key in NEGATIONS for word in found.words):
            return None
        if isinstance(self._runbooks.plan(context), Planned):
            return None  # it is complete in itself
        last = _previous_plan(context.history)
        if tuple(word.key for word in found.words) in _AGAIN:
            return None if found.question or last is None else self._repeat(last, last.targets)
        marked, rest = _strip_markers(found.words)
        if not marked or not rest or tuple(word.key for word in rest) in _EMPTY:
            return None
        elsewhere = None if last is None else self._on_other_machines(rest, last, context)
        return elsewhere or self._with_previous_machines(rest, last, context)

    # ---- the same, on other machines

    def _on_other_machines(
        self, rest: Sequence[MessageWord], previous: PreviousPlan, context: PlanningContext
    ) -> PlanningOutcome | None:
        expression = _machine_expression(_drop_prefix(rest, _LINK))
        if expression is None:
            return None
        try:
            targets = resolve(expression, context.inventory)
        except NoTarget as error:
            meant = is_name_of_machine(expression) or "," in expression
            return CannotPlan(error.sentence, "target") if meant else None
        return self._repeat(previous, targets)

    def _repeat(self, previous: PreviousPlan, targets: tuple[str, ...] | None) -> PlanningOutcome | None:
        """The previous plan on these machines; or the explicit phrase for it, where it does not only read."""
        if targets is None or previous.targets is None:
            return None
        if not self._is_read_only(previous):
            return _as_command(previous.plan, targets)
        steps = tuple(replace(step, targets=targets) for step in previous.plan.steps)
        by_model = previous.plan.source.startswith("model:")  # its explanation was about the other machine
        explanation = "" if by_model else previous.plan.explanation
        return Planned(replace(previous.plan, steps=steps, explanation=explanation))

    def _is_read_only(self, previous: PreviousPlan) -> bool:
        """Whether it changed nothing, as far as known: its runbook says so, or policy allowed it without approval."""
        kind, _, name = previous.plan.source.partition(":")
        if kind == "runbook":
            return self._changes.get(name) is False
        return not previous.exchange.asked

    # ---- something else, on the same machines

    def _with_previous_machines(
        self, rest: Sequence[MessageWord], previous: PreviousPlan | None, context: PlanningContext
    ) -> PlanningOutcome | None:
        """The plan of the words with the previous machines added, or by themselves where they name machines."""
        text = join_words([word.raw for word in rest])
        whole = self._runbooks.plan(replace(context, text=text, history=()))
        if isinstance(whole, Planned):
            return self._only_if_read_only(whole, text)
        if previous is None or previous.targets is None:
            return None
        where = ",".join(previous.targets)
        outcomes: dict[object, tuple[Planned, str]] = {}
        for written in with_machines(text, where):
            outcome = self._runbooks.plan(replace(context, text=written, history=()))
            if isinstance(outcome, Planned) and outcome.plan.targets == previous.targets:
                outcomes.setdefault((outcome.plan.source, outcome.plan.steps), (outcome, written))
        if len(outcomes) != 1:
            return None
        ((outcome, written),) = outcomes.values()
        return self._only_if_read_only(outcome, written)

    def _only_if_read_only(self, outcome: Planned, written: str) -> PlanningOutcome:
        if self._changes.get(outcome.plan.source.removeprefix("runbook:")) is False:
            return outcome
        return CannotPlan(Sentence("followup_changes", {"phrase": written}), "question")


def _previous_plan(thread: Sequence[Exchange]) -> PreviousPlan | None:
    """The person's own newest plan; plans of others do not count. None where a model's question came after it, which
    the message then answers.
    """
    for exchange in reversed(thread):
        if exchange.own and exchange.asks:
            return None
        if exchange.own and exchange.plan is not None:
            return PreviousPlan(exchange, exchange.plan)
    return None


def _as_command(plan: Plan, targets: Sequence[str]) -> CannotPlan | None:
    """The refusal that names the explicit command to send instead."""
    if len(plan.steps) > 1:
        return CannotPlan(Sentence("followup_whole"), "question")
    phrase = f"@{','.join(targets)} {quote_command(plan.steps[0].argv, plan.steps[0].filters)}"
    return CannotPlan(Sentence("followup_changes", {"phrase": phrase}), "question")


# ---- words


def _drop_prefix(words: Sequence[MessageWord], phrases: Iterable[tuple[str, ...]]) -> Sequence[MessageWord]:
    """`words` without the longest of the phrases that they begin with."""
    for phrase in phrases:
        if tuple(word.key for word in words[: len(phrase)]) == phrase:
            return words[len(phrase) :]
    return words


def _drop_suffix(words: Sequence[MessageWord], phrases: Iterable[tuple[str, ...]]) -> Sequence[MessageWord]:
    """`words` without the longest of the phrases that they end with."""
    for phrase in phrases:
        if tuple(word.key for word in words[len(words) - len(phrase) :]) == phrase and len(phrase) <= len(words):
            return words[: len(words) - len(phrase)]
    return words


def _strip_markers(words: Sequence[MessageWord]) -> tuple[bool, Sequence[MessageWord]]:
    """Whether there are markers of a follow-up, and the words between them."""
    rest = words
    for _ in range(MAX_MARKERS):  # "ok, and the same on web-2 too, please"
        rest = _drop_suffix(_drop_prefix(rest, _BEFORE), _BEHIND)
        rest = rest[1:] if len(rest) < len(words) and rest and rest[0].key == "," else rest
        rest = rest[:-1] if len(rest) < len(words) and rest and rest[-1].key == "," else rest
    return len(rest) < len(words), rest


def _machine_expression(words: Sequence[MessageWord]) -> str | None:
    """The machines that the words name, where they name nothing else: "web-2", "web-1 and db-1", "role=web"."""
    parts: list[str] = []
    at = 0
    while at < len(words):
        if parts:
            connector = match_length(words, at, AND)
            if not connector:
                return None
            at += connector
        part = words[at].raw.removeprefix("@") if at < len(words) else ""
        if not is_selector_part(part):
            return None
        parts.append(part)
        at += 1
    return ",".join(parts) or None


def with_machines(text: str, where: str) -> Iterator[str]:
    """The text with the machines added, in the ways that people write it."""
    if _HAN.search(text):
        yield from (f"{where} 的{text}", f"{where} {text}", f"{where} 上 {text}")
    else:
        yield from (f"{text} on {where}", f"{text} of {where}", f"{where} {text}")
