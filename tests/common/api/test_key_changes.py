"""Changes of approvers' keys: arguments within their bounds, and what is shown of one."""

from __future__ import annotations

import pytest

from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.key_changes import KeyAnswerView, KeyChangesArgs, KeyChangeView, SignKeyArgs

SIGN = {"id": "0" * 16, "key": "ab" * 32, "signature": "cd" * 64}


@pytest.mark.parametrize(("name", "value"), [("id", "0" * 15), ("key", "AB" * 32), ("signature", "x"), ("id", None)])
def test_what_signs(name: str, value: object) -> None:
    """Hex of the right length, and nothing else."""
    assert decode(SignKeyArgs, SIGN).key == "ab" * 32
    with pytest.raises(BadValue, match=f"^{name}: "):
        decode(SignKeyArgs, {**SIGN, name: value})


def test_one_comes_back() -> None:
    """With the machines' answers."""
    view = KeyChangeView(
        id="0" * 16, change="{}", action="add", person="dan", key="ab" * 32, machines=("*",), proposed_by="bob",
        proposed_at=1.0, expires_at=2.0, signed_by=("bob",), state="offered", waiting=1,
        answers=(KeyAnswerView(agent="web-1", state="waiting"),),
    )  # fmt: skip
    assert decode(KeyChangeView, encode(view)) == view
    assert decode(KeyChangesArgs, {}).limit == 20
