"""The store: SQLite embedded, PostgreSQL when outgrown; one schema, one set of verbs.

    errors       Conflict, StoreBusy, StoreFull, StoreLost
    schema       the tables (SQLAlchemy Core)
    sql          a statement compiled once a database, and the connection that runs it
    mapping      records to rows and back; guarded updates
    room         what the verbs stand on; then the verbs by room:
                 requests, jobs, claims, output, outbox, people, access, switches, papers, events,
                 windows and boards (what operators look at; filter_sql makes their conditions)
    verbs        `Txn`: all rooms together, what can be asked and changed inside one transaction
    database     which database: its URL, its connections, its lock, its errors said in words
    migrate      the schema brought up to date at open; migrations/ holds the steps (Alembic)
    writer       the writer thread with group commit
    engine       `Store`: opens, writes, reads, closes

`await store.write(unit)` runs `unit(txn)` in the writer thread; several units share one commit and one fsync, each
behind its own savepoint; the result comes back after the commit. `await store.read(unit)` runs on a read-only snapshot.
"""
