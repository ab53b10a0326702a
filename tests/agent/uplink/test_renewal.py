"""agent.uplink.renewal: a new key and certificate over a live link, by real child processes."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from agent.state import State
from agent.uplink.renewal import Renewal
from common.certificate import new_request
from common.credential import Validity
from common.errors import WorkFailed
from common.identity import request_key
from common.messages import Accepted, Refuse, Renew, Renewed, Report
from tests.agent.scripted import ScriptedHub, ScriptedRunner
from tests.agent.uplink.conftest import Running

LIFE = 86_400.0


@pytest.fixture
def due(hub: ScriptedHub, tmp_path: Path) -> State:
    """A machine whose certificate is past two thirds of its life."""
    return hub.joined_state(tmp_path / "due", now=time.time() - 0.7 * LIFE, lifetime=LIFE)


async def test_a_certificate_is_renewed_over_the_link(
    hub: ScriptedHub, runner: ScriptedRunner, due: State, running: Running
) -> None:
    """New key, new certificate, next generation on disk; then the session goes on under the new certificate."""
    old_key = due.credential.key.read_bytes()
    async with running(due):
        link = await hub.arrival()
        await link.expect(Report)
        asked = await link.expect(Renew)
        assert asked.generation == 1
        await link.send(Renewed(hub.issue(asked.request, "web-1"), 2))
        await link.acknowledge()
        again = await hub.arrival()
        assert again.resumed
        assert again.identity.fingerprint != link.identity.fingerprint
        await (await runner.attachment()).send(Accepted("01J00000000000000000000000", "hash"))
        await again.expect(Accepted)
    assert due.credential.key.read_bytes() != old_key
    assert due.credential.validity().generation == 2
    assert due.credential.validity().not_after > time.time() + 0.9 * LIFE
    assert not list(due.uplink.glob("*.next"))


async def test_a_lost_answer_is_asked_for_with_the_same_key(
    hub: ScriptedHub, runner: ScriptedRunner, due: State, running: Running
) -> None:
    """After the hub's answer was lost, an uplink that is started again sends the same request again."""
    async with running(due):
        link = await hub.arrival()
        await link.expect(Report)
        first = await link.expect(Renew)
    hub.kept = None
    async with running(due):
        link = await hub.arrival()
        await link.expect(Report)
        second = await link.expect(Renew)
    assert second == first
    assert request_key(second.request) == request_key(first.request)


async def test_a_refused_renewal_leaves_the_link_up(
    hub: ScriptedHub, runner: ScriptedRunner, due: State, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """The hub's no is logged; the link and the certificate in use stay."""
    before = due.credential.certificate.read_bytes()
    with caplog.at_level(logging.ERROR, "answerback.agent"):
        async with running(due):
            link = await hub.arrival()
            await link.expect(Report)
            await link.expect(Renew)
            await link.send(Refuse("bad_request", "not today"))
            await (await runner.attachment()).send(Accepted("01J00000000000000000000000", "hash"))
            await link.expect(Accepted)
    refused = next(record for record in caplog.records if record.msg == "certificate.not_renewed")
    assert "not today" in refused.__dict__["fields"]["reason"]
    assert due.credential.certificate.read_bytes() == before


@pytest.mark.parametrize("what", ["name", "key", "authority", "garbage"])
async def test_a_certificate_that_is_not_ours_is_not_taken(
    what: str, hub: ScriptedHub, due: State, tmp_path: Path
) -> None:
    """For another name, for another key, by another authority, or none at all: the old one stays in use."""
    renewal = Renewal(due, due.credential.validity())
    asked = await renewal.request()
    before = (due.credential.certificate.read_bytes(), due.credential.key.read_bytes())
    answers = {
        "name": lambda: hub.issue(asked.request, "web-2"),
        "key": lambda: hub.issue(new_request("agent", "web-1").request, "web-1"),
        "authority": lambda: ScriptedHub(tmp_path / "other").issue(asked.request, "web-1"),
        "garbage": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    with pytest.raises(WorkFailed, match="take-certificate failed") as raised:
        await renewal.take(Renewed(answers[what](), 2))
    assert "Traceback" not in str(raised.value)
    assert (due.credential.certificate.read_bytes(), due.credential.key.read_bytes()) == before
    assert due.credential.validity().generation == 1


async def test_a_child_that_hangs_is_ended(due: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A child past its time is killed and told of."""
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("agent.detach.sys.executable", str(slow))
    monkeypatch.setattr("agent.uplink.renewal.CHILD_TIMEOUT", 0.2)
    started = time.monotonic()
    with pytest.raises(WorkFailed, match="took longer"):
        await Renewal(due, due.credential.validity()).request()
    assert time.monotonic() - started < 10


def test_a_failed_renewal_is_tried_again_later(tmp_path: Path) -> None:
    """Not before a tenth of what is left, at most an hour later."""
    renewal = Renewal(State(tmp_path), Validity(1, 0.0, 90_000.0), dice=lambda: 0.0)
    assert not renewal.due(59_999.0)
    assert renewal.due(60_000.0)
    renewal.failed(60_000.0)
    assert not renewal.due(62_999.0)
    assert renewal.due(63_000.0)
