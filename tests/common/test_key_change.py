"""common.key_change: the statement that people sign, its form and its bounds."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from common.key_change import (
    MAX_BYTES,
    MAX_LIFETIME,
    MAX_MACHINES,
    MAX_SIGNATURES,
    BadKeyChange,
    KeyChange,
    KeySignature,
    SignedKeyChange,
    change_from_json,
    is_key,
    sorted_machines,
)

ID, OTHER_ID = "0123456789abcdef", "0123456789abcdf0"
CHANGE = KeyChange(ID, "h1", "add", "dan", "ab" * 32, ("db-?", "web-*"), 1_000_000, 2_000)
BOB = KeySignature("bob", "cd" * 32, b"s" * 64)
ANN = KeySignature("ann", "ef" * 32, b"t" * 64)
OTHERS: dict[str, Any] = {
    "id": OTHER_ID,
    "hub": "h2",
    "action": "remove",
    "person": "eve",
    "key": "ba" * 32,
    "machines": ("*",),
    "made_at": 1_000_001,
    "expires": 2_001,
}


def test_the_statement_covers_everything() -> None:
    """Trust: whoever carries it can change nothing of it: not the key, whose it is, the machines or the time."""
    assert {field.name for field in fields(CHANGE)} == set(OTHERS)
    others = [replace(CHANGE, **{name: value}).statement() for name, value in OTHERS.items()]
    assert len({CHANGE.statement(), *others}) == 1 + len(others)


def test_what_is_written_is_read() -> None:
    """With and without signatures; one by the same key takes the place of the one before."""
    signed = SignedKeyChange(CHANGE).with_signature(BOB).with_signature(ANN)
    for one in (SignedKeyChange(CHANGE), signed):
        assert SignedKeyChange.from_bytes(one.to_bytes()) == one
    assert signed.people == ("ann", "bob")
    again = signed.with_signature(replace(BOB, signature=b"u" * 64))
    assert [one.person for one in again.signatures] == ["ann", "bob"]
    full = SignedKeyChange(CHANGE)
    for number in range(MAX_SIGNATURES):
        full = full.with_signature(replace(BOB, key=f"{number:064x}"))
    assert len(full.to_bytes()) < MAX_BYTES
    with pytest.raises(BadKeyChange, match="at most"):
        full.with_signature(ANN)


def test_when_it_is_worth_offering() -> None:
    """Two people's signatures; the owner's own for taking out a key of theirs, and never for adding one."""
    add, remove = SignedKeyChange(CHANGE), SignedKeyChange(replace(CHANGE, action="remove"))
    dan = replace(BOB, person="dan")
    assert not add.is_offered
    assert not add.with_signature(BOB).is_offered
    assert not add.with_signature(BOB).with_signature(replace(BOB, key="00" * 32)).is_offered
    assert add.with_signature(BOB).with_signature(ANN).is_offered
    assert not add.with_signature(dan).is_offered
    assert not remove.with_signature(BOB).is_offered
    assert remove.with_signature(dan).is_offered


def test_which_machines_it_is_for() -> None:
    """By name or pattern, and no other."""
    assert [name for name in ("web-1", "db-1", "db-10", "mail", "web") if CHANGE.is_for(name)] == ["web-1", "db-1"]
    assert replace(CHANGE, machines=("*",)).is_for("anything")
    assert not replace(CHANGE, machines=("web-1",)).is_for("web-10")
    assert sorted_machines(["b", "a", "b"]) == ("a", "b")


def test_anything_else_is_refused() -> None:
    """Lesson A6: each field has its form and bound, and a change has one spelling."""
    bad: dict[str, list[Any]] = {
        "id": ["", "x", ID.upper()],
        "hub": ["", "../x"],
        "action": ["", "replace"],
        "person": ["", "../x", "x" * 65],
        "key": ["", "ab" * 31, "AB" * 32, "zz" * 32],
        "machines": [(), ("b", "a"), ("a", "a"), ("[ab]",), ("a b",), ("x" * 65,), ("\u7f51",)],
        "made_at": [0, -1, 2**54],
        "expires": [0, 1_000, 1_001 + MAX_LIFETIME, 2**54],
    }
    bad["machines"].append(sorted_machines(f"m{number}" for number in range(MAX_MACHINES + 1)))
    for name, values in bad.items():
        for value in values:
            with pytest.raises(BadKeyChange):
                replace(CHANGE, **{name: value})
    good = SignedKeyChange(CHANGE, (BOB,)).to_bytes()
    text = good.decode()
    wrong = [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        good + b" ",
        text.replace('"v":1', '"v":2').encode(),
        text.replace('"bob"', '"../x"').encode(),
        text.replace("73737373", "ZZZZZZZZ").encode(),
        text.replace('"signatures":[', '"signatures":[7,').encode(),
        text.replace('"signatures":', '"more":1,"signatures":').encode(),
        text.replace('"made_at":1000000', '"made_at":1000000.0').encode(),
        text.replace('"machines":["db-?"', '"machines":["db-?",7').encode(),
        b"{" + b" " * MAX_BYTES + good[1:],
        b"[" * 20_000,
    ]
    for data in wrong:
        with pytest.raises(BadKeyChange):
            SignedKeyChange.from_bytes(data)
    with pytest.raises(BadKeyChange):
        change_from_json({"v": True})
    assert (is_key("ab" * 32), is_key("AB" * 32)) == (True, False)
