"""Resolves the hosts of replies to those addresses that `hub.core.callback_url` allows (against SSRF)."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from hub.core.callback_url import address_refusal, is_loopback, parse_ip


class CheckedResolver(AbstractResolver):
    """A resolver that returns only allowed addresses; aiohttp's connector then connects to exactly those."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = ThreadedResolver() if resolver is None else resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        return allowed_addresses(host, found)

    async def close(self) -> None:
        await self._resolver.close()


def allowed_addresses(host: str, found: Iterable[ResolveResult]) -> list[ResolveResult]:
    """The allowed results; raises OSError, which the connector reports, where none is left."""
    loopback = is_loopback(host)
    allowed: list[ResolveResult] = []
    reason = f"{host} has no address"
    for result in found:
        address = parse_ip(result["host"].partition("%")[0])
        why = "not an address" if address is None else address_refusal(address, loopback=loopback)
        if why is None:
            allowed.append(result)
        else:
            reason = f"{host}: {why}"
    if not allowed:
        raise OSError(None, reason)
    return allowed
