"""Every message on a link, defined once.

A frame is one msgpack array `[type, seq, ack, epoch, body]` in one binary WebSocket message (or, between uplink and
runner, behind a four-byte big-endian length on a local socket). `type` is one of the names below, a closed set. `seq`
numbers facts from 1 in each direction of a session; 0 marks a message that is never repeated. `ack` is the highest seq
of the peer's that has been processed: for the hub that means committed. `epoch` is the hub's, 0 from an agent that does
not know it yet. `body` is a map with exactly the fields of the type; those with a default may be left out, and are left
out where they have it: so a later version's field is used only towards a peer that has shown that it knows it.

Opening a link
    hello      agent or console: my name, my protocol, the session I want to resume, the highest epoch I know
    welcome    hub: the session, whether it is resumed, up to which seq I have yours; the heartbeat interval
    refuse     hub: not now (`retry_after` > 0) or not at all; `code` is for programs, `reason` for people
    bye        either: closing on purpose; the hub says over how many seconds to spread reconnects
Keeping it open
    heartbeat  agent: alive, with vitals; console: alive
    beat       hub: the answer to a heartbeat, with the hub's clock; also before an order, with the hub's position;
               uplink to runner, from protocol 6: do you answer? The runner does, with an ack, or a stamp where the
               uplink asks for one
    stamp      runner to its uplink, which puts it into its next heartbeat: a moment of this runner, from
               which the hub may count what is left of a job's life (common/confirmation.py)
    ack        either: carries nothing but the ack in the frame
Work, hub to agent
    dispatch   a signed order; a repeated order is answered from the journal. Where the runner has given a stamp it has
               the hub's word as well, and starts without a confirm
    confirm    its acceptance is committed: the job may start. Only for an order that asks for it (`Order.confirm`);
               signed, with what is left of its life
    cancel     stop this job, or never start it; `kill` skips the grace period
    credit     output chunks up to and including `seq` are committed; more may be sent
    forget     the job's end is committed: its files may be deleted
    resync     answer to report: for each job the next chunk wanted; the hub does not know jobs that are not listed
    keychange  a change of whose own signatures count, signed by people (common/key_change.py); empty: which do now?
Work, agent to hub
    report     first in a new (not resumed) session: every job not yet forgotten, its state, and the runner's life
    accepted   journalled durably, not started
    refused    never ran: there is no start marker; `code` is one of REFUSAL_CODES. It never will either, unless the
               code is one of RETRY_CODES and the hub dispatches the same job once more
    started    the start marker exists and the program has been spawned
    output     one chunk, numbered from 1 within the job
    ended      how the job ended; `chunks` is the number of its output messages
    unsure     it may have started, and no evidence of its end will come by itself
    knownkeys  whose own signatures count here, and what became of a change; only for a hub that has sent keychange
Certificates
    renew      agent or console: a new signing request for the same name
    renewed    the certificate for it and its generation
    join       anyone with a token (the only message from an unknown peer): a signing request
    joined     the certificate, the CAs (as in `trust`), and the keys that orders are signed with
    trust      hub: the CAs to trust from now on, with proof, and after how many seconds to renew; see TRUSTS_FACT
    trusted    agent or console: the digest of what it trusts now, and which certificate it holds
Waking a machine that sleeps, through one on its network
    wake       hub: send the magic packet for this MAC address on a network of yours; see WAKE_FACT
    woken      agent: it was sent, or why not; whether somebody woke is not known here
Consoles
    call       a verb with arguments
    answer     its result, or an error with code and reason
    push       an update of a subscription
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from common.key_change import NEEDED

PROTOCOL: Final = 8
"""2: `ended` may have notes. 3: an order may have proofs of its approvals, and checks, and `report` may tell a life;
whose does knows `confirm`. 4: checks may ask for root, and for approvals that people signed themselves. 5: those
say who asked; an order says when it was made, and a confirmation is signed; there are `keychange` and `knownkeys`. 6: a
job that was refused for a while is taken when it is dispatched again, and `refused` may say "restarted". 7: `welcome`
has a spread, `beat` an interval. 8: stamps, and the hub's word in a dispatch. A peer is sent a field only from the
protocol on that knows it (`compatibility`).
"""
ORDERS_FACT: Final = "orders"
"""The fact of a hello that says which protocol's orders the runner takes: it may be older than the uplink."""
TRUSTS_FACT: Final = "trusts"
"""The fact of a hello that says which CAs the peer trusts, as a digest: who tells it knows the message `trust`."""
WAKE_FACT: Final = "wake"
"""The fact of a hello that says that the uplink knows the message `wake`."""
LOGIN_ENDED: Final = "login_ended"
"""Code of the last word to a person whose login ended, and of what is answered until then: no call is begun any more,
and none that was is without its answer.
"""
MIN_PROTOCOL: Final = 1
MAX_WAKE_ID: Final = 32
MAX_NETWORK: Final = 18  # characters of an IPv4 network
MAX_WAKE_REASON: Final = 200
MAX_REASON: Final = 1_000  # characters of an end's reason that a machine sends
MAX_CHANGE_ID: Final = 16
MAX_KNOWN: Final = 256
"""Keys of people that a machine tells."""
MAX_RENEW: Final = 86_400.0  # seconds within which the hub may ask for a renewal
CHUNK_BYTES: Final = 32_768
"""The most bytes that one output message carries."""

