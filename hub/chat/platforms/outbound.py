"""Outbound modes: the hub asks the platform for news, so it needs no open port. No I/O: `hub.chat.outbound` does it.

A platform object with an outbound mode has one attribute more, `outbound`: a `PollMode`, or None where its inlet takes
webhooks. A mode belongs to one inlet and may keep what it learns (who the bot is), but whatever must outlive a restart
of the hub is in the cursor: a short text of its own, such as a position in the platform's stream of events.

`PollMode.poll` is one round, written as a generator: it yields the calls to make, is sent their answers, and returns
what came in. The messages are committed first, then the cursor; so a platform that forgets what it has handed out once
it is asked for the next (Telegram's `offset`, Matrix's `since`) is acknowledged only after the commit, and a hub that
is killed between the two hears the same messages again, which are found as repeats by their ids.

    def poll(self, cursor: str, now: float) -> PollRound:
        answer = yield OutboundCall(HttpCall(f"{self._api}/getUpdates?offset={cursor}", b"", method="GET"), seconds=40)
        if answer.status != 200:
            raise failure_of_status(answer)
        messages, cursor = self._read(answer.body)
        return Polled(messages, cursor)

`SocketMode` is one over a WebSocket: `connect` makes the calls that lead to it, `hear` says what comes of a frame, and
what acknowledges it (`Heard.send`) is sent once its messages are committed. A frame may lead to calls of its own
(`Heard.fetch`): what was said while the hub was away is asked for once the socket is open, so that nothing falls
between the two.

A platform that is answered over its socket renders its replies as `SocketCall`. They are sent once a frame has said
that the socket takes them (`Heard.takes_calls`); the frame that answers one is told as `Heard.answer`, and the platform
reads it as a response.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, runtime_checkable

from hub.chat.platforms.base import CodeGiven, HttpCall, HttpResponse, ImmediateResponse, IncomingMessage, Platform

MAX_CURSOR: Final = 16 * 1024  # characters
FailureKind = Literal["token", "later"]


@dataclass(frozen=True, slots=True)
class OutboundCall:
    """One call of a round. Its host must be one of the platform's `hosts`, as for replies."""

    call: HttpCall
    seconds: float = 15.0  # how long it may take in all; of a long poll, longer than the platform holds it
    limit: int = 64 * 1024  # bytes of the answer; a longer one is thrown in as `TooLong`


@dataclass(frozen=True, slots=True)
class SocketCall(HttpCall):
    """A call over the open socket of the inlet: `body` is sent as one text frame; the URL is for people alone."""

    key: str = ""  # by which its answer is known; another one for each call


