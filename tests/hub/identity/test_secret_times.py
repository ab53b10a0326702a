"""Times of secrets in the store: each change is one transaction beside the others'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.core.secret_uses import SecretTimes
from hub.identity.secret_times import put_change, put_uses, read_book, read_uses, write_uses
from hub.store.store import Store

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/s.sqlite", folder=tmp_path, clock=lambda: NOW)
    yield opened
    opened.close()


async def test_uses_and_changes_meet_in_one_row(store: Store) -> None:
    uses = read_uses(store)
    store.write_now(lambda txn: put_change(txn, "inlets.ops", ["old", "new"], "new", NOW))
    uses.note("inlets.ops", b"x", NOW + 1)
    await write_uses(store, uses, NOW + 1)
    assert uses.due(NOW + 1) == {}
    store.write_now(lambda txn: put_uses(txn, {("inlets.ops", "new"): NOW + 2}))
    book = store.read_now(read_book)["inlets.ops"]
    assert book["new"] == SecretTimes(NOW, NOW + 2)
    assert len(book) == 2
    store.write_now(lambda txn: put_change(txn, "inlets.ops", ["new"], "", NOW))
    assert store.read_now(read_book) == {"inlets.ops": {"new": SecretTimes(NOW, NOW + 2)}}
    store.write_now(lambda txn: put_change(txn, "inlets.ops", [], "", NOW))
    assert store.read_now(read_book) == {}
