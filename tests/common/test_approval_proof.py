"""A signed yes on its way: the statement, and its form."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from common.approval_proof import (
    MAX_ASKED_BY,
    MAX_NAME,
    MAX_PROOFS,
    ApprovalProof,
    BadProof,
    askers,
    people_of,
    proofs_from_json,
    proofs_to_json,
)

PROOF = ApprovalProof("bob", 5.0, False, 65.5, "ops", "hub:0123456789abcdef", b"s" * 64)
OTHER = {"person": "ann", "at": 6.0, "second_factor": True, "expires": 66.0, "via": "console", "asked_by": ("carol",)}


def test_the_statement_covers_everything_that_counts() -> None:
    """Trust: what is signed is this yes, to this plan of this request; whose key it is stands outside."""
    statement = PROOF.statement("R", "h")
    assert {field.name for field in fields(PROOF)} == {*OTHER, "by", "signature", "authenticator_data", "client_data"}
    others = [replace(PROOF, **{name: value}).statement("R", "h") for name, value in OTHER.items()]
    others += [PROOF.statement("Q", "h"), PROOF.statement("R", "g")]
    assert len({statement, *others}) == 1 + len(others)
    assert replace(PROOF, by="person:0123456789abcdef", signature=b"t" * 64).statement("R", "h") == statement


def test_what_is_written_is_read() -> None:
    """And who is named, each once."""
    proofs = (
        PROOF,
        replace(PROOF, by="person:0123456789abcdef"),
        replace(PROOF, person="ann", second_factor=True),
        replace(PROOF, asked_by=("carol", "dan")),
    )
    assert proofs_from_json(proofs_to_json(proofs)) == proofs
    assert people_of(proofs) == ("ann", "bob")
    assert (PROOF.by_hub, proofs[1].by_hub, PROOF.key) == (True, False, "0123456789abcdef")
    assert askers("dan", ("carol", "dan")) == ("carol", "dan")
    assert "asked_by" not in proofs_to_json([PROOF])[0]  # which a machine of before would not take


PASSKEY = replace(
    PROOF,
    by="passkey:0123456789abcdef",
    via="page",
    signature=b"s" * 71,
    authenticator_data=b"a" * 37,
    client_data=b"{}",
)


def test_a_passkey_s_is_carried_with_what_it_signed() -> None:
    """Which is no part of the statement: the statement is what was asked to be signed."""
    proofs = (PROOF, PASSKEY, replace(PASSKEY, signature=b"s" * 64, client_data=b"c" * 1_024))
    assert proofs_from_json(proofs_to_json(proofs)) == proofs
    assert (PASSKEY.by_passkey, PASSKEY.by_hub, PROOF.by_passkey) == (True, False, False)
    assert PASSKEY.statement("R", "h") == replace(PASSKEY, client_data=b"", authenticator_data=b"").statement("R", "h")


def test_a_passkey_s_fields_have_their_bounds() -> None:
    """Lesson A3 E2: each of them cut short, too long, of another alphabet, missing, or with another kind of key."""
    (good,) = proofs_to_json([PASSKEY])
    (plain,) = proofs_to_json([PROOF])
    bad: list[Any] = [
        *({**good, "authenticator_data": value} for value in ("", "00" * 36, "00" * 38, "0" * 73, "ZZ" * 37, None, 7)),
        *({**good, "client_data": value} for value in ("", "00", "00" * 1_025, "0" * 5, "ZZ" * 9, None, ["00"])),
        *({**good, "signature": value} for value in ("", "00" * 7, "00" * 81, "0" * 65, "ZZ" * 64, None)),
        *({key: value for key, value in good.items() if key != name} for name in ("authenticator_data", "client_data")),
        {**good, "by": "person:0123456789abcdef"},
        {**good, "by": "passkey:"},
        {**plain, "by": "passkey:0123456789abcdef"},
        {**plain, "client_data": "7b7d", "authenticator_data": "00" * 37},
    ]
    for value in bad:
        with pytest.raises(BadProof):
            proofs_from_json([value])


def test_anything_else_is_refused() -> None:
    """Each field has its type and bound, and the list has one."""
    (good,) = proofs_to_json([PROOF])
    bad: list[Any] = [
        None,
        {},
        [None],
        [{}],
        [{**good, "more": 1}],
        [{key: value for key, value in good.items() if key != "via"}],
        *([{**good, "at": value}] for value in ("5", None, True, float("nan"), float("inf"), 2**60)),
        [{**good, "expires": float("nan")}],
        *([{**good, "second_factor": value}] for value in (1, "true", None)),
        *([{**good, name: "x" * (MAX_NAME + 1)}] for name in ("person", "via")),
        *([{**good, "by": value}] for value in ("hub:", "hub:XYZ", "0123456789abcdef", "agent:0123456789abcdef", 7)),
        *([{**good, "signature": value}] for value in ("", "0" * 127, "0" * 130, "Z" * 128)),
        *(
            [{**good, "asked_by": value}]
            for value in ([], "carol", [7], ["x" * (MAX_NAME + 1)], ["a"] * (MAX_ASKED_BY + 1))
        ),
        [good] * (MAX_PROOFS + 1),
    ]
    for value in bad:
        with pytest.raises(BadProof):
            proofs_from_json(value)
    assert len(proofs_from_json([good] * MAX_PROOFS)) == MAX_PROOFS
