"""hub.core.key_changes: what the hub takes of a change of approvers' keys, and whom it hands it to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.identity.signing import KEY_CHANGE_PURPOSE, PERSON_APPROVAL_PURPOSE, SigningKey
from common.key_change import MAX_AHEAD, KeyChange, KeySignature, SignedKeyChange
from hub.core.key_changes import is_due, is_live, is_news, is_signed, objection, signed_of
from hub.core.records import KeyAnswer, OfferedKeyChange

NOW = 1_000.0
BOB, ANN = SigningKey.generate(), SigningKey.generate()
CHANGE = KeyChange("0123456789abcdef", "h1", "add", "dan", "ab" * 32, ("web-*",), 900_000, 2_000)
ANSWER = KeyAnswer(CHANGE.id, "web-1", False, "why", 1, NOW)


def by(key: SigningKey, person: str, change: KeyChange = CHANGE, purpose: bytes = KEY_CHANGE_PURPOSE) -> KeySignature:
    return KeySignature(person, key.public.hex(), key.sign(purpose, change.statement()))


def test_a_signature_is_somebodys_of_this_change() -> None:
    """Trust: nobody signs for another, and nothing that was signed for something else is taken."""
    assert is_signed(CHANGE, by(BOB, "bob"), "bob")
    table: list[tuple[KeySignature, str]] = [
        (by(BOB, "bob"), "ann"),
        (by(BOB, "ann"), "bob"),
        (by(BOB, "bob", replace(CHANGE, machines=("*",))), "bob"),
        (by(BOB, "bob", purpose=PERSON_APPROVAL_PURPOSE), "bob"),
        (replace(by(BOB, "bob"), key=ANN.public.hex()), "bob"),
    ]
    for signature, person in table:
        assert not is_signed(CHANGE, signature, person)


def test_of_this_hub_and_of_now() -> None:
    """What machines would refuse is told at once."""
    assert objection(CHANGE, "h1", NOW) is None
    table: list[tuple[dict[str, Any], str]] = [
        ({"hub": "h2", "now": NOW}, "another hub"),
        ({"hub": "h1", "now": 2_000.0}, "expired"),
        ({"hub": "h1", "now": 900 - MAX_AHEAD - 1.0}, "expired"),
    ]
    for facts, said in table:
        assert said in str(objection(CHANGE, **facts))


def test_whom_it_is_handed_to() -> None:
    """Trust: only with signatures enough, only those it names, and only until they have carried it out."""
    one = SignedKeyChange(CHANGE, (by(BOB, "bob"),))
    two = one.with_signature(by(ANN, "ann"))
    assert not is_due(one, "web-1", None)
    assert is_due(two, "web-1", None)
    assert is_due(two, "web-1", ANSWER)
    assert not is_due(two, "web-1", replace(ANSWER, done=True))
    assert not is_due(two, "db-1", None)


def test_what_an_answer_tells() -> None:
    """A machine that repeats itself, in whatever words, tells nothing new."""
    assert is_news(None, ANSWER)
    assert not is_news(ANSWER, replace(ANSWER, reason="other", at=NOW + 1))
    assert is_news(ANSWER, replace(ANSWER, done=True))
    assert is_news(ANSWER, replace(ANSWER, signatures=2))


def test_a_row() -> None:
    """One that somebody has tampered with is none; one that was withdrawn or is over is not under way."""
    signed = SignedKeyChange(CHANGE, (by(BOB, "bob"),))
    row = OfferedKeyChange(CHANGE.id, signed.to_bytes(), "bob", 900.0, 2_000.0)
    assert signed_of(row) == signed
    assert signed_of(replace(row, body=b"{}")) is None
    assert is_live(row, NOW)
    assert not is_live(row, 2_001.0)
    assert not is_live(replace(row, ended_at=NOW), NOW)
