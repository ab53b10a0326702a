"""Every message on a link, defined once.

A frame is one msgpack array `[type, seq, ack, epoch, body]` in one binary WebSocket message (or, between uplink and
runner, behind a four-byte big-endian length on a local socket). `type` is one of the names below, a closed set. `seq`
numbers facts from 1 in each direction of a session; 0 marks a message that is never repeated. `ack` is the highest seq
of the peer's that is dealt with: for the hub that means committed. `epoch` is the hub's, 0 from an agent that has not
heard it. `body` is a map with exactly the fields of the type; those with a default may be left out.

Opening a link
    hello      agent or console: who I am, which protocol, which session I would go on with, the highest epoch I saw
    welcome    hub: the session, whether it goes on (`resumed`), up to which seq I have yours; how often to be heard
    refuse     hub: not now (`retry_after` > 0) or not at all; `code` is for programs, `reason` for people
    bye        either: closing on purpose; the hub says over how many seconds to spread the return
Keeping it
    heartbeat  agent: I am here, and these are my vitals; console: I am here
    beat       hub: heard
    ack        either: nothing to say but the ack in the frame
Work, hub to agent
    dispatch   a signed order; the same order may come again and is answered from the journal
    cancel     stop this job, or never start it; `kill` skips the grace
    credit     output chunks up to and including `seq` are committed; more may be sent
    forget     the job's end is committed: its files may go
    resync     answer to report: for each job the next chunk wanted; what is not listed is not known to the hub
Work, agent to hub
    report     after a new (not resumed) session: every job not yet forgotten, and how far it is
    accepted   journalled durably, not started
    refused    never ran, never will; `code` is one of REFUSALS
    started    the start marker exists and the program has been spawned
    output     one chunk, numbered from 1 within the job
    ended      the truth about the end; `chunks` tells how many output messages there are in all
    unsure     "may have started" and no evidence will come by itself
Certificates
    renew      agent or console: a new signing request for the same name
    renewed    the certificate for it and its generation
    join       anyone with a token (the only message from an unknown): a signing request
    joined     the certificate, the CA, and the keys that orders are signed with
Consoles
    call       a verb with arguments
    answer     its result, or an error with code and reason
    push       something new on a subscription
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, Literal, get_type_hints

from common.fields import BadField, Checker, checker, checker_with_rule, is_time

PROTOCOL: Final = 1
MIN_PROTOCOL: Final = 1
CHUNK_BYTES: Final = 32_768
"""The most that one output message carries."""

Sender = Literal["anyone", "agent", "console", "hub", "runner"]


class BadMessage(ValueError):
    """A message that is not of its type's form, or that its sender may not send."""


@dataclass(frozen=True, slots=True)
class Message:
    """What all messages are; a type's fields are its body."""


@dataclass(frozen=True, slots=True)
class Hello(Message):
    protocol: int
    role: str  # agent | console; must agree with the certificate
    name: str  # must equal the certificate's
    version: str
    session: str = ""  # "" asks for a new one
    received: int = 0  # highest seq of the hub's that came; what comes after is sent again
    epoch: int = 0
    facts: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    protocol: int
    session: str
    resumed: bool
    received: int  # highest seq of yours that came
    heartbeat: float  # seconds between heartbeats
    now: float
    version: str


@dataclass(frozen=True, slots=True)
class Refuse(Message):
    code: str
    reason: str
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Bye(Message):
    reason: str = ""
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    vitals: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Beat(Message):
    now: float


@dataclass(frozen=True, slots=True)
class Ack(Message):
    pass


@dataclass(frozen=True, slots=True)
class Dispatch(Message):
    order: bytes
    signature: bytes
    key: str


@dataclass(frozen=True, slots=True)
class Cancel(Message):
    job: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class Credit(Message):
    job: str
    seq: int


@dataclass(frozen=True, slots=True)
class Forget(Message):
    job: str


@dataclass(frozen=True, slots=True)
class Resync(Message):
    jobs: dict[str, int]  # job -> next output chunk wanted
    forget: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report(Message):
    journal: str  # made with the journal; another one means that the machine's memory is gone
    boot: str
    open: dict[str, str]  # job -> accepted | started | ended | refused | unsure


@dataclass(frozen=True, slots=True)
class Accepted(Message):
    job: str
    plan_hash: str


@dataclass(frozen=True, slots=True)
class Refused(Message):
    job: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Started(Message):
    job: str
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class Output(Message):
    job: str
    seq: int  # from 1
    stream: int  # 1 standard output, 2 standard error
    data: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Ended(Message):
    job: str
    outcome: str  # succeeded | failed | timed_out | cancelled
    exit_code: int | None
    signal: int | None
    reason: str  # "" or, where no program could be started, why
    chunks: int
    output_bytes: int  # written by the program, beyond the cap included
    output_digest: str  # hex SHA-256 of all of it, in the order it was read
    truncated: bool
    started_at: float
    ended_at: float
    cpu_user: float
    cpu_system: float
    max_rss: int  # bytes


@dataclass(frozen=True, slots=True)
class Unsure(Message):
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class Renew(Message):
    request: bytes  # PEM certificate signing request
    generation: int  # of the certificate in use


@dataclass(frozen=True, slots=True)
class Renewed(Message):
    certificate: bytes  # PEM
    generation: int


@dataclass(frozen=True, slots=True)
class Join(Message):
    token: str
    name: str
    request: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Joined(Message):
    name: str
    certificate: bytes
    authority: bytes  # PEM
    job_keys: dict[str, bytes]  # key id -> raw Ed25519 public key, 32 bytes
    hub: str


