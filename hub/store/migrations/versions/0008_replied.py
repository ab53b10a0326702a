"""When chat was told of a job before the others of its request ended, and how a request's jobs ended.

Requests from before have no outcome; their jobs say it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("replied_at", sa.Double, nullable=True))
    op.add_column("requests", sa.Column("outcome", sa.Text, nullable=False, server_default=""))
