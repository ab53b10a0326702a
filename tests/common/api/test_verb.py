"""One verb: its right, its arguments, its result."""

from __future__ import annotations

import pytest

from common.api import rights
from common.api.actions import SettleArgs, SettleResult
from common.api.constraints import BadValue
from common.api.verbs import SETTLE, VIEW


def test_there_and_back() -> None:
    """Arguments and result in their types."""
    args = SettleArgs(job="j", done=True)
    assert SETTLE.encode_args(args) == {"job": "j", "done": True}
    assert SETTLE.decode_args({"job": "j", "done": True}) == args
    result = SettleResult(code="ok", text="t")
    assert SETTLE.decode_result(SETTLE.encode_result(result)) == result
    assert result.is_ok
    with pytest.raises(BadValue, match=r"^text: missing$"):
        SETTLE.decode_result({"code": "ok"})


def test_rights() -> None:
    """Held by a role, or named by the arguments."""
    assert SETTLE.needs(SettleArgs(done=True)) is rights.SETTLE
    assert (SETTLE.may(("operator",)), SETTLE.may(("approver",)), SETTLE.may(())) == (False, True, False)
    assert VIEW.needs(VIEW.args(view="audit")) is rights.AUDIT
