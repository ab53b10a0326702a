"""The interface that every chat platform implements, and the message and reply that all of them share. No I/O.

A platform is one module with a `PLATFORM`: its name, the keys of its inlets in hub.toml, and how a `Platform` is made
of them. A platform object belongs to one inlet and holds that inlet's keys. It has three methods:

    receive           a delivery as received -> what it is, or one of the refusals below. The signature is verified over
                      the raw bytes before anything is parsed. Signed GETs, encrypted bodies, form bodies and XML are
                      all deliveries.
    render            a reply from the outbox -> the first HTTP call that posts it
    handle_response   the response to that call -> delivered, failed, or the next call. A platform that needs an access
                      token first renders the call that fetches it, stores the token, and returns the real call as the
                      next one; a platform that answers 200 with an error ("ok": false) is handled here too.

A click on a button is an `IncomingMessage` like any other, with `button`: the text that would have been typed
("approve r42 k7f2", `hub.chat.buttons`), and the identity from the verified callback, never from the button's value.

Cards. Where `can_update`, a request has one message in chat that moves with it: each of its replies is the whole state
(`ReplyContent.card`). The first is posted, and `Delivered.ref` names what was posted; the next ones come with that name
as `OutboundReply.ref` and are rendered as a change of it. `CardGone` posts the reply anew.

Beside these, a platform may have `MakesExample` and `Identifies`, with which `answerback-hub inlet test` proves it;
`TellsSecret`, by which its secrets are rotated; `AsksForCode` (`code_form`), a form for a second factor's code;
`RemovesMessages` and `TellsDirect` (`privacy`), by which such a code is kept from others; `Uploads` (`uploads`), with
which it posts files.
Where its messages only name their pictures, they are fetched after the commit (`pictures`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, runtime_checkable

from common.catalogue import Language
from common.text import OUTPUT_IS
from hub.core.inlet_table import InletTable
from hub.core.strict_json import BadBody

__all__ = [
    "BadBody",
    "BadSignature",
    "CardGone",
    "CodeGiven",
    "Delivered",
    "DeliveryFailed",
    "DeliveryResult",
    "HttpCall",
    "HttpResponse",
    "Identifies",
    "Ignored",
    "ImmediateResponse",
    "IncomingMessage",
    "MakesExample",
    "NextCall",
    "NotAuthentic",
    "OutboundReply",
    "PictureRef",
    "Platform",
    "PlatformKind",
    "ReceiveResult",
    "ReplyContent",
    "ReplyFile",
    "ReplyJob",
    "ReplyRequest",
    "Stale",
    "TellsSecret",
    "WebhookRequest",
    "result_of_status",
]

Setup = tuple[tuple[str, str], ...]
"""How it is set up, step by step, as (English, Chinese); `{url}` is where the inlet's webhook is reached."""
POST_ONLY: Final = frozenset({"POST"})


# What comes in


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One HTTP request to an inlet, as received; nothing in it is verified."""

    body: bytes
    headers: Mapping[str, str] = field(
        default_factory=dict
    )  # lower-case names, Latin-1 values; repeats joined with ", "
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class ImmediateResponse:
    """Exactly this response: to a challenge or a ping, which is no message, or to a message once it is committed."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


MAX_PICTURES: Final = 4
"""Pictures of one message that are read."""
MAX_PICTURE_REFS: Final = 10
"""Pictures of one message that are kept: those beyond MAX_PICTURES are told not to be read."""
MAX_PICTURE_REF: Final = 2_000  # characters


@dataclass(frozen=True, slots=True)
class PictureRef:
    """A picture that is still with the platform: it is fetched once the message is committed, by the platform's
    `PictureSource` (`hub.chat.platforms.pictures`). What is declared here is checked again then.
    """

    name: str = field(repr=False)  # the platform's own name of it, opaque to all others: an id, or a URL
    media_type: str = ""  # as declared; "" where it is not
    size: int = 0  # the bytes that are declared; 0 where they are not

    def __post_init__(self) -> None:
        """Raises BadBody."""
        if not 1 <= len(self.name) <= MAX_PICTURE_REF or len(self.media_type) > 100:
            raise BadBody(f"a picture: its name must be 1 to {MAX_PICTURE_REF} characters, its type at most 100")


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """One message from a person, verified and parsed."""

    event_id: str  # the platform's id of the message, the same however often and whichever way it comes
    user: str
    conversation: str
    text: str
    images: tuple[bytes, ...] = ()
    reply_url: str = ""  # where replies are posted; a platform with an API: its root. "" keeps the replies at the hub
    thread: str = ""  # as the platform's replies need it; not shown to anybody
    sent_at: float = 0.0  # by the platform's clock, where it says when the person wrote; 0 where it does not
    addressed: bool = True  # it mentions the bot, is a direct message, a slash command or a button
    button: bool = False  # a click: what it did is seen on the card, so that only a refusal is said
    edited: bool = False  # `event_id` was said before, in other words
    response: ImmediateResponse | Callable[[str, int], ImmediateResponse] | None = None
    """How the webhook is answered after the commit, where that is not in our own JSON; or a function of what became of
    the message (`hub.core.receipt`) and its request's number, 0 where it has none."""
    trigger: str = field(default="", repr=False)  # of a click: what a form is opened with, for a few seconds
    pictures: tuple[PictureRef, ...] = ()  # at most MAX_PICTURE_REFS, that are fetched once this is committed


