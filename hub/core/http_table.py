"""The keys of [http] in hub.toml. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from common.config import setting
from common.values import Address, Size
from hub.core.inlet_table import MAX_BODY

_PUBLIC: Final = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[\w./~-]{0,200})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class HttpTable:
    """Where chat platforms post to: POST /webhook/INLET. Facing the internet it wants a proxy that ends TLS."""

    listen: Address = setting(Address("127.0.0.1", 8080), "Address and port to listen on.")
    public_url: str | None = setting(
        None, 'How chats reach it from outside, such as "https://hub.example.org", for what setting up an inlet prints.'
    )
    body_limit: Size = setting(
        Size(256 * 1024), "The largest body of a webhook; a larger one is answered 413.", low=1024, high=MAX_BODY
    )
    rate: int = setting(500, "Messages a second that an inlet takes for long; beyond it is 429.", low=1, high=100_000)
    burst: int = setting(2_000, "Messages that an inlet takes at once before the rate counts.", low=1, high=1_000_000)
    concurrency: int = setting(512, "Webhooks handled at the same time; beyond it is 503.", low=1, high=10_000)
    person_rate: int = setting(
        100, "Messages a second that one person may send for long, ten times as many at once.", low=1, high=100_000
    )
    conversation_rate: int = setting(
        200, "Messages a second out of one conversation for long, ten times as many at once.", low=1, high=100_000
    )
    trusted_proxies: tuple[str, ...] = setting(
        ("127.0.0.1", "::1"),
        'Proxies whose X-Forwarded-For is believed, such as "10.0.0.5" or "172.16.0.0/12"; the sender\'s address comes'
        " from there.",
    )

    def webhook_url(self, inlet: str) -> str:
        """Where chats post to an inlet; `PROXY` stands for the host where `public_url` does not say it."""
        return f"{(self.public_url or 'https://PROXY').rstrip('/')}/webhook/{inlet}"


def is_public_url(text: str) -> bool:
    """Whether chats could be told it: HTTPS, or HTTP where a chat is near; a host, maybe a port and a path."""
    return _PUBLIC.fullmatch(text) is not None
