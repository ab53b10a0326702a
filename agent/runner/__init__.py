"""The runner: the only process on a machine that starts jobs; see the package above for its map."""
