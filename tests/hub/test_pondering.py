"""The slow lane: pictures read and told before anything is planned, notes sealed, bounds kept, restarts survived."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.plan.outcome import Context, Said
from hub.planner.kept import unpack
from hub.pondering import place_of
from hub.store.errors import StoreBusy
from hub.thinking import Note, Seen, Thought
from tests.hub.house import House


class Reader:
    """Eyes that see what a test says."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.read_: list[Sequence[bytes]] = []

    async def read(self, pictures: Sequence[bytes]) -> Seen:
        self.read_.append(pictures)
        return self.seen


class Slow:
    """A model that waits for a word before it answers."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[Context] = []

    async def plan(self, context: Context) -> Thought:
        self.asked.append(context)
        await self.go.wait()
        return Thought(Said(f"about {context.text}"), notes=(Note("prompt", "P", {"model": "m"}), Note("answer", "A")))


def rebuilt(inside: House, **parts: Any) -> House:
    for name, part in parts.items():
        setattr(inside, name, part)
    inside.build()
    return inside


async def ready(inside: House) -> None:
    await inside.people.refresh()
    await inside.fleet.refresh()
    inside.fleet.came("web-1")


async def test_a_picture_is_told_before_its_plan_is_asked_about(inside: House) -> None:
    """First what was read, then the question; never allowed without a person; the picture itself is gone."""

    rebuilt(inside, eyes=Reader(Seen("@web-1 uptime")))
    await ready(inside)
    request = await inside.ask("", images=(b"png one", b"png two"))
    assert request.state is RequestState.ASKING
    assert request.plan is not None
    assert request.plan.tainted
    assert isinstance(inside.eyes, Reader)
    assert [list(one) for one in inside.eyes.read_] == [[b"png one", b"png two"]]
    kinds = [reply.kind for reply in inside.replies(request)]
    assert kinds == ["progress", "question"]
    assert "I read this in the picture:\n@web-1 uptime" in inside.replies(request)[0].body.replace("\\n", "\n")
    assert inside.kinds(request.id) == ["message.accepted", "picture.read", "plan.judged"]
    papers = inside.read(lambda txn: txn.sealed_of(request.id))
    assert [paper.kind for paper in papers] == ["reading"]
    assert b"uptime" not in papers[0].data
    assert inside.keys.sealer.open(papers[0].data, place_of(request.id)) == b"@web-1 uptime"


async def test_an_unreadable_picture_is_refused_with_its_reason(inside: House) -> None:
    """And the audit has it."""
    rebuilt(inside, eyes=Reader(Seen(problem=Sentence("images_unread"))))
    await ready(inside)
    request = await inside.ask("", images=(b"png",))
    assert (request.state, request.rule) == (RequestState.REFUSED, "images")
    assert "picture.unread" in inside.kinds(request.id)
    assert inside.read(lambda txn: txn.sealed_of(request.id)) == []


async def test_prompts_and_answers_are_kept_sealed(inside: House) -> None:
    """The audit has their digests, the store has them sealed, and nothing has them in clear."""
    model = Slow()
    model.go.set()
    rebuilt(inside, model=model)
    await ready(inside)
    request = await inside.ask("how are the boxes doing")
    assert request.state is RequestState.DONE
    assert inside.kinds(request.id) == ["message.accepted", "model.prompt", "model.answer", "request.answered"]
    papers = inside.read(lambda txn: txn.sealed_of(request.id))
    opened = [inside.keys.sealer.open(paper.data, place_of(request.id)) for paper in papers]
    assert (unpack(opened[0]), opened[1]) == ("P", b"A")


async def test_plain_commands_do_not_wait_behind_a_model(inside: House) -> None:
    """While the model thinks, a command is planned; the thoughtful answer comes when it comes."""
    model = Slow()
    rebuilt(inside, model=model)
    await ready(inside)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(inside.engine.run())
        slow = await inside.accept("how are the boxes doing")
        while not model.asked:
            await asyncio.sleep(0)
        quick = await inside.accept("@web-1 uptime")
        while inside.request(quick.request).state is RequestState.RECEIVED:
            await asyncio.sleep(0)
        assert inside.request(slow.request).state is RequestState.RECEIVED
        model.go.set()
        while inside.request(slow.request).state is RequestState.RECEIVED:
            await asyncio.sleep(0)
        work.cancel()
    assert inside.final(inside.request(slow.request))["text"] == "about how are the boxes doing"


async def test_one_too_many_is_told_at_once(inside: House) -> None:
    """The lane is bounded; beyond it people hear so and nothing is lost in silence."""
    rebuilt(inside, model=Slow())
    await ready(inside)
    room = inside.config.planning.queue
    requests = [inside.request((await inside.accept(f"how are the boxes {n}")).request) for n in range(room + 1)]
    for request in requests:
        await inside.engine.plan(request, request.text)
    *waiting, last = [inside.request(request.id) for request in requests]
    assert {request.state for request in waiting} == {RequestState.RECEIVED}
    assert (last.state, last.rule) == (RequestState.REFUSED, "busy")


async def test_a_picture_survives_a_restart(inside: House) -> None:
    """Accepted means on disk, pictures too: the next process reads it. What was read already is not read again."""
    receipt = await inside.accept("", images=(b"png",))
    for times in (1, 0):
        reader = Reader(Seen("nothing that is a command"))
        rebuilt(inside, eyes=reader, model=Slow())
        await ready(inside)
        await inside.engine.sweep()
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(inside.engine.run())
            assert isinstance(inside.model, Slow)
            while not inside.model.asked:
                await asyncio.sleep(0)
            work.cancel()
        assert len(reader.read_) == times
        assert inside.model.asked[0].seen == "nothing that is a command"
    assert inside.request(receipt.request).state is RequestState.RECEIVED


async def test_the_conversation_is_at_hand(inside: House) -> None:
    """Earlier messages of the same room, whose they are, and what was planned; those of strangers are not."""
    model = Slow()
    model.go.set()
    rebuilt(inside, model=model)
    await ready(inside)
    await inside.ask("disk on web-1")
    await inside.ask("memory on web-1", "dave")
    await inside.ask("something of a stranger", "mallory")
    await inside.ask("and the other one?")
    (context,) = model.asked
    assert [(one.text, one.own) for one in context.thread] == [("disk on web-1", True), ("memory on web-1", False)]
    assert context.thread[0].plan is not None
    inside.clock.pass_(inside.config.planning.conversation + 1)
    await inside.ask("and this one?")
    assert model.asked[-1].thread == ()


async def test_a_sweep_that_the_store_fails_loses_nobody(inside: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store gives out between the two looks of a sweep: the next sweep finds the message all the same."""
    receipt = await inside.accept("@web-1 uptime")
    await ready(rebuilt(inside))
    read, looks = inside.store.read, iter((False, True))

    async def fails_second(unit: Any) -> Any:
        if next(looks, False):
            raise StoreBusy("store: too much waits")
        return await read(unit)

    monkeypatch.setattr(inside.store, "read", fails_second)
    with pytest.raises(StoreBusy):
        await inside.engine.sweep()
    await inside.engine.sweep()
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(inside.engine.run())
        while inside.request(receipt.request).state is RequestState.RECEIVED:
            await asyncio.sleep(0)
        work.cancel()
