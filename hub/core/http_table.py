"""The keys of [http] in hub.toml. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.config import setting
from common.values import Address, Size
from hub.core.inlet_table import MAX_BODY

_PUBLIC: Final = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[\w./~-]{0,200})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class HttpTable:
    """Where chat platforms post to: POST /webhook/INLET. Beyond this machine with TLS, its own or a proxy's."""

    listen: Address = setting(Address("127.0.0.1", 8080), "Address and port to listen on.")
    certificate_file: Path | None = setting(
        None, "The certificate of `listen` with its chain, PEM; read again once an hour and on SIGHUP. With `key_file`."
    )
    key_file: Path | None = setting(None, "Its private key, PEM, mode 0600.")
    behind_proxy: bool = setting(
        False,
        "Said aloud where `listen` is reached from other machines without TLS: a proxy in front of it ends TLS, and"
        " nobody else gets at this port.",
    )
    public_url: str | None = setting(
        None,
        'How chats and browsers reach it from outside, such as "https://hub.example.org": for what setting up an inlet'
        " prints, the links to the confirm page, and passkeys, which are good for exactly this address.",
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


def exposure(table: HttpTable) -> str:
    """What is wrong with how `listen` is protected, and the cure; "" where nothing is. Without TLS whoever is on the
    way reads every message, and can forge those of chats that sign with a mere token.
    """
    if (table.certificate_file is None) != (table.key_file is None):
        missing = "key_file" if table.key_file is None else "certificate_file"
        return f"{missing} is not set; TLS needs certificate_file and key_file"
    if table.certificate_file is not None or table.behind_proxy or is_loopback(table.listen.host):
        return ""
    return (
        f"{table.listen} is reached from other machines without TLS; set certificate_file and key_file, listen on"
        " 127.0.0.1, or write behind_proxy = true where a proxy in front ends TLS"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_public_url(text: str) -> bool:
    """Whether chats could be told it: HTTPS, or HTTP where a chat is near; a host, maybe a port and a path."""
    return _PUBLIC.fullmatch(text) is not None
