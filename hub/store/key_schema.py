"""Tables of whose own signatures machines count."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from hub.store.columns import flag, integer, text, time
from hub.store.schema import metadata

key_changes: Final = sa.Table(
    "key_changes",  # of whose own signatures machines count, as people signed them (common/key_change.py)
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    text("body"),  # SignedKeyChange.to_bytes
    text("proposed_by"),
    time("proposed_at", nullable=False),
    time("expires_at", nullable=False),
    time("ended_at"),  # when somebody withdrew it
    text("ended_by"),
)
key_answers: Final = sa.Table(
    "key_answers",  # what became of such a change on a machine
    metadata,
    sa.Column("change_id", sa.Text, primary_key=True),
    sa.Column("agent", sa.Text, primary_key=True),
    flag("done"),
    text("reason"),
    integer("signatures"),  # that it had then
    time("at", nullable=False),
)
machine_keys: Final = sa.Table(
    "machine_keys",  # whose own signatures count on a machine, as it told last
    metadata,
    sa.Column("agent", sa.Text, primary_key=True),
    text("keys"),  # JSON object: key in hex -> person
    integer("needed"),
    time("at", nullable=False),
)
