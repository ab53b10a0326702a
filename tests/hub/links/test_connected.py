"""What the store keeps of a machine that has been let in; over real links in test_server.py."""

from __future__ import annotations

import pytest

from common.identity.certificates import Identity
from common.link.handshake import make_hello
from common.link.lineage import begin
from hub.core.records import Agent
from hub.identity.certificates import NotTrusted
from hub.links.connected import MAX_FACT, MAX_FACTS, connection_note
from hub.store.transaction import Txn
from tests.hub.hub_harness import HubHarness


async def test_a_certificate_that_is_not_known_is_not_let_in(harness: HubHarness) -> None:
    """Trust and what is kept are one transaction: nothing is written then, of its links neither."""
    before = harness.read(lambda txn: txn.agent("web-1"))
    identity, hello = Identity("agent", "web-1", "f" * 64, 9e9), make_hello("agent", "web-1", None)
    note, chain = connection_note(identity, hello, None, 1.0), begin("b" * 16, b"")
    with pytest.raises(NotTrusted):
        await harness.engine.let_in(identity, 1.0, chain, False, note)
    assert harness.read(lambda txn: txn.agent("web-1")) == before


async def test_what_is_kept_is_bounded_and_in_words_of_its_own(harness: HubHarness) -> None:
    """Facts are the machine's word: so many of so many characters; what was compared is not kept beside it."""
    facts = {"process": "p", "lineage": "l", "os": "x" * 999} | {f"fact{number}": "y" for number in range(99)}
    identity, hello = Identity("agent", "web-1", "f" * 64, 9e9), make_hello("agent", "web-1", None, facts=facts)

    def unit(txn: Txn) -> Agent:
        before = txn.agent("web-1")
        assert before is not None
        return connection_note(identity, hello, 0.5, 7.0)(txn, before)

    after = harness.write(unit)
    assert (after.last_seen, after.clock_ahead, len(after.facts or {})) == (7.0, 0.5, MAX_FACTS - 2)
    assert (after.facts or {})["os"] == "x" * MAX_FACT
    assert harness.read(lambda txn: txn.agent("web-1")) == after
