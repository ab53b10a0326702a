"""The audit's archive: events older than `[audit] keep` leave the database for files, and are read from both.

    reader       the files of the hub's folder with what the database has as one log; what is missing is named
    archiver     writes the files, in small batches beside the load, and deletes the rows that are in them

A file is written under another name, synced, renamed, its folder synced, and read again whole; then one commit says
that the archive goes up to there, with a row of the audit; then the rows go, some at a time. Killed between any two of
these steps nothing is lost: rows that are in a file too do no harm, and the next run goes on. The form of a file, and
what a stranger can tell of it, is `common.audit.archive`.
"""
