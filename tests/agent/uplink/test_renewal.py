"""agent.uplink.renewal: a new key and certificate over a live link, by real child processes."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from agent.state import StateFolder
from agent.uplink.renewal import CertificateRenewal
from common.errors import WorkFailed
from common.identity.certificates import request_key
from common.identity.credential import Validity
from common.identity.csr import create_key_request
from common.link.messages import Accepted, Refuse, Renew, Renewed, Report
from tests.agent.fake_peers import AgentFakeHub, FakeRunner
from tests.agent.uplink.conftest import Running

LIFE = 86_400.0


@pytest.fixture
def due(hub: AgentFakeHub, tmp_path: Path) -> StateFolder:
    """A machine whose certificate is past the middle of its life."""
    return hub.create_joined_state(tmp_path / "due", now=time.time() - 0.7 * LIFE, lifetime=LIFE)


async def test_a_certificate_is_renewed_over_the_link(
    hub: AgentFakeHub, runner: FakeRunner, due: StateFolder, running: Running
) -> None:
    """New key, new certificate, next generation on disk; then the session goes on under the new certificate."""
    old_key = due.credential.key.read_bytes()
    async with running(due):
        link = await hub.next_link()
        await link.expect(Report)
        asked = await link.expect(Renew)
        assert asked.generation == 1
        await link.send(Renewed(hub.issue(asked.request, "web-1"), 2))
        await link.send_ack()
        again = await hub.next_link()
        assert again.resumed
        assert again.identity.fingerprint != link.identity.fingerprint
        await (await runner.next_attachment()).send(Accepted("01J00000000000000000000000", "hash"))
        await again.expect(Accepted)
    assert due.credential.key.read_bytes() != old_key
    assert due.credential.validity().generation == 2
    assert due.credential.validity().not_after > time.time() + 0.9 * LIFE
    assert not list(due.uplink.glob("*.next"))


async def test_a_lost_answer_is_asked_for_with_the_same_key(
    hub: AgentFakeHub, runner: FakeRunner, due: StateFolder, running: Running
) -> None:
    """After the hub's answer was lost, an uplink that is started again sends the same request again."""
    async with running(due):
        link = await hub.next_link()
        await link.expect(Report)
        first = await link.expect(Renew)
    hub.session = None
    async with running(due):
        link = await hub.next_link()
        await link.expect(Report)
        second = await link.expect(Renew)
    assert second == first
    assert request_key(second.request) == request_key(first.request)


async def test_a_refused_renewal_leaves_the_link_up(
    hub: AgentFakeHub, runner: FakeRunner, due: StateFolder, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """The hub's no is logged; the link and the certificate in use stay."""
    before = due.credential.certificate.read_bytes()
    with caplog.at_level(logging.ERROR, "answerback.agent"):
        async with running(due):
            link = await hub.next_link()
            await link.expect(Report)
            await link.expect(Renew)
            await link.send(Refuse("bad_request", "not today"))
            await (await runner.next_attachment()).send(Accepted("01J00000000000000000000000", "hash"))
            await link.expect(Accepted)
    refused = next(record for record in caplog.records if record.msg == "certificate.not_renewed")
    assert "not today" in refused.__dict__["fields"]["reason"]
    assert due.credential.certificate.read_bytes() == before


@pytest.mark.parametrize("what", ["name", "key", "authority", "garbage"])
async def test_a_certificate_that_is_not_ours_is_not_taken(
    what: str, hub: AgentFakeHub, due: StateFolder, tmp_path: Path
) -> None:
    """For another name, for another key, by another authority, or none at all: the old one stays in use."""
    renewal = CertificateRenewal(due, due.credential.validity())
    asked = await renewal.request()
    before = (due.credential.certificate.read_bytes(), due.credential.key.read_bytes())
    answers = {
        "name": lambda: hub.issue(asked.request, "web-2"),
        "key": lambda: hub.issue(create_key_request("agent", "web-1").request, "web-1"),
        "authority": lambda: AgentFakeHub(tmp_path / "other").issue(asked.request, "web-1"),
        "garbage": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    with pytest.raises(WorkFailed, match="take-certificate failed") as raised:
        await renewal.install(Renewed(answers[what](), 2))
    assert "Traceback" not in str(raised.value)
    assert (due.credential.certificate.read_bytes(), due.credential.key.read_bytes()) == before
    assert due.credential.validity().generation == 1


async def test_a_child_that_hangs_is_ended(due: StateFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A child past its time is killed and told of."""
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("agent.detach.sys.executable", str(slow))
    monkeypatch.setattr("agent.uplink.child.CHILD_TIMEOUT", 0.2)
    started = time.monotonic()
    with pytest.raises(WorkFailed, match="took longer"):
        await CertificateRenewal(due, due.credential.validity()).request()
    assert time.monotonic() - started < 60


def test_a_failed_renewal_is_tried_again_later(tmp_path: Path) -> None:
    """After half a minute at least, and later each time."""
    renewal = CertificateRenewal(StateFolder(tmp_path), Validity(1, 0.0, 90_000.0), uniform=lambda: 0.0)
    assert not renewal.is_due(44_999.0)
    assert renewal.is_due(45_000.0)
    renewal.record_failure(45_000.0)
    assert not renewal.is_due(45_029.0)
    assert renewal.is_due(45_030.0)
    renewal.record_failure(45_030.0)
    assert not renewal.is_due(45_089.0)


def test_the_hubs_clock_says_when(tmp_path: Path) -> None:
    """A machine whose clock is a day ahead asks when by the hub's clock half of the life is over, not at once."""
    renewal = CertificateRenewal(StateFolder(tmp_path), Validity(1, 0.0, 90_000.0), uniform=lambda: 0.0)
    assert renewal.is_due(86_400.0)
    renewal.set_clock_ahead(86_400.0)
    assert not renewal.is_due(86_400.0)
    assert renewal.is_due(86_400.0 + 45_000.0)
    renewal.set_clock_ahead(30.0)  # the latency of a link is no wrong clock
    assert renewal.clock_ahead == 0
