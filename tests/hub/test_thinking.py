"""What is understood at once, what takes thinking, and what pictures may and may not bring about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from common.catalogue import Sentence
from common.plan import Plan, Step
from hub.plan.outcome import Act, Cannot, Context, Exchange, Planned, Said
from hub.records import Request
from hub.thinking import Eyes, Model, Seen, Thinker, Thought
from tests.hub.house import House


class Fixed:
    """A model that always says the same, and keeps what it was asked."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.asked: list[Context] = []

    async def plan(self, context: Context) -> Thought:
        self.asked.append(context)
        return Thought(self.outcome)


class Blind:
    async def read(self, pictures: Any) -> Seen:
        raise AssertionError("nothing here reads pictures")


@pytest.fixture
def request_(inside: House) -> Callable[[str], Request]:
    def make(text: str, person: str = "carol") -> Request:
        return Request(
            **{**_plain(), "text": text, "person": person},
        )

    return make


def _plain() -> dict[str, Any]:
    names = ("id", "inlet", "event_id", "conversation", "chat_user", "reply_url")
    return {**dict.fromkeys(names, "x"), "number": 1, "state": "received", "language": "en", "received_at": 0.0}


def thinker(inside: House, model: Model | None = None, eyes: Eyes | None = None) -> Thinker:
    return Thinker(
        chain=lambda: inside.chain, people=inside.people, fleet=inside.fleet, clock=inside.clock, model=model, eyes=eyes
    )


def plan_of(*argv: str) -> Planned:
    return Planned(Plan((Step(argv, ("web-1",)),), source="model:m"))


async def test_commands_and_runbooks_never_reach_the_model(inside: House, request_: Any) -> None:
    """They are answered at once; plain words that nobody knows are not."""
    model = Fixed(Said("42"))
    thinks = thinker(inside, model)
    for text in ("@web-1 uptime", "disk on web-1", "help"):
        assert thinks.at_once(request_(text), text, 0) is not None
    assert thinks.at_once(request_("x"), "how are the boxes doing", 0) is None
    assert (await thinks.at_length(request_("x"), "how are the boxes doing")).outcome == Said("42")
    assert [one.text for one in model.asked] == ["how are the boxes doing"]


def test_without_a_model_there_is_an_answer_at_once(inside: House, request_: Any) -> None:
    """The last resort: what would be understood."""
    outcome = thinker(inside).at_once(request_("x"), "how are the boxes doing", 0)
    assert isinstance(outcome, Cannot)
    assert outcome.code == "not_understood"


def test_nobody_we_know_costs_no_model(inside: House, request_: Any) -> None:
    """A stranger is turned away before anything is thought about, pictures or not."""
    thinks = thinker(inside, Fixed(Said("42")), Blind())
    for pictures in (0, 1):
        outcome = thinks.at_once(request_("x", person=""), "how are the boxes doing", pictures)
        assert isinstance(outcome, Cannot)
        assert outcome.code == "unknown_person"


async def test_what_a_picture_says_is_planned_tainted(inside: House, request_: Any) -> None:
    """The same command that is allowed as text needs a person when a picture said it; so does one beside a picture."""
    thinks = thinker(inside, eyes=Blind())
    for text, seen in (("", "@web-1 uptime"), ("@web-1 uptime", "whatever")):
        assert thinks.at_once(request_(text), text, 1) is None
        outcome = (await thinks.at_length(request_(text), text, (), Seen(seen))).outcome
        assert isinstance(outcome, Planned)
        assert outcome.plan.tainted


@pytest.mark.parametrize("text", ["approve r1", "reject r1", "cancel r1", "批准 r1"])
async def test_a_picture_never_acts(inside: House, request_: Any, text: str) -> None:
    """Words in a picture approve nothing; the same words of a person do."""
    thinks = thinker(inside, eyes=Blind())
    outcome = (await thinks.at_length(request_(""), "", (), Seen(text))).outcome
    assert isinstance(outcome, Cannot)
    assert outcome.sentence.key == "picture_acts"
    assert isinstance((await thinks.at_length(request_(text), text, (), Seen("x"))).outcome, Act)


