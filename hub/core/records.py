"""What the store keeps, as frozen values: the facts that decisions are made from.

A change is a new value (`dataclasses.replace`); `Txn.save_*` writes the difference and refuses when the row has moved
on. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.approval_proof import ApprovalProof
from common.catalogue import Language, Sentence
from common.lifecycle import JobState, RequestState
from common.plan import Plan


def state_words(state: RequestState) -> Sentence:
    """A request's state within a sentence; of one that has ended, not how."""
    return Sentence("request_is_over" if state is RequestState.DONE else f"request_is_{state.value}")


@dataclass(frozen=True, slots=True)
class Request:
    id: str  # ULID
    number: int  # what people call it: r42 is 42; given by the store, 0 before
    state: RequestState
    inlet: str  # inlet's name, or "console"
    event_id: str  # the platform's delivery id; unique with inlet
    conversation: str
    chat_user: str  # as the platform names them
    person: str  # "" where the chat user is nobody we know
    text: str
    language: Language
    reply_url: str
    received_at: float
    plan: Plan | None = None
    plan_hash: str = ""
    approvers: int = 0  # how many approvals the policy asks for
    second_factor: bool = False
    own_approval: bool = False  # the requester may be one of them
    rule: str = ""
    reason: str = ""  # why it was refused, asked, rejected; English
    decide_by: float | None = None
    step: int = 0  # index of the step whose jobs were queued last
    planned_at: float | None = None
    decided_at: float | None = None
    ended_at: float | None = None
    parent: str = ""  # the request this one retries or edits
    behalf: str = ""  # who asked what this one is an edit of, and who edited before: names, a space between
    hold: float = 0.0  # seconds that the first step's jobs are held back, so that they can be taken back
    outcome: str = ""  # of its jobs once it is done: succeeded, partly, failed, cancelled, unknown
    thread: str = ""  # where in its conversation it was said, as the chat's replies need it
    button: bool = False  # said by a click on a card
    mac: str = field(default="", compare=False, repr=False)  # the store's, over what matters of the row


@dataclass(frozen=True, slots=True)
class Job:
    id: str  # ULID
    request_id: str
    person: str
    agent: str
    state: JobState
    step: int
    plan_hash: str
    not_after: float
    queued_at: float
    priority: int = 5  # 0 to 9, 9 first
    epoch: int = 0  # of the last lease
    journal: str = ""  # the agent's journal id at the last lease; kept in the queue where only that one may have it
    leased_at: float | None = None
    accepted_at: float | None = None
    started_at: float | None = None  # by the agent's clock, within what the hub's can have seen
    ended_at: float | None = None  # by the hub's clock: when the end was committed
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    duration: float | None = None  # seconds, as the agent measured on a clock that nobody sets
    output_bytes: int = 0
    output_digest: str = ""
    truncated: bool = False
    chunks: int = 0  # output messages in all, known at the end
    cpu_user: float = 0.0
    cpu_system: float = 0.0
    max_rss: int = 0
    notes: tuple[str, ...] = ()  # what it left behind, what of it is lost (`common.machine.end_notes`)
    cancel_asked_at: float | None = None
    cancel_asked_by: str = ""
    parent: str = ""  # the job this one retries
    # Of its request and step, so that lists are filtered and shown without reading plans:
    number: int = 0
    inlet: str = ""
    source: str = ""  # the plan's: explicit, runbook:NAME, operator …
    command: str = ""  # the argument vector as one line for a POSIX shell; "" where that is longer than MAX_COMMAND
    time_limit: int = 0  # seconds
    not_before: float = 0.0  # held back until then; 0: never was
    replied_at: float | None = None  # when chat was told its end, where that was before the request's
    life: str = ""  # the runner's at the last lease, where it starts the job only once we have confirmed its acceptance
    stamp: str = ""  # the runner's that our word in the order is for; "": it had none, and waits for a confirmation
    redeliveries: int = 0  # how often it came back, provably not started, and was queued again
    redelivery_code: str = ""  # why it did last: one of RETRY_CODES, or "lost" where the machine had no record
    mac: str = field(default="", compare=False, repr=False)  # the store's, over what matters of the row

    @property
    def is_held(self) -> bool:
        """Handed out without our word, which it waits for: it was started nowhere, whoever has it."""
        return self.state is JobState.LEASED and self.life != "" and not self.stamp


@dataclass(frozen=True, slots=True)
class StoredChunk:
    job_id: str
    seq: int  # from 1
    stream: int  # 1 standard output, 2 standard error
    data: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Approval:
    request_id: str
    plan_hash: str
    person: str
    granted: bool
    via: str  # inlet's name or "console"
    at: float
    reason: str = ""
    second_factor: bool = False
    nonce: str = ""  # the console's name for this one press of a key: sent again it is the same approval
    proofs: tuple[ApprovalProof, ...] = ()  # the hub's signature over it; beside that perhaps the person's own


