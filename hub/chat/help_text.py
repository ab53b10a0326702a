"""What a person is told who says hello, thanks or help: short, for this person, from examples that harm nothing. Pure.

The examples are phrases that were tried: each is understood, and policy lets this person run it at once on a machine
that is there (`hub.engine.example_phrases`). At most `MAX_HELP` lines, so that it fits a telephone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from common.catalogue import Language, translate
from hub.chat.reply_text import fit_lines
from hub.core.chat_text import inline_text, join_names

MAX_HELP: Final = 12
MAX_NAMED: Final = 5

Topic = Literal["approvals", "commands", "machines", "requests", "runbooks", "drafts"]
TOPICS: Final[dict[Topic, tuple[str, ...]]] = {
    "commands": ("commands", "command", "run", "running", "命令", "执行"),
    "runbooks": ("runbooks", "runbook", "words", "plain words", "examples", "手册", "操作手册", "示例", "例子"),
    "requests": (
        "requests",
        "request",
        "jobs",
        "job",
        "history",
        "status",
        "cancel",
        "retry",
        "请求",
        "任务",
        "状态",
        "历史",
    ),
    "approvals": ("approvals", "approval", "approve", "reject", "deciding", "审批", "批准", "拒绝", "审核"),
    "machines": ("machines", "machine", "servers", "pause", "resume", "wake", "机器", "服务器", "暂停"),
    "drafts": ("drafts", "draft", "草稿", "making runbooks"),
}
_OF_WORD: Final = {word: topic for topic, words in TOPICS.items() for word in words}


@dataclass(frozen=True, slots=True)
class HelpFacts:
    """What is true for this person now."""

    examples: Sequence[str]  # phrases that they may send at once
    machine: str  # one that they are for; "" where there is none
    machines: int
    online: int
    may_run: bool
    may_approve: bool
    approvers: Sequence[str] = ()
    waiting: int = 0  # plans that wait for approval


def topic_of(word: str) -> Topic | None:
    return _OF_WORD.get(word.strip().casefold())


def hello_text(facts: HelpFacts, language: Language, *, thanks: bool = False, about: str = "") -> str:
    """A short answer with up to three examples; `about` is a machine that was named."""
    if not facts.machines:
        return fit_lines([translate(language, "hello_no_machines")], language)
    key = "hello_thanks" if thanks else "hello_machine" if about else "hello"
    lines = [translate(language, key, machine=inline_text(about, 80))]
    looking = [translate(language, key) for key in ("look_machines", "look_status", "look_history")]
    lines += [_bullet(phrase, language) for phrase in (facts.examples or looking)[:3]]
    lines.append(translate(language, "hello_more"))
    return fit_lines(lines, language)


def help_text(facts: HelpFacts, language: Language) -> str:
    """The first page."""
    lines = [translate(language, "help_head")]
    if facts.examples and facts.may_run:
        lines.append(translate(language, "help_say"))
        lines += [_bullet(phrase, language) for phrase in facts.examples[:4]]
    elif not facts.machines:
        lines.append(translate(language, "machines_none"))
    lines.append(translate(language, "help_look"))
    lines.append(translate(language, "help_run" if facts.may_run else "help_only_look"))
    if facts.may_approve:
        lines.append(translate(language, "help_decide", count=facts.waiting))
    lines.append(translate(language, "help_topics"))
    return fit_lines(lines[:MAX_HELP], language)


def topic_text(topic: Topic, facts: HelpFacts, language: Language) -> str:
    """A page of help."""
    machine = facts.machine or "web-1"
    values = {"machine": machine, "count": facts.waiting, "online": facts.online, "machines": facts.machines}
    if topic == "runbooks":
        return examples_text("", facts.examples, language)
    if topic == "approvals":
        key = "help_approvals" if facts.may_approve else "help_approvals_others"
        names = join_names(list(facts.approvers), language, MAX_NAMED) or "-"
        return fit_lines(translate(language, key, names=names, **values).split("\n"), language)
    if not facts.may_run and topic not in ("machines", "requests"):
        return fit_lines([translate(language, "help_only_look")], language)
    return fit_lines(translate(language, f"help_{topic}", **values).split("\n"), language)


def examples_text(word: str, phrases: Sequence[str], language: Language) -> str:
    """Phrases about `word`, or of all runbooks."""
    if not phrases:
        return fit_lines([translate(language, "help_unknown", topic=inline_text(word, 40))], language)
    head = translate(language, "help_about" if word else "help_runbooks", topic=inline_text(word, 40))
    room = MAX_HELP - 2
    lines = [head, *(_bullet(phrase, language) for phrase in phrases[:room])]
    if len(phrases) > room:
        lines.append(translate(language, "help_more", count=len(phrases) - room))
    return fit_lines(lines, language)


def _bullet(phrase: str, language: Language) -> str:
    return translate(language, "help_phrase", phrase=phrase)