@dataclass(frozen=True, slots=True)
class Call(Message):
    id: int
    verb: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer(Message):
    id: int
    data: Any = None
    code: str = ""  # "" is success
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Push(Message):
    id: int  # of the call that subscribed
    data: Any


REFUSALS: Final = frozenset(
    {"signature", "not_mine", "expired", "epoch", "policy", "order", "busy", "cancelled", "program", "stopping", "disk"}
)

_SENDERS: Final[Mapping[type[Message], frozenset[Sender]]] = {
    Hello: frozenset({"agent", "console"}),
    Welcome: frozenset({"hub"}),
    Refuse: frozenset({"hub"}),
    Bye: frozenset({"hub", "agent", "console", "runner"}),
    Heartbeat: frozenset({"agent", "console"}),
    Beat: frozenset({"hub"}),
    Ack: frozenset({"hub", "agent", "console"}),
    Dispatch: frozenset({"hub"}),
    Cancel: frozenset({"hub"}),
    Credit: frozenset({"hub"}),
    Forget: frozenset({"hub"}),
    Resync: frozenset({"hub"}),
    Report: frozenset({"agent", "runner"}),
    Accepted: frozenset({"agent", "runner"}),
    Refused: frozenset({"agent", "runner"}),
    Started: frozenset({"agent", "runner"}),
    Output: frozenset({"agent", "runner"}),
    Ended: frozenset({"agent", "runner"}),
    Unsure: frozenset({"agent", "runner"}),
    Renew: frozenset({"agent", "console"}),
    Renewed: frozenset({"hub"}),
    Join: frozenset({"anyone"}),
    Joined: frozenset({"hub"}),
    Call: frozenset({"console"}),
    Answer: frozenset({"hub"}),
    Push: frozenset({"hub"}),
}
_UNNUMBERED: Final = frozenset({Hello, Welcome, Refuse, Bye, Heartbeat, Beat, Ack, Join, Joined, Call, Answer, Push})

_STAGES: Final = frozenset({"accepted", "started", "ended", "refused", "unsure"})
_OUTCOMES: Final = frozenset({"succeeded", "failed", "timed_out", "cancelled"})

# What a field's type does not say.
_RULES: Final[Mapping[tuple[type[Message], str], Callable[[Any], bool]]] = {
    (Hello, "role"): frozenset({"agent", "console"}).__contains__,
    (Report, "open"): lambda jobs: _STAGES.issuperset(jobs.values()),
    (Refused, "code"): REFUSALS.__contains__,
    (Output, "seq"): lambda seq: bool(seq >= 1),
    (Output, "stream"): frozenset({1, 2}).__contains__,
    (Output, "data"): lambda data: len(data) <= CHUNK_BYTES,
    (Ended, "outcome"): _OUTCOMES.__contains__,
}
_TIMES: Final = frozenset({"at", "now", "started_at", "ended_at"})


def _field_checker(kind: type[Message], name: str, hint: Any) -> Checker:
    rule = _RULES.get((kind, name)) or (is_time if hint is float and name in _TIMES else None)
    return checker(hint) if rule is None else checker_with_rule(checker(hint), rule)


@dataclass(frozen=True, slots=True)
class _Form:
    kind: type[Message]
    senders: frozenset[Sender]
    checkers: Mapping[str, Checker]
    required: frozenset[str]


def _form(kind: type[Message], senders: frozenset[Sender]) -> _Form:
    hints = get_type_hints(kind)
    own = fields(kind)
    return _Form(
        kind,
        senders,
        {field.name: _field_checker(kind, field.name, hints[field.name]) for field in own},
        frozenset(field.name for field in own if field.default is MISSING and field.default_factory is MISSING),
    )


TYPES: Final[Mapping[str, type[Message]]] = {kind.__name__.lower(): kind for kind in _SENDERS}
_FORMS: Final[Mapping[str, _Form]] = {name: _form(kind, _SENDERS[kind]) for name, kind in TYPES.items()}
_NAMES: Final[Mapping[type[Message], str]] = {kind: name for name, kind in TYPES.items()}


def type_name(message: Message) -> str:
    return _NAMES[type(message)]


def is_numbered(message: Message) -> bool:
    """Facts are numbered and kept until acknowledged; the rest is said once."""
    return type(message) not in _UNNUMBERED


def may_send(name: str, sender: Sender) -> bool:
    form = _FORMS.get(name)
    return form is not None and sender in form.senders


def to_body(message: Message) -> dict[str, Any]:
    """The message's fields as a map; raises BadMessage where the other end would refuse one.

    Checked on the way out too: a fact that is refused over there would come back with every resume.
    """
    name = _NAMES[type(message)]
    body: dict[str, Any] = {}
    for key, check in _FORMS[name].checkers.items():
        try:
            body[key] = check(getattr(message, key))
        except BadField as error:
            raise BadMessage(f"{name}.{key}: {error}") from None
    return body


def from_body(name: str, body: Any, sender: Sender) -> Message:
    """The typed message; raises BadMessage where the type is unknown, the sender may not send it, or a field is off."""
    form = _FORMS.get(name) if isinstance(name, str) else None
    if form is None:
        raise BadMessage("unknown message type")
    if sender not in form.senders:
        raise BadMessage(f"{name}: not for {sender} to send")
    if not isinstance(body, dict):
        raise BadMessage(f"{name}: the body is not a map")
    values: dict[str, Any] = {}
    for key, value in body.items():
        check = form.checkers.get(key)
        if check is None:
            raise BadMessage(f"{name}: unknown field")
        try:
            values[key] = check(value)
        except BadField as error:
            raise BadMessage(f"{name}.{key}: {error}") from None
    if missing := form.required - values.keys():
        raise BadMessage(f"{name}: without {', '.join(sorted(missing))}")
    return form.kind(**values)