@dataclass(frozen=True, slots=True)
class StandingApproval:
    """A yes that holds for a while: of one plan hash, for one person, so many times."""

    number: int  # what people call it: a3 is 3; given by the store, 0 before
    request_id: str  # the request with whose approval it was given
    plan_hash: str
    person: str  # for whom
    granted_by: str
    via: str
    granted_at: float
    expires_at: float
    max_uses: int
    uses: int = 0
    second_factor: bool = False  # a fresh code was given with it
    revoked_at: float | None = None
    revoked_by: str = ""
    command: str = ""  # for people: the first step's
    targets: tuple[str, ...] = ()
    mac: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class OfferedKeyChange:
    """A change of whose own signatures machines count, as far as it is signed."""

    id: str
    body: bytes  # SignedKeyChange.to_bytes: what machines are handed
    proposed_by: str
    proposed_at: float
    expires_at: float
    ended_at: float | None = None  # when somebody withdrew it
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What became of such a change on a machine."""

    change_id: str
    agent: str
    done: bool
    reason: str
    signatures: int  # that it had then
    at: float


@dataclass(frozen=True, slots=True)
class MachineKeys:
    """Whose own signatures count on a machine, as it told last."""

    agent: str
    keys: dict[str, str]  # key in hex -> whose it is
    needed: int  # people who have to sign a change from afar
    at: float


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One audit row; `hash` covers the previous row's hash and everything here (hub/core/audit_chain.py)."""

    seq: int
    at: float
    kind: str  # stable dotted name: message.accepted, plan.made, job.dispatched …
    subject: str  # request, job, agent or person it is about
    actor: str  # person, agent, or "hub"
    data: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One row of the outbox."""

    id: int  # 0 before it is stored
    request_id: str
    inlet: str
    kind: str  # final | question | progress | late
    url: str
    body: str  # JSON as it will be posted
    created_at: float
    next_at: float
    attempts: int = 0
    state: str = "pending"  # pending | done | dead
    error: str = ""
    done_at: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """The one message in chat that shows a request and moves with it."""

    request_id: str
    ref: str  # the chat's name for it
    posted_at: float


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    labels: dict[str, str]
    state: str  # active | locked | revoked
    joined_at: float
    generation: int = 1
    last_seen: float | None = None
    version: str = ""
    journal: str = ""
    boot: str = ""
    facts: dict[str, str] | None = None
    paused_at: float | None = None
    paused_by: str = ""
    pause_reason: str = ""
    paused_until: float | None = None  # None: until somebody resumes it
    drain_at: float | None = None  # since when it is drained: nothing new is handed out, what it has goes on
    drain_by: str = ""
    drain_jobs: int = 0  # how many it had then
    drain_cancel_at: float | None = None  # what it still has then is cancelled; None: all of it may finish
    refused_at: float | None = None  # when a link of it was last refused; None since it was last linked
    refused_since: float | None = None  # since when it could not be let in: where its certificate ran out, that moment
    clock_ahead: float | None = None  # seconds that its clock was ahead of the hub's when it last came
    refused_code: str = ""
    links: str = ""  # the last link that it told, and
    lives: str = ""  # the last life of its runner (`common.link.lineage.SeenStep`)

    @property
    def takes_jobs(self) -> bool:
        """Whether new jobs may be handed to it; whether it is here is another matter."""
        return self.state == "active" and self.paused_at is None and self.drain_at is None


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    roles: tuple[str, ...]
    created_at: float
    totp_secret: bytes = b""  # sealed; empty where not enrolled
    totp_last_step: int = 0  # single use: only a later time step is taken
    totp_failures: int = 0
    totp_locked_until: float = 0.0
    revoked_at: float | None = None
    totp_pending: bytes = b""  # sealed; a new factor that takes the old one's place with its first code
    totp_pending_until: float = 0.0
    chat: tuple[str, ...] = ()  # "INLET:USER", beside those of hub.toml
    totp_console_failures: int = 0  # counted apart, so that whoever has a chat account locks nobody out of the console
    totp_console_locked_until: float = 0.0
    mac: str = field(default="", compare=False, repr=False)  # of the row, which the store makes: hub/core/row_mac.py


@dataclass(frozen=True, slots=True)
class PersonPasskey:
    """A passkey that a person has made; machines count it only where it was given to them."""

    id: str  # of the line: `common.identity.passkey`
    person: str
    line: str  # passkey:ALGORITHM:KEY:ORIGIN
    credential_id: str  # base64url, by which a page asks for it
    label: str
    created_at: float


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate that the hub's authority has issued."""

    fingerprint: str  # hex SHA-256 of the certificate's DER
    kind: str  # agent | operator
    name: str
    generation: int
    issued_at: float
    not_after: float
    revoked_at: float | None = None
    key_hash: str = ""  # hex SHA-256 of its public key: a renewal asked for again is told from a clone's
    used_at: float | None = None  # a person's: when they last came with it, to the minute
    retires_at: float | None = None  # a person's, replaced by a rotation: it ends with the new one's first use, or then
    issuer: str = ""  # key id of the CA that signed it, in hex; "" of a version before
    trusts: str = ""  # digest of the CAs that its holder trusts; "" it has not come with it, "-" cannot be told
    successor: str = ""  # fingerprint of the certificate that it was last renewed to


@dataclass(frozen=True, slots=True)
class EnrolmentToken:
    """A single-use invitation; only its hash is kept."""

    hash: str  # hex SHA-256 of the token
    kind: str  # agent | operator
    name: str
    labels: dict[str, str]
    created_at: float
    expires_at: float
    created_by: str
    used_at: float | None = None
    mac: str = field(default="", compare=False, repr=False)  # of the row, which the store makes: hub/core/row_mac.py


@dataclass(frozen=True, slots=True)
class SealedItem:
    """Something of a request that is kept sealed: a picture until it is read, what was read, prompts and answers."""

    id: int
    request_id: str
    kind: str  # picture | reading | prompt | answer
    data: bytes  # sealed for the context (sealed, data, REQUEST ID)
    at: float


@dataclass(frozen=True, slots=True)
class Draft:
    """A runbook made of a plan that was approved, for an admin to accept or reject."""

    number: int  # what people call it: d3 is 3
    request_id: str
    name: str
    body: str  # the runbook's TOML
    state: str  # proposed | accepted | rejected
    by: str
    at: float
    decided_by: str = ""
    decided_at: float | None = None
    reason: str = ""
