"""The slow lane: pictures read and told before anything is planned, notes sealed, bounds kept, restarts survived."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.core.outcome import ImageText, PlainAnswer, PlanningContext, PlanningResult, SealedNote
from hub.engine.planning_queue import seal_context
from hub.planning.llm.transcript import decompress_prompt
from hub.store.errors import StoreBusy
from tests.hub.hub_harness import HubHarness


class Reader:
    """Eyes that see what a test says."""

    def __init__(self, seen: ImageText) -> None:
        self.seen = seen
        self.read_: list[Sequence[bytes]] = []

    async def read(self, pictures: Sequence[bytes]) -> ImageText:
        self.read_.append(pictures)
        return self.seen


class Slow:
    """A model that waits for a word before it answers."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[PlanningContext] = []

    async def plan(self, context: PlanningContext) -> PlanningResult:
        self.asked.append(context)
        await self.go.wait()
        return PlanningResult(
            PlainAnswer(f"about {context.text}"),
            notes=(SealedNote("prompt", "P", {"model": "m"}), SealedNote("answer", "A")),
        )


def rebuilt(harness: HubHarness, **parts: Any) -> HubHarness:
    for name, part in parts.items():
        setattr(harness, name, part)
    harness.start()
    return harness


async def ready(harness: HubHarness) -> None:
    await harness.people.refresh()
    await harness.fleet.refresh()
    harness.fleet.set_online("web-1")


async def test_a_picture_is_told_before_its_plan_is_asked_about(harness: HubHarness) -> None:
    """First what was read, then the question; never allowed without a person; the picture itself is gone."""

    rebuilt(harness, image_reader=Reader(ImageText("@web-1 uptime")))
    await ready(harness)
    request = await harness.submit("", images=(b"png one", b"png two"))
    assert request.state is RequestState.ASKING
    assert request.plan is not None
    assert request.plan.tainted
    assert isinstance(harness.image_reader, Reader)
    assert [list(one) for one in harness.image_reader.read_] == [[b"png one", b"png two"]]
    kinds = [reply.kind for reply in harness.replies(request)]
    assert kinds == ["progress", "question"]
    assert "I read this in the picture:\n@web-1 uptime" in harness.replies(request)[0].body.replace("\\n", "\n")
    assert harness.kinds(request.id) == ["message.accepted", "picture.read", "plan.judged"]
    papers = harness.read(lambda txn: txn.sealed_of(request.id))
    assert [paper.kind for paper in papers] == ["reading"]
    assert b"uptime" not in papers[0].data
    assert harness.keys.sealer.open(papers[0].data, seal_context(request.id)) == b"@web-1 uptime"


async def test_an_unreadable_picture_is_refused_with_its_reason(harness: HubHarness) -> None:
    """And the audit has it."""
    rebuilt(harness, image_reader=Reader(ImageText(problem=Sentence("images_unread"))))
    await ready(harness)
    request = await harness.submit("", images=(b"png",))
    assert (request.state, request.rule) == (RequestState.REFUSED, "images")
    assert "picture.unread" in harness.kinds(request.id)
    assert harness.read(lambda txn: txn.sealed_of(request.id)) == []


async def test_prompts_and_answers_are_kept_sealed(harness: HubHarness) -> None:
    """The audit has their digests, the store has them sealed, and nothing has them in clear."""
    model = Slow()
    model.go.set()
    rebuilt(harness, model=model)
    await ready(harness)
    request = await harness.submit("how are the boxes doing")
    assert request.state is RequestState.DONE
    assert harness.kinds(request.id) == ["message.accepted", "model.prompt", "model.answer", "request.answered"]
    papers = harness.read(lambda txn: txn.sealed_of(request.id))
    opened = [harness.keys.sealer.open(paper.data, seal_context(request.id)) for paper in papers]
    assert (decompress_prompt(opened[0]), opened[1]) == ("P", b"A")


