"""The caller's passkeys, with which they sign on pages of the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.api.arguments import Arguments
from common.api.constraints import OMIT, Chars, Moment
from common.api.outcome import Outcome

MAX_LABEL = 40
KEY_ID_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyLinkArgs(Arguments):
    label: Annotated[str, Chars(MAX_LABEL), "the caller's name for it"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyLinkResult(Outcome):
    """`url` is a page that makes one passkey for the caller, once, until `expires_at`."""

    url: Annotated[str | None, OMIT] = None
    expires_at: Annotated[float | None, OMIT] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyView:
    id: str
    line: Annotated[str, "for `answerback-agent approvers add`"]
    label: str = ""
    created_at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRemoveArgs(Arguments):
    id: Annotated[str, Chars(KEY_ID_CHARS, least=1, expected="the id of a passkey is expected")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRemoveResult(Outcome):
    pass
