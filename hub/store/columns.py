"""The kinds of columns, indexes and conditions that the tables are made of."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa


def one_of(column: str, values: Iterable[StrEnum | str]) -> str:
    """`column IN ('a', 'b')` in literals: a partial index serves a query only where both spell the values out."""
    listed = ", ".join(f"'{value}'" for value in sorted(map(str, values)))
    return f"{column} IN ({listed})"


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def time(name: str, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


def integer(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def added_column(column: sa.Column[Any], default: str | sa.False_) -> sa.Column[Any]:
    """A column that a later migration added: older rows have `default`."""
    column.server_default = sa.DefaultClause(default)
    return column


def index(name: str, *columns: sa.Column[Any], where: sa.TextClause | None = None, unique: bool = False) -> None:
    # The condition for PostgreSQL stands in the migrations alone: to say it here would load that dialect in every hub.
    sa.Index(name, *columns, unique=unique, sqlite_where=where)


def check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=name)
