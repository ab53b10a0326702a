"""Chat platforms: one file each, one small interface (`platform`), no I/O.

platform     the interface: verify, parse, render; and the message that all platforms give
generic      X-Signature over the body
standard     Standard Webhooks 1.0.0
inlets       which platforms there are; an inlet of hub.toml with its platform
"""
