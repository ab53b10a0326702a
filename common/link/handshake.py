"""The handshake of a link, without I/O: `hello` is answered by `welcome` or `refuse`, and the welcome is checked.

The peer's identity comes from its certificate; what it says about itself must agree. A protocol older than MIN_PROTOCOL
is refused. A session is resumed only where both ends still have it and their sequence numbers fit.

A refusal with `retry_after` may resolve at the hub (another epoch, an upgrade under way); one without needs a change at
the peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from common.link.codec import FORBIDDEN, BadFrame
from common.link.compatibility import PACE_PROTOCOL
from common.link.messages import MIN_PROTOCOL, PROTOCOL, Hello, Message, Refuse, Welcome
from common.link.session import Session
from common.version import VERSION

LinkRole = Literal["agent", "console"]

MIN_INTERVAL: Final = 10.0
HEARTBEATS_PER_SECOND: Final = 200
"""The most heartbeats a second that all links together send to the hub. This wins over how soon a silent program is
noticed: with 10,000 links it is after 150 s. A machine or path that is gone is noticed in 45 s all the same
(`common.link.keepalive`).
"""
RETURNS_PER_SECOND: Final = 300
"""How many machines a second should come back to a hub that was away."""
MAX_INTERVAL: Final = 3600.0
EPOCH_RETRY_AFTER: Final = 60.0
PROTOCOL_RETRY_AFTER: Final = 300.0


@dataclass(frozen=True, slots=True)
class LinkParameters:
    """What the hub offers to every link at the moment."""

    epoch: int
    heartbeat: float = MIN_INTERVAL  # seconds
    version: str = VERSION
    protocol: int = PROTOCOL
    min_protocol: int = MIN_PROTOCOL
    mark: str = ""  # the hub's position, sealed
    spread: float = 0.0  # seconds over which all of them should come back


def heartbeat_interval(links: int) -> float:
    """Seconds between an agent's heartbeats where the hub has this many links."""
    return max(MIN_INTERVAL, links / HEARTBEATS_PER_SECOND)


def return_spread(machines: int) -> float:
    """Seconds over which so many machines should spread their return."""
    return max(0.2, machines / RETURNS_PER_SECOND)


def make_hello(
    role: LinkRole,
    name: str,
    session: Session | None,
    *,
    epoch: int = 0,
    facts: dict[str, str] | None = None,
    heard: str = "",
) -> Hello:
    """The first message of an agent or console. `epoch` is the highest it remembers, beyond the session's own; `heard`
    the hub's position that it was told last.
    """
    return Hello(
        protocol=PROTOCOL,
        role=role,
        name=name,
        version=VERSION,
        session=session.id if session else "",
        received=session.received if session else 0,
        epoch=max(epoch, session.epoch if session else 0),
        facts=facts,
        heard=heard,
    )


def answer_hello(
    first: Message,
    *,
    role: LinkRole,
    name: str,
    parameters: LinkParameters,
    session: Session | None,
    new_session: str,
    now: float,
) -> Welcome | Refuse:
    """The hub's answer to a link's first message.

    `role` and `name` are the certificate's. `session` is the one that the hub has for that name, if any: where the
    answer is a Welcome with `resumed`, it is resumed, else the caller drops it and makes one with the id `new_session`.
    """
    if not isinstance(first, Hello):
        return Refuse("hello", "the first message on a link is a hello")
    if first.role != role:
        return Refuse("role", f"the certificate is for the role {role}")
    if first.name != name:
        return Refuse("name", f"the certificate is for {name}; join again under the other name to use it")
    if first.protocol < parameters.min_protocol:
        problem = (
            f"protocol {first.protocol} is too old: this hub speaks {parameters.min_protocol} to {parameters.protocol}"
        )
        return Refuse("protocol", f"{problem}; upgrade to {parameters.version}", PROTOCOL_RETRY_AFTER)
    if first.epoch > parameters.epoch:
        problem = f"this hub is at epoch {parameters.epoch}, and {name} has already heard epoch {first.epoch}"
        cure = "a later one has taken over, or it was restored from a backup: then see `answerback-hub recover --help`"
        return Refuse("epoch", f"{problem}: {cure}", EPOCH_RETRY_AFTER)
    resumed = (
        session is not None
        and first.session != ""
        and session.id == first.session
        and session.peer == role
        and session.resumable(first.received)
    )
    return Welcome(
        protocol=min(first.protocol, parameters.protocol),
        session=first.session if resumed else new_session,
        resumed=resumed,
        received=session.received if session is not None and resumed else 0,
        heartbeat=parameters.heartbeat,
        now=now,
        version=parameters.version,
        mark=parameters.mark if first.heard else "",
        spread=parameters.spread if first.protocol >= PACE_PROTOCOL else 0.0,
    )


def check_welcome(hello: Hello, welcome: Welcome, session: Session | None) -> None:
    """Checks a welcome on the dialling side; raises BadFrame. `session` is the one that `hello` was made from."""
    if not MIN_PROTOCOL <= welcome.protocol <= hello.protocol:
        spoken = f"{MIN_PROTOCOL} to {hello.protocol}"
        raise BadFrame(f"the hub wants protocol {welcome.protocol}; this end speaks {spoken}", FORBIDDEN)
    if not 0 < welcome.heartbeat <= MAX_INTERVAL:
        raise BadFrame(f"a heartbeat every {welcome.heartbeat} s is out of range", FORBIDDEN)
    if not 0 <= welcome.spread <= MAX_INTERVAL:
        raise BadFrame(f"a return spread over {welcome.spread} s is out of range", FORBIDDEN)
    if not welcome.session:
        raise BadFrame("a session without an id", FORBIDDEN)
    if not welcome.resumed:
        if welcome.received:
            raise BadFrame("a new session that has received something", FORBIDDEN)
    elif session is None or welcome.session != session.id or not session.resumable(welcome.received):
        raise BadFrame("the hub goes on with a session that is not this one", FORBIDDEN)
