"""Since when each secret of inlets and models holds and when it was used last, in the store: one row of its settings.

The serving hub writes uses, the commands write beginnings and ends; each is one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from hub.core.secret_uses import SecretBook, SecretTimes, SecretUses, book_from_json, book_to_json
from hub.store.store import Store
from hub.store.transaction import Txn

_KEY: Final = "secret_times"


def read_book(txn: Txn) -> SecretBook:
    return book_from_json(txn.get_meta(_KEY) or "")


def put_uses(txn: Txn, uses: Mapping[tuple[str, str], float]) -> None:
    """(table, fingerprint) -> when it was used last."""
    book = read_book(txn)
    for (owner, mark), at in uses.items():
        marks = book.setdefault(owner, {})
        marks[mark] = SecretTimes(marks.get(mark, SecretTimes()).since, at)
    txn.put_meta(_KEY, book_to_json(book))


def put_change(txn: Txn, owner: str, marks: Collection[str], new: str, now: float) -> None:
    """The fingerprints that a table's secrets have from now on; `new` is one that came, or "". Others are forgotten."""
    book = read_book(txn)
    before = book.pop(owner, {})
    after = {mark: before[mark] for mark in marks if mark in before}
    if new:
        after[new] = SecretTimes(since=now)
    if after:
        book[owner] = after
    txn.put_meta(_KEY, book_to_json(book))


def read_uses(store: Store) -> SecretUses:
    """What a hub that starts goes on from."""
    return SecretUses(store.read_now(read_book))


async def write_uses(store: Store, uses: SecretUses, now: float) -> None:
    """Writes the last uses that the serving hub knows of and that are due."""
    due = uses.due(now)
    if due:
        await store.write(lambda txn: put_uses(txn, due))
        uses.written(due)
