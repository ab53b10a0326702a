"""Resolves the hosts of replies, and passes on only addresses that `hub.reply_url` lets be called."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from hub.reply_url import address_in, is_loopback, refuse_address


class CheckedResolver(AbstractResolver):
    """Resolves a name and passes on only addresses that may be called; the connector connects to exactly those."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = ThreadedResolver() if resolver is None else resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        return keep_checked(host, found)

    async def close(self) -> None:
        await self._resolver.close()


def keep_checked(host: str, found: Iterable[ResolveResult]) -> list[ResolveResult]:
    """The results that may be called; raises OSError, which the connector reports, where none is left."""
    loopback = is_loopback(host)
    kept: list[ResolveResult] = []
    reason = f"{host} has no address"
    for result in found:
        address = address_in(result["host"].partition("%")[0])
        why = "not an address" if address is None else refuse_address(address, loopback=loopback)
        if why is None:
            kept.append(result)
        else:
            reason = f"{host}: {why}"
    if not kept:
        raise OSError(None, reason)
    return kept
