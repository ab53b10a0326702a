"""Whose own signatures machines count where a rule is critical, and changes of that from afar (`common.key_change`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from common.api.arguments import Arguments
from common.api.constraints import OMIT, Chars, Matches, MaybeMoment, Moment, Whole
from common.api.outcome import Outcome
from common.key_change import MAX_BYTES

MAX_LISTED: Final = 64
MAX_ANSWERS: Final = 200
"""Machines of one change that are named; the others are counted."""
MAX_MACHINE: Final = 64
ChangeId = Annotated[str, Matches(r"[0-9a-f]{16}", "16 hex digits are expected"), "16 hex digits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChangesArgs(Arguments):
    id: Annotated[str, Chars(16), "one alone"] = ""
    limit: Annotated[int, Whole(1, MAX_LISTED)] = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverKeysArgs(Arguments):
    after: Annotated[str, Chars(MAX_MACHINE), "the last machine of the page before"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeKeyArgs(Arguments):
    change: Annotated[str, Chars(MAX_BYTES), "with one signature: `common.key_change.SignedKeyChange.to_bytes`"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignKeyArgs(Arguments):
    id: ChangeId
    key: Annotated[str, Matches(r"[0-9a-f]{64}", "64 hex digits are expected"), "the caller's public key, Ed25519"]
    signature: Annotated[str, Matches(r"[0-9a-f]{128}", "128 hex digits are expected"), "of the change's statement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawKeyArgs(Arguments):
    id: ChangeId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChangeResult(Outcome):
    id: Annotated[str | None, OMIT, "of the change"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswerView:
    agent: str
    state: Annotated[str, "done, refused, or waiting: it has not answered yet"]
    reason: str = ""
    at: MaybeMoment = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChangeView:
    """`change` is what people sign and machines are handed; the fields beside it are for lists."""

    id: str
    change: Annotated[str, "`common.key_change.SignedKeyChange.to_bytes`; whoever signs reads this, and nothing else"]
    action: Annotated[str, "add or remove"]
    person: Annotated[str, "whose key it is"]
    key: str
    machines: Annotated[tuple[str, ...], "names and patterns"]
    proposed_by: str
    proposed_at: Moment
    expires_at: Moment
    signed_by: tuple[str, ...]
    state: Annotated[str, "signing: more signatures are wanted; offered: machines are handed it; withdrawn; expired"]
    done: Annotated[int, "machines that have carried it out"] = 0
    refused: Annotated[int, "machines that have not"] = 0
    waiting: Annotated[int, "machines that have not answered yet"] = 0
    answers: Annotated[
        tuple[KeyAnswerView, ...],
        "of the one that is asked for by its id: the first machines, those that have not carried it out before others",
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverKeyView:
    person: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineKeysView:
    agent: str
    keys: tuple[ApproverKeyView, ...]
    needed: Annotated[int, "people who have to sign a change from afar"]
    at: Annotated[Moment, "when it told this"]
