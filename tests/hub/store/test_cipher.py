"""Values under data keys: for one place, under one key, counted."""

from __future__ import annotations

import base64
import itertools
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.identity.sealing import Sealer
from hub.store.cipher import (
    BLOCK,
    BYTES_MARK,
    ID_BYTES,
    MAX_AGE,
    OVERHEAD,
    TEXT_MARK,
    ColumnCipher,
    data_key_context,
)
from hub.store.errors import SealBroken

PLACE = "jobs|command|01J0000ZZZZZZZZZZZZZZZZZZZ"
TEXTS = ("x", "磁盘 full", "\ud800 lone", "a\0b\n", "x" * 100_000)


class Keys:
    """A cipher and the table of its data keys."""

    def __init__(self, ring: Sealer | None = None) -> None:
        self.now = 0.0
        self.ring = ring or Sealer.generate()
        self.table: dict[str, bytes] = {}
        self.cipher = self.another()

    def another(self) -> ColumnCipher:
        """As another process has it, with nothing in memory."""
        return ColumnCipher(self.ring, lambda: self.now)

    def begin(self, cipher: ColumnCipher) -> str:
        made = cipher.new_key()
        self.table[made.id] = made.wrapped
        cipher.use(made.id, made.key, self.now)
        return made.id


@pytest.fixture
def keys() -> Keys:
    made = Keys()
    made.begin(made.cipher)
    return made


def test_what_is_sealed_opens_in_its_place(keys: Keys) -> None:
    """Texts and bytes, also lone surrogates and long ones; another process opens them with the table alone."""
    for text in TEXTS:
        sealed = keys.cipher.seal_text(text, PLACE)
        assert sealed.startswith(TEXT_MARK)
        assert text not in sealed or len(text) == 1
        assert keys.cipher.open_text(sealed, PLACE, keys.table.get) == text
        assert keys.another().open_text(sealed, PLACE, keys.table.get) == text
        data = text.encode("utf-8", "surrogatepass")
        blob = keys.cipher.seal_bytes(data, PLACE)
        assert (blob[: len(BYTES_MARK)], len(blob)) == (BYTES_MARK, len(data) + OVERHEAD)
        assert keys.another().open_bytes(blob, PLACE, keys.table.get) == data


def test_no_other_place_opens_it(keys: Keys) -> None:
    """Lesson A7: a value that was put into another row or column is noticed and the place is named, also by who has
    just read it where it belongs, and so has it in memory.
    """
    sealed = keys.cipher.seal_text("df -h", PLACE)
    blob = keys.cipher.seal_bytes(b"df -h", PLACE)
    for place in ("jobs|command|01J0001ZZZZZZZZZZZZZZZZZZZ", "jobs|reason|" + PLACE[-26:], "requests" + PLACE[4:]):
        for cipher in (keys.cipher, keys.another()):
            with pytest.raises(SealBroken, match=r"another place") as found:
                cipher.open_text(sealed, place, keys.table.get)
            assert str(found.value).startswith(place)
            with pytest.raises(SealBroken):
                cipher.open_bytes(blob, place, keys.table.get)


def test_any_changed_byte_is_noticed(keys: Keys) -> None:
    """Lesson A7: key id, nonce, ciphertext and tag; cut short anywhere; not base64."""
    blob = keys.cipher.seal_bytes(b"df -h", PLACE)
    for at in range(len(BYTES_MARK), len(blob)):
        changed = blob[:at] + bytes((blob[at] ^ 1,)) + blob[at + 1 :]
        with pytest.raises(SealBroken):
            keys.another().open_bytes(changed, PLACE, keys.table.get)
        with pytest.raises(SealBroken):
            keys.another().open_bytes(blob[:at], PLACE, keys.table.get)
    for text in ("", "AAAA", "not base64!", "=", "\u78c1"):
        with pytest.raises(SealBroken, match="not as it was sealed"):
            keys.cipher.open_text(TEXT_MARK + text, PLACE, keys.table.get)


def test_the_key_id_is_authenticated(keys: Keys) -> None:
    """A value says which data key it is under; under another id that has the same key it does not open."""
    blob = keys.cipher.seal_bytes(b"df -h", PLACE)
    first, other = next(iter(keys.table)), "00" * ID_BYTES
    keys.table[other] = keys.ring.seal(keys.cipher.unwrap(first, keys.table[first]), data_key_context(other))
    moved = BYTES_MARK + bytes.fromhex(other) + blob[len(BYTES_MARK) + ID_BYTES :]
    with pytest.raises(SealBroken, match="changed since"):
        keys.another().open_bytes(moved, PLACE, keys.table.get)


