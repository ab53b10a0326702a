"""Brings the schema up to date when a store is opened. The steps are Alembic revisions in `migrations/versions`."""

from __future__ import annotations

from importlib import resources
from typing import Final

import sqlalchemy as sa

from common.errors import UserError
from common.values import format_rounded_size
from hub.store.database import Database, acquire_within
from hub.store.errors import StoreFull
from hub.store.room import NEEDED

HEAD: Final = "0024"
"""The newest revision; a test compares it with the files. A store that has it is opened without importing Alembic."""
TARGET: Final = "head"
LOCK_SECONDS: Final = 5.0


def migrate(database: Database) -> None:
    """Runs the missing revisions, all in one transaction. Raises UserError where the store is newer than this
    program, or where a hub that still serves an older schema must be stopped first.
    """
    if _version(database) == HEAD:
        return
    lock = database.lock()
    if not acquire_within(lock, LOCK_SECONDS):
        raise UserError(f"store {database.name}: a running hub uses an older schema", "stop it, then run this again")
    try:
        with database.translating_errors():
            _upgrade(database)
    except StoreFull:
        problem = f"store {database.name}: its schema has to be brought up to date, and the disk is full"
        room = format_rounded_size(database.size + NEEDED)
        raise StoreFull(problem, f"make {room} of room and start again; nothing was changed") from None
    finally:
        lock.release()


def _version(database: Database) -> str | None:
    with database.engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return version


def _upgrade(database: Database) -> None:
    # Alembic takes a tenth of a second to import and is needed once a release.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(resources.files("hub.store") / "migrations").replace("%", "%%"))
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    with database.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if database.path is not None else "BEGIN")
        version = _version(database)  # again: another process may have migrated while this one waited
        if version is not None and version not in known:
            raise UserError(
                f"store {database.name}: its schema {version} is newer than this program, which knows up to {HEAD}",
                "install the newer Answerback again, or restore the backup made before it",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, TARGET)
        connection.exec_driver_sql("COMMIT")
