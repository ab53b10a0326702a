from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.identity.sealing import MAX_KEYS, BadKeyRing, Sealer, UnsealError, context, wrapping_key_id
from tests.each import each_of

RING = Sealer.generate()
PLACE = context("people", "totp_secret", "alice")


@given(st.binary(max_size=4096), st.text(max_size=64))
def test_what_is_sealed_opens_in_its_place(secret: bytes, place: str) -> None:
    """Any secret and any place, also the empty ones."""
    assert RING.open(RING.seal(secret, place), place) == secret


def test_the_same_secret_twice_is_two_blobs() -> None:
    """Nothing tells that two rows hold the same secret."""
    assert RING.seal(b"secret", PLACE) != RING.seal(b"secret", PLACE)


def test_the_secret_is_not_in_the_blob() -> None:
    """The plaintext and the ring's keys are nowhere in what is stored."""
    blob = RING.seal(b"JBSWY3DPEHPK3PXP", PLACE)
    assert b"JBSWY3DPEHPK3PXP" not in blob
    assert len(blob) == len(b"JBSWY3DPEHPK3PXP") + 97


def test_every_changed_bit_is_found() -> None:
    """No byte of the blob can be changed unnoticed: version, key id, wrap, nonces, ciphertext, tags."""
    blob = RING.seal(b"secret", PLACE)
    for index in range(len(blob)):
        for bit in range(8):
            changed = bytearray(blob)
            changed[index] ^= 1 << bit
            with pytest.raises(UnsealError):
                RING.open(bytes(changed), PLACE)


def test_every_truncation_and_an_extra_byte_is_found() -> None:
    """A blob that was cut anywhere, or has grown, does not open."""
    blob = RING.seal(b"secret", PLACE)
    for length in range(len(blob)):
        with pytest.raises(UnsealError):
            RING.open(blob[:length], PLACE)
    with pytest.raises(UnsealError):
        RING.open(blob + b"\0", PLACE)


@each_of(
    "place",
    [
        context("people", "totp_secret", "bob"),
        context("people", "other", "alice"),
        context("agents", "totp_secret", "alice"),
        "",
    ],
)
def test_a_blob_copied_elsewhere_does_not_open(place: str) -> None:
    """Row swapping in the store is found."""
    with pytest.raises(UnsealError):
        RING.open(RING.seal(b"secret", PLACE), place)


def test_the_two_halves_of_two_blobs_do_not_mix() -> None:
    """The wrap of one blob and the ciphertext of another, both for the same place, do not open together."""
    one, two = RING.seal(b"first", PLACE), RING.seal(b"other", PLACE)
    with pytest.raises(UnsealError):
        RING.open(one[:69] + two[69:], PLACE)


def test_places_cannot_be_confused() -> None:
    """A table or column with the separator in it would make two places one."""
    with pytest.raises(ValueError, match=r"no \| in its name"):
        context("people|totp_secret", "x", "alice")
    assert context("a", "b", "c|d") != context("a", "b", "c")


def test_another_ring_names_the_unknown_key() -> None:
    """Without its key a blob does not open, and the id that is missing is told."""
    with pytest.raises(UnsealError, match=RING.ids[0]):
        Sealer.generate().open(RING.seal(b"secret", PLACE), PLACE)


def test_rotation() -> None:
    """The new key seals, the old one still opens; after rewrap the old one can go, and without rewrap it cannot."""
    old = RING.seal(b"secret", PLACE)
    both = RING.with_new_key()
    assert both.open(old, PLACE) == b"secret"
    assert wrapping_key_id(both.seal(b"new", PLACE)) == both.ids[0] != RING.ids[0]
    moved = both.rewrap(old, PLACE)
    assert wrapping_key_id(moved) == both.ids[0]
    assert moved[69:] == old[69:]
    only_new = Sealer.from_text(both.to_text().splitlines()[1])
    assert only_new.ids == both.ids[:1]
    assert only_new.open(moved, PLACE) == b"secret"
    with pytest.raises(UnsealError):
        only_new.open(old, PLACE)


def test_rewrap_of_what_is_under_the_first_key_changes_nothing() -> None:
    """A rotation that was interrupted can be run again."""
    blob = RING.seal(b"secret", PLACE)
    assert RING.rewrap(blob, PLACE) is blob


def test_rewrap_refuses_what_does_not_open() -> None:
    """A bad row is found while the old key is still there: in the wrap, in the ciphertext, in the wrong place."""
    both, blob = RING.with_new_key(), RING.seal(b"secret", PLACE)
    for bad in (blob[:-1], blob[:30] + b"\0" + blob[31:]):
        with pytest.raises(UnsealError):
            both.rewrap(bad, PLACE)
    with pytest.raises(UnsealError):
        both.rewrap(blob, context("people", "totp_secret", "bob"))


def test_the_ring_survives_its_file() -> None:
    """Order and comments of the file: the first key still seals."""
    ring = RING.with_new_key()
    again = Sealer.from_text("\n" + ring.to_text().replace("\n", "  # a note\r\n").upper())
    assert again.ids == ring.ids
    assert again.open(ring.seal(b"secret", PLACE), PLACE) == b"secret"


@each_of(
    ("text", "told"),
    [
        ("", "0 keys"),
        ("# nothing\n", "0 keys"),
        ("ab" * 31, "line 1"),
        ("ab" * 32 + "\n" + "zz" * 32, "line 2"),
        ("ab" * 32 + "\n" + "AB" * 32, "twice"),
        ("\n".join(f"{number:064x}" for number in range(MAX_KEYS + 1)), "17 keys"),
        ("１" * 64, "line 1"),
    ],
)
def test_a_bad_ring_file_names_the_line(text: str, told: str) -> None:
    """No key, a short one, one that is not hex, one twice, too many, digits that are not ASCII."""
    with pytest.raises(BadKeyRing, match=told) as caught:
        Sealer.from_text(text)
    assert "abab" not in str(caught.value).lower()


def test_a_key_has_32_bytes() -> None:
    """A ring made in code is checked like one from a file."""
    with pytest.raises(BadKeyRing, match="32 bytes"):
        Sealer([b"short"])


def test_the_repr_holds_no_key() -> None:
    """A ring that gets into a log shows ids only."""
    assert repr(RING) == f"Sealer({RING.ids[0]})"
    assert RING.to_text().splitlines()[1] not in repr(RING)