async def test_plain_commands_do_not_wait_behind_a_model(harness: HubHarness) -> None:
    """While the model thinks, a command is planned; the thoughtful answer comes when it comes."""
    model = Slow()
    rebuilt(harness, model=model)
    await ready(harness)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(harness.engine.run())
        slow = await harness.accept("how are the boxes doing")
        while not model.asked:
            await asyncio.sleep(0)
        quick = await harness.accept("@web-1 uptime")
        while harness.request(quick.request).state is RequestState.RECEIVED:
            await asyncio.sleep(0)
        assert harness.request(slow.request).state is RequestState.RECEIVED
        model.go.set()
        while harness.request(slow.request).state is RequestState.RECEIVED:
            await asyncio.sleep(0)
        work.cancel()
    assert harness.final_reply(harness.request(slow.request))["text"] == "about how are the boxes doing"


async def test_one_too_many_is_told_at_once(harness: HubHarness) -> None:
    """The lane is bounded; beyond it people hear so and nothing is lost in silence."""
    rebuilt(harness, model=Slow())
    await ready(harness)
    room = harness.config.planning.queue
    requests = [harness.request((await harness.accept(f"how are the boxes {n}")).request) for n in range(room + 1)]
    for request in requests:
        await harness.engine.intake.plan(request, request.text)
    *waiting, last = [harness.request(request.id) for request in requests]
    assert {request.state for request in waiting} == {RequestState.RECEIVED}
    assert (last.state, last.rule) == (RequestState.REFUSED, "busy")


async def test_a_picture_survives_a_restart(harness: HubHarness) -> None:
    """Accepted means on disk, pictures too: the next process reads it. What was read already is not read again."""
    rebuilt(harness, image_reader=Reader(ImageText("not read yet")), model=Slow())
    await ready(harness)
    receipt = await harness.accept("", images=(b"png",))
    for times in (1, 0):
        reader = Reader(ImageText("nothing that is a command"))
        rebuilt(harness, image_reader=reader, model=Slow())
        await ready(harness)
        await harness.engine.intake.sweep()
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(harness.engine.run())
            assert isinstance(harness.model, Slow)
            while not harness.model.asked:
                await asyncio.sleep(0)
            work.cancel()
        assert len(reader.read_) == times
        assert harness.model.asked[0].image_text == "nothing that is a command"
    assert harness.request(receipt.request).state is RequestState.RECEIVED


async def test_the_conversation_is_at_hand(harness: HubHarness) -> None:
    """Earlier messages of the same room, whose they are, and what was planned; those of strangers are not."""
    model = Slow()
    model.go.set()
    rebuilt(harness, model=model)
    await ready(harness)
    await harness.submit("disk on web-1")
    await harness.submit("memory on web-1", "dave")
    await harness.submit("something of a stranger", "mallory")
    await harness.submit("and the other one?")
    (context,) = model.asked
    assert [(one.text, one.own) for one in context.history] == [("disk on web-1", True), ("memory on web-1", False)]
    assert context.history[0].plan is not None
    harness.clock.advance(harness.config.planning.conversation + 1)
    await harness.submit("and this one?")
    assert model.asked[-1].history == ()


async def test_a_sweep_that_the_store_fails_loses_nobody(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store gives out between the two looks of a sweep: the next sweep finds the message all the same."""
    left = harness.leave_unplanned("@web-1 uptime")
    await ready(rebuilt(harness))
    read, looks = harness.store.read, iter((False, True))

    async def fails_second(unit: Any) -> Any:
        if next(looks, False):
            raise StoreBusy("store: too much waits")
        return await read(unit)

    monkeypatch.setattr(harness.store, "read", fails_second)
    with pytest.raises(StoreBusy):
        await harness.engine.intake.sweep()
    await harness.engine.intake.sweep()
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(harness.engine.run())
        while harness.request(left.id).state is RequestState.RECEIVED:
            await asyncio.sleep(0)
        work.cancel()