Sender = Literal["anyone", "agent", "console", "hub", "runner"]


class BadMessage(ValueError):
    """A malformed message, or one that its sender may not send."""


@dataclass(frozen=True, slots=True)
class Message:
    """The base class of all messages; a type's fields are its body."""


@dataclass(frozen=True, slots=True)
class Hello(Message):
    protocol: int
    role: str  # agent | console; must agree with the certificate
    name: str  # must equal the certificate's
    version: str
    session: str = ""  # "" asks for a new one
    received: int = 0  # highest seq received from the hub; what comes after is sent again
    epoch: int = 0
    facts: dict[str, str] | None = None
    heard: str = ""  # the hub's position that I was told last (`marks`), "-" none yet; "": an older version


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    protocol: int
    session: str
    resumed: bool
    received: int  # highest seq received from the peer
    heartbeat: float  # seconds between heartbeats
    now: float
    version: str
    mark: str = ""  # the hub's position, for whoever says what it has heard; as in Beat
    spread: float = 0.0  # seconds over which to come back, should the link end without a goodbye; protocol 7


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
    stamp: str = ""  # the runner's newest, where there is one since the last; "-": none counts any more; protocol 8


@dataclass(frozen=True, slots=True)
class Beat(Message):
    now: float
    mark: str = ""  # "" where it has not moved
    interval: float = 0.0  # seconds between heartbeats from now on; 0: as before; protocol 7
    stamp: bool = False  # uplink to runner: answer with a stamp; protocol 8


@dataclass(frozen=True, slots=True)
class Stamp(Message):
    id: str  # "-": no word is to be given ahead any more, the runner ends
    ended: tuple[str, ...] = ()  # by which nothing starts any more


@dataclass(frozen=True, slots=True)
class Ack(Message):
    pass


@dataclass(frozen=True, slots=True)
class Dispatch(Message):
    order: bytes
    signature: bytes
    key: str
    stamp: str = ""  # the runner's, from which `left` counts; "": the job waits for a confirm; protocol 8
    left: float = 0.0
    word: bytes = b""  # the signature of the confirmation, by the same key


@dataclass(frozen=True, slots=True)
class Confirm(Message):
    job: str
    left: float = 0.0  # seconds of its life, when the hub knew of the acceptance
    key: str = ""  # id of the key that signed it (common/confirmation.py); "": a hub or runner before protocol 5
    signature: bytes = b""


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
class KeyChange(Message):
    change: bytes = b""  # SignedKeyChange.to_bytes


@dataclass(frozen=True, slots=True)
class KnownKeys(Message):
    change: str  # the id of the change that is answered, "" where none is
    done: bool
    reason: str
    keys: dict[str, str]  # raw Ed25519 in hex -> whose it is
    needed: int = NEEDED  # people who have to sign a change


@dataclass(frozen=True, slots=True)
class Resync(Message):
    jobs: dict[str, int]  # job -> next output chunk wanted
    forget: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report(Message):
    journal: str  # the journal's id; another one means that the machine's journal is lost
    boot: str
    open: dict[str, str]  # job -> accepted | started | ended | refused | unsure
    life: str = ""  # the runner's, with those before it (common/link/lineage.py); protocol 3
    ended: tuple[str, ...] = ()  # stamps of this runner by which nothing starts that is not in `open`; protocol 8


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
    ended_at: float  # started_at and how long it took, so that no clock set in between comes into it
    cpu_user: float
    cpu_system: float
    max_rss: int  # bytes
    notes: tuple[str, ...] = ()  # what it left behind, what of it is lost (common.machine.end_notes); protocol 2


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
    authority: bytes  # PEM, one or more; who knows only one goes on with the one that it was given the pin of
    job_keys: dict[str, bytes]  # key id -> raw Ed25519 public key, 32 bytes
    hub: str


@dataclass(frozen=True, slots=True)
class Trust(Message):
    bundle: bytes  # PEM: CAs and cross-certificates (common/identity/trust_check.py)
    digest: str  # of the CAs alone
    renew: float = 0.0  # 0: no renewal is asked for


@dataclass(frozen=True, slots=True)
class Trusted(Message):
    digest: str
    holds: str  # hex SHA-256 of the certificate (DER) that the peer holds now; it may be newer than the link's


@dataclass(frozen=True, slots=True)
class Wake(Message):
    id: str  # comes back in the answer
    mac: str  # 52:54:00:12:34:56
    network: str  # 10.0.3.0/24: one that the machine which is told has an address of


@dataclass(frozen=True, slots=True)
class Woken(Message):
    id: str
    reason: str = ""  # why nothing was sent


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


RETRY_PROTOCOL: Final = 6
"""From which on a runner takes a job again that it refused with one of RETRY_CODES."""
RETRY_CODES: Final = frozenset({"restarted", "stopping", "busy", "disk"})
"""Refusals that say nothing against the job: the runner was restarted or is being stopped, the machine or its disk is
full. The start marker does not exist, and guards the next delivery as it did this one.
"""
REFUSAL_CODES: Final = RETRY_CODES | frozenset(
    {"signature", "not_mine", "expired", "epoch", "policy", "order", "cancelled", "program"}
)
