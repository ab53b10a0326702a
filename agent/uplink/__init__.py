"""The uplink: the agent's half that faces the network; see the package above for its map."""