@dataclass(frozen=True, slots=True)
class CodeGiven:
    """The sent form of a second factor's code (`code_form`), verified. It is acted on before the webhook is answered,
    and is no message: the code is stored nowhere.
    """

    id: str  # the platform's, the same however often it comes; one yes at most comes of it
    user: str  # who sent it, from the verified callback
    opened_by: str  # for whom it was opened
    conversation: str
    number: int  # the request's
    digest: str  # of the plan that the form showed
    code: str = field(repr=False)  # as typed; one that is longer than a code may be comes cut


@dataclass(frozen=True, slots=True)
class Ignored:
    """Authentic and not for us (the bot's own message, an edit): answered 200, nothing is stored."""

    reason: str


ReceiveResult = IncomingMessage | CodeGiven | ImmediateResponse | Ignored


class NotAuthentic(Exception):
    """A delivery whose sender is not proven. `code` is stable; `str()` says what is wrong and the cure, and never
    reveals the expected value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class BadSignature(NotAuthentic):
    """The signature is missing, malformed or wrong. A wrong key and a changed body get the same answer on purpose."""

    def __init__(self, message: str, code: str = "bad_signature") -> None:
        super().__init__(code, message)


class Stale(NotAuthentic):
    """Correctly signed, at another time: a replay, or a wrong clock."""

    def __init__(self, message: str) -> None:
        super().__init__("stale", message)


# What goes out


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """A request as a reply shows it."""

    id: str
    number: int
    state: str
    code: str = ""  # while it waits for approval: `approve rNUMBER CODE` is the yes to exactly this


@dataclass(frozen=True, slots=True)
class ReplyJob:
    """A job as a reply shows it."""

    id: str
    agent: str
    argv: tuple[str, ...]
    state: str
    exit_code: int | None = None
    output: str = ""
    reason: str = ""  # why it ended, where it did not simply end by itself
    notes: tuple[str, ...] = ()  # what it left behind, what of its output is lost (`common.machine.end_notes`)


@dataclass(frozen=True, slots=True)
class ReplyFile:
    """The file that a reply brings: all kept output of a request. It is read when the reply is posted."""

    request: str
    number: int


@dataclass(frozen=True, slots=True)
class ReplyContent:
    """A reply before a platform renders it. Its JSON is what the outbox stores and what `generic` posts."""

    in_reply_to: str  # the event id of the message that is answered
    conversation: str
    text: str  # whole sentences, already in the person's language
    request: ReplyRequest | None = None
    jobs: tuple[ReplyJob, ...] = ()
    actions: tuple[str, ...] = ()  # what the reader may do next: approve, reject, cancel
    kind: str = "final"  # final | question | progress | late
    thread: str = ""
    card: bool = False  # the whole state of the request, to be shown in its one message
    language: Language = "en"
    deadline: float | None = None  # until when it waits for a decision, seconds since the epoch
    file: ReplyFile | None = None  # only on a platform with `Uploads`

    def to_json(self) -> str:
        body: dict[str, Any] = {
            "in_reply_to": self.in_reply_to,
            "conversation": self.conversation,
            "kind": self.kind,
            "text": self.text,
            "request": None
            if self.request is None
            else {
                "id": self.request.id,
                "number": self.request.number,
                "state": self.request.state,
                **({"code": self.request.code} if self.request.code else {}),
            },
            "jobs": [
                {
                    "id": job.id,
                    "agent": job.agent,
                    "argv": job.argv,
                    "state": job.state,
                    "exit_code": job.exit_code,
                    "output": job.output,
                    **OUTPUT_IS,
                    **({"reason": job.reason} if job.reason else {}),
                    **({"notes": job.notes} if job.notes else {}),
                }
                for job in self.jobs
            ],
            "actions": self.actions,
        }
        if self.thread:
            body["thread"] = self.thread
        if self.card:
            body |= {"card": True, "language": self.language}
            if self.deadline is not None:
                body["deadline"] = self.deadline
        if self.file is not None:
            body |= {"file": {"request": self.file.request, "number": self.file.number}, "language": self.language}
        if self.language != "en":
            body["language"] = self.language
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ReplyContent:
        """The inverse of `to_json`. The text is our own, from the outbox: anything else is a programming error."""
        body = json.loads(text)
        request = body["request"]
        return cls(
            in_reply_to=body["in_reply_to"],
            conversation=body["conversation"],
            text=body["text"],
            request=None if request is None else ReplyRequest(**request),
            jobs=tuple(map(_job_from_json, body["jobs"])),
            actions=tuple(body["actions"]),
            kind=body["kind"],
            thread=body.get("thread", ""),
            card=body.get("card", False),
            language=body.get("language", "en"),
            deadline=body.get("deadline"),
            file=ReplyFile(**body["file"]) if "file" in body else None,
        )


def _job_from_json(job: dict[str, Any]) -> ReplyJob:
    job = {name: value for name, value in job.items() if name not in OUTPUT_IS}
    return ReplyJob(**{**job, "argv": tuple(job["argv"]), "notes": tuple(job.get("notes", ()))})


@dataclass(frozen=True, slots=True)
class OutboundReply:
    """A reply to post: its address, its body, and the id by which a receiver recognises a repeat."""

    id: str  # "<request id>.<outbox id>", the same on every attempt
    url: str
    body: str  # JSON of a ReplyContent
    ref: str = ""  # the posted card that this reply changes; "" posts a new message
    lost: str = ""  # the card that was found gone: this post takes its place
    repeated: bool = False  # it may have been posted before: an attempt was made whose result is not known

    @property
    def content(self) -> ReplyContent:
        return ReplyContent.from_json(self.body)


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP call to make. Tokens stand in headers, and with some platforms in the URL or the body."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The response to an HTTP call; the body is cut at 256 KiB."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Delivered:
    ref: str = ""  # the platform's name of the posted message, where it can be updated later


@dataclass(frozen=True, slots=True)
class DeliveryFailed:
    """Not delivered. `kind`: `gone` is permanent, `refused` probably so, `later` is worth a retry."""

    reason: str
    kind: Literal["gone", "refused", "later"] = "later"
    retry_after: str = ""  # the Retry-After header as received
    unsent: bool = False  # this attempt has certainly posted nothing


@dataclass(frozen=True, slots=True)
class CardGone:
    """The card `OutboundReply.ref` cannot be changed any more: the reply is posted as a new message."""

    reason: str


@dataclass(frozen=True, slots=True)
class NextCall:
    call: HttpCall


DeliveryResult = Delivered | DeliveryFailed | CardGone | NextCall


class Platform(Protocol):
    """One chat platform, holding the keys of one inlet."""

    kind: str  # as in hub.toml
    methods: frozenset[str]  # HTTP methods that deliveries come with
    can_update: bool  # a posted message can be changed in place: a request has one card
    can_buttons: bool
    hosts: tuple[str, ...]  # of its own API, in the form of `reply_hosts`: calls may go there besides
    pace: float  # seconds between two posts into one conversation; 0: as they come

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        """Raises BadSignature, Stale or BadBody, and nothing else whatever the bytes."""
        ...

    def render(self, reply: OutboundReply, now: float) -> HttpCall: ...

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult: ...


@runtime_checkable
class MakesExample(Protocol):
    """A platform that can sign a delivery itself, for `answerback-hub inlet test`: whatever signs is shared with us."""

    def example(self, now: float) -> WebhookRequest | None:
        """A delivery as the platform would send it now: a challenge or a ping where it has one, else `EXAMPLE_TEXT`
        from `EXAMPLE_USER`, whom nobody knows. Its event id is another one each time. None: not with these keys.
        """
        ...


@runtime_checkable
class TellsSecret(Protocol):
    """A platform that tells which of its secrets is in use, so that an old one is retired only when it is not."""

    proven_by: bytes
    """The line of a secret file that verified the last delivery; empty before the first one. The hub sets it as well,
    to what an object before this one had."""


@runtime_checkable
class Identifies(Protocol):
    """A platform with an API that tells whose token it is, for `answerback-hub inlet test`."""

    def who_am_i(self, now: float) -> HttpCall | None:
        """The call that asks; changes nothing there. None: there is no such call for these keys."""
        ...

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | NextCall | DeliveryFailed:
        """Whom we are there, in a few words of one line ("answerback in Acme"); the next call; or why it failed, never
        with a secret.
        """
        ...


EXAMPLE_USER: Final = "answerback-inlet-test"
EXAMPLE_TEXT: Final = "hello"


@dataclass(frozen=True, slots=True)
class PlatformKind:
    """A platform as `hub.toml` and people name it."""

    name: str  # as in hub.toml: lower case
    title: str  # as its makers write it
    table: type[InletTable]  # the keys of its inlets
    create: Callable[[InletTable], Platform]  # of a table of `table`, with its secrets read; raises UserError
    setup: Setup = ()
    new_secret: Callable[[], str] | None = None  # makes one for `secret_file`, where it is ours to choose


def result_of_status(answer: HttpResponse) -> Delivered | DeliveryFailed:
    """The result by the HTTP status code alone (RFC 9110; Standard Webhooks: 410 disables the endpoint).

    A redirect is a refusal: it is not followed, since only the host that was checked may get the reply.
    """
    status = answer.status
    if 200 <= status < 300:
        return Delivered()
    if status == 410:
        return DeliveryFailed("the receiver answered 410 Gone", "gone", unsent=True)
    if status in (408, 425, 429) or status >= 500:
        again = answer.headers.get("retry-after", "")
        return DeliveryFailed(f"the receiver answered {status}", "later", again, unsent=status in (425, 429))
    return DeliveryFailed(f"the receiver answered {status}", "refused", unsent=True)
