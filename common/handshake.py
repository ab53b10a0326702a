"""The opening of a link, decided without I/O: `hello` is answered by `welcome` or `refuse`, and the welcome is checked.

Who the peer is comes from its certificate; what it says about itself must agree. A protocol older than ours allows is
refused rather than served in an old way. A session goes on only where both ends still hold it and their counts fit.

A refusal with `retry_after` may be cured at the hub (another epoch, an upgrade under way); without, only at the peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from common.codec import FORBIDDEN, BadFrame
from common.messages import MIN_PROTOCOL, PROTOCOL, Hello, Message, Refuse, Welcome
from common.session import Session
from common.version import VERSION

Role = Literal["agent", "console"]

MIN_INTERVAL: Final = 10.0
BEATS_A_SECOND: Final = 200
"""What all heartbeats together may come to at the hub."""
MAX_INTERVAL: Final = 3600.0
RETRY_EPOCH: Final = 60.0
RETRY_PROTOCOL: Final = 300.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What the hub offers: the same for every link of this moment."""

    epoch: int
    heartbeat: float = MIN_INTERVAL  # seconds
    version: str = VERSION
    protocol: int = PROTOCOL
    min_protocol: int = MIN_PROTOCOL


def heartbeat_interval(links: int) -> float:
    """Seconds between an agent's heartbeats where the hub has this many links."""
    return max(MIN_INTERVAL, links / BEATS_A_SECOND)


def make_hello(
    role: Role, name: str, kept: Session | None, *, epoch: int = 0, facts: dict[str, str] | None = None
) -> Hello:
    """The first message of an agent or console. `epoch` is the highest it remembers, beyond the session's own."""
    return Hello(
        protocol=PROTOCOL,
        role=role,
        name=name,
        version=VERSION,
        session=kept.id if kept else "",
        received=kept.received if kept else 0,
        epoch=max(epoch, kept.epoch if kept else 0),
        facts=facts,
    )


def answer(
    first: Message, *, role: Role, name: str, terms: Terms, kept: Session | None, new_session: str, now: float
) -> Welcome | Refuse:
    """The hub's answer to a link's first message.

    `role` and `name` are the certificate's. `kept` is the session the hub holds for that name, if any; where the answer
    is a Welcome with `resumed`, it goes on, else the caller makes one with the id `new_session` and forgets `kept`.
    """
    if not isinstance(first, Hello):
        return Refuse("hello", "the first message on a link is a hello")
    if first.role != role:
        return Refuse("role", f"the certificate is for the role {role}")
    if first.name != name:
        return Refuse("name", f"the certificate is for {name}; join again under the other name to use it")
    if first.protocol < terms.min_protocol:
        problem = f"protocol {first.protocol} is too old: this hub speaks {terms.min_protocol} to {terms.protocol}"
        return Refuse("protocol", f"{problem}; upgrade to {terms.version}", RETRY_PROTOCOL)
    if first.epoch > terms.epoch:
        problem = f"this hub is at epoch {terms.epoch}, and {name} has already heard epoch {first.epoch}"
        cure = "it was restored from a backup, or a later one has taken over"
        return Refuse("epoch", f"{problem}: {cure}", RETRY_EPOCH)
    resumed = (
        kept is not None
        and first.session != ""
        and kept.id == first.session
        and kept.peer == role
        and kept.resumable(first.received)
    )
    return Welcome(
        protocol=min(first.protocol, terms.protocol),
        session=first.session if resumed else new_session,
        resumed=resumed,
        received=kept.received if kept is not None and resumed else 0,
        heartbeat=terms.heartbeat,
        now=now,
        version=terms.version,
    )


def check_welcome(hello: Hello, welcome: Welcome, kept: Session | None) -> None:
    """What an agent or console makes sure of before it goes on, or BadFrame. `kept` is what `hello` was made from."""
    if not MIN_PROTOCOL <= welcome.protocol <= hello.protocol:
        spoken = f"{MIN_PROTOCOL} to {hello.protocol}"
        raise BadFrame(f"the hub wants protocol {welcome.protocol}; this end speaks {spoken}", FORBIDDEN)
    if not 0 < welcome.heartbeat <= MAX_INTERVAL:
        raise BadFrame(f"a heartbeat every {welcome.heartbeat} s is out of range", FORBIDDEN)
    if not welcome.session:
        raise BadFrame("a session without an id", FORBIDDEN)
    if not welcome.resumed:
        if welcome.received:
            raise BadFrame("a new session that has received something", FORBIDDEN)
    elif kept is None or welcome.session != kept.id or not kept.resumable(welcome.received):
        raise BadFrame("the hub goes on with a session that is not this one", FORBIDDEN)
