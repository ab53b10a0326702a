"""What machines and consoles are told of the hub's CA while it is replaced, and what they say they trust.

Who links tells the digest of what it trusts (TRUSTS_FACT). Where that is not the hub's set it is told the set, with the
proof of what is new in it; where it is, and its certificate is still of the other CA, it is asked to renew, at a moment
by chance within a time that grows with the number of links. Who tells no digest is of a version before and is left
alone: the store notes it, for `answerback-hub ca status`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from common.identity.certificates import Identity
from common.link.messages import TRUSTS_FACT, Hello, Message, Trust, Trusted
from hub.core.ca_rotation import TOO_OLD
from hub.identity.authorities import LiveAuthorities
from hub.store.errors import StoreFull
from hub.store.store import Store
from hub.store.transaction import Txn

RENEWALS_PER_SECOND: Final = 20.0
MIN_RENEW: Final = 0.2  # seconds
MAX_DIGEST: Final = 64
MAX_WORDS: Final = 200
"""Of one link: each is a write, and a rotation has three or four."""


def told_digest(hello: Hello) -> str:
    """What the peer says that it trusts; TOO_OLD where it does not know how to say it."""
    return (hello.facts or {}).get(TRUSTS_FACT, "")[:MAX_DIGEST] or TOO_OLD


class PeerTrust:
    """Of one link: what its peer trusts, and whether it was asked to renew."""

    def __init__(self, digest: str = TOO_OLD) -> None:
        self.digest = digest
        self.asked = ""  # the CA of which it was asked to get a certificate
        self.words = 0  # how often it has said what it trusts


class TrustedLink(Protocol):
    """A link of either kind."""

    identity: Identity
    trust: PeerTrust

    async def send(self, message: Message, /) -> None: ...


class TrustUpdates:
    def __init__(
        self,
        store: Store,
        authorities: LiveAuthorities,
        clock: Callable[[], float],
        links: Callable[[], int],
        uniform: Callable[[], float] = random.random,
    ) -> None:
        """`links` counts the machines that are linked now."""
        self._links = links
        self._store = store
        self._authorities = authorities
        self._clock = clock
        self._uniform = uniform

    def word(self, identity: Identity, peer: PeerTrust) -> Trust | None:
        """What the peer of this link is to be told now; None where there is nothing to say."""
        now = self._authorities.now
        if peer.digest == TOO_OLD:
            return None
        if peer.digest != now.digest:
            return Trust(self._authorities.told(self._clock()), now.digest)
        target = now.target.key_id
        if identity.issuer == target or peer.asked == target:
            return None
        peer.asked = target
        seconds = MIN_RENEW + self._uniform() * self._links() / RENEWALS_PER_SECOND
        return Trust(self._authorities.told(self._clock()), now.digest, seconds)

    async def note_link(self, identity: Identity, digest: str) -> None:
        """Who has linked with this certificate trusts that; a write only where it was not known."""
        known = await self._store.read(lambda txn: txn.credential(identity.fingerprint))
        if known is not None and known.trusts != digest:
            with suppress(StoreFull):  # it is noted the next time
                await self._store.write(lambda txn: note(txn, identity, digest))

    async def tell(self, link: TrustedLink) -> None:
        word = self.word(link.identity, link.trust)
        if word is not None:
            await link.send(word)

    async def heard(self, link: TrustedLink, message: Trusted) -> None:
        """What the peer of this link says that it trusts and holds now; it may be told more. Who says it without end is
        not listened to.
        """
        link.trust.words += 1
        if link.trust.words > MAX_WORDS:
            return
        identity, link.trust.digest = link.identity, message.digest
        with suppress(StoreFull):  # the same
            await self._store.write(
                lambda txn: txn.note_trust(identity.kind, identity.name, message.holds, message.digest)
            )
        await self.tell(link)


def note(txn: Txn, identity: Identity, digest: str) -> bool:
    return txn.note_trust(identity.kind, identity.name, identity.fingerprint, digest)
