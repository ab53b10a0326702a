"""What is understood at once, what takes thinking, and what pictures may and may not bring about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from common.catalogue import Sentence
from common.plan import Plan, Step
from hub.core.outcome import (
    CannotPlan,
    ChatCommand,
    Exchange,
    ImageText,
    PlainAnswer,
    Planned,
    PlanningContext,
    PlanningResult,
)
from hub.core.records import Request
from hub.planning.service import AsyncPlanner, ImageReader, PlanningService
from tests.hub.hub_harness import HubHarness


class Fixed:
    """A model that always says the same, and keeps what it was asked."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.asked: list[PlanningContext] = []

    async def plan(self, context: PlanningContext) -> PlanningResult:
        self.asked.append(context)
        return PlanningResult(self.outcome)


class Blind:
    async def read(self, pictures: Any) -> ImageText:
        raise AssertionError("nothing here reads pictures")


@pytest.fixture
def request_(harness: HubHarness) -> Callable[[str], Request]:
    def make(text: str, person: str = "carol") -> Request:
        return Request(
            **{**_plain(), "text": text, "person": person},
        )

    return make


def _plain() -> dict[str, Any]:
    names = ("id", "inlet", "event_id", "conversation", "chat_user", "reply_url")
    return {**dict.fromkeys(names, "x"), "number": 1, "state": "received", "language": "en", "received_at": 0.0}


def thinker(harness: HubHarness, model: AsyncPlanner | None = None, eyes: ImageReader | None = None) -> PlanningService:
    return PlanningService(
        chain=lambda: harness.chain,
        people=harness.people,
        fleet=harness.fleet,
        clock=harness.clock,
        model=model,
        image_reader=eyes,
    )


def plan_of(*argv: str) -> Planned:
    return Planned(Plan((Step(argv, ("web-1",)),), source="model:m"))


async def test_commands_and_runbooks_never_reach_the_model(harness: HubHarness, request_: Any) -> None:
    """They are answered at once; plain words that nobody knows are not."""
    model = Fixed(PlainAnswer("42"))
    thinks = thinker(harness, model)
    for text in ("@web-1 uptime", "disk on web-1", "help"):
        assert thinks.plan_fast(request_(text), text, 0) is not None
    assert thinks.plan_fast(request_("x"), "how are the boxes doing", 0) is None
    assert (await thinks.plan_slow(request_("x"), "how are the boxes doing")).outcome == PlainAnswer("42")
    assert [one.text for one in model.asked] == ["how are the boxes doing"]


async def test_no_code_reaches_the_model(harness: HubHarness, request_: Any) -> None:
    """Whoever's it is, and whether or not it holds; a picture's text is shown to people before, and stays as read."""
    model = Fixed(PlainAnswer("42"))
    thinks = thinker(harness, model)
    await thinks.plan_slow(request_("x"), "how is my code 123456 doing")
    await thinks.plan_slow(request_("x"), " ", (), ImageText("exit code 123456 how is that"))
    assert [one.text for one in model.asked] == ["how is my code ****** doing", "exit code 123456 how is that"]


def test_without_a_model_there_is_an_answer_at_once(harness: HubHarness, request_: Any) -> None:
    """The last resort: what would be understood."""
    outcome = thinker(harness).plan_fast(request_("x"), "how are the boxes doing", 0)
    assert isinstance(outcome, CannotPlan)
    assert outcome.code == "not_understood"


def test_nobody_we_know_costs_no_model(harness: HubHarness, request_: Any) -> None:
    """A stranger is turned away before anything is thought about, pictures or not."""
    thinks = thinker(harness, Fixed(PlainAnswer("42")), Blind())
    for pictures in (0, 1):
        outcome = thinks.plan_fast(request_("x", person=""), "how are the boxes doing", pictures)
        assert isinstance(outcome, CannotPlan)
        assert outcome.code == "unknown_person"


async def test_what_a_picture_says_is_planned_tainted(harness: HubHarness, request_: Any) -> None:
    """The same command that is allowed as text needs a person when a picture said it; so does one beside a picture."""
    thinks = thinker(harness, eyes=Blind())
    for text, seen in (("", "@web-1 uptime"), ("@web-1 uptime", "whatever")):
        assert thinks.plan_fast(request_(text), text, 1) is None
        outcome = (await thinks.plan_slow(request_(text), text, (), ImageText(seen))).outcome
        assert isinstance(outcome, Planned)
        assert outcome.plan.tainted


