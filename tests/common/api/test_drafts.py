"""Drafts: arguments, and a draft among the outcome of an act on it."""

from __future__ import annotations

import pytest

from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.drafts import DraftArgs, DraftResult, DraftView, ProposeArgs
from hub.planning.draft_commands import MAX_PHRASE
from hub.planning.draft_commands import NAME as HUB_NAME
from tests.each import each_of

DRAFT = DraftView(number=3, name="disk", state="proposed", by="carol", at=1.0, request="r")


def test_a_draft_stands_among_the_outcome() -> None:
    """Only where there is one."""
    sent = {**encode(DRAFT), "code": "ok", "text": "t", "body": "[runbooks.disk]"}
    found = decode(DraftResult, sent)
    assert (found.draft, found.is_ok) == (DRAFT, True)
    assert encode(found) == sent
    assert encode(DraftResult(code="phrase", text="t")) == {"code": "phrase", "text": "t"}


@each_of("name", ["", "two words", "../x", "名字", "-x", "x" * 49, "a.b", "x\n", "x" * 48, "a-b_1"])
def test_a_name(name: str) -> None:
    """What the hub takes, and nothing else."""
    args = {"number": 1, "name": name, "say": "x" * MAX_PHRASE}
    if HUB_NAME.fullmatch(name):
        assert decode(ProposeArgs, args).name == name
        return
    with pytest.raises(BadValue, match=r"^name: letters, digits, - and _, a letter first, at most 48, are expected$"):
        decode(ProposeArgs, args)


@each_of("number", [None, 0, 10**12 + 1, "3"])
def test_a_number_is_needed(number: object) -> None:
    """Within its bounds."""
    with pytest.raises(BadValue, match=r"^number: a whole number from 1 to 1000000000000 is expected$"):
        decode(DraftArgs, {} if number is None else {"number": number})
