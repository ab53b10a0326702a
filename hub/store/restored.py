"""What a store does in the moment in which it turns out to be a restored backup, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from common.link.marks import Mark
from hub.core.recovery import Cause, Recovery, next_record
from hub.store.transaction import Txn

CODE_STEP: Final = 30
"""Seconds that a one-time code is for, and how far ahead of the clock one is taken: as in `hub.identity.totp`."""


def begin_recovery(
    txn: Txn,
    now: float,
    *,
    cause: Cause,
    witness: str,
    heard: Mark | None = None,
    told: Iterable[int] = (),
    epochs: Iterable[int] = (),
) -> Recovery:
    """Begins a recovery, or takes one that is under way further: numbers go on beyond all that were told, and what can
    be used once counts as used. What is open is ended by `hub.engine.recovery`, which has replies for it.
    """
    heard_number, heard_epoch = (heard.number, heard.epoch) if heard is not None else (0, 0)
    before = txn.recovery()
    record = next_record(
        before,
        now=now,
        cause=cause,
        witness=witness,
        heard=heard,
        told=[txn.highest_number(), heard_number, *told],
        epochs=[txn.epoch(), heard_epoch, *epochs],
        seq=txn.audit_head().seq,
    )
    txn.raise_numbers(record.number)
    tokens = txn.void_tokens(now)
    use_up_steps(txn, now)
    record = record.counted(tokens=tokens)
    txn.save_recovery(record)
    data = {"cause": cause, "witness": witness, "heard": "" if heard is None else str(heard), "number": record.number}
    txn.audit("hub.restored", "store", "hub", {**data, "epoch": record.epoch, "tokens": tokens}, now)
    return record


def use_up_steps(txn: Txn, now: float) -> None:
    """Codes that may have been used after the backup was made count as used."""
    txn.use_up_steps(int(now) // CODE_STEP + 1)
