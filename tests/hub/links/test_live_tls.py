"""The links' TLS while it serves: another authority from the next connection on, and open links stay."""

from __future__ import annotations

from hub.identity.authorities import Authorities, make_next, write_phase
from hub.identity.authorities import load_authorities as load
from hub.links.live_tls import LinkTls
from tests.hub.hub_harness import HubHarness


def test_a_ca_can_be_taken_away(harness: HubHarness) -> None:
    """Lesson A7: what a context trusts can only grow, so another takes its place."""
    folder, now = harness.config.folder, harness.clock.now
    tls = LinkTls(folder, load(folder))
    before = tls.context
    make_next(folder, now)
    write_phase(folder, "init", now)
    tls.load(both := load(folder))
    assert len(tls.context.get_ca_certs()) == 2
    assert both.next is not None
    tls.load(Authorities(both.next))
    assert [len(context.get_ca_certs()) for context in (before, tls.context)] == [1, 1]
    assert before.get_ca_certs() != tls.context.get_ca_certs()
