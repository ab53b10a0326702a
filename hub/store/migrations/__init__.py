"""The steps from an empty database to the schema: Alembic, run by `hub.store.migrate` when a store is opened.

A new step: change `hub/store/schema.py`, copy the newest file of `versions/` under the next number (or let Alembic make
it from `script.py.mako`), write the difference by hand in words both databases take, set `HEAD` in `migrate.py`. A step
that has been released is never changed. There is no way down: the way back is the backup.
"""
