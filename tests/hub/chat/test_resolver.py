"""Addresses that a name may lead to, and those that are never called."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from hub.chat.resolver import CheckedResolver
from tests.hub.core.test_callback_url import NEVER


class Answers(AbstractResolver):
    """A name server that gives what it is told, like one in an attacker's hands."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                proto=0,
                flags=0,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            )
            for address in self.answers
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_resolves_to_a_refused_address_is_not_called() -> None:
    """Every address that is never called is also refused behind a name, loopback included."""
    for address in [*NEVER, "127.0.0.1", "::1", "fe80::1%eth0"]:
        resolver = CheckedResolver(Answers([address]))
        with pytest.raises(OSError, match=r"chat\.example"):
            await resolver.resolve("chat.example", 443)


async def test_of_several_addresses_the_good_ones_are_kept() -> None:
    """A name with a mixed answer is reached only at what may be called."""
    resolver = CheckedResolver(Answers(["169.254.169.254", "192.0.2.1", "127.0.0.1", "10.0.0.1"]))
    assert [result["host"] for result in await resolver.resolve("chat.example", 443)] == ["192.0.2.1", "10.0.0.1"]


async def test_localhost_may_be_this_machine() -> None:
    """The name says so itself."""
    resolver = CheckedResolver(Answers(["127.0.0.1", "::1"]))
    assert len(await resolver.resolve("localhost", 443)) == 2


async def test_rebinding_ends_without_a_connection() -> None:
    """A real client with the checked resolver makes no connection to loopback under a foreign name."""
    reached = False

    async def answer(reader: object, writer: object) -> None:
        nonlocal reached
        reached = True

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connector = aiohttp.TCPConnector(resolver=CheckedResolver(Answers(["127.0.0.1"])))
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientConnectorError, match="does not say so"):
                await session.post(f"http://chat.example:{port}/r")
    assert not reached