def test_a_key_that_is_gone_is_named(keys: Keys) -> None:
    """The data key of the table, or the ring's key that wraps it: what is missing, and what to do."""
    sealed = keys.cipher.seal_text("df -h", PLACE)
    with pytest.raises(SealBroken, match=r"data key [0-9a-f]{16}, which is not in the store"):
        keys.another().open_text(sealed, PLACE, lambda _: None)
    stranger = ColumnCipher(Sealer.generate(), lambda: 0.0)
    with pytest.raises(SealBroken, match="which is not in the ring") as found:
        stranger.open_text(sealed, PLACE, keys.table.get)
    assert "keys list" in str(found.value)
    a, b = next(iter(keys.table)), keys.begin(keys.cipher)
    keys.table[a], keys.table[b] = keys.table[b], keys.table[a]
    with pytest.raises(SealBroken, match="another place"):
        keys.another().open_text(sealed, PLACE, keys.table.get)


def test_a_ring_that_is_not_the_stores_is_told_at_once(keys: Keys) -> None:
    """A program that begins with another ring ends there; one that serves while the ring is changed goes on."""
    stranger = Keys()
    name = next(iter(keys.table))
    with pytest.raises(SealBroken, match="not in the ring"):
        stranger.cipher.unwrap_newest(name, keys.table[name])
    stranger.begin(stranger.cipher)
    assert stranger.cipher.unwrap_newest(name, keys.table[name]) is None
    assert keys.cipher.unwrap_newest(name, keys.table[name]) is not None


def test_nonces_differ_and_the_layout_is_as_written(keys: Keys) -> None:
    """Sealed by hand as the module's text says, it opens; of many values no two have the same nonce."""
    blobs = [keys.cipher.seal_bytes(b"", PLACE) for _ in range(500)]
    nonces = {blob[len(BYTES_MARK) + ID_BYTES :][:12] for blob in blobs}
    assert len(nonces) == 500
    name = next(iter(keys.table))
    raw, nonce = bytes.fromhex(name), bytes(range(12))
    key = AESGCM(keys.cipher.unwrap(name, keys.table[name]))
    by_hand = raw + nonce + key.encrypt(nonce, b"df -h", b"answerback column 1\n" + raw + PLACE.encode())
    text = TEXT_MARK + base64.b64encode(by_hand).decode()
    assert keys.another().open_text(text, PLACE, keys.table.get) == "df -h"


def test_a_forked_process_has_nonces_of_its_own(keys: Keys) -> None:
    """Nonces are drawn some at a time: what parent and child seal after a fork has no nonce in common."""
    keys.cipher.seal_bytes(b"x", PLACE)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, keys.cipher.seal_bytes(b"x", PLACE))
        os._exit(0)
    os.waitpid(child, 0)
    theirs, ours = os.read(read, 1000), keys.cipher.seal_bytes(b"x", PLACE)
    os.close(read)
    os.close(write)
    start = len(BYTES_MARK) + ID_BYTES
    assert theirs[:start] == ours[:start]
    assert theirs[start : start + 12] != ours[start : start + 12]


def test_a_block_is_counted_and_a_day_passes(keys: Keys) -> None:
    """Before more is sealed than was counted, and after a day, another block must be taken; an overdraft is told."""
    assert not keys.cipher.needs_key()
    keys.now = MAX_AGE
    assert keys.cipher.needs_key()
    keys.begin(keys.cipher)
    keys.cipher._left = 1
    for _ in range(3):
        keys.cipher.seal_bytes(b"x", PLACE)
    assert (keys.cipher.needs_key(), keys.cipher.overdrawn) == (True, 2)
    keys.begin(keys.cipher)
    assert (keys.cipher.needs_key(), keys.cipher.overdrawn, keys.cipher._left) == (False, 0, BLOCK)


def test_what_is_kept_in_memory_is_bounded(keys: Keys) -> None:
    """However much is sealed and read, and long values not at all."""
    for number in itertools.count():
        keys.cipher.seal_text(f"{number} " + "x" * 4000, PLACE)
        if number == 3000:
            break
    kept = sum(
        len(one) + len(text) for group in (keys.cipher._recent, keys.cipher._older) for one, (_, text) in group.items()
    )
    assert kept < 9 * 1024 * 1024
    keys.cipher.seal_text("y" * 100_000, PLACE)
    assert not any(text.startswith("y") for _, text in keys.cipher._recent.values())
