"""What the store keeps of a machine that has been let in; over real links in test_server.py."""

from __future__ import annotations

import pytest

from common.identity.certificates import Identity
from common.link.handshake import make_hello
from hub.identity.certificates import NotTrusted
from hub.links.connected import note_connected
from tests.hub.hub_harness import HubHarness


async def test_a_certificate_that_ended_meanwhile_is_not_let_in(harness: HubHarness) -> None:
    """Nothing is written then."""
    before = harness.read(lambda txn: txn.agent("web-1"))
    identity, hello = Identity("agent", "web-1", "f" * 64, 9e9), make_hello("agent", "web-1", None)
    with pytest.raises(NotTrusted):
        harness.write(lambda txn: note_connected(txn, identity, hello, None, 1.0, 1.0))
    assert harness.read(lambda txn: txn.agent("web-1")) == before
