"""Lists over what is sealed: the same windows as in memory, read no further than needed. `test_filter_sql` holds the
filters themselves to what they say in memory.
"""

from __future__ import annotations

from typing import Any

import pytest

from common.filter.parser import parse
from hub.store.lists import MAPPERS, ListQuery
from hub.store.sealed_lists import FIRST_PAGE, PAGE, hidden_part, plain_part
from hub.store.store import Store
from hub.store.transaction import Txn

COUNT = FIRST_PAGE + 700
"""More than one page."""


@pytest.fixture
def many(store: Store, make: Any) -> Store:
    """Jobs with a command each; every seventh of nginx."""

    def unit(txn: Txn) -> None:
        request = txn.add_request(make.request(text="磁盘"))
        jobs = [
            make.job(
                request,
                id=f"01J{number:05}ZZZZZZZZZZZZZZZZZZ",
                agent=f"web-{number % 3}",
                command=f"/bin/{'systemctl restart nginx' if number % 7 == 0 else 'df'} {number:05}",
                reason="full" if number % 2 else "",
            )
            for number in range(COUNT)
        ]
        txn.add_jobs(jobs)

    store.write_now(unit)
    return store


def numbers(store: Store, text: str, sort: str = "", lo: int = 0, n: int = 10_000) -> list[int]:
    listing = ListQuery(parse("jobs", text), sort)
    rows = store.read_now(lambda txn: txn.list_rows(listing, lo, n, 0.0))
    found = [int(MAPPERS["jobs"].from_row(row).command[-5:]) for row in rows]
    if not lo and n > COUNT:
        assert store.read_now(lambda txn: txn.list_length(listing, 0.0)) == len(found)
    return found


def test_windows_of_a_search(many: Store) -> None:
    """In the list's order, over the pages' borders, beside a condition of the database, and beyond the end."""
    nginx = [number for number in reversed(range(COUNT)) if number % 7 == 0]
    assert numbers(many, "nginx") == nginx
    assert numbers(many, "nginx", "-age") == nginx[::-1]
    assert numbers(many, "nginx", "", 3, 5) == nginx[3:8]
    assert numbers(many, "nginx", "", len(nginx) - 2, 5) == nginx[-2:]
    assert numbers(many, "nginx", "", len(nginx), 5) == []
    assert numbers(many, "nginx agent:web-1") == [number for number in nginx if number % 3 == 1]
    assert numbers(many, "!nginx !df") == []
    assert numbers(many, "01199") == [1199]


def test_sorting_by_what_is_sealed(many: Store) -> None:
    """By the words, not by the ciphertexts; ties by age."""
    df = [number for number in range(COUNT) if number % 7]
    nginx = [number for number in range(COUNT) if number % 7 == 0]
    assert numbers(many, "", "argv") == df + nginx
    assert numbers(many, "", "-command") == (df + nginx)[::-1]
    assert numbers(many, "df", "-argv", 2, 3) == df[::-1][2:5]
    reasons = numbers(many, "", "-reason")
    assert reasons == [n for n in reversed(range(COUNT)) if n % 2] + [n for n in reversed(range(COUNT)) if not n % 2]


def test_a_window_at_the_top_reads_one_page(many: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the console shows first costs no walk through the whole list."""
    read: list[int] = []
    listing = ListQuery(parse("jobs", "df"))

    def unit(txn: Txn) -> int:
        real = txn._db.rows

        def rows(statement: Any, params: Any) -> Any:
            found = real(statement, params)
            read.append(len(found))
            return found

        monkeypatch.setattr(txn._db, "rows", rows)
        try:
            return len(txn.list_rows(listing, 0, 50, 0.0))
        finally:
            monkeypatch.undo()

    assert many.read_now(unit) == 50
    assert read == [FIRST_PAGE]
    assert COUNT < PAGE


def test_the_database_is_asked_what_it_can_answer() -> None:
    """A filter is parted: words and the source of a request's plan are looked at in memory, the rest is not."""
    filter_ = parse("requests", "state:asking df rb:disk user:bob !nginx")
    assert len(hidden_part(filter_).terms) == 3
    assert len(plain_part(filter_).terms) == 2
    assert ListQuery(parse("requests", "state:asking user:bob")).scan is None
    assert ListQuery(parse("jobs", "rb:disk")).scan is None
