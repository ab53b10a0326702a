"""Passkeys: what is asked, and what comes back."""

from __future__ import annotations

import pytest

from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.passkeys import MAX_LABEL, PasskeyLinkArgs, PasskeyLinkResult, PasskeyRemoveArgs, PasskeyView
from tests.each import each_of


def test_a_link_is_there_where_one_was_made() -> None:
    """And left out where none was."""
    sent = {"code": "ok", "text": "t", "url": "https://hub.example/passkey/x", "expires_at": 5.0}
    assert encode(decode(PasskeyLinkResult, sent)) == sent
    assert encode(PasskeyLinkResult(code="no_page", text="t")) == {"code": "no_page", "text": "t"}


def test_a_passkey_as_it_is_shown() -> None:
    """Its line is what a machine is given."""
    sent = {"id": "f" * 16, "line": "passkey:es256:x:https://hub.example", "label": "phone", "created_at": 5.0}
    assert encode(decode(PasskeyView, sent)) == sent


@each_of(("label", "good"), [("", True), ("x" * MAX_LABEL, True), ("x" * (MAX_LABEL + 1), False), (7, False)])
def test_a_name_has_its_bound(label: object, good: bool) -> None:
    """Lesson A3 E2: at it, and beyond it."""
    if good:
        assert decode(PasskeyLinkArgs, {"label": label}).label == label
        return
    with pytest.raises(BadValue, match=r"^label: "):
        decode(PasskeyLinkArgs, {"label": label})


@each_of("key", ["", "f" * 17, 7, None])
def test_an_id_is_needed(key: object) -> None:
    """Within its bound."""
    with pytest.raises(BadValue, match=r"^id: "):
        decode(PasskeyRemoveArgs, {"id": key})
