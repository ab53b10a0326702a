"""The archive as the store knows it: what may go next, what is deleted, and under which key a file is sealed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.store.archived import Archived, seal_archive
from hub.store.errors import SealBroken
from hub.store.store import Store
from tests.hub.archive.log import Log


@pytest.fixture
def log(store: Store, url: str, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Beside the store of the fixture, whose audit is verified afterwards and stays empty."""
    made = Log("sqlite:///beside.sqlite", tmp_path_factory.mktemp("beside"))
    made.add(6)
    return made


def test_a_file_ends_at_a_signed_checkpoint(log: Log) -> None:
    """The last one within the number; else the next one; never the newest, nor one that is too young."""
    ends = {
        (1, log.at, 12): 10,
        (1, log.at, 3): 5,
        (6, log.at, 100): 25,
        (26, log.at, 100): None,
        (1, log.at - 20, 100): 5,
        (1, log.at - 100, 100): None,
    }
    for (first, before, most), end in ends.items():
        mark = log.store.read_now(lambda txn, a=first, b=before, m=most: txn.archive_end(a, b, m))
        assert (None if mark is None else mark.seq) == end, (first, before, most)


def test_what_is_noted_may_be_deleted_and_nothing_else(log: Log) -> None:
    assert log.store.read_now(lambda txn: txn.archived()) == Archived()
    assert log.store.write_now(lambda txn: txn.drop_archived()) == 0
    note = Archived(10, "ab" * 32, "file")
    log.store.write_now(lambda txn: txn.note_archived(note))
    assert log.store.read_now(lambda txn: txn.archived()) == note
    assert log.store.write_now(lambda txn: txn.drop_archived()) == 10
    assert log.store.write_now(lambda txn: txn.drop_archived()) == 0
    assert log.here() == (11, 30)
    mark = log.store.read_now(lambda txn: txn.checkpoint_at(10))
    assert mark is not None
    assert mark.seq == 10


def test_a_file_has_a_key_of_its_own(store: Store) -> None:
    """In the table of data keys, so that a rotation wraps it; no value is sealed under it."""
    key = store.write_now(lambda txn: txn.new_archive_key())
    assert key is not None
    sealed = seal_archive(key, b"content", b"place")
    assert b"content" not in sealed

    def opened(content: bytes, place: bytes, wrapped: bytes = b"", name: str = key.id) -> bytes:
        return store.read_now(lambda txn: txn.open_archive(name, wrapped, content, place, "file"))

    assert opened(sealed, b"place") == b"content"
    assert opened(b"plain", b"", name="") == b"plain"
    for content, place in ((sealed, b"other"), (sealed[:-1], b"place"), (AESGCM.generate_key(256), b"place")):
        with pytest.raises(SealBroken, match="file: changed since it was sealed"):
            opened(content, place)
    with pytest.raises(SealBroken):
        opened(sealed, b"place", b"not wrapped", "00" * 8)
    assert opened(sealed, b"place", key.wrapped) == b"content"
    store.write_now(lambda txn: txn.audit("test.row", "s", "t", {"text": "x"}, 1.0))
    cipher = store._database.cipher
    assert cipher is not None
    with store._database.engine.connect() as connection:
        (stored,) = connection.exec_driver_sql("SELECT data FROM events").fetchone() or ("",)
    assert cipher.key_of(stored) not in (None, key.id)