@pytest.mark.parametrize("text", ["approve r1", "reject r1", "cancel r1", "批准 r1"])
async def test_a_picture_never_acts(harness: HubHarness, request_: Any, text: str) -> None:
    """Words in a picture approve nothing; the same words of a person do."""
    thinks = thinker(harness, eyes=Blind())
    outcome = (await thinks.plan_slow(request_(""), "", (), ImageText(text))).outcome
    assert isinstance(outcome, CannotPlan)
    assert outcome.sentence.key == "picture_acts"
    assert isinstance((await thinks.plan_slow(request_(text), text, (), ImageText("x"))).outcome, ChatCommand)


async def test_a_picture_that_cannot_be_read_is_said(harness: HubHarness, request_: Any) -> None:
    """Alone it is refused with the reason; the words beside it are still planned."""
    thinks = thinker(harness, eyes=Blind())
    unread = ImageText(problem=Sentence("images_unread"))
    outcome = (await thinks.plan_slow(request_(""), " ", (), unread)).outcome
    assert outcome == CannotPlan(Sentence("images_unread"), "images")
    assert isinstance((await thinks.plan_slow(request_("x"), "@web-1 uptime", (), unread)).outcome, Planned)


async def test_the_model_is_told_what_was_said_and_seen(harness: HubHarness, request_: Any) -> None:
    """The thread and the picture's text are its to read, and its plan is tainted where there was a picture."""
    model = Fixed(plan_of("/usr/bin/uptime"))
    thinks = thinker(harness, model, Blind())
    thread = (Exchange("disk on web-1", True, 0.0),)
    thought = await thinks.plan_slow(request_("x"), "what is this", thread, ImageText("No space left on device"))
    assert (model.asked[0].history, model.asked[0].image_text) == (thread, "No space left on device")
    assert thought.outcome == Planned(replace(model.outcome.plan, tainted=True))
    assert (await thinks.plan_slow(request_("x"), "what is this")).outcome == model.outcome


async def test_what_leans_on_the_message_before_takes_a_look_at_it(harness: HubHarness, request_: Any) -> None:
    """It goes to the slow lane, model or not, and is resolved there; what stands by itself is answered at once."""
    await harness.add_machine("web-2")
    thinks = thinker(harness)
    before = thinks.plan_fast(request_("x"), "disk on web-1", 0)
    assert isinstance(before, Planned)
    thread = (Exchange("disk on web-1", True, 0.0, before.plan),)
    for text in ("and on web-2?", "what about memory?", "再看看内存", "again"):
        assert thinks.plan_fast(request_(text), text, 0) is None, text
        assert isinstance((await thinks.plan_slow(request_(text), text, thread)).outcome, Planned), text
        assert isinstance((await thinks.plan_slow(request_(text), text)).outcome, CannotPlan), text
    assert isinstance(thinks.plan_fast(request_("x"), "and disk on web-2", 0), Planned)


class Desk:
    """A scribe that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ChatCommand] = []

    async def handle_chat_command(self, request: Request, command: ChatCommand) -> str:
        self.asked.append(command)
        return "written down"


async def test_drafts_are_the_scribes(harness: HubHarness, request_: Any) -> None:
    """In the slow lane, since they take longer than a store unit may; never out of a picture."""
    desk, text = Desk(), "make r7 a runbook x"
    thinks = PlanningService(
        chain=lambda: harness.chain,
        people=harness.people,
        fleet=harness.fleet,
        clock=harness.clock,
        draft_commands=desk,
    )
    assert thinks.plan_fast(request_(text), text, 0) is None
    assert (await thinks.plan_slow(request_(text), text)).outcome == PlainAnswer("written down")
    assert [(act.verb, act.number, act.name) for act in desk.asked] == [("propose", 7, "x")]
    outcome = (await thinks.plan_slow(request_(""), "", (), ImageText(text))).outcome
    assert isinstance(outcome, CannotPlan)
    assert len(desk.asked) == 1


def test_without_a_model_the_last_resort_offers_what_works(harness: HubHarness, request_: Any) -> None:
    """That plain words would take a model is told elsewhere, to admins and once (`hub.engine.model_hint`)."""
    service = thinker(harness)
    assert not service.has_model
    outcome = service.plan_fast(request_("write a poem about the machines"), "write a poem about the machines", 0)
    assert isinstance(outcome, CannotPlan)
    for language in ("en", "zh"):
        said = outcome.sentence.render(language)  # type: ignore[arg-type]
        assert "[models.NAME]" not in said
        assert "web-1" in said
