"""Calls over open sockets: answered by their keys, bounded, ended with their connection."""

from __future__ import annotations

import asyncio

from hub.chat.open_sockets import OpenSockets
from hub.chat.platforms.base import DeliveryFailed, HttpResponse
from hub.chat.platforms.outbound import Frame, SocketCall


def call(key: str, body: str = "hello") -> SocketCall:
    return SocketCall("wss://chat.example", body.encode(), key=key)


class Wire:
    """What was sent; `says` are the keys that are answered at once."""

    def __init__(self, sockets: OpenSockets, *says: str) -> None:
        self.sockets, self.says = sockets, says
        self.sent: list[Frame] = []
        self.arrived = asyncio.Event()

    async def send(self, frame: Frame) -> None:
        self.sent.append(frame)
        self.arrived.set()
        for key in self.says:
            self.sockets.answer("far", key, key.encode())


async def test_an_answer_is_that_of_its_key() -> None:
    """Answers to other keys, late ones and those of other inlets reach nobody."""
    sockets = OpenSockets()
    wire = Wire(sockets, "b", "a", "a")
    sockets.open("far", wire.send)
    assert await sockets.call("far", call("a")) == HttpResponse(200, {}, b"a")
    assert wire.sent == ["hello"]
    sockets.answer("far", "a", b"late")
    sockets.answer("near", "a", b"other")
    assert await sockets.call("far", call("b", "你好")) == HttpResponse(200, {}, b"b")
    assert wire.sent == ["hello", "你好"]


async def test_without_an_open_socket_it_waits() -> None:
    """As a failure that is tried again later; nothing is sent."""
    sockets = OpenSockets()
    failed = await sockets.call("far", call("a"))
    assert failed == DeliveryFailed("its connection is not open", "later")
    wire = Wire(sockets, "a")
    sockets.open("far", wire.send)
    sockets.close("far")
    assert await sockets.call("far", call("a")) == failed
    assert not wire.sent


async def test_the_end_of_a_connection_ends_its_calls() -> None:
    """Those of other inlets go on."""
    sockets = OpenSockets()
    far, near = Wire(sockets), Wire(sockets)
    sockets.open("far", far.send)
    sockets.open("near", near.send)
    async with asyncio.TaskGroup() as group:
        first, second = (
            group.create_task(sockets.call("far", call("a"))),
            group.create_task(sockets.call("near", call("a"))),
        )
        await far.arrived.wait()
        await near.arrived.wait()
        again = await sockets.call("near", call("a"))
        sockets.close("far")
        sockets.close("far")
        sockets.answer("near", "a", b"yes")
    assert first.result() == DeliveryFailed("its connection ended before the answer", "later")
    assert second.result() == HttpResponse(200, {}, b"yes")
    assert again == DeliveryFailed("a call with this key is under way", "later")


async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    """Nor a socket that takes nothing."""
    sockets = OpenSockets(seconds=0.01)
    wire = Wire(sockets)
    sockets.open("far", wire.send)
    late = DeliveryFailed("no answer within 0.01 s", "later")
    assert await sockets.call("far", call("a")) == late

    async def broken(frame: Frame) -> None:
        raise ConnectionResetError("closing")

    async def stuck(frame: Frame) -> None:
        await asyncio.Event().wait()

    sockets.open("far", stuck)
    assert await sockets.call("far", call("a")) == late
    sockets.open("far", broken)
    assert await sockets.call("far", call("a")) == DeliveryFailed("it closed the connection without an answer", "later")
