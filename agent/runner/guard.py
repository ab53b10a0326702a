"""Pure: may this order be started here? What must hold, in the order in which it is asked.

1. `authenticate`: the signature is by a key that this machine was told to trust when it joined. Until then nothing of
   the order is read but, to be able to answer, its job id.
2. `judge`: it is for this machine; no hub with a later epoch has been heard; it is not expired, by the clock or by
   the journal's fence, nor absurdly far from it; what it says hangs together up to the approved plan's hash; and its
   numbers and names are within bounds. Then the local policy has its say (`rules`), which the hub cannot overrule,
   and the file itself is looked at (`process.find_program`).

A refusal carries one of `common.messages.REFUSALS` and a reason for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.runner.process import FIXED
from common.fields import MAX_INT
from common.ids import is_name, is_ulid
from common.messages import Dispatch
from common.plan import BadPlan, Order
from common.sign import verify

_JOB: Final = re.compile(rb'"job":"([0-7][0-9A-HJKMNP-TV-Z]{25})"')
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom this machine takes orders from, as `join` wrote it to trust.json."""

    name: str  # ours
    hub: str
    keys: Mapping[str, bytes]  # key id -> raw Ed25519 public key


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    reason: str


class BadTrust(ValueError):
    """A trust.json that is not of its form; `str()` says what is wrong."""


def parse_trust(data: bytes) -> Trust:
    """Raises BadTrust."""
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


def job_of(order: bytes) -> str:
    """The job id in an order that may be forged, without parsing it; "" if none. Only good for an answer."""
    found = _JOB.search(order)
    return found[1].decode() if found else ""


def authenticate(message: Dispatch, trust: Trust) -> Order | Refusal:
    key = trust.keys.get(message.key)
    if key is None:
        return Refusal("signature", f"signed with a key that this machine does not know ({message.key[:16]!r})")
    if not verify(key, message.order, message.signature):
        return Refusal("signature", "the signature does not fit the order")
    try:
        order = Order.from_bytes(message.order)
    except BadPlan as error:
        return Refusal("order", str(error))
    if not is_ulid(order.job):
        return Refusal("order", "job: not a ULID")
    if not 0 <= order.epoch <= MAX_INT:
        return Refusal("order", "epoch: out of range")
    return order


def judge(order: Order, trust: Trust, *, epoch: int, fence: float, now: float, max_ahead: float) -> Refusal | None:
    """Why an authentic order must not be taken, None if it may. `epoch` and `fence` are the journal's."""
    if order.agent != trust.name:
        return Refusal("not_mine", f"the order is for {order.agent!r}, this machine is {trust.name}")
    if order.epoch < epoch:
        return Refusal("epoch", f"the order is of epoch {order.epoch}, and a hub of epoch {epoch} has been heard")
    if order.not_after < now:
        return Refusal("expired", f"its time ended {now - order.not_after:.0f} s ago by this machine's clock")
    if order.not_after <= fence:
        return Refusal("expired", "its time had ended before; this machine's clock has been turned back")
    if order.not_after > now + max_ahead:
        return Refusal("order", "not_after: too far ahead; the hub's clock or this machine's is wrong")
    try:
        order.verify()
        _check_names(order)
    except BadPlan as error:
        return Refusal("order", str(error))
    return None


def _check_names(order: Order) -> None:
    """What programs find other programs, libraries and their own settings by is the runner's to set."""
    for name, _ in order.env:
        if name in FIXED or name.startswith(("LD_", "GLIBC_")):
            raise BadPlan(f"env: {name} is not for an order to set")