async def test_a_picture_that_cannot_be_read_is_said(inside: House, request_: Any) -> None:
    """Alone it is refused with the reason; the words beside it are still planned."""
    thinks = thinker(inside, eyes=Blind())
    unread = Seen(problem=Sentence("images_unread"))
    outcome = (await thinks.at_length(request_(""), " ", (), unread)).outcome
    assert outcome == Cannot(Sentence("images_unread"), "images")
    assert isinstance((await thinks.at_length(request_("x"), "@web-1 uptime", (), unread)).outcome, Planned)


async def test_the_model_is_told_what_was_said_and_seen(inside: House, request_: Any) -> None:
    """The thread and the picture's text are its to read, and its plan is tainted where there was a picture."""
    model = Fixed(plan_of("/usr/bin/uptime"))
    thinks = thinker(inside, model, Blind())
    thread = (Exchange("disk on web-1", True, 0.0),)
    thought = await thinks.at_length(request_("x"), "what is this", thread, Seen("No space left on device"))
    assert (model.asked[0].thread, model.asked[0].seen) == (thread, "No space left on device")
    assert thought.outcome == Planned(replace(model.outcome.plan, tainted=True))
    assert (await thinks.at_length(request_("x"), "what is this")).outcome == model.outcome


async def test_what_leans_on_the_message_before_takes_a_look_at_it(inside: House, request_: Any) -> None:
    """It goes to the slow lane, model or not, and is resolved there; what stands by itself is answered at once."""
    await inside.machine("web-2")
    thinks = thinker(inside)
    before = thinks.at_once(request_("x"), "disk on web-1", 0)
    assert isinstance(before, Planned)
    thread = (Exchange("disk on web-1", True, 0.0, before.plan),)
    for text in ("and on web-2?", "what about memory?", "再看看内存", "again"):
        assert thinks.at_once(request_(text), text, 0) is None, text
        assert isinstance((await thinks.at_length(request_(text), text, thread)).outcome, Planned), text
        assert isinstance((await thinks.at_length(request_(text), text)).outcome, Cannot), text
    assert isinstance(thinks.at_once(request_("x"), "and disk on web-2", 0), Planned)


class Desk:
    """A scribe that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Act] = []

    async def from_chat(self, request: Request, act: Act) -> str:
        self.asked.append(act)
        return "written down"


async def test_drafts_are_the_scribes(inside: House, request_: Any) -> None:
    """In the slow lane, since they take longer than a store unit may; never out of a picture."""
    desk, text = Desk(), "make r7 a runbook x"
    thinks = Thinker(
        chain=lambda: inside.chain, people=inside.people, fleet=inside.fleet, clock=inside.clock, scribe=desk
    )
    assert thinks.at_once(request_(text), text, 0) is None
    assert (await thinks.at_length(request_(text), text)).outcome == Said("written down")
    assert [(act.verb, act.number, act.name) for act in desk.asked] == [("propose", 7, "x")]
    outcome = (await thinks.at_length(request_(""), "", (), Seen(text))).outcome
    assert isinstance(outcome, Cannot)
    assert len(desk.asked) == 1


def test_without_a_model_the_last_resort_says_what_it_cannot_do(inside: House, request_: Any) -> None:
    """What works is offered as ever; and that plain words would take a model, with where to add one."""
    outcome = thinker(inside).at_once(request_("write a poem about the machines"), "write a poem about the machines", 0)
    assert isinstance(outcome, Cannot)
    for language, cure in (("en", "No language model is set up here"), ("zh", "没有配置语言模型")):
        said = outcome.sentence.say(language)  # type: ignore[arg-type]
        assert cure in said
        assert "[models.NAME]" in said
        assert "web-1" in said
