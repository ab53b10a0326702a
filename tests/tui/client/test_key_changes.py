"""tui.client.key_changes: a change is made here, and what is signed is what was shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.errors import UserError
from common.identity.signing import KEY_CHANGE_PURPOSE, SigningKey, verify
from common.key_change import MAX_LIFETIME, SignedKeyChange
from common.times import utc
from tui.client.key_changes import change_lines, make_change, offered_change, sign_change

NOW = 1_800_000_000.0
KEY = "ab" * 32


def made(**changes: Any) -> Any:
    given: dict[str, Any] = {"action": "add", "person": "dan", "key": KEY.upper(), "machines": ("web-*", "db-1")}
    given |= {"lifetime": 3_600, "now": NOW, **changes}
    return make_change("h1", given.pop("action"), given.pop("person"), given.pop("key"), given.pop("machines"), **given)


def test_what_is_made() -> None:
    """As it was said, in its one spelling; for all machines where none is named."""
    change = made()
    assert (change.key, change.machines, change.made_at) == (KEY, ("db-1", "web-*"), int(NOW * 1000))
    assert change.expires == int(NOW) + 3_600
    assert made().id != change.id
    assert made(machines=()).machines == ("*",)
    for wrong in ({"key": "x"}, {"person": "../x"}, {"machines": ("[a]",)}, {"key": "passkey:es256:x:https://h"}):
        with pytest.raises(UserError) as caught:
            made(**wrong)
        assert "whoami --approval-key" in caught.value.cure
    for lifetime in (59, MAX_LIFETIME + 1):
        with pytest.raises(UserError, match="--for"):
            made(lifetime=lifetime)


def test_what_is_signed_is_what_was_shown() -> None:
    """Trust: all of it is in the lines, and a hub that shows another change, one of another hub or of another time gets
    no signature.
    """
    key, change = SigningKey.generate(), made()
    signature = sign_change(key, "bob", change)
    assert verify(key.public, change.statement(), signature.signature, KEY_CHANGE_PURPOSE)
    text = SignedKeyChange(change, (signature,)).to_bytes().decode()
    assert offered_change(text, change.id, "h1", NOW).change == change
    shown = "\n".join(change_lines(change, utc))
    for word in (change.id, "ADD", "dan", KEY, "db-1, web-*", "2027-01-15"):
        assert word in shown
    assert "(all of them)" in "\n".join(change_lines(made(machines=()), utc))
    assert "REMOVE" in "\n".join(change_lines(replace(change, action="remove"), utc))
    for given, identity, hub, now in (
        ("nonsense", change.id, "h1", NOW),
        ("\u7f51", change.id, "h1", NOW),
        (text, "0" * 16, "h1", NOW),
        (text, change.id, "h2", NOW),
        (text, change.id, "h1", NOW + 3_600),
        (text, change.id, "h1", NOW - 1_000),
    ):
        with pytest.raises(UserError):
            offered_change(given, identity, hub, now)
    assert offered_change(text, change.id, "h1").change == change
