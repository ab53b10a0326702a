"""The one interface that every chat platform implements, and the message and reply that all of them share. No I/O.

A platform object is made for one inlet and holds that inlet's keys. It is asked three things:

    receive   a delivery as it came -> what it is, or one of the refusals below. The signature is checked over the raw
              bytes before anything is parsed. Signed GETs, encrypted bodies, form bodies and XML are all just
              deliveries.
    render    a reply from the outbox -> the first HTTP call that posts it
    heard     the answer to that call -> delivered, failed, or the next call. A platform that needs an access token
              first renders the call that fetches it, keeps the token, and returns the real call as the next one; a
              platform that says 200 and means no ("ok": false) is understood here too.

A click on a button is an `Incoming` like any other: the text that would have been typed ("approve r42"), with the
identity from the verified callback and never from the button's value. Where a platform can update a message in place,
`Delivered.ref` names what was posted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from hub.intake_json import BadBody

__all__ = [
    "Answer",
    "BadBody",
    "BadSignature",
    "Delivered",
    "Delivery",
    "Failed",
    "Heard",
    "Ignored",
    "Immediate",
    "Incoming",
    "JobView",
    "Next",
    "NotAuthentic",
    "Outbound",
    "Platform",
    "Posting",
    "Received",
    "ReplyContent",
    "RequestView",
    "Stale",
    "heard_plainly",
]

POST_ONLY: Final = frozenset({"POST"})


# What comes in


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request to an inlet, as it came; nothing in it is verified."""

    body: bytes
    headers: Mapping[str, str] = field(
        default_factory=dict
    )  # lower-case names, Latin-1 values; repeats joined with ", "
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message from a person, verified and parsed."""

    event_id: str  # the platform's delivery id; unique within the inlet
    user: str
    conversation: str
    text: str
    images: tuple[bytes, ...] = ()
    reply_url: str = ""  # "" keeps the replies at the hub
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Immediate:
    """Nothing from a person: the platform wants this very answer (a challenge, a ping)."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Ignored:
    """Authentic and not for us (the bot's own words, an edit): answered 200, nothing is stored."""

    why: str


Received = Incoming | Immediate | Ignored


class NotAuthentic(Exception):
    """A delivery whose sender is not proven. `code` is stable; `str()` says what is wrong and the cure, never what
    would be right.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class BadSignature(NotAuthentic):
    """Missing, malformed or wrong. A wrong key and a changed body look the same from outside, and on purpose."""

    def __init__(self, message: str, code: str = "bad_signature") -> None:
        super().__init__(code, message)


class Stale(NotAuthentic):
    """Rightly signed, at another time: a replay, or a clock that is off."""

    def __init__(self, message: str) -> None:
        super().__init__("stale", message)


# What goes out


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as a reply shows it."""

    id: str
    number: int
    state: str


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as a reply shows it."""

    id: str
    agent: str
    argv: tuple[str, ...]
    state: str
    exit_code: int | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class ReplyContent:
    """What a reply says, before a platform gives it a form. Its JSON is what the outbox keeps and what `generic`
    posts.
    """

    in_reply_to: str  # the event id of the message that is answered
    conversation: str
    text: str  # whole sentences, already in the person's language
    request: RequestView | None = None
    jobs: tuple[JobView, ...] = ()
    actions: tuple[str, ...] = ()  # what the reader may do next: approve, reject, cancel
    kind: str = "final"  # final | question | progress | late
    thread: str = ""

    def to_json(self) -> str:
        body: dict[str, Any] = {
            "in_reply_to": self.in_reply_to,
            "conversation": self.conversation,
            "kind": self.kind,
            "text": self.text,
            "request": None
            if self.request is None
            else {"id": self.request.id, "number": self.request.number, "state": self.request.state},
            "jobs": [
                {
                    "id": job.id,
                    "agent": job.agent,
                    "argv": job.argv,
                    "state": job.state,
                    "exit_code": job.exit_code,
                    "output": job.output,
                }
                for job in self.jobs
            ],
            "actions": self.actions,
        }
        if self.thread:
            body["thread"] = self.thread
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ReplyContent:
        """What `to_json` wrote. The text is our own, from the outbox: anything else is a programming error."""
        body = json.loads(text)
        request = body["request"]
        return cls(
            in_reply_to=body["in_reply_to"],
            conversation=body["conversation"],
            text=body["text"],
            request=None if request is None else RequestView(**request),
            jobs=tuple(JobView(**{**job, "argv": tuple(job["argv"])}) for job in body["jobs"]),
            actions=tuple(body["actions"]),
            kind=body["kind"],
            thread=body.get("thread", ""),
        )


@dataclass(frozen=True, slots=True)
class Posting:
    """A row of the outbox on its way: where to, what, and the id by which a receiver can tell a repeat."""

    id: str  # "<request id>.<outbox id>", the same on every attempt
    url: str
    body: str  # JSON of a ReplyContent

    @property
    def content(self) -> ReplyContent:
        return ReplyContent.from_json(self.body)


@dataclass(frozen=True, slots=True)
class Outbound:
    """One HTTP call to make."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP call got; the body is cut at a few kilobytes."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Delivered:
    ref: str = ""  # the platform's name of the posted message, where it can be updated later


@dataclass(frozen=True, slots=True)
class Failed:
    """Not delivered: `gone` never will be, `refused` will hardly be, `later` may be."""

    reason: str
    kind: Literal["gone", "refused", "later"] = "later"
    retry_after: str = ""  # the header as it came


@dataclass(frozen=True, slots=True)
class Next:
    call: Outbound


Heard = Delivered | Failed | Next


class Platform(Protocol):
    """One chat platform, holding the keys of one inlet."""

    kind: str  # as in hub.toml
    methods: frozenset[str]  # HTTP methods that deliveries come with
    can_update: bool  # a posted message can be changed in place
    can_buttons: bool

    def receive(self, delivery: Delivery, now: float) -> Received:
        """Raises BadSignature, Stale or BadBody, and nothing else whatever the bytes."""
        ...

    def render(self, posting: Posting, now: float) -> Outbound: ...

    def heard(self, posting: Posting, call: Outbound, answer: Answer, now: float) -> Heard: ...


def heard_plainly(answer: Answer) -> Delivered | Failed:
    """What an answer means where HTTP status codes mean what they say (RFC 9110; Standard Webhooks: 410 disables the
    endpoint).

    A redirect is a refusal: it is not followed, since only the host that was checked may get the reply.
    """
    status = answer.status
    if 200 <= status < 300:
        return Delivered()
    if status == 410:
        return Failed("the receiver answered 410 Gone", "gone")
    if status in (408, 425, 429) or status >= 500:
        return Failed(f"the receiver answered {status}", "later", answer.headers.get("retry-after", ""))
    return Failed(f"the receiver answered {status}", "refused")
