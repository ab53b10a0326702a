"""The store: SQLite by default, PostgreSQL for larger installations; one schema, one set of queries for both.

    errors       Conflict, StoreBusy, StoreFull, StoreLost
    columns      the kinds of columns, indexes and conditions
    schema       the tables (SQLAlchemy Core); key_schema those of approvers' keys
    sql          statements compiled once a database, and the connection that runs them; seals and opens what is sealed
    sealed_columns  which columns are sealed, and what their values are bound to; cipher: how
    conversion   rows from before the store was sealed; sealing_keys: the ring's keys by id, and a rotation's work
    broken       the sealed values that did not open, for whoever tells people
    mapping      records to rows and back; guarded updates (optimistic locking)
    base         the base class of the repositories; then the repositories, one a subject:
                 requests, jobs, claims (handing out jobs), output, outbox, people, credentials, settings, sealed,
                 standing (approvals that hold for a while), key_changes (whose own signatures machines count),
                 retention (what was kept long enough), passkeys,
                 timeline (the starts of the hub, and what a restored backup must not use again),
                 events (the audit), archived (what of it is in files), lists and overview (what operators see;
                 filter_sql turns filters into SQL, sealed_lists looks into what is sealed)
    transaction  `Txn`: all repositories together, the view of a unit of work inside one transaction
    database     the database behind a URL: connections, locks, errors translated for people
    migrate      brings the schema up to date at open; migrations/ has the steps (Alembic)
    writer       the writer thread with group commit; lanes: which units go before which
    restored     what it does in the moment in which it turns out to be a restored backup
    watermark    how far the hub has come, in a file outside the database
    row_key      the key that authenticates rows, in a file outside the database; made, and lost
    taken        which messages were taken lately, in files outside the database
    room         whether there is room, and the reserve that is given up where there is none; disk_use: what fills it
    store        `Store`: opens, writes, reads, closes

`await store.write(unit)` runs `unit(txn)` in the writer thread; several units share one commit and one fsync, each
behind its own savepoint; the result is returned after the commit. `await store.read(unit)` runs on a read-only
snapshot.
"""
