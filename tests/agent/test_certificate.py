"""agent.certificate: requests that survive a crash, and certificates that are ours."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.certificate import check_certificate, new_request, prepare_renewal, take_certificate
from agent.state import State
from common.errors import WorkFailed
from common.identity import Authority, request_key
from tests.agent.scripted import ScriptedHub

NOW = time.time()


@pytest.fixture
def hub(tmp_path: Path) -> ScriptedHub:
    """A hub that need not serve here; its authority is what counts."""
    hub = ScriptedHub(tmp_path / "hub")
    hub.port = 8443
    return hub


@pytest.fixture
def state(hub: ScriptedHub, tmp_path: Path) -> State:
    """The joined folder of web-1."""
    return hub.joined_state(tmp_path / "state")


def test_a_renewal_under_way_keeps_its_key(state: State) -> None:
    """Asked again, the same key and request are there."""
    prepare_renewal(state)
    before = (state.next_key.read_bytes(), state.next_request.read_bytes())
    prepare_renewal(state)
    assert (state.next_key.read_bytes(), state.next_request.read_bytes()) == before
    assert before[0] != state.key.read_bytes()


@pytest.mark.parametrize("lost", ["next_key", "next_request"])
def test_a_request_never_goes_with_another_key(lost: str, state: State) -> None:
    """After a crash between the two files both are made anew, and they belong together."""
    prepare_renewal(state)
    getattr(state, lost).unlink()
    prepare_renewal(state)
    certificate = Authority.create("h1", NOW).issue(
        state.next_request.read_bytes(), kind="agent", name="web-1", now=NOW
    )
    made = new_request("web-1")
    assert request_key(state.next_request.read_bytes()) != request_key(made.request)
    with pytest.raises(WorkFailed, match="another authority"):
        check_certificate(
            certificate, state.next_key.read_bytes(), state.authority.read_bytes(), "web-1", 2, time.time()
        )


@pytest.mark.parametrize("lost", ["next_key", "next_request"])
def test_key_and_request_made_anew_belong_together(lost: str, hub: ScriptedHub, state: State) -> None:
    """A certificate for the request fits the key."""
    prepare_renewal(state)
    getattr(state, lost).unlink()
    prepare_renewal(state)
    validity = take_certificate(state, hub.issue(state.next_request.read_bytes(), "web-1"), 2, time.time())
    assert validity.generation == 2
    assert validity.not_after - validity.not_before == pytest.approx(86_400 + 300, abs=5)


def test_a_certificate_of_the_past_is_not_taken(hub: ScriptedHub, state: State) -> None:
    """One that has expired on arrival is refused by the clock that was passed in."""
    prepare_renewal(state)
    certificate = hub.issue(state.next_request.read_bytes(), "web-1", lifetime=60)
    with pytest.raises(WorkFailed, match="expired"):
        take_certificate(state, certificate, 2, time.time() + 61)
    assert not state.next_certificate.exists()


def test_a_certificate_for_an_operator_is_not_taken(hub: ScriptedHub, state: State) -> None:
    """The right key and name with another role is not ours."""
    prepare_renewal(state)
    certificate = hub.authority.issue(state.next_request.read_bytes(), kind="operator", name="web-1", now=time.time())
    with pytest.raises(WorkFailed, match="operator"):
        take_certificate(state, certificate, 2, time.time())
