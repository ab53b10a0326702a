"""Whether an order may be started on this machine. Pure. The checks, in order:

1. `authenticate`: the signature is by a key that was installed when the machine joined. Before that nothing of the
   order is parsed but, to be able to answer, its job id.
2. `check_order`: it is for this machine; no later hub epoch is known; it has not expired, by the hub's clock as far as
   that is known (`order_life`) or by the journal's fence, and does not expire absurdly late; its step, hashes and plan
   hash fit together; numbers and names are within bounds.
3. The caller then asks the local policy (`local_policy`), which the hub cannot overrule, and checks the program file
   and where its paths lead (`preparation`).

`is_confirmed` is the last look before a start that waited for the hub's word.

A refusal carries one of `common.link.messages.REFUSAL_CODES` and a reason for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.runner.process import RESERVED_VARIABLES
from common.confirmation import confirmation
from common.fields import MAX_INT
from common.identity.signing import CONFIRM_PURPOSE, verify
from common.ids import is_name, is_ulid
from common.link.messages import Confirm, Dispatch
from common.plan import BadPlan, Order
from common.policy.machine_checks import read_checks

_JOB: Final = re.compile(rb'"job":"([0-7][0-9A-HJKMNP-TV-Z]{25})"')
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose orders this machine takes: the contents of trust.json, written by `join`."""

    name: str  # ours
    hub: str
    keys: Mapping[str, bytes]  # key id -> raw Ed25519 public key


@dataclass(frozen=True, slots=True)
class OrderRefusal:
    code: str
    reason: str


class BadTrust(ValueError):
    """A malformed trust.json; `str()` says what is wrong."""


def parse_trust(data: bytes) -> Trust:
    """trust.json parsed; raises BadTrust."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise BadTrust("not JSON") from None
    match body:
        case {"name": str(name), "hub": str(hub), "job_keys": dict(keys)}:
            pass
        case _:
            raise BadTrust("it needs name, hub and job_keys")
    if not is_name(name):
        raise BadTrust("name: not a machine's name")
    if not keys:
        raise BadTrust("job_keys: empty, so no order could be verified")
    for value in keys.values():
        if not isinstance(value, str) or not _KEY.fullmatch(value):
            raise BadTrust("job_keys: a key is not 64 hex digits")
    return Trust(name, hub, {key: bytes.fromhex(value) for key, value in keys.items()})


def peek_job_id(order: bytes) -> str:
    """The job id in an order that may be forged, without parsing it; "" if none. Use it for the answer only."""
    found = _JOB.search(order)
    return found[1].decode() if found else ""


def authenticate(message: Dispatch, trust: Trust) -> Order | OrderRefusal:
    """The order in a dispatch whose signature is by a trusted key; nothing else of it is checked yet but its form."""
    key = trust.keys.get(message.key)
    if key is None:
        return OrderRefusal("signature", f"signed with a key that this machine does not know ({message.key[:16]!r})")
    if not verify(key, message.order, message.signature):
        return OrderRefusal("signature", "the signature does not fit the order")
    try:
        order = Order.from_bytes(message.order)
    except BadPlan as error:
        return OrderRefusal("order", str(error))
    if not is_ulid(order.job):
        return OrderRefusal("order", "job: not a ULID")
    if not 0 <= order.epoch <= MAX_INT:
        return OrderRefusal("order", "epoch: out of range")
    return order


def check_order(
    order: Order, trust: Trust, *, epoch: int, fence: float, now: float, max_ahead: float
) -> OrderRefusal | None:
    """Why an authentic order must not be started, None where it may. `epoch` and `fence` are the journal's, `now` is
    the hub's clock as far as it is known (`order_life`), `max_ahead` seconds.
    """
    if order.agent != trust.name:
        return OrderRefusal("not_mine", f"the order is for {order.agent!r}, this machine is {trust.name}")
    if order.epoch < epoch:
        return OrderRefusal("epoch", f"the order is of epoch {order.epoch}, and a hub of epoch {epoch} has been heard")
    if order.not_after < now:
        return OrderRefusal("expired", f"its time ended {now - order.not_after:.0f} s ago{_by_which_clock(order)}")
    if order.not_after <= fence:
        return OrderRefusal("expired", "its time had ended before; a clock has been turned back")
    if order.not_after > now + max_ahead:
        return OrderRefusal("order", "not_after: too far ahead; the hub's clock or this machine's is wrong")
    try:
        order.verify()
        _check_env_names(order)
        read_checks(order.checks)
    except BadPlan as error:
        return OrderRefusal("order", str(error))
    return None


def _by_which_clock(order: Order) -> str:
    return "" if order.issued_at and order.confirm else " by this machine's clock: is it right?"


def is_confirmed(message: Confirm, life: str, trust: Trust, stamp: str = "") -> bool:
    """Whether the hub has signed the confirmation for this start of the runner, and for the stamp."""
    key = trust.keys.get(message.key)
    if key is None or not life:
        return False
    return verify(key, confirmation(message.job, life, message.left, stamp), message.signature, CONFIRM_PURPOSE)


def _check_env_names(order: Order) -> None:
    """Raises BadPlan for variables by which programs find programs, libraries and settings: only the runner sets
    those.
    """
    for name, _ in order.env:
        if name in RESERVED_VARIABLES or name.startswith(("LD_", "GLIBC_")):
            raise BadPlan(f"env: {name} is not for an order to set")