class OutboundFailed(Exception):
    """The round came to nothing and is made again later. `str()` says why, in one line and without secrets.

    `token`: the platform does not take our token, which only a person cures: retried slowly.
    `retry_after`: seconds that the platform asks for.
    `spread`: seconds over which the platform wants those whom it disconnects to come back: the first pause is drawn
    from them.
    """

    def __init__(self, reason: str, kind: FailureKind = "later", retry_after: float = 0.0, spread: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.retry_after = retry_after
        self.spread = spread


class NoAnswer(OutboundFailed):
    """Thrown into a round by its runner: the call had no answer. A round may go on without it, or let it pass."""


class TooLong(NoAnswer):
    """Thrown into a round: the answer was longer than its call allowed."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What a round came to."""

    messages: tuple[IncomingMessage, ...] = ()  # in the order in which they were said
    cursor: str = ""  # where the next round goes on
    after: tuple[HttpCall, ...] = ()
    """Calls once the messages are committed, each tried once, their answers dropped: the end of a button's spinner."""


PollRound = Generator[OutboundCall, HttpResponse, Polled]


class PollMode(Protocol):
    """An outbound mode of HTTP calls that wait for news."""

    def poll(self, cursor: str, now: float) -> PollRound:
        """One round from this cursor, "" at the very first: then what was said before is not taken up; so with a cursor
        that is none of the mode's, as of any `connect`. Raises
        OutboundFailed; whatever the answers say, nothing else. A message that cannot be read is left out, since the
        rest must not wait for it. Messages name the moment they were said (`sent_at`): old ones are not taken up.
        """
        ...


Frame = str | bytes


@dataclass(frozen=True, slots=True)
class Socket:
    """A WebSocket to open."""

    url: str  # wss://HOST/…; its host must be one of the platform's `hosts`, there written https://
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    first: tuple[Frame, ...] = field(default=(), repr=False)  # what is sent at once: a proof of who we are
    beat: float = 0.0  # seconds between two `beat`s; 0: none, WebSocket's own pings are enough
    missed: Polled | None = None  # what was said while the hub was away, where the platform can tell
    ready: bool = False  # that it opened proves who we are: nothing may be said on it for long
    goodbye: int = 1000  # the code with which we close it; with some platforms 1000 ends more than the connection
    domain: str = ""  # its host may be any of this domain as well, by TLS: the platform's own, which has many


@dataclass(frozen=True, slots=True)
class FormHeard:
    """A click that may open a form for a code, or such a form that was sent (`hub.chat.platforms.code_form`)."""

    received: IncomingMessage | CodeGiven = field(repr=False)
    answered: Callable[[ImmediateResponse], Heard] = field(repr=False)
    """What its frame comes to once that is done: the answer is what a webhook would be answered, and the platform
    takes it as a frame (`Heard.send`) or by a call (`Heard.after`). An empty one says nothing but that it is done."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one frame."""

    messages: tuple[IncomingMessage, ...] = ()
    send: tuple[Frame | Callable[[float], Frame], ...] = ()
    """Once the messages are committed: what acknowledges them, or what makes it of the moment at which it is sent."""
    cursor: str | None = None  # None: as it was
    after: tuple[HttpCall, ...] = ()  # as of `Polled`
    beat: float | None = None  # from now on, as of `Socket`
    fetch: PollRound | None = None  # a round to make at once; what it brings is committed before this frame's messages
    takes_calls: bool = False  # from now on the socket does
    answer: tuple[str, bytes] | None = None  # the key of a call, and the frame that answers it
    again: bool = False  # the platform asks us to connect anew
    wait: float = 0.0  # seconds before that
    linger: float = 0.0  # seconds for which this connection is heard besides the new one; of a mode without a cursor
    works: bool = True  # False: a greeting, from which it is not known yet whether we are let in
    beat_in: float | None = None  # seconds until the first of the beats; None: as many as between two
    form: FormHeard | None = None
    """Where that opens no form, or could not be acted on, the frame comes to what the rest of this says: a click is a
    message like any other, a sent form is not answered."""


SocketCalls = Generator[OutboundCall, HttpResponse, Socket]


@runtime_checkable
class SocketMode(Protocol):
    """An outbound mode over a WebSocket. All its methods raise OutboundFailed, and nothing else whatever they hear."""

    def connect(self, cursor: str, now: float) -> SocketCalls:
        """The calls that lead to the socket, as `PollMode.poll` makes its own."""
        ...

    def hear(self, frame: Frame, now: float) -> Heard: ...

    def beat(self, now: float) -> Frame:
        """What is sent every `beat` seconds. Raises OutboundFailed where the one before was not answered."""
        ...

    def closed(self, code: int) -> OutboundFailed:
        """Why the platform closed the socket with this code (RFC 6455, 7.4; 0 where it gave none)."""
        ...


@runtime_checkable
class ReadsRefusal(Protocol):
    """A `SocketMode` whose platform says in headers why it opens no WebSocket."""

    def refused(self, status: int, headers: Mapping[str, str]) -> OutboundFailed | None:
        """What an answer other than 101 means; names of headers in lower case. None where it does not say."""
        ...


Mode = PollMode | SocketMode


@runtime_checkable
class HasOutbound(Protocol):
    outbound: Mode | None


def outbound_mode(platform: Platform) -> Mode | None:
    """How the hub asks this platform for news; None where it is told by webhooks."""
    return platform.outbound if isinstance(platform, HasOutbound) else None


def failure_of_status(answer: HttpResponse) -> OutboundFailed:
    """The failure that an answer without a body to read is, by its status (RFC 9110)."""
    after = answer.headers.get("retry-after", "")
    seconds = float(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0.0
    if answer.status in (401, 403):
        return OutboundFailed(f"the platform refuses the token (it answered {answer.status})", "token", seconds)
    return OutboundFailed(f"the platform answered {answer.status}", "later", seconds)
