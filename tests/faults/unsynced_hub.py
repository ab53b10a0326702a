"""A hub whose store does not sync its commits: what the disk that forgets must find (`python -m`, as the hub)."""

from __future__ import annotations

from hub.cli.main import main
from hub.store import database

if __name__ == "__main__":
    database._SQLITE_PRAGMAS = tuple(line.replace("= FULL", "= OFF") for line in database._SQLITE_PRAGMAS)
    main()
